//! Serde's buffers.

use serde::Deserialize;

use crate::ipc::codec::numbers;

/// Whether a visitor is serde's buffer for `untagged`, `tag` and `flatten`.
///
/// The buffer cannot convert some of the format's values later, such as a `Some` to a plain value. It gets the values
/// of JSON instead.
#[inline]
pub(super) fn is_buffer<V>() -> bool {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum UntaggedProbe {
        Only(()),
    }
    typeid::of::<V>() == numbers::visitor_of::<UntaggedProbe>()
}

/// Whether a visitor of a map's key is serde's buffer, for `untagged` or for `tag`.
#[inline]
pub(super) fn is_key_of_buffer<V>() -> bool {
    #[derive(Deserialize)]
    #[serde(tag = "tag")]
    enum TaggedProbe {
        Only,
    }
    is_buffer::<V>() || typeid::of::<V>() == numbers::key_visitor_of::<TaggedProbe>()
}
