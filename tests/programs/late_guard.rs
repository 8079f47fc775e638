//! A program with a guard that its workers do not reach: `main` ends first if there is nothing to read, and the program
//! has read all.

use offspring::{StartMethod, child_task, get_context, guard};

#[child_task]
fn answer() -> u8 {
    42
}

fn main() {
    println!("main");
    let mut line = String::new();
    if std::io::stdin().read_line(&mut line).unwrap_or(0) == 0 {
        std::process::exit(3);
    }
    guard();
    for method in [StartMethod::Spawn, StartMethod::ForkServer, StartMethod::Fork] {
        let pool = get_context(method).and_then(|context| context.pool().workers(2).build());
        match pool {
            Ok(pool) => println!("{method}: {:?}", pool.submit(answer::call()).wait().ok()),
            Err(error) => println!("{method}: {:?}: {error}", error.kind()),
        }
    }
}
