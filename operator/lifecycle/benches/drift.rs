//! `make bench-drift`: how often drift is told where there is none, and found where there is.
//!
//! Each world is a shop with 500 requests a day. Few queries get most requests, sessions repeat
//! theirs, the rows of a query are alike (a correlation of .3), features hang together in groups,
//! some have ties or missing values, and all swing by a tenth of a standard deviation over the
//! week. Training saw other lists than serving ranks: a third of the features is off by .3.

#[allow(dead_code, reason = "of the same draws, other benches use others")]
#[path = "gate/draw.rs"]
mod draw;

use draw::Draw;
use jiff::{SignedDuration, Timestamp};
use searchop_api::Drift;
use searchop_contract::{BinCounts, Bins, Digest, FeatureBins, ReferenceBins};
use searchop_lifecycle::drift::{Counts, DriftWatch};

const FEATURES: usize = 30;
const GROUPS: usize = 6;
const QUERIES: usize = 3_000;
const TRAINING_LISTS: usize = 2_000;
/// Correlation of the rows of one query.
const ALIKE: f64 = 0.3;
const WEEKLY: f64 = 0.1;
const SKEW: f64 = 0.3;
/// How far, in standard deviations, and how many of the most important features move.
const SHIFT: f64 = 0.5;
const SHIFTED: usize = 3;
/// Windows without drift, over all worlds, and worlds with it.
const STILL_WINDOWS: u32 = 2_000;
const WINDOWS_A_WORLD: u32 = 20;
const SHIFTED_WORLDS: u64 = 400;
const FOUND_WITHIN: u32 = 3;

fn main() {
    let worlds = u64::from(STILL_WINDOWS / WINDOWS_A_WORLD);
    let alarms: u32 = (0..worlds).map(false_alarms).sum();
    let found = (0..SHIFTED_WORLDS).filter(|seed| finds(10_000 + seed));
    let found = found.count() as f64 / SHIFTED_WORLDS as f64;
    let alarms = f64::from(alarms) / f64::from(STILL_WINDOWS);
    println!("figure drift.false_alarm_share {alarms:.4} 1");
    println!("figure drift.detected_share {found:.4} 1");
}

/// Windows in which a shop that stays as it is was said to drift.
fn false_alarms(seed: u64) -> u32 {
    let mut shop = Shop::new(seed);
    let mut watch = shop.referenced();
    let mut drifted = |_| {
        shop.window(&mut watch);
        u32::from(watch.has_drifted(&Drift::default()))
    };
    (0..WINDOWS_A_WORLD).map(&mut drifted).sum()
}

/// Whether a shift is found in time, whatever day it begins.
fn finds(seed: u64) -> bool {
    let mut shop = Shop::new(seed);
    let mut watch = shop.referenced();
    for _ in 0..shop.draw.below(7) {
        shop.window(&mut watch);
    }
    shop.shift = SHIFT;
    (0..FOUND_WITHIN).any(|_| {
        shop.window(&mut watch);
        watch.has_drifted(&Drift::default())
    })
}

struct Shop {
    draw: Draw,
    /// Of each query, row-major.
    queries: Vec<f64>,
    bins: ReferenceBins,
    day: i64,
    last_query: usize,
    /// Of the most important features, which are the first.
    shift: f64,
}

impl Shop {
    fn new(seed: u64) -> Self {
        let mut draw = Draw::new(seed);
        let queries = (0..QUERIES * FEATURES).map(|_| draw.normal()).collect();
        let mut shop = Self {
            draw,
            queries,
            bins: ReferenceBins {
                features: Vec::new(),
                scores: bins(&mut [0.0]),
            },
            day: 0,
            last_query: 0,
            shift: 0.0,
        };
        let rows: Vec<Vec<f64>> = (0..TRAINING_LISTS).map(|_| shop.training_row()).collect();
        let gain: f64 = (0..FEATURES).map(gain).sum();
        let of_feature = |column: usize| FeatureBins {
            feature: format!("f{column}"),
            importance: self::gain(column) / gain,
            bins: bins(&mut rows.iter().map(|row| row[column]).collect::<Vec<_>>()),
        };
        shop.bins.features = (0..FEATURES).map(of_feature).collect();
        shop.bins.scores = bins(&mut rows.iter().map(|row| score(row)).collect::<Vec<_>>());
        shop
    }

    /// With the reference whole.
    fn referenced(&mut self) -> DriftWatch {
        let version = (1, Digest::of(b"model"));
        let mut watch = DriftWatch::begin(version, self.bins.clone(), self.time());
        while watch.skew.is_none() {
            self.window(&mut watch);
        }
        watch
    }

    /// A day's requests.
    fn window(&mut self, watch: &mut DriftWatch) {
        let requests = Drift::default().min_requests.unsigned_abs().into();
        let empty = |bins: &Bins| vec![0; bins.places()];
        let mut counts = Counts {
            requests,
            features: self
                .bins
                .features
                .iter()
                .map(|of| empty(&of.bins))
                .collect(),
            scores: empty(&self.bins.scores),
        };
        for _ in 0..requests {
            let row = self.row();
            let columns = counts.features.iter_mut().zip(&self.bins.features);
            for ((counts, of), value) in columns.zip(&row) {
                count(counts, &of.bins, *value);
            }
            count(&mut counts.scores, &self.bins.scores, score(&row));
        }
        self.day += 1;
        watch.add(&counts, &Drift::default(), self.time());
    }

    fn time(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24 * self.day)
    }

    fn training_row(&mut self) -> Vec<f64> {
        let mut latent = self.latent();
        latent
            .iter_mut()
            .step_by(3)
            .for_each(|value| *value -= SKEW);
        observed(&latent)
    }

    /// The sampled row of a request.
    fn row(&mut self) -> Vec<f64> {
        let mut latent = self.latent();
        let week = WEEKLY * (std::f64::consts::TAU * self.day as f64 / 7.0).sin();
        latent.iter_mut().for_each(|value| *value += week);
        let moved = latent.iter_mut().take(SHIFTED);
        moved.for_each(|value| *value += self.shift);
        observed(&latent)
    }

    fn latent(&mut self) -> Vec<f64> {
        let draw = &mut self.draw;
        if draw.below(2) == 0 {
            self.last_query = draw.traffic(QUERIES) - 1;
        }
        let groups: Vec<f64> = (0..GROUPS).map(|_| draw.normal()).collect();
        let query = &self.queries[self.last_query * FEATURES..][..FEATURES];
        let value = |(column, query): (usize, &f64)| {
            let own = (groups[column % GROUPS] + draw.normal()) / 2f64.sqrt();
            ALIKE.sqrt() * query + (1.0 - ALIKE).sqrt() * own
        };
        query.iter().enumerate().map(value).collect()
    }
}

/// As the model sees them: some as they are, some counts with ties, some missing below a level.
fn observed(latent: &[f64]) -> Vec<f64> {
    let value = |(column, value): (usize, &f64)| match column % 3 {
        0 => *value,
        1 => value.exp().floor(),
        _ if *value < -1.0 => f64::NAN,
        _ => *value,
    };
    latent.iter().enumerate().map(value).collect()
}

/// What gain the splits of a feature have: a few have most.
fn gain(column: usize) -> f64 {
    1.0 / (column + 1) as f64
}

fn score(row: &[f64]) -> f64 {
    let present = row.iter().enumerate().filter(|(_, value)| !value.is_nan());
    present.map(|(column, value)| gain(column) * value).sum()
}

/// Tenths; what is equal stays together.
fn bins(values: &mut [f64]) -> Bins {
    let mut present: Vec<f64> = values
        .iter()
        .copied()
        .filter(|value| !value.is_nan())
        .collect();
    present.sort_by(f64::total_cmp);
    let mut bounds: Vec<f64> = (1..10)
        .map(|part| present[part * present.len() / 10])
        .collect();
    bounds.dedup();
    let mut bins = Bins {
        training: vec![0; bounds.len() + 2],
        bounds,
    };
    let mut training = bins.training.clone();
    for value in values {
        count(&mut training, &bins, *value);
    }
    bins.training = training;
    bins
}

fn count(counts: &mut BinCounts, bins: &Bins, value: f64) {
    let place = match value.is_nan() {
        true => bins.bounds.len() + 1,
        false => bins.bounds.partition_point(|bound| *bound < value),
    };
    counts[place] += 1;
}
