/// A child task: `paint::call(image, others, fd)` makes a call of this function, `paint::start(image, others, fd)` starts this function in a child process.
fn paint(
    image: Image,
    others: (u8, Vec<Mutex<u64>>),
    fd: Fd<File>,
) -> Result<Vec<io::Lines>, TooBig> {
    paint_all(image, others, fd)
}
#[doc(hidden)]
#[allow(non_camel_case_types, reason = "the struct has the name of the function")]
struct paint {
    _private: (),
}
const _: () = {
    enum __Entry {}
    #[allow(unused_imports, reason = "the types decide which ones are used")]
    use ::offspring::__private::{
        Carried as _, Failing as _, Uncarried as _, Unknown as _,
    };
    impl ::offspring::__private::Sealed for paint {}
    impl ::offspring::Task for paint {
        const NAME: &'static str = ::core::concat!(
            ::core::module_path!(), "::", "paint"
        );
    }
    impl ::offspring::__private::Registered for __Entry {
        const ENTRY: ::offspring::__private::TaskEntry = ::offspring::__private::TaskEntry {
            name: <paint as ::offspring::Task>::NAME,
            signature: "fn(Image, (u8, Vec<Mutex<u64>>), Fd<File>) -> Result<Vec<io::Lines>, TooBig>",
            fingerprint: 0x1a4ea75abf4e5ef2_u64,
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
            let __0 = <Image as ::offspring::__private::TaskArg<
                _,
            >>::take(
                arguments,
                "image",
                <::offspring::__private::Crossing<
                    Image,
                > as ::offspring::__private::Question<
                    _,
                >>::judged(
                    (&&::offspring::__private::Crossing::<Image>::reason()).of_type(),
                ),
            )?;
            let __1 = <(
                u8,
                Vec<Mutex<u64>>,
            ) as ::offspring::__private::TaskArg<
                _,
            >>::take(
                arguments,
                "others",
                <::offspring::__private::Crossing<
                    Mutex<u64>,
                > as ::offspring::__private::Question<
                    _,
                >>::judged(
                    (&&::offspring::__private::Crossing::<Mutex<u64>>::reason())
                        .of_inner_error(),
                ),
            )?;
            let __2 = <Fd<
                File,
            > as ::offspring::__private::TaskArg<
                _,
            >>::take(
                arguments,
                "fd",
                <::offspring::__private::Crossing<
                    Fd<File>,
                > as ::offspring::__private::Question<
                    _,
                >>::judged(
                    (&&::offspring::__private::Crossing::<Fd<File>>::reason())
                        .of_inner_error(),
                ),
            )?;
            ::offspring::__private::ArgumentDecoder::finish(arguments)?;
            ::core::result::Result::Ok(
                <Result<
                    Vec<io::Lines>,
                    TooBig,
                > as ::offspring::__private::TaskOutput<
                    _,
                >>::output(
                    paint(__0, __1, __2),
                    <::offspring::__private::Crossing<
                        io::Lines,
                    > as ::offspring::__private::Question<
                        _,
                    >>::judged(
                            (&&::offspring::__private::Crossing::<io::Lines>::reason())
                                .of_type(),
                        )
                        .and(
                            <::offspring::__private::Crossing<
                                Result<Vec<io::Lines>, TooBig>,
                            > as ::offspring::__private::Question<
                                _,
                            >>::judged(
                                (&&::offspring::__private::Crossing::<
                                    Result<Vec<io::Lines>, TooBig>,
                                >::reason())
                                    .of_error(),
                            ),
                        ),
                ),
            )
        }
    }
    #[allow(
        private_interfaces,
        clippy::too_many_arguments,
        reason = "the lint reports the function itself"
    )]
    impl paint {
        /// Encodes the arguments of `paint` and returns the call, which runs nothing until a start.
        pub fn call(
            image: Image,
            others: (u8, Vec<Mutex<u64>>),
            fd: Fd<File>,
        ) -> ::offspring::Call<Result<Vec<io::Lines>, TooBig>> {
            let mut encoder = ::offspring::__private::ArgumentEncoder::new();
            <Image as ::offspring::__private::TaskArg<
                _,
            >>::put(
                &image,
                &mut encoder,
                "image",
                <::offspring::__private::Crossing<
                    Image,
                > as ::offspring::__private::Question<
                    _,
                >>::judged(
                    (&&::offspring::__private::Crossing::<Image>::reason()).of_type(),
                ),
            );
            <(
                u8,
                Vec<Mutex<u64>>,
            ) as ::offspring::__private::TaskArg<
                _,
            >>::put(
                &others,
                &mut encoder,
                "others",
                <::offspring::__private::Crossing<
                    Mutex<u64>,
                > as ::offspring::__private::Question<
                    _,
                >>::judged(
                    (&&::offspring::__private::Crossing::<Mutex<u64>>::reason())
                        .of_inner_error(),
                ),
            );
            <Fd<
                File,
            > as ::offspring::__private::TaskArg<
                _,
            >>::put(
                &fd,
                &mut encoder,
                "fd",
                <::offspring::__private::Crossing<
                    Fd<File>,
                > as ::offspring::__private::Question<
                    _,
                >>::judged(
                    (&&::offspring::__private::Crossing::<Fd<File>>::reason())
                        .of_inner_error(),
                ),
            );
            <Result<
                Vec<io::Lines>,
                TooBig,
            > as ::offspring::__private::TaskOutput<
                _,
            >>::call(
                &<__Entry as ::offspring::__private::Registered>::ENTRY,
                encoder,
                <::offspring::__private::Crossing<
                    io::Lines,
                > as ::offspring::__private::Question<
                    _,
                >>::judged(
                        (&&::offspring::__private::Crossing::<io::Lines>::reason())
                            .of_type(),
                    )
                    .and(
                        <::offspring::__private::Crossing<
                            Result<Vec<io::Lines>, TooBig>,
                        > as ::offspring::__private::Question<
                            _,
                        >>::judged(
                            (&&::offspring::__private::Crossing::<
                                Result<Vec<io::Lines>, TooBig>,
                            >::reason())
                                .of_error(),
                        ),
                    ),
            )
        }
        /// Starts `paint` in a child process, by the task's own start method or the default context.
        pub fn start(
            image: Image,
            others: (u8, Vec<Mutex<u64>>),
            fd: Fd<File>,
        ) -> ::core::result::Result<
            ::offspring::Process<Result<Vec<io::Lines>, TooBig>>,
            ::offspring::Error,
        > {
            ::offspring::Call::start(Self::call(image, others, fd))
        }
    }
    ::offspring::__private::inventory::submit! {
        < __Entry as ::offspring::__private::Registered > ::ENTRY
    }
};
