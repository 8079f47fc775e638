//! Jobs looked at, waited for together with others, and dropped.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};
use std::time::{Duration, Instant};

use offspring::{JoinErrorKind, StartMethod, Waitable, as_completed, channel, get_context};
use offspring_tests::{cases, procs, wait};

use super::{build, builder, event, outcome, pid, pids, pool, running, square, value, wait_for};

cases! {
    alone a_job_is_looked_at;
    alone the_process_of_a_job;
    alone a_job_that_is_killed_on_drop;
    alone jobs_children_and_receivers_together;
    alone jobs_that_are_done_already;
    alone a_wait_that_is_bounded;
    alone a_wait_beside_a_future;
    alone a_wait_for_jobs_keeps_no_descriptor;
    alone as_they_are_completed;
    alone of_several_pools;
    alone of_a_pool_that_ends;
}

fn a_job_is_looked_at(method: StartMethod) {
    let pool = pool(method, 1);
    let (mut job, gate) = running(&pool);
    assert!(!job.is_done());
    assert!(job.try_wait().unwrap().is_none());
    gate.set();
    wait::until("the job is done", || job.is_done());
    assert!(job.try_wait().unwrap().is_some());
    assert!(job.is_done(), "its result was taken");
    assert!(matches!(job.try_wait().unwrap_err().kind(), JoinErrorKind::AlreadyTaken));
}

fn the_process_of_a_job(method: StartMethod) {
    let pool = pool(method, 1);
    let (job, gate) = running(&pool);
    let queued = pool.submit(pid::call());
    assert_eq!((job.pid(), queued.pid()), (Some(pids(&pool)[0]), None));
    gate.set();
    wait::until("the job is done", || queued.is_done());
    let of_job = queued.pid();
    assert_eq!(of_job, Some(value(queued)));
    value(job);
    let (job, _gate) = running(&pool);
    let of_job = job.pid();
    pool.terminate();
    assert_eq!(job.pid(), of_job, "it is known of a failure too");
}

fn a_job_that_is_killed_on_drop(method: StartMethod) {
    let pool = pool(method, 1);
    let (job, _gate) = running(&pool);
    let queued = pool.submit(wait_for::call(event())).kill_on_drop(true);
    let kept = pool.submit(square::call(3));
    let worker = pids(&pool)[0];
    drop(queued);
    drop(job.kill_on_drop(true));
    assert_eq!(value(kept), 9);
    assert_ne!(pids(&pool), [worker]);
    let done = pool.submit(square::call(3)).kill_on_drop(true);
    wait::until("the job is done", || done.is_done());
    let worker = pids(&pool)[0];
    drop(done);
    assert_eq!(value(pool.submit(pid::call())), worker, "the drop of a job that is done kills nothing");
    let cancelled = pool.submit(wait_for::call(event())).kill_on_drop(true).kill_on_drop(false);
    drop(cancelled);
    assert!(!pool.shutdown(Duration::ZERO).is_empty());
}

fn wait_for_all(sources: &[&dyn Waitable]) -> Vec<usize> {
    offspring::wait(sources, Some(wait::LIMIT)).unwrap()
}

fn jobs_children_and_receivers_together(method: StartMethod) {
    let (sender, receiver) = channel::<u32>().unwrap();
    let child_gate = event();
    let child = get_context(method).unwrap().start(wait_for::call(child_gate.clone())).unwrap();
    let pool = pool(method, 2);
    let ((first, first_gate), (second, second_gate)) = (running(&pool), running(&pool));
    let sources: [&dyn Waitable; 4] = [&first, &receiver, &child, &second];
    assert!(offspring::wait(&sources, Some(Duration::ZERO)).unwrap().is_empty());
    second_gate.set();
    assert_eq!(wait_for_all(&sources), [3]);
    sender.send(1).unwrap();
    assert_eq!(wait_for_all(&sources[..3]), [1]);
    assert_eq!(receiver.recv().unwrap(), 1);
    first_gate.set();
    assert_eq!(wait_for_all(&sources[..3]), [0]);
    child_gate.set();
    assert_eq!(wait_for_all(&sources[1..3]), [1]);
    // A wake-up that comes while the thread sleeps.
    let (third, third_gate) = running(&pool);
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| offspring::wait(&[&receiver, &third], Some(wait::LIMIT)).unwrap());
        wait::until("the thread waits for the job", || procs::status("self", "Threads") != "1");
        third_gate.set();
        assert_eq!(waiter.join().unwrap(), [1]);
    });
    assert!(child.join().is_ok());
}

fn jobs_that_are_done_already(method: StartMethod) {
    let pool = pool(method, 1);
    let (mut done, failed) = (pool.submit(square::call(3)), pool.submit(square::call(4)));
    let (running, _gate) = running(&pool);
    failed.kill();
    assert_eq!(wait_for_all(&[&running, &done, &failed]), [1, 2]);
    assert_eq!(done.try_wait().unwrap(), Some(9));
    assert_eq!(wait_for_all(&[&done, &running]), [0], "its result was taken");
}

fn a_wait_that_is_bounded(method: StartMethod) {
    let pool = pool(method, 1);
    let (job, _gate) = running(&pool);
    let begun = Instant::now();
    assert!(offspring::wait(&[&job, &job], Some(Duration::from_millis(20))).unwrap().is_empty());
    assert!(begun.elapsed() >= Duration::from_millis(20));
    // A time limit and a kill end the job, with no other thread to watch it.
    let limited = pool.submit(wait_for::call(event()).timeout(Duration::from_millis(20)));
    job.kill();
    assert_eq!(wait_for_all(&[&limited]), [0]);
}

/// The wait takes the place of the future's waker, which would be lost.
fn a_wait_beside_a_future(method: StartMethod) {
    struct Count(AtomicUsize);
    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let pool = pool(method, 1);
    let (mut job, gate) = running(&pool);
    let count = Arc::new(Count(AtomicUsize::new(0)));
    let waker = Waker::from(Arc::clone(&count));
    assert!(Pin::new(&mut job).poll(&mut Context::from_waker(&waker)).is_pending());
    assert!(offspring::wait(&[&job], Some(Duration::from_millis(5))).unwrap().is_empty());
    assert_eq!(count.0.load(Ordering::SeqCst), 1, "woken, so that it registers again");
    assert!(Pin::new(&mut job).poll(&mut Context::from_waker(&waker)).is_pending());
    gate.set();
    wait::until("the future is woken", || count.0.load(Ordering::SeqCst) == 2);
    value(job);
}

fn a_wait_for_jobs_keeps_no_descriptor(method: StartMethod) {
    let pool = pool(method, 2);
    let (job, _gate) = running(&pool);
    let open = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let before = open();
    let jobs: Vec<_> = (0..200).map(|n| pool.submit(square::call(n))).collect();
    for other in &jobs {
        assert_eq!(wait_for_all(&[&job, other]), [1]);
    }
    assert_eq!(open(), before);
}

fn as_they_are_completed(method: StartMethod) {
    let pool = pool(method, 2);
    let (first, gate) = running(&pool);
    let others: Vec<_> = (0..100).map(|_| pool.submit(pid::call())).collect();
    let mut results = as_completed(std::iter::once(first).chain(others));
    assert_eq!(results.len(), 101);
    let mut seen: Vec<usize> = results.by_ref().take(100).map(|(index, pid)| (index, pid.unwrap()).0).collect();
    seen.sort_unstable();
    assert_eq!(seen, (1..=100).collect::<Vec<_>>());
    gate.set();
    let (index, last) = results.next().unwrap();
    assert!(index == 0 && last.is_ok());
    assert!(results.next().is_none());
}

fn of_several_pools(method: StartMethod) {
    // A second pool by `fork` is refused beside the thread of the first.
    let others = if method == StartMethod::Fork { StartMethod::Spawn } else { method };
    let pools = [pool(method, 1), build(builder(others).workers(1))];
    let jobs = (0..200).map(|n| pools[n as usize % 2].submit(square::call(n)));
    let mut sum = 0;
    for (index, square) in as_completed(jobs) {
        assert_eq!(square.as_ref().unwrap(), &(index as u64 * index as u64));
        sum += square.unwrap();
    }
    assert_eq!(sum, 2_646_700);
    assert!(as_completed(Vec::<offspring::Job<u64>>::new()).next().is_none());
}

fn of_a_pool_that_ends(method: StartMethod) {
    let pool = pool(method, 1);
    let (job, _gate) = running(&pool);
    let jobs = [job, pool.submit(wait_for::call(event())), pool.submit(pid::call())];
    let results = as_completed(jobs);
    if method == StartMethod::Fork {
        // In a copy of the process, no thread moves the pool on, and all jobs have failed.
        drop(pool);
        assert_eq!(results.filter(|(_, result)| result.is_err()).count(), 3);
        return;
    }
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| results.filter(|(_, result)| result.is_err()).count());
        pool.terminate();
        assert_eq!(waiter.join().unwrap(), 3);
    });
    let _ = outcome(pool.submit(pid::call())).unwrap_err();
}
