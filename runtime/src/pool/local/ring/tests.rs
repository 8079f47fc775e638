//! One side after the other; both at once are explored by the models in `tests/models`.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use super::layout::{AtomicU32, AtomicU64, Rings};
use super::*;

#[derive(Clone)]
struct Plain(Arc<(Vec<AtomicU64>, AtomicU32)>);

impl Memory for Plain {
    fn words(&self) -> &[AtomicU64] {
        &self.0.0
    }

    fn sleep_word(&self) -> &AtomicU32 {
        &self.0.1
    }
}

fn memory() -> Plain {
    Plain(Arc::new(((0..WORDS).map(|_| AtomicU64::new(0)).collect(), AtomicU32::new(0))))
}

fn head(about: u64) -> Head {
    Head { about, kind: 1, spent: about * 3 }
}

#[test]
fn bytes_of_every_length_go_through_both_rings() {
    let memory = memory();
    let (mut parent, mut worker) = (ParentSide::new(memory.clone()), WorkerSide::new(memory));
    let mut bytes = Vec::new();
    for length in 0..=INLINE_BYTES {
        let text: Vec<u8> = (0..length).map(|index| index as u8).collect();
        assert_eq!(parent.push(head(7), &text), Ok(true));
        assert_eq!(worker.take(&mut bytes), Some((length as u64, head(7))));
        assert_eq!(bytes, text);
        let _ = worker.push(head(8), &text);
        assert_eq!(parent.pop(&mut bytes), Ok(Some(head(8))));
        assert_eq!(bytes, text);
    }
}

#[test]
fn a_full_ring_takes_no_more_until_a_job_is_out() {
    let memory = memory();
    let (mut parent, worker) = (ParentSide::new(memory.clone()), WorkerSide::new(memory));
    for about in 0..SLOTS {
        assert_eq!(parent.push(head(about), &[]), Ok(true));
    }
    assert_eq!(parent.push(head(SLOTS), &[]), Ok(false));
    assert_eq!(parent.take_back(), Ok(Some(0)));
    assert_eq!(parent.push(head(SLOTS), &[]), Ok(true));
    assert_eq!(worker.take(&mut Vec::new()).map(|(number, head)| (number, head.about)), Some((1, 1)));
}

#[test]
fn counters_that_do_not_fit_are_the_workers_end() {
    let lies: [fn(&Plain); 4] = [
        // More taken than were put in.
        |memory| Rings(memory.clone()).taken().store(9, SeqCst),
        // More results than there are slots.
        |memory| Rings(memory.clone()).results_tail().store(SLOTS + 1, SeqCst),
        // Results that were never written, from behind.
        |memory| Rings(memory.clone()).results_tail().store(u64::MAX, SeqCst),
        // A slot that is longer than a slot.
        |memory| {
            let rings = Rings(memory.clone());
            rings.result(0)[1].store(INLINE_BYTES as u64 + 1, SeqCst);
            rings.results_tail().store(1, SeqCst);
        },
    ];
    for (index, lie) in lies.into_iter().enumerate() {
        let memory = memory();
        let mut parent = ParentSide::new(memory.clone());
        parent.push(head(1), &[]).unwrap();
        lie(&memory);
        let seen = [parent.look_taken().is_err(), parent.pop(&mut Vec::new()).is_err(), parent.take_back().is_err()];
        assert!(seen.contains(&true), "lie {index} was believed: {seen:?}");
    }
}

#[test]
fn only_a_sleeper_is_woken_and_only_once() {
    let memory = memory();
    let (mut parent, mut worker) = (ParentSide::new(memory.clone()), WorkerSide::new(memory));
    parent.push(head(1), &[]).unwrap();
    assert!(!parent.must_wake_worker());
    worker.sleep_unless(Awaited::Job, |_| true, |_, _| panic!("there was a job"));
    worker.take(&mut Vec::new()).unwrap();
    worker.sleep_unless(Awaited::Job, WorkerSide::has_job, |_, _| {
        assert!(!parent.must_wake_worker(), "there is no job");
        parent.push(head(2), &[]).unwrap();
        assert!(parent.must_wake_worker() && !parent.must_wake_worker());
    });
    worker.sleep_unless(Awaited::Room, |_| false, |_, _| assert!(parent.must_wake_worker()));
    parent.listen(1);
    assert!(worker.push(head(1), &[]));
    assert!(!worker.push(head(2), &[]));
}

#[test]
fn a_parent_that_waits_for_several_results_is_woken_at_the_last() {
    let memory = memory();
    let (mut parent, mut worker) = (ParentSide::new(memory.clone()), WorkerSide::new(memory));
    let pushed = |worker: &mut WorkerSide<Plain>| worker.push(head(1), &[]);
    assert!(!pushed(&mut worker));
    parent.pop(&mut Vec::new()).unwrap().unwrap();
    parent.listen(3);
    assert_eq!([(); 4].map(|()| pushed(&mut worker)), [false, false, true, false]);
    assert!(parent.has_results(4) && !parent.has_results(5));
}
