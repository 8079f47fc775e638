//! Many children, and many starting processes.

use offspring::{StartMethod, Stdio, active_children, child_task};
use offspring_tests::{build, cases, failure, run, start, sys, value};

cases! {
    alone three_hundred_children_alive_at_once;
    alone eight_threads_start_at_once
        .except(StartMethod::Fork, "a copy of a process that has several threads is refused");
    alone threads_start_and_join_each_others_children
        .except(StartMethod::Fork, "a copy of a process that has several threads is refused");
    alone a_chain_of_generations;
}

#[child_task]
fn number_when_told(n: u64) -> u64 {
    std::io::read_to_string(std::io::stdin()).unwrap();
    n
}

#[child_task]
fn hang() {
    loop {
        std::thread::park();
    }
}

fn three_hundred_children_alive_at_once(method: StartMethod) {
    let (_, hard) = sys::limit(libc::RLIMIT_NOFILE);
    assert!(sys::set_limit(libc::RLIMIT_NOFILE, hard.min(8192), hard));
    // One pipe for all children, which go on when this process closes the only writer.
    let (reader, writer) = std::io::pipe().unwrap();
    let children: Vec<_> = (0..300)
        .map(|n| run(method, build(method, number_when_told::call(n)).stdin(reader.try_clone().unwrap())))
        .collect();
    assert_eq!(active_children().len(), 300);
    if method == StartMethod::Fork {
        // Each fork has a copy of the writer too.
        for child in children {
            child.kill().unwrap();
            failure(child);
        }
        return drop(writer);
    }
    drop(writer);
    for (n, child) in children.into_iter().enumerate() {
        assert_eq!(value(child), n as u64);
    }
}

#[child_task]
fn square(n: u64) -> u64 {
    n * n
}

fn eight_threads_start_at_once(method: StartMethod) {
    let barrier = std::sync::Barrier::new(8);
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let barrier = &barrier;
            scope.spawn(move || {
                barrier.wait();
                for n in 0..25 {
                    let n = 100 * thread + n;
                    assert_eq!(value(start(method, square::call(n))), n * n);
                }
            });
        }
    });
}

fn threads_start_and_join_each_others_children(method: StartMethod) {
    let (give, take) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let give = give.clone();
            scope.spawn(move || {
                for n in 0..20 {
                    let n = 100 * thread + n;
                    let builder = build(method, square::call(n)).stdout(Stdio::null());
                    give.send((n, run(method, builder))).unwrap();
                    active_children();
                }
            });
        }
        drop(give);
        for (n, child) in take {
            assert_eq!(value(child), n * n);
        }
    });
}

#[child_task]
fn generations(left: u32) -> u32 {
    if left == 0 { 0 } else { 1 + generations::start(left - 1).unwrap().join().unwrap() }
}

fn a_chain_of_generations(method: StartMethod) {
    assert_eq!(value(start(method, generations::call(8))), 8);
    let child = start(method, hang::call());
    child.kill().unwrap();
    failure(child);
}
