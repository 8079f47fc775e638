//! This executable, to be started again, even if its file has been replaced or deleted since.
//!
//! Sources: proc_pid_exe(5), PR_GET_AUXV(2const), proc_pid_auxv(5), dl_iterate_phdr(3).

use std::ffi::{CStr, CString};
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;

/// The path by which the kernel opens the running program's file, also a deleted file.
pub(crate) const PATH: &CStr = c"/proc/self/exe";

/// The reason why this program cannot be started again.
#[derive(Debug)]
pub(crate) enum UnusableExecutable {
    /// `/proc/self/exe` cannot be used.
    NoProc(io::Error),
    /// `/proc/self/exe` is a loader or an emulator that runs this program.
    OtherProgram,
    /// The file would give its process privileges that this process lacks, or has given up.
    Privileged,
    /// The effective ids of this process are not its real ones, so a new program would refuse to be a child.
    MixedIds,
}

/// Checks that a start of [`PATH`] starts this program, with no more privilege than this process has.
pub(crate) fn check() -> Result<(), UnusableExecutable> {
    if super::is_privileged_execution() {
        return Err(UnusableExecutable::Privileged);
    }
    let file = std::fs::metadata("/proc/self/exe").map_err(UnusableExecutable::NoProc)?;
    if !is_own_image().map_err(UnusableExecutable::NoProc)? {
        return Err(UnusableExecutable::OtherProgram);
    }
    let is_set_id = file.mode() & (libc::S_ISUID | libc::S_ISGID) != 0 || has_file_capabilities();
    if is_set_id && !super::identity::has_ids_of_its_execution() {
        return Err(UnusableExecutable::Privileged);
    }
    if super::identity::executes_with_privilege() {
        return Err(UnusableExecutable::MixedIds);
    }
    Ok(())
}

/// Returns whether the program that the kernel loaded contains this code.
///
/// The kernel loads `ld.so`, of `ld.so ./program`, or a user-mode emulator in the program's place. Then the program
/// headers in the kernel's auxiliary vector are not the program's. (ld.so corrects the C library's copy of the vector.)
fn is_own_image() -> io::Result<bool> {
    const AT_PHDR: usize = 3;
    let vector = auxiliary_vector()?;
    let headers = vector.chunks_exact(2).find(|pair| pair[0] == AT_PHDR).map(|pair| pair[1]);
    Ok(headers.is_none_or(|headers| headers == program_headers()))
}

/// Reads the auxiliary vector of this process.
///
/// Tries prctl(2) `PR_GET_AUXV` (Linux 6.4) first: a process that has changed its ids cannot read the file in `/proc`.
fn auxiliary_vector() -> io::Result<Vec<usize>> {
    const PR_GET_AUXV: libc::c_int = 0x4155_5856;
    let mut words = vec![0_usize; 128];
    let size = size_of_val(&words[..]);
    // SAFETY: the kernel writes at most the size given.
    let written = unsafe { libc::prctl(PR_GET_AUXV, words.as_mut_ptr(), size, 0, 0) };
    if written > 0 {
        words.truncate(written as usize / size_of::<usize>());
        return Ok(words);
    }
    let bytes = std::fs::read("/proc/self/auxv")?;
    let word = |bytes: &[u8]| usize::from_ne_bytes(bytes.try_into().unwrap_or_default());
    Ok(bytes.chunks_exact(size_of::<usize>()).map(word).collect())
}

/// Returns the address of the main program's headers, those of the first object that the loader lists.
fn program_headers() -> usize {
    unsafe extern "C" fn first(info: *mut libc::dl_phdr_info, _size: usize, found: *mut libc::c_void) -> libc::c_int {
        // SAFETY: the loader passes a valid object.
        let headers = unsafe { (*info).dlpi_phdr } as usize;
        // SAFETY: `found` is the variable below.
        unsafe { found.cast::<usize>().write(headers) };
        1
    }
    let mut found = 0_usize;
    // SAFETY: the callback gets the pointer that is passed here, while the variable lives.
    unsafe { libc::dl_iterate_phdr(Some(first), (&raw mut found).cast()) };
    found
}

fn has_file_capabilities() -> bool {
    // SAFETY: two terminated strings; a null buffer of length 0 only asks for the size.
    unsafe { libc::getxattr(PATH.as_ptr(), c"security.capability".as_ptr(), std::ptr::null_mut(), 0) > 0 }
}

/// Returns the arguments with which this program was started.
pub(crate) fn arguments() -> Vec<CString> {
    std::env::args_os().filter_map(|argument| CString::new(argument.into_vec()).ok()).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn this_test_binary_can_be_started_again() {
        assert!(super::check().is_ok());
    }
}
