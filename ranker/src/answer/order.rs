use std::panic::{self, AssertUnwindSafe};

use searchop_model::{
    bundle::{Computed, Scored},
    features::{Source, features},
    item::Candidate,
};

use super::{Ranked, now};
use crate::{
    error::{ApiError, Kind},
    feature_log::record,
    request::{Bound, Search},
    state::Ranker,
    traffic::{Loaded, Version},
};

/// Why a version has no order for a search: its own fault, not that of the request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("the version is not loaded")]
    NotLoaded,
    #[error("it panicked")]
    Panicked,
    #[error("a score is {0}, not a finite number")]
    NotFinite(String),
}

impl From<Fault> for ApiError {
    fn from(fault: Fault) -> Self {
        Self::new(Kind::Internal, format!("the ranking failed: {fault}"))
    }
}

/// What a version made of the candidates of a search, in the order of the request.
pub struct Rows<'a> {
    /// The moment they were computed for, in seconds since 1970.
    pub time: i64,
    pub candidates: &'a [Candidate<'a>],
    pub computed: &'a Computed<'a>,
}

impl Rows<'_> {
    /// Adds to `missing[i]` the rows without a value for feature `i`.
    fn count_missing(&self, missing: &mut [u64]) {
        for row in self.computed.values.chunks_exact(missing.len()) {
            for (count, value) in missing.iter_mut().zip(row) {
                *count += u64::from(value.is_nan());
            }
        }
    }

    fn count_defaults(&self, loaded: &Loaded) {
        for (index, counter) in loaded.counters.defaults.iter().enumerate() {
            let defaulted = self.computed.defaulted.iter();
            let count = defaulted.filter(|row| *row >> index & 1 == 1).count();
            counter.inc_by(count as u64);
        }
    }
}

/// The candidates of a search in the order of one version.
pub struct Order<'a> {
    pub loaded: &'a Loaded,
    pub ranked: Vec<Ranked>,
    unknown: usize,
}

impl<'a> Order<'a> {
    /// Ranks without a trace in the metrics. `bound` is of this version; `see` is shown what the order
    /// follows from.
    pub fn of(
        version: &'a Version,
        (search, bound): (&Search, &Bound),
        see: impl FnOnce(&Loaded, &Rows),
    ) -> Result<Self, Fault> {
        let loaded = version.loaded().ok_or(Fault::NotLoaded)?;
        let candidates = search.candidates(bound);
        let time = now();
        let rank = || {
            let see = |computed: &Computed| {
                let rows = Rows {
                    time,
                    candidates: &candidates,
                    computed,
                };
                see(loaded, &rows);
            };
            let bundle = &loaded.bundle;
            bundle.rank_seeing(&search.query, time, &candidates, see)
        };
        let scored = panic::catch_unwind(AssertUnwindSafe(rank)).map_err(|_| Fault::Panicked)?;
        match scored.iter().find(|scored| !scored.score.is_finite()) {
            Some(scored) => Err(Fault::NotFinite(scored.score.to_string())),
            None => Ok(Self {
                loaded,
                unknown: scored.iter().filter(|scored| !scored.known).count(),
                ranked: placed(loaded, search, scored),
            }),
        }
    }

    /// The same as part of an answer, which is counted.
    pub fn counted(
        ranker: &Ranker,
        version: &'a Version,
        (search, bound, query_id): (&Search, &Bound, &str),
    ) -> Result<Self, Fault> {
        let (all, own) = (&ranker.metrics, &version.metrics);
        let mut missing = Vec::new();
        let timer = own.scoring.start_timer();
        let see = |loaded: &Loaded, rows: &Rows| {
            timer.observe_duration();
            missing.resize(loaded.counters.missing.len(), 0);
            rows.count_missing(&mut missing);
            rows.count_defaults(loaded);
            if let Some(log) = &ranker.feature_log
                && log.samples(query_id)
            {
                let schema = &loaded.bundle.model.schema;
                let asked = (search, query_id, rows.candidates);
                log.write(&record((&version.identity, schema), asked, rows));
            }
            if let Some(histograms) = &loaded.histograms {
                histograms.count(query_id, rows.computed.values, rows.computed.scores);
            }
        };
        let order = Self::of(version, (search, bound), see);
        let order = order.inspect_err(|_| own.failed.inc())?;
        own.answered.inc();
        let asked = order.columns_asked();
        own.values.inc_by((asked * search.products.len()) as u64);
        let counters = order.loaded.counters.missing.iter();
        for (column, (counter, count)) in counters.zip(missing).enumerate() {
            if count > 0 {
                counter.inc_by(count);
                if order.asks(column) {
                    own.missing.inc_by(count);
                }
            }
        }
        all.unknown_ids.inc_by(order.unknown as u64);
        Ok(order)
    }

    /// Whether a feature is looked up: those of the whole list are only by models that compare
    /// candidates with each other.
    fn asks(&self, column: usize) -> bool {
        let of_list = |source| source == Source::CandidateList;
        let feature = features().get(column);
        self.loaded.bundle.looks_at_lists() || !feature.is_some_and(|one| of_list(one.source))
    }

    fn columns_asked(&self) -> usize {
        let columns = 0..self.loaded.counters.missing.len();
        columns.filter(|column| self.asks(*column)).count()
    }

    /// Indices of the candidates, best first.
    pub fn indices(&self) -> Vec<u32> {
        let index = |ranked: &Ranked| u32::try_from(ranked.index).unwrap_or(u32::MAX);
        self.ranked.iter().map(index).collect()
    }
}

fn placed(loaded: &Loaded, search: &Search, scored: Vec<Scored>) -> Vec<Ranked> {
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
