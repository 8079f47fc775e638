//! Values at random, through the codec alone: what serde_json gives back equal comes back equal, and nothing ever comes
//! back as another value.
//!
//! `data` has values of serde's data model, which call every method of a serialiser; `shapes` has types as people
//! derive them. `PROPTEST_CASES=10000` tries more; a failure prints the smallest value that fails.

mod data;
mod shapes;

use std::fmt::Debug;

use offspring::__private::codec;
use proptest::test_runner::{Config as ProptestConfig, TestCaseError};
use proptest::{prop_assert, prop_assert_eq};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A failure goes into no file: the smallest value that fails is printed, and becomes a case of the tables.
fn config() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }
}

/// What the codec makes of a value.
fn by_codec<W: Serialize, R: DeserializeOwned>(value: &W) -> Result<R, String> {
    let bytes = codec::to_vec(value).map_err(|error| error.to_string())?;
    codec::from_slice(&bytes).map_err(|error| error.to_string())
}

/// What serde_json makes of a value.
fn by_json<W: Serialize, R: DeserializeOwned>(value: &W) -> Result<R, String> {
    let text = serde_json::to_string(value).map_err(|error| error.to_string())?;
    serde_json::from_str(&text).map_err(|error| error.to_string())
}

/// A value that its own type changes on the way, such as one with a skipped field, may become what serde_json makes of
/// it.
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
