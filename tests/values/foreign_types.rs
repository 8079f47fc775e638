//! Types of well-known crates, whose implementations assume a human-readable or a self-describing format.

use std::collections::{BTreeMap, HashMap};
use std::fmt::{self, Debug};

use arrayvec::{ArrayString, ArrayVec};
use bigdecimal::BigDecimal;
use bytes::{Bytes, BytesMut};
use camino::Utf8PathBuf;
use chrono::{DateTime, FixedOffset, Month, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc, Weekday};
use compact_str::CompactString;
use either::Either;
use enum_map::{Enum, EnumMap};
use fixedbitset::FixedBitSet;
use geo_types::{Geometry, LineString, Point, Polygon};
use glam::{DMat3, Quat, Vec3};
use half::{bf16, f16};
use http::{HeaderMap, Method, StatusCode, Uri};
use indexmap::{IndexMap, IndexSet};
use ipnet::IpNet;
use jiff::{SignedDuration, Span, Timestamp, ZonedDateTime, civil};
use ndarray::{Array1, Array2, ArrayD};
use num_bigint::{BigInt, BigUint};
use ordered_float::OrderedFloat;
use petgraph::graph::{DiGraph, UnGraph};
use petgraph::stable_graph::StableDiGraph;
use rust_decimal::Decimal;
use semver::{Version, VersionReq};
use serde::{Deserialize, Serialize};
use serde_bytes::{ByteArray, ByteBuf};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use serde_repr::{Deserialize_repr, Serialize_repr};
use serde_with::{DisplayFromStr, serde_as};
use smallvec::{SmallVec, smallvec};
use smol_str::SmolStr;
use time::{Date, OffsetDateTime};
use tinyvec::{ArrayVec as TinyArrayVec, TinyVec, tiny_vec};
use url::Url;
use uuid::Uuid;

use crate::table::round_trips;

round_trips! {
    values_of_formats {
        of_json: Vec<Value> = vec![
            json!(null), json!(false), json!(u64::MAX), json!(i64::MIN), json!(0.1), json!("é\0"), json!([[], {}]),
            json!({"a": {"b": [1, null, {"c": "d"}]}, "": ""}),
        ];
        a_map_of_json: Map<String, Value> = json!({"b": 1, "a": [true]}).as_object().unwrap().clone();
        numbers_of_json: Vec<serde_json::Number> =
            vec![1.into(), (-1).into(), u64::MAX.into(), serde_json::Number::from_f64(1.0).unwrap()];
        optional_json: Vec<Option<Value>> = vec![None, Some(json!(1))];
        null_in_an_option: Option<Value> = Some(Value::Null), beyond_json;
        raw_json: Raw = Raw(RawValue::from_string(r#"{"a":  [1, 2.50]}"#.into()).unwrap());
        raw_json_in_a_field: WithRaw =
            WithRaw { before: 1, raw: Raw(RawValue::from_string("1e2".into()).unwrap()), after: 2 };
        of_toml: toml::Value = toml::from_str("a = 1\nb = [1.5, 'x']\n[c]\nd = true\n[[e]]\nf = 'g'\n").unwrap();
        dates_of_toml: toml::Table = toml::from_str(
            "a = 1979-05-27T07:32:00Z\nb = 1979-05-27T00:32:00.999999-07:00\nc = 1979-05-27\nd = 07:32:00\n",
        ).unwrap();
        a_date_of_toml: Vec<toml::value::Datetime> =
            vec!["1979-05-27T07:32:00Z".parse().unwrap(), "07:32:01".parse().unwrap()];
        of_ron: Vec<ron::Value> = vec![
            ron::Value::Unit, ron::Value::Bool(true), ron::Value::String("s".into()),
                ron::Value::Seq(vec![ron::Value::Bool(false)]),
        ];
        of_cbor: Vec<ciborium::Value> = vec![
            ciborium::Value::Null, ciborium::Value::Bool(true), ciborium::Value::Integer((-5).into()),
            ciborium::Value::Float(0.5), ciborium::Value::Text("t".into()),
            ciborium::Value::Array(vec![ciborium::Value::Integer(u64::MAX.into())]),
            ciborium::Value::Map(vec![(ciborium::Value::Text("k".into()), ciborium::Value::Null)]),
        ];
        bytes_of_cbor: ciborium::Value = ciborium::Value::Bytes(vec![1, 255]), beyond_json;
        a_map_of_cbor_with_numbers_as_keys: ciborium::Value =
            ciborium::Value::Map(vec![(ciborium::Value::Integer(1.into()), ciborium::Value::Bool(true))]), beyond_json;
        of_message_pack: Vec<rmpv::Value> = vec![
            rmpv::Value::Nil, true.into(), 5.into(), (-5).into(), u64::MAX.into(), 0.5.into(), "s".into(),
            rmpv::Value::Array(vec![1.into(), "x".into()]), rmpv::Value::Map(vec![("k".into(), rmpv::Value::Nil)]),
        ];
        binary_of_message_pack: rmpv::Value = rmpv::Value::Binary(vec![1, 255]), beyond_json;
    }

    numbers {
        decimals: Vec<Decimal> = vec![Decimal::MAX, Decimal::MIN, Decimal::new(-1_500, 3), Decimal::ZERO];
        big_decimals: Vec<BigDecimal> =
            vec!["123456789012345678901234567890.5".parse().unwrap(), "-1e-30".parse().unwrap()];
        big_integers: Vec<BigInt> = vec![0.into(), BigInt::from(i128::MIN) * 7, "-1".parse().unwrap()];
        big_unsigned_integers: Vec<BigUint> = vec![0_u8.into(), BigUint::from(u128::MAX) << 70];
        ordered_floats: BTreeMap<OrderedFloat<f64>, u8> = [(OrderedFloat(0.5), 1), (OrderedFloat(-0.25), 2)].into();
        an_ordered_nan: Vec<OrderedFloat<f64>> = vec![OrderedFloat(f64::NAN)], beyond_json;
        halves: (f16, bf16) = (f16::from_f32(0.5), bf16::from_f32(-3.0));
        flags: Vec<Permissions> =
            vec![Permissions::empty(), Permissions::READ | Permissions::WRITE, Permissions::all()];
        unknown_flags: Permissions = Permissions::from_bits_retain(0x80);
        of_an_enum: Vec<Repr> = vec![Repr::Small, Repr::Big, Repr::Negative];
    }

    texts {
        identifiers: Vec<Uuid> = vec![Uuid::nil(), Uuid::max(), Uuid::from_u128(0x0123_4567_89ab_cdef)];
        identifiers_as_keys: HashMap<Uuid, u8> = [(Uuid::nil(), 1)].into();
        addresses: Vec<Url> =
            vec![Url::parse("https://user@example.com:81/a%20b?q=1#f").unwrap(), Url::parse("data:,x").unwrap()];
        versions: (Version, VersionReq) =
            (Version::parse("1.2.3-rc.1+b").unwrap(), VersionReq::parse(">=1, <2").unwrap());
        networks: Vec<IpNet> = vec!["10.0.0.0/8".parse().unwrap(), "fe80::/10".parse().unwrap()];
        a_path: Utf8PathBuf = "/a/é".into();
        small_ones: Vec<SmolStr> = vec!["".into(), "short".into(), "x".repeat(100).into()];
        compact_ones: Vec<CompactString> = vec!["".into(), "é".into(), "y".repeat(100).into()];
        of_an_array: ArrayString<8> = ArrayString::from("12345678").unwrap();
        of_an_array_without_heap: heapless::String<8> = heapless::String::try_from("é").unwrap();
        of_the_web: Web = Web {
            method: Method::from_bytes(b"PURGE").unwrap(),
            uri: "/a?b=c".parse().unwrap(),
            status: StatusCode::IM_A_TEAPOT,
            headers: headers(),
            after: 1,
        };
    }

    times {
        in_utc: DateTime<Utc> = DateTime::from_timestamp(1_700_000_000, 123_456_789).unwrap();
        at_an_offset: DateTime<FixedOffset> = DateTime::parse_from_rfc3339("2024-02-29T23:59:60.5+05:30").unwrap();
        without_a_zone: (NaiveDate, NaiveTime, NaiveDateTime) = {
            let date = NaiveDate::from_ymd_opt(-1, 12, 31).unwrap();
            (date, NaiveTime::MIN, date.and_hms_nano_opt(23, 59, 59, 1).unwrap())
        };
        a_delta: TimeDelta = TimeDelta::new(-5, 7).unwrap();
        names: (Weekday, Month) = (Weekday::Sun, Month::May);
        as_a_number: Seconds = Seconds { at: DateTime::from_timestamp(5, 0).unwrap(), after: 1 };
        of_time: (OffsetDateTime, Date, time::Time, time::Duration) = (
            OffsetDateTime::from_unix_timestamp_nanos(1_700_000_000_123_456_789).unwrap(),
            Date::from_ordinal_date(2024, 366).unwrap(),
            time::Time::MIDNIGHT,
            time::Duration::new(-1, -5),
        );
        of_time_with_parts: (time::PrimitiveDateTime, time::UtcOffset, time::Weekday, time::Month) =
            (time::PrimitiveDateTime::MAX, time::UtcOffset::from_hms(-1, -2, -3).unwrap(), time::Weekday::Monday,
                time::Month::July);
        of_jiff: (Timestamp, SignedDuration) = (Timestamp::MAX, SignedDuration::new(-1, -999_999_999));
        in_a_zone: ZonedDateTime =
            Timestamp::UNIX_EPOCH.to_zoned_datetime(jiff::tz::TimeZone::fixed(jiff::tz::offset(2)));
        of_the_calendar: (civil::Date, civil::DateTime) =
            (civil::date(2024, 2, 29), civil::date(1, 1, 1).at(1, 2, 3, 4));
        a_span: Fields = Fields(Span::new().years(1).days(2).hours(3).nanoseconds(4));
    }

    collections {
        maps_in_order: IndexMap<String, u8> =
            [("z", 1), ("a", 2), ("m", 3)].map(|(key, value)| (key.to_owned(), value)).into();
        sets_in_order: IndexSet<char> = ['z', 'a'].into();
        maps_with_numbers_as_keys: IndexMap<i16, IndexMap<bool, u8>> = [(-1, [(true, 1)].into())].into();
        small_vectors: Vec<SmallVec<[u16; 2]>> = vec![smallvec![], smallvec![1], smallvec![1, 2, 3]];
        array_vectors: ArrayVec<String, 3> = ["a".to_owned(), "b".to_owned()].into_iter().collect();
        tiny_vectors: (TinyVec<[u8; 2]>, TinyArrayVec<[u8; 4]>) = (tiny_vec!(1, 2, 3), [1, 2].into_iter().collect());
        vectors_without_heap: (heapless::Vec<u8, 4>, heapless::Deque<u8, 4>) =
            (heapless::Vec::from_slice(&[1, 2]).unwrap(), heapless::Deque::new());
        bytes: (Bytes, BytesMut) = (Bytes::from_static(&[0, 255]), BytesMut::from(&b"x"[..]));
        bytes_of_serde: (ByteBuf, ByteArray<3>) = (vec![0, 255].into(), [1, 2, 3].into());
        no_bytes: (ByteBuf, ByteArray<0>, Bytes) = (ByteBuf::new(), [].into(), Bytes::new());
        optional_bytes: Vec<Option<ByteBuf>> = vec![None, Some(ByteBuf::new()), Some(vec![1].into())];
        either: Vec<Either<u8, String>> = vec![Either::Left(1), Either::Right("r".into())];
        either_without_a_name: EitherWay = EitherWay { it: Either::Right("r".into()), after: 1 };
        maps_of_an_enum: EnumMap<Side, u8> = EnumMap::from_array([1, 2]);
        bits: FixedBitSet = [0, 5, 70].into_iter().collect(), beyond_json;
        arrays: (Array1<f64>, Array2<i32>) = (ndarray::array![0.5, 1.5], ndarray::array![[1, 2, 3], [4, 5, 6]]);
        arrays_of_any_dimension: ArrayD<u8> = ArrayD::from_shape_vec(vec![2, 1, 2], vec![1, 2, 3, 4]).unwrap();
        vectors_of_graphics: (Vec3, Quat, DMat3) = (Vec3::new(0.1, -0.0, 3.0), Quat::IDENTITY, DMat3::IDENTITY);
        shapes: Vec<Geometry> = vec![
            Point::new(1.5, -2.0).into(),
            LineString::from(vec![(0.0, 0.0), (1.0, 1.0)]).into(),
            Polygon::new(LineString::from(vec![(0.0, 0.0), (1.0, 0.0), (0.0, 1.0)]), vec![]).into(),
        ];
        graphs: Graphs = Graphs::filled();
    }

    helpers_and_traits {
        displayed: Displayed = Displayed { numbers: vec![1, 2], pairs: [(3, 4)].into(), after: 5 };
        fields_left_out: Vec<SkipNone> = vec![
            SkipNone { a: None, b: 1, c: Some("c".into()) },
            SkipNone { a: Some(1), b: 2, c: None },
        ];
        one_or_many: Vec<Many> = vec![Many { list: vec![1], after: 2 }, Many { list: vec![1, 2], after: 3 }];
        a_choice: Vec<Choice> = vec![Choice { number: 5, after: 6 }];
        a_list_of_pairs: PairList = PairList { map: [(1, 'a'), (2, 'b')].into(), after: 3 };
        objects: Vec<Box<dyn Job>> =
            vec![Box::new(Print { text: "p".into() }), Box::new(Wait { seconds: 1.5, more: None })];
        objects_in_a_struct: Jobs = Jobs { first: Box::new(Wait { seconds: 0.0, more: Some((1, 'x')) }), after: 2 };
    }
}

/// A JSON value in its written form, spaces included.
#[derive(Debug, Serialize, Deserialize)]
#[serde(transparent)]
struct Raw(Box<RawValue>);

impl PartialEq for Raw {
    fn eq(&self, other: &Self) -> bool {
        self.0.get() == other.0.get()
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct WithRaw {
    before: u8,
    raw: Raw,
    after: u8,
}

bitflags::bitflags! {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Permissions: u8 {
        const READ = 1;
        const WRITE = 2;
        const RUN = 4;
    }
}

#[derive(Debug, PartialEq, Serialize_repr, Deserialize_repr)]
#[repr(i16)]
enum Repr {
    Small = 1,
    Big = 1000,
    Negative = -1,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Web {
    #[serde(with = "http_serde::method")]
    method: Method,
    #[serde(with = "http_serde::uri")]
    uri: Uri,
    #[serde(with = "http_serde::status_code")]
    status: StatusCode,
    #[serde(with = "http_serde::header_map")]
    headers: HeaderMap,
    after: u8,
}

fn headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.append("accept", "text/plain".parse().unwrap());
    headers.append("cookie", "a=1".parse().unwrap());
    headers.append("cookie", "b=2".parse().unwrap());
    headers
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Seconds {
    #[serde(with = "chrono::serde::ts_seconds")]
    at: DateTime<Utc>,
    after: u8,
}

/// A span without equality, as months differ in length. The fields are compared.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Fields(Span);

impl PartialEq for Fields {
    fn eq(&self, other: &Self) -> bool {
        self.0.fieldwise() == other.0.fieldwise()
    }
}

impl Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct EitherWay {
    #[serde(with = "either::serde_untagged")]
    it: Either<u8, String>,
    after: u8,
}

#[derive(Debug, Enum, Serialize, Deserialize)]
enum Side {
    Left,
    Right,
}

/// Graphs have no equality. Nodes and edges are compared.
#[derive(Debug, Serialize, Deserialize)]
struct Graphs {
    directed: DiGraph<String, u8>,
    undirected: UnGraph<(), ()>,
    with_holes: StableDiGraph<char, Option<u8>>,
}

impl Graphs {
    fn filled() -> Self {
        let mut directed = DiGraph::new();
        let nodes = ["a", "b", "c"].map(|name| directed.add_node(name.to_owned()));
        directed.extend_with_edges([(nodes[0], nodes[1], 1), (nodes[2], nodes[0], 2)]);
        let mut with_holes = StableDiGraph::new();
        let nodes = ['x', 'y', 'z'].map(|name| with_holes.add_node(name));
        with_holes.add_edge(nodes[0], nodes[2], None);
        with_holes.remove_node(nodes[1]);
        Self { directed, undirected: UnGraph::from_edges([(0, 1), (1, 2)]), with_holes }
    }
}

impl PartialEq for Graphs {
    fn eq(&self, other: &Self) -> bool {
        // The debug text has all nodes and edges.
        format!("{self:?}") == format!("{other:?}")
    }
}

#[serde_as]
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Displayed {
    #[serde_as(as = "Vec<DisplayFromStr>")]
    numbers: Vec<u32>,
    #[serde_as(as = "BTreeMap<DisplayFromStr, DisplayFromStr>")]
    pairs: BTreeMap<u8, i8>,
    after: u8,
}

#[serde_with::skip_serializing_none]
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct SkipNone {
    a: Option<u8>,
    b: u8,
    c: Option<String>,
}

#[serde_as]
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Many {
    #[serde_as(as = "serde_with::OneOrMany<_>")]
    list: Vec<u8>,
    after: u8,
}

#[serde_as]
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Choice {
    #[serde_as(as = "serde_with::PickFirst<(_, DisplayFromStr)>")]
    number: u32,
    after: u8,
}

#[serde_as]
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct PairList {
    #[serde_as(as = "Vec<(_, _)>")]
    map: BTreeMap<u8, char>,
    after: u8,
}

/// A trait object, serialised with the name of its type.
#[typetag::serde(tag = "job")]
trait Job: Debug {
    fn shown(&self) -> String {
        format!("{self:?}")
    }
}

impl PartialEq for dyn Job {
    fn eq(&self, other: &Self) -> bool {
        self.shown() == other.shown()
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Print {
    text: String,
}

#[typetag::serde]
impl Job for Print {}

#[derive(Debug, Serialize, Deserialize)]
struct Wait {
    seconds: f64,
    more: Option<(u8, char)>,
}

#[typetag::serde(name = "wait a while")]
impl Job for Wait {}

#[derive(Debug, Serialize, Deserialize)]
struct Jobs {
    first: Box<dyn Job>,
    after: u8,
}

impl PartialEq for Jobs {
    fn eq(&self, other: &Self) -> bool {
        *self.first == *other.first && self.after == other.after
    }
}
