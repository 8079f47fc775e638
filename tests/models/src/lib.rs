//! The rings of `runtime/src/pool/local/ring`, the very files, under loom: every order of both sides' steps, and every
//! value that the memory model lets a load return.
#![cfg(test)]
#![expect(dead_code, reason = "the runtime uses more of the rings than the models do")]

#[expect(unused_imports, reason = "as above")]
#[path = "../../../runtime/src/pool/local/ring/mod.rs"]
mod ring;

use std::sync::Arc;

use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use loom::sync::{Condvar, Mutex};
use loom::thread;

use ring::{Awaited, Head, Memory, ParentSide, WORDS, WorkerSide};

#[derive(Clone)]
struct Model(Arc<Shared>);

struct Shared {
    words: Vec<AtomicU64>,
    sleep_word: AtomicU32,
    futex: Futex,
}

/// The kernel's futex: compares and sleeps in one step, and wakes between such steps.
#[derive(Default)]
struct Futex(Mutex<()>, Condvar);

impl Futex {
    fn wait(&self, word: &AtomicU32, before: u32) {
        let queue = self.0.lock().unwrap();
        if word.load(Ordering::Acquire) == before {
            drop(self.1.wait(queue).unwrap());
        }
    }

    fn wake(&self) {
        let _queue = self.0.lock().unwrap();
        self.1.notify_all();
    }
}

/// An eventfd: a signal stays until consumed.
#[derive(Default)]
struct Bell(Mutex<bool>, Condvar);

impl Bell {
    fn ring(&self) {
        *self.0.lock().unwrap() = true;
        self.1.notify_all();
    }

    fn wait(&self) {
        let mut rung = self.0.lock().unwrap();
        while !std::mem::take(&mut *rung) {
            rung = self.1.wait(rung).unwrap();
        }
    }
}

impl Model {
    fn new() -> Self {
        let words = (0..WORDS).map(|_| AtomicU64::new(0)).collect();
        Self(Arc::new(Shared { words, sleep_word: AtomicU32::new(0), futex: Futex::default() }))
    }
}

impl Memory for Model {
    fn words(&self) -> &[AtomicU64] {
        &self.0.words
    }

    fn sleep_word(&self) -> &AtomicU32 {
        &self.0.sleep_word
    }
}

fn sides() -> (ParentSide<Model>, WorkerSide<Model>, Model) {
    let memory = Model::new();
    (ParentSide::new(memory.clone()), WorkerSide::new(memory.clone()), memory)
}

fn head(about: u64) -> Head {
    Head { about, kind: 1, spent: 0 }
}

/// Puts a job into the ring, which must have room, and wakes the worker as the pool does.
fn give(parent: &mut ParentSide<Model>, memory: &Model, about: u64) {
    assert_eq!(parent.push(head(about), &about.to_ne_bytes()), Ok(true));
    wake(parent, memory);
}

fn wake(parent: &ParentSide<Model>, memory: &Model) {
    if parent.must_wake_worker() {
        parent.wake(|_| memory.0.futex.wake());
    }
}

/// Waits for a job as a worker does.
fn next(worker: &WorkerSide<Model>, memory: &Model, bytes: &mut Vec<u8>) -> u64 {
    loop {
        if let Some((_, head)) = worker.take(bytes) {
            assert_eq!(**bytes, head.about.to_ne_bytes(), "a slot that is half another one");
            return head.about;
        }
        worker.sleep_unless(Awaited::Job, WorkerSide::has_job, |word, before| memory.0.futex.wait(word, before));
    }
}

#[test]
fn a_sleeping_worker_is_woken_by_each_job() {
    // Two jobs have too many orders to try all, so only orders with up to three involuntary switches are tried.
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let (mut parent, worker, memory) = sides();
        let theirs = memory.clone();
        let child = thread::spawn(move || {
            let mut bytes = Vec::new();
            [next(&worker, &theirs, &mut bytes), next(&worker, &theirs, &mut bytes)]
        });
        give(&mut parent, &memory, 5);
        give(&mut parent, &memory, 6);
        assert_eq!(child.join().unwrap(), [5, 6]);
    });
}

#[test]
fn a_job_is_either_taken_or_taken_back() {
    loom::model(|| {
        let (mut parent, worker, _) = sides();
        parent.push(head(5), &5_u64.to_ne_bytes()).unwrap();
        let child = thread::spawn(move || worker.take(&mut Vec::new()).map(|(number, _)| number));
        let back = parent.take_back().unwrap();
        let taken = child.join().unwrap();
        assert!(back.is_some() != taken.is_some(), "taken back: {back:?}, taken: {taken:?}");
    });
}

#[test]
fn a_slot_that_is_used_again_is_never_read_half() {
    loom::model(|| {
        let (mut parent, worker, _) = sides();
        parent.push(head(5), &5_u64.to_ne_bytes()).unwrap();
        parent.push(head(6), &6_u64.to_ne_bytes()).unwrap();
        let child = thread::spawn(move || {
            let mut bytes = Vec::new();
            worker.take(&mut bytes).map(|(_, head)| (head.about, bytes))
        });
        // The slot of the revoked job is free for the next job.
        if parent.take_back().unwrap().is_some() {
            let _ = parent.push(head(7), &7_u64.to_ne_bytes()).unwrap();
        }
        if let Some((about, bytes)) = child.join().unwrap() {
            assert_eq!(bytes, about.to_ne_bytes());
        }
    });
}

#[test]
fn a_parent_that_listens_hears_of_each_result() {
    loom::model(|| {
        let (mut parent, mut worker, _) = sides();
        let bell = Arc::new(Bell::default());
        let rung = Arc::clone(&bell);
        let child = thread::spawn(move || {
            if worker.push(head(0), &[]) {
                bell.ring();
            }
        });
        let mut bytes = Vec::new();
        while parent.pop(&mut bytes).unwrap().is_none() {
            parent.listen(1);
            if !parent.has_result() {
                rung.wait();
            }
            parent.stop_listening();
        }
        child.join().unwrap();
    });
}

#[test]
fn a_parent_that_listens_for_two_results_hears_of_the_second() {
    loom::model(|| {
        let (mut parent, mut worker, _) = sides();
        let bell = Arc::new(Bell::default());
        let rung = Arc::clone(&bell);
        let child = thread::spawn(move || {
            for about in 0..2 {
                if worker.push(head(about), &[]) {
                    bell.ring();
                }
            }
        });
        parent.listen(2);
        if !parent.has_results(2) {
            rung.wait();
        }
        parent.stop_listening();
        let mut bytes = Vec::new();
        assert_eq!([0, 1].map(|_| parent.pop(&mut bytes).unwrap().map(|head| head.about)), [Some(0), Some(1)]);
        child.join().unwrap();
    });
}

#[test]
fn a_worker_without_room_is_woken_when_there_is_some() {
    loom::model(|| {
        let (mut parent, mut worker, memory) = sides();
        for about in 0..ring::SLOTS {
            let _ = worker.push(head(about), &[]);
        }
        let theirs = memory.clone();
        let child = thread::spawn(move || {
            while !worker.has_room() {
                worker.sleep_unless(Awaited::Room, WorkerSide::has_room, |word, before| {
                    theirs.0.futex.wait(word, before)
                });
            }
            let _ = worker.push(head(9), &[]);
        });
        let mut bytes = Vec::new();
        assert_eq!(parent.pop(&mut bytes).unwrap().map(|head| head.about), Some(0));
        wake(&parent, &memory);
        child.join().unwrap();
        let rest: Vec<u64> = std::iter::from_fn(|| parent.pop(&mut bytes).unwrap()).map(|head| head.about).collect();
        assert_eq!(rest, [1, 9]);
    });
}
