//! Children of a test binary with a thread that is older than `main`.

use offspring::{ErrorKind, StartMethod, child_task, get_all_start_methods, get_context, get_start_method};

#[path = "programs/load_time_thread/mod.rs"]
mod load_time_thread;

offspring::test_guard!();

#[child_task]
fn double(n: u64) -> u64 {
    2 * n
}

#[test]
fn a_default_spawns_and_a_chosen_forkserver_names_the_thread() {
    let error = get_context(StartMethod::ForkServer).unwrap().start(double::call(4)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::MultiThreadedFork);
    let text = error.to_string();
    assert!(text.contains(load_time_thread::NAME) && text.contains("`spawn`"), "{text}");

    let child = double::start(4).unwrap();
    assert_eq!(child.start_method(), StartMethod::Spawn);
    assert_eq!(child.join().unwrap(), 8);
    assert_eq!((get_start_method(), get_all_start_methods()), (StartMethod::Spawn, &[StartMethod::Spawn][..]));
}

#[test]
fn a_first_start_by_the_default_finds_out_by_itself() {
    assert_eq!(double::start(5).unwrap().join().unwrap(), 10);
    let pool = offspring::Context::default().pool().workers(1).build().unwrap();
    assert_eq!(pool.submit(double::call(6)).wait().unwrap(), 12);
}
