//! Hides counters from training, so that trees learn what to do without them: new items and new
//! queries have none when they are served.

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};
use searchop_contract::FeatureSource;
use searchop_model::{
    features::{Source, features},
    schema::Schema,
};

use crate::boosting::Groups;

/// Hides all counters of a random `share` of the rows, 0 to 1. The same seed hides the same rows.
pub fn hide_counters(groups: &mut Groups, share: f64, seed: u32) {
    let counters: Vec<usize> = counters().collect();
    let mut draw = ChaCha8Rng::seed_from_u64(seed.into());
    for row in groups.values.chunks_exact_mut(groups.columns) {
        if f64::from(draw.next_u32()) < share * f64::from(u32::MAX) {
            for column in &counters {
                row[*column] = f32::NAN;
            }
        }
    }
}

/// Hides declared features that a request may lack from the same share of the rows, each by itself: of
/// whole lists what requests bring, of single rows what the catalogue has.
pub fn hide_optional(groups: &mut Groups, schema: &Schema, share: f64, seed: u32) {
    for (column, source) in optional(schema) {
        let mut draw = ChaCha8Rng::seed_from_u64(u64::from(seed) << 32 | column as u64);
        let mut is_hidden = || f64::from(draw.next_u32()) < share * f64::from(u32::MAX);
        let mut rows = groups.values.chunks_exact_mut(groups.columns);
        for size in &groups.sizes {
            let of_list = is_hidden();
            for row in rows.by_ref().take(*size as usize) {
                let hidden = match source {
                    FeatureSource::Catalog => is_hidden(),
                    FeatureSource::Product | FeatureSource::Request => of_list,
                };
                if hidden {
                    row[column] = f32::NAN;
                }
            }
        }
    }
}

/// The first of them that no row lacks.
pub fn never_missing_optional<'s>(groups: &Groups, schema: &'s Schema) -> Option<&'s str> {
    let mut columns = optional(schema).map(|(column, _)| column);
    let column = columns.find(|column| !is_missing(groups, *column))?;
    Some(schema.name(column))
}

/// Columns of declared features without a default that nobody requires.
fn optional(schema: &Schema) -> impl Iterator<Item = (usize, FeatureSource)> {
    let declared = (features().len()..).zip(schema.declared());
    declared
        .filter(|(_, declared)| declared.feature.feature.may_be_missing())
        .map(|(column, declared)| (column, declared.source()))
}

/// Whether any row lacks a value.
fn is_missing(groups: &Groups, column: usize) -> bool {
    let mut values = groups.values.iter().skip(column).step_by(groups.columns);
    values.any(|value| value.is_nan())
}

/// The first counter that no row lacks: trees have not learned what its absence means.
pub fn never_missing(groups: &Groups) -> Option<&'static str> {
    let column = counters().find(|column| !is_missing(groups, *column))?;
    Some(features()[column].name)
}

/// Columns of what is counted.
fn counters() -> impl Iterator<Item = usize> {
    let counted = |source| matches!(source, Source::ItemHistory | Source::QueryItemHistory);
    let columns = features().iter().enumerate();
    columns
        .filter(move |(_, feature)| counted(feature.source))
        .map(|(column, _)| column)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups(rows: usize) -> Groups {
        Groups {
            columns: features().len(),
            values: vec![1.0; rows * features().len()],
            ..Groups::default()
        }
    }

    fn hidden(groups: &Groups, column: usize) -> usize {
        let rows = groups.values.chunks_exact(groups.columns);
        rows.filter(|row| row[column].is_nan()).count()
    }

    #[test]
    fn a_share_of_the_rows_loses_its_counters_and_nothing_else() {
        let mut some = groups(2000);
        hide_counters(&mut some, 0.3, 7);
        let first = counters().next().unwrap();
        let share = hidden(&some, first) as f64 / 2000.0;
        assert!((share - 0.3).abs() < 0.05, "{share}");
        for column in 0..features().len() {
            let expected = if counters().any(|counter| counter == column) {
                hidden(&some, first)
            } else {
                0
            };
            assert_eq!(
                hidden(&some, column),
                expected,
                "{}",
                features()[column].name
            );
        }
        let mut again = groups(2000);
        hide_counters(&mut again, 0.3, 7);
        assert_eq!(hidden(&again, first), hidden(&some, first));
    }

    #[test]
    fn a_counter_that_is_always_there_is_named() {
        let mut all = groups(10);
        let first = counters().next().unwrap();
        assert_eq!(never_missing(&all), Some(features()[first].name));
        hide_counters(&mut all, 1.0, 7);
        assert_eq!(never_missing(&all), None);
        let mut none = groups(10);
        hide_counters(&mut none, 0.0, 7);
        assert_eq!(hidden(&none, first), 0);
    }
}
