//! Conversions between types that are the same, where generic code has two names for one type.

use std::mem::{ManuallyDrop, transmute_copy};

/// Returns the bytes with zeroes behind them.
#[inline]
pub(super) fn padded<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut word = [0; N];
    word[..bytes.len()].copy_from_slice(bytes);
    word
}

/// Returns whether two types are the same but for their lifetimes.
#[inline(always)]
fn is_same<A: ?Sized, B: ?Sized>() -> bool {
    typeid::of::<A>() == typeid::of::<B>()
}

/// Returns the value as a `B`, if that is the value's type. One of the two types must have no lifetimes.
#[inline(always)]
pub(crate) fn value<A: 'static, B>(value: A) -> Result<B, A> {
    if !is_same::<A, B>() {
        return Err(value);
    }
    let value = ManuallyDrop::new(value);
    // SAFETY: the types are one, and `A` outlives everything, so that there is no lifetime in which they could differ.
    // The original is not dropped.
    Ok(unsafe { transmute_copy(&*value) })
}

/// Returns the `B` that a value is or refers to.
#[inline(always)]
pub(crate) fn reference<A: ?Sized, B: 'static>(value: &A) -> Option<&B> {
    let place = std::ptr::from_ref(value);
    if is_same::<A, B>() {
        // SAFETY: the types are one, without a lifetime.
        return Some(unsafe { &*place.cast() });
    }
    if is_same::<A, &B>() {
        // SAFETY: the value is a reference, to what lives for as long as the value at least.
        return Some(unsafe { *place.cast::<&B>() });
    }
    None
}

/// Returns the elements, if the value is a `&[T]` or a `&Vec<T>`.
#[inline(always)]
pub(crate) fn slice<A, T: 'static>(value: &A) -> Option<&[T]> {
    if is_same::<A, &[T]>() {
        // SAFETY: the value is a reference to a slice, which lives for as long as the value at least.
        return Some(unsafe { *std::ptr::from_ref(value).cast::<&[T]>() });
    }
    if is_same::<A, &Vec<T>>() {
        // SAFETY: the value is a reference to a vector, which lives for as long as the value at least.
        return Some(unsafe { *std::ptr::from_ref(value).cast::<&Vec<T>>() });
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_what_it_is() {
        assert_eq!(value::<_, Vec<u8>>(vec![1_u8]), Ok(vec![1]));
        assert_eq!(value::<_, Vec<i8>>(vec![1_u8]), Err(vec![1]));
        assert_eq!(reference::<u64, u64>(&7), Some(&7));
        assert_eq!(reference::<&u64, u64>(&&7), Some(&7));
        assert_eq!(reference::<u64, i64>(&7), None);
        assert_eq!(reference::<str, u8>("x"), None);
        let numbers = vec![1.5, 2.5];
        assert_eq!(slice::<&Vec<f64>, f64>(&&numbers), Some(&[1.5, 2.5][..]));
        assert_eq!(slice::<&[f64], f64>(&&numbers[1..]), Some(&[2.5][..]));
        assert_eq!(slice::<&Vec<f64>, u64>(&&numbers), None);
        assert_eq!(slice::<Vec<f64>, f64>(&numbers), None);
    }
}
