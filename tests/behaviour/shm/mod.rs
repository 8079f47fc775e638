//! Shared memory between parent, child, grandchild and siblings: read in place, written by all, freed with the last
//! holder.

pub(crate) mod hostile;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytemuck::Pod;
use offspring::{Bytes, ErrorKind, SharedArray, SharedSlice, StartMethod, Stdio, active_children, child_task};
use offspring_tests::program::say;
use offspring_tests::sys::Wide;
use offspring_tests::{Program, build, cases, failure, procs, run, start, sys, value, wait};
use serde::{Deserialize, Serialize};

use crate::tasks::{forever, nothing};

cases! {
    here a_child_reads_the_same_memory;
    here a_child_hands_a_result_over_and_is_gone;
    here every_length_and_alignment_comes_back;
    here parts_clones_and_nested_values;
    here a_child_passes_it_on_to_its_own_child;
    here a_sibling_gets_what_another_has_made;
    here sixty_four_mebibytes_are_handed_over_at_once;
    here a_call_keeps_what_is_in_it;
    here writes_by_several_processes_are_exact;
    here a_parent_sees_what_a_child_writes_meanwhile;
    here elements_are_never_torn;
    here a_reader_that_ends_destroys_nothing;
    here small_slices_cost_no_descriptor;
    here a_killed_owner_leaves_nothing;
    alone limits_are_errors;
    alone a_copy_that_is_made_meanwhile_does_not_keep_it_open;
    alone a_closure_in_a_copy_writes_it.except(StartMethod::Spawn, "runs no closure")
        .except(StartMethod::ForkServer, "runs no closure");
}

/// A length that needs a memory file.
const LONG: usize = 1 << 20;

/// Runs the closure, and checks that no shared memory stays mapped. Every case checks descriptors.
#[track_caller]
fn leaving_nothing<R>(work: impl FnOnce() -> R) -> R {
    let before = procs::mapped_memory("self");
    let result = work();
    assert_eq!(procs::mapped_memory("self"), before, "mappings of memory files are left");
    result
}

fn pattern(length: usize) -> Bytes {
    Bytes::build(length, |bytes| bytes.iter_mut().enumerate().for_each(|(index, byte)| *byte = index as u8 ^ 91))
        .unwrap()
}

/// Returns the mapped memory of the process, and the sum of the slice.
#[child_task]
fn mapped_and_sum(bytes: Bytes) -> (Vec<u64>, u64) {
    (procs::mapped_memory("self"), sum(&bytes))
}

fn sum(bytes: &[u8]) -> u64 {
    bytes.iter().map(|byte| u64::from(*byte)).sum()
}

fn a_child_reads_the_same_memory(method: StartMethod) {
    leaving_nothing(|| {
        let bytes = pattern(LONG);
        let own = procs::mapped_memory("self");
        let (childs, summed) = value(start(method, mapped_and_sum::call(bytes.clone())));
        assert_eq!(summed, sum(&bytes));
        assert!(own.len() == 1 && childs.contains(&own[0]), "{own:?} {childs:?}");
    });
}

#[child_task]
fn make(length: usize) -> (SharedSlice<u32>, SharedArray<u32>) {
    let slice = SharedSlice::build(length, |out| (0..).zip(out).for_each(|(index, out)| *out = index)).unwrap();
    let array = SharedArray::try_from(&*slice).unwrap();
    (slice, array)
}

fn a_child_hands_a_result_over_and_is_gone(method: StartMethod) {
    leaving_nothing(|| {
        let child = start(method, make::call(LONG));
        let pid = child.pid();
        let (slice, array) = value(child);
        wait::until("the maker is gone", || !procs::is_alive(pid));
        assert!((0..).zip(&slice).all(|(index, element)| *element == index));
        assert_eq!(slice, array.to_vec());
        array.set(7, 99);
        assert_eq!((slice[7], array.get(7)), (7, 99));
    });
}

type Kinds = (Bytes, SharedSlice<[u8; 7]>, SharedSlice<u128>, SharedSlice<Wide>);

#[child_task]
fn echo(kinds: Kinds) -> Kinds {
    kinds
}

fn every_length_and_alignment_comes_back(method: StartMethod) {
    fn filled<T: Pod>(length: usize) -> SharedSlice<T> {
        SharedSlice::build(length, |elements| {
            let bytes = bytemuck::cast_slice_mut(elements).iter_mut().enumerate();
            bytes.for_each(|(index, byte): (usize, &mut u8)| *byte = (index * 7 + index / 256) as u8);
        })
        .unwrap()
    }
    leaving_nothing(|| {
        for length in [0, 1, 64, 65, 1024, 4097, (1 << 14) - 1, 1 << 14, (1 << 14) + 1, 1 << 17] {
            let kinds: Kinds = (filled(length), filled(length), filled(length), filled(length));
            let back = value(start(method, echo::call(kinds.clone())));
            assert!(back == kinds, "{length} elements");
            assert!(back.3.as_ptr().is_aligned() && back.2.as_ptr().is_aligned());
        }
    });
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Album {
    names: BTreeMap<String, Bytes>,
    best: Option<Bytes>,
    parts: Vec<SharedSlice<u8>>,
    counts: Result<Bytes, String>,
}

/// The same with every part shortened by one at its front.
#[child_task]
fn cut(album: Album) -> Album {
    let cut = |bytes: Bytes| bytes.slice(1..);
    Album {
        names: album.names.into_iter().map(|(name, bytes)| (name, cut(bytes))).collect(),
        best: album.best.map(cut),
        parts: album.parts.into_iter().map(cut).collect(),
        counts: album.counts.map(cut),
    }
}

fn parts_clones_and_nested_values(method: StartMethod) {
    leaving_nothing(|| {
        let (long, short) = (pattern(LONG), pattern(100));
        let album = |first: usize| Album {
            names: [("long", &long), ("short", &short)]
                .map(|(name, bytes)| (name.to_owned(), bytes.slice(first..)))
                .into(),
            best: Some(long.slice(LONG / 2 + first..)),
            parts: vec![long.slice(9 + first..200_000), long.slice(77 + first..99), short.slice(first..5)],
            counts: Ok(long.clone().slice(first..)),
        };
        assert_eq!(value(start(method, cut::call(album(0)))), album(1));
        assert_eq!(procs::mapped_memory("self").len(), 1);
    });
}

#[child_task]
fn pass_on(bytes: Bytes, counts: SharedArray<u64>, generations: u32) -> (Bytes, SharedArray<u64>) {
    counts.update(generations as usize, |count| count + sum(&bytes));
    match generations {
        0 => (bytes, counts),
        _ => pass_on::start(bytes.slice(1..), counts, generations - 1).unwrap().join().unwrap(),
    }
}

fn a_child_passes_it_on_to_its_own_child(method: StartMethod) {
    leaving_nothing(|| {
        let (bytes, counts) = (pattern(LONG), SharedArray::new(3).unwrap());
        let (back, same) = value(start(method, pass_on::call(bytes.clone(), counts.clone(), 2)));
        assert_eq!(back, bytes.slice(2..));
        let sums: Vec<u64> = [2, 1, 0].map(|cut| sum(&bytes.slice(cut..))).into();
        assert_eq!((counts.to_vec(), same.to_vec()), (sums.clone(), sums));
    });
}

fn a_sibling_gets_what_another_has_made(method: StartMethod) {
    leaving_nothing(|| {
        let (slice, array) = value(start(method, make::call(LONG)));
        let bytes = Bytes::new(bytemuck::cast_slice(&slice[..LONG])).unwrap();
        let (_, summed) = value(start(method, mapped_and_sum::call(bytes.clone())));
        assert_eq!(summed, sum(&bytes));
        value(start(method, add::call(array.clone(), 5, 1)));
        value(start(method, add::call(array.clone(), 5, 1)));
        assert_eq!((array.get(5), slice[5]), (15, 5));
    });
}

/// Adds to an element, many times.
#[child_task]
fn add(array: SharedArray<u32>, index: usize, rounds: u32) {
    for _ in 0..rounds {
        array.update(index, |before| before + 5);
    }
}

#[child_task]
fn last(bytes: Bytes) -> (u8, Bytes) {
    (bytes[bytes.len() - 1], bytes)
}

/// Checks that the memory is the same. The bound on time is generous, for a busy machine.
fn sixty_four_mebibytes_are_handed_over_at_once(method: StartMethod) {
    leaving_nothing(|| {
        let bytes = pattern(64 << 20);
        let began = Instant::now();
        let (last, back) = value(start(method, last::call(bytes.clone())));
        let passed = began.elapsed();
        assert!(passed < Duration::from_secs(2), "{passed:?}");
        assert_eq!((last, back.len()), (bytes[bytes.len() - 1], bytes.len()));
        let mapped = procs::mapped_memory("self");
        assert!(mapped.len() == 2 && mapped[0] == mapped[1], "{mapped:?}");
    });
}

fn a_call_keeps_what_is_in_it(method: StartMethod) {
    leaving_nothing(|| {
        let bytes = pattern(LONG);
        let (summed, call) = (sum(&bytes), mapped_and_sum::call(bytes));
        assert!(procs::mapped_memory("self").is_empty());
        for _ in 0..2 {
            assert_eq!(value(start(method, call.clone())).1, summed);
        }
    });
}

#[child_task]
fn count(rounds: u32, small: SharedArray<[u8; 3]>, word: SharedArray<u64>, large: SharedArray<[u64; 5]>) {
    for _ in 0..rounds {
        small.update(1, |[low, middle, high]| {
            let [low, middle, high, _] = (u32::from_le_bytes([low, middle, high, 0]) + 1).to_le_bytes();
            [low, middle, high]
        });
        word.update(1, |count| count + 1);
        large.update(1, |counts| counts.map(|count| count + 1));
    }
}

fn writes_by_several_processes_are_exact(method: StartMethod) {
    const ROUNDS: u32 = 5000;
    leaving_nothing(|| {
        let (small, word, large) =
            (SharedArray::new(2).unwrap(), SharedArray::new(2).unwrap(), SharedArray::new(2).unwrap());
        let children: Vec<_> =
            (0..4).map(|_| start(method, count::call(ROUNDS, small.clone(), word.clone(), large.clone()))).collect();
        count(ROUNDS, small.clone(), word.clone(), large.clone());
        children.into_iter().for_each(value);
        let all = 5 * u64::from(ROUNDS);
        assert_eq!(small.get(1), [all as u8, (all >> 8) as u8, (all >> 16) as u8]);
        assert_eq!((word.to_vec(), large.to_vec()), (vec![0, all], vec![[0; 5], [all; 5]]));
    });
}

/// Sets the flag after the data, then waits for the answer.
#[child_task]
fn answer(data: SharedArray<[u32; 9]>, flags: SharedArray<u8>) {
    (0..data.len()).for_each(|index| data.set(index, [index as u32; 9]));
    flags.set(0, 1);
    wait::until("the parent has seen it", || flags.get(1) == 1);
}

fn a_parent_sees_what_a_child_writes_meanwhile(method: StartMethod) {
    leaving_nothing(|| {
        let (data, flags) = (SharedArray::new(500).unwrap(), SharedArray::new(2).unwrap());
        let child = start(method, answer::call(data.clone(), flags.clone()));
        wait::until("the flag is set", || flags.get(0) == 1);
        assert!(data.iter().enumerate().all(|(index, data)| data == [index as u32; 9]));
        flags.set(1, 1);
        value(child);
    });
}

/// Writes elements of equal words until told to end, and returns the number of rounds.
#[child_task]
fn write_alike(array: SharedArray<[u64; 40]>, end: SharedArray<u8>) -> u64 {
    let mut round = 0;
    while end.get(0) == 0 {
        round += 1;
        (0..array.len()).for_each(|index| array.set(index, [round; 40]));
    }
    round
}

fn elements_are_never_torn(method: StartMethod) {
    leaving_nothing(|| {
        let (array, end) = (SharedArray::new(3).unwrap(), SharedArray::new(1).unwrap());
        let writers: Vec<_> = (0..2).map(|_| start(method, write_alike::call(array.clone(), end.clone()))).collect();
        wait::until("something is written", || array.get(2) != [0; 40]);
        for read in 0..20_000 {
            let element = array.get(read % 3);
            assert!(element.iter().all(|word| *word == element[0]), "torn: {element:?}");
        }
        end.set(0, 1);
        assert!(writers.into_iter().all(|writer| value(writer) > 0));
    });
}

fn a_reader_that_ends_destroys_nothing(method: StartMethod) {
    leaving_nothing(|| {
        let (bytes, array) = (pattern(LONG), SharedArray::<u32>::new(10).unwrap());
        for _ in 0..2 {
            let child = start(method, hold::call(bytes.clone(), array.clone()));
            child.kill().unwrap();
            failure(child);
        }
        value(start(method, add::call(array.clone(), 5, 1)));
        assert_eq!((array.get(5), bytes == pattern(LONG)), (5, true));
    });
}

#[child_task]
fn hold(_bytes: Bytes, _array: SharedArray<u32>) {
    forever()
}

#[child_task]
fn open_beside(_parts: Vec<Bytes>) -> usize {
    procs::descriptors().values().filter(|target| target.contains("memfd")).count()
}

fn small_slices_cost_no_descriptor(method: StartMethod) {
    leaving_nothing(|| {
        let parts = |length| -> Vec<Bytes> { (0..40).map(|_| pattern(length)).collect() };
        let before = procs::lasting_kinds();
        let small = parts(1000);
        assert_eq!(procs::lasting_kinds(), before);
        assert_eq!(value(start(method, open_beside::call(small))), 0);
        let long = parts(100_000);
        assert!(value(start(method, open_beside::call(long))) >= 40);
    });
}

/// Shares memory with a child and prints its inode.
pub(crate) fn shares_for_ever(method: StartMethod, _: &[String]) {
    let (bytes, array) = (pattern(LONG), SharedArray::new(LONG).unwrap());
    let mut child = run(method, build(method, hold_and_say::call(bytes, array)).stdout(Stdio::piped()));
    let line = wait::line(&mut child.take_stdout().unwrap());
    assert_eq!(line.as_deref(), Some("ready"));
    let inodes: Vec<String> = procs::mapped_memory(&child.pid().to_string()).iter().map(u64::to_string).collect();
    say(inodes.join(" "));
    forever()
}

#[child_task]
fn hold_and_say(_bytes: Bytes, _array: SharedArray<u32>) {
    say("ready");
    forever()
}

fn a_killed_owner_leaves_nothing(method: StartMethod) {
    let mut owner = Program::new("shm::shares_for_ever", method).start();
    let inodes: Vec<u64> = owner.numbers().into_iter().map(u64::from).collect();
    let is_mapped = || {
        procs::all()
            .iter()
            .any(|process| procs::mapped_memory(&process.pid.to_string()).iter().any(|inode| inodes.contains(inode)))
    };
    assert!(inodes.len() >= 2 && is_mapped(), "{inodes:?}");
    owner.kill();
    wait::until("nobody has the memory", || !is_mapped());
    assert_eq!(owner.errors(), "");
}

fn limits_are_errors(method: StartMethod) {
    value(start(method, nothing::call()));
    let array = SharedArray::<u64>::new(10).unwrap();
    let (soft, hard) = sys::limit(libc::RLIMIT_NOFILE);
    assert!(sys::set_limit(libc::RLIMIT_NOFILE, 3, hard));
    let errors = [Bytes::new(&[1; LONG]).unwrap_err(), SharedArray::<u8>::new(1).unwrap_err()];
    assert!(sys::set_limit(libc::RLIMIT_NOFILE, soft, hard));
    assert!(errors.iter().all(|error| error.kind() == ErrorKind::LimitReached), "{errors:?}");

    let (soft, hard) = sys::limit(libc::RLIMIT_FSIZE);
    assert!(sys::set_limit(libc::RLIMIT_FSIZE, LONG as u64, hard));
    let errors = [
        Bytes::new(&vec![1; LONG + 1]).unwrap_err(),
        Bytes::build(LONG + 1, |_| unreachable!()).unwrap_err(),
        SharedArray::<u8>::new(LONG + 1).unwrap_err(),
    ];
    assert!(sys::set_limit(libc::RLIMIT_FSIZE, soft, hard));
    assert!(errors.iter().all(|error| error.kind() == ErrorKind::LimitReached), "{errors:?}");
    assert!(errors[2].to_string().contains("a shared array of 1048577 elements of 1 bytes"), "{errors:?}");
    value(start(method, add::call(SharedArray::new(6).unwrap(), 5, 1)));
    array.set(0, 1);
    assert!(active_children().is_empty());
}

fn a_closure_in_a_copy_writes_it(_: StartMethod) {
    let (bytes, array) = (pattern(LONG), SharedArray::new(2).unwrap());
    let child = offspring::fork(|| {
        array.set(0, [sum(&bytes); 3]);
        (bytes.slice(1..), array.clone())
    });
    let (part, same) = value(child.unwrap());
    assert_eq!((part, same.to_vec()), (bytes.slice(1..), array.to_vec()));
    assert_eq!(array.to_vec(), [[sum(&bytes); 3], [0; 3]]);
}

/// The copy is a fork in another thread of the program, as `std::process::Command` may make.
fn a_copy_that_is_made_meanwhile_does_not_keep_it_open(method: StartMethod) {
    let mut copy = None;
    let bytes = Bytes::build(LONG, |bytes| {
        copy = Some(sys::Assistant::new(wait::a_moment));
        bytes.fill(1);
    });
    let (_, summed) = value(start(method, mapped_and_sum::call(bytes.expect("a sealed file"))));
    assert_eq!(summed, LONG as u64);
    drop(copy);
}
