//! Raw features of some requests with where each value came from, so that the rows can be computed
//! again and compared: the check against a difference between training and serving.

use searchop_model::{
    feature_log::{FeatureRecord, LoggedCandidate},
    features::{feature_names, features},
};

use crate::{
    answer::Rows,
    records::Kind,
    request::{Product, Search},
    state::Identity,
};

/// A record has some hundred kilobytes, so few may wait.
pub const KIND: Kind = Kind {
    name: "features",
    waiting: 64,
};

/// The record of a request.
pub fn record(
    identity: &Identity,
    (search, query_id): (&Search, &str),
    rows: &Rows,
) -> FeatureRecord {
    let values = rows.values.chunks_exact(features().len());
    let rows_of_products = search.products.iter().zip(values.zip(rows.scores));
    let candidate = |(product, (row, score)): (&Product, (&[f32], &f64))| LoggedCandidate {
        engine_score: product.engine_score,
        ..LoggedCandidate::new(&product.candidate(), row, *score)
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
        features: feature_names(),
        candidates: rows_of_products.map(candidate).collect(),
    }
}
