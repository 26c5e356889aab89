//! Staleness: is what serves too old, its trees or its tables?

use jiff::{SignedDuration, Timestamp};
use searchop_api::{
    RankingModelStatus, ServedVersion,
    conditions::{ConditionState, ConditionStatus, STALE, find, is_true},
};

use crate::{Note, NoteType, Observed};

/// Reason of Stale.
const DATA_TOO_OLD: &str = "DataTooOld";
/// Reason of Stale where only the tables are too old.
const TABLES_TOO_OLD: &str = "TablesTooOld";
const DATA_RECENT: &str = "DataRecent";

/// When the next part of the served version becomes too old.
pub(crate) fn next(seen: &Observed, status: &RankingModelStatus) -> Option<Timestamp> {
    let served = status.served.as_ref()?;
    let moments = [model_stale_at(seen, served), tables_stale_at(seen, served)];
    let moments = moments.into_iter().flatten();
    moments.filter(|moment| *moment > seen.now).min()
}

/// When the served trees become, or became, too old.
fn model_stale_at(seen: &Observed, served: &ServedVersion) -> Option<Timestamp> {
    let through = served.trained_through_time.0;
    later(through, seen.spec.freshness.max_age_seconds)
}

/// The same for the served tables, where their age has a limit of its own.
fn tables_stale_at(seen: &Observed, served: &ServedVersion) -> Option<Timestamp> {
    let through = served.tables_time.0;
    later(through, seen.spec.freshness.tables_max_age_seconds?)
}

fn later(moment: Timestamp, seconds: i64) -> Option<Timestamp> {
    moment.checked_add(SignedDuration::from_secs(seconds)).ok()
}

/// The condition Stale.
pub(crate) fn condition(seen: &Observed, status: &RankingModelStatus) -> ConditionState {
    let served = status.served.as_ref();
    let served = served.and_then(|served| Some((served, model_stale_at(seen, served)?)));
    let Some((served, moment)) = served else {
        return ConditionState {
            type_: STALE,
            status: ConditionStatus::Unknown,
            reason: "NoVersion".to_owned(),
            message: "no version serves yet".to_owned(),
        };
    };
    let now = seen.now;
    let tables = tables_stale_at(seen, served);
    let reason = match tables {
        _ if now >= moment => DATA_TOO_OLD,
        Some(moment) if now >= moment => TABLES_TOO_OLD,
        _ => DATA_RECENT,
    };
    let (name, through) = (&served.name, served.trained_through_time.0);
    let verb = if now >= moment { "went" } else { "goes" };
    let mut message = format!("{name} has seen data up to {through} and {verb} stale at {moment}");
    if let Some(moment) = tables {
        let through = served.tables_time.0;
        let verb = if now >= moment { "went" } else { "go" };
        message +=
            &format!("; its tables have seen data up to {through} and {verb} stale at {moment}");
    }
    ConditionState {
        type_: STALE,
        status: (reason != DATA_RECENT).into(),
        reason: reason.to_owned(),
        message,
    }
}

/// What to tell when it has just become too old.
pub(crate) fn turned(before: &RankingModelStatus, after: &RankingModelStatus) -> Option<Note> {
    let was = is_true(&before.conditions, STALE);
    let stale =
        find(&after.conditions, STALE).filter(|_| !was && is_true(&after.conditions, STALE))?;
    let tables = stale.reason == TABLES_TOO_OLD;
    Some(Note {
        kind: NoteType::Warning,
        reason: if tables { TABLES_TOO_OLD } else { DATA_TOO_OLD },
        message: stale.message.clone(),
    })
}
