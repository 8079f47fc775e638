//! A child has no async runtime.

use offspring::child_task;

#[child_task]
async fn fetch(url: String) -> String {
    url
}

pub fn used() -> offspring::Call<String> {
    fetch::call(String::new())
}

fn main() {}
