//! serde's data model as a type: values that call every method of a serialiser, read back in three ways.
//!
//! - By type: each part is read by its own method (`deserialize_u8`, `deserialize_struct`, …), and must be equal.
//! - By `deserialize_any`: parts that a format cannot tell apart (a struct from a map, a letter from a text) are made
//!   alike on both sides before the comparison.
//! - By `deserialize_ignored_any`: the whole value is skipped, to its exact end.

use std::cell::RefCell;
use std::fmt;

use proptest::collection::vec;
use proptest::prelude::*;
use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, IgnoredAny, MapAccess, SeqAccess, VariantAccess, Visitor,
};
use serde::ser::{
    SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple, SerializeTupleStruct,
    SerializeTupleVariant,
};
use serde::{Deserialize, Serialize, Serializer};

use crate::{by_codec, by_json, codec, config};

/// A value of any kind in serde's data model.
#[derive(Clone, Debug, PartialEq)]
enum Data {
    Bool(bool),
    I8(i8),
    I16(i16),
    I32(i32),
    I64(i64),
    I128(i128),
    U8(u8),
    U16(u16),
    U32(u32),
    U64(u64),
    U128(u128),
    /// The bits of a float.
    F32(u32),
    /// The bits of a float.
    F64(u64),
    Char(char),
    Str(String),
    Bytes(Vec<u8>),
    None,
    Some(Box<Data>),
    Unit,
    UnitStruct,
    NewtypeStruct(Box<Data>),
    Seq(Hint, Vec<Data>),
    Tuple(Vec<Data>),
    TupleStruct(Vec<Data>),
    Map(Hint, Vec<(Data, Data)>),
    Struct(Fields),
    UnitVariant(Place),
    NewtypeVariant(Place, Box<Data>),
    TupleVariant(Place, Vec<Data>),
    StructVariant(Place, Fields),
}

/// The length hint for a serialiser: right, missing, or wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Hint {
    Right,
    Missing,
    Wrong(usize),
}

/// The index of a variant.
type Place = usize;

/// Fields by index. A field without a value is skipped.
type Fields = Vec<(usize, Option<Data>)>;

const FIELDS: &[&str] = &["a", "type", "", "é", "a longer name of a field", "0"];

const VARIANTS: &[&str] = &["A", "type", "", "É", "ALongerNameOfAVariant", "0"];

impl Hint {
    fn of(self, length: usize) -> Option<usize> {
        match self {
            Self::Right => Some(length),
            Self::Missing => None,
            Self::Wrong(length) => Some(length),
        }
    }
}

fn hint() -> impl Strategy<Value = Hint> {
    prop_oneof![3 => Just(Hint::Right), 1 => Just(Hint::Missing), 1 => (0..100_usize).prop_map(Hint::Wrong)]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        vec(any::<char>(), 0..6).prop_map(|letters| letters.into_iter().collect()),
        proptest::sample::select(["", "null", "1", "-0", "true", "A", "type"].map(str::to_owned).to_vec()),
        (0..300_usize).prop_map(|length| "x".repeat(length)),
    ]
}

fn number() -> impl Strategy<Value = Data> {
    // Numbers of every size, in types wider than necessary.
    let wide = (any::<i128>(), 0..128_u32).prop_map(|(number, shift)| number >> shift);
    prop_oneof![
        any::<i8>().prop_map(Data::I8),
        any::<u8>().prop_map(Data::U8),
        wide.prop_map(Data::I128),
        (any::<u128>(), 0..128_u32).prop_map(|(number, shift)| Data::U128(number >> shift)),
        (any::<i64>(), 0..64_u32).prop_map(|(number, shift)| Data::I64(number >> shift)),
        (any::<u64>(), 0..64_u32).prop_map(|(number, shift)| Data::U64(number >> shift)),
        (any::<i32>(), 0..32_u32).prop_map(|(number, shift)| Data::I32(number >> shift)),
        (any::<u32>(), 0..32_u32).prop_map(|(number, shift)| Data::U32(number >> shift)),
        any::<i16>().prop_map(Data::I16),
        any::<u16>().prop_map(Data::U16),
        any::<u32>().prop_map(Data::F32),
        any::<f32>().prop_map(|float| Data::F32(float.to_bits())),
        any::<u64>().prop_map(Data::F64),
        any::<f64>().prop_map(|float| Data::F64(float.to_bits())),
        (-5..5_i8).prop_map(|number| Data::F64(f64::from(number).to_bits())),
    ]
}

fn leaf() -> impl Strategy<Value = Data> {
    prop_oneof![
        1 => any::<bool>().prop_map(Data::Bool),
        4 => number(),
        1 => any::<char>().prop_map(Data::Char),
        2 => text().prop_map(Data::Str),
        1 => vec(any::<u8>(), 0..20).prop_map(Data::Bytes),
        1 => Just(Data::None),
        1 => Just(Data::Unit),
        1 => Just(Data::UnitStruct),
        1 => (0..VARIANTS.len()).prop_map(Data::UnitVariant),
    ]
}

fn data() -> impl Strategy<Value = Data> {
    leaf().prop_recursive(5, 40, 4, |part| {
        let list = vec(part.clone(), 0..4);
        let fields = proptest::sample::subsequence((0..FIELDS.len()).collect::<Vec<_>>(), 0..4);
        let fields = (fields.prop_shuffle(), vec(proptest::option::weighted(0.8, part.clone()), 4))
            .prop_map(|(places, values)| places.into_iter().zip(values).collect::<Fields>());
        let variant = 0..VARIANTS.len();
        let key = prop_oneof![2 => text().prop_map(Data::Str), 1 => part.clone()];
        let boxed = part.clone().prop_map(Box::new);
        prop_oneof![
            boxed.clone().prop_map(Data::Some),
            boxed.clone().prop_map(Data::NewtypeStruct),
            (hint(), list.clone()).prop_map(|(hint, list)| Data::Seq(hint, list)),
            list.clone().prop_map(Data::Tuple),
            list.clone().prop_map(Data::TupleStruct),
            (hint(), vec((key, part), 0..4)).prop_map(|(hint, map)| Data::Map(hint, map)),
            fields.clone().prop_map(Data::Struct),
            (variant.clone(), boxed).prop_map(|(variant, value)| Data::NewtypeVariant(variant, value)),
            (variant.clone(), list).prop_map(|(variant, list)| Data::TupleVariant(variant, list)),
            (variant, fields).prop_map(|(variant, fields)| Data::StructVariant(variant, fields)),
        ]
    })
}

impl Serialize for Data {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::I8(value) => serializer.serialize_i8(*value),
            Self::I16(value) => serializer.serialize_i16(*value),
            Self::I32(value) => serializer.serialize_i32(*value),
            Self::I64(value) => serializer.serialize_i64(*value),
            Self::I128(value) => serializer.serialize_i128(*value),
            Self::U8(value) => serializer.serialize_u8(*value),
            Self::U16(value) => serializer.serialize_u16(*value),
            Self::U32(value) => serializer.serialize_u32(*value),
            Self::U64(value) => serializer.serialize_u64(*value),
            Self::U128(value) => serializer.serialize_u128(*value),
            Self::F32(bits) => serializer.serialize_f32(f32::from_bits(*bits)),
            Self::F64(bits) => serializer.serialize_f64(f64::from_bits(*bits)),
            Self::Char(value) => serializer.serialize_char(*value),
            Self::Str(value) => serializer.serialize_str(value),
            Self::Bytes(value) => serializer.serialize_bytes(value),
            Self::None => serializer.serialize_none(),
            Self::Some(value) => serializer.serialize_some(&**value),
            Self::Unit => serializer.serialize_unit(),
            Self::UnitStruct => serializer.serialize_unit_struct("UnitStruct"),
            Self::NewtypeStruct(value) => serializer.serialize_newtype_struct("NewtypeStruct", &**value),
            Self::Seq(hint, values) => {
                let mut seq = serializer.serialize_seq(hint.of(values.len()))?;
                values.iter().try_for_each(|value| seq.serialize_element(value))?;
                seq.end()
            }
            Self::Tuple(values) => {
                let mut tuple = serializer.serialize_tuple(values.len())?;
                values.iter().try_for_each(|value| tuple.serialize_element(value))?;
                tuple.end()
            }
            Self::TupleStruct(values) => {
                let mut tuple = serializer.serialize_tuple_struct("TupleStruct", values.len())?;
                values.iter().try_for_each(|value| tuple.serialize_field(value))?;
                tuple.end()
            }
            Self::Map(hint, entries) => {
                let mut map = serializer.serialize_map(hint.of(entries.len()))?;
                entries.iter().enumerate().try_for_each(|(index, (key, value))| {
                    if index % 2 == 0 {
                        return map.serialize_entry(key, value);
                    }
                    map.serialize_key(key)?;
                    map.serialize_value(value)
                })?;
                map.end()
            }
            Self::Struct(fields) => {
                let mut state = serializer.serialize_struct("Struct", kept(fields).count())?;
                fields.iter().try_for_each(|(place, value)| match value {
                    Some(value) => state.serialize_field(FIELDS[*place], value),
                    None => state.skip_field(FIELDS[*place]),
                })?;
                state.end()
            }
            Self::UnitVariant(variant) => {
                serializer.serialize_unit_variant("Enum", *variant as u32, VARIANTS[*variant])
            }
            Self::NewtypeVariant(variant, value) => {
                serializer.serialize_newtype_variant("Enum", *variant as u32, VARIANTS[*variant], &**value)
            }
            Self::TupleVariant(variant, values) => {
                let name = VARIANTS[*variant];
                let mut tuple = serializer.serialize_tuple_variant("Enum", *variant as u32, name, values.len())?;
                values.iter().try_for_each(|value| tuple.serialize_field(value))?;
                tuple.end()
            }
            Self::StructVariant(variant, fields) => {
                let (name, length) = (VARIANTS[*variant], kept(fields).count());
                let mut state = serializer.serialize_struct_variant("Enum", *variant as u32, name, length)?;
                fields.iter().try_for_each(|(place, value)| match value {
                    Some(value) => state.serialize_field(FIELDS[*place], value),
                    None => state.skip_field(FIELDS[*place]),
                })?;
                state.end()
            }
        }
    }
}

/// Returns the fields that are not skipped.
fn kept(fields: &Fields) -> impl Iterator<Item = (usize, &Data)> {
    fields.iter().filter_map(|(place, value)| Some((*place, value.as_ref()?)))
}

impl Data {
    /// Removes details that a reader does not receive: lengths, skipped fields.
    fn settled(&self) -> Self {
        let all = |values: &[Self]| values.iter().map(Self::settled).collect::<Vec<_>>();
        let fields = |fields: &Fields| kept(fields).map(|(place, value)| (place, Some(value.settled()))).collect();
        match self {
            Self::Some(value) => Self::Some(value.settled().into()),
            Self::NewtypeStruct(value) => Self::NewtypeStruct(value.settled().into()),
            Self::Seq(_, values) => Self::Seq(Hint::Right, all(values)),
            Self::Tuple(values) => Self::Tuple(all(values)),
            Self::TupleStruct(values) => Self::TupleStruct(all(values)),
            Self::Map(_, entries) => {
                let settled = entries.iter().map(|(key, value)| (key.settled(), value.settled()));
                Self::Map(Hint::Right, settled.collect())
            }
            Self::Struct(of) => Self::Struct(fields(of)),
            Self::NewtypeVariant(variant, value) => Self::NewtypeVariant(*variant, value.settled().into()),
            Self::TupleVariant(variant, values) => Self::TupleVariant(*variant, all(values)),
            Self::StructVariant(variant, of) => Self::StructVariant(*variant, fields(of)),
            other => other.clone(),
        }
    }

    /// Keeps only distinctions that a format can tell by `deserialize_any`.
    fn plain(&self) -> Self {
        let all = |values: &[Self]| Self::Seq(Hint::Right, values.iter().map(Self::plain).collect());
        let text = |text: &str| Self::Str(text.to_owned());
        let named = |fields: &Fields| {
            Self::Map(Hint::Right, kept(fields).map(|(place, value)| (text(FIELDS[place]), value.plain())).collect())
        };
        let one = |variant: usize, value| Self::Map(Hint::Right, vec![(text(VARIANTS[variant]), value)]);
        let float = |float: f64| Self::F64(if float.is_nan() { f64::NAN } else { float }.to_bits());
        match self {
            Self::I8(value) => Self::I128((*value).into()),
            Self::I16(value) => Self::I128((*value).into()),
            Self::I32(value) => Self::I128((*value).into()),
            Self::I64(value) => Self::I128((*value).into()),
            Self::U8(value) => Self::I128((*value).into()),
            Self::U16(value) => Self::I128((*value).into()),
            Self::U32(value) => Self::I128((*value).into()),
            Self::U64(value) => Self::I128((*value).into()),
            Self::U128(value) => i128::try_from(*value).map_or(Self::U128(*value), Self::I128),
            Self::F32(bits) => float(f32::from_bits(*bits).into()),
            Self::F64(bits) => float(f64::from_bits(*bits)),
            Self::Char(value) => Self::Str(value.to_string()),
            // A format without bytes has lists of numbers.
            Self::Bytes(bytes) => all(&bytes.iter().map(|byte| Self::U8(*byte)).collect::<Vec<_>>()),
            Self::None | Self::Unit | Self::UnitStruct => Self::Unit,
            Self::Some(value) | Self::NewtypeStruct(value) => value.plain(),
            Self::Seq(_, values) | Self::Tuple(values) | Self::TupleStruct(values) => all(values),
            Self::Map(_, entries) => {
                Self::Map(Hint::Right, entries.iter().map(|(key, value)| (key.plain(), value.plain())).collect())
            }
            Self::Struct(fields) => named(fields),
            Self::UnitVariant(variant) => text(VARIANTS[*variant]),
            Self::NewtypeVariant(variant, value) => one(*variant, value.plain()),
            Self::TupleVariant(variant, values) => one(*variant, all(values)),
            Self::StructVariant(variant, fields) => one(*variant, named(fields)),
            Self::Bool(_) | Self::I128(_) | Self::Str(_) => self.clone(),
        }
    }
}

/// Deserialises by `deserialize_any`.
impl<'de> Deserialize<'de> for Data {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Anything;

        macro_rules! visit {
            ($($visit:ident: $type:ty => $variant:ident;)*) => {
                $(fn $visit<E>(self, value: $type) -> Result<Data, E> {
                    Ok(Data::$variant(value.into()))
                })*
            };
        }

        impl<'de> Visitor<'de> for Anything {
            type Value = Data;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("anything")
            }

            visit! {
                visit_bool: bool => Bool;
                visit_i64: i64 => I64;
                visit_i128: i128 => I128;
                visit_u64: u64 => U64;
                visit_u128: u128 => U128;
                visit_str: &str => Str;
                visit_bytes: &[u8] => Bytes;
            }

            fn visit_f32<E>(self, value: f32) -> Result<Data, E> {
                Ok(Data::F32(value.to_bits()))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Data, E> {
                Ok(Data::F64(value.to_bits()))
            }

            fn visit_unit<E>(self) -> Result<Data, E> {
                Ok(Data::Unit)
            }

            fn visit_none<E>(self) -> Result<Data, E> {
                Ok(Data::None)
            }

            fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Data, D::Error> {
                Data::deserialize(deserializer).map(|data| Data::Some(data.into()))
            }

            fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Data, D::Error> {
                Data::deserialize(deserializer).map(|data| Data::NewtypeStruct(data.into()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Data, A::Error> {
                let mut values = Vec::new();
                while let Some(value) = seq.next_element()? {
                    values.push(value);
                }
                Ok(Data::Seq(Hint::Right, values))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Data, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Data::Map(Hint::Right, entries))
            }
        }

        deserializer.deserialize_any(Anything)
    }
}

/// Deserialises a value of the same shape as another value: each part by its own method.
struct Like<'a>(&'a Data);

impl<'de> DeserializeSeed<'de> for Like<'_> {
    type Value = Data;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Data, D::Error> {
        match self.0 {
            Data::Bool(_) => bool::deserialize(deserializer).map(Data::Bool),
            Data::I8(_) => i8::deserialize(deserializer).map(Data::I8),
            Data::I16(_) => i16::deserialize(deserializer).map(Data::I16),
            Data::I32(_) => i32::deserialize(deserializer).map(Data::I32),
            Data::I64(_) => i64::deserialize(deserializer).map(Data::I64),
            Data::I128(_) => i128::deserialize(deserializer).map(Data::I128),
            Data::U8(_) => u8::deserialize(deserializer).map(Data::U8),
            Data::U16(_) => u16::deserialize(deserializer).map(Data::U16),
            Data::U32(_) => u32::deserialize(deserializer).map(Data::U32),
            Data::U64(_) => u64::deserialize(deserializer).map(Data::U64),
            Data::U128(_) => u128::deserialize(deserializer).map(Data::U128),
            Data::F32(_) => f32::deserialize(deserializer).map(|float| Data::F32(float.to_bits())),
            Data::F64(_) => f64::deserialize(deserializer).map(|float| Data::F64(float.to_bits())),
            Data::Char(_) => char::deserialize(deserializer).map(Data::Char),
            Data::Str(_) => String::deserialize(deserializer).map(Data::Str),
            Data::Bytes(_) => {
                serde_bytes::ByteBuf::deserialize(deserializer).map(|bytes| Data::Bytes(bytes.into_vec()))
            }
            Data::None | Data::Some(_) => deserializer.deserialize_option(Parts(self.0)),
            Data::Unit => deserializer.deserialize_unit(Parts(self.0)),
            Data::UnitStruct => deserializer.deserialize_unit_struct("UnitStruct", Parts(self.0)),
            Data::NewtypeStruct(_) => deserializer.deserialize_newtype_struct("NewtypeStruct", Parts(self.0)),
            Data::Seq(..) => deserializer.deserialize_seq(Parts(self.0)),
            Data::Tuple(values) => deserializer.deserialize_tuple(values.len(), Parts(self.0)),
            Data::TupleStruct(values) => {
                deserializer.deserialize_tuple_struct("TupleStruct", values.len(), Parts(self.0))
            }
            Data::Map(..) => deserializer.deserialize_map(Parts(self.0)),
            Data::Struct(_) => deserializer.deserialize_struct("Struct", FIELDS, Parts(self.0)),
            Data::UnitVariant(_) | Data::NewtypeVariant(..) | Data::TupleVariant(..) | Data::StructVariant(..) => {
                deserializer.deserialize_enum("Enum", VARIANTS, Parts(self.0))
            }
        }
    }
}

/// Visits the parts of a value of the same shape.
struct Parts<'a>(&'a Data);

impl<'a> Parts<'a> {
    /// Reads one value for each element, and fails on an element too many.
    fn list<'de, A: SeqAccess<'de>>(values: &'a [Data], mut seq: A) -> Result<Vec<Data>, A::Error> {
        let mut read = Vec::new();
        for value in values {
            let Some(next) = seq.next_element_seed(Like(value))? else {
                return Err(de::Error::invalid_length(read.len(), &"as many as were written"));
            };
            read.push(next);
        }
        match seq.next_element::<IgnoredAny>()? {
            None => Ok(read),
            Some(_) => Err(de::Error::custom("more than were written")),
        }
    }

    fn fields<'de, A: MapAccess<'de>>(fields: &'a Fields, mut map: A) -> Result<Fields, A::Error> {
        let mut read = Vec::new();
        while let Some(Field(place)) = map.next_key()? {
            let like = kept(fields).find(|(kept, _)| *kept == place);
            let (_, like) = like.ok_or_else(|| de::Error::unknown_field(FIELDS[place], FIELDS))?;
            read.push((place, Some(map.next_value_seed(Like(like))?)));
        }
        Ok(read)
    }
}

impl<'de> Visitor<'de> for Parts<'_> {
    type Value = Data;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "what is like {:?}", self.0)
    }

    fn visit_unit<E: de::Error>(self) -> Result<Data, E> {
        match self.0 {
            Data::Unit => Ok(Data::Unit),
            Data::UnitStruct => Ok(Data::UnitStruct),
            // As serde's own option does.
            Data::None | Data::Some(_) => Ok(Data::None),
            _ => Err(E::invalid_type(de::Unexpected::Unit, &self)),
        }
    }

    fn visit_none<E: de::Error>(self) -> Result<Data, E> {
        match self.0 {
            Data::None | Data::Some(_) => Ok(Data::None),
            _ => Err(E::invalid_type(de::Unexpected::Option, &self)),
        }
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Data, D::Error> {
        match self.0 {
            Data::Some(like) => Like(like).deserialize(deserializer).map(|data| Data::Some(data.into())),
            Data::None => Ok(Data::Some(Data::deserialize(deserializer)?.into())),
            _ => Err(de::Error::invalid_type(de::Unexpected::Option, &self)),
        }
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Data, D::Error> {
        let Data::NewtypeStruct(like) = self.0 else {
            return Err(de::Error::invalid_type(de::Unexpected::NewtypeStruct, &self));
        };
        Like(like).deserialize(deserializer).map(|data| Data::NewtypeStruct(data.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Data, A::Error> {
        match self.0 {
            Data::Seq(_, values) => Self::list(values, seq).map(|read| Data::Seq(Hint::Right, read)),
            Data::Tuple(values) => Self::list(values, seq).map(Data::Tuple),
            Data::TupleStruct(values) => Self::list(values, seq).map(Data::TupleStruct),
            Data::TupleVariant(variant, values) => {
                Self::list(values, seq).map(|read| Data::TupleVariant(*variant, read))
            }
            _ => Err(de::Error::invalid_type(de::Unexpected::Seq, &self)),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Data, A::Error> {
        match self.0 {
            Data::Map(_, entries) => {
                let mut read = Vec::new();
                for (key, value) in entries {
                    let Some(key) = map.next_key_seed(Like(key))? else {
                        return Err(de::Error::invalid_length(read.len(), &"as many as were written"));
                    };
                    read.push((key, map.next_value_seed(Like(value))?));
                }
                match map.next_key::<IgnoredAny>()? {
                    None => Ok(Data::Map(Hint::Right, read)),
                    Some(_) => Err(de::Error::custom("more than were written")),
                }
            }
            Data::Struct(fields) => Self::fields(fields, map).map(Data::Struct),
            Data::StructVariant(variant, fields) => {
                Self::fields(fields, map).map(|read| Data::StructVariant(*variant, read))
            }
            _ => Err(de::Error::invalid_type(de::Unexpected::Map, &self)),
        }
    }

    fn visit_enum<A: EnumAccess<'de>>(self, data: A) -> Result<Data, A::Error> {
        let (Variant(place), content) = data.variant()?;
        match self.0 {
            Data::UnitVariant(_) => content.unit_variant().map(|()| Data::UnitVariant(place)),
            Data::NewtypeVariant(_, like) => {
                content.newtype_variant_seed(Like(like)).map(|data| Data::NewtypeVariant(place, data.into()))
            }
            Data::TupleVariant(_, values) if *self.0 == Data::TupleVariant(place, values.clone()) => {
                content.tuple_variant(values.len(), self)
            }
            Data::StructVariant(_, fields) if *self.0 == Data::StructVariant(place, fields.clone()) => {
                content.struct_variant(FIELDS, self)
            }
            _ => Err(de::Error::invalid_type(de::Unexpected::Enum, &self)),
        }
    }
}

/// The index of a name, deserialised as in derived code.
struct Name(&'static [&'static str]);

impl Visitor<'_> for Name {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_u64<E: de::Error>(self, place: u64) -> Result<usize, E> {
        usize::try_from(place).ok().filter(|place| *place < self.0.len()).ok_or_else(|| E::custom("no place"))
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<usize, E> {
        self.0.iter().position(|known| *known == name).ok_or_else(|| E::custom("an unknown name"))
    }

    fn visit_bytes<E: de::Error>(self, name: &[u8]) -> Result<usize, E> {
        self.0.iter().position(|known| known.as_bytes() == name).ok_or_else(|| E::custom("an unknown name"))
    }
}

struct Field(usize);

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_identifier(Name(FIELDS)).map(Self)
    }
}

struct Variant(usize);

impl<'de> Deserialize<'de> for Variant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_identifier(Name(VARIANTS)).map(Self)
    }
}

thread_local! {
    static LIKE: RefCell<Option<Data>> = const { RefCell::new(None) };
}

/// A value of the same shape as this thread's value, since the codec's function takes no seed.
#[derive(Debug, PartialEq)]
struct Known(Data);

impl<'de> Deserialize<'de> for Known {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let like = LIKE.with_borrow(Clone::clone).ok_or_else(|| de::Error::custom("nothing to be like"))?;
        Like(&like).deserialize(deserializer).map(Self)
    }
}

/// Checks that a value that serde_json returns is returned by the codec too, and that no other value is.
fn check<T: PartialEq + fmt::Debug>(
    expected: &T,
    json: Result<T, String>,
    ours: Result<T, String>,
) -> Result<(), TestCaseError> {
    match ours {
        Ok(ours) => prop_assert_eq!(&ours, expected),
        Err(text) => prop_assert!(json.as_ref() != Ok(expected), "refused: {}", text),
    }
    Ok(())
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn read_as_it_was_written(data in data()) {
        LIKE.set(Some(data.clone()));
        check(&Known(data.settled()), by_json(&data), by_codec(&data))?;
    }

    #[test]
    fn read_without_knowledge(data in data()) {
        let plain = |read: Data| read.plain();
        check(&data.plain(), by_json(&data).map(plain), by_codec(&data).map(plain))?;
    }

    #[test]
    fn read_in_a_list_of_others(data in vec(data(), 0..4), last: u64) {
        LIKE.set(Some(Data::Tuple(data.clone())));
        let list = (Data::Tuple(data), last);
        let expected = (Known(list.0.settled()), last);
        check(&expected, by_json(&list), by_codec(&list))?;
    }

    #[test]
    fn passed_over(data in data(), last: u64) {
        if let Ok((IgnoredAny, read)) = by_codec::<_, (IgnoredAny, u64)>(&(&data, last)) {
            prop_assert_eq!(read, last);
        } else {
            prop_assert!(by_json::<_, (IgnoredAny, u64)>(&(&data, last)).is_err());
        }
    }

    /// Random bytes end in a value or an error.
    #[test]
    fn spoilt_bytes_are_an_error_at_most(data in data(), place: proptest::sample::Index, byte: u8, cut: bool) {
        if let Ok(mut bytes) = codec::to_vec(&data) && !bytes.is_empty() {
            let place = place.index(bytes.len());
            if cut { bytes.truncate(place) } else { bytes[place] = byte }
            let _ = codec::from_slice::<Data>(&bytes);
            LIKE.set(Some(data));
            let _ = codec::from_slice::<Known>(&bytes);
            let _ = codec::from_slice::<IgnoredAny>(&bytes);
        }
    }

    #[test]
    fn any_bytes_are_an_error_at_most(bytes in vec(any::<u8>(), 0..64), like in data()) {
        let _ = codec::from_slice::<Data>(&bytes);
        LIKE.set(Some(like));
        let _ = codec::from_slice::<Known>(&bytes);
        let _ = codec::from_slice::<IgnoredAny>(&bytes);
    }
}
