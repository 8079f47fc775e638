//! Kills in the middle of writes to shared memory: surviving processes go on, and find no half-written element.

use std::time::Duration;

use offspring::{Bytes, Process, SharedArray, StartMethod, child_task};
use offspring_tests::random::Random;
use offspring_tests::{cases, failure, procs, start, value, wait};

cases! {
    here writers_of_large_elements;
    here many_writers_of_one_element;
    here writers_of_words;
    here makers_and_receivers;
}

/// Large enough that a writer is usually in the middle of an element.
type Large = [u64; 1024];

/// Writes elements of equal words.
#[child_task]
fn write_large(array: SharedArray<Large>, seed: u64) {
    for round in seed.. {
        let index = (round * 7) as usize % array.len();
        array.set(index, [round; 1024]);
        array.update((index + 1) % array.len(), |element| element.map(|word| word + 1));
    }
}

#[child_task]
fn touch_large(array: SharedArray<Large>) {
    for index in 0..array.len() {
        array.swap(index, [5; 1024]);
    }
}

#[track_caller]
fn check_whole(array: &SharedArray<Large>) {
    for (index, element) in array.iter().enumerate() {
        assert!(element.iter().all(|word| *word == element[0]), "element {index} is torn: {element:?}");
    }
}

/// Kills a child at a random moment and starts a replacement, many times.
fn replaced<T: std::fmt::Debug>(
    rounds: u32,
    random: &mut Random,
    mut next: impl FnMut(u64) -> Process<T>,
    mut check: impl FnMut(),
) {
    let mut running: Vec<Process<T>> = (0..3).map(&mut next).collect();
    for round in 0..rounds {
        random.pass_time(Duration::from_millis(3));
        let victim = running.swap_remove(random.below(3) as usize);
        victim.kill().unwrap();
        failure(victim);
        check();
        running.push(next(u64::from(round)));
    }
    for child in running {
        child.kill().unwrap();
        failure(child);
    }
    check();
}

fn writers_of_large_elements(method: StartMethod) {
    let mut random = Random::new();
    let array = SharedArray::<Large>::new(3).unwrap();
    replaced(80, &mut random, |seed| start(method, write_large::call(array.clone(), seed)), || check_whole(&array));
    // Each lock can be taken, here and by a process that has never had a lock.
    array.fill([4; 1024]);
    value(start(method, touch_large::call(array.clone())));
    assert!(array.iter().all(|element| element == [5; 1024]));
}

/// All writers are at the same lock, so that most writers sleep when the owner dies.
fn many_writers_of_one_element(method: StartMethod) {
    let mut random = Random::new();
    let array = SharedArray::<Large>::new(1).unwrap();
    for _ in 0..8 {
        let writers: Vec<_> = (0..4).map(|seed| start(method, write_large::call(array.clone(), seed))).collect();
        for writer in writers {
            random.pass_time(Duration::from_millis(4));
            writer.kill().unwrap();
            failure(writer);
            check_whole(&array);
        }
        value(start(method, touch_large::call(array.clone())));
        assert_eq!(array.get(0), [5; 1024]);
    }
}

#[child_task]
fn add(counts: SharedArray<u64>, own: usize) {
    loop {
        counts.update(0, |count| count + 1);
        counts.set(own, counts.get(own) + 1);
    }
}

/// No count in a word is lost: the word is at most one above its writer's notes.
fn writers_of_words(method: StartMethod) {
    let mut random = Random::new();
    let counts = SharedArray::<u64>::new(100).unwrap();
    let mut own = 0;
    let next = |_| {
        own += 1;
        start(method, add::call(counts.clone(), own))
    };
    replaced(50, &mut random, next, || ());
    let noted: u64 = counts.iter().skip(1).sum();
    let counted = counts.get(0);
    assert!((noted..=noted + own as u64).contains(&counted), "{counted} counted, {noted} noted by {own}");
}

#[child_task]
fn make_and_pass_on(bytes: Bytes, round: u64) -> Vec<Bytes> {
    let made = Bytes::build(200_000, |out| out.fill(round as u8)).unwrap();
    vec![bytes.slice(1..), made]
}

/// Makers and receivers of slices die at any moment.
fn makers_and_receivers(method: StartMethod) {
    let mut random = Random::new();
    let before = (procs::mapped_memory("self"), procs::lasting_kinds());
    let bytes = Bytes::new(&[3; 100_000]).unwrap();
    let longest = if method == StartMethod::Spawn { 5000 } else { 1500 };
    let mut values = 0;
    for round in 0..120 {
        let mut child = start(method, make_and_pass_on::call(bytes.clone(), round));
        random.pass_time(Duration::from_micros(longest));
        child.kill().unwrap();
        match child.join_timeout(wait::LIMIT) {
            Ok(Some(back)) => {
                assert!(back[0] == [3; 99_999] && back[1] == [round as u8; 200_000]);
                values += 1;
            }
            Ok(None) => wait::expired("a child has not ended"),
            Err(_) => {}
        }
    }
    eprintln!("{values} of 120 came to their end");
    drop(bytes);
    assert_eq!((procs::mapped_memory("self"), procs::lasting_kinds()), before);
}
