//! Types of the standard library with serde implementations, and their extremes.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet, LinkedList, VecDeque};
use std::ffi::{CString, OsString};
use std::fmt::{self, Debug};
use std::marker::PhantomData;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::num::{NonZeroI8, NonZeroU64, NonZeroU128, Saturating, Wrapping};
use std::ops::{Bound, Range, RangeFrom, RangeInclusive, RangeTo};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::table::round_trips;

round_trips! {
    integers {
        flags: (bool, bool) = (true, false);
        of_8_bits: Vec<i8> = vec![i8::MIN, -1, 0, 1, i8::MAX];
        unsigned_of_8_bits: Vec<u8> = vec![0, 23, 24, 127, 128, u8::MAX];
        of_16_bits: Vec<i16> = vec![i16::MIN, -129, 256, i16::MAX];
        unsigned_of_16_bits: Vec<u16> = vec![0, 256, u16::MAX];
        of_32_bits: Vec<i32> = vec![i32::MIN, -32_769, 65_536, i32::MAX];
        unsigned_of_32_bits: Vec<u32> = vec![0, 65_536, u32::MAX];
        of_64_bits: Vec<i64> = vec![i64::MIN, i64::MIN + 1, -1, 1 << 53, i64::MAX];
        unsigned_of_64_bits: Vec<u64> = vec![0, (1 << 53) + 1, 1 << 63, u64::MAX - 1, u64::MAX];
        of_128_bits: Vec<i128> = vec![i128::MIN, i128::from(i64::MIN) - 1, -1, 0, 1 << 64, i128::MAX];
        unsigned_of_128_bits: Vec<u128> = vec![0, u128::from(u64::MAX), 1 << 64, 1 << 127, u128::MAX];
        of_a_pointers_size: (usize, isize) = (usize::MAX, isize::MIN);
        a_wide_one_alone: u128 = u128::MAX;
        an_optional_wide_one: Option<i128> = Some(i128::MIN);
        not_zero: (NonZeroI8, NonZeroU64, NonZeroU128) = (NonZeroI8::MIN, NonZeroU64::MAX, NonZeroU128::MAX);
        maybe_not_zero: [Option<NonZeroU64>; 2] = [None, NonZeroU64::new(1)];
        wrapping_and_saturating: (Wrapping<u8>, Saturating<i8>) = (Wrapping(255), Saturating(-128));
    }

    floats {
        of_64_bits: Vec<Bits> = [0.0, -0.0, 0.1, 1e300, -1e-300, f64::MAX, f64::MIN_POSITIVE, f64::EPSILON]
            .map(Bits)
            .into();
        subnormal: Vec<Bits> = vec![Bits(f64::from_bits(1)), Bits(-f64::from_bits(0x000f_ffff_ffff_ffff))];
        infinite: Vec<Bits> = vec![Bits(f64::INFINITY), Bits(f64::NEG_INFINITY)], beyond_json;
        no_numbers: Vec<Bits> = vec![
            Bits(f64::NAN),
            Bits(-f64::NAN),
            // A quiet NaN with a payload, and a signalling NaN.
            Bits(f64::from_bits(0x7ff8_0000_dead_beef)),
            Bits(f64::from_bits(0xfff0_0000_0000_0001)),
        ], beyond_json;
        whole: Vec<Bits> = vec![Bits(1.0), Bits(-3.0), Bits(9_007_199_254_740_992.0), Bits(1e19)];
        of_32_bits: Vec<Bits32> =
            [0.0, -0.0, 0.1, 16_777_216.0, f32::MAX, f32::MIN_POSITIVE, f32::from_bits(1)].map(Bits32).into();
        infinite_of_32_bits: Vec<Bits32> = vec![Bits32(f32::INFINITY), Bits32(f32::NEG_INFINITY)], beyond_json;
        no_numbers_of_32_bits: Vec<Bits32> = vec![
            Bits32(f32::NAN),
            Bits32(f32::from_bits(0x7fc0_beef)),
            Bits32(f32::from_bits(0xff80_0001)),
        ], beyond_json;
    }

    texts {
        letters: Vec<char> =
            vec!['\0', 'a', '"', '\\', 'é', '\u{d7ff}', '\u{e000}', '\u{fffd}', '\u{1f600}', char::MAX];
        strings: Vec<String> = ["", "\0", "a\"b\\c/\n\r\t\u{7f}", "\u{feff}é\u{1f600}", "null", "-1", "true"]
            .map(str::to_owned)
            .into();
        long: String = "é".repeat(40_000);
        boxed: Box<str> = "boxed".into();
        counted: (Rc<str>, Arc<str>) = ("rc".into(), "arc".into());
        borrowed_or_owned: (Cow<'static, str>, Cow<'static, str>) = (Cow::Borrowed("b"), Cow::Owned("o".into()));
        a_slice_that_may_be_borrowed: Cow<'static, [u16]> = Cow::Borrowed(&[1, 2]);
        paths: (PathBuf, Box<Path>) = ("/tmp/é".into(), Path::new("").into());
        of_the_system: OsString = "plain".into();
        of_the_system_without_encoding: OsString = OsString::from_vec(vec![0xff, b'/', 0xc3]);
        of_c: CString = c"bytes \xff\x01".into();
    }

    options {
        simple: (Option<u8>, Option<u8>) = (None, Some(0));
        none_of_an_option: Option<Option<u8>> = None;
        some_none: Option<Option<u8>> = Some(None), beyond_json;
        some_some: Option<Option<u8>> = Some(Some(7));
        three_deep: Vec<Option<Option<Option<u8>>>> =
            vec![None, Some(None), Some(Some(None)), Some(Some(Some(1)))], beyond_json;
        some_of_nothing: (Option<()>, Option<()>) = (None, Some(())), beyond_json;
        some_of_a_unit: Option<Unit> = Some(Unit), beyond_json;
        in_a_field: Vec<Nested> = vec![
            Nested { before: 1, inner: None, after: 2 },
            Nested { before: 1, inner: Some(None), after: 2 },
            Nested { before: 1, inner: Some(Some("x".into())), after: 2 },
        ], beyond_json;
        of_results: Vec<Option<Result<u8, Option<String>>>> =
            vec![None, Some(Ok(1)), Some(Err(None)), Some(Err(Some("e".into())))];
        within_a_newtype: Vec<Option<Layer>> = vec![None, Some(Layer(None)), Some(Layer(Some(1)))], beyond_json;
        boxed: Option<Box<Option<Box<u8>>>> = Some(Box::new(None)), beyond_json;
    }

    nothings {
        nothing: () = ();
        a_unit: Unit = Unit;
        a_unit_by_type: PhantomData<String> = PhantomData;
        an_empty_struct: Empty = Empty {};
        an_empty_tuple_struct: EmptyTuple = EmptyTuple();
        lists: (Vec<()>, Vec<Unit>, Vec<Empty>) = (vec![(); 5], vec![Unit, Unit], vec![Empty {}; 3]);
        many: Vec<()> = vec![(); 100_000];
        arrays: ([u8; 0], [(); 3], [Unit; 1]) = ([], [(); 3], [Unit]);
        in_maps: BTreeMap<u8, ()> = [(1, ()), (2, ())].into();
        a_set: BTreeSet<Option<()>> = [None, Some(())].into(), beyond_json;
        as_keys: BTreeMap<(), Unit> = [((), Unit)].into(), beyond_json;
        variants: Vec<Kind> = vec![Kind::Unit, Kind::Empty(), Kind::Of(()), Kind::Named {}];
        empty_collections: (Vec<u8>, BTreeMap<u8, u8>, HashSet<String>, String) = Default::default();
    }

    structs_and_tuples {
        newtypes: Vec<Newtype> = vec![Newtype(1), Newtype(u64::MAX)];
        newtypes_of_newtypes: Outer = Outer(Newtype(3));
        a_tuple_struct: TupleStruct = TupleStruct(1, "x".into(), None);
        generic: Pair<u8, Vec<Pair<bool, char>>> = Pair { one: 1, other: vec![Pair { one: true, other: 'x' }] };
        every_kind_of_variant: Vec<Kind> = vec![
            Kind::Unit, Kind::Newtype(1), Kind::Tuple(2, "t".into()), Kind::Struct { a: 1, b: Some(2) },
                Kind::Many(vec![Kind::Unit]),
        ];
        one_element: (u8,) = (1,);
        twelve: (u8, i8, u16, i16, u32, i32, u64, i64, f32, f64, bool, char) =
            (1, -1, 2, -2, 3, -3, 4, -4, 0.5, -0.5, true, 'c');
        sixteen: Sixteen = Sixteen((1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, "16".into()));
        in_one_another: ((u8, (u16, (String, ()))), [(u8, char); 2]) =
            ((1, (2, ("x".into(), ()))), [(3, 'a'), (4, 'b')]);
        arrays: ([u8; 1], [u16; 2], [String; 3], [i64; 8]) =
            ([1], [2, 3], ["a".into(), "b".into(), "c".into()], [-1; 8]);
        long_arrays: ([u8; 31], [u32; 32]) = ([255; 31], std::array::from_fn(|index| index as u32));
        results: Vec<Result<u8, String>> = vec![Ok(1), Err("no".into())];
        results_of_nothing: (Result<(), ()>, Result<(), ()>) = (Ok(()), Err(()));
        a_long_chain: Chain = chain(100);
        a_tree: Tree = tree(6);
        many_variants: Vec<Many> = vec![Many::A0, Many::A9, Many::B9, Many::C9];
        many_fields: ManyFields = ManyFields::default();
    }

    collections {
        lists: (Vec<u32>, VecDeque<i8>, LinkedList<String>) =
            (vec![1, 2, 3], [1, -1].into(), ["a".to_owned(), "b".to_owned()].into());
        boxed: (Box<[u16]>, Box<u8>, Box<Vec<Box<u8>>>) = ([1, 2].into(), 3.into(), vec![4.into()].into());
        shared: (Rc<Vec<u8>>, Arc<[u8]>, Arc<Kind>) = (vec![1].into(), vec![2, 3].into(), Kind::Newtype(4).into());
        a_heap: Heap = Heap([3, 1, 2].into());
        sets: (BTreeSet<i16>, HashSet<String>) = ([-1, 0, 1].into(), ["a".to_owned(), "b".to_owned()].into());
        sets_of_structures: BTreeSet<(u8, String)> = [(1, "a".into()), (1, "b".into())].into();
        maps: (BTreeMap<String, u8>, HashMap<String, Vec<u8>>) =
            ([("k".into(), 1)].into(), [("v".into(), vec![1])].into());
        maps_of_maps: BTreeMap<String, BTreeMap<u16, BTreeMap<char, Vec<bool>>>> =
            [("k".into(), [(7, [('x', vec![true])].into())].into())].into();
        bytes: Vec<u8> = (0..=255).collect();
        lists_of_lists: Vec<Vec<Vec<u8>>> = vec![vec![], vec![vec![]], vec![vec![1], vec![2, 3]]];
        long: Vec<u32> = (0..70_000).collect();
        reversed: Vec<Reverse<u8>> = vec![Reverse(1), Reverse(2)];
        a_map_that_is_big: BTreeMap<u64, String> = (0..5000).map(|n| (n, n.to_string())).collect();
    }

    keys {
        integers: (BTreeMap<u8, u8>, BTreeMap<i64, u8>, HashMap<u128, u8>, BTreeMap<i128, u8>) = (
            [(0, 1), (255, 2)].into(),
            [(i64::MIN, 1), (-1, 2), (i64::MAX, 3)].into(),
            [(u128::MAX, 1)].into(),
            [(i128::MIN, 1), (0, 2)].into(),
        );
        flags: BTreeMap<bool, u8> = [(true, 1), (false, 0)].into();
        letters: BTreeMap<char, u8> = [('a', 1), ('é', 2), ('\0', 3)].into();
        texts: BTreeMap<String, u8> = [(String::new(), 1), ("1".into(), 2), ("true".into(), 3)].into();
        boxed_and_borrowed: (BTreeMap<Box<str>, u8>, BTreeMap<Cow<'static, str>, u8>) =
            ([("b".into(), 1)].into(), [("c".into(), 2)].into());
        newtypes: BTreeMap<Newtype, u8> = [(Newtype(1), 1), (Newtype(2), 2)].into();
        addresses: HashMap<IpAddr, u8> = [(Ipv4Addr::LOCALHOST.into(), 4), (Ipv6Addr::LOCALHOST.into(), 6)].into();
        variants: BTreeMap<Colour, u8> = [(Colour::Red, 1), (Colour::Green, 2)].into();
        variants_with_content: BTreeMap<Key, u8> =
            [(Key::Unit, 1), (Key::Newtype(2), 2), (Key::Tuple(3, 4), 3), (Key::Struct { a: 5 }, 4)].into(),
                beyond_json;
        tuples: HashMap<(u8, String), u8> = [((1, "a".into()), 1), ((2, "b".into()), 2)].into(), beyond_json;
        structs: BTreeMap<Position, String> = [(Position { x: 1, y: -1 }, "a".into())].into(), beyond_json;
        options: BTreeMap<Option<u8>, u8> = [(None, 0), (Some(1), 1)].into(), beyond_json;
        lists: BTreeMap<Vec<u8>, u8> = [(vec![], 0), (vec![1, 2], 1)].into(), beyond_json;
        maps: BTreeMap<BTreeMap<u8, u8>, u8> = [([(1, 2)].into(), 3)].into(), beyond_json;
        arrays: BTreeMap<[u8; 4], u8> = [([1, 2, 3, 4], 5)].into(), beyond_json;
        durations: BTreeMap<Duration, u8> = [(Duration::from_millis(1500), 1)].into(), beyond_json;
        some_texts: BTreeMap<Option<String>, u8> = [(None, 1), (Some("null".into()), 2)].into(), beyond_json;
    }

    times_and_addresses {
        durations: Vec<Duration> = vec![Duration::ZERO, Duration::MAX, Duration::new(1, 999_999_999)];
        moments: Vec<SystemTime> =
            vec![SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH + Duration::new(1_700_000_000, 1)];
        addresses: Vec<IpAddr> =
            vec![Ipv4Addr::BROADCAST.into(), Ipv6Addr::UNSPECIFIED.into(), "::ffff:1.2.3.4".parse().unwrap()];
        of_one_kind: (Ipv4Addr, Ipv6Addr) = (Ipv4Addr::new(1, 2, 3, 4), Ipv6Addr::LOCALHOST);
        sockets: Vec<SocketAddr> = vec!["127.0.0.1:0".parse().unwrap(), "[::1]:65535".parse().unwrap()];
        a_socket_in_a_scope: SocketAddrV6 = "[fe80::1%7]:80".parse().unwrap();
        ranges: (Range<u8>, RangeInclusive<i64>, RangeFrom<u8>, RangeTo<char>) = (1..2, -1..=1, 3.., ..'z');
        bounds: Vec<Bound<String>> = vec![Bound::Unbounded, Bound::Included("a".into()), Bound::Excluded("b".into())];
    }
}

/// A float with equality by bits.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(transparent)]
struct Bits(f64);

impl PartialEq for Bits {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

impl Debug for Bits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} ({:#x})", self.0, self.0.to_bits())
    }
}

/// A float of 32 bits with equality by bits.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(transparent)]
struct Bits32(f32);

impl PartialEq for Bits32 {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

impl Debug for Bits32 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} ({:#x})", self.0, self.0.to_bits())
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Nested {
    before: u8,
    inner: Option<Option<String>>,
    after: u8,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Layer(Option<u8>);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Unit;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Empty {}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct EmptyTuple();

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Newtype(u64);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Outer(Newtype);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct TupleStruct(u8, String, Option<u8>);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Pair<A, B> {
    one: A,
    other: B,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Kind {
    Unit,
    Empty(),
    Of(()),
    Named {},
    Newtype(u8),
    Tuple(u8, String),
    Struct { a: u8, b: Option<u8> },
    Many(Vec<Kind>),
}

/// std implements equality and `Debug` up to twelve.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Sixteen(SixteenTuple);

type SixteenTuple = (u8, u8, u8, u8, u8, u8, u8, u8, u8, u8, u8, u8, u8, u8, u8, String);

impl Sixteen {
    #[rustfmt::skip]
    fn halves(&self) -> ([u8; 8], [u8; 7], &str) {
        let (a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p) = &self.0;
        ([*a, *b, *c, *d, *e, *f, *g, *h], [*i, *j, *k, *l, *m, *n, *o], p)
    }
}

impl PartialEq for Sixteen {
    fn eq(&self, other: &Self) -> bool {
        self.halves() == other.halves()
    }
}

impl Debug for Sixteen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.halves().fmt(f)
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Chain {
    number: u32,
    next: Option<Box<Chain>>,
}

fn chain(length: u32) -> Chain {
    (1..length).fold(Chain { number: 0, next: None }, |next, number| Chain { number, next: Some(Box::new(next)) })
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Tree {
    Leaf(String),
    Node { left: Box<Tree>, right: Box<Tree> },
}

fn tree(depth: u32) -> Tree {
    match depth {
        0 => Tree::Leaf("leaf".into()),
        _ => Tree::Node { left: Box::new(tree(depth - 1)), right: Box::new(tree(depth / 2)) },
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[rustfmt::skip]
enum Many {
    A0, A1, A2, A3, A4, A5, A6, A7, A8, A9,
    B0, B1, B2, B3, B4, B5, B6, B7, B8, B9,
    C0, C1, C2, C3, C4, C5, C6, C7, C8, C9,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[rustfmt::skip]
struct ManyFields {
    a0: u8, a1: u8, a2: u8, a3: u8, a4: u8, a5: u8, a6: u8, a7: u8, a8: u8, a9: u8,
    b0: bool, b1: bool, b2: bool, b3: bool, b4: bool, b5: bool, b6: bool, b7: bool, b8: bool, b9: bool,
    c0: String, c1: Option<u8>, c2: Vec<u8>, c3: (), c4: f64, c5: char, c6: [u8; 2], c7: (u8, u8), c8: i128, c9: u64,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
struct Heap(BinaryHeap<u8>);

impl Heap {
    fn sorted(&self) -> Vec<u8> {
        self.0.clone().into_sorted_vec()
    }
}

impl PartialEq for Heap {
    fn eq(&self, other: &Self) -> bool {
        self.sorted() == other.sorted()
    }
}

impl Debug for Heap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sorted().fmt(f)
    }
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Colour {
    Red,
    Green,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Key {
    Unit,
    Newtype(u8),
    Tuple(u8, u8),
    Struct { a: u8 },
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Position {
    x: i32,
    y: i32,
}
