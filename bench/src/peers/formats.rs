//! Other formats of serde.
//!
//! Formats that can write into a slice have a contender for the slice too. Writing into a slice is fastest, as no
//! buffer grows, and requires a caller that knows the length.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Result;
use crate::codec::Format;

pub(crate) struct Postcard;

impl Format for Postcard {
    const NAME: &str = "postcard";

    fn encode<T: Serialize>(value: &T, buffer: &mut Vec<u8>) -> Result<()> {
        let mut emptied = std::mem::take(buffer);
        emptied.clear();
        *buffer = postcard::to_extend(value, emptied)?;
        Ok(())
    }

    fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
        Ok(postcard::from_bytes(bytes)?)
    }
}

pub(crate) struct PostcardToSlice;

impl Format for PostcardToSlice {
    const NAME: &str = "postcard, to a slice";

    fn encode<T: Serialize>(value: &T, buffer: &mut Vec<u8>) -> Result<()> {
        if buffer.is_empty() {
            *buffer = postcard::to_allocvec(value)?;
        }
        let length = postcard::to_slice(value, buffer)?.len();
        buffer.truncate(length);
        Ok(())
    }

    fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
        Postcard::decode(bytes)
    }
}

pub(crate) struct Bincode;

impl Format for Bincode {
    const NAME: &str = "bincode";

    fn encode<T: Serialize>(value: &T, buffer: &mut Vec<u8>) -> Result<()> {
        buffer.clear();
        bincode::serde::encode_into_std_write(value, buffer, bincode::config::standard())?;
        Ok(())
    }

    fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
        let (value, _) = bincode::serde::decode_from_slice(bytes, bincode::config::standard())?;
        Ok(value)
    }
}

pub(crate) struct BincodeToSlice;

impl Format for BincodeToSlice {
    const NAME: &str = "bincode, to a slice";

    fn encode<T: Serialize>(value: &T, buffer: &mut Vec<u8>) -> Result<()> {
        if buffer.is_empty() {
            *buffer = bincode::serde::encode_to_vec(value, bincode::config::standard())?;
        }
        let length = bincode::serde::encode_into_slice(value, buffer, bincode::config::standard())?;
        buffer.truncate(length);
        Ok(())
    }

    fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
        Bincode::decode(bytes)
    }
}

/// MessagePack, with the names of fields. The format is self-describing.
pub(crate) struct MessagePack;

impl Format for MessagePack {
    const NAME: &str = "rmp-serde";

    fn encode<T: Serialize>(value: &T, buffer: &mut Vec<u8>) -> Result<()> {
        buffer.clear();
        Ok(rmp_serde::encode::write_named(buffer, value)?)
    }

    fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
        Ok(rmp_serde::from_slice(bytes)?)
    }
}

/// JSON as text.
pub(crate) struct Json;

impl Format for Json {
    const NAME: &str = "serde_json";

    fn encode<T: Serialize>(value: &T, buffer: &mut Vec<u8>) -> Result<()> {
        buffer.clear();
        Ok(serde_json::to_writer(buffer, value)?)
    }

    fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
        Ok(serde_json::from_slice(bytes)?)
    }
}
