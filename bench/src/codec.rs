//! Encoding and decoding, by whatever format.

use std::hint::black_box;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Result;
use crate::contender::{Round, timed_parts};
use crate::samples::Sample;

/// A way to make bytes of values.
pub(crate) trait Format: 'static {
    const NAME: &str;

    /// Encodes into a buffer in place of what is in it. Its memory is used again, so that nobody pays for another's
    /// allocation.
    fn encode<T: Serialize>(value: &T, buffer: &mut Vec<u8>) -> Result<()>;

    fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T>;
}

/// Encodes a sample of so many parts again and again.
pub(crate) fn encode<F: Format, S: Sample>(sample: S, parts: usize) -> Result<Round> {
    let expected = encoded::<F, S>(&sample)?;
    let mut buffer = expected.clone();
    Ok(timed_parts(parts, move || {
        F::encode(black_box(&sample), &mut buffer)?;
        assert!(black_box(&buffer).is_like(&expected));
        Ok(())
    }))
}

/// Decodes a sample of so many parts again and again, and lets go of what comes of it.
pub(crate) fn decode<F: Format, S: Sample>(sample: S, parts: usize) -> Result<Round> {
    let bytes = encoded::<F, S>(&sample)?;
    Ok(timed_parts(parts, move || {
        assert!(black_box(F::decode::<S>(black_box(&bytes))?).is_like(&sample));
        Ok(())
    }))
}

/// The sample's bytes, which have been looked at as a whole: rounds look at their ends alone.
fn encoded<F: Format, S: Sample>(sample: &S) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // Twice, as an encoder may learn what its values look like.
    F::encode(sample, &mut bytes)?;
    F::encode(sample, &mut bytes)?;
    assert!(F::decode::<S>(&bytes)? == *sample, "{} has made another value of it", F::NAME);
    Ok(bytes)
}
