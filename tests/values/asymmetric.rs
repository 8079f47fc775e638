//! Types that serialise in one form and deserialise from another, as a self-describing format allows.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::{self, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap, SerializeSeq, SerializeStruct, SerializeTuple};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_bytes::ByteBuf;
use serde_json::{Value, json};

use crate::table::round_trips;

round_trips! {
    numbers {
        a_small_integer_as_a_wide_one: As<u8, u64, Width> = As::new(200);
        a_wide_integer_that_is_small: As<u64, u8, Width> = As::new(200);
        a_signed_one_as_an_unsigned_one: As<i64, u16, Width> = As::new(300);
        an_unsigned_one_as_a_signed_one: As<u32, i64, Width> = As::new(1);
        an_integer_of_128_bits_as_one_of_64: As<u128, u64, Width> = As::new(u128::from(u64::MAX));
        a_negative_one_of_128_bits: As<i128, i64, Width> = As::new(i128::from(i64::MIN));
        an_integer_of_64_bits_as_one_of_128: As<u64, i128, Width> = As::new(7);
        a_whole_float_as_an_integer: WholeAsInteger = WholeAsInteger { before: 1, ratio: 3.0, after: 2 };
        a_float_that_is_no_integer: WholeAsInteger = WholeAsInteger { before: 1, ratio: 0.5, after: 2 };
        a_single_float_as_a_double_one: As<f32, f64, Width> = As::new(0.5);
        an_integer_as_a_value: ViaValue<u64> = ViaValue(u64::MAX);
        a_float_as_a_value: ViaValue<f64> = ViaValue(1.5);
    }

    texts_and_bytes {
        bytes_as_a_list: BytesAsList = BytesAsList { data: vec![0, 1, 255], after: 1 };
        a_list_as_bytes: ListAsBytes = ListAsBytes { data: vec![0, 1, 255], after: 1 };
        a_text_as_bytes: TextAsBytes = TextAsBytes { text: "é".into(), after: 1 };
        a_letter_as_a_text: Letters = Letters { letter: 'é', text: "x".into() };
        a_unit_variant_as_a_text: VariantAsText = VariantAsText::SecondOne;
        a_text_as_a_unit_variant: Vec<TextAsVariant> = vec![TextAsVariant::Low, TextAsVariant::High];
        a_displayed_number: Displayed = Displayed { n: 12, after: 3 };
    }

    structures {
        a_struct_as_a_map: StructAsMap = StructAsMap([("a".into(), 1), ("b".into(), 2)].into());
        a_map_as_a_struct: MapAsStruct = MapAsStruct { a: 1, b: "x".into() };
        a_map_in_another_order: Shuffled = Shuffled { a: 1, b: 2, c: 3 };
        a_list_as_a_struct: ListAsStruct = ListAsStruct { a: 1, b: 2 };
        a_list_as_a_tuple: As<Vec<u8>, (u8, u8, u8), Parts> = As::new(vec![1, 2, 3]);
        a_tuple_as_a_list: As<(u8, u8), Vec<u8>, Parts> = As::new((1, 2));
        a_list_of_unknown_length: Unknown = Unknown(vec![1, 2, 3]);
        a_map_of_unknown_length: UnknownMap = UnknownMap([("a".into(), vec![1]), ("b".into(), vec![])].into());
        a_length_that_is_too_small: WrongLength = WrongLength { told: 1, items: vec![1, 2, 3] };
        a_length_that_is_too_big: WrongLength = WrongLength { told: 1000, items: vec![1] };
        a_variant_as_a_map: VariantAsMap = VariantAsMap([("Add".into(), 3)].into());
        a_map_as_a_variant: Vec<MapAsVariant> = vec![MapAsVariant::Add(3), MapAsVariant::Move { x: 1 }];
        one_or_many: Vec<OneOrMany> = vec![OneOrMany(vec![1]), OneOrMany(vec![]), OneOrMany(vec![1, 2])];
        a_name_or_a_struct: Vec<NameOrStruct> = vec![
            NameOrStruct { name: "short".into(), version: None },
            NameOrStruct { name: "long".into(), version: Some("1.0".into()) },
        ];
        a_key_written_twice: Pairs = Pairs(vec![("a".into(), 1), ("a".into(), 2)]);
    }

    options {
        a_plain_text_read_as_an_option: PlainAsOption = PlainAsOption { a: Some("x".into()), after: 1 };
        none_written_as_an_empty_text: PlainAsOption = PlainAsOption { a: None, after: 1 };
        an_option_read_as_a_plain_text: OptionAsPlain = OptionAsPlain { a: "x".into(), after: 1 };
        a_unit_read_as_none: UnitAsNone = UnitAsNone { a: None, after: 1 };
        none_read_as_a_unit: NoneAsUnit = NoneAsUnit { a: (), after: 1 };
        some_seen_by_a_visitor_of_anything: Vec<Lenient> = vec![
            Lenient { id: Some("x".into()), after: 1 },
            Lenient { id: None, after: 2 },
        ];
        an_option_as_a_value: ViaValue<Option<String>> = ViaValue(Some("x".into()));
        none_as_a_value: ViaValue<Option<String>> = ViaValue(None);
    }

    anything {
        a_struct_as_a_value: ViaValue<Everything> = ViaValue(Everything::filled());
        a_struct_of_a_value: FromValue = FromValue(json!({"unit": null, "list": [1, -1, 0.5, "x"], "map": {"": {}}}));
        a_newtype_as_a_value: ViaValue<Newtype> = ViaValue(Newtype(3));
        variants_as_values: Vec<ViaValue<Variant>> = vec![
            ViaValue(Variant::Unit),
            ViaValue(Variant::Newtype(1)),
            ViaValue(Variant::Tuple(1, true)),
            ViaValue(Variant::Struct { a: 1 }),
        ];
        keys_as_a_value: ViaValue<BTreeMap<u8, u8>> = ViaValue([(1, 2), (255, 3)].into());
        integer_keys_read_as_texts: KeysAsTexts = KeysAsTexts([(1, 2), (255, 3)].into());
        texts_read_as_integer_keys: TextsAsKeys = TextsAsKeys([(1, 2), (255, 3)].into());
        a_text_in_json: Embedded = Embedded { inner: Everything::filled(), after: 1 };
        content_that_is_passed_over: Vec<Ignoring> = vec![Ignoring { kept: 1, last: 2 }];
        what_the_format_is_for: Readable = Readable(5);
    }
}

/// A value that is serialised as `A` and deserialised as `B`.
struct As<A, B, How>(A, PhantomData<(B, How)>);

/// The conversion of a `B` into an `A`.
trait Back<A, B> {
    fn back(read: B) -> A;
}

impl<A, B, How> As<A, B, How> {
    fn new(value: A) -> Self {
        Self(value, PhantomData)
    }
}

impl<A: PartialEq, B, How> PartialEq for As<A, B, How> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<A: fmt::Debug, B, How> fmt::Debug for As<A, B, How> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<A: Serialize, B, How> Serialize for As<A, B, How> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de, A, B: Deserialize<'de>, How: Back<A, B>> Deserialize<'de> for As<A, B, How> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        B::deserialize(deserializer).map(|read| Self::new(How::back(read)))
    }
}

/// Numbers of another width.
struct Width;

macro_rules! back {
    ($($a:ty, $b:ty;)*) => {
        $(impl Back<$a, $b> for Width {
            fn back(read: $b) -> $a {
                read as $a
            }
        })*
    };
}

back! {
    u8, u64;
    u64, u8;
    i64, u16;
    u32, i64;
    u128, u64;
    i128, i64;
    u64, i128;
    f32, f64;
}

/// Lists and tuples.
struct Parts;

impl Back<Vec<u8>, (u8, u8, u8)> for Parts {
    fn back((a, b, c): (u8, u8, u8)) -> Vec<u8> {
        vec![a, b, c]
    }
}

impl Back<(u8, u8), Vec<u8>> for Parts {
    fn back(read: Vec<u8>) -> (u8, u8) {
        (read[0], read.get(1).copied().unwrap_or_default())
    }
}

// Numbers.

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct WholeAsInteger {
    before: u8,
    #[serde(serialize_with = "short")]
    ratio: f64,
    after: u8,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn short<S: Serializer>(ratio: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    if ratio.fract() == 0.0 { serializer.serialize_i64(*ratio as i64) } else { serializer.serialize_f64(*ratio) }
}

/// Deserialised by way of serde_json's value, as in code that inspects the value first.
#[derive(Debug, PartialEq)]
pub(crate) struct ViaValue<T>(pub(crate) T);

impl<T: Serialize> Serialize for ViaValue<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de, T: de::DeserializeOwned> Deserialize<'de> for ViaValue<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        serde_json::from_value(value).map(Self).map_err(de::Error::custom)
    }
}

// Texts and bytes.

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct BytesAsList {
    #[serde(serialize_with = "serde_bytes::serialize")]
    data: Vec<u8>,
    after: u8,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct ListAsBytes {
    #[serde(deserialize_with = "serde_bytes::deserialize")]
    data: Vec<u8>,
    after: u8,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct TextAsBytes {
    #[serde(deserialize_with = "text_of_bytes")]
    text: String,
    after: u8,
}

fn text_of_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    String::from_utf8(ByteBuf::deserialize(deserializer)?.into_vec()).map_err(de::Error::custom)
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Letters {
    #[serde(deserialize_with = "parsed")]
    letter: char,
    #[serde(deserialize_with = "text_of_a_letter")]
    text: String,
}

fn parsed<'de, D: Deserializer<'de>, T: FromStr<Err: fmt::Display>>(deserializer: D) -> Result<T, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
}

fn text_of_a_letter<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    char::deserialize(deserializer).map(String::from)
}

#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum VariantAsText {
    FirstOne,
    SecondOne,
}

impl<'de> Deserialize<'de> for VariantAsText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match &*String::deserialize(deserializer)? {
            "first-one" => Ok(Self::FirstOne),
            "second-one" => Ok(Self::SecondOne),
            other => Err(de::Error::unknown_variant(other, &["first-one", "second-one"])),
        }
    }
}

#[derive(Debug, PartialEq, Deserialize)]
enum TextAsVariant {
    Low,
    High,
}

impl Serialize for TextAsVariant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{self:?}"))
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Displayed {
    #[serde(serialize_with = "displayed", deserialize_with = "parsed")]
    n: u32,
    after: u8,
}

fn displayed<S: Serializer>(value: &impl fmt::Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

// Structures.

#[derive(Debug, PartialEq, Deserialize)]
struct StructAsMap(BTreeMap<String, u8>);

impl Serialize for StructAsMap {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("StructAsMap", 3)?;
        fields.serialize_field("a", &self.0["a"])?;
        fields.skip_field("left_out")?;
        fields.serialize_field("b", &self.0["b"])?;
        fields.end()
    }
}

#[derive(Debug, PartialEq, Deserialize)]
struct MapAsStruct {
    a: u8,
    b: String,
}

impl Serialize for MapAsStruct {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_key("b")?;
        map.serialize_value(&self.b)?;
        map.serialize_entry("a", &self.a)?;
        map.end()
    }
}

#[derive(Debug, PartialEq, Deserialize)]
struct Shuffled {
    a: u8,
    b: u8,
    c: u8,
}

impl Serialize for Shuffled {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Shuffled", 3)?;
        fields.serialize_field("c", &self.c)?;
        fields.serialize_field("a", &self.a)?;
        fields.serialize_field("b", &self.b)?;
        fields.end()
    }
}

#[derive(Debug, PartialEq, Deserialize)]
struct ListAsStruct {
    a: u8,
    b: u8,
}

impl Serialize for ListAsStruct {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_tuple(2)?;
        list.serialize_element(&self.a)?;
        list.serialize_element(&self.b)?;
        list.end()
    }
}

#[derive(Debug, PartialEq, Deserialize)]
struct Unknown(Vec<u8>);

impl Serialize for Unknown {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // The filter does not know the number of remaining elements.
        serializer.serialize_newtype_struct("Unknown", &Filtered(&self.0))
    }
}

struct Filtered<'a>(&'a [u8]);

impl Serialize for Filtered<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        self.0.iter().try_for_each(|item| list.serialize_element(item))?;
        list.end()
    }
}

#[derive(Debug, PartialEq, Deserialize)]
struct UnknownMap(BTreeMap<String, Vec<u8>>);

impl Serialize for UnknownMap {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().filter(|_| true))
    }
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(from = "(usize, Vec<u8>)")]
struct WrongLength {
    told: usize,
    items: Vec<u8>,
}

impl From<(usize, Vec<u8>)> for WrongLength {
    fn from((told, items): (usize, Vec<u8>)) -> Self {
        Self { told, items }
    }
}

impl Serialize for WrongLength {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Items<'a>(&'a WrongLength);
        impl Serialize for Items<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut list = serializer.serialize_seq(Some(self.0.told))?;
                self.0.items.iter().try_for_each(|item| list.serialize_element(item))?;
                list.end()
            }
        }
        (self.told, Items(self)).serialize(serializer)
    }
}

#[derive(Debug, PartialEq, Deserialize)]
struct VariantAsMap(HashMap<String, u8>);

impl Serialize for VariantAsMap {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_variant("VariantAsMap", 0, "Add", &self.0["Add"])
    }
}

#[derive(Debug, PartialEq, Deserialize)]
enum MapAsVariant {
    Add(u8),
    Move { x: u8 },
}

impl Serialize for MapAsVariant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        match self {
            Self::Add(number) => map.serialize_entry("Add", number)?,
            Self::Move { x } => map.serialize_entry("Move", &HashMap::from([("x", x)]))?,
        }
        map.end()
    }
}

/// A list, in which a single element stands for the list.
#[derive(Debug, PartialEq)]
struct OneOrMany(Vec<u8>);

impl Serialize for OneOrMany {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0[..] {
            [one] => one.serialize(serializer),
            many => many.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Items;
        impl<'de> Visitor<'de> for Items {
            type Value = Vec<u8>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("one number or a list of them")
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Vec<u8>, E> {
                u8::try_from(number).map(|number| vec![number]).map_err(E::custom)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Vec<u8>, A::Error> {
                Vec::deserialize(de::value::SeqAccessDeserializer::new(list))
            }
        }
        deserializer.deserialize_any(Items).map(Self)
    }
}

/// A dependency as Cargo writes it: a text, or a table.
#[derive(Debug, PartialEq)]
struct NameOrStruct {
    name: String,
    version: Option<String>,
}

impl Serialize for NameOrStruct {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Some(version) = &self.version else { return serializer.serialize_str(&self.name) };
        let mut fields = serializer.serialize_struct("NameOrStruct", 2)?;
        fields.serialize_field("name", &self.name)?;
        fields.serialize_field("version", version)?;
        fields.end()
    }
}

impl<'de> Deserialize<'de> for NameOrStruct {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = NameOrStruct;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name or a struct")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<NameOrStruct, E> {
                Ok(NameOrStruct { name: name.to_owned(), version: None })
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<NameOrStruct, A::Error> {
                let (mut name, mut version) = (None, None);
                while let Some(key) = map.next_key::<String>()? {
                    match &*key {
                        "name" => name = Some(map.next_value()?),
                        "version" => version = Some(map.next_value()?),
                        _ => drop(map.next_value::<IgnoredAny>()?),
                    }
                }
                Ok(NameOrStruct { name: name.ok_or_else(|| de::Error::missing_field("name"))?, version })
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// A map that may have a key twice.
#[derive(Debug, PartialEq)]
struct Pairs(Vec<(String, u8)>);

impl Serialize for Pairs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Pairs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

// Options.

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct PlainAsOption {
    #[serde(serialize_with = "plain_or_empty", deserialize_with = "none_if_empty")]
    a: Option<String>,
    after: u8,
}

#[expect(clippy::ref_option, reason = "serde hands over the field")]
fn plain_or_empty<S: Serializer>(text: &Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text.as_deref().unwrap_or_default())
}

fn none_if_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.filter(|text| !text.is_empty()))
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct OptionAsPlain {
    #[serde(serialize_with = "some_text")]
    a: String,
    after: u8,
}

fn some_text<S: Serializer>(text: &String, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_some(text)
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct UnitAsNone {
    #[serde(serialize_with = "unit")]
    a: Option<u8>,
    after: u8,
}

fn unit<S: Serializer, T>(_: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_unit()
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct NoneAsUnit {
    #[serde(serialize_with = "none")]
    a: (),
    after: u8,
}

fn none<S: Serializer, T>(_: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_none()
}

/// An id that may also be a number or missing. Types written for JSON alone lack a `visit_some`.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Lenient {
    #[serde(deserialize_with = "text_or_number")]
    id: Option<String>,
    after: u8,
}

fn text_or_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    struct Id;
    impl Visitor<'_> for Id {
        type Value = Option<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a text, a number or null")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Option<String>, E> {
            Ok(Some(text.to_owned()))
        }

        fn visit_u64<E: de::Error>(self, number: u64) -> Result<Option<String>, E> {
            Ok(Some(number.to_string()))
        }

        fn visit_unit<E: de::Error>(self) -> Result<Option<String>, E> {
            Ok(None)
        }
    }
    deserializer.deserialize_any(Id)
}

// Anything.

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Everything {
    unit: (),
    flag: bool,
    number: i64,
    ratio: f64,
    text: String,
    letter: char,
    none: Option<u8>,
    some: Option<u8>,
    list: Vec<(u8, String)>,
    map: BTreeMap<String, Option<Variant>>,
    newtype: Newtype,
}

impl Everything {
    fn filled() -> Self {
        Self {
            unit: (),
            flag: true,
            number: i64::MIN,
            ratio: 0.5,
            text: "t".into(),
            letter: 'é',
            none: None,
            some: Some(1),
            list: vec![(1, "x".into())],
            map: [("a".into(), Some(Variant::Unit)), ("b".into(), Some(Variant::Struct { a: 2 })), ("c".into(), None)]
                .into(),
            newtype: Newtype(1),
        }
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Newtype(u8);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Variant {
    Unit,
    Newtype(u8),
    Tuple(u8, bool),
    Struct { a: u8 },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(into = "Value", from = "Value")]
struct FromValue(Value);

impl From<Value> for FromValue {
    fn from(value: Value) -> Self {
        Self(value)
    }
}

impl From<FromValue> for Value {
    fn from(from: FromValue) -> Self {
        from.0
    }
}

#[derive(Debug, PartialEq, Serialize)]
struct KeysAsTexts(BTreeMap<u8, u8>);

impl<'de> Deserialize<'de> for KeysAsTexts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let texts = HashMap::<String, u8>::deserialize(deserializer)?;
        let numbers = texts.into_iter().map(|(key, value)| Ok((key.parse()?, value)));
        numbers.collect::<Result<_, std::num::ParseIntError>>().map(Self).map_err(de::Error::custom)
    }
}

#[derive(Debug, PartialEq, Deserialize)]
struct TextsAsKeys(BTreeMap<u8, u8>);

impl Serialize for TextsAsKeys {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key.to_string(), value)))
    }
}

/// A text of JSON on its way.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Embedded {
    #[serde(serialize_with = "to_text", deserialize_with = "of_text")]
    inner: Everything,
    after: u8,
}

fn to_text<S: Serializer, T: Serialize>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&serde_json::to_string(value).map_err(serde::ser::Error::custom)?)
}

fn of_text<'de, D: Deserializer<'de>, T: de::DeserializeOwned>(deserializer: D) -> Result<T, D::Error> {
    serde_json::from_str(&String::deserialize(deserializer)?).map_err(de::Error::custom)
}

/// Serialises more than it deserialises, of every kind.
#[derive(Debug, PartialEq, Deserialize)]
struct Ignoring {
    kept: u8,
    last: u8,
}

impl Serialize for Ignoring {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Ignoring", 12)?;
        fields.serialize_field("everything", &Everything::filled())?;
        fields.serialize_field("kept", &self.kept)?;
        fields.serialize_field("bytes", serde_bytes::Bytes::new(&[1, 2, 3]))?;
        fields.serialize_field("wide", &(i128::MIN, u128::MAX, f32::MAX))?;
        fields.serialize_field("unit", &Variant::Unit)?;
        fields.serialize_field("newtype", &Variant::Newtype(1))?;
        fields.serialize_field("tuple", &Variant::Tuple(1, true))?;
        fields.serialize_field("struct", &Variant::Struct { a: 1 })?;
        fields.serialize_field("unknown_length", &Filtered(&[1, 2]))?;
        fields.serialize_field("options", &Some(Some(None::<()>)))?;
        fields.serialize_field("keys", &BTreeMap::from([(1, 'x'), (2, 'y')]))?;
        fields.serialize_field("last", &self.last)?;
        fields.end()
    }
}

/// A text for humans, a number for machines. Both sides must agree on the form.
#[derive(Debug, PartialEq)]
struct Readable(u8);

impl Serialize for Readable {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(&self.0) } else { serializer.serialize_u8(self.0) }
    }
}

impl<'de> Deserialize<'de> for Readable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            parsed(deserializer).map(Self)
        } else {
            u8::deserialize(deserializer).map(Self)
        }
    }
}
