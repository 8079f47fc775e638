//! Bytes that are written once and then read in place by every process.

use super::slice::SharedSlice;
use crate::error::Error;

/// Bytes that other processes read where they are: see [`SharedSlice`].
///
/// # Example
///
/// ```
/// use offspring::Bytes;
///
/// # fn main() -> Result<(), offspring::Error> {
/// let page = Bytes::try_from("<p>long</p>")?;
/// let word = page.slice(3..7);
/// assert_eq!(word, *b"long");
/// # Ok(())
/// # }
/// ```
pub type Bytes = SharedSlice<u8>;

impl TryFrom<&str> for Bytes {
    type Error = Error;

    fn try_from(text: &str) -> Result<Self, Error> {
        Self::new(text.as_bytes())
    }
}

impl TryFrom<String> for Bytes {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        Self::new(text.as_bytes())
    }
}
