//! A public task may have private types, as any function may; and types of every shape that serde knows.

#![deny(warnings)]
#![allow(private_interfaces, reason = "the compiler says so of the function itself, once")]

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Debug;
use std::path::PathBuf;

use offspring::child_task;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Options {
    paths: Vec<PathBuf>,
}

type Pair<T> = (T, T);

#[child_task]
pub fn work(options: Options) -> Options {
    options
}

#[child_task]
pub fn shapes(
    nested: Vec<Option<(u8, [String; 2])>>,
    text: Cow<'static, str>,
    pair: Pair<u8>,
    map: HashMap<String, Result<u8, String>>,
    qualified: <Vec<u8> as IntoIterator>::Item,
    array: [u8; 2 + 2],
) -> ((), impl_free::Output) {
    let _: &dyn Debug = &(nested, text, pair, map, qualified, array);
    ((), impl_free::Output)
}

mod impl_free {
    #[derive(serde::Serialize, serde::Deserialize)]
    pub struct Output;
}

fn main() {
    let options = work::call(Options { paths: vec![] });
    let _ = (
        options,
        shapes::call(vec![], "x".into(), (1, 2), HashMap::new(), 1, [0; 4]),
    );
}
