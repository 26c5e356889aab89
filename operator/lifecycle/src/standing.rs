//! Which version serves while no candidate is on its way: the newest that was promoted, or the one
//! that `rollout.pinnedVersion` names.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use searchop_api::{
    HistoryEntry, Outcome, RankingModelSpec, RankingModelStatus, Rollout, ServedVersion,
};

use crate::{
    Observed, gate,
    run::{Step, digests, normal},
    time::stored,
};

/// History does not hold the settings of a version. Those of the newest promoted one, which are in
/// force, are always known: where it does not serve, it is `status.previous`.
const UNKNOWN_HASH: &str = "";

/// What `rollout.pinnedVersion` asks for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Pin {
    Nothing,
    Version(Box<ServedVersion>),
    /// Not a version that served, or one that is not kept any more.
    Unknown,
}

/// Whether the user's name for a version (`v7`, `7`, a digest) is that of this one.
pub(crate) fn names(name: &str, version: i32, digest: Option<&str>) -> bool {
    let number = name.strip_prefix('v').unwrap_or(name).parse();
    number == Ok(version) || digest == Some(name)
}

pub(crate) fn pin(rollout: &Rollout, status: &RankingModelStatus) -> Pin {
    let Some(name) = &rollout.pinned_version else {
        return Pin::Nothing;
    };
    let found = known(status)
        .into_iter()
        .find(|one| names(name, one.version, Some(&one.digest)));
    found.map_or(Pin::Unknown, |version| Pin::Version(Box::new(version)))
}

/// The version that should serve. Where the pinned one is not known, what serves stays.
pub(crate) fn standing(
    spec: &RankingModelSpec,
    status: &RankingModelStatus,
) -> Option<ServedVersion> {
    match pin(&spec.rollout, status) {
        Pin::Nothing => newest(status),
        Pin::Version(version) => Some(*version),
        Pin::Unknown => status.served.clone(),
    }
}

/// The newest version that was promoted, whatever is pinned: its settings are those in force.
pub(crate) fn newest(status: &RankingModelStatus) -> Option<ServedVersion> {
    known(status).into_iter().max_by_key(|one| one.version)
}

/// Versions that served and whose models are kept. What status says most of comes first.
pub fn known(status: &RankingModelStatus) -> Vec<ServedVersion> {
    let full = [&status.served, &status.previous].into_iter().flatten();
    let served = status.served.as_ref();
    let ended = status
        .history
        .iter()
        .filter_map(|entry| from_history(entry, served));
    let mut known: Vec<ServedVersion> = full.cloned().collect();
    for version in ended.chain(older(status)) {
        if known.iter().all(|other| other.version != version.version) {
            known.push(version);
        }
    }
    known
}

/// A version whose tables are not kept looks up in those of the version that serves, as a model does
/// whose tables are refreshed.
fn from_history(entry: &HistoryEntry, served: Option<&ServedVersion>) -> Option<ServedVersion> {
    if entry.outcome != Outcome::Promoted {
        return None;
    }
    let through = trained_through(entry);
    let (tables_digest, tables_time) = match &entry.tables_digest {
        Some(own) => (own, through),
        None => served.map(|served| (&served.tables_digest, &served.tables_time))?,
    };
    Some(ServedVersion {
        name: format!("v{}", entry.version),
        version: entry.version,
        digest: entry.digest.clone()?,
        tables_digest: tables_digest.clone(),
        train_hash: UNKNOWN_HASH.to_owned(),
        headline_metric: entry
            .headline_metric
            .clone()
            .unwrap_or_else(|| gate::NOT_MEASURED.to_owned()),
        trained_through_time: through.clone(),
        tables_time: tables_time.clone(),
        promoted_time: entry.completion_time.clone(),
    })
}

/// No version has seen data that came after its run.
fn trained_through(entry: &HistoryEntry) -> &Time {
    let through = entry.trained_through_time.as_ref();
    through.unwrap_or(&entry.completion_time)
}

/// Versions that history does not hold any more. Their models are kept and their tables are not. They
/// have seen no more than the oldest version of which that is known: a model that comes back must not
/// pass for a fresh one.
fn older(status: &RankingModelStatus) -> impl Iterator<Item = ServedVersion> {
    let served = status.served.as_ref();
    let full = [served, status.previous.as_ref()].into_iter().flatten();
    let full = full.map(|one| &one.trained_through_time);
    let ended = status.history.iter().map(trained_through);
    let through = full.chain(ended).min_by_key(|time| time.0).cloned();
    status.promoted.iter().filter_map(move |one| {
        Some(ServedVersion {
            name: format!("v{}", one.version),
            version: one.version,
            digest: one.digest.clone(),
            train_hash: UNKNOWN_HASH.to_owned(),
            headline_metric: gate::NOT_MEASURED.to_owned(),
            trained_through_time: through.clone()?,
            ..served?.clone()
        })
    })
}

/// Another version than the one that serves is to come back: a rollback, or its end, is under way.
pub(crate) fn is_changing(seen: &Observed) -> bool {
    let served = seen.status.served.as_ref();
    let standing = standing(&seen.spec, &seen.status);
    standing.map(|one| one.version) != served.map(|one| one.version)
}

/// The pods answer with the version that should serve, and it is not the one that served: a
/// rollback, or its end.
pub(crate) fn follow(seen: &Observed) -> Option<Step> {
    let wanted = standing(&seen.spec, &seen.status)?;
    let served = seen.status.served.as_ref()?;
    let answers = seen.serving.target == digests(&wanted.digest, &wanted.tables_digest)
        && seen.serving.candidate.is_none()
        && seen.serving.settled
        && seen.serving.ready_pods > 0;
    if wanted.version == served.version || !answers {
        return None;
    }
    let why = match seen.spec.rollout.pinned_version {
        Some(_) => "it is pinned",
        None => "no version is pinned any more",
    };
    let note = normal(
        "RolledBack",
        format!("{} serves instead of {}: {why}", wanted.name, served.name),
    );
    let mut status = seen.status.clone();
    let newest = newest(&seen.status).filter(|newest| newest.version != wanted.version);
    let before = status.served.replace(ServedVersion {
        promoted_time: stored(seen.now),
        ..wanted
    });
    status.previous = newest.or(before);
    Some(Step {
        status,
        notes: vec![note],
    })
}

/// What to tell where `rollout.pinnedVersion` names a version that is not known.
pub(crate) fn unknown_pin(seen: &Observed, status: &RankingModelStatus) -> Option<String> {
    if pin(&seen.spec.rollout, status) != Pin::Unknown {
        return None;
    }
    let name = seen.spec.rollout.pinned_version.as_deref()?;
    let known: Vec<String> = known(status).into_iter().map(|one| one.name).collect();
    let known = match known.is_empty() {
        true => "no version has served yet".to_owned(),
        false => format!("known are {}", known.join(", ")),
    };
    let name: String = name.chars().take(19).collect();
    Some(format!(
        "rollout.pinnedVersion {name:?} is no version that served and is kept: {known}"
    ))
}

#[cfg(test)]
mod tests {
    use searchop_api::PromotedVersion;

    use super::*;
    use crate::testing::{history_entry, served, synthetic_spec};

    fn status() -> RankingModelStatus {
        let three = served("three", 3);
        RankingModelStatus {
            served: Some(served("five", 5)),
            previous: Some(served("four", 4)),
            history: vec![
                history_entry(6, Outcome::Rejected),
                HistoryEntry {
                    digest: Some(three.digest),
                    tables_digest: Some(three.tables_digest),
                    ..history_entry(3, Outcome::Promoted)
                },
                // Promoted, and its tables are not known.
                HistoryEntry {
                    digest: Some(served("two", 2).digest),
                    ..history_entry(2, Outcome::Promoted)
                },
            ],
            promoted: vec![PromotedVersion {
                version: 1,
                digest: served("one", 1).digest,
            }],
            ..Default::default()
        }
    }

    #[test]
    fn a_pin_names_a_version_that_served_and_is_kept() {
        let digest = served("three", 3).digest;
        let table: [(Option<&str>, Option<i32>); 11] = [
            (None, Some(5)),
            (Some("v5"), Some(5)),
            (Some("4"), Some(4)),
            (Some("v3"), Some(3)),
            (Some(&digest), Some(3)),
            (Some("v2"), Some(2)),
            (Some("v1"), Some(1)),
            // Not one: what serves stays.
            (Some("v6"), Some(5)),
            (Some("v9"), Some(5)),
            (Some("vv3"), Some(5)),
            (Some(""), Some(5)),
        ];
        for (name, expected) in table {
            let mut spec = synthetic_spec();
            spec.rollout.pinned_version = name.map(str::to_owned);
            let found = standing(&spec, &status());
            assert_eq!(found.map(|one| one.version), expected, "{name:?}");
        }
    }

    #[test]
    fn a_version_whose_tables_are_not_kept_looks_up_in_the_served_ones() {
        let known = known(&status());
        for (version, name) in [(2, "two"), (1, "one")] {
            let old = known.iter().find(|one| one.version == version).unwrap();
            assert_eq!(old.digest, served(name, version).digest);
            assert_eq!(old.tables_digest, served("five", 5).tables_digest);
            assert_eq!(old.tables_time, served("five", 5).tables_time);
        }
    }

    #[test]
    fn an_old_model_that_comes_back_does_not_pass_for_a_fresh_one() {
        let mut status = status();
        let oldest = Time("2025-01-01T00:00:00Z".parse().unwrap());
        status.history[2].trained_through_time = Some(oldest.clone());
        let known = known(&status);
        let first = known.iter().find(|one| one.version == 1).unwrap();
        assert_eq!(first.trained_through_time, oldest);
    }
}
