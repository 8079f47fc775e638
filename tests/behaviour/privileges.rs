//! A child never has more privilege than its parent has now, even if the forkserver was started with more.

use offspring::{StartMethod, child_task};
use offspring_tests::{cases, procs, start, sys, value};

use crate::tasks::{nothing, status};

cases! {
    alone another_user.as_root();
    alone another_user_before_the_first_child.as_root();
    alone the_same_user_without_capabilities.as_root();
    alone fewer_groups.as_root();
    alone an_effective_user_for_a_while.as_root();
    alone no_new_privileges;
    alone an_unchanged_parent_keeps_its_server;
    alone a_new_server_for_another_user.as_root();
}

const KEYS: [&str; 7] = ["Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "NoNewPrivs"];

fn of_child() -> offspring::Call<Vec<String>> {
    status::call(KEYS.map(str::to_owned).to_vec())
}

/// Checks the child's privileges and the parent's rights over the child: a signal, and a death with the parent.
#[track_caller]
fn is_as_here(method: StartMethod) {
    let own = KEYS.map(|key| procs::status("self", key)).to_vec();
    assert_eq!(value(start(method, of_child())), own);
    let child = crate::tasks::hanging(method);
    child.kill().expect("a parent may kill its child");
    offspring_tests::failure(child);
}

fn another_user(method: StartMethod) {
    is_as_here(method);
    sys::become_user(65534);
    is_as_here(method);
    is_as_here(method);
}

fn another_user_before_the_first_child(method: StartMethod) {
    sys::become_user(65534);
    is_as_here(method);
}

fn the_same_user_without_capabilities(method: StartMethod) {
    is_as_here(method);
    sys::drop_capabilities();
    is_as_here(method);
}

fn fewer_groups(method: StartMethod) {
    nix::unistd::setgroups(&[1.into(), 2.into()]).unwrap();
    is_as_here(method);
    nix::unistd::setgroups(&[2.into()]).unwrap();
    is_as_here(method);
}

#[child_task]
fn effective_user() -> u32 {
    nix::unistd::geteuid().as_raw()
}

/// The kernel treats a program as privileged if its real and effective users differ at the exec.
fn an_effective_user_for_a_while(method: StartMethod) {
    value(start(method, nothing::call()));
    nix::unistd::seteuid(65534.into()).unwrap();
    let started = offspring::get_context(method).unwrap().start(effective_user::call());
    match method {
        StartMethod::Fork => assert_eq!(value(started.unwrap()), 65534),
        _ => assert_eq!(offspring_tests::get_error(started).kind(), offspring::ErrorKind::PrivilegedBinary),
    }
    nix::unistd::seteuid(0.into()).unwrap();
    assert_eq!(value(start(method, effective_user::call())), 0);
}

fn no_new_privileges(method: StartMethod) {
    is_as_here(method);
    sys::set_no_new_privileges();
    is_as_here(method);
    assert_eq!(procs::status("self", "NoNewPrivs"), "1");
}

fn servers(method: StartMethod) -> Vec<u32> {
    let servers = procs::servers_of(std::process::id());
    assert_eq!(servers.len(), usize::from(method == StartMethod::ForkServer), "{servers:?}");
    servers
}

fn an_unchanged_parent_keeps_its_server(method: StartMethod) {
    value(start(method, nothing::call()));
    let first = servers(method);
    for _ in 0..5 {
        value(start(method, nothing::call()));
    }
    assert_eq!(servers(method), first);
}

fn a_new_server_for_another_user(method: StartMethod) {
    value(start(method, nothing::call()));
    let first = servers(method);
    sys::become_user(65534);
    value(start(method, nothing::call()));
    offspring_tests::wait::until("the old server has left", || {
        offspring::active_children();
        procs::servers_of(std::process::id()).len() <= 1
    });
    let second = servers(method);
    assert!(first.iter().all(|pid| !second.contains(pid)), "{first:?} {second:?}");
}
