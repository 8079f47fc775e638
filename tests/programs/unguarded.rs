//! A program without `#[process_main]`: starting a child by re-execution is refused, so that it cannot start itself for
//! ever.

use offspring::{StartMethod, child_task, get_context};

#[child_task]
fn answer() -> u8 {
    42
}

fn main() {
    println!("main");
    for method in [StartMethod::Spawn, StartMethod::ForkServer, StartMethod::Fork] {
        let started = get_context(method).and_then(|context| context.start(answer::call()));
        match started {
            Ok(child) => println!("{method}: {:?}", child.join().ok()),
            Err(error) => println!("{method}: {:?}: {error}", error.kind()),
        }
    }
}
