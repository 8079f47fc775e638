//! The uses of a task are no mistakes, whatever is wrong with it.

use offspring::{Call, child_task};

#[child_task]
fn length(text: &str) -> usize {
    text.len()
}

#[child_task]
fn largest<T: Ord>(values: Vec<T>) -> Option<T> {
    values.into_iter().max()
}

#[child_task(timeout = "soon", report)]
async fn fetch(url: String) -> std::io::Result<String> {
    Ok(url)
}

pub fn uses() -> Result<(), offspring::Error> {
    let calls: [Call<usize>; 2] = [length::call("a"), length::call("b")];
    let largest = largest::start(vec![1_u8, 2])?;
    let fetched = fetch::call("https://example.org".to_owned()).start()?;
    drop((calls, largest, fetched));
    Ok(())
}

fn main() {}
