use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

use super::{Answer, List, Named, Ranked, Ranking, json};
use crate::{
    error::{ApiError, Kind},
    request::{Dialect, RerankRequest},
    state::{Identity, Ranker},
    traffic::Version,
};

/// What the rerank routes answer to `documents`: the shape of Cohere and Jina.
#[derive(Serialize, JsonSchema)]
pub struct RerankAnswer<'a> {
    /// The query id.
    id: &'a str,
    model: &'a str,
    /// Best first.
    results: Vec<RerankResult<'a>>,
    usage: Usage,
    meta: Meta,
    searchop: Origin<'a>,
}

/// A document in its place.
#[derive(Serialize, JsonSchema)]
struct RerankResult<'a> {
    /// Of the document in the request.
    index: usize,
    /// Between 0 and 1, higher is better, independent of the other documents.
    relevance_score: f32,
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<ReturnedDocument<'a>>,
}

/// A document that goes back with its score.
#[derive(Serialize, JsonSchema)]
struct ReturnedDocument<'a> {
    /// The id.
    text: &'a str,
}

/// Nothing is billed.
#[derive(Serialize, JsonSchema)]
struct Usage {
    total_tokens: u32,
}

#[derive(Serialize, JsonSchema)]
struct Meta {
    api_version: ApiVersion,
}

/// Of Cohere's API.
#[derive(Serialize, JsonSchema)]
struct ApiVersion {
    version: &'static str,
}

/// What ranked the documents.
#[derive(Serialize, JsonSchema)]
struct Origin<'a> {
    #[serde(flatten)]
    identity: &'a Identity,
    query_id: &'a str,
    /// The serving rules that placed a document.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rules: Vec<&'a str>,
}

/// What the rerank routes answer to `texts`, in a list, best first: the shape of
/// text-embeddings-inference.
#[derive(Serialize, JsonSchema)]
pub struct TextScore<'a> {
    /// Of the text in the request.
    index: usize,
    score: Score,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
}

/// Between 0 and 1, or the model's own where `raw_scores` asks for it.
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
enum Score {
    Sortable(f32),
    Raw(f64),
}

/// Reads the body of a rerank route, ranks, writes the answer. `api` is the version of Cohere's API
/// that the route belongs to.
pub fn rerank(ranker: &Ranker, body: &[u8], api: &'static str) -> Result<Answer, ApiError> {
    may_be_split(ranker.versions.served())?;
    let request = RerankRequest::parse(body, ranker.limits.max_candidates)?;
    let mut ranking = Ranking::of(ranker, &request.search, List::Part)?;
    ranking.cut(request.top_n);
    ranking.record();
    let body = match request.dialect {
        Dialect::Documents => json(&documents(&ranking, &request, api)),
        Dialect::Texts => json(&texts(&ranking, &request)),
    };
    Ok(Answer {
        body: body?,
        named: Some(Named {
            version: Arc::clone(ranking.version),
            query_id: ranking.query_id.into_owned(),
        }),
        beside: ranking.beside,
    })
}

/// Clients of these routes cut long lists into batches, which a model that compares the candidates
/// of a list would rank one by one: a wrong order that nobody would see.
fn may_be_split(served: &Version) -> Result<(), ApiError> {
    if !List::Part.is_enough_for(served) {
        return Err(ApiError::new(
            Kind::WholeListNeeded,
            "the model compares the candidates of a whole list (features.candidateList), and clients \
             of this route may send a list in parts: send the whole list to /rank, or train without",
        ));
    }
    Ok(())
}

fn documents<'a>(
    ranking: &'a Ranking<'a>,
    request: &RerankRequest,
    api: &'static str,
) -> RerankAnswer<'a> {
    let result = |ranked: &Ranked| RerankResult {
        index: ranked.index,
        relevance_score: ranking.sortable(ranked),
        document: request.return_documents.then(|| ReturnedDocument {
            text: ranking.id(ranked).as_str(),
        }),
    };
    let identity = ranking.identity();
    RerankAnswer {
        id: &ranking.query_id,
        model: &identity.model,
        results: ranking.ranked.iter().map(result).collect(),
        usage: Usage { total_tokens: 0 },
        meta: Meta {
            api_version: ApiVersion { version: api },
        },
        searchop: Origin {
            identity,
            query_id: &ranking.query_id,
            rules: ranking.rules(),
        },
    }
}

fn texts<'a>(ranking: &'a Ranking<'a>, request: &RerankRequest) -> Vec<TextScore<'a>> {
    let score = |ranked: &Ranked| TextScore {
        index: ranked.index,
        score: if request.raw_scores {
            Score::Raw(ranked.score)
        } else {
            Score::Sortable(ranking.sortable(ranked))
        },
        text: request
            .return_documents
            .then(|| ranking.id(ranked).as_str()),
    };
    ranking.ranked.iter().map(score).collect()
}
