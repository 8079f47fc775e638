//! Kills among processes that share a lock, at any moment: the surviving processes go on, and no count is wrong.

use std::time::{Duration, Instant};

use offspring::sync::{Barrier, BarrierError, Condvar, Event, Mutex, Once, RwLock, Semaphore};
use offspring::{Process, StartMethod, child_task};
use offspring_tests::random::Random;
use offspring_tests::{cases, failure, start, value, wait};

cases! {
    here a_mutex;
    here a_reader_writer_lock;
    here a_condition;
    here a_semaphore;
    here a_barrier;
    here an_event;
    here what_is_done_once;
}

/// The number of kills in a case, each at a random moment.
const KILLS: u64 = 60;

/// The longest time between two kills.
const PAUSE: Duration = Duration::from_millis(4);

const WORKERS: usize = 3;

/// Workers that run until killed. Each killed worker is replaced.
struct Crew<F> {
    members: Vec<Process<()>>,
    hire: F,
}

impl<F: FnMut(usize) -> Process<()>> Crew<F> {
    fn new(mut hire: F) -> Self {
        Self { members: (0..WORKERS).map(&mut hire).collect(), hire }
    }

    /// Kills a random worker at a random moment.
    fn lose_one(&mut self, random: &mut Random) {
        random.pass_time(PAUSE);
        let place = random.below(WORKERS as u64) as usize;
        let next = (self.hire)(place);
        killed(std::mem::replace(&mut self.members[place], next));
    }

    fn end(self) {
        self.members.into_iter().for_each(killed);
    }
}

fn killed(child: Process<()>) {
    child.kill().unwrap();
    let error = failure(child);
    assert!(matches!(error.kind(), offspring::JoinErrorKind::Signaled(libc::SIGKILL)), "{error:?}");
}

/// Waits until a number that the workers raise has risen by the given amount.
#[track_caller]
fn progress(by: u64, mut number: impl FnMut() -> u64) {
    let aim = number() + by;
    wait::until("the others go on", || number() >= aim);
}

/// A total, and each worker's part of the total.
type Counts = [u64; 1 + WORKERS];

/// Raises the total and a part. Between two raises both agree.
fn raise(counts: &mut Counts, place: usize) {
    assert_eq!(counts[0], counts[1..].iter().sum());
    counts[0] += 1;
    std::hint::black_box(&mut *counts);
    counts[1 + place] += 1;
}

/// Repairs the counts of a killed worker: at most one unfinished raise of the total.
fn repair(counts: &mut Counts) {
    let sum = counts[1..].iter().sum();
    assert!(counts[0] == sum || counts[0] == sum + 1, "{counts:?}");
    counts[0] = sum;
}

#[child_task]
fn raise_locked(counts: Mutex<Counts>, place: usize) {
    loop {
        locked(&counts, |counts| raise(counts, place));
    }
}

fn locked<T>(counts: &Mutex<Counts>, act: impl FnOnce(&mut Counts) -> T) -> T {
    let mut guard = repaired(counts.lock_timeout(wait::LIMIT), || counts.clear_poison());
    act(&mut guard)
}

/// Returns the guard of a lock, within the deadline, with the counts of a dead owner repaired.
fn repaired<G: std::ops::DerefMut<Target = Counts>>(
    locked: std::sync::TryLockResult<G>,
    clear_poison: impl FnOnce(),
) -> G {
    locked.unwrap_or_else(|error| match error {
        std::sync::TryLockError::WouldBlock => panic!("the lock was not given back"),
        std::sync::TryLockError::Poisoned(poisoned) => {
            let mut guard = poisoned.into_inner();
            repair(&mut guard);
            clear_poison();
            guard
        }
    })
}

fn a_mutex(method: StartMethod) {
    let mut random = Random::new();
    let counts = Mutex::new([0; 1 + WORKERS]).unwrap();
    let mut crew = Crew::new(|place| start(method, raise_locked::call(counts.clone(), place)));
    for _ in 0..KILLS {
        crew.lose_one(&mut random);
        progress(10, || locked(&counts, |counts| counts[0]));
    }
    crew.end();
    locked(&counts, |counts| raise(counts, 0));
}

#[child_task]
fn read_and_write(counts: RwLock<Counts>, place: usize) {
    loop {
        match counts.read_timeout(wait::LIMIT) {
            Ok(counts) => assert_eq!(counts[0], counts[1..].iter().sum()),
            Err(std::sync::TryLockError::Poisoned(_)) => {}
            Err(std::sync::TryLockError::WouldBlock) => panic!("the lock was not given back"),
        }
        written(&counts, |counts| raise(counts, place));
    }
}

fn written<T>(counts: &RwLock<Counts>, act: impl FnOnce(&mut Counts) -> T) -> T {
    let mut guard = repaired(counts.write_timeout(wait::LIMIT), || counts.clear_poison());
    act(&mut guard)
}

fn a_reader_writer_lock(method: StartMethod) {
    let mut random = Random::new();
    let counts = RwLock::new([0; 1 + WORKERS]).unwrap();
    let mut crew = Crew::new(|place| start(method, read_and_write::call(counts.clone(), place)));
    for _ in 0..KILLS {
        crew.lose_one(&mut random);
        progress(10, || written(&counts, |counts| counts[0]));
    }
    crew.end();
    written(&counts, |counts| raise(counts, 0));
    drop(counts.try_write().unwrap());
}

/// Raises the number on each turn of this worker.
#[child_task]
fn take_turns(number: Mutex<u64>, changed: Condvar, place: u64) {
    loop {
        let guard = number.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let is_others = |number: &mut u64| *number % WORKERS as u64 != place;
        let mut guard = changed.wait_while(guard, is_others).unwrap_or_else(std::sync::PoisonError::into_inner);
        // A wait that reports a death returns early.
        if *guard % WORKERS as u64 == place {
            *guard += 1;
        }
        drop(guard);
        changed.notify_one();
    }
}

fn a_condition(method: StartMethod) {
    let mut random = Random::new();
    let (number, changed) = (Mutex::new(0).unwrap(), Condvar::new().unwrap());
    let hire = |place| start(method, take_turns::call(number.clone(), changed.clone(), place as u64));
    let mut crew = Crew::new(hire);
    for _ in 0..KILLS {
        crew.lose_one(&mut random);
        progress(10, || {
            // A worker killed between a raise and its notification cannot notify any more.
            changed.notify_all();
            number.get().unwrap_or_else(std::sync::PoisonError::into_inner)
        });
    }
    crew.end();
}

const PERMITS: usize = 2;

#[child_task]
fn go_in(semaphore: Semaphore, counts: Mutex<Counts>, place: usize) {
    loop {
        let _permit = semaphore.acquire_timeout(wait::LIMIT).expect("permits come back");
        assert!(semaphore.available_permits() < PERMITS);
        locked(&counts, |counts| raise(counts, place));
    }
}

fn a_semaphore(method: StartMethod) {
    let mut random = Random::new();
    let (semaphore, counts) = (Semaphore::new(PERMITS).unwrap(), Mutex::new([0; 1 + WORKERS]).unwrap());
    let hire = |place| start(method, go_in::call(semaphore.clone(), counts.clone(), place));
    let mut crew = Crew::new(hire);
    for _ in 0..KILLS {
        crew.lose_one(&mut random);
        progress(10, || locked(&counts, |counts| counts[0]));
        assert!(semaphore.acquire_timeout(wait::LIMIT).is_some());
    }
    crew.end();
    assert_eq!(semaphore.available_permits(), PERMITS);
    let all: Vec<_> = (0..PERMITS).filter_map(|_| semaphore.try_acquire()).collect();
    assert_eq!(all.len(), PERMITS);
}

/// Goes through rounds until the barrier breaks.
#[child_task]
fn go_round(barrier: Barrier) -> bool {
    loop {
        match barrier.wait_timeout(wait::LIMIT) {
            Ok(_) => {}
            Err(error) => return error == BarrierError::Broken,
        }
    }
}

#[child_task]
fn go_round_for_ever(barrier: Barrier) {
    while barrier.wait_timeout(wait::LIMIT).is_ok() {}
}

fn a_barrier(method: StartMethod) {
    let mut random = Random::new();
    let barrier = Barrier::new(WORKERS).unwrap();
    for _ in 0..KILLS {
        let others = [(); WORKERS - 1].map(|()| start(method, go_round::call(barrier.clone())));
        let victim = start(method, go_round_for_ever::call(barrier.clone()));
        random.pass_time(PAUSE);
        killed(victim);
        // The barrier does not learn of a death outside a wait, so the remaining workers wait.
        wait::until("the others are told or wait", || barrier.is_broken() || barrier.waiting() == WORKERS - 1);
        barrier.abort();
        assert!(others.map(value).iter().all(|broken| *broken));
        barrier.reset();
        assert_eq!((barrier.is_broken(), barrier.waiting()), (false, 0));
    }
}

#[child_task]
fn wait_and_clear(event: Event, number: Mutex<u64>) {
    loop {
        assert!(event.wait_timeout(wait::LIMIT), "nobody sets it");
        event.clear();
        *number.lock().unwrap_or_else(std::sync::PoisonError::into_inner) += 1;
        event.set();
    }
}

fn an_event(method: StartMethod) {
    let mut random = Random::new();
    let (event, number) = (Event::new().unwrap(), Mutex::new(0).unwrap());
    let mut crew = Crew::new(|_| start(method, wait_and_clear::call(event.clone(), number.clone())));
    for _ in 0..KILLS {
        crew.lose_one(&mut random);
        progress(10, || {
            event.set();
            number.get().unwrap_or_else(std::sync::PoisonError::into_inner)
        });
    }
    crew.end();
    event.clear();
    assert!(!event.wait_timeout(Duration::from_millis(1)));
    event.set();
    assert!(event.wait_timeout(wait::LIMIT));
}

/// Runs the closure again if a killed process left it unfinished, and returns the counts.
#[child_task]
fn do_once(once: Once, steps: Mutex<[u64; 2]>) -> [u64; 2] {
    let step = |index: usize| {
        let mut steps = steps.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        steps[index] += 1;
    };
    once.call_once_force(|_| {
        step(0);
        let end = Instant::now() + Duration::from_millis(1);
        while Instant::now() < end {
            std::hint::spin_loop();
        }
        step(1);
    });
    steps.get().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[child_task]
fn do_once_in_vain(once: Once, steps: Mutex<[u64; 2]>) {
    do_once(once, steps);
    loop {
        std::thread::park_timeout(Duration::MAX);
    }
}

fn what_is_done_once(method: StartMethod) {
    let mut random = Random::new();
    for _ in 0..KILLS {
        let (once, steps) = (Once::new().unwrap(), Mutex::new([0; 2]).unwrap());
        let victim = start(method, do_once_in_vain::call(once.clone(), steps.clone()));
        let others = [(); WORKERS - 1].map(|()| start(method, do_once::call(once.clone(), steps.clone())));
        random.pass_time(PAUSE);
        killed(victim);
        for [begun, finished] in others.map(value) {
            // The victim may have begun, and may even have finished without a report.
            assert!((1..=2).contains(&begun) && (1..=2).contains(&finished), "{begun} {finished}");
        }
        assert!(once.is_completed());
        once.wait();
        once.call_once(|| unreachable!("it is done"));
    }
}
