//! What a ranker computed for a request, and from what: enough to compute it again.

use std::collections::BTreeMap;

use searchop_contract::Digest;
use serde::{Deserialize, Serialize};

use crate::{
    features::{Source, features},
    item::{Candidate, ItemFields},
    schema::{Given, owned},
};

/// A line of the feature log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FeatureRecord {
    pub query_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    pub user_query: String,
    /// The moment that features were computed for, in seconds since 1970.
    pub time: i64,
    pub model: String,
    pub version: u32,
    pub digest: Digest,
    pub tables_digest: Digest,
    #[serde(flatten)]
    pub page: Page,
    /// Names of the columns of `values` and `sources`.
    pub features: Vec<String>,
    /// What the request said of declared features for all candidates.
    #[serde(
        default,
        deserialize_with = "owned",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub declared: BTreeMap<String, Given<'static>>,
    /// In the order of the request.
    pub candidates: Vec<LoggedCandidate>,
}

/// Which part of the engine's results a request is about, in its own words.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Page {
    /// Counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sort: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filters: Option<serde_json::Value>,
}

/// A candidate with what was known of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoggedCandidate {
    pub id: String,
    /// What the engine gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine_score: Option<f64>,
    /// What the request said of it.
    #[serde(default, skip_serializing_if = "ItemFields::is_empty")]
    pub fields: ItemFields,
    /// Features that the request gave instead of what they are computed from; `null` is missing.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub given: BTreeMap<String, Option<f32>>,
    /// What the request said of declared features.
    #[serde(
        default,
        deserialize_with = "owned",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub declared: BTreeMap<String, Given<'static>>,
    /// `null` is missing.
    pub values: Vec<Option<f32>>,
    /// A letter for each value, as of [`sources`].
    pub sources: String,
    /// Of the model, before any rule.
    pub score: f64,
}

impl LoggedCandidate {
    /// What `row` and `score` were computed to be, and the declared features, a bit each, whose
    /// default stood in.
    pub fn new(candidate: &Candidate, (row, defaulted): (&[f32], u32), score: f64) -> Self {
        let given = |(column, value): &(usize, f32)| {
            let name = features().get(*column)?.name.to_owned();
            Some((name, present(*value)))
        };
        Self {
            id: candidate.id.to_owned(),
            engine_score: None,
            fields: candidate.fields.clone(),
            given: candidate.values.iter().filter_map(given).collect(),
            declared: BTreeMap::new(),
            values: row.iter().map(|value| present(*value)).collect(),
            sources: sources(candidate, row, defaulted),
            score,
        }
    }
}

fn present(value: f32) -> Option<f32> {
    Some(value).filter(|value| !value.is_nan())
}

/// Where each value of a candidate's row comes from, a letter a column: `r` the request, `t` the
/// tables, `d` nowhere, so that the model takes what it takes for a missing value. What is computed
/// from several inputs is of the request where that gave one of them. `defaulted` has a bit for each
/// declared feature whose default stood in: that is nowhere, too.
pub fn sources(candidate: &Candidate, row: &[f32], defaulted: u32) -> String {
    let source = |(column, value): (usize, &f32)| {
        let mut given = candidate.values.iter().chain(candidate.shared);
        if given.any(|(given, _)| *given == column) {
            return 'r';
        }
        if value.is_nan() {
            return 'd';
        }
        let Some(feature) = features().get(column) else {
            let is_default = defaulted >> (column - features().len()) & 1 == 1;
            return if is_default { 'd' } else { 't' };
        };
        let of_request = match feature.source {
            Source::Query => true,
            Source::Item => gives(candidate.fields, feature.name),
            Source::Text | Source::CandidateList => candidate.fields.has_text(),
            Source::ItemHistory | Source::QueryItemHistory => false,
        };
        if of_request { 'r' } else { 't' }
    };
    row.iter().enumerate().map(source).collect()
}

/// Whether a feature of the item is computed from a field that is there.
fn gives(fields: &ItemFields, feature: &str) -> bool {
    match feature {
        "price_log" => fields.price.is_some(),
        "rating" => fields.rating.is_some(),
        "rating_count_log" => fields.rating_count.is_some(),
        "in_stock" => fields.stock.is_some(),
        "age_days" => fields.added_time.is_some(),
        _ => fields.has_text(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::column;

    #[test]
    fn a_letter_says_where_each_value_comes_from() {
        let column = |name| column(name).unwrap();
        let fields = ItemFields {
            price: Some(3.0),
            ..ItemFields::default()
        };
        let candidate = Candidate {
            id: "a",
            fields: &fields,
            values: &[(column("rating"), f32::NAN)],
            ..Candidate::default()
        };
        let mut row = vec![1.0; features().len()];
        row[column("rating")] = f32::NAN;
        row[column("age_days")] = f32::NAN;
        let letters = sources(&candidate, &row, 0);
        for (feature, letter) in [
            ("query_terms", 'r'),
            ("price_log", 'r'),
            ("rating", 'r'),
            ("age_days", 'd'),
            ("rating_count_log", 't'),
            ("title_bm25", 't'),
            ("item_impressions_log_30d", 't'),
        ] {
            assert_eq!(
                letters.chars().nth(column(feature)),
                Some(letter),
                "{feature}"
            );
        }

        let text = ItemFields {
            title: Some("shoe".to_owned()),
            ..ItemFields::default()
        };
        let candidate = Candidate {
            fields: &text,
            ..Candidate::default()
        };
        let letters = sources(&candidate, &vec![1.0; features().len()], 0);
        for (feature, letter) in [
            ("title_bm25", 'r'),
            ("title_terms", 'r'),
            ("price_log", 't'),
        ] {
            assert_eq!(
                letters.chars().nth(column(feature)),
                Some(letter),
                "{feature}"
            );
        }
    }

    #[test]
    fn a_candidate_is_read_as_it_was_written() {
        let fields = ItemFields {
            price: Some(f64::from(0.1f32)),
            ..ItemFields::default()
        };
        let candidate = Candidate {
            id: "a\"",
            fields: &fields,
            values: &[(0, f32::NAN), (1, 0.3)],
            ..Candidate::default()
        };
        let row: Vec<f32> = (0..features().len())
            .map(|column| 1.0 / column as f32)
            .collect();
        let row: Vec<f32> = row
            .iter()
            .map(|value| if value.is_finite() { *value } else { f32::NAN })
            .collect();
        let logged = LoggedCandidate::new(&candidate, (&row, 0), -0.1);
        let line = serde_json::to_string(&logged).unwrap();
        assert_eq!(
            serde_json::from_str::<LoggedCandidate>(&line).unwrap(),
            logged
        );
    }
}
