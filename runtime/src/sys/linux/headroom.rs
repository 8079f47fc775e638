//! The stack that a thread has left.
//!
//! Sources: pthread_getattr_np(3), pthread_attr_getstack(3).

use std::cell::Cell;
use std::mem::MaybeUninit;
use std::ptr::{from_ref, null_mut};

/// Lowest and highest address of a stack.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    low: usize,
    high: usize,
}

thread_local! {
    /// Read once. For a main thread, the C library reads `/proc/self/maps`.
    static OF_THREAD: Cell<Option<Bounds>> = const { Cell::new(None) };
}

/// Returns the bytes between here and the end of this thread's stack.
///
/// Returns `None` on a stack that the C library does not know: that of a coroutine, or of a copy that has begun on a
/// stack of its own.
pub(crate) fn left() -> Option<usize> {
    let mark = 0_u8;
    let here = from_ref(&mark).addr();
    let bounds = OF_THREAD.get().or_else(|| {
        OF_THREAD.set(ask());
        OF_THREAD.get()
    })?;
    (bounds.low..bounds.high).contains(&here).then(|| here - bounds.low)
}

fn ask() -> Option<Bounds> {
    let mut attributes = MaybeUninit::<libc::pthread_attr_t>::uninit();
    // SAFETY: pthread_self has no preconditions.
    let this = unsafe { libc::pthread_self() };
    // SAFETY: it fills in the attributes of a thread that exists.
    if unsafe { libc::pthread_getattr_np(this, attributes.as_mut_ptr()) } != 0 {
        return None;
    }
    let (mut low, mut size) = (null_mut(), 0);
    // SAFETY: the attributes were filled in above.
    let asked = unsafe { libc::pthread_attr_getstack(attributes.as_ptr(), &mut low, &mut size) };
    // SAFETY: the attributes were filled in above and are not used afterwards.
    unsafe { libc::pthread_attr_destroy(attributes.as_mut_ptr()) };
    (asked == 0).then(|| Bounds { low: low.addr(), high: low.addr().saturating_add(size) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_has_as_much_as_it_was_given() {
        const SIZE: usize = 1 << 20;
        let thread = std::thread::Builder::new().stack_size(SIZE).spawn(left).unwrap();
        let left = thread.join().unwrap().unwrap();
        assert!((SIZE / 2..2 * SIZE).contains(&left), "{left} of {SIZE} bytes");
    }
}
