//! Starting this program anew: posix_spawn(3), which never copies the parent's memory.
//!
//! No code of this crate runs between the copy and the new program. The child sets in its guard, before any code of the
//! user, the rest that `posix_spawn` cannot set.

use std::ffi::{CStr, CString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

/// The number under which a re-executed child finds its link.
pub(crate) const LINK_NUMBER: RawFd = 3;

/// A program to start.
#[derive(Debug)]
pub(crate) struct Program<'a> {
    pub(crate) path: &'a CStr,
    pub(crate) arguments: &'a [CString],
    pub(crate) environment: &'a [CString],
    /// Becomes descriptor [`LINK_NUMBER`]. No other descriptor above that number is passed on.
    pub(crate) link: BorrowedFd<'a>,
    /// Starts with `/dev/null` as standard output, for programs that print before they reach the guard.
    pub(crate) mute: bool,
}

impl Program<'_> {
    /// Starts the program. Returns the pid of a child that the caller has to reap.
    ///
    /// # Errors
    /// The errors of clone(2) and execve(2): `EAGAIN`, `ENOENT`, `E2BIG`, ….
    pub(crate) fn start(&self) -> io::Result<u32> {
        let mut actions = FileActions::new()?;
        if self.mute {
            actions.open_null(libc::STDOUT_FILENO)?;
        }
        actions.duplicate(self.link, LINK_NUMBER)?;
        actions.close_from(LINK_NUMBER + 1)?;
        let arguments = pointers(self.arguments);
        let environment = pointers(self.environment);
        let mut pid = 0;
        // SAFETY: every pointer is to a terminated string or a null-terminated array of them, and outlives the call.
        let error = unsafe {
            libc::posix_spawn(
                &mut pid,
                self.path.as_ptr(),
                &actions.0,
                std::ptr::null(),
                arguments.as_ptr(),
                environment.as_ptr(),
            )
        };
        result(error)?;
        Ok(pid as u32)
    }
}

fn pointers(strings: &[CString]) -> Vec<*mut libc::c_char> {
    strings.iter().map(|string| string.as_ptr().cast_mut()).chain([std::ptr::null_mut()]).collect()
}

/// Turns the result of posix_spawn and its helpers, an error number, into a `Result`.
fn result(error: libc::c_int) -> io::Result<()> {
    if error == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(error)) }
}

struct FileActions(libc::posix_spawn_file_actions_t);

impl FileActions {
    fn new() -> io::Result<Self> {
        let mut actions = MaybeUninit::uninit();
        // SAFETY: init initialises what it is given.
        result(unsafe { libc::posix_spawn_file_actions_init(actions.as_mut_ptr()) })?;
        // SAFETY: as above.
        Ok(Self(unsafe { actions.assume_init() }))
    }

    fn open_null(&mut self, number: RawFd) -> io::Result<()> {
        // SAFETY: the path is copied by the call.
        result(unsafe {
            libc::posix_spawn_file_actions_addopen(&mut self.0, number, c"/dev/null".as_ptr(), libc::O_WRONLY, 0)
        })
    }

    /// Also for an `fd` that has the number already. Then the action clears the close-on-exec flag.
    fn duplicate(&mut self, fd: BorrowedFd<'_>, number: RawFd) -> io::Result<()> {
        // SAFETY: two numbers.
        result(unsafe { libc::posix_spawn_file_actions_adddup2(&mut self.0, fd.as_raw_fd(), number) })
    }

    /// Where the C library has no such action (glibc before 2.34, musl), the guard closes: see [`close_unknown`].
    fn close_from(&mut self, first: RawFd) -> io::Result<()> {
        match addclosefrom() {
            // SAFETY: the function has this type wherever it exists.
            Some(addclosefrom) => result(unsafe { addclosefrom(&mut self.0, first) }),
            None => Ok(()),
        }
    }
}

impl Drop for FileActions {
    fn drop(&mut self) {
        // SAFETY: initialised in `new`.
        unsafe { libc::posix_spawn_file_actions_destroy(&mut self.0) };
    }
}

type AddCloseFrom = unsafe extern "C" fn(*mut libc::posix_spawn_file_actions_t, libc::c_int) -> libc::c_int;

fn addclosefrom() -> Option<AddCloseFrom> {
    // SAFETY: a lookup by name; the name is terminated.
    let symbol = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"posix_spawn_file_actions_addclosefrom_np".as_ptr()) };
    // SAFETY: the symbol is either absent or the function of that name, whose type this is.
    (!symbol.is_null()).then(|| unsafe { std::mem::transmute::<*mut libc::c_void, AddCloseFrom>(symbol) })
}

/// Closes, in a child, the descriptors that the parent could not keep from being inherited.
///
/// Runs before any code of the user, but after constructors of libraries, whose descriptors are closed too. Hence only
/// where [`FileActions::close_from`] had no action.
pub(crate) fn close_unknown() {
    if addclosefrom().is_none() {
        // SAFETY: no code of the user has run, and of ours only the link, which lies below, is open.
        unsafe { super::close_range::close_from(LINK_NUMBER + 1) };
    }
}
