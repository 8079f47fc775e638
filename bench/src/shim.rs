//! What the codec of offspring is to look like from here, as long as it is postcard and cannot be reached by itself.
//!
//! When it can, `ours` names `offspring::__private::codec` in place of this module, and the module goes.

use postcard::Result;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Encodes into a new vector.
pub(crate) fn to_vec<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>> {
    postcard::to_allocvec(value)
}

/// Encodes into a vector that was used before, and keeps its memory.
pub(crate) fn to_buffer<T: Serialize + ?Sized>(value: &T, buffer: &mut Vec<u8>) -> Result<()> {
    let mut emptied = std::mem::take(buffer);
    emptied.clear();
    *buffer = postcard::to_extend(value, emptied)?;
    Ok(())
}

pub(crate) fn from_slice<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    postcard::from_bytes(bytes)
}
