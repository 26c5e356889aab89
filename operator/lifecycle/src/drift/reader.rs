//! What an executor knows between two looks at the rankers of a model.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use searchop_api::{Drift, DriftStatus};
use searchop_contract::{Digest, FeatureBins, HistogramReport, ReferenceBins};

use super::{Counts, DriftWatch, words};

/// Of one model; what is kept of this many fits into a ConfigMap.
const MAX_FEATURES: usize = 256;

/// Turns what rankers tell into a [`DriftWatch`].
///
/// Rankers tell totals. Of one that was not seen before only what it adds from then on counts: a
/// process of the reader that starts over would else count the same requests twice.
#[derive(Debug, Default)]
pub struct DriftReader {
    watch: Option<DriftWatch>,
    /// What each ranker process told last.
    told: BTreeMap<String, Counts>,
    next_look: Option<Timestamp>,
    /// When the watch was stored last, and how many requests its open sample had then; nothing where
    /// it has facts that are not stored.
    kept: Option<(Timestamp, u64)>,
}

impl DriftReader {
    /// Goes on from what was stored.
    pub fn resume(watch: Option<DriftWatch>, now: Timestamp) -> Self {
        let kept = watch.as_ref().map(|watch| (now, watch.open_requests()));
        Self {
            watch,
            kept,
            ..Self::default()
        }
    }

    /// When to look at the rankers next; at once where that never was done.
    pub fn next_look(&self) -> Option<Timestamp> {
        self.next_look
    }

    pub fn is_due(&self, now: Timestamp) -> bool {
        self.next_look.is_none_or(|next| next <= now)
    }

    /// The next look is a while from now, whatever comes of this one.
    pub fn put_off(&mut self, rules: &Drift, now: Timestamp) {
        self.next_look = Some(now + pace(rules, 100, 300));
    }

    /// Takes in what each ranker process of the model told, by a name that no other process ever
    /// has; `None` for one that said nothing that can be read.
    pub fn take(
        &mut self,
        (version, digest): (u32, &Digest),
        told: &[(String, Option<HistogramReport>)],
        rules: &Drift,
        now: Timestamp,
    ) {
        self.put_off(rules, now);
        let of_served = |report: &HistogramReport| {
            let mut versions = report.versions.iter();
            let found = versions.find(|one| one.digest == *digest && one.version == version);
            found.cloned()
        };
        let told: Vec<_> = told
            .iter()
            .map(|(process, report)| (process, report.as_ref().and_then(of_served)))
            .collect();
        let is_watched = |watch: &DriftWatch| watch.version == version && watch.digest == *digest;
        if !self.watch.as_ref().is_some_and(is_watched) {
            let mut bins = told
                .iter()
                .filter_map(|(_, one)| Some(&one.as_ref()?.reference));
            let Some(bins) = bins.find(|bins| is_sound(bins)) else {
                return;
            };
            let watch = DriftWatch::begin((version, digest.clone()), bins.clone(), now);
            *self = Self {
                watch: Some(watch),
                next_look: self.next_look,
                ..Self::default()
            };
        }
        let Some(watch) = &mut self.watch else {
            return;
        };
        let mut more = Counts::none_of(watch.bins());
        for (process, one) in &told {
            let counts = one
                .as_ref()
                .and_then(|one| Counts::of_pod(one, watch.bins()));
            let Some(counts) = counts else { continue };
            let before = self.told.insert((*process).clone(), counts.clone());
            if let Some(before) = before {
                more.add(&counts.since(&before));
            }
        }
        self.told
            .retain(|process, _| told.iter().any(|(one, _)| *one == process));
        if watch.add(&more, rules, now) {
            self.kept = None;
        }
    }

    /// What to store by now: new facts at once, else what was counted since, at a bounded pace.
    pub fn to_keep(&self, rules: &Drift, now: Timestamp) -> Option<&DriftWatch> {
        let watch = self.watch.as_ref()?;
        let waits = self.kept.is_some_and(|(since, requests)| {
            watch.open_requests() == requests || now < since + pace(rules, 24, 3600)
        });
        (!waits).then_some(watch)
    }

    /// What [`Self::to_keep`] gave is stored.
    pub fn is_kept(&mut self, now: Timestamp) {
        self.kept = self
            .watch
            .as_ref()
            .map(|watch| (now, watch.open_requests()));
    }

    /// What a model's status says.
    pub fn status(&self) -> Option<DriftStatus> {
        self.watch.as_ref().map(words::status)
    }
}

/// A part of a window, 1 to `most` seconds.
fn pace(rules: &Drift, parts: i32, most: i32) -> SignedDuration {
    SignedDuration::from_secs((rules.window_seconds / parts).clamp(1, most).into())
}

/// Whether bins that a pod tells may be reckoned with.
fn is_sound(bins: &ReferenceBins) -> bool {
    let sound = |of: &FeatureBins| (0.0..=1.0).contains(&of.importance) && of.bins.is_sound();
    let count = (1..=MAX_FEATURES).contains(&bins.features.len());
    count && bins.scores.is_sound() && bins.features.iter().all(sound)
}

#[cfg(test)]
mod tests;
