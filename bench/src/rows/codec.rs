//! `codec/…`: values of several shapes into bytes, and out of them.

use super::{Row, Unit};
use crate::Result;
use crate::codec::{self, Format};
use crate::contender::Round;
use crate::ours::{Codec, CodecAnew};
use crate::peers::formats::{Bincode, BincodeToSlice, Json, MessagePack, Postcard, PostcardToSlice};
use crate::peers::in_process;
use crate::samples::{self, Sample};

/// An encoded value, and the number of parts for the reported cost.
struct Shape<S> {
    name: &'static str,
    make: fn() -> S,
    parts: usize,
    /// Operations in a round: some milliseconds, so that the caches' state after other contenders matters little.
    times: u64,
}

#[derive(Clone, Copy)]
enum Direction {
    Encode,
    Decode,
}

use Direction::{Decode, Encode};

pub(super) fn rows() -> Vec<Row> {
    let small = Shape { name: "small", make: samples::small, parts: 1, times: 50_000 };
    let rows = Shape { name: "rows", make: samples::rows, parts: samples::ROWS, times: 100 };
    let f64 = Shape { name: "f64", make: samples::floats, parts: samples::FLOATS, times: 8 };
    let u8 = Shape { name: "u8", make: samples::bytes, parts: samples::BYTES, times: 4 };
    [small.both(), rows.both(), f64.both_beside_a_copy(), u8.both_beside_a_copy(), document()]
        .into_iter()
        .flatten()
        .collect()
}

impl<S: Sample> Shape<S> {
    fn both(&self) -> [Row; 2] {
        [self.by_all(Encode), self.by_all(Decode).floor("clone", self.clones())]
    }

    /// Adds the formats that can carry any type.
    fn by_all(&self, direction: Direction) -> Row {
        let row = self.by_ours(direction);
        let row = row.peer(Postcard::NAME, self.by::<Postcard>(direction));
        let row = row.peer(Bincode::NAME, self.by::<Bincode>(direction));
        let row = row.peer(MessagePack::NAME, self.by::<MessagePack>(direction));
        match direction {
            Encode => row
                .peer(PostcardToSlice::NAME, self.by::<PostcardToSlice>(direction))
                .peer(BincodeToSlice::NAME, self.by::<BincodeToSlice>(direction)),
            Decode => row,
        }
    }

    fn by_ours(&self, direction: Direction) -> Row {
        let way = match direction {
            Encode => "encode",
            Decode => "decode",
        };
        let row = Row::new(format!("codec/{}/{way}", self.name), Unit::Nanos, self.times);
        let row = row.ours(self.by::<Codec>(direction));
        match direction {
            Encode => row.variant(CodecAnew::NAME, self.by::<CodecAnew>(direction)),
            Decode => row,
        }
    }

    fn by<F: Format>(&self, direction: Direction) -> impl Fn() -> Result<Round> + use<F, S> {
        let &Self { make, parts, .. } = self;
        move || match direction {
            Encode => codec::encode::<F, S>(make(), parts),
            Decode => codec::decode::<F, S>(make(), parts),
        }
    }

    fn clones(&self) -> impl Fn() -> Result<Round> + use<S> {
        let &Self { make, parts, .. } = self;
        move || in_process::clone(make(), parts)
    }
}

impl<T: Copy + 'static> Shape<Vec<T>>
where
    Vec<T>: Sample,
{
    fn both_beside_a_copy(&self) -> [Row; 2] {
        let &Self { make, parts, .. } = self;
        let encode = self.by_all(Encode).floor("copy", move || in_process::copy(make(), parts));
        [encode, self.by_all(Decode).floor("allocate and copy", self.clones())]
    }
}

/// Leaves out formats that need the type to decode.
fn document() -> [Row; 2] {
    let json = Shape { name: "json", make: samples::document, parts: 1, times: 100 };
    let row = |direction| {
        let row = json.by_ours(direction);
        let row = row.left_out(Postcard::NAME, UNTYPED).left_out(Bincode::NAME, UNTYPED);
        let row = row.peer(MessagePack::NAME, json.by::<MessagePack>(direction));
        row.peer(Json::NAME, json.by::<Json>(direction))
    };
    [row(Encode), row(Decode).floor("clone", json.clones())]
}

const UNTYPED: &str = "cannot decode a `serde_json::Value`, as its bytes do not say what they are";
