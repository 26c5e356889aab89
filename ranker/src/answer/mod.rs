//! From the bytes of a request to the bytes of its answer: all of a request's CPU work.

mod explain;
mod rank;
mod rerank;
mod score;

use std::{
    borrow::Cow,
    time::{SystemTime, UNIX_EPOCH},
};

use searchop_model::bundle::Scored;
use serde::Serialize;
use tracing::error;
use uuid::Uuid;

pub use rank::{RankAnswer, ScoresAnswer, explain, rank};
pub use rerank::{RerankAnswer, TextScore, rerank};

use crate::{
    error::{ApiError, Kind},
    id::Id,
    query_log::QueryRecord,
    request::Search,
    rules::Place,
    state::{Loaded, Ranker},
};

/// An answer, ready to be sent.
pub struct Answer {
    pub body: Vec<u8>,
    /// To be named in the headers, where the body's shape is not ours.
    pub query_id: Option<String>,
}

/// What the workers that rank make of a request.
pub enum Reply {
    Answer(Answer),
    /// Nothing: it wants an explanation, which would hold up rankings. [`explain`] answers it.
    Explain,
}

/// A candidate's place in the answer.
struct Ranked {
    index: usize,
    score: f64,
    place: Place,
}

/// A search whose candidates are in order.
struct Ranking<'a> {
    ranker: &'a Ranker,
    loaded: &'a Loaded,
    search: &'a Search<'a>,
    query_id: Cow<'a, str>,
    ranked: Vec<Ranked>,
}

impl<'a> Ranking<'a> {
    fn of(ranker: &'a Ranker, loaded: &'a Loaded, search: &'a Search<'a>) -> Self {
        let query_id = match &search.query_id {
            Some(query_id) => Cow::Borrowed(&**query_id),
            None => Cow::Owned(Uuid::new_v4().to_string()),
        };
        Self {
            ranker,
            loaded,
            search,
            query_id,
            ranked: ranked(ranker, loaded, search),
        }
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
                &self.ranker.identity,
                &self.query_id,
                self.search,
                self.ranked.iter().map(|ranked| self.id(ranked).as_str()),
            ));
        }
    }
}

fn ranked(ranker: &Ranker, loaded: &Loaded, search: &Search) -> Vec<Ranked> {
    let metrics = &ranker.metrics;
    metrics.candidates.observe(search.products.len() as f64);
    let candidates = search.candidates();
    let mut missing = vec![0; metrics.missing_features.len()];
    let timer = metrics.scoring_duration.start_timer();
    let scored = loaded
        .bundle
        .rank_counting(&search.query, now(), &candidates, &mut missing);
    timer.observe_duration();
    for (counter, count) in metrics.missing_features.iter().zip(missing) {
        if count > 0 {
            counter.inc_by(count);
        }
    }
    let unknown = scored.iter().filter(|scored| !scored.known).count();
    metrics.unknown_ids.inc_by(unknown as u64);
    place(loaded, search, scored)
}

fn place(loaded: &Loaded, search: &Search, scored: Vec<Scored>) -> Vec<Ranked> {
    let rules = &loaded.rules;
    let key = match rules.is_empty() {
        true => String::new(),
        false => loaded.bundle.tables.analyzer().query_key(&search.query),
    };
    let ranked = scored.into_iter().map(|scored| Ranked {
        index: scored.index,
        score: scored.score,
        place: rules.place(
            &key,
            search.products[scored.index].id.as_str(),
            scored.sold_out,
        ),
    });
    let mut ranked: Vec<Ranked> = ranked.collect();
    if !rules.is_empty() {
        ranked.sort_by_key(|ranked| ranked.place);
    }
    ranked
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
