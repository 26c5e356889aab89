//! What a model's status says of its requests.

use searchop_api::{
    Drift, DriftFinding, DriftStatus, DriftedFeature, RankingModelStatus,
    conditions::{ConditionState, ConditionStatus, DRIFTED, find, is_true},
    figures::{decimal, number},
};

use super::{DriftWatch, FEATURE_LIMIT, Finding, SHARE_LIMIT, Shift};
use crate::{Note, NoteType, Observed, time::stored};

/// Characters of a feature's name: names come from pods.
const MAX_NAME: usize = 32;

const FEATURES_DRIFTED: &str = "FeaturesDrifted";
const SKEWED: &str = "Skewed";

/// The facts of a watch that people read, and that verdicts follow from.
pub(super) fn status(watch: &DriftWatch) -> DriftStatus {
    DriftStatus {
        version: i32::try_from(watch.version).unwrap_or(i32::MAX),
        digest: watch.digest.to_string(),
        start_time: stored(watch.reference.since),
        skew: watch.skew.as_ref().map(finding),
        drift: watch.drift.as_ref().map(finding),
        drifted_windows: i32::try_from(watch.drifted_windows).unwrap_or(i32::MAX),
    }
}

fn finding(of: &Finding) -> DriftFinding {
    let text = |value: f64| decimal(value).unwrap_or_default();
    let feature = |shift: &Shift| {
        let name = shift.name.chars().filter(|c| !c.is_control());
        DriftedFeature {
            name: name.take(MAX_NAME).collect(),
            psi: text(shift.psi),
            jensen_shannon: text(shift.jensen_shannon),
            importance: text(shift.importance),
        }
    };
    DriftFinding {
        start_time: stored(of.since),
        end_time: stored(of.through),
        requests: i64::try_from(of.requests).unwrap_or(i64::MAX),
        drifted_share: text(of.drifted_share),
        score_psi: text(of.scores.psi),
        features: of.worst().into_iter().map(feature).collect(),
    }
}

/// What is known of the version that `status` says serves.
pub(crate) fn known(seen: &Observed, status: &RankingModelStatus) -> Option<DriftStatus> {
    let served = status.served.as_ref()?;
    let known = [&seen.drift, &status.drift].into_iter().flatten();
    let mut of_served =
        known.filter(|one| one.version == served.version && one.digest == served.digest);
    of_served.next().cloned()
}

/// The newest window of the served version, where it makes a verdict of drift.
pub(crate) fn verdict<'a>(
    rules: &Drift,
    status: &'a RankingModelStatus,
) -> Option<&'a DriftFinding> {
    let (served, drift) = (status.served.as_ref()?, status.drift.as_ref()?);
    let drifted = drift.digest == served.digest
        && drift.version == served.version
        && drift.drifted_windows >= rules.consecutive_windows;
    drift.drift.as_ref().filter(|_| drifted)
}

/// The condition Drifted.
pub(crate) fn condition(rules: &Drift, status: &RankingModelStatus) -> ConditionState {
    let (value, reason, message) = state(rules, status);
    ConditionState {
        type_: DRIFTED,
        status: value,
        reason: reason.to_owned(),
        message,
    }
}

fn state(rules: &Drift, status: &RankingModelStatus) -> (ConditionStatus, &'static str, String) {
    let unknown = |reason, message| (ConditionStatus::Unknown, reason, message);
    let Some(served) = &status.served else {
        return unknown("NoVersion", "no version serves yet".to_owned());
    };
    let name = &served.name;
    let Some(found) = &status.drift else {
        let message = format!("no ready pod of {name} has told what its requests look like");
        return unknown("NoCounts", message);
    };
    let Some(skew) = &found.skew else {
        let (requests, seconds) = (rules.reference_requests, rules.window_seconds);
        let since = found.start_time.0;
        let message = format!(
            "the first requests of {name} are counted since {since}: at least {requests}, for at least {seconds} s"
        );
        return unknown("CollectingReference", message);
    };
    let skewed = share(skew) >= SHARE_LIMIT;
    let apart = match skewed {
        true => format!(
            "; they were unlike training from the start: {}",
            words(skew)
        ),
        false => String::new(),
    };
    let Some(drift) = &found.drift else {
        let message =
            format!("the first requests of {name} are known, no later window is whole yet{apart}");
        return (ConditionStatus::False, quiet(skewed), message);
    };
    let (end, windows) = (drift.end_time.0, found.drifted_windows);
    if verdict(rules, status).is_some() {
        let message = format!(
            "requests of {name} differ from its first ones in {windows} windows in a row up to {end}: {}",
            words(drift)
        );
        return (ConditionStatus::True, FEATURES_DRIFTED, message);
    }
    if windows > 0 {
        let needed = rules.consecutive_windows;
        let message = format!(
            "{windows} of {needed} windows in a row, up to {end}, differ from the first requests of {name}: {}",
            words(drift)
        );
        return (ConditionStatus::False, "WindowDrifted", message);
    }
    let message = format!("requests of {name} up to {end} look like its first ones{apart}");
    (ConditionStatus::False, quiet(skewed), message)
}

fn quiet(skewed: bool) -> &'static str {
    if skewed { SKEWED } else { "NoDrift" }
}

/// 1 where it cannot be read: what is not known is no reason to be calm.
fn share(of: &DriftFinding) -> f64 {
    number(&of.drifted_share).unwrap_or(1.0)
}

/// `price (PSI 0.31, 21 % of the gain), …; drifted features have 45 % of the gain`.
fn words(of: &DriftFinding) -> String {
    let feature = |of: &DriftedFeature| {
        let psi = number(&of.psi).unwrap_or(f64::NAN);
        let gain = number(&of.importance).unwrap_or(f64::NAN) * 100.0;
        format!("{} (PSI {psi:.2}, {gain:.0} % of the gain)", of.name)
    };
    let features: Vec<String> = of.features.iter().map(feature).collect();
    format!(
        "{}; features with a PSI of {FEATURE_LIMIT} or more have {:.0} % of the gain",
        features.join(", "),
        share(of) * 100.0
    )
}

/// What to tell about verdicts that turned.
pub(crate) fn turns(before: &RankingModelStatus, after: &RankingModelStatus) -> Vec<Note> {
    let said = |status: &RankingModelStatus| is_true(&status.conditions, DRIFTED);
    let message = || find(&after.conditions, DRIFTED).map(|found| found.message.clone());
    let note = |kind, reason| Note {
        kind,
        reason,
        message: message().unwrap_or_default(),
    };
    let mut notes = Vec::new();
    match (said(before), said(after)) {
        (false, true) => notes.push(note(NoteType::Warning, FEATURES_DRIFTED)),
        (true, false) => notes.push(note(NoteType::Normal, "DriftOver")),
        _ => {}
    }
    let skew = |status: &RankingModelStatus| {
        let skew = status.drift.as_ref().and_then(|drift| drift.skew.as_ref());
        skew.is_some_and(|skew| share(skew) >= SHARE_LIMIT)
    };
    if skew(after) && !skew(before) {
        notes.push(note(NoteType::Warning, SKEWED));
    }
    notes
}

#[cfg(test)]
mod tests;
