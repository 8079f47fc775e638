//! A program with a thread that is older than `main`. Prints the start methods, and how children and pools of each come
//! out.

use offspring::{Context, Error, child_task, get_all_start_methods, get_start_method, process_main};

#[path = "mod.rs"]
mod load_time_thread;

#[child_task]
fn double(n: u64) -> u64 {
    2 * n
}

#[process_main]
fn main() {
    assert_eq!(load_time_thread::NAME.len(), 15, "the longest name that the kernel keeps");
    println!("methods {:?}, default {}", get_all_start_methods(), get_start_method());
    match double::start(21) {
        Ok(child) => println!("child by {}: {:?}", child.start_method(), child.join().ok()),
        Err(error) => print("child", &error),
    }
    match Context::default().pool().workers(2).build() {
        Ok(pool) => println!("pool: {:?}", pool.submit(double::call(21)).wait().ok()),
        Err(error) => print("pool", &error),
    }
}

fn print(what: &str, error: &Error) {
    println!("{what}: {:?}: {error}", error.kind());
}
