//! The error texts of refused values: the task, the argument, the path to the value, and the text of the value's own
//! implementation.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use offspring::{
    Duplex, ErrorKind, JoinError, JoinErrorKind, RecvErrorKind, RequestError, SendErrorKind, Sender, StartMethod,
    channel, child_task, duplex, get_context,
};
use offspring_tests::{build, cases, failure, start, value, wait};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

cases! {
    here of_an_argument_that_cannot_be_decoded;
    here of_a_result_that_cannot_be_decoded;
    here of_an_argument_that_cannot_be_encoded;
    here of_a_result_that_cannot_be_encoded;
    here of_a_closures_result.except(StartMethod::Spawn, "closures are for fork")
        .except(StartMethod::ForkServer, "closures are for fork");
    here of_messages_that_cannot_be_decoded;
    here of_messages_that_cannot_be_encoded;
    here of_requests;
    alone of_jobs;
    here the_way_through_every_structure;
    here what_serde_says_of_fields_and_variants;
    here what_is_not_for_sending_is_named;
    here what_std_does_not_write_is_named;
}

/// Fails on one side if the number is odd.
#[derive(Clone, Debug, PartialEq)]
struct When {
    number: u8,
    is_read_only: bool,
}

/// Returns a value that cannot be serialised if odd.
fn unwritable(number: u8) -> When {
    When { number, is_read_only: false }
}

/// Returns a value that cannot be deserialised if odd.
fn unreadable(number: u8) -> When {
    When { number, is_read_only: true }
}

impl Serialize for When {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !self.number.is_multiple_of(2) && !self.is_read_only {
            return Err(serde::ser::Error::custom(format_args!("{} is odd", self.number)));
        }
        serializer.serialize_u8(self.number)
    }
}

#[derive(Deserialize)]
#[serde(try_from = "u8")]
struct Even(u8);

impl TryFrom<u8> for Even {
    type Error = String;

    fn try_from(number: u8) -> Result<Self, String> {
        if number.is_multiple_of(2) { Ok(Self(number)) } else { Err(format!("{number} is odd")) }
    }
}

impl<'de> Deserialize<'de> for When {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Even::deserialize(deserializer).map(|even| unwritable(even.0))
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Config {
    name: String,
    rules: Vec<Rule>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Rule {
    id: u32,
    when: When,
}

/// Returns a config whose fourth rule is odd.
fn config(when: fn(u8) -> When) -> Config {
    let rules = [0, 2, 4, 3, 6].map(|number| Rule { id: 7, when: when(number) });
    Config { name: "c".into(), rules: rules.into() }
}

/// Checks that a text contains all parts.
#[track_caller]
fn says(text: impl ToString, parts: &[&str]) {
    let text = text.to_string();
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
}

#[child_task]
fn configure(first: u8, config: Config, last: String) -> usize {
    usize::from(first) + config.rules.len() + last.len()
}

#[child_task]
fn odd_config(is_written: bool) -> Config {
    config(if is_written { unreadable } else { unwritable })
}

fn of_an_argument_that_cannot_be_decoded(method: StartMethod) {
    let error = failure(start(method, configure::call(1, config(unreadable), "l".into())));
    let JoinErrorKind::NotStarted(cause) = error.kind() else { panic!("{error:?}") };
    assert_eq!(cause.kind(), ErrorKind::Decode);
    says(&error, &["configure", "config.rules[3].when", "3 is odd"]);
    says(cause, &["config.rules[3].when", "3 is odd"]);
}

fn of_a_result_that_cannot_be_decoded(method: StartMethod) {
    let error = failure(start(method, odd_config::call(true)));
    assert!(matches!(error.kind(), JoinErrorKind::Undecodable), "{error:?}");
    says(error, &["odd_config", "rules[3].when", "3 is odd"]);
}

fn of_an_argument_that_cannot_be_encoded(method: StartMethod) {
    let error = build(method, configure::call(1, config(unwritable), "l".into())).start().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Encode);
    says(error, &["configure", "config.rules[3].when", "3 is odd"]);
}

fn of_a_result_that_cannot_be_encoded(method: StartMethod) {
    let error = failure(start(method, odd_config::call(false)));
    assert!(matches!(error.kind(), JoinErrorKind::Unencodable), "{error:?}");
    says(error, &["odd_config", "rules[3].when", "3 is odd"]);
}

fn of_a_closures_result(_: StartMethod) {
    let error = failure(offspring::fork(|| config(unwritable)).unwrap());
    assert!(matches!(error.kind(), JoinErrorKind::Unencodable), "{error:?}");
    says(error, &["closure at ", "errors.rs", "rules[3].when", "3 is odd"]);
    let error = failure(offspring::fork(|| config(unreadable)).unwrap());
    assert!(matches!(error.kind(), JoinErrorKind::Undecodable), "{error:?}");
    says(error, &["closure at ", "errors.rs", "rules[3].when", "3 is odd"]);
}

#[child_task]
fn send_three(to: Sender<Config>) {
    to.send(config(|_| unwritable(0))).unwrap();
    to.send(config(unreadable)).unwrap();
    to.send(config(|_| unwritable(2))).unwrap();
}

fn of_messages_that_cannot_be_decoded(method: StartMethod) {
    let (to, from) = channel().unwrap();
    value(start(method, send_three::call(to)));
    assert_eq!(from.recv_timeout(wait::LIMIT).unwrap().rules[3].when.number, 0);
    let error = from.recv_timeout(wait::LIMIT).unwrap_err();
    assert_eq!(error.kind(), RecvErrorKind::Undecodable);
    says(error, &["rules[3].when", "3 is odd"]);
    assert_eq!(from.recv_timeout(wait::LIMIT).unwrap().rules[3].when.number, 2, "the next one is good");
}

/// Returns the error of a send in a child.
#[child_task]
fn send_odd(to: Sender<Config>, batched: bool) -> (String, String) {
    if batched {
        let error = to.send_all([config(|_| unwritable(2)), config(unwritable)]).unwrap_err();
        assert!(error.to_string().contains("3 is odd"));
        return (format!("{:?}", error.kind()), error.to_string());
    }
    let error = to.send(config(unwritable)).unwrap_err();
    let told = (format!("{:?}", error.kind()), error.to_string());
    assert_eq!(error.into_inner(), config(unwritable), "the value comes back");
    told
}

fn of_messages_that_cannot_be_encoded(method: StartMethod) {
    for batched in [false, true] {
        let (to, _from) = channel().unwrap();
        let (kind, text) = value(start(method, send_odd::call(to, batched)));
        assert_eq!(kind, format!("{:?}", SendErrorKind::Unencodable));
        says(text, &["rules[3].when", "3 is odd"]);
    }
}

#[child_task]
fn answer_with_odd(asker: Duplex<Config, Config>) {
    let mut asked = asker.recv().unwrap();
    asked.rules[3].when = unreadable(3);
    asker.send(asked).unwrap();
    says(asker.recv().unwrap_err(), &["rules[3].when", "3 is odd"]);
}

fn of_requests(method: StartMethod) {
    let (here, there) = duplex().unwrap();
    let child = start(method, answer_with_odd::call(there));
    match here.request_timeout(config(unwritable), wait::LIMIT) {
        Err(RequestError::Send(error)) => says(error, &["rules[3].when", "3 is odd"]),
        other => panic!("{other:?}"),
    }
    match here.request_timeout(config(|_| unwritable(0)), wait::LIMIT) {
        Err(RequestError::Receive(error)) => says(error, &["rules[3].when", "3 is odd"]),
        other => panic!("{other:?}"),
    }
    here.send(config(unreadable)).unwrap();
    value(child);
}

fn of_jobs(method: StartMethod) {
    let pool = get_context(method).unwrap().pool().workers(1).build().unwrap();
    let failed = |error: JoinError, task: &str, way: &str| says(error, &[task, way, "3 is odd"]);
    let undecodable = wait::outcome(pool.submit(configure::call(1, config(unreadable), "l".into()))).unwrap_err();
    failed(undecodable, "configure", "config.rules[3].when");
    let unencodable = wait::outcome(pool.submit(configure::call(1, config(unwritable), "l".into()))).unwrap_err();
    failed(unencodable, "configure", "config.rules[3].when");
    for is_written in [true, false] {
        failed(wait::outcome(pool.submit(odd_config::call(is_written))).unwrap_err(), "odd_config", "rules[3].when");
    }
    let configs = [unreadable(3), unwritable(0), unwritable(3)];
    let calls = configs.map(|when| configure::call(1, config_of(when), String::new()));
    let mapped: Vec<_> = pool.map(calls).map(|result| result.map_err(|error| error.to_string())).collect();
    assert_eq!(mapped[1], Ok(2), "the jobs around it are done");
    for refused in [&mapped[0], &mapped[2]] {
        says(refused.as_ref().unwrap_err(), &["configure", "config.rules[0].when", "3 is odd"]);
    }
    assert_eq!(pool.stats().replaced, 0);
}

fn config_of(when: When) -> Config {
    Config { name: String::new(), rules: vec![Rule { id: 1, when }] }
}

/// Levels on the path to a value.
#[derive(Debug, Serialize, Deserialize)]
enum Way {
    Newtype(Box<Way>),
    Tuple(u8, Box<Way>),
    Struct { within: Box<Way> },
    Map(BTreeMap<String, Way>),
    Numbered(BTreeMap<u16, Way>),
    Option(Option<Box<Way>>),
    List(Vec<Way>),
    Pair((u8, When)),
    End(When),
}

#[child_task]
fn walk(way: Way) -> bool {
    matches!(way, Way::End(_))
}

fn the_way_through_every_structure(method: StartMethod) {
    for when in [unreadable as fn(u8) -> When, unwritable] {
        let end = || Box::new(Way::End(when(3)));
        for (way, parts) in [
            (Way::Newtype(end()), &["way"][..]),
            (Way::Tuple(5, end()), &["way", "1"]),
            (Way::Struct { within: end() }, &["way", "within"]),
            (Way::Map([("a key".to_owned(), *end())].into()), &["way", "a key"]),
            (Way::Numbered([(4711, *end())].into()), &["way", "4711"]),
            (Way::Option(Some(end())), &["way"]),
            (Way::List(vec![Way::End(unwritable(0)), *end()]), &["way", "[1]"]),
            (Way::Pair((9, when(3))), &["way", "1"]),
            (
                Way::Struct { within: Box::new(Way::List(vec![Way::Map([("k".to_owned(), *end())].into())])) },
                &["within", "[0]", "k"],
            ),
        ] {
            let text = match build(method, walk::call(way)).start() {
                Ok(child) => failure(child).to_string(),
                Err(error) => error.to_string(),
            };
            says(&text, &["walk", "3 is odd"]);
            says(&text, parts);
        }
    }
}

/// Serialises as `W`, and deserialises as `R`.
struct Mismatch<W, R>(W, std::marker::PhantomData<R>);

impl<W: Serialize, R> Serialize for Mismatch<W, R> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de, W, R: Deserialize<'de>> Deserialize<'de> for Mismatch<W, R> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        R::deserialize(deserializer)?;
        Err(serde::de::Error::custom("it was to be refused before"))
    }
}

fn mismatch<W: Serialize, R: for<'de> Deserialize<'de>>(written: W) -> String {
    let (to, from) = channel::<Vec<Mismatch<W, R>>>().unwrap();
    to.send(vec![Mismatch(written, std::marker::PhantomData)]).unwrap();
    let error = from.try_recv().err().expect("a refusal");
    assert_eq!(error.kind(), RecvErrorKind::Undecodable);
    error.to_string()
}

#[derive(Serialize, Deserialize)]
struct Fewer {
    a: u8,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct More {
    a: u8,
    b: u8,
}

#[derive(Serialize)]
struct Most {
    a: u8,
    b: u8,
    c: u8,
}

#[derive(Serialize, Deserialize)]
enum Old {
    Known,
    #[serde(rename = "New!")]
    New(u8),
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "nothing comes")]
enum Young {
    Known,
    Other { a: u8 },
}

#[derive(Deserialize)]
#[serde(untagged)]
#[expect(dead_code, reason = "nothing comes")]
enum Untagged {
    Number(u8),
    Named { a: u8 },
}

fn what_serde_says_of_fields_and_variants(_: StartMethod) {
    says(mismatch::<_, More>(Fewer { a: 1 }), &["[0]", "missing field `b`"]);
    says(mismatch::<_, More>(Most { a: 1, b: 2, c: 3 }), &["[0]", "unknown field `c`", "`a`", "`b`"]);
    says(mismatch::<_, Young>(Old::New(1)), &["[0]", "unknown variant `New!`", "`Known`", "`Other`"]);
    says(mismatch::<_, u8>(256_u16), &["[0]", "256", "u8"]);
    says(mismatch::<_, u8>("text"), &["[0]", "\"text\"", "u8"]);
    says(mismatch::<_, String>(1), &["[0]", "1", "a string"]);
    says(mismatch::<_, More>(More { a: 1, b: 2 }.a), &["[0]", "1", "struct More"]);
    says(mismatch::<_, [u8; 3]>([1, 2]), &["[0]", "invalid length 2", "array of length 3"]);
    says(mismatch::<_, (u8, u8)>(vec![1, 2, 3]), &["[0]"]);
    says(mismatch::<_, ()>(Old::Known), &["[0]", "unit"]);
    says(mismatch::<_, char>("ab"), &["[0]", "ab", "a character"]);
    says(mismatch::<_, Untagged>("ab"), &["[0]", "did not match any variant of untagged enum Untagged"]);
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Command {
    #[serde(skip)]
    Internal(u8),
    Run {
        #[serde(skip)]
        cache: u8,
        steps: Vec<Step>,
    },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Step {
    #[serde(skip_serializing)]
    Secret,
    Walk,
}

#[child_task]
fn command(command: Command) -> Command {
    match command {
        Command::Run { steps, .. } if steps.is_empty() => Command::Internal(1),
        other => other,
    }
}

fn what_is_not_for_sending_is_named(method: StartMethod) {
    let refused = |given| {
        let error = build(method, command::call(given)).start().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Encode);
        error.to_string()
    };
    says(refused(Command::Internal(1)), &["argument `command`", "Command::Internal cannot be serialized"]);
    let steps = vec![Step::Walk, Step::Secret];
    says(refused(Command::Run { cache: 0, steps }), &["steps[1]", "Step::Secret cannot be serialized"]);
    let error = failure(start(method, command::call(Command::Run { cache: 0, steps: vec![] })));
    assert!(matches!(error.kind(), JoinErrorKind::Unencodable), "{error:?}");
    says(error, &["Command::Internal cannot be serialized"]);
    let walked = Command::Run { cache: 0, steps: vec![Step::Walk] };
    assert_eq!(value(start(method, command::call(walked))), Command::Run { cache: 0, steps: vec![Step::Walk] });
}

#[derive(Serialize, Deserialize)]
struct OfStd {
    paths: Vec<PathBuf>,
    since: SystemTime,
}

#[child_task]
fn of_std(of_std: OfStd) -> usize {
    of_std.paths.len()
}

fn what_std_does_not_write_is_named(method: StartMethod) {
    let refused = |paths: Vec<PathBuf>, since| {
        let error = build(method, of_std::call(OfStd { paths, since })).start().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Encode);
        error.to_string()
    };
    let no_text = PathBuf::from(OsString::from_vec(vec![b'a', 0xff]));
    let text = refused(vec!["a".into(), no_text], SystemTime::UNIX_EPOCH);
    says(text, &["of_std.paths[1]", "path contains invalid UTF-8"]);
    let text = refused(vec![], SystemTime::UNIX_EPOCH - Duration::from_secs(1));
    says(text, &["of_std.since", "UNIX_EPOCH"]);
}
