//! The environment as one value: read at the start of a child, put in place in the child.

use std::ffi::{CString, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use serde::{Deserialize, Serialize};

/// Variables and their values, in the order in which the program has them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Environment(Vec<(Vec<u8>, Vec<u8>)>);

impl Environment {
    /// Reads the environment of this process.
    pub(crate) fn current() -> Self {
        Self(std::env::vars_os().map(|(name, value)| (name.into_vec(), value.into_vec())).collect())
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn set(&mut self, name: OsString, value: OsString) {
        self.remove(&name);
        self.0.push((name.into_vec(), value.into_vec()));
    }

    pub(crate) fn remove(&mut self, name: &OsString) {
        self.0.retain(|(known, _)| known != name.as_bytes());
    }

    /// Returns `NAME=value` strings. Leaves out variables with a NUL byte, which cannot exist.
    pub(crate) fn to_c(&self) -> Vec<CString> {
        let entry = |(name, value): &(Vec<u8>, Vec<u8>)| CString::new([name, &b"="[..], value].concat()).ok();
        self.0.iter().filter_map(entry).collect()
    }

    /// Makes this the environment of the process.
    ///
    /// The process must have one thread, or others that do not touch the environment. So is a child before its task.
    pub(crate) fn install(&self) {
        let mut pointers: Vec<*mut libc::c_char> = self.to_c().into_iter().map(CString::into_raw).collect();
        pointers.push(std::ptr::null_mut());
        // The C library may point at the block until the process ends, so the block is never freed.
        let block = pointers.leak();
        unsafe extern "C" {
            static mut environ: *mut *mut libc::c_char;
        }
        // SAFETY: the block is null-terminated and lives for ever; nobody else reads the environment meanwhile.
        unsafe { environ = block.as_mut_ptr() };
    }
}

/// Takes a variable out of the environment, in a process that has just begun.
pub(crate) fn take(name: &str) -> Option<OsString> {
    let value = std::env::var_os(name)?;
    // SAFETY: std's lock keeps its own readers out. Of C code nothing runs: a child that was told to be one is still in
    // its guard, on the only thread or, in a test binary, beside a main thread that waits for this one.
    unsafe { std::env::remove_var(name) };
    Some(value)
}
