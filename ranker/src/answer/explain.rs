use std::collections::BTreeMap;

use schemars::JsonSchema;
use searchop_model::{item::Candidate, schema::Schema};
use serde::Serialize;

use super::now;
use crate::{
    error::ApiError,
    id::Id,
    request::{Bound, RankRequest},
    traffic::Loaded,
};

/// Parts of scores, by the name of the feature that adds them.
type Parts = BTreeMap<String, f64>;

/// Why products have their scores: exact Shapley values, as LightGBM's `predict_contrib` gives them.
#[derive(Serialize, JsonSchema)]
pub struct Explanation<'a> {
    /// The mean score of what the model was trained on, from which every product starts.
    expected: f64,
    /// In the order of the request's `explain`.
    products: Vec<ExplainedProduct<'a>>,
    /// Of two products: what each feature adds to the score of the first more than to the second's.
    #[serde(skip_serializing_if = "Option::is_none")]
    difference: Option<Parts>,
}

#[derive(Serialize, JsonSchema)]
struct ExplainedProduct<'a> {
    /// As it came.
    id: &'a Id<'a>,
    /// What each feature adds to `expected`; the sum is the score.
    contributions: Parts,
}

impl<'a> Explanation<'a> {
    pub fn of(
        (loaded, bound): (&Loaded, &Bound),
        request: &'a RankRequest<'a>,
    ) -> Result<Self, ApiError> {
        let schema = &loaded.bundle.model.schema;
        let search = &request.search;
        let all = search.candidates(bound);
        let candidates: Vec<Candidate> = request.explain.iter().map(|&index| all[index]).collect();
        let parts = loaded
            .bundle
            .explain(&search.query, now(), &candidates)
            .map_err(|error| ApiError::invalid("explain", error.to_string()))?;
        let product = |(&index, contributions): (&usize, &[f64])| ExplainedProduct {
            id: &search.products[index].id,
            contributions: named(schema, contributions),
        };
        let contributions = parts.iter().map(|parts| &parts.features[..]);
        Ok(Self {
            expected: parts.first().map_or(0.0, |parts| parts.expected),
            products: request
                .explain
                .iter()
                .zip(contributions)
                .map(product)
                .collect(),
            difference: match &parts[..] {
                [first, second] => Some(named(schema, &first.minus(second))),
                _ => None,
            },
        })
    }
}

fn named(schema: &Schema, parts: &[f64]) -> Parts {
    let named = |(column, part): (usize, &f64)| (schema.name(column).to_owned(), *part);
    parts.iter().enumerate().map(named).collect()
}
