//! Encoding and decoding, by any format.

use std::hint::black_box;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Result;
use crate::contender::{Round, timed_parts};
use crate::samples::Sample;

/// A way to make bytes of values.
pub(crate) trait Format: 'static {
    const NAME: &str;

    /// Encodes into a buffer and replaces its content. The buffer's memory is reused, so that no round measures an
    /// allocation.
    fn encode<T: Serialize>(value: &T, buffer: &mut Vec<u8>) -> Result<()>;

    fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T>;
}

/// Returns a round that encodes a sample of `parts` parts.
pub(crate) fn encode<F: Format, S: Sample>(sample: S, parts: usize) -> Result<Round> {
    let expected = encoded::<F, S>(&sample)?;
    let mut buffer = expected.clone();
    Ok(timed_parts(parts, move || {
        F::encode(black_box(&sample), &mut buffer)?;
        assert!(black_box(&buffer).is_like(&expected));
        Ok(())
    }))
}

/// Returns a round that decodes a sample of `parts` parts, and drops the value.
pub(crate) fn decode<F: Format, S: Sample>(sample: S, parts: usize) -> Result<Round> {
    let bytes = encoded::<F, S>(&sample)?;
    Ok(timed_parts(parts, move || {
        assert!(black_box(F::decode::<S>(black_box(&bytes))?).is_like(&sample));
        Ok(())
    }))
}

/// Encodes the sample, and checks the whole value once. Rounds check only both ends.
fn encoded<F: Format, S: Sample>(sample: &S) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // Encodes twice, as an encoder may adapt to its values.
    F::encode(sample, &mut bytes)?;
    F::encode(sample, &mut bytes)?;
    assert!(F::decode::<S>(&bytes)? == *sample, "{} has made another value of it", F::NAME);
    Ok(bytes)
}
