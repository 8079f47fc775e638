//! Programs that take the statuses of children behind the library's back, and signals that interrupt.

use offspring::{ExitStatus, JoinErrorKind, StartMethod, active_children};
use offspring_tests::sys::Disposition;
use offspring_tests::{cases, failure, procs, start, sys, value, wait};

use crate::tasks::{die, double, exit, hanging, nothing};

cases! {
    alone children_are_ignored;
    alone a_careless_waiter;
    alone a_careless_waiter_on_a_crash;
    alone a_stolen_child_of_a_dropped_handle;
    alone handlers_that_interrupt;
    alone foreign_children_are_left_alone;
    alone a_foreign_copy_starts_children_of_its_own;
}

fn children_are_ignored(method: StartMethod) {
    sys::on_signal(libc::SIGCHLD, Disposition::Ignore);
    // Shares one processor with the child, so that the child may end before this process looks.
    let processor = procs::status("self", "Cpus_allowed_list").split([',', '-']).next().unwrap().parse().unwrap();
    let mut one = nix::sched::CpuSet::new();
    one.set(processor).unwrap();
    nix::sched::sched_setaffinity(nix::unistd::Pid::this(), &one).unwrap();
    for n in 0..200 {
        assert_eq!(value(start(method, double::call(n))), 2 * n);
    }
    let mut child = start(method, exit::call(7));
    let error = child.wait().unwrap_err();
    // Kernels from 6.15 on report the status all the same.
    assert!(matches!(error.kind(), JoinErrorKind::Exited(7) | JoinErrorKind::Unknown), "{error:?}");
    let child = hanging(method);
    child.kill().unwrap();
    let error = failure(child);
    assert!(matches!(error.kind(), JoinErrorKind::Signaled(libc::SIGKILL) | JoinErrorKind::Unknown), "{error:?}");
}

/// Takes the status of one child, which has ended or ends soon.
fn steal(pid: u32) {
    wait::until("the child is dead", || !procs::is_alive(pid));
    wait::until("its status is taken", || sys::steal_a_status() == Some(pid) || procs::stat(pid).is_none());
}

fn a_careless_waiter(method: StartMethod) {
    let mut child = start(method, double::call(4));
    steal(child.pid());
    assert_eq!(child.try_join().unwrap(), Some(8));
    let mut child = start(method, exit::call(5));
    steal(child.pid());
    let error = child.wait().unwrap_err();
    assert!(matches!(error.kind(), JoinErrorKind::Exited(5) | JoinErrorKind::Unknown), "{error:?}");
    assert!(matches!(child.exit_status(), Some(ExitStatus::Exited(5) | ExitStatus::Unknown)));
}

fn a_careless_waiter_on_a_crash(method: StartMethod) {
    let mut child = start(method, die::call(libc::SIGTERM));
    steal(child.pid());
    let error = child.wait().unwrap_err();
    assert!(matches!(error.kind(), JoinErrorKind::Signaled(libc::SIGTERM) | JoinErrorKind::Unknown), "{error:?}");
    child.kill().unwrap();
}

fn a_stolen_child_of_a_dropped_handle(method: StartMethod) {
    let child = start(method, nothing::call());
    let pid = child.pid();
    steal(pid);
    drop(child);
    assert_eq!(active_children(), []);
    value(start(method, nothing::call()));
}

fn handlers_that_interrupt(method: StartMethod) {
    for signal in [libc::SIGCHLD, libc::SIGUSR1] {
        sys::on_signal(signal, Disposition::Nothing);
    }
    for n in 0..50 {
        sys::kill(std::process::id() as i32, libc::SIGUSR1);
        assert_eq!(value(start(method, double::call(n))), 2 * n);
    }
}

fn foreign_children_are_left_alone(method: StartMethod) {
    let foreign = sys::foreign_fork(|| {});
    wait::until("the foreign child is dead", || !procs::is_alive(foreign));
    value(start(method, nothing::call()));
    assert_eq!(active_children(), []);
    assert_eq!(procs::stat(foreign).map(|process| process.state), Some('Z'), "it is not ours to reap");
    assert_eq!(sys::reap(foreign), 0);
}

fn a_foreign_copy_starts_children_of_its_own(method: StartMethod) {
    value(start(method, nothing::call()));
    let copy = sys::foreign_fork(|| {
        for _ in 0..3 {
            let parent = value(start(method, parent_of_child::call()));
            assert_eq!(parent, std::process::id());
        }
    });
    wait::until("the copy is dead", || !procs::is_alive(copy));
    assert_eq!(sys::reap(copy), 0, "the copy has failed");
    value(start(method, nothing::call()));
}

#[offspring::child_task]
fn parent_of_child() -> u32 {
    std::os::unix::process::parent_id()
}
