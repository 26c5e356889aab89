//! Which ended runs are remembered, and which versions that served.

use searchop_api::{HistoryEntry, Outcome, PromotedVersion, RankingModelStatus};
use searchop_contract::TrainingJob;

use crate::standing::names;

/// Entries at most.
pub const MAX_ENTRIES: usize = 8;

/// Newest promoted versions that somebody can go back to with the tables that they had. Older ones
/// look up in newer tables: tables may be large, and a status has a limit.
pub const WITH_TABLES: usize = 4;

/// Adds an entry, or replaces that of the same version: a version judged again has one outcome.
/// The oldest go first, but never the served, the previous and the pinned version. Those that served
/// are noted apart, for as long as a candidate is compared with them.
pub(crate) fn record(status: &mut RankingModelStatus, entry: HistoryEntry, pinned: Option<&str>) {
    let history = &mut status.history;
    history.retain(|old| old.version != entry.version);
    history.push(entry);
    history.sort_by_key(|entry| std::cmp::Reverse(entry.version));
    let kept: Vec<i32> = [&status.served, &status.previous]
        .into_iter()
        .flatten()
        .map(|served| served.version)
        .collect();
    let is_kept = |entry: &HistoryEntry| {
        let pinned = pinned.is_some_and(|name| names(name, entry.version, entry.digest.as_deref()));
        pinned || kept.contains(&entry.version)
    };
    while history.len() > MAX_ENTRIES {
        let oldest = history.iter().rposition(|entry| !is_kept(entry));
        // Three versions are kept and eight fit, so there is always one to drop.
        let gone = history.remove(oldest.expect("more entries than versions that are kept"));
        status.promoted.extend(promoted(&gone));
    }
    let with_tables = history
        .iter_mut()
        .filter(|entry| entry.tables_digest.is_some());
    for entry in with_tables.skip(WITH_TABLES) {
        entry.tables_digest = None;
    }
    let mut known = last_promoted(status);
    known.retain(|one| {
        status
            .history
            .iter()
            .all(|entry| entry.version != one.version)
    });
    status.promoted = known;
}

/// A version that waited for approval makes room for the run that starts.
pub(crate) fn give_up_waiting(status: &mut RankingModelStatus) {
    for entry in &mut status.history {
        if entry.outcome == Outcome::AwaitingApproval {
            entry.outcome = Outcome::Superseded;
            entry.reason = Some("NewerRun".to_owned());
        }
    }
}

fn promoted(entry: &HistoryEntry) -> Option<PromotedVersion> {
    let digest = entry.digest.clone()?;
    (entry.outcome == Outcome::Promoted).then_some(PromotedVersion {
        version: entry.version,
        digest,
    })
}

/// The last versions that served, newest first, each model once.
pub(crate) fn last_promoted(status: &RankingModelStatus) -> Vec<PromotedVersion> {
    let served = [&status.served, &status.previous].into_iter().flatten();
    let served = served.map(|served| PromotedVersion {
        version: served.version,
        digest: served.digest.clone(),
    });
    let ended = status.history.iter().filter_map(promoted);
    let mut all: Vec<PromotedVersion> = served
        .chain(ended)
        .chain(status.promoted.iter().cloned())
        .collect();
    all.sort_by_key(|one| std::cmp::Reverse(one.version));
    let mut last: Vec<PromotedVersion> = Vec::new();
    for one in all {
        if last.iter().all(|other| other.digest != one.digest) {
            last.push(one);
        }
    }
    last.truncate(TrainingJob::MAX_PROMOTED);
    last
}

/// Number of the next version. Numbers never repeat, whatever became of them.
pub(crate) fn next_version(status: &RankingModelStatus) -> i32 {
    let run = status.run.iter().map(|run| run.version);
    let served = [&status.served, &status.previous]
        .into_iter()
        .flatten()
        .map(|served| served.version);
    let ended = status.history.iter().map(|entry| entry.version);
    run.chain(served)
        .chain(ended)
        .max()
        .unwrap_or(0)
        .saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{history_entry, served};

    #[test]
    fn the_oldest_go_first_but_never_what_serves_or_served_before() {
        let mut status = RankingModelStatus {
            served: Some(served("v2", 2)),
            previous: Some(served("v1", 1)),
            ..Default::default()
        };
        for version in 1..=30 {
            record(&mut status, history_entry(version, Outcome::Rejected), None);
        }
        let versions: Vec<i32> = status.history.iter().map(|entry| entry.version).collect();
        assert_eq!(versions, [30, 29, 28, 27, 26, 25, 2, 1]);
        assert_eq!(next_version(&status), 31);
    }

    #[test]
    fn the_newest_that_served_have_their_tables() {
        let mut status = RankingModelStatus::default();
        for version in 1..=9 {
            let one = served(&format!("v{version}"), version);
            let entry = HistoryEntry {
                digest: Some(one.digest),
                tables_digest: Some(one.tables_digest),
                ..history_entry(version, Outcome::Promoted)
            };
            record(&mut status, entry, None);
        }
        let with: Vec<i32> = status
            .history
            .iter()
            .filter(|entry| entry.tables_digest.is_some())
            .map(|entry| entry.version)
            .collect();
        assert_eq!(with, [9, 8, 7, 6]);
    }

    #[test]
    fn a_version_has_one_entry() {
        let mut status = RankingModelStatus::default();
        record(&mut status, history_entry(1, Outcome::Rejected), None);
        record(&mut status, history_entry(1, Outcome::Promoted), None);
        assert_eq!(status.history.len(), 1);
        assert_eq!(status.history[0].outcome, Outcome::Promoted);
    }

    #[test]
    fn the_last_eight_that_served_are_known_whatever_came_after() {
        let mut status = RankingModelStatus::default();
        let versions = |status: &RankingModelStatus| -> Vec<i32> {
            let last = last_promoted(status);
            last.iter().map(|one| one.version).collect()
        };
        for version in 1..=12 {
            status.previous = status
                .served
                .replace(served(&format!("v{version}"), version));
            let digest = status.served.as_ref().map(|served| served.digest.clone());
            let entry = HistoryEntry {
                digest,
                ..history_entry(version, Outcome::Promoted)
            };
            record(&mut status, entry, None);
        }
        let last = [12, 11, 10, 9, 8, 7, 6, 5];
        assert_eq!(versions(&status), last);
        assert_eq!(status.promoted, [], "history has them all");
        for version in 13..=40 {
            record(&mut status, history_entry(version, Outcome::Rejected), None);
            assert_eq!(versions(&status), last);
        }
        assert_eq!(status.promoted.len(), 6, "all but what serves and served");
    }

    #[test]
    fn a_model_that_served_twice_is_known_once() {
        let status = RankingModelStatus {
            served: Some(served("a", 9)),
            previous: Some(served("b", 8)),
            promoted: vec![PromotedVersion {
                version: 7,
                digest: served("a", 7).digest,
            }],
            ..Default::default()
        };
        let versions: Vec<i32> = last_promoted(&status)
            .iter()
            .map(|one| one.version)
            .collect();
        assert_eq!(versions, [9, 8]);
    }

    #[test]
    fn a_number_is_never_used_twice() {
        let mut status = RankingModelStatus::default();
        assert_eq!(next_version(&status), 1);
        status.history.push(history_entry(4, Outcome::Superseded));
        assert_eq!(next_version(&status), 5);
        status.served = Some(served("v7", 7));
        assert_eq!(next_version(&status), 8);
    }
}
