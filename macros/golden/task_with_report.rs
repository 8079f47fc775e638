/// A child task: `read::call(path)` makes a call of this function, `read::start(path)` starts this function in a child process.
fn read(path: PathBuf) -> io::Result<String> {
    fs::read_to_string(path)
}
#[doc(hidden)]
#[allow(non_camel_case_types, reason = "the struct has the name of the function")]
struct read {
    _private: (),
}
const _: () = {
    enum __Entry {}
    impl ::offspring::__private::Sealed for read {}
    impl ::offspring::Task for read {
        const NAME: &'static str = ::core::concat!(::core::module_path!(), "::", "read");
    }
    impl ::offspring::__private::Registered for __Entry {
        const ENTRY: ::offspring::__private::TaskEntry = ::offspring::__private::TaskEntry {
            name: <read as ::offspring::Task>::NAME,
            signature: "fn(PathBuf) -> io::Result<String>",
            fingerprint: 0x5e9eaacde9f26965_u64,
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
            let __0 = <PathBuf as ::offspring::__private::TaskArg>::take(
                arguments,
                "path",
                ::offspring::__private::Accepted,
            )?;
            ::offspring::__private::ArgumentDecoder::finish(arguments)?;
            ::core::result::Result::Ok(
                <<io::Result<
                    String,
                > as ::offspring::__private::Fallible>::Reported as ::offspring::__private::TaskOutput>::output(
                    match <io::Result<
                        String,
                    > as ::offspring::__private::Fallible>::into_result(read(__0)) {
                        ::core::result::Result::Ok(value) => {
                            ::core::result::Result::Ok(value)
                        }
                        ::core::result::Result::Err(error) => {
                            #[allow(
                                unused_imports,
                                reason = "the type of the error decides which one is used"
                            )]
                            use ::offspring::__private::{
                                ReportAny as _, ReportNone as _, ReportSend as _,
                            };
                            let error = ::core::option::Option::Some(error);
                            ::core::result::Result::Err(
                                (&mut &mut ::offspring::__private::Reporting(error))
                                    .report(),
                            )
                        }
                    },
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
    impl read {
        /// Encodes the arguments of `read` and returns the call, which runs nothing until a start.
        pub fn call(
            path: PathBuf,
        ) -> ::offspring::Call<
            <io::Result<String> as ::offspring::__private::Fallible>::Reported,
        > {
            let mut encoder = ::offspring::__private::ArgumentEncoder::new();
            <PathBuf as ::offspring::__private::TaskArg>::put(
                &path,
                &mut encoder,
                "path",
                ::offspring::__private::Accepted,
            );
            <<io::Result<
                String,
            > as ::offspring::__private::Fallible>::Reported as ::offspring::__private::TaskOutput>::call(
                &<__Entry as ::offspring::__private::Registered>::ENTRY,
                encoder,
                ::offspring::__private::Accepted,
            )
        }
        /// Starts `read` in a child process, by the task's own start method or the default context.
        pub fn start(
            path: PathBuf,
        ) -> ::core::result::Result<
            ::offspring::Process<
                <io::Result<String> as ::offspring::__private::Fallible>::Reported,
            >,
            ::offspring::Error,
        > {
            ::offspring::Call::start(Self::call(path))
        }
    }
    ::offspring::__private::inventory::submit! {
        < __Entry as ::offspring::__private::Registered > ::ENTRY
    }
};
