//! Sets a cfg for the rings' source, as part of a model. Only for this package, so that no flags are needed.

fn main() {
    println!("cargo::rustc-check-cfg=cfg(loom)");
    println!("cargo::rustc-cfg=loom");
}
