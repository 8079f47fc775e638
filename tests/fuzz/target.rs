//! Checks on bytes, shared by the fuzzer and by the test of bounded time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Debug;

use offspring::__private::codec::{from_slice, to_vec};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Struct {
    id: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    numbers: Vec<i32>,
    floats: VecDeque<f32>,
    inner: Option<Box<Struct>>,
    pair: (u8, Option<Option<bool>>),
    wide: i64,
    letter: char,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Enum {
    Unit,
    Newtype(ByteBuf),
    Tuple(u8, BTreeMap<i64, Enum>),
    Struct {
        list: Vec<Enum>,
        unit: (),
    },
    #[serde(other)]
    Other,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "tag")]
pub(crate) enum Tagged {
    Unit,
    Newtype(Struct),
    Struct { inner: Vec<Tagged> },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Untagged {
    Number(i16),
    Text(String),
    List(Vec<Untagged>),
    Flat(Flat),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Flat {
    a: Option<u32>,
    #[serde(flatten)]
    rest: BTreeMap<String, Untagged>,
}

/// Decodes bytes as every type. Any value or error is right, and a value must stay equal when sent on.
pub(crate) fn decode_as_everything(bytes: &[u8]) {
    let _ = from_slice::<IgnoredAny>(bytes);
    decode::<serde_json::Value>(bytes);
    decode::<Struct>(bytes);
    decode::<Enum>(bytes);
    decode::<Tagged>(bytes);
    decode::<Untagged>(bytes);
    decode::<Flat>(bytes);
    decode::<Vec<u8>>(bytes);
    decode::<Vec<u128>>(bytes);
    decode::<Vec<Vec<f64>>>(bytes);
    decode::<[u16; 9]>(bytes);
    decode::<BTreeSet<i8>>(bytes);
    decode::<(bool, String, ByteBuf, Option<()>)>(bytes);
    decode::<BTreeMap<u16, std::net::IpAddr>>(bytes);
    decode::<Result<std::time::Duration, std::ffi::OsString>>(bytes);
}

fn decode<T: Serialize + DeserializeOwned + Debug>(bytes: &[u8]) {
    let Ok(value) = from_slice::<T>(bytes) else { return };
    let again = to_vec(&value).and_then(|bytes| from_slice::<T>(&bytes)).expect("a value that came can be sent on");
    // Compared as text, since NaN is not equal to NaN.
    assert_eq!(format!("{value:?}"), format!("{again:?}"));
}
