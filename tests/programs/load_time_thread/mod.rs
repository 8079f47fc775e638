//! A thread that is older than `main`, as some allocators and numeric libraries have.

/// The name of the thread, as the kernel shows it.
pub(crate) const NAME: &str = "older-than-main";

/// The loader calls each function of this section before `main` (System V ABI, "Initialization and Termination").
#[used]
#[expect(unsafe_code, reason = "the section's format is kept: pointers to functions of the C ABI")]
#[unsafe(link_section = ".init_array")]
static AT_LOAD: extern "C" fn() = start;

extern "C" fn start() {
    let thread = std::thread::Builder::new().name(NAME.to_owned());
    thread
        .spawn(|| {
            loop {
                std::thread::park()
            }
        })
        .expect("a thread");
}
