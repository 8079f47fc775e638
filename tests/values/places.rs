//! A few values of each awkward shape, in every place where a value crosses to another process.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{Read, Seek, Write};

use offspring::{Fd, JoinErrorKind, Receiver, Sender, StartMethod, channel, child_task};
use offspring_tests::ends::next;
use offspring_tests::{Case, start, sys, value};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Makes a module for each type with its values, at least one.
macro_rules! everywhere {
    ($($name:ident: $type:ty = $values:expr;)+) => {
        pub(crate) const CASES: &[Case] = &[
            $(
                Case::here(concat!(stringify!($name), "_in_arguments_and_results"), $name::in_arguments_and_results),
                Case::here(concat!(stringify!($name), "_in_results_that_may_fail"), $name::in_results_that_may_fail),
                Case::here(concat!(stringify!($name), "_in_channels"), $name::in_channels),
                Case::here(concat!(stringify!($name), "_in_duplexes"), $name::in_duplexes),
                Case::alone(concat!(stringify!($name), "_in_pools"), $name::in_pools),
                Case::here(concat!(stringify!($name), "_from_closures"), $name::from_closures)
                    .except(StartMethod::Spawn, "closures are for fork")
                    .except(StartMethod::ForkServer, "closures are for fork"),
            )+
            Case::here("descriptors_in_structures", descriptors_in_structures),
            Case::here("a_descriptor_that_is_tried_twice", a_descriptor_that_is_tried_twice),
        ];

        $(mod $name {
            use std::io;

            use offspring::{Duplex, Receiver, Report, Sender, StartMethod, channel, child_task, duplex, get_context};
            use offspring_tests::ends::{all, next};
            use offspring_tests::{start, value, wait};

            #[allow(unused_imports, reason = "a type of std's needs nothing of the file")]
            use super::*;

            type It = $type;

            fn values() -> Vec<It> {
                $values.into()
            }

            /// Takes arguments before and after the value, which must stay in their places.
            #[child_task]
            fn turned(before: u8, value: It, list: Vec<It>, after: String) -> (String, Vec<It>, It, u8) {
                assert!(values().contains(&value), "{value:?} is an argument that nobody gave");
                assert_eq!(list, values());
                (after, list, value, before)
            }

            pub(super) fn in_arguments_and_results(method: StartMethod) {
                for given in values() {
                    let (after, list, returned, before) =
                        value(start(method, turned::call(1, copy(&given), values(), "after".into())));
                    assert_eq!((&*after, list, returned, before), ("after", values(), given, 1));
                }
            }

            #[child_task]
            #[allow(clippy::result_large_err, reason = "an error may be any value")]
            fn may_fail(value: It, fails: bool) -> Result<(It, u8), (u8, It)> {
                if fails { Err((1, value)) } else { Ok((value, 2)) }
            }

            #[child_task(report)]
            fn reports(value: It) -> io::Result<It> {
                Ok(value)
            }

            pub(super) fn in_results_that_may_fail(method: StartMethod) {
                for given in values() {
                    assert_eq!(value(start(method, may_fail::call(copy(&given), false))), Ok((copy(&given), 2)));
                    assert_eq!(value(start(method, may_fail::call(copy(&given), true))), Err((1, copy(&given))));
                    let reported: Result<It, Report> = value(start(method, reports::call(copy(&given))));
                    assert_eq!(reported.unwrap(), given);
                }
            }

            #[child_task]
            fn relay(from: Receiver<It>, to: Sender<It>) {
                for expected in values() {
                    let seen = next(&from);
                    assert_eq!(seen, expected);
                    to.send(seen).unwrap();
                }
                let rest = all(&from);
                assert_eq!(rest, values());
                to.send_all(rest).unwrap();
            }

            pub(super) fn in_channels(method: StartMethod) {
                let ((to, theirs), (their_answers, answers)) = (channel().unwrap(), channel().unwrap());
                let child = start(method, relay::call(theirs, their_answers));
                // One by one, then as a batch.
                values().into_iter().for_each(|value| to.send(value).unwrap());
                to.send_all(values()).unwrap();
                drop(to);
                let answers = all(&answers);
                value(child);
                assert!(answers.into_iter().eq(values().into_iter().chain(values())));
            }

            #[child_task]
            fn answer(asker: Duplex<It, It>) {
                values().iter().for_each(|_| asker.send(asker.recv().unwrap()).unwrap());
            }

            pub(super) fn in_duplexes(method: StartMethod) {
                let (here, there) = duplex().unwrap();
                let child = start(method, answer::call(there));
                for given in values() {
                    assert_eq!(here.request_timeout(copy(&given), wait::LIMIT).unwrap(), given);
                }
                value(child);
            }

            #[child_task]
            fn prepare(seen: It) {
                assert_eq!(Some(&seen), values().last());
            }

            pub(super) fn in_pools(method: StartMethod) {
                let last = || values().pop().unwrap();
                let pool =
                    get_context(method).unwrap().pool().workers(2).initializer(prepare::call(last())).build().unwrap();
                let calls = || values().into_iter().map(|value| turned::call(1, value, values(), "after".into()));
                let mapped: Vec<It> = pool.map(calls()).map(|result| result.unwrap().2).collect();
                assert_eq!(mapped, values());
                let jobs: Vec<_> = calls().map(|call| pool.submit(call)).collect();
                for (job, expected) in jobs.into_iter().zip(values()) {
                    assert_eq!(wait::outcome(job).unwrap(), ("after".to_owned(), values(), expected, 1));
                }
                pool.join().unwrap();
            }

            pub(super) fn from_closures(_: StartMethod) {
                for given in values() {
                    assert_eq!(value(offspring::fork(|| copy(&given)).unwrap()), given);
                }
                assert_eq!(value(offspring::fork(values).unwrap()), values());
            }

            /// Copies by serialisation, as some types lack `Clone`.
            fn copy(value: &It) -> It {
                values().into_iter().find(|it| it == value).expect("one of the values")
            }
        })+
    };
}

everywhere! {
    things_left_out: LeftOut = [
        LeftOut {
            cache: 0,
            first: None,
            commands: vec![Command::Start, Command::Delete(1), Command::Stop { now: true }],
            user: User { id: 1, attempts: 0, age: 30 },
            list: vec![],
            hint: None,
            last: None,
        },
        LeftOut {
            cache: 0,
            first: Some("f".into()),
            commands: vec![],
            user: User { id: 2, attempts: 0, age: 31 },
            list: vec![3],
            hint: None,
            last: Some('l'),
        },
    ];
    flattened: Flat = [
        Flat {
            id: 1,
            inner: Inner { offset: 2, limit: Some(3) },
            rest: HashMap::from([("a".to_owned(), json!([1, {"b": null}])), ("c".to_owned(), json!("d"))]),
        },
        // More than a datagram holds.
        Flat {
            id: 1,
            inner: Inner { offset: 2, limit: None },
            rest: (0..3000).map(|n| (format!("key{n}"), json!({"text": "x".repeat(100), "n": n}))).collect(),
        },
    ];
    tagged_and_untagged: Event = [
        Event::Quit,
        Event::Key(Inner { offset: 0, limit: None }),
        Event::Adjacent { of: vec![Adjacent::Unit, Adjacent::Pair(1, "x".into()), Adjacent::Named { a: None }] },
        Event::Untagged {
            of: vec![
                Untagged::Number(1),
                Untagged::Text("t".into()),
                Untagged::Named { a: 1.5 },
                Untagged::List(vec![Untagged::Number(2)]),
            ],
        },
    ];
    values_of_json: Value = [json!(null), json!({"a": [1, -1, 0.5, {"b": {}}], "": "é"}), json!(u64::MAX)];
    nested_options: Option<Option<u8>> = [None, Some(None), Some(Some(1))];
    structures_as_keys: BTreeMap<(u8, Option<char>), i128> =
        [BTreeMap::from([((1, None), i128::MIN), ((1, Some('x')), 2)])];
    integers_as_keys: HashMap<i64, u128> = [HashMap::from([(i64::MIN, u128::MAX), (0, 1)])];
    numbers_that_are_none: Nan = [Nan(f64::NAN), Nan(f64::from_bits(0x7ff8_0000_0000_beef)), Nan(f64::NEG_INFINITY)];
    nothings: Vec<()> = [vec![], vec![(); 1000]];
}

/// Skips fields, always or while empty, on both sides or one, and a variant.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct LeftOut {
    #[serde(skip)]
    cache: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    first: Option<String>,
    commands: Vec<Command>,
    user: User,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    list: Vec<u8>,
    #[serde(skip)]
    hint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<char>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Command {
    #[serde(skip)]
    #[expect(dead_code, reason = "it stands in the place of the first")]
    Internal(std::time::Duration),
    Start,
    Delete(u8),
    Stop {
        now: bool,
    },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct User {
    id: u32,
    #[serde(skip_serializing, default)]
    attempts: u32,
    age: u8,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Inner {
    offset: u64,
    limit: Option<u8>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Flat {
    id: u32,
    #[serde(flatten)]
    inner: Inner,
    #[serde(flatten)]
    rest: HashMap<String, Value>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
enum Event {
    Quit,
    Key(Inner),
    Adjacent { of: Vec<Adjacent> },
    Untagged { of: Vec<Untagged> },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "t", content = "c")]
enum Adjacent {
    Unit,
    Pair(u8, String),
    Named { a: Option<u8> },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Number(u8),
    Text(String),
    Named { a: f64 },
    List(Vec<Untagged>),
}

/// A float with equality by bits.
#[derive(Debug, Serialize, Deserialize)]
struct Nan(f64);

impl PartialEq for Nan {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

/// An end of a channel in each structure that serde buffers before its type is known.
#[derive(Serialize, Deserialize)]
struct Job {
    id: u32,
    #[serde(flatten)]
    output: Output,
    #[serde(skip_serializing_if = "Option::is_none")]
    more: Option<Tagged>,
    #[serde(flatten)]
    named: BTreeMap<String, Sender<String>>,
}

#[derive(Serialize, Deserialize)]
struct Output {
    name: String,
    lines: Sender<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Tagged {
    Nothing,
    Both { input: Receiver<String>, log: Either },
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Either {
    Name(String),
    End { end: Sender<String> },
}

#[child_task]
fn work(job: Job) {
    let Some(Tagged::Both { input, log: Either::End { end: log } }) = job.more else { panic!("another variant") };
    job.output.lines.send(format!("{} {}", job.id, next(&input))).unwrap();
    log.send("logged".into()).unwrap();
    job.named["by name"].send("named".into()).unwrap();
}

fn descriptors_in_structures(method: StartMethod) {
    let ends = || channel::<String>().unwrap();
    let ((lines, line), (input, theirs), (log, logged), (named, by_name)) = (ends(), ends(), ends(), ends());
    let more = Some(Tagged::Both { input: theirs, log: Either::End { end: log } });
    let output = Output { name: "n".into(), lines };
    let job = Job { id: 7, output, more, named: [("by name".to_owned(), named)].into() };
    input.send("in".into()).unwrap();
    value(start(method, work::call(job)));
    assert_eq!([next(&line), next(&logged), next(&by_name)], ["7 in", "logged", "named"]);
}

/// The first variant takes the file, and then lacks a field. The second variant needs the file too, and may not get it.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Source {
    Part { file: Fd<File>, until: u64 },
    Whole { file: Fd<File> },
}

#[child_task]
fn read(source: Source) -> String {
    let mut text = String::new();
    match source {
        Source::Part { file, until } => (&*file).take(until).read_to_string(&mut text).unwrap(),
        Source::Whole { file } => (&*file).read_to_string(&mut text).unwrap(),
    };
    text
}

fn a_descriptor_that_is_tried_twice(method: StartMethod) {
    let file = || {
        let mut file = sys::temporary_file();
        file.write_all(b"content").unwrap();
        file.rewind().unwrap();
        Fd::new(file)
    };
    assert_eq!(value(start(method, read::call(Source::Part { file: file(), until: 3 }))), "con");
    match start(method, read::call(Source::Whole { file: file() })).join() {
        Ok(text) => assert_eq!(text, "content"),
        Err(error) => assert!(matches!(error.kind(), JoinErrorKind::NotStarted(_)), "{error:?}"),
    }
}
