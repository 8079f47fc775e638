/// Adds.
///
/// A child task: `add::call(a, b)` makes a call of this function, `add::start(a, b)` starts this function in a child process.
pub fn add(a: u32, mut b: u32) -> u32 {
    b += a;
    b
}
#[doc(hidden)]
#[allow(non_camel_case_types, reason = "the struct has the name of the function")]
pub struct add {
    _private: (),
}
const _: () = {
    enum __Entry {}
    impl ::offspring::__private::Sealed for add {}
    impl ::offspring::Task for add {
        const NAME: &'static str = ::core::concat!(::core::module_path!(), "::", "add");
    }
    impl ::offspring::__private::Registered for __Entry {
        const ENTRY: ::offspring::__private::TaskEntry = ::offspring::__private::TaskEntry {
            name: <add as ::offspring::Task>::NAME,
            signature: "fn(u32, u32) -> u32",
            fingerprint: 0xa298c786f12aa033_u64,
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
            let __0 = <u32 as ::offspring::__private::TaskArg>::take(
                arguments,
                "a",
                ::offspring::__private::Accepted,
            )?;
            let __1 = <u32 as ::offspring::__private::TaskArg>::take(
                arguments,
                "b",
                ::offspring::__private::Accepted,
            )?;
            ::offspring::__private::ArgumentDecoder::finish(arguments)?;
            ::core::result::Result::Ok(
                <u32 as ::offspring::__private::TaskOutput>::output(
                    add(__0, __1),
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
    impl add {
        /// Encodes the arguments of `add` and returns the call, which runs nothing until a start.
        pub fn call(a: u32, b: u32) -> ::offspring::Call<u32> {
            let mut encoder = ::offspring::__private::ArgumentEncoder::new();
            <u32 as ::offspring::__private::TaskArg>::put(
                &a,
                &mut encoder,
                "a",
                ::offspring::__private::Accepted,
            );
            <u32 as ::offspring::__private::TaskArg>::put(
                &b,
                &mut encoder,
                "b",
                ::offspring::__private::Accepted,
            );
            <u32 as ::offspring::__private::TaskOutput>::call(
                &<__Entry as ::offspring::__private::Registered>::ENTRY,
                encoder,
                ::offspring::__private::Accepted,
            )
        }
        /// Starts `add` in a child process, by the task's own start method or the default context.
        pub fn start(
            a: u32,
            b: u32,
        ) -> ::core::result::Result<::offspring::Process<u32>, ::offspring::Error> {
            ::offspring::Call::start(Self::call(a, b))
        }
    }
    ::offspring::__private::inventory::submit! {
        < __Entry as ::offspring::__private::Registered > ::ENTRY
    }
};
