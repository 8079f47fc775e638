//! Descriptors of the original that a copy of a process lacks and must not close, as the copy uses the same numbers for
//! files of its own.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

use offspring::{ErrorKind, Process, Receiver, StartMethod, Stdio, channel, child_task, fork};
use offspring_tests::{build, cases, failure, procs, run, start, sys, value};

use crate::tasks::{double, hang, hanging, nothing};

cases! {
    here many_siblings_do_not_show;
    here dropped_handles_close_nothing;
    here dropped_handles_close_nothing_in_a_copy_of_a_copy;
    here dropped_handles_close_nothing_behind_the_librarys_back;
    here handles_work_in_no_copy_made_by_a_clone;
    here dropped_ends_close_nothing;
}

/// The index of the ended child.
const ENDED: usize = 3;

/// Returns running children, one with piped streams, and one ended child.
fn siblings(method: StartMethod) -> Vec<Process<()>> {
    let mut siblings: Vec<_> = (0..6).map(|_| hanging(method)).collect();
    siblings.push(run(method, build(method, hang::call()).stdin(Stdio::piped()).stdout(Stdio::piped())));
    let mut ended = start(method, nothing::call());
    ended.wait().unwrap();
    siblings.insert(ENDED, ended);
    siblings
}

/// Detaching fails outside the parent, and the children still end with the parent.
fn is_not_detached(sibling: Process<()>) {
    assert_eq!(sibling.detach().unwrap_err().kind(), ErrorKind::NotParent);
}

fn end(siblings: Vec<Process<()>>) {
    for sibling in siblings.into_iter().filter(Process::is_alive) {
        sibling.kill().unwrap();
        failure(sibling);
    }
}

fn kinds_open() -> BTreeMap<String, usize> {
    procs::kinds(&procs::descriptors())
}

#[child_task]
fn kinds_in_child() -> BTreeMap<String, usize> {
    kinds_open()
}

fn many_siblings_do_not_show(method: StartMethod) {
    let look = || {
        let in_copy_of_copy = fork(|| value(fork(kinds_open).unwrap()));
        [
            value(start(method, kinds_in_child::call())),
            value(fork(kinds_open).unwrap()),
            value(in_copy_of_copy.unwrap()),
        ]
    };
    value(start(method, nothing::call()));
    let alone = look();
    let siblings = siblings(method);
    assert_eq!(look(), alone);
    // Ends every second child, so that freed numbers lie between used numbers.
    let (early, late): (Vec<_>, Vec<_>) = siblings.into_iter().enumerate().partition(|(index, _)| index % 2 == 0);
    end(early.into_iter().map(|(_, sibling)| sibling).collect());
    let between: Vec<_> = (0..2).map(|_| (File::open("/dev/zero").unwrap(), hanging(method))).collect();
    let (files, more): (Vec<_>, Vec<_>) = between.into_iter().unzip();
    let files_alone = |mut kinds: BTreeMap<String, usize>| {
        kinds.retain(|kind, _| kind != "/dev/zero");
        kinds
    };
    assert_eq!(look().map(files_alone), alone);
    drop(files);
    end(late.into_iter().map(|(_, sibling)| sibling).chain(more).collect());
}

/// Returns files at all free numbers, among them at least one of the `taken` numbers.
fn files_in_place_of(taken: &BTreeMap<i32, String>) -> Vec<File> {
    let files: Vec<_> = (0..taken.len() + 20).map(|_| File::open("/dev/zero").unwrap()).collect();
    assert!(files.iter().any(|file| taken.contains_key(&file.as_raw_fd())), "no number is used again: {taken:?}");
    files
}

/// Uses and drops inherited handles. No open descriptor may be closed thereby.
fn drop_inherited(mut inherited: Vec<Process<()>>) {
    let before = procs::descriptors();
    for sibling in &mut inherited {
        assert_eq!(sibling.kill().unwrap_err().kind(), ErrorKind::NotParent);
        assert_eq!(sibling.sentinel().unwrap_err().kind(), ErrorKind::NotParent);
        assert!(!sibling.is_alive() && sibling.try_join().is_err());
    }
    is_not_detached(inherited.pop().unwrap());
    inherited.pop().unwrap().join().unwrap_err();
    drop(inherited);
    assert_eq!(procs::descriptors(), before);
}

fn dropped_handles_close_nothing(method: StartMethod) {
    let mut siblings = siblings(method);
    let taken = procs::descriptors();
    let child = fork(|| {
        let files = files_in_place_of(&taken);
        let last = siblings.iter_mut().find_map(Process::take_stdin);
        assert!(last.is_none(), "a stream that the handle had in the original");
        is_not_detached(siblings.remove(ENDED));
        drop_inherited(std::mem::take(&mut siblings));
        // The copy can have children of its own, whose numbers are registered anew.
        let own = hanging(method);
        assert_eq!(value(start(method, double::call(4))), 8);
        end(vec![own]);
        files.len()
    });
    assert_eq!(value(child.unwrap()), taken.len() + 20);
    assert!(siblings.iter().any(Process::is_alive));
    end(siblings);
}

fn dropped_handles_close_nothing_in_a_copy_of_a_copy(method: StartMethod) {
    let mut siblings = siblings(method);
    let taken = procs::descriptors();
    let child = fork(|| {
        let files = files_in_place_of(&taken);
        let mut own = vec![hanging(method), hanging(method)];
        let taken_too = procs::descriptors();
        let grandchild = fork(|| {
            assert!(files.iter().all(|file| sys::is_open(file.as_raw_fd())));
            let more = files_in_place_of(&taken_too);
            drop_inherited(std::mem::take(&mut siblings));
            drop_inherited(std::mem::take(&mut own));
            more.len()
        });
        assert!(value(grandchild.unwrap()) > 0);
        let before = procs::descriptors();
        drop_inherited(std::mem::take(&mut siblings));
        assert_eq!(procs::descriptors(), before);
        assert!(own.iter().all(Process::is_alive));
        end(own);
    });
    value(child.unwrap());
    assert!(siblings.iter().any(Process::is_alive));
    end(siblings);
}

/// A copy without the library keeps the descriptors, and uses none of them. A copy of the copy has none.
fn dropped_handles_close_nothing_behind_the_librarys_back(method: StartMethod) {
    let mut siblings = siblings(method);
    let alone = value(fork(kinds_open).unwrap());
    let copy = sys::foreign_fork(|| {
        let done = catch_unwind(AssertUnwindSafe(|| {
            assert_eq!(value(fork(kinds_open).unwrap()), alone);
            let files: Vec<_> = (0..20).map(|_| File::open("/dev/zero").unwrap()).collect();
            for sibling in &siblings {
                assert_eq!(sibling.kill().unwrap_err().kind(), ErrorKind::NotParent);
            }
            is_not_detached(siblings.remove(ENDED));
            is_not_detached(siblings.pop().unwrap());
            drop(std::mem::take(&mut siblings));
            assert!(files.iter().all(|file| sys::is_open(file.as_raw_fd())));
            assert_eq!(value(fork(|| 7).unwrap()), 7);
        }));
        if done.is_err() {
            std::process::abort();
        }
    });
    assert_eq!(sys::reap(copy), 0);
    assert!(siblings.iter().any(Process::is_alive));
    end(siblings);
}

/// A copy by clone(2), past the C library's handlers, does not take its original's children for its own.
fn handles_work_in_no_copy_made_by_a_clone(method: StartMethod) {
    let siblings = siblings(method);
    let lock = offspring::sync::Mutex::new(0_u8).unwrap();
    let held = lock.lock().unwrap();
    let copy = sys::foreign_clone(|| {
        let done = catch_unwind(AssertUnwindSafe(|| {
            assert!(siblings.iter().all(|sibling| sibling.kill().unwrap_err().kind() == ErrorKind::NotParent));
            assert!(offspring::active_children().is_empty());
            assert!(catch_unwind(AssertUnwindSafe(|| *held)).is_err(), "the lock is the original's");
        }));
        if done.is_err() {
            std::process::abort();
        }
    });
    assert_eq!(sys::reap(copy), 0);
    drop(held);
    assert!(siblings.iter().any(Process::is_alive));
    end(siblings);
}

/// An end that no argument hands over.
static LEFT_LYING: Mutex<Option<Receiver<u8>>> = Mutex::new(None);

/// Returns the number of open files after the drop of the end, whose number may belong to one of the files.
#[child_task]
fn drop_end_left_lying(given: Receiver<u8>, taken: BTreeMap<i32, String>) -> u8 {
    let files: Vec<_> = (0..taken.len() + 20).map(|_| File::open("/dev/zero").unwrap()).collect();
    let before = procs::descriptors();
    let lost = LEFT_LYING.lock().unwrap().take();
    assert!(lost.as_ref().is_none_or(|end| end.try_recv().is_err()));
    drop(lost);
    assert_eq!(procs::descriptors(), before);
    drop(files);
    given.recv().unwrap()
}

fn dropped_ends_close_nothing(method: StartMethod) {
    let ends: Vec<_> = (0..20).map(|_| channel::<u8>().unwrap()).collect();
    let (to, left_lying) = channel::<u8>().unwrap();
    let (to_child, given) = channel::<u8>().unwrap();
    *LEFT_LYING.lock().unwrap() = Some(left_lying);
    let taken = procs::descriptors();
    let child = start(method, drop_end_left_lying::call(given, taken));
    to_child.send(9).unwrap();
    assert_eq!(value(child), 9);
    to.send(5).unwrap();
    assert_eq!(LEFT_LYING.lock().unwrap().take().unwrap().recv().unwrap(), 5);
    drop(ends);
}
