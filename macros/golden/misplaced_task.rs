pub struct Options;
::core::compile_error! {
    "`#[child_task]` goes on a function, and this is none; move what is to run into an `fn`"
}
