//! Handles in any value, to any process, and the end of their memory.

use std::collections::HashMap;
use std::fmt::{self, Write};

use offspring::sync::{Barrier, Condvar, Event, Mutex, Once, RwLock, Semaphore};
use offspring::{ErrorKind, JoinErrorKind, StartMethod, child_task};
use offspring_tests::ends::Forged;
use offspring_tests::{cases, failure, procs, start, sys, value};
use serde::de::value::{Error, U32Deserializer};
use serde::de::{Deserialize, Deserializer, IntoDeserializer};
use serde::{Serialize, Serializer};

cases! {
    here in_any_structure;
    here back_and_forth;
    here to_the_children_of_a_child;
    here nothing_is_left_of_them;
    here memory_of_another_kind_is_refused;
    here a_descriptor_that_did_not_come_is_refused;
    here outside_of_a_message_there_is_an_error;
    alone at_the_limit_of_descriptors;
}

#[derive(Serialize, serde::Deserialize)]
struct Desk {
    name: String,
    totals: HashMap<String, Mutex<u64>>,
    table: Option<RwLock<[u8; 3]>>,
    signals: (Vec<Event>, Condvar, Once),
    limits: Vec<Result<Semaphore, Barrier>>,
}

impl Desk {
    fn new() -> Self {
        let total = Mutex::new(1).unwrap();
        Self {
            name: "desk".to_owned(),
            totals: HashMap::from([("one".to_owned(), total.clone()), ("other".to_owned(), total)]),
            table: Some(RwLock::new([1, 2, 3]).unwrap()),
            signals: (vec![Event::new().unwrap()], Condvar::new().unwrap(), Once::new().unwrap()),
            limits: vec![Ok(Semaphore::new(2).unwrap()), Err(Barrier::new(1).unwrap())],
        }
    }
}

#[child_task]
fn work_at(desk: Desk) -> Desk {
    *desk.totals["one"].lock().unwrap() += 1;
    *desk.totals["other"].lock().unwrap() += 1;
    desk.table.as_ref().unwrap().write().unwrap()[1] = 7;
    desk.signals.0[0].set();
    desk.signals.1.notify_all();
    desk.signals.2.call_once(|| {});
    for limit in &desk.limits {
        match limit {
            Ok(semaphore) => {
                let permit = semaphore.try_acquire();
                assert!(permit.is_some() && semaphore.available_permits() == 1);
            }
            Err(barrier) => assert!(barrier.wait().unwrap().is_leader()),
        }
    }
    desk
}

fn in_any_structure(method: StartMethod) {
    let desk = work_at::call(Desk::new());
    let back = value(start(method, desk));
    assert_eq!(back.name, "desk");
    assert_eq!(back.totals["one"].get().unwrap(), 3, "two handles of one object are of one object there too");
    assert_eq!(back.totals["other"].get().unwrap(), 3);
    assert_eq!(*back.table.unwrap().read().unwrap(), [1, 7, 3]);
    assert!(back.signals.0[0].is_set() && back.signals.2.is_completed());
}

#[child_task]
fn make(number: u64) -> Mutex<u64> {
    Mutex::new(number).unwrap()
}

#[child_task]
fn pass_on(number: Mutex<u64>) -> Mutex<u64> {
    *number.lock().unwrap() += 1;
    number
}

fn back_and_forth(method: StartMethod) {
    let mut number = value(start(method, make::call(5)));
    for _ in 0..5 {
        number = value(start(method, pass_on::call(number)));
    }
    assert_eq!(number.get().unwrap(), 10);
}

#[child_task]
fn count_down(method: StartMethod, number: Mutex<u64>, depth: u64) {
    *number.lock().unwrap() += 1;
    if depth > 0 {
        let children = [(); 2].map(|()| start(method, count_down::call(method, number.clone(), depth - 1)));
        children.into_iter().for_each(value);
    }
}

fn to_the_children_of_a_child(method: StartMethod) {
    let number = Mutex::new(0).unwrap();
    value(start(method, count_down::call(method, number.clone(), 2)));
    assert_eq!(number.get().unwrap(), 7);
}

/// Returns the number of memory files mapped by this process.
fn mapped() -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    maps.lines().filter(|line| line.contains("memfd:offspring")).count()
}

fn open() -> usize {
    procs::descriptors().values().filter(|target| target.contains("memfd:offspring")).count()
}

fn nothing_is_left_of_them(method: StartMethod) {
    let before = (mapped(), open());
    for _ in 0..3 {
        let desk = Desk::new();
        // Seven objects, each with one descriptor and one mapping, for any number of handles.
        let clones: Vec<_> = (0..10).map(|_| desk.totals["one"].clone()).collect();
        assert_eq!((mapped(), open()), (before.0 + 7, before.1 + 7));
        drop(clones);
        drop(value(start(method, work_at::call(desk))));
    }
    assert_eq!((mapped(), open()), before);
}

/// A semaphore that pretends to be a mutex.
struct Disguised(Result<Semaphore, Mutex<u64>>);

impl Serialize for Disguised {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Ok(semaphore) => semaphore.serialize(serializer),
            Err(mutex) => mutex.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Disguised {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Mutex::deserialize(deserializer).map(|mutex| Self(Err(mutex)))
    }
}

/// Memory of the right length, but of another kind. Both kinds are a lock and a word.
struct Confused(Result<Event, Once>);

impl Serialize for Confused {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Ok(event) => event.serialize(serializer),
            Err(once) => once.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Confused {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Once::deserialize(deserializer).map(|once| Self(Err(once)))
    }
}

/// An index without a descriptor.
#[derive(Serialize)]
struct Nowhere(Forged);

impl<'de> Deserialize<'de> for Nowhere {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Mutex::<u64>::deserialize(deserializer).map(|_| Self(Forged::Descriptor(0)))
    }
}

#[child_task]
fn take_disguised(disguised: Disguised) -> bool {
    disguised.0.is_err_and(|mutex| mutex.lock().is_ok())
}

#[child_task]
fn take_confused(confused: Confused) -> bool {
    confused.0.is_err_and(|once| once.is_completed())
}

#[child_task]
fn take_nowhere(_place: Nowhere) {}

#[track_caller]
fn refused<T: fmt::Debug>(child: offspring::Process<T>, text: &str) {
    let error = failure(child);
    let is_refused = matches!(error.kind(), JoinErrorKind::NotStarted(error) if error.kind() == ErrorKind::Decode);
    assert!(is_refused && error.to_string().contains(text), "{error:?}");
}

fn memory_of_another_kind_is_refused(method: StartMethod) {
    let disguised = Disguised(Ok(Semaphore::new(1).unwrap()));
    refused(start(method, take_disguised::call(disguised)), "a `Mutex` cannot be taken over");
    let confused = Confused(Ok(Event::new().unwrap()));
    refused(start(method, take_confused::call(confused)), "something else than was expected");
}

fn a_descriptor_that_did_not_come_is_refused(method: StartMethod) {
    refused(start(method, take_nowhere::call(Nowhere(Forged::Descriptor(3)))), "did not come with it");
}

/// Prints the serde form of a handle.
struct Text(Mutex<u64>);

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.serialize(f)
    }
}

fn outside_of_a_message_there_is_an_error(_: StartMethod) {
    let mut text = String::new();
    assert!(write!(text, "{}", Text(Mutex::new(1).unwrap())).is_err(), "{text}");
    let number: U32Deserializer<Error> = 0_u32.into_deserializer();
    let error = Mutex::<u64>::deserialize(number).unwrap_err();
    assert!(error.to_string().contains("only from what another process has sent"), "{error}");
}

fn at_the_limit_of_descriptors(method: StartMethod) {
    value(start(method, make::call(1)));
    let (_, hard) = sys::limit(libc::RLIMIT_NOFILE);
    assert!(sys::set_limit(libc::RLIMIT_NOFILE, 64, hard));
    let mut events = Vec::new();
    let error = loop {
        match Event::new() {
            Ok(event) => events.push(event),
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::LimitReached, "{error:?}");
    let text = error.to_string();
    assert!(text.contains("shared memory of an `Event`") && text.contains("RLIMIT_NOFILE"), "{text}");
    events.iter().for_each(Event::set);
    assert!(events.iter().all(Event::is_set));
}
