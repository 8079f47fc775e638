//! Generated code names everything by absolute path, so a module may call its own things what it likes.

#![deny(warnings)]
#![allow(dead_code, reason = "the things are there to be in the way")]

mod shadowed {
    use offspring::child_task;

    pub struct Result;
    pub struct Option;
    pub struct Vec;
    pub struct String;
    pub struct Some;
    pub struct Ok;
    pub struct Err;
    pub trait From {}
    pub trait Into {}
    pub trait Task {}
    pub struct Call;
    pub struct Process;
    pub struct Error;
    pub mod core {}
    pub mod std {}
    pub mod inventory {}
    pub mod __private {}
    macro_rules! concat {
        () => {};
    }
    macro_rules! line {
        () => {};
    }

    #[child_task]
    pub fn double(x: u32) -> u32 {
        x * 2
    }

    #[child_task(report)]
    pub fn check(x: u32) -> ::core::result::Result<u32, ::std::string::String> {
        if x == 0 {
            ::core::result::Result::Err("zero".to_string())
        } else {
            ::core::result::Result::Ok(x)
        }
    }

    #[offspring::preload]
    fn load() {}

    #[offspring::after_fork]
    fn forked() {}

    pub fn line_and_concat() {
        line!();
        concat!();
    }
}

fn main() {
    let _ = (shadowed::double::call(1), shadowed::check::call(1));
    shadowed::line_and_concat();
}
