//! Tasks made by `macro_rules!`: their names, arguments and types come from different places.

#![deny(warnings)]

use offspring::child_task;

macro_rules! tasks {
    ($($name:ident($argument:ident: $type:ty) -> $output:ty, $task_name:literal;)*) => {$(
        #[child_task(name = $task_name)]
        fn $name($argument: $type, more: u8, encoder: $type) -> $output {
            let _ = (more, encoder);
            $argument.into()
        }
    )*};
}

tasks! {
    widen(x: u8) -> u64, "widen";
    collect(more_of_it: Vec<u8>) -> std::collections::VecDeque<u8>, "collect";
}

macro_rules! fallible {
    ($error:ty) => {
        #[child_task(report)]
        fn checked(value: u8) -> Result<u8, $error> {
            Ok(value)
        }
    };
}

fallible!(std::io::Error);

macro_rules! made {
    ($name:ident, $body:block) => {
        #[child_task]
        fn $name() -> u64 $body
    };
}

made!(block, { 1 + 2 });

macro_rules! every_fragment {
    (
        $(#[$meta:meta])* $vis:vis $name:ident($pattern:pat => $type:ty, $path:path) -> $output:ty,
        $task_name:expr, $timeout:literal, $krate:path, $handle:ident, $value:expr, $body:block
    ) => {
        #[child_task(name = $task_name, timeout = $timeout, crate = $krate, handle = $handle)]
        $(#[$meta])*
        $vis fn $name($pattern: $type, other: $path) -> $output {
            let _ = (other, $value);
            $body
        }
    };
}

mod inner {
    use super::child_task;

    every_fragment! {
        /// With docs.
        #[allow(unused_parens, reason = "for the test")]
        pub(crate) every((a, b) => (u8, [u8; 2]), std::string::String) -> Option<u8>,
        "every fragment", "1s", ::offspring, Every, 1 + 2, { Some(a + b[0]) }
    }
}

macro_rules! whole {
    ($item:item) => {
        #[child_task]
        $item
    };
}

whole! {
    fn item(x: u8) -> u8 {
        x
    }
}

macro_rules! private {
    ($vis:vis $name:ident) => {
        #[child_task]
        $vis fn $name() {}
    };
}

private!(unseen);

fn main() {
    let _ = (
        widen::call(1, 2, 3),
        collect::call(vec![1], 2, vec![]),
        checked::call(1),
        block::call(),
        inner::Every::call((1, [2, 3]), String::new()),
        item::call(1),
        unseen::call(),
    );
}
