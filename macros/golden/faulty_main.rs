fn main() {
    #[allow(dead_code, reason = "the mistake is reported already")]
    async fn main() {}
}
::core::compile_error! {
    "`main` is async, and nothing here runs it; add the attribute of a runtime, such as `#[tokio::main]`, above or below `#[process_main]`"
}
