//! x
pub(crate) const CASES: &[offspring_tests::Case] = &[];
