//! Signals without end, and processes that stop and go on.

use offspring::{StartMethod, child_task};
use offspring_tests::random::Random;
use offspring_tests::sys::Disposition;
use offspring_tests::{cases, procs, start, sys, value, wait};

cases! {
    alone signals_that_interrupt_everything;
    alone children_stop_and_go_on;
    alone the_server_stops_and_goes_on;
}

#[child_task]
fn add(a: u64, b: Vec<u64>) -> u64 {
    a + b.iter().sum::<u64>()
}

fn signals_that_interrupt_everything(method: StartMethod) {
    for signal in [libc::SIGUSR1, libc::SIGCHLD, libc::SIGWINCH] {
        sys::on_signal(signal, Disposition::Nothing);
    }
    let target = std::process::id() as i32;
    let storm = sys::Assistant::new(|| {
        for signal in [libc::SIGUSR1, libc::SIGCHLD, libc::SIGWINCH] {
            sys::kill(target, signal);
        }
        // Some thousand signals a second. With more signals, the process would do nothing but handle signals.
        let _ = nix::poll::poll(&mut [], nix::poll::PollTimeout::from(1_u8));
    });
    for n in 0..150 {
        let size = if n % 10 == 0 { 100_000 } else { 3 };
        assert_eq!(value(start(method, add::call(n, vec![1; size]))), n + size as u64);
    }
    drop(storm);
}

fn children_stop_and_go_on(method: StartMethod) {
    let mut random = Random::new();
    for n in 0..60 {
        let mut child = start(method, add::call(n, vec![]));
        random.pass_time(std::time::Duration::from_micros(700));
        child.signal(libc::SIGSTOP).unwrap();
        wait::until("the child is stopped or has ended", || {
            procs::stat(child.pid()).is_none_or(|process| matches!(process.state, 'T' | 'Z'))
        });
        if procs::is_alive(child.pid()) {
            assert!(child.try_join().unwrap().is_none());
        }
        child.signal(libc::SIGCONT).unwrap();
        assert_eq!(value(child), n);
    }
}

fn the_server_stops_and_goes_on(method: StartMethod) {
    value(start(method, add::call(1, vec![])));
    let parent = std::process::id();
    let mut random = Random::new();
    let interruption = sys::Assistant::new(|| {
        for server in procs::servers_of(parent) {
            sys::kill(server as i32, libc::SIGSTOP);
            random.pass_time(std::time::Duration::from_millis(2));
            sys::kill(server as i32, libc::SIGCONT);
        }
        random.pass_time(std::time::Duration::from_millis(2));
    });
    for n in 0..100 {
        assert_eq!(value(start(method, add::call(n, vec![2]))), n + 2);
    }
    drop(interruption);
    // The server may have ended between its two signals.
    for server in procs::servers_of(parent) {
        sys::kill(server as i32, libc::SIGCONT);
    }
}
