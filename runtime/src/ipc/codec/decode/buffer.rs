//! The visitors of serde's buffers for `untagged`, `tag` and `flatten`.

use serde::Deserialize;

use crate::ipc::codec::numbers;

/// Returns whether a visitor is serde's buffer for `untagged`, `tag` and `flatten`.
///
/// The buffer cannot convert some values of the format later, such as a `Some` to a plain value. The buffer gets the
/// JSON form instead.
#[inline]
pub(super) fn is_buffer<V>() -> bool {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum UntaggedProbe {
        Only(()),
    }
    typeid::of::<V>() == numbers::visitor_of::<UntaggedProbe>()
}

/// Returns whether a visitor of a map's key is serde's buffer for `untagged` or for `tag`.
#[inline]
pub(super) fn is_key_of_buffer<V>() -> bool {
    #[derive(Deserialize)]
    #[serde(tag = "tag")]
    enum TaggedProbe {
        Only,
    }
    is_buffer::<V>() || typeid::of::<V>() == numbers::key_visitor_of::<TaggedProbe>()
}
