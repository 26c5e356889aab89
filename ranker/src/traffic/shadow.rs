//! Rankings off the response path, to see what a candidate would have answered.

use std::{
    io,
    sync::{
        Arc,
        mpsc::{self, Receiver, SyncSender},
    },
    thread,
};

use bytes::Bytes;
use prometheus::IntGauge;
use tracing::warn;

use super::{Version, overlap::compare, priority::give_way};
use crate::{answer::Order, error::ApiError, request::Search};

/// Requests that wait to be ranked; more are left.
const WAITING: usize = 16;
/// Larger bodies are left, so that those that wait take 16 MiB at most.
const MAX_BODY_BYTES: usize = 1 << 20;

/// How the search in a body is read; the number is that of the products it may have.
pub type ReadSearch = for<'a> fn(&'a [u8], usize) -> Result<Search<'a>, ApiError>;

/// What was answered, and who is to rank the same.
pub struct Beside {
    version: Arc<Version>,
    /// Indices of the products, best first.
    answered: Vec<u32>,
}

/// The same with the request that it is about.
pub struct Sampled {
    beside: Beside,
    body: Bytes,
    read: ReadSearch,
}

impl Beside {
    pub fn new(version: &Arc<Version>, answered: Vec<u32>) -> Self {
        Self {
            version: Arc::clone(version),
            answered,
        }
    }

    pub fn in_body(self, body: Bytes, read: ReadSearch) -> Sampled {
        Sampled {
            beside: self,
            body,
            read,
        }
    }
}

/// Takes requests and ranks them on a thread of its own, one after the other, while no answer waits for
/// a worker and with the processor time that nobody else wants: a thread of equal right would have the
/// kernel keep answers waiting for milliseconds.
pub struct Shadow {
    jobs: SyncSender<Sampled>,
    queued: IntGauge,
}

impl Shadow {
    /// `queued` is how many requests wait to be answered; `max_candidates` is the limit of a request.
    pub fn start(queued: IntGauge, max_candidates: usize) -> io::Result<Self> {
        let (jobs, waiting) = mpsc::sync_channel(WAITING);
        let busy = queued.clone();
        thread::Builder::new()
            .name("shadow".to_owned())
            .spawn(move || rank_all(&waiting, &busy, max_candidates))?;
        Ok(Self { jobs, queued })
    }

    /// Hands a request over; never waits.
    pub fn offer(&self, sampled: Sampled) {
        let dropped = sampled.beside.version.metrics.shadow.dropped.clone();
        let fits = sampled.body.len() <= MAX_BODY_BYTES && self.queued.get() == 0;
        if !fits || self.jobs.try_send(sampled).is_err() {
            dropped.inc();
        }
    }
}

fn rank_all(waiting: &Receiver<Sampled>, busy: &IntGauge, max_candidates: usize) {
    if let Err(error) = give_way() {
        warn!(%error, "rankings in the shadow may delay answers");
    }
    for sampled in waiting {
        if busy.get() > 0 {
            sampled.beside.version.metrics.shadow.dropped.inc();
        } else {
            rank(&sampled, max_candidates);
        }
    }
}

fn rank(sampled: &Sampled, max_candidates: usize) {
    let Beside { version, answered } = &sampled.beside;
    let metrics = &version.metrics.shadow;
    // It was read once, so it can be read again.
    let Ok(search) = (sampled.read)(&sampled.body, max_candidates) else {
        return metrics.dropped.inc();
    };
    // Neither is it the version's fault where the request lacks what only this version needs.
    let Some(Ok(bound)) = version.loaded().map(|loaded| search.bind(&loaded.bundle)) else {
        return metrics.dropped.inc();
    };
    match Order::of(version, (&search, &bound), |_, _| ()) {
        Ok(order) => {
            let difference = compare(answered, &order.indices());
            metrics.overlap.inc_by(difference.overlap);
            metrics.change.inc_by(difference.top_change);
            metrics.ranked.inc();
        }
        Err(_) => metrics.failed.inc(),
    }
}
