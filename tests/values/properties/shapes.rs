//! Ordinary derived types, with attributes beside and within each other.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddrV4};
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::time::Duration;

use proptest::prelude::*;
use proptest_derive::Arbitrary;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{check, config};

/// Makes a property of each type. `may_change` marks a type that its own attributes change on the way.
macro_rules! properties {
    ($($name:ident: $type:ty $(, $mark:ident)?;)+) => {
        proptest! {
            #![proptest_config(config())]

            $(#[test]
            fn $name(value: $type) {
                check(&value, !<[&str]>::is_empty(&[$(stringify!($mark))?]))?;
            })+
        }
    };
}

properties! {
    scalars: Scalars;
    collections: Collections;
    nested_options: NestedOptions;
    keys: Keys;
    wide_integers: WideIntegers;
    std_types: OfStd;
    nothings: Nothings;
    tuple_structs: (Tuple, Newtype, OneOfMany);
    bytes: AsBytes;
    externally_tagged: External;
    internally_tagged: Internal;
    adjacently_tagged: Adjacent;
    untagged: Untagged;
    tagged_within_untagged: [Within; 3];
    tagged_struct: TaggedStruct;
    tagged_with_maps: TaggedMaps;
    tagged_with_options: [TaggedOptions; 3];
    tagged_generics: [Generic<Option<Internal>, Untagged>; 2];
    flat_struct: FlatStruct;
    flat_map: FlatMap;
    flat_internal: FlatInternal;
    flat_adjacent: FlatAdjacent;
    flat_external: FlatExternal;
    flat_untagged: FlatUntagged;
    flat_option: FlatOption;
    flat_in_variants: FlatInVariants;
    left_out: LeftOut;
    renamed: Renamed;
    renamed_each_way: RenamedEachWay;
    transparent: Transparent;
    by_another_type: Via;
    by_functions: ByFunctions;
    strict: Strict;
    defaults: Defaults;
    mixture: Mixture;
    mixtures: [Mixture; 3];
    skipped: Skipped, may_change;
    one_way: OneWay, may_change;
    skipped_in_variants: SkippedInVariants, may_change;
    other_variant: [Other; 4], may_change;
}

/// Returns short lists, as proptest's own lists have up to a hundred elements, and nested lists ten thousand.
fn few<T: Arbitrary>() -> impl Strategy<Value = Vec<T>> {
    proptest::collection::vec(any::<T>(), 0..4)
}

fn few_named<T: Arbitrary>() -> impl Strategy<Value = BTreeMap<String, T>> {
    proptest::collection::btree_map(any::<String>(), any::<T>(), 0..4)
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Arbitrary)]
struct Scalars {
    flag: bool,
    i8: i8,
    i16: i16,
    i32: i32,
    i64: i64,
    u8: u8,
    u16: u16,
    u32: u32,
    u64: u64,
    f32: f32,
    f64: f64,
    letter: char,
    text: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Arbitrary)]
struct Collections {
    list: Vec<u16>,
    #[proptest(strategy = "few()")]
    lists: Vec<Vec<bool>>,
    #[proptest(strategy = "few_named()")]
    map: BTreeMap<String, Option<u8>>,
    hashed: HashMap<String, (u8, char)>,
    set: BTreeSet<i8>,
    array: [u8; 5],
    none_or_list: Option<Vec<String>>,
    boxed: Box<(u8, String)>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Arbitrary)]
struct NestedOptions {
    first: Option<Option<u8>>,
    #[proptest(strategy = "few()")]
    list: Vec<Option<Option<String>>>,
    nothing: Option<()>,
    deep: Option<Option<Option<bool>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    left_out: Option<Option<u8>>,
    last: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Arbitrary)]
enum Key {
    One,
    Two,
    #[serde(rename = "3")]
    Three,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Arbitrary)]
struct Keys {
    signed: BTreeMap<i64, u8>,
    unsigned: BTreeMap<u8, u8>,
    wide: BTreeMap<u128, u8>,
    flags: BTreeMap<bool, u8>,
    letters: BTreeMap<char, u8>,
    variants: BTreeMap<Key, u8>,
    pairs: BTreeMap<(u8, bool), u8>,
    options: BTreeMap<Option<u8>, u8>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Arbitrary)]
struct WideIntegers {
    signed: i128,
    unsigned: u128,
    list: Vec<i128>,
    optional: Option<u128>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Arbitrary)]
struct OfStd {
    duration: Duration,
    address: IpAddr,
    socket: SocketAddrV4,
    range: RangeInclusive<i16>,
    result: Result<u8, String>,
    not_zero: NonZeroU32,
    maybe_not_zero: Option<NonZeroU32>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Arbitrary)]
struct Nothing;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Arbitrary)]
struct Nothings {
    unit: (),
    nothing: Nothing,
    list: Vec<()>,
    more: Vec<Nothing>,
    map: BTreeMap<u8, ()>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Arbitrary)]
struct Tuple(u8, String, Option<i64>);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Arbitrary)]
struct Newtype(#[proptest(strategy = "few()")] Vec<Option<bool>>);

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, Arbitrary)]
#[rustfmt::skip]
enum OneOfMany { A, B, C, D, E, F, G, H }

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Arbitrary)]
struct AsBytes {
    #[serde(with = "serde_bytes")]
    bytes: Vec<u8>,
    #[serde(serialize_with = "serde_bytes::serialize")]
    read_as_a_list: Vec<u8>,
    #[serde(deserialize_with = "serde_bytes::deserialize")]
    read_as_bytes: Vec<u8>,
    last: u8,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Arbitrary)]
enum External {
    Unit,
    Newtype(u64),
    Optional(Option<String>),
    Nothing(()),
    Tuple(i8, String, bool),
    Struct { a: f64, b: Option<Vec<u8>> },
    Inner(Box<Scalars>),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Arbitrary)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "UPPERCASE")]
enum Internal {
    UnitOne,
    OfStruct(Box<Scalars>),
    OfMap(#[proptest(strategy = "few_named()")] BTreeMap<String, u8>),
    WithFields { a: f32, b: Option<Vec<i16>>, letter: char, of: External },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Arbitrary)]
#[serde(tag = "t", content = "c")]
enum Adjacent {
    Unit,
    Newtype(External),
    Tuple(u64, Option<bool>),
    Struct { a: String, b: Nothing },
    Optional(Option<u8>),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Arbitrary)]
#[serde(untagged)]
enum Untagged {
    Flag(bool),
    Negative(i64),
    Text(String),
    Nothing,
    Pair(u8, bool),
    Triple(char, u8, Option<u8>),
    Named { celsius: f64 },
    Other { kelvin: f32, list: Vec<Key> },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Arbitrary)]
#[serde(untagged)]
enum Within {
    Internal(Internal),
    Adjacent(Adjacent),
    Key(Key),
    Address(IpAddr),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Arbitrary)]
#[serde(tag = "version", rename = "2")]
struct TaggedStruct {
    a: u8,
    b: Option<Untagged>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Arbitrary)]
#[serde(tag = "t")]
enum TaggedMaps {
    Of { integers: BTreeMap<u32, u8>, flags: BTreeMap<bool, u8>, letters: BTreeMap<char, u8> },
    Wide { a: u128, b: Option<i128> },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Arbitrary)]
#[serde(tag = "t")]
enum TaggedOptions {
    Of { a: Option<Option<u8>>, b: Option<()>, c: Vec<Option<Option<bool>>> },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Arbitrary)]
#[serde(tag = "t", content = "c", rename_all = "lowercase")]
enum Generic<A, B> {
    One(A),
    Other { b: B, more: [B; 2] },
    Both(A, B),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Arbitrary)]
struct Page {
    offset: u64,
    limit: Option<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    #[proptest(strategy = "few()")]
    sort: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Arbitrary)]
struct FlatStruct {
    #[serde(flatten)]
    page: Page,
    id: u8,
    #[serde(flatten)]
    strict: RenamedEachWay,
    last: Option<char>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Arbitrary)]
struct FlatMap {
    id: i64,
    #[serde(flatten)]
    #[proptest(strategy = "few_named()")]
    rest: BTreeMap<String, Vec<u8>>,
    last: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Arbitrary)]
struct FlatInternal {
    id: u8,
    #[serde(flatten)]
    of: Internal,
    last: u8,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Arbitrary)]
struct FlatAdjacent {
    id: u8,
    #[serde(flatten)]
    of: Adjacent,
    last: u8,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Arbitrary)]
struct FlatExternal {
    id: u8,
    #[serde(flatten)]
    of: External,
    last: u8,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Arbitrary)]
#[serde(untagged)]
enum Structs {
    Named { celsius: f64 },
    Other { kelvin: f32, list: Vec<Key> },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Arbitrary)]
struct FlatUntagged {
    id: u8,
    #[serde(flatten)]
    of: Structs,
    last: u8,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Arbitrary)]
struct FlatOption {
    id: u8,
    #[serde(flatten)]
    page: Option<Page>,
    last: u8,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Arbitrary)]
#[serde(tag = "kind")]
enum FlatInVariants {
    List {
        #[serde(flatten)]
        page: Page,
        n: u8,
    },
    Map {
        #[serde(flatten)]
        #[proptest(strategy = "few_named()")]
        rest: BTreeMap<String, Option<bool>>,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Arbitrary)]
struct LeftOut {
    #[serde(skip_serializing_if = "Option::is_none")]
    first: Option<String>,
    kept: u8,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    list: Vec<u8>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    map: BTreeMap<String, u8>,
    also_kept: Option<u8>,
    #[serde(default = "seven", skip_serializing_if = "is_seven")]
    last: u8,
}

fn seven() -> u8 {
    7
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_seven(number: &u8) -> bool {
    *number == 7
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Arbitrary)]
#[serde(rename_all = "camelCase")]
struct Renamed {
    some_field: u8,
    #[serde(rename = "type")]
    kind: RenamedVariants,
    #[serde(alias = "number")]
    last_field: Option<u8>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Arbitrary)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum RenamedVariants {
    FirstOne,
    #[serde(rename = "")]
    ASecond(u8),
    #[serde(rename_all = "PascalCase")]
    TheThird {
        a_field: u8,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Arbitrary)]
struct RenamedEachWay {
    #[serde(rename(serialize = "new", deserialize = "old"), alias = "new")]
    value: i32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Arbitrary)]
#[serde(transparent)]
struct Transparent {
    inner: Internal,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Arbitrary)]
#[serde(into = "ViaParts", from = "ViaParts")]
struct Via(u16);

#[derive(Serialize, Deserialize)]
struct ViaParts {
    high: u8,
    low: u8,
}

impl From<Via> for ViaParts {
    fn from(via: Via) -> Self {
        let [high, low] = via.0.to_be_bytes();
        Self { high, low }
    }
}

impl From<ViaParts> for Via {
    fn from(parts: ViaParts) -> Self {
        Self(u16::from_be_bytes([parts.high, parts.low]))
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Arbitrary)]
struct ByFunctions {
    before: u8,
    #[serde(serialize_with = "as_text", deserialize_with = "of_text")]
    number: i64,
    #[serde(with = "as_text_or_none")]
    maybe: Option<u32>,
    after: u8,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn as_text<S: Serializer>(number: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(number)
}

fn of_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

/// An option whose content is written without a `Some` around it.
mod as_text_or_none {
    use super::*;

    #[expect(clippy::ref_option, reason = "serde hands over the field")]
    pub(super) fn serialize<S: Serializer>(number: &Option<u32>, serializer: S) -> Result<S::Ok, S::Error> {
        match number {
            Some(number) => serializer.collect_str(number),
            None => serializer.serialize_unit(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| text.parse().map_err(serde::de::Error::custom)).transpose()
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Arbitrary)]
#[serde(deny_unknown_fields)]
struct Strict {
    #[serde(skip_serializing_if = "Option::is_none")]
    a: Option<u8>,
    b: Internal,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Arbitrary)]
#[serde(default)]
struct Defaults {
    text: String,
    #[serde(skip_serializing_if = "is_seven")]
    number: u8,
    list: Vec<Key>,
}

impl Default for Defaults {
    fn default() -> Self {
        Self { text: "default".into(), number: 7, list: vec![Key::One] }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Arbitrary)]
#[serde(rename_all = "camelCase")]
struct Mixture {
    #[serde(skip_serializing_if = "Option::is_none")]
    first: Option<Untagged>,
    #[serde(flatten)]
    of: Internal,
    #[proptest(strategy = "few_named()")]
    by_name: BTreeMap<String, Adjacent>,
    #[serde(flatten)]
    page: Page,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[proptest(strategy = "few()")]
    list: Vec<FlatUntagged>,
    last: Tuple,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Arbitrary)]
struct Skipped {
    #[serde(skip)]
    first: u8,
    a: u8,
    #[serde(skip)]
    middle: Option<u8>,
    b: Option<bool>,
    #[serde(skip, default = "seven")]
    last: u8,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Arbitrary)]
struct OneWay {
    #[serde(skip_serializing, default)]
    written_not: u8,
    a: u8,
    #[serde(skip_deserializing)]
    read_not: u8,
    b: u8,
    #[serde(skip_serializing, default = "seven")]
    last: u8,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Arbitrary)]
enum SkippedInVariants {
    #[serde(skip)]
    First,
    Second(u8),
    Third(#[serde(skip)] u8, u8, u8),
    #[serde(skip_serializing)]
    Fourth,
    Fifth {
        #[serde(skip)]
        a: u8,
        b: u8,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Arbitrary)]
enum Other {
    Known,
    #[serde(skip_deserializing)]
    New,
    #[serde(other)]
    Unknown,
}
