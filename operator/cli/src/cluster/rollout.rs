//! `searchop promote`, `abort` and `rollback`: what people decide about versions. Each is a field of
//! `spec.rollout`; the operator does the rest.

use std::time::{Duration, Instant};

use searchop_api::{HistoryEntry, Outcome, RankingModel, RankingModelStatus, Run};
use searchop_lifecycle::known_versions;
use serde_json::{Value, json};

use super::{
    attempt::{Step, attempt},
    connection::Cluster,
    edit::{Edit, Verb},
    error::ClusterError,
};
use crate::{
    args::{Decide, DryRun, Rollback},
    exit::Exit,
    terminal::Log,
};

const PERIOD: Duration = Duration::from_secs(1);

/// A decision, ready to be written.
#[derive(Debug, PartialEq)]
struct Decision {
    /// Of `spec.rollout`.
    field: &'static str,
    value: Value,
    done: String,
    goal: Goal,
}

/// What `--wait` waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Goal {
    /// This version serves.
    Serves(i32),
    /// The run of this version has ended, and it does not serve.
    GivenUp(i32),
}

pub async fn promote(args: &Decide, log: Log) -> Result<Exit, ClusterError> {
    decide(args, |model| promotion(model, args.version), log).await
}

pub async fn abort(args: &Decide, log: Log) -> Result<Exit, ClusterError> {
    decide(args, |model| abortion(model, args.version), log).await
}

pub async fn rollback(args: &Rollback, log: Log) -> Result<Exit, ClusterError> {
    let decision = |model: &RankingModel| match args.undo {
        true => unpinning(model),
        false => pinning(model, args.decide.version),
    };
    decide(&args.decide, decision, log).await
}

async fn decide(
    args: &Decide,
    decision: impl FnOnce(&RankingModel) -> Result<Decision, String>,
    log: Log,
) -> Result<Exit, ClusterError> {
    let change = &args.change;
    let cluster = Cluster::find(&change.target).await?;
    let model: RankingModel = cluster.get(&change.name).await?;
    let decision = decision(&model).map_err(ClusterError::Refused)?;
    let verb = Verb {
        target: &change.target,
        how: change.how,
        edit: Edit::Spec(json!({"rollout": {decision.field: decision.value}})),
        done: &decision.done,
    };
    let written = verb.apply(&cluster, &model, log).await?;
    if !args.waiting.wait || change.how.dry_run != DryRun::None {
        return Ok(Exit::Done);
    }
    let generation = written.metadata.generation;
    wait(&cluster, args, (decision.goal, generation), log).await
}

/// The version that waits for approval, or the one that is named.
fn promotion(model: &RankingModel, version: Option<i32>) -> Result<Decision, String> {
    let waiting = history(model).find(|entry| entry.outcome == Outcome::AwaitingApproval);
    let waiting = waiting.map(|entry| entry.version);
    let version = match (version, waiting) {
        (Some(version), _) => version,
        (None, Some(waiting)) => waiting,
        (None, None) => {
            return Err(
                "no version waits for approval; \"searchop describe\" shows what is tried"
                    .to_owned(),
            );
        }
    };
    Ok(Decision {
        field: "approvedVersion",
        value: json!(format!("v{version}")),
        done: format!("v{version} approved"),
        goal: Goal::Serves(version),
    })
}

/// The version that is rolled out or that waits, or the one that is named.
fn abortion(model: &RankingModel, version: Option<i32>) -> Result<Decision, String> {
    let rolling = attempt(model).filter(|attempt| attempt.step == Step::RollingOut);
    let waiting = history(model).find(|entry| entry.outcome == Outcome::AwaitingApproval);
    let found = rolling
        .map(|attempt| attempt.run.version)
        .or_else(|| waiting.map(|entry| entry.version));
    let version = version
        .or(found)
        .ok_or("nothing is rolled out, and no version waits; name one with --version")?;
    Ok(Decision {
        field: "abortedVersion",
        value: json!(format!("v{version}")),
        done: format!("v{version} aborted"),
        goal: Goal::GivenUp(version),
    })
}

/// The version that served before, or the one that is named.
fn pinning(model: &RankingModel, version: Option<i32>) -> Result<Decision, String> {
    let status = model.status.as_ref();
    let previous = status.and_then(|status| status.previous.as_ref());
    let version = version
        .or_else(|| previous.map(|previous| previous.version))
        .ok_or("no version served before the one that serves")?;
    let known = known(status);
    if !known.contains(&version) {
        let names: Vec<String> = known.iter().map(|known| format!("v{known}")).collect();
        return Err(format!(
            "v{version} is none that served and is kept; there are {}",
            names.join(", ")
        ));
    }
    Ok(Decision {
        field: "pinnedVersion",
        value: json!(format!("v{version}")),
        done: format!("rolled back to v{version}"),
        goal: Goal::Serves(version),
    })
}

/// The newest version that was promoted serves again.
fn unpinning(model: &RankingModel) -> Result<Decision, String> {
    let newest = known(model.status.as_ref()).into_iter().max();
    if model.spec.rollout.pinned_version.is_none() {
        return Err("no version is pinned".to_owned());
    }
    Ok(Decision {
        field: "pinnedVersion",
        value: Value::Null,
        done: "pinned to no version any more".to_owned(),
        goal: Goal::Serves(newest.unwrap_or_default()),
    })
}

fn history(model: &RankingModel) -> impl Iterator<Item = &HistoryEntry> {
    model.status.iter().flat_map(|status| &status.history)
}

/// Versions that served and whose models are kept, newest first.
fn known(status: Option<&RankingModelStatus>) -> Vec<i32> {
    let known = status.map(known_versions).unwrap_or_default();
    let mut known: Vec<i32> = known.iter().map(|one| one.version).collect();
    known.sort_unstable_by_key(|version| std::cmp::Reverse(*version));
    known
}

async fn wait(
    cluster: &Cluster,
    args: &Decide,
    (goal, generation): (Goal, Option<i64>),
    log: Log,
) -> Result<Exit, ClusterError> {
    let (begin, timeout) = (Instant::now(), args.waiting.timeout);
    let mut said = String::new();
    while begin.elapsed() < timeout {
        let model: RankingModel = cluster.get(&args.change.name).await?;
        let status = model.status.clone().unwrap_or_default();
        // An older status speaks of what was asked before.
        let seen = status.observed_generation >= generation;
        if let Some(exit) = reached(goal, &status).filter(|_| seen) {
            return Ok(tell(goal, exit, &status, log));
        }
        let step =
            attempt(&model).map_or("waiting for the operator".to_owned(), |one| one.to_string());
        if step != said {
            log.info("Waiting", &step);
            said = step;
        }
        tokio::select! {
            () = tokio::time::sleep(PERIOD) => {}
            _ = tokio::signal::ctrl_c() => return Ok(Exit::Interrupted),
        }
    }
    Err(ClusterError::TimedOut(timeout.as_secs()))
}

/// How it ended, if it has.
fn reached(goal: Goal, status: &RankingModelStatus) -> Option<Exit> {
    let serves = status.served.as_ref().map(|served| served.version);
    match goal {
        Goal::Serves(version) if serves == Some(version) => Some(Exit::Done),
        Goal::Serves(version) => {
            let (_, outcome) = ended(status, version)?;
            let failed = matches!(
                outcome,
                Outcome::Failed | Outcome::Superseded | Outcome::Rejected
            );
            failed.then_some(Exit::Failed)
        }
        Goal::GivenUp(version) => {
            let (_, outcome) = ended(status, version)?;
            match outcome {
                Outcome::AwaitingApproval => None,
                // Too late: it served before the abort was seen.
                Outcome::Promoted => Some(Exit::Failed),
                _ => Some(Exit::Done),
            }
        }
    }
}

fn ended(status: &RankingModelStatus, version: i32) -> Option<(&Run, Outcome)> {
    let run = status.run.as_ref().filter(|run| run.version == version)?;
    Some((run, run.outcome?))
}

fn tell(goal: Goal, exit: Exit, status: &RankingModelStatus, log: Log) -> Exit {
    let (Goal::Serves(version) | Goal::GivenUp(version)) = goal;
    match (goal, exit, ended(status, version)) {
        (Goal::Serves(_), Exit::Done, _) => log.info("Serves", &format!("v{version}")),
        (_, _, Some((run, outcome))) => {
            let message = run.message.as_deref().unwrap_or("no more is known");
            log.info(outcome.as_str(), &format!("v{version}: {message}"));
        }
        (_, _, None) => {}
    }
    exit
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::testing::model;

    fn decided(found: Result<Decision, String>) -> String {
        match found {
            Ok(found) => format!("{} {} {:?}", found.field, found.value, found.goal),
            Err(error) => error,
        }
    }

    #[test]
    fn each_verb_finds_the_version_that_is_meant() {
        let mut model = model();
        let pinned = decided(pinning(&model, None));
        assert_eq!(pinned, "pinnedVersion \"v5\" Serves(5)");
        assert_eq!(
            decided(pinning(&model, Some(3))),
            "pinnedVersion \"v3\" Serves(3)"
        );
        assert_eq!(
            decided(pinning(&model, Some(8))),
            "v8 is none that served and is kept; there are v7, v5, v3"
        );
        assert_eq!(decided(unpinning(&model)), "no version is pinned");
        model.spec.rollout.pinned_version = Some("v5".to_owned());
        assert_eq!(decided(unpinning(&model)), "pinnedVersion null Serves(7)");
        assert!(decided(promotion(&model, None)).starts_with("no version waits"));
        assert!(decided(abortion(&model, None)).starts_with("nothing is rolled out"));
        model.status.as_mut().unwrap().history[0].outcome = Outcome::AwaitingApproval;
        assert_eq!(
            decided(promotion(&model, None)),
            "approvedVersion \"v8\" Serves(8)"
        );
        assert_eq!(
            decided(abortion(&model, None)),
            "abortedVersion \"v8\" GivenUp(8)"
        );
        assert_eq!(
            decided(abortion(&model, Some(9))),
            "abortedVersion \"v9\" GivenUp(9)"
        );
    }

    #[test]
    fn waiting_ends_when_it_serves_or_never_will() {
        let mut status = model().status.unwrap();
        assert_eq!(reached(Goal::Serves(7), &status), Some(Exit::Done));
        assert_eq!(reached(Goal::Serves(9), &status), None, "it is under way");
        let mut end = |outcome| {
            status.run.as_mut().unwrap().outcome = Some(outcome);
            (
                reached(Goal::Serves(9), &status),
                reached(Goal::GivenUp(9), &status),
            )
        };
        assert_eq!(end(Outcome::Failed), (Some(Exit::Failed), Some(Exit::Done)));
        assert_eq!(end(Outcome::AwaitingApproval), (None, None));
        assert_eq!(end(Outcome::Promoted), (None, Some(Exit::Failed)));
    }
}
