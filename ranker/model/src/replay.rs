//! Computes logged rows again, from the tables and what the request said, and compares.
//!
//! Rows that differ under the tables that served them show a ranker that computes differently; rows
//! that differ under newer tables show what a stale table costs. What a request says of an item is
//! compared with what the tables know of it: prices in cents beside prices in euros are found.

use std::collections::BTreeMap;

use crate::{
    bundle::Bundle,
    feature_log::{FeatureRecord, LoggedCandidate},
    features::column,
    item::{Candidate, ItemNumbers},
    schema::{Given, Schema},
};

/// Fewer pairs say nothing about a unit.
const MIN_PAIRS: usize = 20;
/// Pairs that are kept of one field.
const MAX_PAIRS: usize = 100_000;
/// Values of another unit are all off by one factor: at least this one …
const UNIT_FACTOR: f64 = 1.5;
/// … and the middle half of them within this one.
const UNIT_SPREAD: f64 = 1.1;

/// A record that cannot be computed again.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    #[error("has column {found:?} in place of {expected:?}: another release logged it")]
    Columns { found: String, expected: String },
    #[error("gives the feature {0:?}, which this release does not have")]
    Given(String),
    #[error("gives {value} as the feature {name:?}: {problem}")]
    Declared {
        name: String,
        value: String,
        problem: String,
    },
    #[error("has {found} values for {id:?}, the model has {expected} features")]
    Width {
        id: String,
        found: usize,
        expected: usize,
    },
}

/// What came of all records together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Replay {
    pub requests: u64,
    pub rows: u64,
    /// Rows of which every value is the same to the last bit.
    pub equal_rows: u64,
    /// By name, those with any difference.
    pub features: BTreeMap<String, FeatureDifference>,
    /// By name, what requests say of items that the tables know as well.
    pub fields: BTreeMap<&'static str, FieldPairs>,
}

/// How one feature differs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FeatureDifference {
    pub different: u64,
    /// Those of them that came from the tables.
    pub from_tables: u64,
    /// The first one.
    pub example: Option<Example>,
}

/// One value that differs; NaN is missing.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    pub query_id: String,
    pub id: String,
    pub logged: f32,
    pub replayed: f32,
}

/// What requests say beside what the tables say of the same items.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FieldPairs {
    pub pairs: u64,
    pub equal: u64,
    /// Request over table, where both are positive.
    ratios: Vec<f64>,
}

impl FieldPairs {
    /// The factor by which the request's unit differs from the table's, if it looks like one.
    pub fn other_unit(&self) -> Option<f64> {
        if self.ratios.len() < MIN_PAIRS {
            return None;
        }
        let mut ratios = self.ratios.clone();
        ratios.sort_by(f64::total_cmp);
        let quantile = |share: f64| ratios[(share * (ratios.len() - 1) as f64) as usize];
        let factor = quantile(0.5);
        let off = factor >= UNIT_FACTOR || factor <= 1.0 / UNIT_FACTOR;
        let alike = quantile(0.75) / quantile(0.25) <= UNIT_SPREAD;
        (off && alike).then_some(factor)
    }

    fn add(&mut self, request: f64, table: f64) {
        self.pairs += 1;
        self.equal += u64::from(request == table);
        if request > 0.0 && table > 0.0 && self.ratios.len() < MAX_PAIRS {
            self.ratios.push(request / table);
        }
    }
}

impl Replay {
    /// Share of the rows that are equal; 1 without any.
    pub fn equal_share(&self) -> f64 {
        match self.rows {
            0 => 1.0,
            rows => self.equal_rows as f64 / rows as f64,
        }
    }

    /// Computes a record again under `bundle`.
    pub fn add(&mut self, record: &FeatureRecord, bundle: &Bundle) -> Result<(), ReplayError> {
        let schema = &bundle.model.schema;
        check(record, schema)?;
        let shared = encoded(schema, &record.declared)?;
        let given = |logged| given(schema, logged);
        let given: Vec<Vec<(usize, f32)>> =
            (record.candidates.iter().map(given)).collect::<Result<_, _>>()?;
        let candidates: Vec<Candidate> = (record.candidates.iter().zip(&given))
            .map(|(logged, values)| Candidate {
                id: &logged.id,
                fields: &logged.fields,
                values,
                shared: &shared,
            })
            .collect();
        let rows = bundle.features_of(&record.user_query, record.time, &candidates);
        self.requests += 1;
        for (logged, row) in record.candidates.iter().zip(&rows) {
            self.compare(&record.query_id, logged, (row, schema));
            if let Some(item) = bundle.tables.item(&logged.id) {
                self.compare_fields(&logged.fields.numbers(), &item.numbers());
            }
        }
        Ok(())
    }

    fn compare(
        &mut self,
        query_id: &str,
        logged: &LoggedCandidate,
        (row, schema): (&[f32], &Schema),
    ) {
        let mut equal = true;
        let logged_values = logged.values.iter().zip(logged.sources.chars());
        for ((column, (value, source)), replayed) in logged_values.enumerate().zip(row) {
            let value = value.unwrap_or(f32::NAN);
            if value == *replayed || (value.is_nan() && replayed.is_nan()) {
                continue;
            }
            equal = false;
            let name = schema.name(column).to_owned();
            let difference = self.features.entry(name).or_default();
            difference.different += 1;
            // What was nowhere and now is somewhere is in the tables, for the request is the same.
            difference.from_tables += u64::from(source != 'r');
            difference.example.get_or_insert_with(|| Example {
                query_id: query_id.to_owned(),
                id: logged.id.clone(),
                logged: value,
                replayed: *replayed,
            });
        }
        self.rows += 1;
        self.equal_rows += u64::from(equal);
    }

    fn compare_fields(&mut self, request: &ItemNumbers, table: &ItemNumbers) {
        let time = |time: Option<i64>| time.map(|time| time as f64);
        for (field, request, table) in [
            ("price", request.price, table.price),
            ("rating", request.rating, table.rating),
            ("rating_count", request.rating_count, table.rating_count),
            ("stock", request.stock, table.stock),
            (
                "added_time",
                time(request.added_time),
                time(table.added_time),
            ),
        ] {
            if let (Some(request), Some(table)) = (request, table) {
                self.fields.entry(field).or_default().add(request, table);
            }
        }
    }
}

fn check(record: &FeatureRecord, schema: &Schema) -> Result<(), ReplayError> {
    let mut found = record.features.iter();
    let expected = schema.columns();
    for column in 0..expected {
        let found = found.next().map_or("", String::as_str);
        let expected = schema.name(column);
        if found != expected {
            return Err(ReplayError::Columns {
                found: found.to_owned(),
                expected: expected.to_owned(),
            });
        }
    }
    for logged in &record.candidates {
        for found in [logged.values.len(), logged.sources.len()] {
            if found != expected {
                let id = logged.id.clone();
                return Err(ReplayError::Width {
                    id,
                    found,
                    expected,
                });
            }
        }
    }
    Ok(())
}

fn given(schema: &Schema, logged: &LoggedCandidate) -> Result<Vec<(usize, f32)>, ReplayError> {
    let value = |(name, value): (&String, &Option<f32>)| match column(name) {
        Some(column) => Ok((column, value.unwrap_or(f32::NAN))),
        None => Err(ReplayError::Given(name.clone())),
    };
    let preset = logged.given.iter().map(value);
    let mut given: Vec<(usize, f32)> = preset.collect::<Result<_, _>>()?;
    given.extend(encoded(schema, &logged.declared)?);
    Ok(given)
}

fn encoded(
    schema: &Schema,
    declared: &BTreeMap<String, Given>,
) -> Result<Vec<(usize, f32)>, ReplayError> {
    let given = declared.iter().map(|(name, given)| (name.as_str(), given));
    schema.encode(given).map_err(|(name, problem)| {
        let value = declared.get(&name).map(ToString::to_string);
        ReplayError::Declared {
            value: value.unwrap_or_default(),
            name,
            problem,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_unit_is_one_factor_for_most_pairs() {
        let twenty = |value: fn(i32) -> f64| (0..20).map(value).collect::<Vec<f64>>();
        for (what, ratios, factor) in [
            ("cents", twenty(|_| 100.0), Some(100.0)),
            ("thousandths", twenty(|_| 0.001), Some(0.001)),
            ("the same", twenty(|_| 1.0), None),
            ("a sale", twenty(|_| 0.8), None),
            (
                "cents, and prices that moved",
                twenty(|at| 100.0 + f64::from(at) / 4.0),
                Some(102.25),
            ),
            ("all over the place", twenty(|at| 2f64.powi(at - 5)), None),
            ("a few", vec![100.0; 19], None),
        ] {
            let pairs = FieldPairs {
                ratios,
                ..FieldPairs::default()
            };
            assert_eq!(pairs.other_unit(), factor, "{what}");
        }
    }
}
