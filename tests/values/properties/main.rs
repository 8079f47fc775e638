//! Random values through the codec alone. Every value that serde_json returns equal is returned equal, and no value is
//! ever returned changed.
//!
//! `data` has values of serde's data model, which call every method of a serialiser. `shapes` has ordinary derived
//! types. `PROPTEST_CASES=10000` tries more. A failure prints the smallest failing value.

mod data;
mod shapes;

use std::fmt::Debug;

use offspring::__private::codec;
use proptest::test_runner::{Config as ProptestConfig, TestCaseError};
use proptest::{prop_assert, prop_assert_eq};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Writes no file for a failure, as the smallest failing value is printed, and becomes a case of the tables.
fn config() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }
}

/// Encodes and decodes a value by the codec.
fn by_codec<W: Serialize, R: DeserializeOwned>(value: &W) -> Result<R, String> {
    let bytes = codec::to_vec(value).map_err(|error| error.to_string())?;
    codec::from_slice(&bytes).map_err(|error| error.to_string())
}

/// Encodes and decodes a value by serde_json.
fn by_json<W: Serialize, R: DeserializeOwned>(value: &W) -> Result<R, String> {
    let text = serde_json::to_string(value).map_err(|error| error.to_string())?;
    serde_json::from_str(&text).map_err(|error| error.to_string())
}

/// Checks a value. With `may_change`, as for a type with a skipped field, the value may also become the value that
/// serde_json returns.
fn check<T>(value: &T, may_change: bool) -> Result<(), TestCaseError>
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
{
    match (by_json::<_, T>(value), by_codec::<_, T>(value)) {
        (Ok(json), ours) if json == *value => prop_assert_eq!(ours.as_ref(), Ok(value)),
        (_, Err(text)) => prop_assert!(!text.is_empty()),
        (Ok(json), Ok(ours)) if may_change => prop_assert!(ours == *value || ours == json, "{value:?} is now {ours:?}"),
        (_, Ok(ours)) => prop_assert_eq!(&ours, value),
    }
    Ok(())
}
