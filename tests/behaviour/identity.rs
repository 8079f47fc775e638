//! The identity of a process among the processes of its program.

use offspring::{StartMethod, active_children, child_task, current_process, parent_process};
use offspring_tests::{build, cases, failure, run, start, value};
use serde::{Deserialize, Serialize};

use crate::tasks::{begun, hang, hanging, nothing};

cases! {
    here the_program_itself;
    here a_child_knows_itself_and_its_parent;
    alone names_count_from_one;
    alone a_tree_of_two_generations;
    here nested_start_methods_are_the_parents;
    here the_active_children;
    here a_child_has_no_children_at_first;
}

fn default_name(method: StartMethod) -> &'static str {
    match method {
        StartMethod::Spawn => "SpawnProcess",
        StartMethod::Fork => "ForkProcess",
        _ => "ForkServerProcess",
    }
}

fn the_program_itself(_: StartMethod) {
    let own = current_process();
    assert_eq!((own.name(), own.pid()), ("MainProcess", std::process::id()));
    assert_eq!((own.start_method(), own.is_daemon()), (None, false));
    assert_eq!(parent_process(), None);
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Kin {
    name: String,
    pid: u32,
    method: Option<StartMethod>,
    parent: Option<(String, u32, bool)>,
}

fn kin() -> Kin {
    let own = current_process();
    Kin {
        name: own.name().to_owned(),
        pid: own.pid(),
        method: own.start_method(),
        parent: parent_process().map(|parent| (parent.name().to_owned(), parent.pid(), parent.is_alive())),
    }
}

#[child_task]
fn who() -> Kin {
    kin()
}

fn a_child_knows_itself_and_its_parent(method: StartMethod) {
    let child = run(method, build(method, who::call()).name("me"));
    let wanted = Kin {
        name: "me".into(),
        pid: child.pid(),
        method: Some(method),
        parent: Some(("MainProcess".into(), std::process::id(), true)),
    };
    assert_eq!(value(child), wanted);
}

fn names_count_from_one(method: StartMethod) {
    for number in 1..=3 {
        let child = start(method, who::call());
        let name = format!("{}-{number}", default_name(method));
        assert_eq!(child.name(), name);
        assert_eq!(value(child).name, name);
    }
}

#[child_task]
fn tree(depth: u32) -> Vec<Kin> {
    let below = if depth == 0 { 0 } else { 2 };
    let children: Vec<_> = (0..below).map(|_| tree::start(depth - 1).unwrap()).collect();
    let below = children.into_iter().flat_map(|child| child.join().unwrap());
    std::iter::once(kin()).chain(below).collect()
}

fn a_tree_of_two_generations(method: StartMethod) {
    let everyone = value(start(method, tree::call(2)));
    let prefix = default_name(method);
    let names: Vec<&str> = everyone.iter().map(|kin| kin.name.strip_prefix(prefix).unwrap()).collect();
    assert_eq!(names, ["-1", "-1:1", "-1:1:1", "-1:1:2", "-1:2", "-1:2:1", "-1:2:2"]);
    for kin in &everyone {
        assert_eq!(kin.method, Some(method), "a nested start uses its parent's method");
        let (name, pid, alive) = kin.parent.as_ref().unwrap();
        assert!(alive);
        if name != "MainProcess" {
            assert_eq!(everyone.iter().find(|parent| parent.pid == *pid).unwrap().name, *name);
        }
    }
}

#[child_task]
fn methods() -> (StartMethod, StartMethod) {
    (offspring::get_start_method(), offspring::Context::default().start_method())
}

#[child_task]
fn nested_by(method: StartMethod) -> (StartMethod, StartMethod) {
    offspring::get_context(method).unwrap().start(methods::call()).unwrap().join().unwrap()
}

fn nested_start_methods_are_the_parents(method: StartMethod) {
    assert_eq!(value(start(method, methods::call())), (method, method));
    for other in offspring_tests::METHODS {
        assert_eq!(value(start(method, nested_by::call(other))), (other, other));
    }
}

fn the_active_children(method: StartMethod) {
    assert_eq!(active_children(), []);
    let one = begun(method, build(method, hang::call()).name("one"));
    let two = hanging(method);
    let mut pids: Vec<u32> = active_children().iter().map(|child| child.pid()).collect();
    pids.sort_unstable();
    let mut wanted = [one.pid(), two.pid()];
    wanted.sort_unstable();
    assert_eq!(pids, wanted, "and not the forkserver");
    let found = active_children();
    let info = found.iter().find(|child| child.pid() == one.pid()).unwrap();
    assert_eq!((info.name(), info.start_method(), info.is_daemon()), ("one", Some(method), false));
    for child in [one, two] {
        child.kill().unwrap();
        failure(child);
    }
    assert_eq!(active_children(), []);
}

#[child_task]
fn count_children() -> usize {
    active_children().len()
}

fn a_child_has_no_children_at_first(method: StartMethod) {
    let sibling = hanging(method);
    assert_eq!(value(start(method, count_children::call())), 0);
    sibling.kill().unwrap();
    failure(sibling);
    value(start(method, nothing::call()));
}
