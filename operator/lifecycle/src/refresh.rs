//! The tables of the version that serves, rebuilt from newer data:
//!
//! ```text
//! request → refresh → tables → Refreshed
//!             │ ↑        └→ Failed(RolloutFailed)
//!             │ └ attempt
//!             └→ Unchanged | Failed | Superseded
//! ```
//!
//! A model is one run or one refresh at a time: a refresh begins when no run is under way, and a run
//! that comes due meanwhile waits for its end. What serves stays as it is until the pods with the new
//! tables are ready, so a refresh that fails changes nothing.

use searchop_api::{RankingModelStatus, RefreshOutcome, ServedVersion, TablesRefresh};
use searchop_contract::{Digest, FailureReason, TrainingReport};

use crate::{
    Observed, ObservedJob,
    retrain_request::{Asked, Pending, RetrainRequest, pending},
    run::{self, Step, digests, normal, warning},
    standing,
    time::stored,
    training::MAX_ATTEMPTS,
};

/// Words of an outcome are cut to this many characters.
const MAX_MESSAGE: usize = 160;
/// The spec's settings are not those of the version that serves.
const SETTINGS_NOT_SERVED: &str = "SettingsNotServed";

/// The refresh that is under way.
pub(crate) fn live(status: &RankingModelStatus) -> Option<&TablesRefresh> {
    status
        .refresh
        .as_ref()
        .filter(|refresh| refresh.outcome.is_none())
}

/// The served version and the rebuilt tables that its pods are about to get.
pub(crate) fn rolling_out(status: &RankingModelStatus) -> Option<(&ServedVersion, Digest, Digest)> {
    let (refresh, served) = (live(status)?, status.served.as_ref()?);
    let (model, tables) = digests(&served.digest, refresh.tables_digest.as_ref()?)?;
    (refresh.digest == served.digest).then_some((served, model, tables))
}

/// Starts what a pending request asks for, where nothing is under way.
pub(crate) fn begin(seen: &Observed) -> Option<Step> {
    let status = &seen.status;
    let asked = Asked {
        annotation: seen.refresh_request.as_deref(),
        handled: status.refresh.as_ref().map(|last| &*last.request_token),
        ignored: status.ignored_refresh.as_deref(),
    };
    match pending(asked, seen.now) {
        Pending::Nothing => None,
        Pending::Unreadable { text, error } => {
            let mut status = status.clone();
            status.ignored_refresh = Some(text);
            let message = format!("refresh request left alone: {error}");
            Some(Step {
                status,
                notes: vec![warning("RefreshRequestInvalid", message)],
            })
        }
        Pending::Request(request) => {
            let idle = run::live(status).is_none() && !seen.spec.suspend;
            let idle = idle && !standing::is_changing(seen);
            let served = status.served.as_ref().filter(|_| idle)?;
            Some(start(seen, served, &request))
        }
    }
}

fn start(seen: &Observed, served: &ServedVersion, request: &RetrainRequest) -> Step {
    let mut status = seen.status.clone();
    let number = status.refresh.as_ref().map_or(0, |last| last.number);
    let refresh = TablesRefresh {
        number: number.saturating_add(1),
        version: served.version,
        digest: served.digest.clone(),
        trigger: request.trigger,
        request_token: request.to_string(),
        as_of_time: stored(seen.now),
        start_time: stored(seen.now),
        attempt: 0,
        tables_digest: None,
        tables_time: None,
        outcome: None,
        reason: None,
        message: None,
        completion_time: None,
    };
    status.refresh = Some(refresh);
    if run::is_wanted(seen, &status) {
        let message = format!(
            "the spec's settings are not those of {}: its tables are refreshed once a version of \
             these settings serves",
            served.name
        );
        return fail(seen, status, SETTINGS_NOT_SERVED, &message);
    }
    let message = format!(
        "rebuilding the tables of {} ({}, asked for by {})",
        served.name,
        request.trigger.as_str(),
        request.requester
    );
    Step {
        status,
        notes: vec![normal("RefreshStarted", message)],
    }
}

/// The next new facts about the refresh that is under way, if any follow.
pub(crate) fn under_way(seen: &Observed, refresh: &TablesRefresh) -> Option<Step> {
    let serves = seen.status.served.as_ref();
    let leaves = serves.is_none_or(|served| served.digest != refresh.digest);
    if leaves || standing::is_changing(seen) {
        let status = seen.status.clone();
        let message = format!(
            "v{} does not serve any more, or not for long",
            refresh.version
        );
        let note = normal("RefreshSuperseded", format!("its tables: {message}"));
        let ending = (RefreshOutcome::Superseded, "ServedChanged", &*message);
        return Some(end(seen, status, ending, note));
    }
    match rolling_out(&seen.status) {
        Some((_, model, tables)) => roll_out(seen, (model, tables)),
        None => read_job(seen, refresh),
    }
}

fn read_job(seen: &Observed, refresh: &TablesRefresh) -> Option<Step> {
    match seen.job.as_ref()? {
        ObservedJob::Blocked { .. } | ObservedJob::Active { .. } => None,
        ObservedJob::Reported(report) => Some(store_report(seen, refresh, report)),
        ObservedJob::ReportLost { message } => Some(start_over(seen, refresh, message)),
        ObservedJob::Failed { reason, message } => {
            Some(fail(seen, seen.status.clone(), reason.as_str(), message))
        }
    }
}

fn store_report(seen: &Observed, refresh: &TablesRefresh, report: &TrainingReport) -> Step {
    let mut status = seen.status.clone();
    if let Some(failure) = &report.failure {
        return fail(seen, status, failure.reason.as_str(), &failure.message);
    }
    let published = report.published.as_ref();
    let Some(published) = published.filter(|found| found.digest.as_str() == refresh.digest) else {
        return start_over(seen, refresh, "the report names no tables of this model");
    };
    let tables = published.tables_digest.to_string();
    let served = status.served.as_ref();
    let same = served.is_some_and(|served| served.tables_digest == tables);
    if let Some(refresh) = &mut status.refresh {
        refresh.tables_digest = Some(tables);
        refresh.tables_time = Some(stored(published.tables_time));
    }
    if same {
        let message = format!("the same tables as v{} has", refresh.version);
        let note = normal("TablesUnchanged", message.clone());
        return end(
            seen,
            status,
            (RefreshOutcome::Unchanged, "Unchanged", &message),
            note,
        );
    }
    let message = format!(
        "the tables of v{} are rebuilt with data up to {}: rolling them out",
        refresh.version, published.tables_time
    );
    Step {
        status,
        notes: vec![normal("TablesRebuilt", message)],
    }
}

fn roll_out(seen: &Observed, wanted: (Digest, Digest)) -> Option<Step> {
    let serving = &seen.serving;
    if serving.target.as_ref() != Some(&wanted) {
        return None;
    }
    if serving.settled && serving.ready_pods > 0 {
        return Some(finish(seen));
    }
    let reason = FailureReason::RolloutFailed.as_str();
    Some(fail(
        seen,
        seen.status.clone(),
        reason,
        serving.stuck.as_ref()?,
    ))
}

/// The pods with the new tables answer.
fn finish(seen: &Observed) -> Step {
    let mut status = seen.status.clone();
    let mut message = String::new();
    if let (Some(refresh), Some(served)) = (&status.refresh, &mut status.served)
        && let (Some(tables), Some(time)) = (&refresh.tables_digest, &refresh.tables_time)
    {
        served.tables_digest.clone_from(tables);
        served.tables_time = time.clone();
        let entries = status.history.iter_mut();
        for entry in entries.filter(|entry| entry.version == served.version) {
            entry.tables_digest = Some(tables.clone());
        }
        message = format!("{} has tables with data up to {}", served.name, time.0);
    }
    let note = normal("TablesRefreshed", message.clone());
    end(
        seen,
        status,
        (RefreshOutcome::Refreshed, "Refreshed", &message),
        note,
    )
}

/// The Job is done but what it said is gone. Publishing twice is publishing once.
fn start_over(seen: &Observed, refresh: &TablesRefresh, message: &str) -> Step {
    let mut status = seen.status.clone();
    if refresh.attempt >= MAX_ATTEMPTS {
        return fail(seen, status, FailureReason::ReportMissing.as_str(), message);
    }
    if let Some(refresh) = &mut status.refresh {
        refresh.attempt += 1;
    }
    let message = format!("the tables are rebuilt again: {message}");
    Step {
        status,
        notes: vec![warning("ReportLost", message)],
    }
}

fn fail(seen: &Observed, status: RankingModelStatus, reason: &str, message: &str) -> Step {
    let version = status.refresh.as_ref().map_or(0, |refresh| refresh.version);
    let words = format!("the tables of v{version} stay as they are, {reason}: {message}");
    let note = warning("RefreshFailed", words.chars().take(1000).collect());
    end(
        seen,
        status,
        (RefreshOutcome::Failed, reason, message),
        note,
    )
}

/// Writes down how the refresh of `status` ended.
fn end(
    seen: &Observed,
    mut status: RankingModelStatus,
    (outcome, reason, message): (RefreshOutcome, &str, &str),
    note: crate::Note,
) -> Step {
    if let Some(refresh) = &mut status.refresh {
        refresh.outcome = Some(outcome);
        refresh.reason = Some(reason.to_owned());
        refresh.message = Some(message.chars().take(MAX_MESSAGE).collect());
        refresh.completion_time = Some(stored(seen.now));
    }
    Step {
        status,
        notes: vec![note],
    }
}

/// What people should know beside that all is well: what is being done, or what went wrong.
pub(crate) fn remark(status: &RankingModelStatus) -> Option<String> {
    let refresh = status.refresh.as_ref()?;
    match refresh.outcome {
        None if refresh.tables_digest.is_some() => Some("rolling its new tables out".to_owned()),
        None => Some("rebuilding its tables".to_owned()),
        Some(RefreshOutcome::Failed) if Some(refresh.version) == served_version(status) => {
            let words = refresh.message.as_deref().unwrap_or_default();
            Some(format!("its tables could not be refreshed: {words}"))
        }
        Some(_) => None,
    }
}

fn served_version(status: &RankingModelStatus) -> Option<i32> {
    Some(status.served.as_ref()?.version)
}
