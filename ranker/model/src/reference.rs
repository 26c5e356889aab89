//! What training rows looked like, in bins that served rows are counted into.

use searchop_contract::{Bins, FeatureBins, ReferenceBins, names};

use crate::{artifact::ArtifactError, schema::Schema};

/// Training rows are cut into this many parts of like size; a value that more rows share has a bin
/// of its own.
const PARTS: usize = 10;

/// Bins of row-major `rows` (as many values a row as the schema has columns, NaN is missing) and of
/// their `scores`. `importance` is each feature's share of the gain, in column order.
pub fn reference_bins(
    schema: &Schema,
    rows: &[f32],
    scores: &[f64],
    importance: &[f64],
) -> ReferenceBins {
    let columns = schema.columns();
    let bins_of = |(column, importance): (usize, &f64)| FeatureBins {
        feature: schema.name(column).to_owned(),
        importance: *importance,
        bins: bins(rows.chunks_exact(columns).map(|row| row[column].into())),
    };
    ReferenceBins {
        features: importance.iter().enumerate().map(bins_of).collect(),
        scores: bins(scores.iter().copied()),
    }
}

/// Place of a value in the counts that belong to `bounds`.
pub fn bin(bounds: &[f64], value: f64) -> usize {
    if value.is_nan() {
        return bounds.len() + 1;
    }
    bounds.partition_point(|bound| *bound < value)
}

fn bins(values: impl Iterator<Item = f64> + Clone) -> Bins {
    let mut sorted: Vec<f64> = values.clone().filter(|value| value.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let bounds = bounds(&sorted);
    let mut training = vec![0; bounds.len() + 2];
    for value in values {
        training[bin(&bounds, value)] += 1;
    }
    Bins { bounds, training }
}

/// Ascending; one at 0 where there are no values, so that a first value is seen.
fn bounds(sorted: &[f64]) -> Vec<f64> {
    if sorted.is_empty() {
        return vec![0.0];
    }
    let quantile = |part: usize| sorted[(part * sorted.len()).div_ceil(PARTS).max(1) - 1];
    let mut bounds: Vec<f64> = Vec::with_capacity(PARTS);
    for part in 1..PARTS {
        let value = quantile(part);
        if bounds.last() == Some(&value) {
            continue;
        }
        if value == quantile(part + 1) {
            let below = below(sorted, value);
            if bounds.last().is_none_or(|last| *last < below) && below < value {
                bounds.push(below);
            }
        }
        bounds.push(value);
    }
    bounds
}

/// Between `value` and what comes before it.
fn below(sorted: &[f64], value: f64) -> f64 {
    match sorted.partition_point(|other| *other < value) {
        0 => value - 1.0,
        first => sorted[first - 1] / 2.0 + value / 2.0,
    }
}

/// Refuses bins that are not those of the model's features.
pub(crate) fn check(reference: &ReferenceBins, schema: &Schema) -> Result<(), ArtifactError> {
    let refuse = |detail| {
        let file = names::REFERENCE_BINS_FILE;
        Err(ArtifactError::malformed(file, detail))
    };
    let found = reference.features.len();
    let expected = schema.columns();
    if found != expected {
        return refuse(format!("has {found} features, the model has {expected}"));
    }
    for (column, of) in reference.features.iter().enumerate() {
        let FeatureBins {
            feature: name,
            importance,
            bins,
        } = of;
        let expected = schema.name(column);
        if name != expected {
            return refuse(format!("has {name:?} in place of {expected:?}"));
        }
        if !(0.0..=1.0).contains(importance) {
            return refuse(format!(
                "the importance of {name} is {importance}, not 0 to 1"
            ));
        }
        if !bins.is_sound() {
            return refuse(format!(
                "the bins of {name} are not ascending or not all counted"
            ));
        }
    }
    if !reference.scores.is_sound() {
        return refuse("the bins of scores are not ascending or not all counted".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MISSING: f64 = f64::NAN;

    #[test]
    fn parts_are_of_like_size_and_shared_values_have_a_bin_of_their_own() {
        let hundred: Vec<f64> = (1..=100).map(f64::from).collect();
        let tenths: Vec<f64> = (1..10).map(|part| f64::from(part) * 10.0).collect();
        let counts = |count| [vec![count; 10], vec![0]].concat();
        let cases = [
            (hundred, tenths, counts(10)),
            (vec![7.0; 5], vec![6.0, 7.0], vec![0, 5, 0, 0]),
            (vec![], vec![0.0], vec![0, 0, 0]),
            (vec![MISSING; 3], vec![0.0], vec![0, 0, 3]),
            (
                vec![0.0, 1.0, 1.0, MISSING],
                vec![-1.0, 0.0, 0.5, 1.0],
                vec![0, 1, 0, 2, 0, 1],
            ),
            (vec![2.0, f64::INFINITY], vec![1.0, 2.0], vec![0, 1, 1, 0]),
        ];
        for (values, bounds, training) in cases {
            let found = bins(values.iter().copied());
            assert_eq!(found, Bins { bounds, training }, "{values:?}");
        }
    }

    #[test]
    fn bins_of_other_features_or_of_a_wrong_form_are_refused() {
        let schema = Schema::default();
        let columns = schema.columns();
        let rows = vec![1.0; columns];
        let sound = reference_bins(&schema, &rows, &[0.5], &vec![0.0; columns]);
        assert!(check(&sound, &schema).is_ok());
        type Spoil = fn(&mut ReferenceBins);
        let spoilt: [(Spoil, &str); 6] = [
            (|bins| drop(bins.features.pop()), "features, the model has"),
            (
                |bins| bins.features[1].feature = "x".to_owned(),
                "in place of",
            ),
            (|bins| bins.features[0].importance = f64::NAN, "not 0 to 1"),
            (
                |bins| bins.features[0].bins.bounds.reverse(),
                "not ascending",
            ),
            (
                |bins| bins.features[0].bins.training.push(0),
                "not all counted",
            ),
            (|bins| bins.scores.bounds.clear(), "bins of scores"),
        ];
        for (spoil, why) in spoilt {
            let mut bins = sound.clone();
            spoil(&mut bins);
            let error = check(&bins, &schema).unwrap_err().to_string();
            assert!(error.starts_with("reference_bins.json: "), "{error}");
            assert!(error.contains(why), "{error}");
        }
    }

    proptest! {
        #[test]
        fn any_values_make_sound_bins_that_hold_them_all(
            values in prop::collection::vec(prop::num::f32::ANY, 0..60),
        ) {
            let found = bins(values.iter().map(|value| f64::from(*value)));
            prop_assert!(found.is_sound(), "{found:?}");
            prop_assert_eq!(found.training.iter().sum::<u64>(), values.len() as u64);
            let missing = values.iter().filter(|value| value.is_nan()).count();
            prop_assert_eq!(found.training.last().copied(), Some(missing as u64));
        }
    }
}
