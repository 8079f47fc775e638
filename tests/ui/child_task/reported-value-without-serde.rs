//! `report` is for the error; the value is sent as ever.

use offspring::child_task;

pub struct Image {
    pub width: u32,
}

#[child_task(report)]
pub fn load(width: u32) -> Result<Image, String> {
    Ok(Image { width })
}

fn main() {}
