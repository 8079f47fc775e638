//! A child inherits the state of its parent at the child's start, even if the forkserver is much older.

use std::fs::File;
use std::io::{Read, Seek};

use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, pthread_sigmask};
use nix::unistd::Pid;
use offspring::{StartMethod, child_task};
use offspring_tests::sys::Disposition;
use offspring_tests::{cases, procs, start, sys, value};

use crate::tasks::{nothing, status};

cases! {
    alone environment_directory_and_umask;
    alone limits_both_soft_and_hard;
    alone nice_value_and_affinity;
    alone signal_mask;
    alone ignored_signals;
    alone a_default_action_for_broken_pipes;
    alone handlers_are_not_taken_along;
    alone memory_score;
    alone streams;
    alone session_and_group;
    alone host_name.as_root();
    alone root_directory.as_root();
    alone starting_changes_nothing_here;
}

#[child_task]
fn surroundings() -> (Option<String>, String, u32) {
    let directory = std::env::current_dir().unwrap().display().to_string();
    (std::env::var("PRESENT").ok(), directory, sys::umask(0))
}

fn environment_directory_and_umask(method: StartMethod) {
    let before = value(start(method, surroundings::call()));
    assert_eq!(before.0, None);
    sys::set_variable("PRESENT", "now");
    std::env::set_current_dir("/usr").unwrap();
    sys::umask(0o67);
    assert_eq!(value(start(method, surroundings::call())), (Some("now".into()), "/usr".into(), 0o67));
}

#[child_task]
fn all_limits() -> Vec<(u64, u64)> {
    (0..16).map(sys::limit).collect()
}

fn limits_both_soft_and_hard(method: StartMethod) {
    value(start(method, nothing::call()));
    assert!(sys::set_limit(libc::RLIMIT_NOFILE, 100, 200));
    assert!(sys::set_limit(libc::RLIMIT_CORE, 0, 4096));
    assert!(sys::set_limit(libc::RLIMIT_STACK, 1 << 22, 1 << 23));
    let own: Vec<_> = (0..16).map(sys::limit).collect();
    assert_eq!(value(start(method, all_limits::call())), own);
    // Raises the soft limit again, up to the hard limit.
    assert!(sys::set_limit(libc::RLIMIT_NOFILE, 150, 200));
    assert_eq!(value(start(method, all_limits::call()))[libc::RLIMIT_NOFILE as usize], (150, 200));
}

#[child_task]
fn priority() -> (i32, String) {
    (sys::nice(), procs::status("self", "Cpus_allowed_list"))
}

fn nice_value_and_affinity(method: StartMethod) {
    value(start(method, nothing::call()));
    sys::set_nice(7);
    let mut first = CpuSet::new();
    first.set(0).unwrap();
    sched_setaffinity(Pid::this(), &first).unwrap();
    assert_eq!(value(start(method, priority::call())), (7, "0".to_owned()));
}

fn masked(keys: &[&str]) -> offspring::Call<Vec<String>> {
    status::call(keys.iter().map(|key| (*key).to_owned()).collect())
}

fn signal_mask(method: StartMethod) {
    let blocked = value(start(method, masked(&["SigBlk"])));
    assert_eq!(blocked, [procs::status("self", "SigBlk")]);
    let mut set = SigSet::empty();
    set.add(Signal::SIGUSR2);
    set.add(Signal::SIGTERM);
    pthread_sigmask(SigmaskHow::SIG_BLOCK, Some(&set), None).unwrap();
    let own = procs::status("self", "SigBlk");
    assert_eq!(own, "0000000000004800");
    assert_eq!(value(start(method, masked(&["SigBlk"]))), [&*own]);
    assert_eq!(procs::status("self", "SigBlk"), own);
    pthread_sigmask(SigmaskHow::SIG_UNBLOCK, Some(&set), None).unwrap();
    assert_eq!(value(start(method, masked(&["SigBlk"]))), ["0000000000000000"]);
}

/// Leaves out signals 32 and 33 of the C library, which its `posix_spawn` ignores.
fn ignored(of: &str) -> u64 {
    u64::from_str_radix(of, 16).unwrap() & !(3 << 31)
}

#[track_caller]
fn ignores_the_same(method: StartMethod) {
    let child = value(start(method, masked(&["SigIgn"])));
    let own = procs::status("self", "SigIgn");
    assert_eq!(ignored(&child[0]), ignored(&own), "{:x} in the child, {own} here", ignored(&child[0]));
}

fn ignored_signals(method: StartMethod) {
    ignores_the_same(method);
    for signal in [libc::SIGINT, libc::SIGHUP, libc::SIGUSR1, libc::SIGCHLD] {
        sys::on_signal(signal, Disposition::Ignore);
    }
    ignores_the_same(method);
    for signal in [libc::SIGINT, libc::SIGHUP, libc::SIGUSR1] {
        sys::on_signal(signal, Disposition::Default);
    }
    ignores_the_same(method);
}

fn a_default_action_for_broken_pipes(method: StartMethod) {
    ignores_the_same(method);
    sys::on_signal(libc::SIGPIPE, Disposition::Default);
    ignores_the_same(method);
}

fn handlers_are_not_taken_along(method: StartMethod) {
    sys::on_signal(libc::SIGUSR1, Disposition::Nothing);
    let caught = |text: &str| u64::from_str_radix(text, 16).unwrap() & 1 << (libc::SIGUSR1 - 1) != 0;
    assert!(caught(&procs::status("self", "SigCgt")));
    let child = value(start(method, masked(&["SigCgt"])));
    assert_eq!(caught(&child[0]), method == StartMethod::Fork, "a copy of this process has them");
}

#[child_task]
fn memory_scores() -> String {
    std::fs::read_to_string("/proc/self/oom_score_adj").unwrap()
}

fn memory_score(method: StartMethod) {
    value(start(method, nothing::call()));
    std::fs::write("/proc/self/oom_score_adj", "321").unwrap();
    assert_eq!(value(start(method, memory_scores::call())), "321\n");
}

#[child_task]
fn prints(text: String) {
    println!("{text} to stdout");
    eprintln!("{text} to stderr");
}

fn streams(method: StartMethod) {
    value(start(method, nothing::call()));
    let mut file = sys::temporary_file();
    let kept: [File; 2] =
        [1, 2].map(|number| File::options().write(true).open(format!("/proc/self/fd/{number}")).unwrap());
    [1, 2].into_iter().for_each(|number| sys::redirect(&file, number));
    let child = start(method, prints::call("it goes".to_owned()));
    [1, 2].into_iter().zip(&kept).for_each(|(number, file)| sys::redirect(file, number));
    value(child);
    let mut text = String::new();
    file.rewind().unwrap();
    file.read_to_string(&mut text).unwrap();
    assert_eq!(text, "it goes to stdout\nit goes to stderr\n");
}

#[child_task]
fn place() -> (i32, i32) {
    let own = procs::stat(std::process::id()).unwrap();
    (own.group, own.session)
}

/// A child that does not lead a group yet can make a session.
#[child_task]
fn in_a_new_session(method: StartMethod) -> bool {
    value(start(method, nothing::call()));
    let own = nix::unistd::setsid().unwrap().as_raw();
    value(start(method, place::call())) == (own, own)
}

fn session_and_group(method: StartMethod) {
    assert!(value(start(method, in_a_new_session::call(method))));
}

#[child_task]
fn own_host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap()
}

fn host_name(method: StartMethod) {
    value(start(method, nothing::call()));
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWUTS).unwrap();
    std::fs::write("/proc/sys/kernel/hostname", "another").unwrap();
    assert_eq!(value(start(method, own_host_name::call())), "another\n");
}

#[child_task]
fn sees_marker() -> bool {
    std::path::Path::new("/marker").exists()
}

fn root_directory(method: StartMethod) {
    use nix::mount::{MsFlags, mount};
    assert!(!value(start(method, sees_marker::call())));
    // A root directory with all files of a program, and a marker.
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).unwrap();
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
    let root = std::env::temp_dir();
    mount(Some("none"), &root, Some("tmpfs"), MsFlags::empty(), none).unwrap();
    for directory in ["proc", "dev", "usr", "lib", "lib64", "etc"] {
        let (from, to) = (format!("/{directory}"), root.join(directory));
        std::fs::create_dir(&to).unwrap();
        if std::path::Path::new(&from).exists() {
            mount(Some(&*from), &to, none, MsFlags::MS_BIND | MsFlags::MS_REC, none).unwrap();
        }
    }
    std::fs::write(root.join("marker"), "").unwrap();
    nix::unistd::chroot(&root).unwrap();
    std::env::set_current_dir("/").unwrap();
    assert!(value(start(method, sees_marker::call())));
}

fn starting_changes_nothing_here(method: StartMethod) {
    let mut set = SigSet::empty();
    set.add(Signal::SIGUSR2);
    pthread_sigmask(SigmaskHow::SIG_BLOCK, Some(&set), None).unwrap();
    sys::on_signal(libc::SIGUSR1, Disposition::Nothing);
    let keys = ["SigBlk", "SigIgn", "SigCgt", "Umask", "Cpus_allowed", "Name", "Threads"];
    let before = keys.map(|key| procs::status("self", key));
    for _ in 0..3 {
        value(start(method, nothing::call()));
    }
    assert_eq!(keys.map(|key| procs::status("self", key)), before);
}
