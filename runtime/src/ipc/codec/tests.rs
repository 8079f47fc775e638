//! Values for the format to carry, and bytes for the format to refuse.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;

use serde::{Deserialize, Serialize};

use super::encode::InMemory;
use super::*;

#[track_caller]
fn same<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: T) {
    // From the second time on, the encoder knows the shapes.
    for _ in 0..3 {
        let bytes = to_vec(&value).unwrap();
        assert_eq!(from_slice::<T>(&bytes).unwrap(), value, "{bytes:02x?}");
    }
    let twice = to_vec(&(&value, 7_u8, &value)).unwrap();
    let (first, seven, second) = from_slice::<(T, u8, T)>(&twice).unwrap();
    assert_eq!((&first, seven, &second), (&value, 7, &value));
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Cmd {
    #[serde(skip)]
    #[expect(dead_code, reason = "it shifts the others")]
    Internal(u8),
    Start,
    Stop,
    Delete(u32),
    Move {
        x: i32,
        y: i32,
    },
    Pair(u8, String),
}

#[derive(Debug, PartialEq, Serialize, Deserialize, Clone)]
struct User {
    id: u64,
    #[serde(skip_serializing, default)]
    attempts: u32,
    age: u8,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    nick: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    mail: Option<String>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Tagged {
    A { n: u64, c: char, o: Option<Option<u8>> },
    B(Addressed),
    C,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Addressed {
    address: std::net::IpAddr,
    #[serde(flatten)]
    rest: HashMap<String, u64>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Num(i64),
    Text(String),
    List(Vec<Untagged>),
    Deep { a: Box<Untagged> },
}

#[test]
fn attributes_of_every_kind() {
    same(vec![Cmd::Start, Cmd::Stop, Cmd::Delete(7), Cmd::Move { x: -1, y: 300 }, Cmd::Pair(1, "é".into())]);
    let user = |nick: Option<&str>, mail: Option<&str>| User {
        id: 1,
        attempts: 0,
        age: 30,
        nick: nick.map(Into::into),
        mail: mail.map(Into::into),
    };
    same((user(None, None), [1_u32, 500]));
    same(vec![user(Some("a"), None), user(None, Some("b")), user(None, None), user(Some("c"), Some("d"))]);
    same(vec![
        Tagged::A { n: 5, c: 'é', o: Some(Some(3)) },
        Tagged::A { n: 5, c: 'x', o: None },
        Tagged::B(Addressed { address: "::1".parse().unwrap(), rest: HashMap::from([("x".into(), 1)]) }),
        Tagged::C,
    ]);
    same(Untagged::Deep {
        a: Box::new(Untagged::List(vec![Untagged::Num(-5), Untagged::Num(500), Untagged::Text("x".into())])),
    });
}

#[test]
fn plain_values() {
    same((0_u8, u8::MAX, i8::MIN, 0_u16, 255_u16, 256_u16, u16::MAX, i16::MIN, -1_i16));
    same((0_u32, u32::MAX, 70_000_u32, i32::MIN, -1_i32, 127_i32, 128_i32, -128_i32, -129_i32));
    same((0_u64, u64::MAX, 1_u64 << 40, i64::MIN, i64::MAX, -1_i64, -(1_i64 << 40), u128::MAX, i128::MIN));
    same((1.5_f32, -0.0_f64, f64::INFINITY, true, false, 'x', '\0', '\u{10ffff}', ()));
    same((Some(Some(1)), Some(None::<u8>), None::<Option<u8>>, Some(()), None::<()>));
    same((String::new(), "x".repeat(63), "x".repeat(64), "é".repeat(300), "z".repeat(70_000)));
    same((vec![(); 5], vec![Some(()); 3], [1.5_f64; 20], [7_u8; 32], (1_u8, 2_u16)));
    same(vec![1.5_f64, -0.0, 1e300]);
    same((vec![1_u8; 300], vec![-1_i16; 300], vec![usize::MAX; 3], vec![true, false], Vec::<u64>::new()));
    same(std::collections::VecDeque::from(vec![1_u64; 100_000]));
    same(BTreeMap::from([((1, 'x'), Some(1)), ((2, 'y'), None)]));
    same(BTreeMap::from([(Some(true), -1_i8), (None, 1)]));
    same(HashMap::from([(1_u64, "a".to_owned()), (u64::MAX, "b".to_owned())]));
}

/// A type made for JSON, without `Option` and bytes.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Lenient {
    #[serde(deserialize_with = "text_or_number")]
    id: Option<String>,
    #[serde(serialize_with = "serde_bytes::serialize", deserialize_with = "by_value")]
    bytes: Vec<u8>,
}

fn by_value<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Listed {
        List(Vec<u8>),
    }
    Listed::deserialize(deserializer).map(|Listed::List(list)| list)
}

fn text_or_number<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    struct Id;
    impl serde::de::Visitor<'_> for Id {
        type Value = Option<String>;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a text, a number or null")
        }
        fn visit_str<E>(self, text: &str) -> Result<Option<String>, E> {
            Ok(Some(text.to_owned()))
        }
        fn visit_u64<E>(self, number: u64) -> Result<Option<String>, E> {
            Ok(Some(number.to_string()))
        }
        fn visit_unit<E>(self) -> Result<Option<String>, E> {
            Ok(None)
        }
    }
    deserializer.deserialize_any(Id)
}

#[test]
fn types_that_know_json_alone() {
    same(vec![Lenient { id: Some("x".into()), bytes: vec![1, 2, 255] }, Lenient { id: None, bytes: vec![] }]);
    // Each value of a message has an attempt of its own.
    let mut encoder = Encoder::new(scratch(), InMemory);
    let lenient = Lenient { id: Some("x".into()), bytes: vec![7] };
    let user = User { id: 1, attempts: 0, age: 2, nick: None, mail: None };
    encoder.push(&user).unwrap();
    encoder.push(&(&user, &lenient)).unwrap();
    encoder.push(&user).unwrap();
    let mut decoder = Decoder::new(&encoder.scratch.buffer);
    assert_eq!(decoder.pull::<User>(|| true).unwrap(), user);
    assert_eq!(decoder.pull::<(User, Lenient)>(|| true).unwrap().1, lenient);
    assert_eq!(decoder.pull::<User>(|| true).unwrap(), user);
}

#[test]
fn bits_of_floats_stay() {
    for bits in [0x7FF8_0000_0000_1234_u64, 0x8000_0000_0000_0000, 0xFFF0_0000_0000_0001, 1] {
        let value = f64::from_bits(bits);
        assert_eq!(from_slice::<f64>(&to_vec(&value).unwrap()).unwrap().to_bits(), bits);
        let list: Vec<f64> = from_slice(&to_vec(&vec![value; 9]).unwrap()).unwrap();
        assert!(list.iter().all(|value| value.to_bits() == bits));
    }
}

#[test]
fn wrong_lengths_do_no_harm() {
    struct Lies(usize);
    impl Serialize for Lies {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            use serde::ser::{SerializeStruct as _, SerializeTuple as _};
            let mut tuple = serializer.serialize_tuple(2)?;
            struct Fields(usize);
            impl Serialize for Fields {
                fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    let mut fields = serializer.serialize_struct("Lies", 2)?;
                    for name in &["a", "b", "c"][..self.0] {
                        fields.serialize_field(name, &1_u8)?;
                    }
                    fields.end()
                }
            }
            for fields in [1, 2, 3, 2, 0, self.0] {
                tuple.serialize_element(&Fields(fields))?;
            }
            tuple.end()
        }
    }
    for fields in 0..4 {
        let expected: Vec<usize> = vec![1, 2, 3, 2, 0, fields];
        let got: Vec<BTreeMap<String, u8>> = from_slice(&to_vec(&Lies(fields)).unwrap()).unwrap();
        assert_eq!(got.iter().map(BTreeMap::len).collect::<Vec<_>>(), expected);
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Config {
    rules: Vec<Rule>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Rule {
    name: String,
    when: Even,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(try_from = "u64")]
struct Even(u64);

impl TryFrom<u64> for Even {
    type Error = String;
    fn try_from(n: u64) -> Result<Self, String> {
        if n.is_multiple_of(2) { Ok(Self(n)) } else { Err(format!("{n} is odd")) }
    }
}

#[test]
fn errors_say_where_and_what() {
    #[derive(Serialize)]
    struct Odd(u64);
    #[derive(Serialize)]
    struct OddRule {
        name: String,
        when: Odd,
    }
    let rule = |n| OddRule { name: "x".into(), when: Odd(n) };
    let config = BTreeMap::from([("rules", [rule(0), rule(2), rule(4), rule(3)])]);
    for _ in 0..2 {
        let error = from_slice::<Config>(&to_vec(&config).unwrap()).unwrap_err();
        assert_eq!((error.path().as_str(), error.text()), (".rules[3].when", "3 is odd"));
    }
    assert!(from_slice::<u8>(&to_vec("text").unwrap()).unwrap_err().text().contains("string \"text\""));
    let error = from_slice::<BTreeMap<String, u8>>(&to_vec(&BTreeMap::from([("a b", 300)])).unwrap()).unwrap_err();
    assert_eq!(error.path(), "[\"a b\"]");
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Node {
    next: Option<Box<Node>>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Loose {
    Leaf(u8),
    Node { next: Box<Loose> },
}

#[test]
fn depth_is_an_error_and_no_abort() {
    let thread = |work: fn()| {
        std::thread::Builder::new().stack_size(2 << 20).spawn(work).unwrap().join().unwrap();
    };
    // Bytes by hand, since encoding or dropping so deep a value would overflow the stack.
    thread(|| {
        let mut bytes = to_vec(&Node { next: None }).unwrap();
        let level = [tag::MAP, 1, 4, b'n', b'e', b'x', b't', tag::SOME];
        bytes.truncate(1);
        (0..1_000_000).for_each(|_| bytes.extend(level));
        let error = from_slice::<Node>(&bytes).unwrap_err();
        assert!(error.text().contains("levels deep"), "{error}");
        assert!(from_slice::<Loose>(&bytes).unwrap_err().text().contains("levels deep"));
        assert!(from_slice::<serde::de::IgnoredAny>(&bytes).unwrap_err().text().contains("levels deep"));
    });
    thread(|| {
        for levels in [100, 300] {
            let node = (0..levels).fold(Node { next: None }, |node, _| Node { next: Some(Box::new(node)) });
            same(node);
        }
        let loose = (0..120).fold(Loose::Leaf(1), |next, _| Loose::Node { next: Box::new(next) });
        same(loose);
    });
}

#[test]
fn a_failed_value_leaves_no_trace_in_its_message() {
    struct Unencodable;
    impl Serialize for Unencodable {
        fn serialize<S: serde::Serializer>(&self, _serializer: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("no"))
        }
    }
    let user = User { id: 1, attempts: 0, age: 2, nick: None, mail: None };
    let _ = to_vec(&user);
    let mut encoder = Encoder::new(scratch(), InMemory);
    encoder.push(&1_u8).unwrap();
    assert!(encoder.push(&(&user, Unencodable)).is_err());
    encoder.push(&user).unwrap();
    encoder.push(&user).unwrap();
    let bytes = encoder.scratch.buffer.clone();
    let mut decoder = Decoder::new(&bytes);
    assert_eq!(decoder.pull::<u8>(|| true).unwrap(), 1);
    assert_eq!(decoder.pull::<User>(|| true).unwrap(), user);
    let mut decoder = Decoder::resume(&bytes, decoder.into_progress());
    assert_eq!(decoder.pull::<User>(|| true).unwrap(), user);
    assert_eq!(decoder.left(), 0);
}

fn in_small_stack(work: fn()) {
    std::thread::Builder::new().stack_size(2 << 20).spawn(work).unwrap().join().unwrap();
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Endless(Option<Box<Endless>>);

#[test]
fn options_without_end_are_errors() {
    in_small_stack(|| {
        let mut some = vec![1];
        some.resize(2_000_000, tag::SOME);
        some.push(tag::UNIT);
        assert!(from_slice::<serde_json::Value>(&some).is_err());
        assert!(from_slice::<Loose>(&some).is_err());
        let key = [&[1, tag::MAP, 1][..], &vec![tag::SOME; 2_000_000], &[tag::NONE, tag::U8, 1, tag::END]].concat();
        assert!(from_slice::<BTreeMap<Endless, u8>>(&key).is_err());
        assert!(from_slice::<Vec<Endless>>(&to_vec(&vec![1_u64; 3]).unwrap()).is_err());
        for _ in 0..2 {
            let pair = to_vec(&Rule { name: "x".into(), when: Even(2) }).unwrap();
            assert!(from_slice::<BTreeMap<Endless, u8>>(&pair).is_err());
        }
        struct Newtypes(u32);
        impl Serialize for Newtypes {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self.0 {
                    0 => serializer.serialize_unit(),
                    left => serializer.serialize_newtype_struct("Newtypes", &Self(left - 1)),
                }
            }
        }
        assert!(to_vec(&Newtypes(1_000_000)).unwrap_err().text().contains("levels deep"));
    });
}

#[test]
fn keys_that_are_numbers_are_no_positions() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Keys {
        #[serde(rename = "1")]
        one: u8,
        #[serde(rename = "0")]
        zero: u8,
    }
    impl Serialize for Keys {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_map([(0_u8, self.zero), (1, self.one)])
        }
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "tag")]
    enum TaggedKeys {
        Keys(Keys),
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Flat {
        first: u8,
        #[serde(flatten)]
        keys: Keys,
    }
    let keys = || Keys { one: 1, zero: 2 };
    same(keys());
    same(TaggedKeys::Keys(keys()));
    same(Flat { first: 3, keys: keys() });
}

#[test]
fn decimals_stay_what_they_are_in_another_width() {
    let narrow = to_vec(&(0.1_f32, vec![0.1_f32; 9], f32::MAX)).unwrap();
    assert_eq!(from_slice::<(f64, Vec<f64>, f64)>(&narrow).unwrap(), (0.1, vec![0.1; 9], 3.4028235e38));
    for key in [1.0, 0.1, -2.5, 1e21, 1e300, 1e-9] {
        let json = serde_json::to_string(&HashMap::from([(serde_json::to_string(&key).unwrap(), ())])).unwrap();
        let json: HashMap<String, ()> = serde_json::from_str(&json).unwrap();
        struct Float(f64);
        impl Serialize for Float {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_map([(self.0, ())])
            }
        }
        assert_eq!(from_slice::<HashMap<String, ()>>(&to_vec(&Float(key)).unwrap()).unwrap(), json);
    }
}

#[derive(Debug, PartialEq)]
enum Forgiving {
    Number(u8),
    Bad,
}

impl Serialize for Forgiving {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Number(number) => number.serialize(serializer),
            Self::Bad => Rule { name: "x".into(), when: Even(2) }.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Forgiving {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(u8::deserialize(deserializer).map_or(Self::Bad, Self::Number))
    }
}

/// A type with a `Deserialize` that reads nothing.
#[derive(Debug, PartialEq, Serialize)]
struct Blind(#[serde(skip)] u8, Vec<u8>, Option<u8>);

impl<'de> Deserialize<'de> for Blind {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Ok(Self(0, vec![1, 2], Some(3)))
    }
}

#[test]
fn a_type_that_goes_on_after_a_failure_is_no_other_value() {
    let list = || vec![Forgiving::Number(9), Forgiving::Bad, Forgiving::Number(3)];
    for _ in 0..3 {
        let decoded = from_slice::<Vec<Forgiving>>(&to_vec(&list()).unwrap());
        assert!(decoded.as_ref().map_or(true, |decoded| *decoded == list()), "{decoded:?}");
    }
    let blind = || Blind(0, vec![1, 2], Some(3));
    same((vec![blind(), blind()], 5_u8, Some(blind()), Ok::<_, u8>(blind()), HashMap::from([(1_u8, blind())])));
    same(BTreeMap::from([("a".to_owned(), (blind(), Some(Some(blind()))))]));
}

#[test]
fn a_part_that_fails_to_be_encoded_is_not_left_in() {
    struct FailsInside;
    impl Serialize for FailsInside {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            use serde::ser::SerializeStruct as _;
            let mut fields = serializer.serialize_struct("FailsInside", 2)?;
            fields.serialize_field("a", &1_u8)?;
            Err(serde::ser::Error::custom("no"))
        }
    }
    struct GoesOn;
    impl Serialize for GoesOn {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            use serde::ser::SerializeSeq as _;
            let mut elements = serializer.serialize_seq(None)?;
            let _ = elements.serialize_element(&FailsInside);
            elements.serialize_element(&5_u8)?;
            elements.end()
        }
    }
    assert!(to_vec(&GoesOn).unwrap_err().text().contains("gone on without it"));
}

#[test]
fn enums_as_maps_of_one_entry() {
    #[derive(Debug, PartialEq, Deserialize)]
    enum Read {
        A(u8),
        B(String),
    }
    #[derive(Serialize, PartialEq, Eq, Hash)]
    enum Name {
        A,
    }
    struct Struct(&'static str);
    impl Serialize for Struct {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            use serde::ser::SerializeStruct as _;
            let mut fields = serializer.serialize_struct("Struct", 1)?;
            match self.0 {
                "A" => fields.serialize_field("A", &7_u8)?,
                _ => fields.serialize_field("B", "x")?,
            }
            fields.end()
        }
    }
    for _ in 0..3 {
        let bytes = to_vec(&["A", "B", "A"].map(Struct)).unwrap();
        assert_eq!(from_slice::<Vec<Read>>(&bytes).unwrap(), [Read::A(7), Read::B("x".into()), Read::A(7)]);
        assert_eq!(from_slice::<Read>(&to_vec(&HashMap::from([(Name::A, 7)])).unwrap()).unwrap(), Read::A(7));
    }
}
