//! Raw features of some requests with where each value came from, so that the rows can be computed
//! again and compared: the check against a difference between training and serving.

use searchop_model::{
    feature_log::{FeatureRecord, LoggedCandidate},
    item::Candidate,
    schema::{Given, Schema},
};

use crate::{answer::Rows, records::Kind, request::Search, state::Identity};

/// A record has some hundred kilobytes, so few may wait.
pub const KIND: Kind = Kind {
    name: "features",
    waiting: 64,
};

/// The record of a request whose products are `candidates`.
pub fn record(
    (identity, schema): (&Identity, &Schema),
    (search, query_id, candidates): (&Search, &str, &[Candidate]),
    rows: &Rows,
) -> FeatureRecord {
    let computed = &rows.computed;
    let values = computed.values.chunks_exact(schema.columns());
    let rows_of_products = values.zip(computed.scores).enumerate();
    let candidate = |(index, (row, score)): (usize, (&[f32], &f64))| {
        let defaulted = computed.defaulted.get(index).copied().unwrap_or_default();
        LoggedCandidate {
            engine_score: match search.products[index].engine_score {
                Some(Given::Number(score)) => Some(score),
                _ => None,
            },
            declared: search.declared_in(schema, index),
            ..LoggedCandidate::new(&candidates[index], (row, defaulted), *score)
        }
    };
    FeatureRecord {
        query_id: query_id.to_owned(),
        client_id: search.user_id.as_ref().map(|id| id.as_str().to_owned()),
        user_query: search.query.clone().into_owned(),
        time: rows.time,
        model: identity.model.clone(),
        version: identity.version,
        digest: identity.digest.clone(),
        tables_digest: identity.tables_digest.clone(),
        page: search.page.clone(),
        features: schema.names(),
        declared: search.declared_in_all(schema),
        candidates: rows_of_products.map(candidate).collect(),
    }
}
