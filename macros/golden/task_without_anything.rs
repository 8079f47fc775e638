/// A child task: `nothing::call()` makes a call of it, `nothing::start()` starts it in a child process.
fn nothing() {}
#[doc(hidden)]
#[allow(
    non_camel_case_types,
    reason = "it is called like the function whose calls it makes"
)]
struct nothing {
    _private: (),
}
const _: () = {
    enum __Entry {}
    impl ::offspring::__private::Sealed for nothing {}
    impl ::offspring::Task for nothing {
        const NAME: &'static str = ::core::concat!(
            ::core::module_path!(), "::", "nothing"
        );
    }
    impl ::offspring::__private::Registered for __Entry {
        const ENTRY: ::offspring::__private::Entry = ::offspring::__private::Entry {
            name: <nothing as ::offspring::Task>::NAME,
            signature: "fn()",
            fingerprint: 0xe5b1e079110550aa_u64,
            origin: ::offspring::__private::Origin {
                package: ::core::option_env!("CARGO_PKG_NAME"),
                version: ::core::option_env!("CARGO_PKG_VERSION"),
                binary: ::core::option_env!("CARGO_BIN_NAME"),
                test: ::core::cfg!(test),
            },
            file: ::core::file!(),
            line: ::core::line!(),
            start_method: ::core::option::Option::None,
            timeout: ::core::option::Option::None,
            idempotent: false,
            run: __Entry::run,
        };
    }
    impl __Entry {
        fn run(
            arguments: &mut ::offspring::__private::Arguments<'_>,
        ) -> ::core::result::Result<
            ::offspring::__private::Output,
            ::offspring::__private::Undecodable,
        > {
            ::offspring::__private::Arguments::finish(arguments)?;
            ::core::result::Result::Ok(
                <() as ::offspring::__private::TaskOutput>::output(
                    nothing(),
                    ::offspring::__private::Fine,
                ),
            )
        }
    }
    #[allow(
        private_interfaces,
        clippy::too_many_arguments,
        reason = "the function itself shows it"
    )]
    impl nothing {
        /// Makes a call of `nothing`: the task and its encoded arguments. Nothing runs yet.
        pub fn call() -> ::offspring::Call<()> {
            let encoder = ::offspring::__private::Encoder::new();
            <() as ::offspring::__private::TaskOutput>::call(
                &<__Entry as ::offspring::__private::Registered>::ENTRY,
                encoder,
                ::offspring::__private::Fine,
            )
        }
        /// Starts `nothing` in a child process, under the default context.
        pub fn start() -> ::core::result::Result<
            ::offspring::Process<()>,
            ::offspring::Error,
        > {
            ::offspring::Call::start(Self::call())
        }
    }
    ::offspring::__private::inventory::submit! {
        < __Entry as ::offspring::__private::Registered > ::ENTRY
    }
};
