fn load() -> io::Result<()> {
    Ok(())
}
const _: () = {
    ::offspring::__private::inventory::submit! {
        ::offspring::__private::Preload { name : ::core::concat!(::core::module_path!(),
        "::", "load"), file : ::core::file!(), line : ::core::line!(), run : || <
        io::Result < () > as ::offspring::__private::PreloadOutput > ::outcome(load()), }
    }
};
fn reseed() {}
const _: () = {
    ::offspring::__private::inventory::submit! {
        ::offspring::__private::AfterFork { name :
        ::core::concat!(::core::module_path!(), "::", "reseed"), file : ::core::file!(),
        line : ::core::line!(), run : reseed, }
    }
};
