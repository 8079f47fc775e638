fn main() -> ::std::process::ExitCode {
    /// Starts here.
    #[tokio::main]
    async fn main() -> anyhow::Result<()> {
        Ok(())
    }
    ::offspring::__private::main(
        ::core::option::Option::Some(::offspring::StartMethod::Spawn),
        main,
    )
}
#[cfg(test)]
#[::core::prelude::v1::test]
fn __offspring_child() {
    ::offspring::__private::test_child()
}
#[cfg(test)]
const _: () = {
    ::offspring::__private::inventory::submit! {
        ::offspring::__private::TestGuard { module : ::core::module_path!() }
    }
};
