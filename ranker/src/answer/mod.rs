//! From the bytes of a request to the bytes of its answer: all of a request's CPU work.

mod explain;
mod order;
mod rank;
mod rerank;
mod score;

use std::{
    borrow::Cow,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use serde::Serialize;
use tracing::error;
use uuid::Uuid;

use order::Fault;
pub use order::{Order, Rows};
pub use rank::{RankAnswer, ScoresAnswer, explain, rank};
pub use rerank::{RerankAnswer, TextScore, rerank};

use crate::{
    error::{ApiError, Kind},
    id::Id,
    query_log::QueryRecord,
    request::{Bound, Search},
    rules::Place,
    state::{Identity, Ranker},
    traffic::{Beside, Loaded, Version},
};

/// An answer, ready to be sent.
pub struct Answer {
    pub body: Vec<u8>,
    /// To be named in the headers, where the body's shape is not ours.
    pub named: Option<Named>,
    /// What is to be ranked in the shadow of it.
    pub beside: Option<Beside>,
}

/// What ranked, and for which query.
pub struct Named {
    pub version: Arc<Version>,
    pub query_id: String,
}

/// What the workers that rank make of a request.
pub enum Reply {
    Answer(Answer),
    /// Nothing: it wants an explanation, which would hold up rankings. [`explain`] answers it.
    Explain,
}

/// What a request has of the list that is to be ranked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum List {
    Whole,
    /// Maybe: clients of the route send long lists in parts.
    Part,
}

impl List {
    /// Whether the version ranks it as it would rank the whole.
    fn is_enough_for(self, version: &Version) -> bool {
        let compares = |loaded: &Loaded| loaded.bundle.looks_at_lists();
        self == Self::Whole || !version.loaded().is_some_and(compares)
    }
}

/// A candidate's place in the answer.
pub struct Ranked {
    index: usize,
    score: f64,
    place: Place,
}

/// A search whose candidates are in order.
struct Ranking<'a> {
    ranker: &'a Ranker,
    version: &'a Arc<Version>,
    loaded: &'a Loaded,
    search: &'a Search<'a>,
    bound: Bound,
    query_id: Cow<'a, str>,
    ranked: Vec<Ranked>,
    beside: Option<Beside>,
}

impl<'a> Ranking<'a> {
    /// Ranks with the version that the search belongs to. Where that is a candidate and fails, the
    /// served one makes up for it.
    fn of(ranker: &'a Ranker, search: &'a Search<'a>, list: List) -> Result<Self, ApiError> {
        let versions = &ranker.versions;
        search.check_declared(|name| versions.declares(name))?;
        let query_id = match &search.query_id {
            Some(query_id) => Cow::Borrowed(&**query_id),
            None => Cow::Owned(Uuid::new_v4().to_string()),
        };
        let products = search.products.len();
        ranker.metrics.candidates.observe(products as f64);
        let chosen = versions.choose(search);
        let able = |candidate: &&Arc<Version>| list.is_enough_for(candidate);
        let tried = chosen.candidate.filter(able).and_then(|candidate| {
            let bound = bound(candidate, search)?.ok()?;
            let order = Order::counted(ranker, candidate, (search, &bound, &*query_id));
            let failure = order.as_ref().err().map(ToString::to_string);
            versions.judge(&chosen.shares, candidate, failure.as_deref());
            Some((candidate, bound, order.ok()?))
        });
        let (version, bound, order) = match tried {
            Some(tried) => tried,
            None => {
                let bound = bound(chosen.served, search).ok_or(Fault::NotLoaded)??;
                let asked = (search, &bound, &*query_id);
                let order = Order::counted(ranker, chosen.served, asked)?;
                (chosen.served, bound, order)
            }
        };
        let beside = versions.in_shadow(&chosen.shares, &query_id).filter(able);
        Ok(Self {
            ranker,
            version,
            loaded: order.loaded,
            search,
            beside: beside.map(|version| Beside::new(version, order.indices())),
            bound,
            query_id,
            ranked: order.ranked,
        })
    }

    fn identity(&self) -> &'a Identity {
        &self.version.identity
    }

    /// The best `most` of them; all without a number.
    fn cut(&mut self, most: Option<usize>) {
        self.ranked.truncate(most.unwrap_or(usize::MAX));
    }

    fn id(&self, ranked: &Ranked) -> &'a Id<'a> {
        &self.search.products[ranked.index].id
    }

    fn rule(&self, ranked: &Ranked) -> Option<&'a str> {
        self.loaded.rules.name(ranked.place)
    }

    fn sortable(&self, ranked: &Ranked) -> f32 {
        self.loaded.rules.sortable(ranked.score, ranked.place)
    }

    /// Names of the rules that placed a product.
    fn rules(&self) -> Vec<&'a str> {
        let mut names = Vec::new();
        for name in self.ranked.iter().filter_map(|ranked| self.rule(ranked)) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// Leaves a record of what is shown, if this query is in the sample.
    fn record(&self) {
        let Some(log) = &self.ranker.query_log else {
            return;
        };
        if log.samples(&self.query_id) {
            log.write(&QueryRecord::new(
                self.identity(),
                &self.query_id,
                self.search,
                self.ranked.iter().map(|ranked| self.id(ranked).as_str()),
            ));
        }
    }
}

/// What a version reads in a search, or why it cannot answer it; nothing where it is not loaded.
fn bound(version: &Version, search: &Search) -> Option<Result<Bound, ApiError>> {
    Some(search.bind(&version.loaded()?.bundle))
}

/// Seconds since 1970. Only ages of items are computed from it, so a clock before 1970 is as good as
/// one that stands there.
fn now() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

fn unwritable(error: &serde_json::Error) -> ApiError {
    error!(%error, "cannot write an answer");
    ApiError::new(Kind::Internal, "the answer cannot be written")
}

/// JSON with a decimal point in every number of 32 bits.
fn json(answer: &impl Serialize) -> Result<Vec<u8>, ApiError> {
    let mut body = Vec::with_capacity(4096);
    let mut json = serde_json::Serializer::with_formatter(&mut body, score::WithPoint);
    match answer.serialize(&mut json) {
        Ok(()) => Ok(body),
        Err(error) => Err(unwritable(&error)),
    }
}
