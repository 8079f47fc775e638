//! Coverage data of copies of this process, in a program built with `-C instrument-coverage` (as by `cargo llvm-cov`).
//!
//! LLVM's runtime counts in memory, and writes the counts to a file in an exit handler. A copy of a process inherits
//! the counts and the file's name, and ends without exit handlers. So a copy begins with counts of zero and a name of
//! its own, and writes its file before it ends.
//!
//! The program has the functions below only if it is instrumented. So they are *weak* symbols: their addresses are zero
//! in any other program. Stable Rust has no weak symbols, and the assembler has.
//!
//! Source: [InstrProfiling.h](https://github.com/llvm/llvm-project/blob/main/compiler-rt/lib/profile/InstrProfiling.h),
//! [the file's name](https://clang.llvm.org/docs/SourceBasedCodeCoverage.html#running-the-instrumented-program).

use std::ffi::{CString, OsStr, c_char, c_int};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// Defines a word with the address of a weak function.
macro_rules! weak {
    ($word:literal, $function:literal) => {
        #[cfg(target_pointer_width = "64")]
        weak!($word, $function, ".balign 8", ".quad ");
        #[cfg(target_pointer_width = "32")]
        weak!($word, $function, ".balign 4", ".long ");
    };
    ($word:literal, $function:literal, $align:literal, $place:literal) => {
        std::arch::global_asm!(
            concat!(".weak ", $function),
            // Found in this program or not at all, and not asked for in shared libraries.
            concat!(".hidden ", $function),
            ".pushsection .data.rel.ro.offspring_coverage,\"aw\"",
            $align,
            concat!(".globl ", $word),
            concat!(".hidden ", $word),
            concat!($word, ":"),
            concat!($place, $function),
            ".popsection",
        );
    };
}

weak!("__offspring_profile_write_file", "__llvm_profile_write_file");
weak!("__offspring_profile_set_filename", "__llvm_profile_set_filename");
weak!("__offspring_profile_reset_counters", "__llvm_profile_reset_counters");

unsafe extern "C" {
    #[link_name = "__offspring_profile_write_file"]
    static WRITE_FILE: Option<unsafe extern "C" fn() -> c_int>;
    #[link_name = "__offspring_profile_set_filename"]
    static SET_FILENAME: Option<unsafe extern "C" fn(*const c_char)>;
    #[link_name = "__offspring_profile_reset_counters"]
    static RESET_COUNTERS: Option<unsafe extern "C" fn()>;
}

/// The variable of the file's name.
const VARIABLE: &str = "LLVM_PROFILE_FILE";

/// The name that Rust gives a file without the variable.
const DEFAULT_NAME: &str = "default_%m_%p.profraw";

/// Begins the counts of a copy of this process, in the copy.
pub(super) fn begin_copy() {
    // SAFETY: a word that nothing changes.
    let (Some(set_filename), Some(reset)) = (unsafe { SET_FILENAME }, unsafe { RESET_COUNTERS }) else { return };
    let pattern = std::env::var_os(VARIABLE).unwrap_or_else(|| DEFAULT_NAME.into());
    let Some(name) = own_name(&pattern, super::pid()) else { return };
    // SAFETY: a fresh copy has one thread; the runtime copies the name.
    unsafe { set_filename(name.as_ptr()) };
    // SAFETY: as above.
    unsafe { reset() };
}

/// Writes the counts, before an end without exit handlers.
pub(super) fn write() {
    // SAFETY: a word that nothing changes.
    if let Some(write_file) = unsafe { WRITE_FILE } {
        // SAFETY: has no preconditions. A failure leaves a message of the runtime, and no file.
        let _ = unsafe { write_file() };
    }
}

/// Returns the pattern with this process's id for `%p`, which the runtime would replace by the original's.
///
/// Returns `None` where a file takes the counts of all processes as they are: in the continuous mode (`%c`) the counts
/// are in the file already.
fn own_name(pattern: &OsStr, pid: u32) -> Option<CString> {
    let mut name = Vec::new();
    let mut bytes = pattern.as_bytes().iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match (byte, bytes.peek()) {
            (b'%', Some(b'c')) => return None,
            (b'%', Some(b'p')) => {
                bytes.next();
                name.extend(pid.to_string().bytes());
            }
            _ => name.push(byte),
        }
    }
    CString::new(std::ffi::OsString::from_vec(name).into_encoded_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_has_a_name_of_its_own() {
        let name = |pattern: &str| own_name(pattern.as_ref(), 17).map(|name| name.into_string().unwrap());
        assert_eq!(name(DEFAULT_NAME).as_deref(), Some("default_%m_17.profraw"));
        assert_eq!(name("/a/%p/%4m-%p.profraw").as_deref(), Some("/a/17/%4m-17.profraw"));
        assert_eq!(name("plain%").as_deref(), Some("plain%"));
        assert_eq!(name("%p-%c.profraw"), None);
    }
}
