//! The handle of a child: wait, look, signal, detach.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use offspring::{ErrorKind, ExitStatus, JoinErrorKind, StartMethod, Stdio, active_children, child_task};
use offspring_tests::{build, cases, failure, procs, program, run, start, sys, value, wait};

use crate::tasks::{begun, die, double, execute, execute_idler, exit, forever, hang, hanging, nothing};

cases! {
    here a_wait_of_no_time_returns_at_once;
    here a_wait_ends_with_the_child;
    here a_failure_is_told_by_every_kind_of_wait;
    here the_sentinel_tells_the_end;
    alone signals_reach_the_child;
    here a_signal_after_the_end_is_no_error;
    here no_such_signal;
    here it_is_a_true_child;
    here a_stopped_child_has_not_ended;
    here a_dropped_handle_leaves_no_zombie;
    here a_dropped_handle_lets_the_child_go_on;
    here kill_on_drop_kills;
    here kill_on_drop_spares_the_detached;
    here a_detached_child_is_reaped_by_the_next_look;
    here detach_of_a_child_that_has_ended;
    here time_runs_out_while_joined;
    here time_runs_out_while_no_thread_waits;
    here time_runs_out_for_another_program;
    here time_runs_out_although_its_signal_is_blocked;
    here time_does_not_run_out;
    here a_signal_before_its_time_is_no_timeout;
    here a_short_wait_does_not_end_a_long_time;
    here debug_shows_what_it_is;
}

fn a_wait_of_no_time_returns_at_once(method: StartMethod) {
    let mut child = hanging(method);
    let before = Instant::now();
    assert!(child.try_join().unwrap().is_none());
    assert!(child.join_timeout(Duration::ZERO).unwrap().is_none());
    assert!(before.elapsed() < Duration::from_secs(1));
    assert!(child.join_timeout(Duration::from_millis(20)).unwrap().is_none());
    assert!(before.elapsed() >= Duration::from_millis(20));
    assert!(child.is_alive() && child.exit_status().is_none());
    child.kill().unwrap();
    failure(child);
}

#[child_task]
fn wait_for_input() -> String {
    std::io::read_to_string(std::io::stdin()).unwrap()
}

fn a_wait_ends_with_the_child(method: StartMethod) {
    let mut child = run(method, build(method, wait_for_input::call()).stdin(Stdio::piped()));
    assert!(child.try_join().unwrap().is_none());
    drop(child.take_stdin());
    assert_eq!(child.join_timeout(Duration::MAX).unwrap().unwrap(), "", "the longest wait there is");
    let mut child = start(method, double::call(1));
    wait::until("the child has ended", || !child.is_alive());
    assert_eq!(child.try_join().unwrap(), Some(2));
}

fn a_failure_is_told_by_every_kind_of_wait(method: StartMethod) {
    let waits: [fn(offspring::Process<()>) -> offspring::JoinError; 4] = [
        |child| child.join().unwrap_err(),
        |mut child| child.wait().unwrap_err(),
        |mut child| child.join_timeout(wait::LIMIT).unwrap_err(),
        |mut child| {
            wait::until("the child has ended", || !child.is_alive());
            child.try_join().unwrap_err()
        },
    ];
    for wait in waits {
        let error = wait(start(method, exit::call(9)));
        assert!(matches!(error.kind(), JoinErrorKind::Exited(9)), "{error:?}");
    }
}

fn the_sentinel_tells_the_end(method: StartMethod) {
    let child = hanging(method);
    assert!(!wait::is_readable(child.sentinel().unwrap().as_fd()));
    child.kill().unwrap();
    assert!(wait::readable(child.sentinel().unwrap().as_fd(), Instant::now() + wait::LIMIT));
    failure(child);
}

fn signals_reach_the_child(method: StartMethod) {
    // A shell ignores both signals in its background commands, and children inherit the ignored signals.
    for signal in [libc::SIGINT, libc::SIGQUIT] {
        sys::on_signal(signal, sys::Disposition::Default);
    }
    type Send = fn(&offspring::Process<()>);
    let ways: [(i32, Send); 4] = [
        (libc::SIGTERM, |child| child.terminate().unwrap()),
        (libc::SIGKILL, |child| child.kill().unwrap()),
        (libc::SIGINT, |child| child.signal(libc::SIGINT).unwrap()),
        (libc::SIGQUIT, |child| child.signal(libc::SIGQUIT).unwrap()),
    ];
    for (signal, send) in ways {
        let child = hanging(method);
        send(&child);
        let error = failure(child);
        assert!(matches!(error.kind(), JoinErrorKind::Signaled(told) if *told == signal), "{error:?}");
    }
}

fn a_signal_after_the_end_is_no_error(method: StartMethod) {
    let mut child = start(method, nothing::call());
    child.wait().unwrap();
    child.kill().unwrap();
    child.terminate().unwrap();
    assert_eq!(child.exit_status(), Some(ExitStatus::Exited(0)));
}

fn no_such_signal(method: StartMethod) {
    let child = hanging(method);
    assert_eq!(child.signal(1000).unwrap_err().kind(), ErrorKind::Os);
    child.signal(0).unwrap();
    assert!(child.is_alive());
    child.kill().unwrap();
    failure(child);
}

#[child_task]
fn parents() -> (u32, u32) {
    (std::os::unix::process::parent_id(), std::process::id())
}

fn it_is_a_true_child(method: StartMethod) {
    let child = start(method, parents::call());
    let pid = child.pid();
    assert_eq!(value(child), (std::process::id(), pid));
    let child = hanging(method);
    let children = procs::children_of(std::process::id());
    assert!(children.iter().any(|process| process.pid == child.pid()), "{children:?}");
    child.kill().unwrap();
    failure(child);
}

fn a_stopped_child_has_not_ended(method: StartMethod) {
    let mut child = hanging(method);
    child.signal(libc::SIGSTOP).unwrap();
    wait::until("the child is stopped", || procs::stat(child.pid()).unwrap().state == 'T');
    assert!(child.is_alive() && child.try_join().unwrap().is_none());
    child.signal(libc::SIGCONT).unwrap();
    wait::until("the child goes on", || procs::stat(child.pid()).unwrap().state == 'S');
    assert!(child.is_alive() && child.try_join().unwrap().is_none());
    child.signal(libc::SIGSTOP).unwrap();
    child.kill().unwrap();
    failure(child);
}

fn a_dropped_handle_leaves_no_zombie(method: StartMethod) {
    for look in [
        || drop(active_children()),
        || drop(offspring::get_context(StartMethod::Spawn).unwrap().start(nothing::call()).unwrap().join()),
    ] {
        let child = hanging(method);
        let pid = child.pid();
        child.kill().unwrap();
        drop(child);
        wait::until("the child is dead", || !procs::is_alive(pid));
        look();
        assert_eq!(procs::stat(pid), None, "a zombie");
    }
}

fn a_dropped_handle_lets_the_child_go_on(method: StartMethod) {
    let mut child = run(method, build(method, wait_for_input::call()).stdin(Stdio::piped()));
    let (pid, stdin) = (child.pid(), child.take_stdin());
    drop(child);
    assert!(procs::is_alive(pid));
    assert!(active_children().iter().any(|child| child.pid() == pid));
    drop(stdin);
    wait::until("the child has ended", || active_children().is_empty());
}

fn kill_on_drop_kills(method: StartMethod) {
    let child = begun(method, build(method, hang::call()).kill_on_drop(true));
    let pid = child.pid();
    drop(child);
    wait::until("the child is dead", || !procs::is_alive(pid));
    let child = begun(method, build(method, hang::call()).kill_on_drop(true).kill_on_drop(false));
    let pid = child.pid();
    drop(child);
    assert!(procs::is_alive(pid));
    sys::kill(pid as i32, libc::SIGKILL);
}

fn kill_on_drop_spares_the_detached(method: StartMethod) {
    let child = begun(method, build(method, hang::call()).kill_on_drop(true));
    let pid = child.pid();
    child.detach().unwrap();
    assert!(procs::is_alive(pid));
    sys::kill(pid as i32, libc::SIGKILL);
}

fn a_detached_child_is_reaped_by_the_next_look(method: StartMethod) {
    let child = start(method, nothing::call());
    let pid = child.pid();
    child.detach().unwrap();
    wait::until("the child is dead", || !procs::is_alive(pid));
    active_children();
    assert_eq!(procs::stat(pid), None, "a zombie");
}

fn detach_of_a_child_that_has_ended(method: StartMethod) {
    for call in [nothing::call(), exit::call(0), die::call(libc::SIGKILL)] {
        let mut child = start(method, call);
        let _ = child.wait();
        child.detach().unwrap();
    }
}

fn time_runs_out_while_joined(method: StartMethod) {
    let limit = Duration::from_millis(30);
    let before = Instant::now();
    let error = failure(run(method, build(method, hang::call()).stdout(Stdio::null()).timeout(limit)));
    assert!(matches!(error.kind(), JoinErrorKind::TimedOut), "{error:?}");
    assert!(before.elapsed() >= limit);
    assert!(error.to_string().ends_with("ran out of time and was killed"), "{error}");
}

fn time_runs_out_while_no_thread_waits(method: StartMethod) {
    let limit = Duration::from_millis(200);
    let mut child = begun(method, build(method, hang::call()).timeout(limit));
    wait::until("the child is dead", || !procs::is_alive(child.pid()));
    let error = child.try_join().unwrap_err();
    assert!(matches!(error.kind(), JoinErrorKind::TimedOut), "{error:?}");
}

/// The task has executed another program in place of itself, which keeps the time limit.
fn time_runs_out_for_another_program(method: StartMethod) {
    let limit = Duration::from_millis(300);
    let mut child = begun(method, build(method, execute_idler()).timeout(limit));
    wait::until("the child is dead", || !procs::is_alive(child.pid()));
    let error = child.try_join().unwrap_err();
    assert!(matches!(error.kind(), JoinErrorKind::TimedOut), "{error:?}");
    // The program ignores the timer's signal, so it lives until a thread waits for it.
    let shell = vec!["-c".to_owned(), "trap '' ALRM; exec /bin/sleep 600".to_owned()];
    let error = failure(begun(method, build(method, execute::call("/bin/sh".to_owned(), shell)).timeout(limit)));
    assert!(matches!(error.kind(), JoinErrorKind::TimedOut), "{error:?}");
}

#[child_task]
fn hang_deaf() {
    sys::on_signal(libc::SIGALRM, sys::Disposition::Ignore);
    program::say("ready");
    forever()
}

/// The second signal of the child's timer looks like any `SIGKILL`, unless a waiting parent has sent it.
fn time_runs_out_although_its_signal_is_blocked(method: StartMethod) {
    let limit = Duration::from_millis(200);
    let mut child = begun(method, build(method, hang_deaf::call()).timeout(limit));
    wait::until("the child is dead", || !procs::is_alive(child.pid()));
    let error = child.try_join().unwrap_err();
    assert!(matches!(error.kind(), JoinErrorKind::Signaled(libc::SIGKILL)), "{error:?}");
    let child = begun(method, build(method, hang_deaf::call()).timeout(limit));
    let error = failure(child);
    assert!(matches!(error.kind(), JoinErrorKind::TimedOut), "{error:?}");
}

/// Foreign signals, joined after the time limit.
fn a_signal_before_its_time_is_no_timeout(method: StartMethod) {
    let limit = Duration::from_millis(300);
    for signal in [libc::SIGKILL, libc::SIGALRM] {
        let begin = Instant::now();
        let mut child = begun(method, build(method, hang::call()).timeout(limit));
        child.signal(signal).unwrap();
        wait::until("the child is dead", || !procs::is_alive(child.pid()));
        let early = begin.elapsed() < limit;
        if signal == libc::SIGKILL {
            wait::until("its time would be over", || begin.elapsed() > limit + Duration::from_millis(50));
        }
        let error = child.try_join().unwrap_err();
        let told = matches!(error.kind(), JoinErrorKind::Signaled(told) if *told == signal);
        assert!(told || !early, "{error:?}");
    }
}

#[child_task(timeout = "20s")]
fn quick() -> u32 {
    7
}

fn time_does_not_run_out(method: StartMethod) {
    for limit in [Duration::from_secs(3600), Duration::MAX] {
        assert_eq!(value(run(method, build(method, double::call(3)).timeout(limit))), 6);
    }
    assert_eq!(value(start(method, quick::call())), 7);
    let child = begun(method, build(method, hang::call()).timeout(Duration::from_secs(3600)));
    child.kill().unwrap();
    let error = failure(child);
    assert!(matches!(error.kind(), JoinErrorKind::Signaled(libc::SIGKILL)), "{error:?}");
}

fn a_short_wait_does_not_end_a_long_time(method: StartMethod) {
    let mut child = begun(method, build(method, hang::call()).timeout(Duration::from_secs(3600)));
    assert!(child.join_timeout(Duration::from_millis(5)).unwrap().is_none());
    assert!(child.is_alive());
    child.kill().unwrap();
    failure(child);
}

fn debug_shows_what_it_is(method: StartMethod) {
    let mut child = run(method, build(method, nothing::call()).name("shown"));
    child.wait().unwrap();
    let text = format!("{child:?}");
    assert_eq!(
        text,
        format!(
            "Process {{ name: \"shown\", pid: {}, task: \"behaviour::tasks::nothing\", ended: exit code 0 }}",
            child.pid()
        )
    );
    assert!(child.sentinel().is_ok_and(|sentinel| wait::is_readable(sentinel.as_fd())));
}
