//! The key of a map in the path of an error.

use super::decoder::Decoder;
use crate::ipc::codec::error::ShownKey;
use crate::ipc::codec::tag;

/// Reads an encoded key for a path. Returns `None` for a key other than a text, a number or a unit variant.
///
/// A key takes at most 64 characters of a path.
pub(in crate::ipc::codec) fn shown_key(encoded: &[u8]) -> Option<ShownKey> {
    const SHOWN: usize = 64;
    let mut decoder = Decoder::over(encoded);
    let value = decoder.value().ok()?;
    if value.is_text() {
        return Some(ShownKey::Text(value.decoder.text(value.tag).ok()?.chars().take(SHOWN).collect()));
    }
    if value.is_number() {
        return Some(ShownKey::Other(value.decoder.number(value.tag).ok()?.to_string()));
    }
    let name = if value.tag == tag::UNIT_VARIANT { value.decoder.variant_name().ok()? } else { return None };
    Some(ShownKey::Other(String::from_utf8_lossy(name).into_owned()))
}
