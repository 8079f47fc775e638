//! Bytes written once, then read in place by any process.

use super::slice::SharedSlice;
use crate::error::Error;

/// Read-only bytes in shared memory: a [`SharedSlice`] of `u8`.
///
/// # Examples
///
/// ```
/// use offspring::{Bytes, child_task, process_main};
///
/// #[child_task]
/// fn count_lines(text: Bytes) -> usize {
///     text.split(|byte| *byte == b'\n').count()
/// }
///
/// #[process_main]
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let page = Bytes::try_from("<p>\nlong\n</p>")?;
///     assert_eq!(page.slice(4..8), *b"long");
///     assert_eq!(count_lines::start(page)?.join()?, 3);
///     Ok(())
/// }
/// ```
pub type Bytes = SharedSlice<u8>;

/// Copies a text. Errors as [`SharedSlice::new`].
impl TryFrom<&str> for Bytes {
    type Error = Error;

    fn try_from(text: &str) -> Result<Self, Error> {
        Self::new(text.as_bytes())
    }
}

/// Copies a text. Errors as [`SharedSlice::new`].
impl TryFrom<String> for Bytes {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        Self::new(text.as_bytes())
    }
}
