//! From facts to stretches of time in which a version served.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};
use searchop_api::{HistoryEntry, Outcome, RankingModelStatus, Trigger};
use searchop_evaluation::report::EvaluationReport;
use serde::Serialize;

use super::{Kept, kept::Rows};
use crate::args::Moment;

/// What is known of one version.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Version {
    pub version: i32,
    /// When it served, oldest first.
    pub served: Vec<Stretch>,
    /// Absent where only a report speaks of it.
    pub outcome: Option<Outcome>,
    pub trigger: Option<Trigger>,
    pub why: Option<String>,
    pub metric: Option<String>,
    pub trained_through: Option<Timestamp>,
    pub trained_on: Option<Rows>,
    pub digest: Option<String>,
}

/// A time in which a version served.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stretch {
    pub from: Timestamp,
    /// Absent while it serves.
    pub until: Option<Timestamp>,
    /// To a day or so: read off what later versions were compared with.
    pub about: bool,
}

impl Version {
    pub fn served_in(&self, moment: Moment) -> bool {
        let overlaps = |stretch: &Stretch| {
            stretch.from < moment.end && stretch.until.is_none_or(|until| until > moment.start)
        };
        self.served.iter().any(overlaps)
    }

    pub fn first_served(&self) -> Option<Timestamp> {
        self.served.first().map(|stretch| stretch.from)
    }
}

/// Every version that status or reports know, newest first.
pub fn timeline(status: &RankingModelStatus, kept: &Kept) -> Vec<Version> {
    let starts = starts(status);
    let mut numbers: BTreeSet<i32> = status.history.iter().map(|entry| entry.version).collect();
    numbers.extend(status.promoted.iter().map(|one| one.version));
    numbers.extend(kept.reports.iter().filter_map(number));
    numbers.extend(starts.iter().map(|start| start.version));
    let stretches = stretches(&starts);
    let earlier = before_the_status(kept, &starts);
    let version = |number: i32| {
        let entry = status.history.iter().find(|entry| entry.version == number);
        let mut version = match entry {
            Some(entry) => of_entry(entry, status),
            None => of_report(number, status, kept),
        };
        let of = |all: &[(i32, Stretch)]| -> Vec<Stretch> {
            let ours = all.iter().filter(|(other, _)| *other == number);
            ours.map(|(_, stretch)| stretch.clone()).collect()
        };
        version.served = [of(&earlier), of(&stretches)].concat();
        let model = version
            .digest
            .as_deref()
            .and_then(|digest| kept.model(digest));
        if let Some(model) = model {
            version.trained_on.clone_from(&model.rows);
            version.trained_through = Some(model.manifest.trained_through_time);
        }
        version
    };
    numbers.into_iter().rev().map(version).collect()
}

fn of_entry(entry: &HistoryEntry, status: &RankingModelStatus) -> Version {
    let run = status
        .run
        .as_ref()
        .filter(|run| run.version == entry.version);
    let message = run.and_then(|run| run.message.clone());
    let mut serving = [&status.served, &status.previous].into_iter().flatten();
    let served = serving.find(|served| served.version == entry.version);
    let digest = served.map(|served| served.digest.clone());
    let reason = entry
        .reason
        .clone()
        .filter(|reason| reason != entry.outcome.as_str());
    Version {
        version: entry.version,
        outcome: Some(entry.outcome),
        trigger: Some(entry.trigger),
        why: message.or(reason),
        metric: entry.headline_metric.clone(),
        trained_through: entry.trained_through_time.as_ref().map(|time| time.0),
        digest: entry.digest.clone().or(digest),
        ..Version::default()
    }
}

fn of_report(number: i32, status: &RankingModelStatus, kept: &Kept) -> Version {
    let promoted = status.promoted.iter().find(|one| one.version == number);
    let report = kept.report(number);
    let candidate = report.and_then(|report| report.rankers.first()?.ndcg_at_10);
    Version {
        version: number,
        outcome: promoted.map(|_| Outcome::Promoted),
        metric: candidate.map(|value| format!("NDCG@10 {value:.3}")),
        why: report.map(|report| format!("judged on {} to {}", report.from, report.to)),
        digest: promoted
            .map(|one| one.digest.clone())
            .or_else(|| report.map(|report| report.digest.to_string())),
        ..Version::default()
    }
}

/// A version begins to serve.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Start {
    time: Timestamp,
    version: i32,
}

/// What the status knows, oldest first. A version that serves again starts again.
fn starts(status: &RankingModelStatus) -> BTreeSet<Start> {
    let promoted = status
        .history
        .iter()
        .filter(|entry| entry.outcome == Outcome::Promoted)
        .map(|entry| Start {
            time: entry.completion_time.0,
            version: entry.version,
        });
    let now = [&status.served, &status.previous].into_iter().flatten();
    let now = now.map(|served| Start {
        time: served.promoted_time.0,
        version: served.version,
    });
    promoted.chain(now).collect()
}

/// Each serves until the next one does.
fn stretches(starts: &BTreeSet<Start>) -> Vec<(i32, Stretch)> {
    let next = starts
        .iter()
        .skip(1)
        .map(|start| Some(start.time))
        .chain([None]);
    starts
        .iter()
        .zip(next)
        .map(|(start, until)| {
            let stretch = Stretch {
                from: start.time,
                until,
                about: false,
            };
            (start.version, stretch)
        })
        .collect()
}

/// What served before the status remembers: each report names the model that served when its version
/// was judged. A version was promoted at the end of its run, about a day after the last day that
/// judged it.
fn before_the_status(kept: &Kept, known: &BTreeSet<Start>) -> Vec<(i32, Stretch)> {
    let first_known = known.first().map(|start| start.time);
    let mut found = BTreeSet::new();
    for report in &kept.reports {
        let Some(reference) = &report.reference else {
            continue;
        };
        // The first of that digest: those that were unchanged never took over.
        let served = kept.reports.iter().find(|other| other.digest == *reference);
        let start = served.and_then(|served| {
            Some(Start {
                time: run_end(served)?,
                version: number(served)?,
            })
        });
        let unknown = |start: &Start| {
            known.iter().all(|other| other.version != start.version)
                && first_known.is_none_or(|first| start.time < first)
        };
        found.extend(start.filter(unknown));
    }
    let ends = found
        .iter()
        .skip(1)
        .map(|start| Some(start.time))
        .chain([first_known]);
    let pairs: Vec<(&Start, Option<Timestamp>)> = found.iter().zip(ends).collect();
    pairs
        .into_iter()
        .map(|(start, until)| {
            let stretch = Stretch {
                from: start.time,
                until,
                about: true,
            };
            (start.version, stretch)
        })
        .collect()
}

fn run_end(report: &EvaluationReport) -> Option<Timestamp> {
    let last_day: Date = report.to.parse().ok()?;
    let midnight = last_day.to_zoned(TimeZone::UTC).ok()?.timestamp();
    Some(midnight + SignedDuration::from_hours(24))
}

fn number(report: &EvaluationReport) -> Option<i32> {
    i32::try_from(report.version).ok()
}
