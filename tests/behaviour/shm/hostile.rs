//! Children that forge shared memory values, or try to change read-only memory.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use offspring::{Bytes, JoinErrorKind, SharedArray, SharedSlice, StartMethod, child_task};
use offspring_tests::ends::Forged;
use offspring_tests::{cases, failure, procs, start, sys, value};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

cases! {
    here a_store_ends_its_process;
    here no_way_to_write_or_shrink_what_is_sealed;
    here claims_that_do_not_fit_are_refused;
    here stops_and_a_kill_leave_elements_whole;
}

const LONG: usize = 1 << 20;

#[child_task]
fn store(bytes: Bytes) {
    sys::overwrite(&bytes[7]);
}

fn a_store_ends_its_process(method: StartMethod) {
    let bytes = Bytes::new(&[9; LONG]).unwrap();
    let error = failure(start(method, store::call(bytes.clone())));
    assert!(matches!(error.kind(), JoinErrorKind::Signaled(libc::SIGSEGV)), "{error:?}");
    assert_eq!(bytes[7], 9);
}

/// Returns the attempts that succeeded.
#[child_task]
fn change(bytes: Bytes) -> Vec<String> {
    let descriptors = procs::descriptors();
    let (number, _) = descriptors.iter().find(|(_, target)| target.contains("memfd:offspring")).unwrap();
    let file = File::open(format!("/proc/self/fd/{number}")).unwrap();
    let for_writing = File::options().write(true).open(format!("/proc/self/fd/{number}"));
    let memory = File::options().write(true).open("/proc/self/mem").unwrap();
    let mut attempts = sys::attempts_to_change(bytes.as_ptr(), &file).into_iter().collect::<Vec<_>>();
    if let Ok(file) = for_writing {
        attempts.extend(sys::attempts_to_change(bytes.as_ptr(), &file));
        attempts.push(file.set_len(2 * LONG as u64));
    }
    attempts.push(memory.write_all_at(&[1], bytes.as_ptr().addr() as u64));
    let done = attempts.iter().enumerate().filter(|(_, attempt)| attempt.is_ok());
    done.map(|(number, _)| format!("attempt {number} of {}", attempts.len())).collect()
}

fn no_way_to_write_or_shrink_what_is_sealed(method: StartMethod) {
    let bytes = Bytes::new(&[9; LONG]).unwrap();
    assert_eq!(value(start(method, change::call(bytes.clone()))), Vec::<String>::new());
    assert!(bytes.iter().all(|byte| *byte == 9));
}

/// A forged result. The parent decodes the true type.
#[derive(Debug)]
enum Claim {
    /// Element size, offset and length of a slice, and the descriptor's index in the value.
    Slice(u64, u64, u64, u32),
    /// Element size and length of an array, and the descriptor's index in the value.
    Array(u64, u64, u32),
}

/// A slice in encoded form.
#[derive(Serialize)]
enum Slice {
    File { size: u64, offset: u64, length: u64, file: Forged },
}

/// An array in encoded form.
#[derive(Serialize)]
struct Array {
    size: u64,
    length: u64,
    memory: Forged,
}

/// A result of a wrong type: first real memory, at index 0 (sealed) and 1 (not sealed), then a claim.
#[derive(Debug)]
struct Lie<T> {
    claim: Option<Claim>,
    decoded: Option<T>,
}

impl<T> Serialize for Lie<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let honest = (Bytes::new(&[1; LONG]).unwrap(), SharedArray::<u64>::new(LONG / 8).unwrap());
        match *self.claim.as_ref().expect("the child's side") {
            Claim::Slice(size, offset, length, place) => {
                (honest, Slice::File { size, offset, length, file: Forged::Descriptor(place) }).serialize(serializer)
            }
            Claim::Array(size, length, place) => {
                (honest, Array { size, length, memory: Forged::Descriptor(place) }).serialize(serializer)
            }
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Lie<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (_, decoded) = <((Bytes, SharedArray<u64>), T)>::deserialize(deserializer)?;
        Ok(Self { claim: None, decoded: Some(decoded) })
    }
}

#[child_task]
fn slice(size: u64, offset: u64, length: u64, place: u32) -> Lie<SharedSlice<u32>> {
    Lie { claim: Some(Claim::Slice(size, offset, length, place)), decoded: None }
}

#[child_task]
fn array(size: u64, length: u64, place: u32) -> Lie<SharedArray<u32>> {
    Lie { claim: Some(Claim::Array(size, length, place)), decoded: None }
}

fn claims_that_do_not_fit_are_refused(method: StartMethod) {
    #[track_caller]
    fn refused<T: std::fmt::Debug>(child: offspring::Process<T>, says: &str) {
        let error = failure(child);
        assert!(matches!(error.kind(), JoinErrorKind::Undecodable), "{error:?}");
        assert!(error.to_string().contains(says), "{error}");
    }
    let quarter = LONG as u64 / 4;
    let slice = |size, offset, length, place| start(method, slice::call(size, offset, length, place));
    assert_eq!(value(slice(4, 4, quarter - 1, 0)).decoded.unwrap().len(), LONG / 4 - 1);
    refused(slice(4, 4, quarter, 0), "are not in a file of 1048576");
    refused(slice(4, u64::MAX - 3, 2, 0), "are not in a file");
    refused(slice(4, 0, u64::MAX / 4 + 2, 0), "are not in a file");
    refused(slice(4, 6, 1, 0), "multiples of 4");
    refused(slice(8, 0, 1, 0), "8 bytes, not 4");
    refused(slice(4, 0, 1, 1), "sealed memory file");
    refused(slice(4, 0, 1, 2), "did not come with it");
    let array = |size, length, place| start(method, array::call(size, length, place));
    assert_eq!(value(array(4, quarter, 1)).decoded.unwrap().len(), LONG / 4);
    refused(array(4, quarter - 1, 1), "are not what shared memory of 1048576");
    refused(array(4, u64::MAX / 4 + 1, 1), "are not what shared memory");
    refused(array(4, quarter, 0), "shared memory of a fixed length");
    refused(array(4, quarter, 9), "did not come with it");
}

#[child_task]
fn write_for_ever(array: SharedArray<[u64; 512]>) {
    for round in 0.. {
        array.set(0, [round; 512]);
    }
}

/// A stopped writer keeps its lock, since no process can know that the writer will not go on.
fn stops_and_a_kill_leave_elements_whole(method: StartMethod) {
    let array = SharedArray::new(1).unwrap();
    let writer = start(method, write_for_ever::call(array.clone()));
    offspring_tests::wait::until("something is written", || array.get(0)[0] > 100);
    let mut random = offspring_tests::random::Random::new();
    for _ in 0..20 {
        writer.signal(libc::SIGSTOP).unwrap();
        offspring_tests::wait::until("the writer stands", || {
            procs::stat(writer.pid()).is_some_and(|process| process.state == 'T')
        });
        writer.signal(libc::SIGCONT).unwrap();
        random.pass_time(Duration::from_millis(1));
        let element: [u64; 512] = array.get(0);
        assert!(element.iter().all(|word| *word == element[0]));
    }
    writer.kill().unwrap();
    failure(writer);
    array.set(0, [7; 512]);
    assert_eq!(array.get(0), [7; 512]);
}
