/// A child task: `nothing::call()` makes a call of this function, `nothing::start()` starts this function in a child process.
fn nothing() {}
#[doc(hidden)]
#[allow(non_camel_case_types, reason = "the struct has the name of the function")]
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
        const ENTRY: ::offspring::__private::TaskEntry = ::offspring::__private::TaskEntry {
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
            arguments: &mut ::offspring::__private::ArgumentDecoder<'_>,
        ) -> ::core::result::Result<
            ::offspring::__private::EncodedOutput,
            ::offspring::__private::UndecodableArguments,
        > {
            ::offspring::__private::ArgumentDecoder::finish(arguments)?;
            ::core::result::Result::Ok(
                <() as ::offspring::__private::TaskOutput>::output(
                    nothing(),
                    ::offspring::__private::Accepted,
                ),
            )
        }
    }
    #[allow(
        private_interfaces,
        clippy::too_many_arguments,
        reason = "the lint reports the function itself"
    )]
    impl nothing {
        /// Encodes the arguments of `nothing` and returns the call, which runs nothing until a start.
        pub fn call() -> ::offspring::Call<()> {
            let encoder = ::offspring::__private::ArgumentEncoder::new();
            <() as ::offspring::__private::TaskOutput>::call(
                &<__Entry as ::offspring::__private::Registered>::ENTRY,
                encoder,
                ::offspring::__private::Accepted,
            )
        }
        /// Starts `nothing` in a child process, by the task's own start method or the default context.
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
