//! Says to the rings' source that it is part of a model: for this package alone, so that no flags are needed.

fn main() {
    println!("cargo::rustc-check-cfg=cfg(loom)");
    println!("cargo::rustc-cfg=loom");
}
