//! A single number of any type.

use serde::de::Visitor;

use super::bytes::unknown;
use super::decoder::Decoder;
use crate::ipc::codec::error::Error;
use crate::ipc::codec::tag;

/// A number with the type from the message.
#[derive(Clone, Copy, Debug)]
pub(super) enum Number {
    U8(u8),
    I8(i8),
    U16(u16),
    I16(i16),
    U32(u32),
    I32(i32),
    U64(u64),
    I64(i64),
    U128(u128),
    I128(i128),
    F32(f32),
    F64(f64),
}

impl Number {
    /// Gives the number as written.
    #[inline]
    pub(super) fn visit<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self {
            Self::U8(number) => visitor.visit_u8(number),
            Self::I8(number) => visitor.visit_i8(number),
            Self::U16(number) => visitor.visit_u16(number),
            Self::I16(number) => visitor.visit_i16(number),
            Self::U32(number) => visitor.visit_u32(number),
            Self::I32(number) => visitor.visit_i32(number),
            Self::U64(number) => visitor.visit_u64(number),
            Self::I64(number) => visitor.visit_i64(number),
            Self::U128(number) => visitor.visit_u128(number),
            Self::I128(number) => visitor.visit_i128(number),
            Self::F32(number) => visitor.visit_f32(number),
            Self::F64(number) => visitor.visit_f64(number),
        }
    }

    /// Gives the number in the JSON form. An integer is a `u64`, or an `i64` if negative. An integer of
    /// more than 64 bits keeps 128 bits.
    #[inline]
    pub(super) fn visit_plain<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let integer = match self {
            Self::U8(number) => return visitor.visit_u64(number.into()),
            Self::U16(number) => return visitor.visit_u64(number.into()),
            Self::U32(number) => return visitor.visit_u64(number.into()),
            Self::U64(number) => return visitor.visit_u64(number),
            Self::U128(number) => {
                return match u64::try_from(number) {
                    Ok(number) => visitor.visit_u64(number),
                    Err(_) => visitor.visit_u128(number),
                };
            }
            Self::I8(number) => number.into(),
            Self::I16(number) => number.into(),
            Self::I32(number) => number.into(),
            Self::I64(number) => number.into(),
            Self::I128(number) => number,
            // By way of the decimals, so that 0.1 stays 0.1.
            Self::F32(number) if number.is_finite() => {
                return match number.to_string().parse() {
                    Ok(number) => visitor.visit_f64(number),
                    Err(_) => visitor.visit_f32(number),
                };
            }
            Self::F32(_) | Self::F64(_) => return self.visit(visitor),
        };
        match (u64::try_from(integer), i64::try_from(integer)) {
            (Ok(number), _) => visitor.visit_u64(number),
            (_, Ok(number)) => visitor.visit_i64(number),
            _ => visitor.visit_i128(integer),
        }
    }
}

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::U8(number) => number.fmt(f),
            Self::I8(number) => number.fmt(f),
            Self::U16(number) => number.fmt(f),
            Self::I16(number) => number.fmt(f),
            Self::U32(number) => number.fmt(f),
            Self::I32(number) => number.fmt(f),
            Self::U64(number) => number.fmt(f),
            Self::I64(number) => number.fmt(f),
            Self::U128(number) => number.fmt(f),
            Self::I128(number) => number.fmt(f),
            Self::F32(number) => decimals(format!("{number:?}"), f),
            Self::F64(number) => decimals(format!("{number:?}"), f),
        }
    }
}

/// Writes a number as serde_json does, with a sign before the exponent.
fn decimals(number: String, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
    match number.split_once('e') {
        Some((digits, exponent)) if !exponent.starts_with('-') => write!(f, "{digits}e+{exponent}"),
        _ => f.write_str(&number),
    }
}

impl Decoder<'_> {
    #[inline]
    pub(super) fn number(&mut self, tag: u8) -> Result<Number, Error> {
        Ok(match tag {
            tag::U8 => Number::U8(self.byte()?),
            tag::I8 => Number::I8(self.byte()? as i8),
            tag::U16..=tag::U16_WHOLE => Number::U16(self.unsigned(tag - tag::U16)? as u16),
            tag::I16..=tag::I16_WHOLE => Number::I16(self.signed(tag - tag::I16)? as i16),
            tag::U32..=tag::U32_WHOLE => Number::U32(self.unsigned(tag - tag::U32)? as u32),
            tag::I32..=tag::I32_WHOLE => Number::I32(self.signed(tag - tag::I32)? as i32),
            tag::U64..=tag::U64_WHOLE => Number::U64(self.unsigned(tag - tag::U64)?),
            tag::I64..=tag::I64_WHOLE => Number::I64(self.signed(tag - tag::I64)?),
            tag::U128 => Number::U128(u128::from_le_bytes(self.array()?)),
            tag::I128 => Number::I128(i128::from_le_bytes(self.array()?)),
            tag::F32 => Number::F32(f32::from_le_bytes(self.array()?)),
            tag::F64 => Number::F64(f64::from_le_bytes(self.array()?)),
            other => return Err(unknown(other)),
        })
    }
}
