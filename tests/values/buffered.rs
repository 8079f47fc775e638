//! Values that serde buffers before their type is known, and loses in some formats. Each arrives equal or is refused,
//! and never arrives changed.
//!
//! `flatten`, `tag` and `untagged` keep content in a buffer of serde, which has no integers of 128 bits, and merges
//! nested options if the format does. No format can carry a value that the buffer cannot hold, so an error is all that
//! is asked.

use std::collections::BTreeMap;
use std::fmt::Debug;

use offspring::{Error, ErrorKind, JoinError, JoinErrorKind};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use serde_json::{Value, json};

use crate::asymmetric::ViaValue;
use crate::table::by_channel;

/// Cases of one value each.
macro_rules! never_another {
    ($($name:ident: $type:ty = $value:expr;)+) => {
        offspring_tests::cases! { $(here $name;)+ }

        $(
            fn $name(method: offspring::StartMethod) {
                $name::go(method);
            }

            mod $name {
                use super::*;

                fn value() -> $type {
                    $value
                }

                #[offspring::child_task]
                fn child(given: $type) -> $type {
                    assert_eq!(given, value(), "another argument");
                    given
                }

                pub(super) fn go(method: offspring::StartMethod) {
                    check(by_channel(value()).ok(), &value());
                    let started = offspring_tests::build(method, child::call(value())).start();
                    check(started.map_err(is_refusal).ok().and_then(|child| child.join().map_err(is_unable).ok()),
                        &value());
                }
            }
        )+
    };
}

fn check<T: PartialEq + Debug>(arrived: Option<T>, sent: &T) {
    assert!(arrived.is_none() || arrived.as_ref() == Some(sent), "{arrived:?} instead of {sent:?}");
}

#[track_caller]
fn is_refusal(error: Error) {
    assert_eq!(error.kind(), ErrorKind::Encode, "{error:?}");
}

#[track_caller]
fn is_unable(error: JoinError) {
    match error.kind() {
        JoinErrorKind::Unencodable | JoinErrorKind::Undecodable => {}
        JoinErrorKind::NotStarted(cause) if cause.kind() == ErrorKind::Decode => {}
        _ => panic!("{error:?}"),
    }
}

never_another! {
    wide_integers_without_tag: Vec<Untagged<u128>> = [0, 1 << 64, u128::MAX].map(Untagged::It).into();
    signed_wide_integers_without_tag: Vec<Untagged<i128>> = [-1, 1, i128::MIN].map(Untagged::It).into();
    wide_integers_with_a_tag: Vec<Tagged<u128>> = [0, u128::MAX].map(|it| Tagged::It { it }).into();
    wide_integers_flattened: Flat<i128> = flat(i128::MAX);
    wide_integers_in_values: Flat<Values> =
        flat(Values { wide: u128::MAX, rest: [("a".into(), json!(u64::MAX))].into() });
    nested_options_without_tag: Vec<Untagged<Option<Option<u8>>>> = nested().map(Untagged::It).into();
    nested_options_with_a_tag: Vec<Tagged<Option<Option<u8>>>> = nested().map(|it| Tagged::It { it }).into();
    nested_options_with_content: Vec<Adjacent<Option<Option<u8>>>> = nested().map(Adjacent::It).into();
    nested_options_flattened: Vec<Flat<Option<Option<u8>>>> = nested().map(flat).into();
    some_nothing_without_tag: Vec<Untagged<Option<()>>> = [None, Some(())].map(Untagged::It).into();
    some_nothing_with_a_tag: Vec<Tagged<Option<()>>> = [None, Some(())].map(|it| Tagged::It { it }).into();
    some_nothing_flattened: Vec<Flat<Option<()>>> = [None, Some(())].map(flat).into();
    some_null_with_a_tag: Vec<Tagged<Option<Value>>> =
        [None, Some(json!(null)), Some(json!(1))].map(|it| Tagged::It { it }).into();
    integer_keys_without_tag: Untagged<BTreeMap<u32, u8>> = Untagged::It([(1, 2)].into());
    integer_keys_with_a_tag: Tagged<BTreeMap<i64, u8>> = Tagged::It { it: [(-1, 2)].into() };
    integer_keys_flattened: FlatMap<u32> = FlatMap { first: 1, map: [(2, 3)].into(), last: 4 };
    flags_as_keys_with_a_tag: Tagged<BTreeMap<bool, u8>> = Tagged::It { it: [(true, 2)].into() };
    letters_as_keys_with_a_tag: Tagged<BTreeMap<char, u8>> = Tagged::It { it: [('é', 2)].into() };
    tuples_as_keys_without_tag: Untagged<BTreeMap<(u8, u8), u8>> = Untagged::It([((1, 2), 3)].into());
    tuples_as_keys_with_a_tag: Tagged<BTreeMap<(u8, u8), u8>> = Tagged::It { it: [((1, 2), 3)].into() };
    structs_as_keys_flattened: FlatMap<Key> = FlatMap { first: 1, map: [(Key { a: 2 }, 3)].into(), last: 4 };
    variants_as_keys_with_a_tag: Tagged<BTreeMap<Variant, u8>> =
        Tagged::It { it: [(Variant::Unit, 1), (Variant::Of(2), 3)].into() };
    options_as_keys_with_a_tag: Tagged<BTreeMap<Option<u8>, u8>> = Tagged::It { it: [(None, 1), (Some(2), 3)].into() };
    no_numbers_without_tag: Untagged<Bits> = Untagged::It(Bits(f64::from_bits(0x7ff8_0000_0000_beef)));
    no_numbers_with_a_tag: Tagged<[Bits32; 2]> = Tagged::It { it: [f32::NAN, f32::from_bits(0x7fc0_beef)].map(Bits32) };
    infinite_numbers_flattened: Flat<[Bits; 2]> = flat([f64::INFINITY, f64::NEG_INFINITY].map(Bits));
    a_field_twice: Twice = Twice { a: 1, inner: TwiceInner { a: 2, b: 3 } };
    a_tag_that_is_a_field: TagTwice = TagTwice::It(Type { r#type: 1 });
    a_key_that_is_a_field: FlatMap<String> = FlatMap { first: 1, map: [("last".into(), 3)].into(), last: 4 };
    a_nothing_flattened: FlatNothing = FlatNothing { first: 1, nothing: (), last: 2 };
    a_flattened_option_of_a_tagged_enum: Vec<FlatOptional> =
        [None, Some(Tagged::It { it: 1 })].map(|it| FlatOptional { first: 1, it, last: 2 }).into();
    a_flattened_option_that_is_empty: FlatEmpty = FlatEmpty { first: 1, inner: Some(AllOptional { a: None, b: None }) };
    // The buffer holds bytes as a list, which other value types, such as CBOR's, take for a list.
    bytes_read_as_json: ViaValue<ByteBuf> = ViaValue(vec![1, 2, 255].into());
    a_float_of_message_pack: rmpv::Value = rmpv::Value::F32(0.5);
    numbers_of_ron: Vec<ron::Value> =
        ron::from_str("[1, -1, 0.5, 'c', Some(1), None, {1: 2}, (), 18446744073709551615]").unwrap();
    a_chain_that_is_too_long_for_json: Chain = chain(1_000);
    a_chain_that_is_too_long_for_a_stack: Tags = tags(3_000);
}

fn nested() -> [Option<Option<u8>>; 3] {
    [None, Some(None), Some(Some(1))]
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged<T> {
    Other { no_such_field: u8 },
    It(T),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "t")]
enum Tagged<T> {
    It { it: T },
}

/// serde allows the content to come before the tag.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "t", content = "c")]
enum Adjacent<T> {
    It(T),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Flat<T> {
    first: u8,
    #[serde(flatten)]
    inner: Inner<T>,
    last: u8,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Inner<T> {
    it: T,
    more: u8,
}

fn flat<T>(it: T) -> Flat<T> {
    Flat { first: 1, inner: Inner { it, more: 2 }, last: 3 }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Values {
    wide: u128,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound(deserialize = "K: DeserializeOwned + Ord"))]
struct FlatMap<K: Ord> {
    first: u8,
    #[serde(flatten)]
    map: BTreeMap<K, u8>,
    last: u8,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Key {
    a: u8,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Variant {
    Unit,
    Of(u8),
}

/// Floats with equality by bits.
#[derive(Debug, Serialize, Deserialize)]
struct Bits(f64);

impl PartialEq for Bits {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Bits32(f32);

impl PartialEq for Bits32 {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Twice {
    a: u8,
    #[serde(flatten)]
    inner: TwiceInner,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct TwiceInner {
    a: u8,
    b: u8,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
enum TagTwice {
    It(Type),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Type {
    r#type: u8,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct FlatNothing {
    first: u8,
    #[serde(flatten)]
    nothing: (),
    last: u8,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct FlatOptional {
    first: u8,
    #[serde(flatten)]
    it: Option<Tagged<u8>>,
    last: u8,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct FlatEmpty {
    first: u8,
    #[serde(flatten)]
    inner: Option<AllOptional>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct AllOptional {
    #[serde(skip_serializing_if = "Option::is_none")]
    a: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    b: Option<u8>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Chain {
    number: u32,
    next: Option<Box<Chain>>,
}

fn chain(length: u32) -> Chain {
    (1..length).fold(Chain { number: 0, next: None }, |next, number| Chain { number, next: Some(Box::new(next)) })
}

/// Each level is buffered within the buffer of the level above.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "t")]
enum Tags {
    End,
    More { next: Box<Tags> },
}

fn tags(length: u32) -> Tags {
    (0..length).fold(Tags::End, |next, _| Tags::More { next: Box::new(next) })
}
