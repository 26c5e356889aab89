use schemars::JsonSchema;
use serde::Serialize;

use super::{Answer, List, Ranking, Reply, explain::Explanation, json};
use crate::{
    error::ApiError,
    id::Id,
    request::{Form, RankRequest},
    state::{Identity, Ranker},
};

/// What `POST /rank` answers to a list of products.
#[derive(Serialize, JsonSchema)]
pub struct RankAnswer<'a> {
    /// The request's, or a new one.
    query_id: &'a str,
    #[serde(flatten)]
    identity: &'a Identity,
    /// Best first.
    products: Vec<RankedProduct<'a>>,
    /// Where the request asks for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<Explanation<'a>>,
}

/// A product in its place.
#[derive(Serialize, JsonSchema)]
struct RankedProduct<'a> {
    /// As it came.
    id: &'a Id<'a>,
    /// The model's score.
    score: f64,
    /// The serving rule that placed the product, whatever its score.
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<&'a str>,
}

/// What `POST /rank` answers to a list of ids with columns.
#[derive(Serialize, JsonSchema)]
pub struct ScoresAnswer<'a> {
    /// The request's, or a new one.
    query_id: &'a str,
    #[serde(flatten)]
    identity: &'a Identity,
    /// Aligned with the request's ids, between 0 and 1; the best has the highest.
    scores: Vec<f32>,
    /// The serving rules that placed a product.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rules: Vec<&'a str>,
    /// Where the request asks for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<Explanation<'a>>,
}

/// Reads the body of `POST /rank`, ranks, writes the answer.
pub fn rank(ranker: &Ranker, body: &[u8]) -> Result<Reply, ApiError> {
    let request = RankRequest::parse(body, ranker.limits.max_candidates)?;
    if !request.explain.is_empty() {
        return Ok(Reply::Explain);
    }
    let ranking = Ranking::of(ranker, &request.search, List::Whole)?;
    answer(ranking, &request, None).map(Reply::Answer)
}

/// The same with an explanation: some milliseconds for each product that is explained.
pub fn explain(ranker: &Ranker, body: &[u8]) -> Result<Answer, ApiError> {
    let request = RankRequest::parse(body, ranker.limits.max_candidates)?;
    let ranking = Ranking::of(ranker, &request.search, List::Whole)?;
    let explanation = Explanation::of((ranking.loaded, &ranking.bound), &request)?;
    answer(ranking, &request, Some(explanation))
}

fn answer(
    mut ranking: Ranking,
    request: &RankRequest,
    explanation: Option<Explanation>,
) -> Result<Answer, ApiError> {
    ranking.cut(request.top_k);
    ranking.record();
    let body = match request.form {
        Form::Products => json(&products(&ranking, explanation)),
        Form::Columns => json(&scores(&ranking, explanation)),
    };
    Ok(Answer {
        body: body?,
        named: None,
        beside: ranking.beside,
    })
}

fn products<'a>(ranking: &'a Ranking<'a>, explanation: Option<Explanation<'a>>) -> RankAnswer<'a> {
    let products = ranking.ranked.iter().map(|ranked| RankedProduct {
        id: ranking.id(ranked),
        score: ranked.score,
        rule: ranking.rule(ranked),
    });
    RankAnswer {
        query_id: &ranking.query_id,
        identity: ranking.identity(),
        products: products.collect(),
        explanation,
    }
}

fn scores<'a>(ranking: &'a Ranking<'a>, explanation: Option<Explanation<'a>>) -> ScoresAnswer<'a> {
    let mut scores = vec![0.0; ranking.ranked.len()];
    for ranked in &ranking.ranked {
        scores[ranked.index] = ranking.sortable(ranked);
    }
    ScoresAnswer {
        query_id: &ranking.query_id,
        identity: ranking.identity(),
        scores,
        rules: ranking.rules(),
        explanation,
    }
}
