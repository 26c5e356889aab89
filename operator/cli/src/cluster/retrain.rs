//! `searchop retrain`: leaves a request on the model, and waits for what comes of it.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use searchop_api::{RankingModel, RankingModelStatus, ScheduleAction, Trigger};
use searchop_lifecycle::{ObservedModel, RetrainRequest};

use super::{
    attempt::attempt,
    connection::Cluster,
    edit::{Edit, Verb},
    error::ClusterError,
};
use crate::{
    args::{AskRetrain, DryRun},
    exit::Exit,
    local::{end_of_refresh, end_of_run},
    terminal::Log,
};

const PERIOD: Duration = Duration::from_secs(1);

pub async fn retrain(args: &AskRetrain, log: Log) -> Result<Exit, ClusterError> {
    let change = &args.change;
    let cluster = Cluster::find(&change.target).await?;
    let model: RankingModel = cluster.get(&change.name).await?;
    let (action, done) = match args.refresh_tables {
        false => (ScheduleAction::Retrain, "asked for a retrain"),
        true => (
            ScheduleAction::RefreshTables,
            "asked for a refresh of its tables",
        ),
    };
    let now = Timestamp::now();
    let last = ObservedModel::of(&model, action, now).last_handled;
    let request = request(args, last.as_deref(), now)?;
    let verb = Verb {
        target: &change.target,
        how: change.how,
        edit: Edit::Annotation {
            key: action.annotation(),
            value: request.to_string(),
        },
        done,
    };
    let asked = verb.apply(&cluster, &model, log).await?;
    if asked.spec.suspend && change.how.dry_run == DryRun::None {
        let name = &change.name;
        log.warn(
            "Suspended",
            &format!("the request waits for \"searchop resume {name}\""),
        );
    }
    if !args.waiting.wait {
        return Ok(Exit::Done);
    }
    let asked = request.time;
    let end = |status: &RankingModelStatus| match action {
        ScheduleAction::Retrain => end_of_run(status, asked, log),
        ScheduleAction::RefreshTables => end_of_refresh(status, asked, log),
    };
    wait(&cluster, args, end, log).await
}

/// Newer than every request that was acted on, or it would be none: clocks differ, and two people
/// may ask within one second.
fn request(
    args: &AskRetrain,
    last: Option<&str>,
    now: Timestamp,
) -> Result<RetrainRequest, ClusterError> {
    let last: Option<RetrainRequest> = last.and_then(|text| text.parse().ok());
    let after = last.map(|last| last.time + SignedDuration::from_secs(1));
    let request = RetrainRequest {
        trigger: Trigger::Manual,
        requester: args.requester.clone().unwrap_or_else(user),
        replace: args.replace,
        if_data_changed: false,
        time: after.map_or(now, |after| after.max(now)),
    };
    // What the operator could not read it would leave alone.
    match request.to_string().parse::<RetrainRequest>() {
        Ok(_) => Ok(request),
        Err(error) => Err(ClusterError::Usage(error.to_string())),
    }
}

fn user() -> String {
    let name = std::env::var("USER").unwrap_or_default();
    let allowed = |c: &char| c.is_ascii_alphanumeric() || "._@-".contains(*c);
    let name: String = name.chars().filter(allowed).take(64).collect();
    if name.is_empty() {
        "searchop".to_owned()
    } else {
        name
    }
}

/// Waits until `end` says how it ended, and tells meanwhile how far the model's run is.
async fn wait(
    cluster: &Cluster,
    args: &AskRetrain,
    end: impl Fn(&RankingModelStatus) -> Option<Exit>,
    log: Log,
) -> Result<Exit, ClusterError> {
    let (begin, timeout) = (Instant::now(), args.waiting.timeout);
    let mut said = String::new();
    while begin.elapsed() < timeout {
        let model: RankingModel = cluster.get(&args.change.name).await?;
        if let Some(exit) = model.status.as_ref().and_then(&end) {
            return Ok(exit);
        }
        let step = attempt(&model);
        let step = step.map_or("for the operator".to_owned(), |attempt| attempt.to_string());
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

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::{
        args::{Cli, Command, Verb as Asked},
        cluster::testing::now,
        exit::Failure,
    };

    fn asked(more: &[&str]) -> AskRetrain {
        let line = ["searchop", "retrain", "products"].iter().chain(more);
        match Cli::try_parse_from(line).unwrap().command {
            Command::Cluster(Asked::Retrain(args)) => args,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_request_is_newer_than_what_was_acted_on() {
        let args = asked(&["--requester", "ada", "--replace"]);
        let fresh = request(&args, None, now()).unwrap();
        assert_eq!(fresh.to_string(), "Manual/ada!replace/2026-11-24T12:00:00Z");
        let ahead = "Schedule/weekly/2026-11-24T12:03:00Z";
        let later = request(&args, Some(ahead), now()).unwrap();
        assert_eq!(later.to_string(), "Manual/ada!replace/2026-11-24T12:03:01Z");
    }

    #[test]
    fn a_requester_that_the_operator_cannot_read_is_refused_here() {
        let error = request(&asked(&["--requester", "a b"]), None, now()).unwrap_err();
        assert_eq!(error.exit(), Exit::Usage);
        assert!(error.to_string().contains("requester \"a b\""), "{error}");
    }
}
