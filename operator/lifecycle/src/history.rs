//! Which ended runs are remembered.

use searchop_api::{HistoryEntry, RankingModelStatus};

/// Entries at most.
pub const MAX_ENTRIES: usize = 10;

/// Adds an entry, or replaces that of the same version: a version judged again has one outcome.
/// The oldest go first, but never the served and the previous version.
pub(crate) fn record(status: &mut RankingModelStatus, entry: HistoryEntry) {
    let history = &mut status.history;
    history.retain(|old| old.version != entry.version);
    history.push(entry);
    history.sort_by_key(|entry| std::cmp::Reverse(entry.version));
    let kept: Vec<i32> = [&status.served, &status.previous]
        .into_iter()
        .flatten()
        .map(|served| served.version)
        .collect();
    while history.len() > MAX_ENTRIES {
        let oldest = history
            .iter()
            .rposition(|entry| !kept.contains(&entry.version));
        // Two versions are kept and ten fit, so there is always one to drop.
        history.remove(oldest.expect("more entries than versions that are kept"));
    }
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
    use searchop_api::Outcome;

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
            record(&mut status, history_entry(version, Outcome::Rejected));
        }
        let versions: Vec<i32> = status.history.iter().map(|entry| entry.version).collect();
        assert_eq!(versions, [30, 29, 28, 27, 26, 25, 24, 23, 2, 1]);
        assert_eq!(next_version(&status), 31);
    }

    #[test]
    fn a_version_has_one_entry() {
        let mut status = RankingModelStatus::default();
        record(&mut status, history_entry(1, Outcome::Rejected));
        record(&mut status, history_entry(1, Outcome::Promoted));
        assert_eq!(status.history.len(), 1);
        assert_eq!(status.history[0].outcome, Outcome::Promoted);
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
