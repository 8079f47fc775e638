//! serde's attributes on structs, enums, fields and variants, at the beginning, in the middle and at the end.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::table::round_trips;

round_trips! {
    skipped_fields {
        first: SkipFirst = SkipFirst { cache: 0, name: "a".into(), age: 7 };
        middle: SkipMiddle = SkipMiddle { name: "a".into(), cache: None, age: 7 };
        end: SkipLast = SkipLast { name: "a".into(), age: 7, cache: vec![] };
        a_filled_one: SkipMiddle = SkipMiddle { name: "a".into(), cache: Some(9), age: 7 }
            => SkipMiddle { name: "a".into(), cache: None, age: 7 };
        of_a_tuple: SkipTuple = SkipTuple(1, (), 3);
        of_a_tuples_end: SkipTupleEnd = SkipTupleEnd(1, 2, 0);
        of_a_variant: SkipInVariants = SkipInVariants::Named { first: 0, kept: 5, after: -1 };
        of_a_tuple_variant: SkipInVariants = SkipInVariants::Tuple(4, 0, "x".into());
        all_of_them: AllSkipped = AllSkipped { one: 0, other: String::new() };
        listed: Vec<SkipFirst> = (0..3).map(|age| SkipFirst { cache: 0, name: "a".into(), age }).collect();
        with_default: SkipWithDefault = SkipWithDefault { seed: 42, rest: 1 };
    }

    skipped_variants {
        after_the_first: Vec<Command> = vec![Command::Start, Command::Stop, Command::Delete];
        after_the_middle: Vec<Level> = vec![Level::Low, Level::High(3), Level::Top { over: true }];
        before_the_end: Vec<Mode> = vec![Mode::On(1), Mode::Off];
        in_a_map: BTreeMap<String, Command> = [("x".to_owned(), Command::Delete)].into();
        only_serialized: SkipVariantOneWay = SkipVariantOneWay::Kept(2);
    }

    one_way_fields {
        skip_serializing: User = User { id: 1, attempts: 0, age: 30 };
        skip_serializing_loses: User = User { id: 1, attempts: 3, age: 30 } => User { id: 1, attempts: 0, age: 30 };
        // An argument after an argument with fewer fields than declared.
        a_second_argument: u32 = 77;
        skip_serializing_first: SerializeLess = SerializeLess { first: "d".into(), rest: vec![1, 2] };
        skip_deserializing: Counted = Counted { seen: 0, name: "n".into(), last: 5 };
        skip_deserializing_loses: Counted = Counted { seen: 8, name: "n".into(), last: 5 }
            => Counted { seen: 0, name: "n".into(), last: 5 };
        skip_deserializing_something_big: IgnoredOnArrival = IgnoredOnArrival { ignored: ignored(), kept: 3 }
            => IgnoredOnArrival { ignored: Ignored::default(), kept: 3 };
        in_a_variant: OneWayVariants = OneWayVariants::Named { gone: 0, kept: 'k' };
        both_ways_in_one: TwoOneWays = TwoOneWays { a: 0, b: 2, c: 0, d: 4 };
    }

    fields_left_out {
        none: LeaveOut = LeaveOut { first: None, kept: 1, middle: vec![], end: None };
        some: LeaveOut = LeaveOut { first: Some("f".into()), kept: 1, middle: vec![], end: Some(2) };
        all: LeaveOut = LeaveOut { first: Some(String::new()), kept: 1, middle: vec![3], end: Some(0) };
        first_alone: LeaveOut = LeaveOut { first: Some("f".into()), kept: 1, middle: vec![], end: None };
        without_default: LeaveOutOption = LeaveOutOption { note: None, rest: 9 };
        in_a_variant: Vec<LeaveOutVariants> = vec![
            LeaveOutVariants::Named { note: None, n: 1 },
            LeaveOutVariants::Named { note: Some("x".into()), n: 2 },
            LeaveOutVariants::Unit,
        ];
        zero: LeaveOutZero = LeaveOutZero { zero: 0, ratio: 1.5, more: false };
        a_list_of_them: Vec<LeaveOutOption> = vec![
            LeaveOutOption { note: None, rest: 1 },
            LeaveOutOption { note: Some("n".into()), rest: 2 },
            LeaveOutOption { note: None, rest: 3 },
        ];
    }

    defaults {
        of_the_container: Settings = Settings { host: "h".into(), port: 0, verbose: true };
        as_the_container_says: Settings = Settings { host: "localhost".into(), port: 8080, verbose: false };
        of_fields: FieldDefaults = FieldDefaults { a: 0, b: 5, c: "text".into() };
        of_fields_with_other_values: FieldDefaults = FieldDefaults { a: 2, b: 6, c: String::new() };
        of_a_tuple_struct: TupleDefaults = TupleDefaults(1, None, 3);
    }

    flattened {
        a_struct_first: FlatFirst = FlatFirst { page: page(), items: vec![1, 2] };
        a_struct_in_the_middle: FlatMiddle = FlatMiddle { name: "n".into(), page: page(), more: Some(true) };
        a_struct_at_the_end: FlatLast = FlatLast { id: 9, page: page() };
        an_optional_struct: FlatOption = FlatOption { id: 1, page: Some(page()), end: 2 };
        no_optional_struct: FlatOption = FlatOption { id: 1, page: None, end: 2 };
        two_structs: FlatTwo = FlatTwo { page: page(), owner: owner(), end: 'z' };
        structs_within_structs: FlatDeep = FlatDeep { inner: FlatLast { id: 1, page: page() }, end: 2.5 };
        a_map: FlatMap = FlatMap { id: 1, extra: [("a".into(), 1), ("b".into(), -2)].into() };
        an_empty_map: FlatMap = FlatMap { id: 1, extra: BTreeMap::new() };
        a_map_of_values: CatchAll = CatchAll { kind: "k".into(), rest: rest(), after: 4 };
        a_struct_and_a_map: FlatBoth = FlatBoth { page: page(), rest: rest() };
        an_internally_tagged_enum: FlatTagged = FlatTagged { id: 1, event: Event::Click { x: 1, y: -1 }, at: 99 };
        an_internally_tagged_unit: FlatTagged = FlatTagged { id: 1, event: Event::Quit, at: 99 };
        an_adjacently_tagged_enum: FlatAdjacent = FlatAdjacent { id: 1, message: Adjacent::Pair(1, "x".into()), at: 2 };
        an_externally_tagged_enum: FlatExternal = FlatExternal { id: 1, shape: Shape::Circle { radius: 0.5 }, at: 2 };
        an_untagged_enum: FlatUntagged = FlatUntagged { id: 1, either: Reading::Named { celsius: 3.5 }, at: 2 };
        in_a_variant: FlatVariants = FlatVariants::Named { page: page(), n: 3 };
        in_a_tagged_variant: FlatInTagged = FlatInTagged::Listing { page: page(), rest: rest() };
        with_fields_left_out: FlatLeaveOut = FlatLeaveOut {
            note: None,
            inner: LeaveOut { first: None, kept: 1, middle: vec![], end: Some(2) },
            last: 3,
        };
        with_all_kinds_of_fields: FlatKinds = FlatKinds { id: 1, kinds: kinds() };
        a_list_of_them: Vec<FlatLast> = (0..3).map(|id| FlatLast { id, page: page() }).collect();
    }

    internally_tagged {
        units: Vec<Event> = vec![Event::Quit, Event::Idle];
        a_newtype_of_a_struct: Event = Event::Key(Key { code: 13, name: Some("enter".into()) });
        a_newtype_of_a_map: Event = Event::Labels([("a".to_owned(), "b".to_owned())].into());
        a_struct: Event = Event::Click { x: i32::MIN, y: i32::MAX };
        an_empty_struct: Event = Event::Nothing {};
        with_all_kinds_of_fields: TaggedKinds = TaggedKinds::All(Box::new(kinds()));
        in_one_another: TaggedOuter = TaggedOuter::Inner(Event::Click { x: 1, y: 2 });
        a_list_of_all: Vec<Event> = vec![Event::Quit, Event::Click { x: 0, y: 0 }, Event::Nothing {}, Event::Idle];
        a_struct_of_one_variant: TaggedStruct = TaggedStruct { a: 1, b: vec!["x".into()] };
        with_skipped_and_other_variants: TaggedSkips = TaggedSkips::Last { n: 1 };
        other: TaggedOther = TaggedOther::Unknown => TaggedOther::Unknown;
    }

    adjacently_tagged {
        units: Vec<Adjacent> = vec![Adjacent::Unit, Adjacent::Unit];
        a_newtype: Adjacent = Adjacent::One(vec![1, 2, 3]);
        a_newtype_of_nothing: Adjacent = Adjacent::Empty(());
        a_tuple: Adjacent = Adjacent::Pair(-1, "é".into());
        a_struct: Adjacent = Adjacent::Named { x: 0.25, y: None };
        in_a_list: Vec<Adjacent> = vec![Adjacent::Named { x: 0.0, y: Some(1) }, Adjacent::Unit, Adjacent::One(vec![])];
        with_all_kinds_of_fields: AdjacentKinds = AdjacentKinds::All(Box::new(kinds()));
    }

    untagged {
        a_unit: Vec<Reading> = vec![Reading::Missing];
        a_newtype: Vec<Reading> = vec![Reading::Plain(1.5), Reading::Text("t".into())];
        a_tuple: Reading = Reading::Pair(1, true);
        a_struct: Reading = Reading::Named { celsius: -40.0 };
        in_one_another: Vec<Nested> = vec![
            Nested::Reading(Reading::Pair(2, false)),
            Nested::Many(vec![Nested::Reading(Reading::Plain(2.5)), Nested::Many(vec![])]),
            Nested::Tagged(Event::Click { x: 1, y: 1 }),
        ];
        addresses: Vec<Address> = vec![
            Address::Ip("::1".parse().unwrap()),
            Address::Ip("10.0.0.1".parse().unwrap()),
            Address::Port(80),
            Address::Host("example".into()),
        ];
        identifiers: Vec<Identifier> = vec![
            Identifier::Id(Uuid::from_u128(7)),
            Identifier::Name("not an id".into()),
        ];
        letters: Vec<Letter> = vec![Letter::One('é'), Letter::Many("ab".into())];
        bytes: Vec<Blob> = vec![Blob::Bytes(vec![0, 1, 255].into()), Blob::Text("t".into())];
        with_all_kinds_of_fields: UntaggedKinds = UntaggedKinds::All(Box::new(kinds()));
        enums_within: Vec<OneOf> = vec![
            OneOf::Shape(Shape::Point),
            OneOf::Shape(Shape::Square(2.0)),
            OneOf::Shape(Shape::Line(1, 2)),
            OneOf::Shape(Shape::Circle { radius: 1.0 }),
            OneOf::Number(3),
        ];
        one_variant_of_a_tagged_enum: Vec<PartlyUntagged> = vec![
            PartlyUntagged::Known,
            PartlyUntagged::Sized(4),
            PartlyUntagged::Otherwise("else".into()),
        ];
        numbers_and_their_kinds: Vec<Number> = vec![
            Number::Small(255), Number::Signed(-1), Number::Big(u64::MAX), Number::Float(0.5), Number::Flag(true),
        ];
        optional: Vec<Option<Reading>> = vec![Some(Reading::Pair(0, true)), None];
    }

    renamed {
        fields: Renamed = Renamed { kind: 1, loop_count: 2 };
        all_fields: RenamedAll = RenamedAll { first_name: "a".into(), last_name: "b".into() };
        variants: Vec<RenamedVariants> =
            vec![RenamedVariants::FirstOne, RenamedVariants::SecondOne { inner_field: 1 }, RenamedVariants::Third(2)];
        fields_of_variants: RenamedVariantFields = RenamedVariantFields::Both { some_field: 1, other_field: 2 };
        differently_each_way: RenamedEachWay = RenamedEachWay { value: 5, rest: 6 };
        variants_differently_each_way: Vec<RenamedVariantsEachWay> =
            vec![RenamedVariantsEachWay::One, RenamedVariantsEachWay::Two(2)];
        aliases: Aliased = Aliased { name: "x".into(), count: 1 };
        swapped: Swapped = Swapped { a: 1, b: 2 };
        the_container: RenamedContainer = RenamedContainer { x: 1 };
        to_numbers_and_empty_texts: OddNames = OddNames { zero: 1, empty: 2, spaced: 3 };
        raw_names: RawNames = RawNames { r#type: 1, r#match: 2 };
    }

    other_variants {
        known: Vec<WithOther> = vec![WithOther::Red, WithOther::Green];
        unknown: WithOther = WithOther::Unknown;
        one_that_only_the_sender_knows: OnlySent = OnlySent::New => OnlySent::Unknown;
        in_the_middle: Vec<WithOther> = vec![WithOther::Red, WithOther::Unknown, WithOther::Green];
    }

    by_other_means {
        a_module: WithModule = WithModule { at: Minutes(90), after: 1 };
        two_functions: WithFunctions = WithFunctions { before: 1, tags: vec!["a".into(), "b".into()], after: 2 };
        a_function_for_a_variant: WithVariant = WithVariant::Tags(vec!["x".into(), "y".into()]);
        a_remote_type: WithRemote = WithRemote { before: true, point: foreign::Point { x: 1, y: 2 }, after: 3 };
        a_remote_type_with_private_fields: WithGetter = WithGetter { secret: foreign::Secret::new(5), after: 6 };
        a_remote_enum: WithRemoteEnum = WithRemoteEnum { light: foreign::Light::Amber(3), after: 1 };
        into_and_from: Celsius = Celsius(21.5);
        into_and_try_from: Even = Even(4);
        into_a_text: Vec<Version> = vec![Version { major: 1, minor: 20 }];
        into_a_struct_that_is_flattened: FlatInto = FlatInto { id: 1, via: Via { total: 12 }, end: 3 };
        transparent: Vec<Transparent> = vec![Transparent { inner: "t".into() }];
        transparent_with_a_skipped_field: TransparentSkip = TransparentSkip { inner: vec![1], mark: () };
        transparent_around_an_enum: TransparentEnum = TransparentEnum(Event::Click { x: 0, y: 1 });
        strict: Strict = Strict { a: 1, b: Some(2) };
        strict_with_a_field_left_out: Strict = Strict { a: 1, b: None };
        strict_and_tagged: Vec<StrictTagged> = vec![StrictTagged::One { a: 1 }, StrictTagged::Two];
        bounds: Bounded<Owner> = Bounded { value: owner(), text: Cow::Borrowed("b") };
        generic: Generic<Vec<u8>, Option<Event>> = Generic { one: vec![1], other: Some(Event::Idle), end: 1 };
        expecting: Expecting = Expecting { a: 1 };
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Page {
    offset: u64,
    limit: Option<u32>,
    sort: Vec<String>,
}

fn page() -> Page {
    Page { offset: 40, limit: None, sort: vec!["name".into(), "age".into()] }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Owner {
    owner: String,
    since: (u16, u8),
}

fn owner() -> Owner {
    Owner { owner: "o".into(), since: (1999, 12) }
}

fn rest() -> HashMap<String, Value> {
    let values =
        [json!(null), json!(true), json!(-7), json!(1.5), json!("text"), json!([1, [2]]), json!({"a": {"b": []}})];
    values.into_iter().enumerate().map(|(index, value)| (format!("rest{index}"), value)).collect()
}

/// A field of every kind that serde's buffer of unknown content must keep apart.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Kinds {
    unit: (),
    flag: bool,
    byte: u8,
    small: i8,
    word: u64,
    negative: i64,
    single: f32,
    double: f64,
    letter: char,
    text: String,
    list: Vec<u16>,
    pair: (u8, String),
    array: [i16; 3],
    none: Option<u8>,
    some: Option<u8>,
    map: BTreeMap<String, Vec<u8>>,
    nothing: Unit,
    newtype: Meters,
    plain: Shape,
    square: Shape,
    line: Shape,
    circle: Shape,
    event: Event,
    reading: Reading,
    address: IpAddr,
    id: Uuid,
}

fn kinds() -> Kinds {
    Kinds {
        unit: (),
        flag: true,
        byte: 255,
        small: -128,
        word: u64::MAX,
        negative: i64::MIN,
        single: 0.1,
        double: 1e-7,
        letter: '\u{1f600}',
        text: "\0\"é".into(),
        list: vec![0, 65_535],
        pair: (1, "p".into()),
        array: [-1, 0, 1],
        none: None,
        some: Some(0),
        map: [(String::new(), vec![]), ("k".into(), vec![1])].into(),
        nothing: Unit,
        newtype: Meters(7),
        plain: Shape::Point,
        square: Shape::Square(2.0),
        line: Shape::Line(1, -1),
        circle: Shape::Circle { radius: 3.0 },
        event: Event::Key(Key { code: 1, name: None }),
        reading: Reading::Named { celsius: 0.5 },
        address: "fe80::1".parse().unwrap(),
        id: Uuid::from_u128(0x1234),
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Unit;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Meters(u32);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    Point,
    Square(f64),
    Line(i32, i32),
    Circle { radius: f64 },
}

// Skipped fields.

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct SkipFirst {
    #[serde(skip)]
    cache: u64,
    name: String,
    age: u8,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct SkipMiddle {
    name: String,
    #[serde(skip)]
    cache: Option<u64>,
    age: u8,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct SkipLast {
    name: String,
    age: u8,
    #[serde(skip)]
    cache: Vec<u64>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct SkipTuple(u8, #[serde(skip)] (), u8);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct SkipTupleEnd(u8, u8, #[serde(skip)] u8);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum SkipInVariants {
    Named {
        #[serde(skip)]
        first: u8,
        kept: u8,
        after: i8,
    },
    Tuple(u8, #[serde(skip)] u8, String),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct AllSkipped {
    #[serde(skip)]
    one: u8,
    #[serde(skip)]
    other: String,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct SkipWithDefault {
    #[serde(skip, default = "forty_two")]
    seed: u64,
    rest: u8,
}

fn forty_two() -> u64 {
    42
}

// Skipped variants.

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Command {
    #[serde(skip)]
    #[expect(dead_code, reason = "it stands in the place of the first")]
    Internal(std::time::Duration),
    Start,
    Stop,
    Delete,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Level {
    Low,
    #[serde(skip)]
    #[expect(dead_code, reason = "it stands in the place of the second")]
    Middle,
    High(u8),
    Top {
        over: bool,
    },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Mode {
    On(u8),
    Off,
    #[serde(skip)]
    #[expect(dead_code, reason = "it stands at the end")]
    Debug,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum SkipVariantOneWay {
    #[serde(skip_deserializing)]
    #[expect(dead_code, reason = "it stands in the place of the first")]
    NotRead,
    #[serde(skip_serializing)]
    NotWritten,
    Kept(u8),
}

// Fields that go one way.

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct User {
    id: u32,
    #[serde(skip_serializing, default)]
    attempts: u32,
    age: u8,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct SerializeLess {
    #[serde(skip_serializing, default = "letter_d")]
    first: String,
    rest: Vec<u8>,
}

fn letter_d() -> String {
    "d".to_owned()
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Counted {
    #[serde(skip_deserializing)]
    seen: u64,
    name: String,
    #[serde(skip_deserializing, default = "five")]
    last: u8,
}

fn five() -> u8 {
    5
}

/// A field of each kind to be skipped.
#[derive(Debug, Default, PartialEq, Serialize)]
struct Ignored {
    numbers: (u8, i128, f32, f64),
    texts: Vec<(char, String)>,
    nested: Option<Option<Box<Ignored>>>,
    shapes: Vec<Shape>,
    bytes: serde_bytes::ByteBuf,
    keys: BTreeMap<(u8, u8), Vec<()>>,
}

fn ignored() -> Ignored {
    Ignored {
        numbers: (1, i128::MIN, 0.5, -0.0),
        texts: vec![('x', "y".into()); 3],
        nested: Some(Some(Box::default())),
        shapes: vec![Shape::Point, Shape::Square(1.0), Shape::Line(1, 2), Shape::Circle { radius: 1.0 }],
        bytes: vec![1, 2, 3].into(),
        // serde_json has no such keys.
        keys: BTreeMap::new(),
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct IgnoredOnArrival {
    #[serde(skip_deserializing)]
    ignored: Ignored,
    kept: u8,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum OneWayVariants {
    Named {
        #[serde(skip_serializing, default)]
        gone: u8,
        kept: char,
    },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct TwoOneWays {
    #[serde(skip_serializing, default)]
    a: u8,
    b: u8,
    #[serde(skip_deserializing)]
    c: u8,
    d: u8,
}

// Fields that are left out.

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct LeaveOut {
    #[serde(skip_serializing_if = "Option::is_none", default)]
    first: Option<String>,
    kept: u8,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    middle: Vec<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    end: Option<u64>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct LeaveOutOption {
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    rest: u8,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum LeaveOutVariants {
    Unit,
    Named {
        #[serde(skip_serializing_if = "Option::is_none", default)]
        note: Option<String>,
        n: u8,
    },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct LeaveOutZero {
    #[serde(skip_serializing_if = "is_zero", default)]
    zero: u32,
    ratio: f64,
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    more: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

// Defaults.

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Settings {
    #[serde(skip_serializing_if = "is_localhost")]
    host: String,
    #[serde(skip_serializing_if = "is_usual_port")]
    port: u16,
    verbose: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { host: "localhost".into(), port: 8080, verbose: false }
    }
}

fn is_localhost(host: &str) -> bool {
    host == "localhost"
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_usual_port(port: &u16) -> bool {
    *port == 8080
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct FieldDefaults {
    #[serde(default)]
    a: u8,
    #[serde(default = "five")]
    b: u8,
    #[serde(default = "String::new")]
    c: String,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct TupleDefaults(u8, #[serde(default)] Option<u8>, #[serde(default)] u8);

// Flattened fields.

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct FlatFirst {
    #[serde(flatten)]
    page: Page,
    items: Vec<u8>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct FlatMiddle {
    name: String,
    #[serde(flatten)]
    page: Page,
    more: Option<bool>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct FlatLast {
    id: u32,
    #[serde(flatten)]
    page: Page,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct FlatOption {
    id: u32,
    #[serde(flatten)]
    page: Option<Page>,
    end: u8,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct FlatTwo {
    #[serde(flatten)]
    page: Page,
    #[serde(flatten)]
    owner: Owner,
    end: char,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct FlatDeep {
    #[serde(flatten)]
    inner: FlatLast,
    end: f32,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct FlatMap {
    id: u32,
    #[serde(flatten)]
    extra: BTreeMap<String, i8>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct CatchAll {
    #[serde(rename = "type")]
    kind: String,
    #[serde(flatten)]
    rest: HashMap<String, Value>,
    after: u8,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct FlatBoth {
    #[serde(flatten)]
    page: Page,
    #[serde(flatten)]
    rest: HashMap<String, Value>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct FlatTagged {
    id: u32,
    #[serde(flatten)]
    event: Event,
    at: u64,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct FlatAdjacent {
    id: u32,
    #[serde(flatten)]
    message: Adjacent,
    at: u64,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct FlatExternal {
    id: u32,
    #[serde(flatten)]
    shape: Shape,
    at: u64,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct FlatUntagged {
    id: u32,
    #[serde(flatten)]
    either: Reading,
    at: u64,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum FlatVariants {
    Named {
        #[serde(flatten)]
        page: Page,
        n: u8,
    },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
enum FlatInTagged {
    Listing {
        #[serde(flatten)]
        page: Page,
        #[serde(flatten)]
        rest: HashMap<String, Value>,
    },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct FlatLeaveOut {
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<u8>,
    #[serde(flatten)]
    inner: LeaveOut,
    last: u8,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct FlatKinds {
    // The name is also the name of a deeper field, in the enums of the flattened field.
    #[serde(rename = "outer")]
    id: u8,
    #[serde(flatten)]
    kinds: Kinds,
}

// Tags.

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Event {
    Quit,
    Key(Key),
    Labels(HashMap<String, String>),
    Click { x: i32, y: i32 },
    Nothing {},
    Idle,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Key {
    code: u16,
    name: Option<String>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "t")]
enum TaggedKinds {
    All(Box<Kinds>),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outer")]
enum TaggedOuter {
    Inner(Event),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "struct")]
struct TaggedStruct {
    a: u8,
    b: Vec<String>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "t")]
enum TaggedSkips {
    #[serde(skip)]
    #[expect(dead_code, reason = "it stands in the place of the first")]
    Skipped,
    Last {
        n: u8,
    },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "t")]
enum TaggedOther {
    Known {
        a: u8,
    },
    #[serde(other)]
    Unknown,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "t", content = "c")]
enum Adjacent {
    Unit,
    One(Vec<u8>),
    Empty(()),
    Pair(i32, String),
    Named { x: f64, y: Option<u8> },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "t", content = "c")]
enum AdjacentKinds {
    All(Box<Kinds>),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Reading {
    Missing,
    Plain(f64),
    Text(String),
    Pair(u8, bool),
    Named { celsius: f64 },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Nested {
    Tagged(Event),
    Reading(Reading),
    Many(Vec<Nested>),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Address {
    Ip(IpAddr),
    Port(u16),
    Host(String),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Identifier {
    Id(Uuid),
    Name(String),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Letter {
    One(char),
    Many(String),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Blob {
    Text(String),
    Bytes(serde_bytes::ByteBuf),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum UntaggedKinds {
    Other { no_such_field: u8 },
    All(Box<Kinds>),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum OneOf {
    Shape(Shape),
    Number(u8),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum PartlyUntagged {
    Known,
    Sized(u8),
    #[serde(untagged)]
    Otherwise(String),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Number {
    Flag(bool),
    Small(u8),
    Signed(i16),
    Big(u64),
    Float(f64),
}

// Names.

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Renamed {
    #[serde(rename = "type")]
    kind: u8,
    #[serde(rename = "loop")]
    loop_count: u8,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RenamedAll {
    first_name: String,
    last_name: String,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING-KEBAB-CASE")]
enum RenamedVariants {
    FirstOne,
    #[serde(rename_all = "PascalCase")]
    SecondOne {
        inner_field: u8,
    },
    #[serde(rename = "3")]
    Third(u8),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all_fields = "kebab-case")]
enum RenamedVariantFields {
    Both { some_field: u8, other_field: u8 },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct RenamedEachWay {
    #[serde(rename(serialize = "new", deserialize = "old"), alias = "new")]
    value: u8,
    rest: u8,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all(serialize = "lowercase", deserialize = "UPPERCASE"))]
enum RenamedVariantsEachWay {
    #[serde(alias = "one")]
    One,
    #[serde(alias = "two")]
    Two(u8),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Aliased {
    #[serde(alias = "title", alias = "label")]
    name: String,
    #[serde(alias = "number")]
    count: u8,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Swapped {
    #[serde(rename = "b")]
    a: u8,
    #[serde(rename = "a")]
    b: u8,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename = "Another")]
struct RenamedContainer {
    x: u8,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct OddNames {
    #[serde(rename = "0")]
    zero: u8,
    #[serde(rename = "")]
    empty: u8,
    #[serde(rename = "a b \"c\" é")]
    spaced: u8,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct RawNames {
    r#type: u8,
    r#match: u8,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum WithOther {
    Red,
    Green,
    #[serde(other)]
    Unknown,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum OnlySent {
    #[serde(skip_deserializing)]
    New,
    #[serde(other)]
    Unknown,
}

// Other means.

#[derive(Debug, PartialEq)]
struct Minutes(u32);

mod hours_and_minutes {
    use super::*;

    pub(super) fn serialize<S: Serializer>(minutes: &Minutes, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}:{:02}", minutes.0 / 60, minutes.0 % 60))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Minutes, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        let parts = text.split_once(':').and_then(|(hours, rest)| Some((hours.parse().ok()?, rest.parse().ok()?)));
        let (hours, rest): (u32, u32) = parts.ok_or_else(|| serde::de::Error::custom("no time"))?;
        Ok(Minutes(hours * 60 + rest))
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct WithModule {
    #[serde(with = "hours_and_minutes")]
    at: Minutes,
    after: u8,
}

#[expect(clippy::ptr_arg, reason = "serde hands over the field")]
fn joined<S: Serializer>(tags: &Vec<String>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&tags.join(","))
}

fn split<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(String::deserialize(deserializer)?.split(',').map(str::to_owned).collect())
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct WithFunctions {
    before: u8,
    #[serde(serialize_with = "joined", deserialize_with = "split")]
    tags: Vec<String>,
    after: u8,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum WithVariant {
    #[serde(serialize_with = "joined", deserialize_with = "split")]
    Tags(Vec<String>),
}

/// Types of a crate without serde.
mod foreign {
    #[derive(Debug, PartialEq)]
    pub(super) struct Point {
        pub(super) x: i32,
        pub(super) y: i32,
    }

    #[derive(Debug, PartialEq)]
    pub(super) struct Secret(u8);

    impl Secret {
        pub(super) fn new(number: u8) -> Self {
            Self(number)
        }

        pub(super) fn number(&self) -> u8 {
            self.0
        }
    }

    #[derive(Debug, PartialEq)]
    pub(super) enum Light {
        Red,
        Amber(u8),
        Green,
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "foreign::Point")]
struct PointDef {
    x: i32,
    y: i32,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "foreign::Secret")]
struct SecretDef {
    #[serde(getter = "foreign::Secret::number")]
    number: u8,
}

impl From<SecretDef> for foreign::Secret {
    fn from(def: SecretDef) -> Self {
        Self::new(def.number)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "foreign::Light", rename_all = "lowercase")]
enum LightDef {
    Red,
    Amber(u8),
    Green,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct WithRemote {
    before: bool,
    #[serde(with = "PointDef")]
    point: foreign::Point,
    after: u8,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct WithGetter {
    #[serde(with = "SecretDef")]
    secret: foreign::Secret,
    after: u8,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct WithRemoteEnum {
    #[serde(with = "LightDef")]
    light: foreign::Light,
    after: u8,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(into = "f64", from = "f64")]
struct Celsius(f64);

impl From<f64> for Celsius {
    fn from(kelvin: f64) -> Self {
        Self(kelvin - 256.0)
    }
}

impl From<Celsius> for f64 {
    fn from(celsius: Celsius) -> Self {
        celsius.0 + 256.0
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(into = "u8", try_from = "u8")]
struct Even(u8);

impl TryFrom<u8> for Even {
    type Error = String;

    fn try_from(number: u8) -> Result<Self, String> {
        if number.is_multiple_of(2) { Ok(Self(number)) } else { Err(format!("{number} is odd")) }
    }
}

impl From<Even> for u8 {
    fn from(even: Even) -> Self {
        even.0
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "Cow<'_, str>")]
struct Version {
    major: u32,
    minor: u32,
}

impl From<Version> for String {
    fn from(version: Version) -> Self {
        format!("{}.{}", version.major, version.minor)
    }
}

impl TryFrom<Cow<'_, str>> for Version {
    type Error = fmt::Error;

    fn try_from(text: Cow<'_, str>) -> Result<Self, fmt::Error> {
        let (major, minor) = text.split_once('.').ok_or(fmt::Error)?;
        Ok(Self { major: major.parse().map_err(|_| fmt::Error)?, minor: minor.parse().map_err(|_| fmt::Error)? })
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(into = "ViaParts", from = "ViaParts")]
struct Via {
    total: u32,
}

#[derive(Serialize, Deserialize)]
struct ViaParts {
    tens: u32,
    ones: u32,
}

impl From<Via> for ViaParts {
    fn from(via: Via) -> Self {
        Self { tens: via.total / 10, ones: via.total % 10 }
    }
}

impl From<ViaParts> for Via {
    fn from(parts: ViaParts) -> Self {
        Self { total: parts.tens * 10 + parts.ones }
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct FlatInto {
    id: u8,
    #[serde(flatten)]
    via: Via,
    end: u8,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
struct Transparent {
    inner: String,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
struct TransparentSkip {
    inner: Vec<u8>,
    #[serde(skip)]
    mark: (),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
struct TransparentEnum(Event);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Strict {
    a: u8,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    b: Option<u8>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "t", deny_unknown_fields)]
enum StrictTagged {
    One { a: u8 },
    Two,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound(serialize = "T: Serialize", deserialize = "T: Deserialize<'de>"))]
struct Bounded<T> {
    value: T,
    text: Cow<'static, str>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Generic<A, B> {
    one: A,
    other: B,
    end: u8,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(expecting = "something with an a")]
struct Expecting {
    a: u8,
}
