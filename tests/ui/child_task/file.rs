//! An open file is sent as an `Fd`.

use std::fs::File;
use std::io::Read;

use offspring::child_task;

#[child_task(report)]
fn read(mut file: File) -> std::io::Result<String> {
    let mut text = String::new();
    file.read_to_string(&mut text).map(|_| text)
}

fn main() {}
