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

fn main() {
    let _ = (
        widen::call(1, 2, 3),
        collect::call(vec![1], 2, vec![]),
        checked::call(1),
    );
}
