fn longest<'a, T>(texts: &'a [T], default: &'a str) -> &'a str
where
    T: AsRef<str>,
{
    texts.iter().map(T::as_ref).max_by_key(|text| text.len()).unwrap_or(default)
}
#[doc(hidden)]
#[allow(non_camel_case_types, reason = "the struct has the name of the function")]
struct longest {
    _private: (),
}
const _: () = {
    #[allow(
        dead_code,
        private_interfaces,
        reason = "the task has a mistake, which is reported already"
    )]
    impl longest {
        pub fn call<'a, T>(_: &'a [T], _: &'a str) -> ::offspring::Call<&'a str>
        where
            T: AsRef<str>,
        {
            loop {}
        }
        pub fn start<'a, T>(
            _: &'a [T],
            _: &'a str,
        ) -> ::core::result::Result<::offspring::Process<&'a str>, ::offspring::Error>
        where
            T: AsRef<str>,
        {
            loop {}
        }
    }
};
::core::compile_error! {
    "`5` has no unit that a timeout can have; end it with `ns`, `us`, `ms`, `s`, `m` or `h`, as in `2.5s`"
}
::core::compile_error! {
    "a task owns its arguments; take `Vec<T>`"
}
::core::compile_error! {
    "a task owns its arguments; take `String`"
}
::core::compile_error! {
    "the result of a task is sent to another process, so it cannot borrow; return `String`"
}
::core::compile_error! {
    "a child task is looked up by name at run time, so it cannot be generic; write one task for each type, which may all call one generic function"
}
