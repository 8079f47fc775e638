//! Prints the crate reported by each task of four crates, by the default start method, in a process of its own and in
//! a pool.

#[allow(unreachable_pub, reason = "in the library, which has the same file, it is reachable")]
mod tasks;

use std::error::Error;

use offspring::{Call, Context, child_task, process_main};

/// Two functions of one crate under one name, of which neither can be found.
#[child_task(name = "taken")]
fn taken() {}

#[child_task(name = "taken")]
fn taken_too() {}

/// Returns the tasks of one path, then the tasks of one given name.
fn calls() -> [Call<String>; 6] {
    [
        offspring_twins::tasks::which::call(),
        tasks::which::call(),
        version_one::which::call(),
        version_two::which::call(),
        offspring_twins::tasks::named::call(),
        tasks::named::call(),
    ]
}

#[process_main]
fn main() -> Result<(), Box<dyn Error>> {
    let context = Context::default();
    for call in calls() {
        println!("{}", context.start(call)?.join()?);
    }
    for error in [taken::start().unwrap_err(), taken_too::start().unwrap_err()] {
        println!("{:?}: {error}", error.kind());
    }
    let pool = context.pool().workers(1).build()?;
    for result in pool.map(calls()) {
        println!("{}", result?);
    }
    pool.join()?;
    Ok(())
}
