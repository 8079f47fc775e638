#[cfg(unix)]
#[deprecated]
#[expect(unused_variables, reason = "for the test")]
/// A child task: `ResizeTask::call(argument_1, argument_2_, argument_2)` makes a call of this function, `ResizeTask::start(argument_1, argument_2_, argument_2)` starts this function in a child process.
pub(crate) const fn r#match((width, height): (u32, u32), _: bool, argument_2: Vec<u8>) {}
#[cfg(unix)]
#[deprecated]
#[doc(hidden)]
#[allow(non_camel_case_types, reason = "the struct has the name of the function")]
pub(crate) struct ResizeTask {
    _private: (),
}
#[allow(unused_variables, reason = "for the test")]
#[allow(deprecated, reason = "callers of the task get the warning")]
const _: () = {
    enum __Entry {}
    impl crate::prelude::offspring::__private::Sealed for ResizeTask {}
    impl crate::prelude::offspring::Task for ResizeTask {
        const NAME: &'static str = "resize";
    }
    impl crate::prelude::offspring::__private::Registered for __Entry {
        const ENTRY: crate::prelude::offspring::__private::TaskEntry = crate::prelude::offspring::__private::TaskEntry {
            name: <ResizeTask as crate::prelude::offspring::Task>::NAME,
            signature: "fn((u32, u32), bool, Vec<u8>)",
            fingerprint: 0x27b4efd63db523e6_u64,
            origin: crate::prelude::offspring::__private::Origin {
                package: ::core::option_env!("CARGO_PKG_NAME"),
                version: ::core::option_env!("CARGO_PKG_VERSION"),
                binary: ::core::option_env!("CARGO_BIN_NAME"),
                test: ::core::cfg!(test),
            },
            file: ::core::file!(),
            line: ::core::line!(),
            start_method: ::core::option::Option::Some(
                crate::prelude::offspring::StartMethod::ForkServer,
            ),
            timeout: ::core::option::Option::Some(
                ::core::time::Duration::new(2u64, 500000000u32),
            ),
            idempotent: true,
            run: __Entry::run,
        };
    }
    impl __Entry {
        fn run(
            arguments: &mut crate::prelude::offspring::__private::ArgumentDecoder<'_>,
        ) -> ::core::result::Result<
            crate::prelude::offspring::__private::EncodedOutput,
            crate::prelude::offspring::__private::UndecodableArguments,
        > {
            let __0 = <(
                u32,
                u32,
            ) as crate::prelude::offspring::__private::TaskArg>::take(
                arguments,
                "argument_1",
                crate::prelude::offspring::__private::Accepted,
            )?;
            let __1 = <bool as crate::prelude::offspring::__private::TaskArg>::take(
                arguments,
                "argument_2_",
                crate::prelude::offspring::__private::Accepted,
            )?;
            let __2 = <Vec<
                u8,
            > as crate::prelude::offspring::__private::TaskArg>::take(
                arguments,
                "argument_2",
                crate::prelude::offspring::__private::Accepted,
            )?;
            crate::prelude::offspring::__private::ArgumentDecoder::finish(arguments)?;
            ::core::result::Result::Ok(
                <() as crate::prelude::offspring::__private::TaskOutput>::output(
                    r#match(__0, __1, __2),
                    crate::prelude::offspring::__private::Accepted,
                ),
            )
        }
    }
    #[allow(
        private_interfaces,
        clippy::too_many_arguments,
        reason = "the lint reports the function itself"
    )]
    impl ResizeTask {
        /// Encodes the arguments of `match` and returns the call, which runs nothing until a start.
        pub fn call(
            argument_1: (u32, u32),
            argument_2_: bool,
            argument_2: Vec<u8>,
        ) -> crate::prelude::offspring::Call<()> {
            let mut encoder = crate::prelude::offspring::__private::ArgumentEncoder::new();
            <(
                u32,
                u32,
            ) as crate::prelude::offspring::__private::TaskArg>::put(
                &argument_1,
                &mut encoder,
                "argument_1",
                crate::prelude::offspring::__private::Accepted,
            );
            <bool as crate::prelude::offspring::__private::TaskArg>::put(
                &argument_2_,
                &mut encoder,
                "argument_2_",
                crate::prelude::offspring::__private::Accepted,
            );
            <Vec<
                u8,
            > as crate::prelude::offspring::__private::TaskArg>::put(
                &argument_2,
                &mut encoder,
                "argument_2",
                crate::prelude::offspring::__private::Accepted,
            );
            <() as crate::prelude::offspring::__private::TaskOutput>::call(
                &<__Entry as crate::prelude::offspring::__private::Registered>::ENTRY,
                encoder,
                crate::prelude::offspring::__private::Accepted,
            )
        }
        /// Starts `match` in a child process, by the task's own start method or the default context.
        pub fn start(
            argument_1: (u32, u32),
            argument_2_: bool,
            argument_2: Vec<u8>,
        ) -> ::core::result::Result<
            crate::prelude::offspring::Process<()>,
            crate::prelude::offspring::Error,
        > {
            crate::prelude::offspring::Call::start(
                Self::call(argument_1, argument_2_, argument_2),
            )
        }
    }
    crate::prelude::offspring::__private::inventory::submit! {
        < __Entry as crate ::prelude::offspring::__private::Registered > ::ENTRY
    }
};
