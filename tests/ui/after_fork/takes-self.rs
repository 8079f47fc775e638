//! An after-fork function is no method.

use offspring::after_fork;

struct Model;

impl Model {
    #[after_fork]
    fn load(&self) {}
}

fn main() {}
