//! A preload function is no method.

use offspring::preload;

struct Model;

impl Model {
    #[preload]
    fn load(&self) {}
}

fn main() {}
