//! The choice of the start method, and the places where the choice is made.

use offspring::{
    Context, ErrorKind, StartMethod, child_task, force_start_method, get_all_start_methods, get_context,
    get_start_method, set_start_method,
};
use offspring_tests::{Program, cases, program, start, value};

use crate::tasks::{double, own_pid};

cases! {
    here methods_of_the_platform;
    alone set_once_and_force;
    alone using_the_default_fixes_it;
    alone a_context_has_its_own;
    alone a_context_does_not_set_the_global;
    here a_child_tells_the_method_that_started_it;
    alone the_guard_does_not_fix_the_method;
    alone nothing_is_done_before_the_first_start;
    here the_environment_sets_the_default;
    here an_environment_that_names_no_method;
    alone a_task_may_have_its_own_method;
    alone default_context_starts_by_the_global_method;
}

fn methods_of_the_platform(method: StartMethod) {
    let all = get_all_start_methods();
    assert!(all.contains(&method) && all.contains(&StartMethod::Spawn));
    assert_eq!(all[0], offspring::Platform::current().default_start_method());
}

fn set_once_and_force(method: StartMethod) {
    set_start_method(method).unwrap();
    assert_eq!(get_start_method(), method);
    for other in offspring_tests::METHODS {
        let error = set_start_method(other).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ContextAlreadySet);
        assert!(error.to_string().contains(method.as_str()), "{error}");
        force_start_method(other).unwrap();
        assert_eq!(get_start_method(), other);
        force_start_method(method).unwrap();
    }
    let child = double::start(2).unwrap();
    assert_eq!(child.start_method(), method);
    assert_eq!(value(child), 4);
}

fn using_the_default_fixes_it(method: StartMethod) {
    let used = Context::default();
    assert_eq!(used.start_method(), get_all_start_methods()[0]);
    assert_eq!(set_start_method(method).unwrap_err().kind(), ErrorKind::ContextAlreadySet);
    force_start_method(method).unwrap();
    assert_eq!(used.start_method(), get_all_start_methods()[0], "contexts that exist keep theirs");
}

fn a_context_has_its_own(method: StartMethod) {
    let context = get_context(method).unwrap();
    for other in offspring_tests::METHODS {
        force_start_method(other).unwrap();
        assert_eq!(context.start_method(), method);
        assert_eq!(context.clone().start_method(), method);
        assert_eq!(context.start(double::call(1)).unwrap().start_method(), method);
    }
}

fn a_context_does_not_set_the_global(method: StartMethod) {
    assert_eq!(value(start(method, double::call(8))), 16);
    let other = offspring_tests::METHODS.into_iter().find(|other| *other != method).unwrap();
    set_start_method(other).unwrap();
    assert_eq!(get_start_method(), other);
}

#[child_task]
fn told() -> Option<StartMethod> {
    offspring::current_process().start_method()
}

fn a_child_tells_the_method_that_started_it(method: StartMethod) {
    assert_eq!(value(start(method, told::call())), Some(method));
}

fn the_guard_does_not_fix_the_method(method: StartMethod) {
    offspring::guard();
    set_start_method(method).unwrap();
    assert_eq!(get_start_method(), method);
}

fn nothing_is_done_before_the_first_start(method: StartMethod) {
    use offspring_tests::procs;
    let before = procs::descriptors();
    let context = get_context(method).unwrap();
    drop(context.process(double::call(3)).name("never started").daemon(true));
    assert_eq!(procs::descriptors(), before);
    assert_eq!(procs::children_of(std::process::id()), []);
    assert_eq!(procs::status("self", "Threads"), "1");
}

/// Prints the default method, and the result of a start by the default.
pub(crate) fn reports(_: StartMethod, _: &[String]) {
    let started = own_pid::start();
    program::say(get_start_method());
    match started {
        Ok(child) => program::say(format!("{} {}", child.start_method(), child.pid() == child.join().unwrap())),
        Err(error) => program::say(format!("{:?} {error}", error.kind())),
    }
}

fn the_environment_sets_the_default(method: StartMethod) {
    let program = Program::new("contexts::reports", method).env("OFFSPRING_START_METHOD", method.as_str());
    assert_eq!(program.finish().succeeded(), format!("{method}\n{method} true\n"));
    let program = Program::new("contexts::reports", method).env("OFFSPRING_START_METHOD", "");
    assert!(program.finish().succeeded().starts_with(get_all_start_methods()[0].as_str()), "empty is not set");
}

fn an_environment_that_names_no_method(method: StartMethod) {
    let program = Program::new("contexts::reports", method).env("OFFSPRING_START_METHOD", "thread");
    let printed = program.finish().succeeded();
    assert!(printed.contains("UnknownStartMethod OFFSPRING_START_METHOD cannot be followed"), "{printed}");
}

#[child_task(start_method = "spawn")]
fn always_spawned() -> Option<StartMethod> {
    offspring::current_process().start_method()
}

fn a_task_may_have_its_own_method(method: StartMethod) {
    set_start_method(method).unwrap();
    let child = always_spawned::start().unwrap();
    assert_eq!(child.start_method(), StartMethod::Spawn);
    assert_eq!(value(child), Some(StartMethod::Spawn));
    assert_eq!(value(start(method, always_spawned::call())), Some(method), "a context chooses");
}

fn default_context_starts_by_the_global_method(method: StartMethod) {
    set_start_method(method).unwrap();
    let child = Context::default().start(told::call()).unwrap();
    assert_eq!(value(child), Some(method));
}
