//! serde_json in the place of the codec, with the same two functions.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Error;

pub(crate) fn to_vec<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(value)
}

pub(crate) fn from_slice<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(bytes)
}
