//! Values of several shapes, for the codec and for round trips to a child.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::tasks::{ECHO_BYTE, ECHO_BYTES};

/// A value with a cheap comparison.
pub(crate) trait Sample: Serialize + DeserializeOwned + Clone + PartialEq + Send + 'static {
    /// Compares both ends and the length.
    fn is_like(&self, other: &Self) -> bool;
}

impl<T: Serialize + DeserializeOwned + Clone + PartialEq + Send + 'static> Sample for Vec<T> {
    fn is_like(&self, other: &Self) -> bool {
        self.len() == other.len() && self.first() == other.first() && self.last() == other.last()
    }
}

impl Sample for String {
    fn is_like(&self, other: &Self) -> bool {
        let ends = |text: &Self| (text.len(), text.bytes().next(), text.bytes().next_back());
        ends(self) == ends(other)
    }
}

/// A small struct.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Small {
    id: u64,
    name: String,
    score: f64,
    is_active: bool,
}

impl Sample for Small {
    fn is_like(&self, other: &Self) -> bool {
        self == other
    }
}

pub(crate) fn small() -> Small {
    Small { id: 48_151_623, name: "a name of some length".to_owned(), score: 0.42, is_active: true }
}

/// A row of a table.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Order {
    number: u64,
    customer: String,
    price: f64,
    discount: Option<u32>,
    state: State,
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
enum State {
    Placed,
    Paid(u32),
    Shipped { parcels: u16, is_abroad: bool },
}

/// The length of every customer's name, in bytes.
const CUSTOMER_BYTES: usize = 8;

pub(crate) const ROWS: usize = 1000;

/// Each row takes 64 bytes, name included. `contender.py` has as many rows.
const ECHO_ROWS: usize = ECHO_BYTES / 64;

pub(crate) fn rows() -> Vec<Order> {
    orders(ROWS)
}

pub(crate) fn echo_rows() -> Vec<Order> {
    orders(ECHO_ROWS)
}

fn orders(count: usize) -> Vec<Order> {
    (0..count as u64).map(order).collect()
}

fn order(number: u64) -> Order {
    let noise = mixed(number);
    Order {
        number,
        customer: format!("{:0CUSTOMER_BYTES$}", noise % 100_000_000),
        price: (noise % 100_000) as f64 / 100.0,
        discount: noise.is_multiple_of(3).then_some(noise as u32 % 1000),
        state: match noise % 4 {
            0 => State::Placed,
            1 => State::Paid(noise as u32),
            _ => State::Shipped { parcels: noise as u16 % 10, is_abroad: noise.is_multiple_of(5) },
        },
    }
}

/// Returns a number that a branch predictor cannot guess, as guessed branches would cost nothing. The same in every
/// process. Algorithm: `SplitMix64`.
fn mixed(number: u64) -> u64 {
    let number = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ number >> 31
}

pub(crate) const FLOATS: usize = 1_000_000;

pub(crate) fn floats() -> Vec<f64> {
    some_floats(FLOATS)
}

pub(crate) fn echo_floats() -> Vec<f64> {
    some_floats(ECHO_BYTES / size_of::<f64>())
}

fn some_floats(count: usize) -> Vec<f64> {
    (0..count).map(|n| n as f64 / 7.0).collect()
}

pub(crate) const BYTES: usize = 4 << 20;

/// Returns bytes of all values, since some formats need more room for the higher half.
pub(crate) fn bytes() -> Vec<u8> {
    (0..BYTES as u64).map(|n| mixed(n) as u8).collect()
}

pub(crate) fn echo_vec() -> Vec<u8> {
    vec![ECHO_BYTE; ECHO_BYTES]
}

/// Returns letters of one byte each.
pub(crate) fn echo_text() -> String {
    char::from(ECHO_BYTE).to_string().repeat(ECHO_BYTES)
}

/// Returns a document of some KiB with self-describing values.
pub(crate) fn document() -> Value {
    let items: Vec<Value> = (0..32).map(item).collect();
    json!({ "title": "orders of a day", "page": 1, "next": null, "items": items })
}

fn item(number: u64) -> Value {
    let Order { customer, price, discount, .. } = order(number);
    json!({
        "number": number,
        "customer": customer,
        "price": price,
        "discount": discount,
        "is_paid": number.is_multiple_of(2),
        "tags": ["first", "a tag of some length"],
        "address": { "city": "Nowhere", "floor": -1 },
    })
}

impl Sample for Value {
    fn is_like(&self, other: &Self) -> bool {
        let both = self["items"].as_array().zip(other["items"].as_array());
        both.is_some_and(|(own, others)| own.is_like(others))
    }
}
