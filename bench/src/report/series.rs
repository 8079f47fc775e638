//! Rows of one operation at several sizes, as one series for each contender.

use crate::measure::Measured;

/// One contender through all sizes.
pub(super) struct Series<'r> {
    pub(super) name: &'r str,
    /// The first row of the contender.
    pub(super) row: &'r Measured,
    /// Sizes and numbers, in the order of the rows.
    pub(super) values: Vec<(f64, f64)>,
}

pub(super) fn series<'r>(rows: &[&'r Measured]) -> Vec<Series<'r>> {
    let mut all: Vec<Series> = Vec::new();
    for &row in rows {
        let Some(size) = size(&row.id) else { continue };
        for (name, value) in row.everybody() {
            match all.iter_mut().find(|series| series.name == name) {
                Some(series) => series.values.push((size, value)),
                None => all.push(Series { name, row, values: vec![(size, value)] }),
            }
        }
    }
    all
}

/// Returns the number at the end of an id, without its unit.
fn size(id: &str) -> Option<f64> {
    id.rsplit('/').next()?.trim_end_matches(char::is_alphabetic).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn a_size_may_have_a_unit() {
        assert_eq!(size("scale/children/1000"), Some(1000.0));
        assert_eq!(size("efficiency/pool/16us"), Some(16.0));
        assert_eq!(size("start/fork/empty"), None);
    }
}
