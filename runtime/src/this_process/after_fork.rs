//! What a copy of a process must forget.
//!
//! A copy has the memory and the descriptors of its original, but is another process. The original's children are not
//! the copy's, nor is the link to the original's parent. [`run`] is the first code in each copy that this crate makes,
//! by fork(2) or by the forkserver's clone(2). New state that belongs to one process gets a line there, or is kept in a
//! [`PerProcess`](super::per_process::PerProcess).
//!
//! Other state needs no line:
//!
//! | state | in a copy by this crate | in a copy by foreign code |
//! | --- | --- | --- |
//! | ends of channels | [`give_ends`] closes all but the given ones | kept |
//! | the user's ends of piped streams | let go by [`give_ends`] | kept |
//! | guards of shared locks, pools | ask for the fork generation, and do nothing | the same |
//! | robust lists of threads | `sys::robust_list` and `sys::fork` register them anew | by `pthread_atfork` |
//! | the lifeline's write end | closed by [`run`], or before by `pthread_atfork` | by `pthread_atfork` |
//! | state of the program | functions marked `#[after_fork]` | kept |

use crate::sys::fork::FreshCopy;
use crate::sys::fork_private::{self, InheritedEnds};
use crate::sys::{handed_out, lifeline, socket};
use crate::this_process::{children, role, spares};

/// Lets go of all that belongs to the original. Runs before any other code in a copy.
///
/// Writes to no object of the original, since the kernel copies each page that a copy writes to.
pub(crate) fn run(copy: &FreshCopy) {
    // The link to the original's parent, and whether the original is a forkserver.
    role::after_fork(copy);
    // Children that were made ahead.
    spares::after_fork(copy);
    // Children, running and ended.
    children::after_fork(copy);
    // The write end by which the original's children learn of the original's end.
    lifeline::close_in_copy(copy);
    // The descriptor kept for a full table, until the copy has children of its own.
    socket::close_reserve_in_copy(copy);
    // The descriptors of all these, by their numbers.
    fork_private::close_private(copy);
}

/// In a copy that runs a task: closes the ends of channels, but for those that `give` gives to the copy, and lets go of
/// the user's ends of the streams of siblings. Runs before the program's own hooks, whose ends are the copy's.
pub(crate) fn give_ends<T>(copy: &FreshCopy, give: impl FnOnce(&mut InheritedEnds) -> T) -> T {
    handed_out::release_in_copy(copy);
    let mut ends = InheritedEnds::take(copy);
    let given = give(&mut ends);
    ends.close_rest();
    given
}
