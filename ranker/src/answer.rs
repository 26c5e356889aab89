use std::time::{SystemTime, UNIX_EPOCH};

use searchop_contract::Digest;
use searchop_model::{
    bundle::{Bundle, Scored},
    features::features,
    item::Candidate,
};
use serde::Serialize;
use tracing::error;
use uuid::Uuid;

use crate::{
    error::{ApiError, Kind},
    request::{Id, RankRequest},
    state::Ranker,
};

/// What `POST /rank` answers.
#[derive(Serialize)]
struct Answer<'a> {
    query_id: String,
    model: &'a str,
    version: u32,
    digest: &'a Digest,
    tables_digest: &'a Digest,
    products: Vec<RankedProduct<'a>>,
}

#[derive(Serialize)]
struct RankedProduct<'a> {
    id: &'a Id,
    score: f64,
}

/// The whole work of one request: reads the body, ranks, writes the answer as JSON.
pub fn answer(ranker: &Ranker, bundle: &Bundle, body: &[u8]) -> Result<Vec<u8>, ApiError> {
    let mut request = RankRequest::parse(body, ranker.limits.max_candidates)?;
    ranker.metrics.candidates.observe(request.ids.len() as f64);
    let query_id = request
        .query_id
        .take()
        .unwrap_or_else(|| Uuid::new_v4().to_string());
    let identity = &ranker.identity;
    let answer = Answer {
        query_id,
        model: &identity.model,
        version: identity.version,
        digest: &identity.digest,
        tables_digest: &identity.tables_digest,
        products: rank(ranker, bundle, &request),
    };
    serde_json::to_vec(&answer).map_err(|error| {
        error!(%error, "cannot write an answer");
        ApiError::new(Kind::Internal, "the answer cannot be written")
    })
}

fn rank<'a>(ranker: &Ranker, bundle: &Bundle, request: &'a RankRequest) -> Vec<RankedProduct<'a>> {
    let mut missing = vec![0; features().len()];
    let ids: Vec<String> = request.ids.iter().map(Id::to_string).collect();
    let candidate = |(id, fields)| Candidate {
        id,
        fields,
        values: &[],
    };
    let candidates = ids.iter().map(String::as_str).zip(&request.fields);
    let candidates: Vec<Candidate> = candidates.map(candidate).collect();
    let ranking = bundle.rank_counting(&request.query, now(), &candidates, &mut missing);
    for (feature, count) in features()
        .iter()
        .zip(missing)
        .filter(|(_, count)| *count > 0)
    {
        ranker
            .metrics
            .missing_features
            .with_label_values(&[feature.name])
            .inc_by(count);
    }
    let unknown = ranking.iter().filter(|scored| !scored.known).count();
    ranker.metrics.unknown_ids.inc_by(unknown as u64);
    let best = request.top_k.unwrap_or(ranking.len());
    let product = |scored: &Scored| RankedProduct {
        id: &request.ids[scored.index],
        score: scored.score,
    };
    ranking.iter().take(best).map(product).collect()
}

/// Seconds since 1970. Only ages of items are computed from it, so a clock before 1970 is as good as
/// one that stands there.
fn now() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
