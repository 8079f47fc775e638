//! Errors that are known to be without serde need `report`; an alias hides them from us, not from the compiler.

use offspring::child_task;

#[child_task]
fn read(path: String) -> std::io::Result<String> {
    std::fs::read_to_string(path)
}

#[child_task]
fn size(path: String) -> Result<u64, std::io::Error> {
    Ok(std::fs::metadata(path)?.len())
}

type Result2<T> = Result<T, std::io::Error>;

#[child_task]
fn link(path: String) -> Result2<bool> {
    Ok(std::fs::metadata(path)?.is_symlink())
}

fn main() {}
