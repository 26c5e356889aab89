//! The other verbs: they read the folder and talk to the running `up` through it.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use searchop_api::{
    Outcome, RankingModel, RankingModelStatus, RefreshOutcome, Run, ScheduleAction, Trigger,
};
use searchop_lifecycle::RetrainRequest;

use super::{LocalError, render, state::StateDir};
use crate::{
    args::{self, Output},
    exit::Exit,
    terminal::Log,
    versions::{self, Kept, Question},
};

const PERIOD: Duration = Duration::from_millis(100);

/// Prints the model as `kubectl get` does, with conditions and history, or the whole record.
pub fn status(args: &args::Status, log: Log) -> Result<Exit, LocalError> {
    let state = StateDir::at(&args.folder.dir)?;
    let model = stored(&state)?;
    match args.output {
        Output::Table => print!("{}", render::status(&model, Timestamp::now())),
        Output::Json => println!(
            "{}",
            serde_json::to_string_pretty(&model).expect("a resource is JSON")
        ),
        Output::Yaml => {
            let text = serde_saphyr::to_string(&model)
                .map_err(|error| LocalError::Print(error.to_string()))?;
            println!("{}", text.trim_end());
        }
    }
    if state.running()?.is_none() {
        log.warn(
            "NotRunning",
            "this is what was stored; start with \"searchop local up -f FILE\"",
        );
    }
    Ok(Exit::Done)
}

/// Asks for a retrain or a refresh, and waits for what comes of it where asked to.
pub fn retrain(args: &args::Retrain, log: Log) -> Result<Exit, LocalError> {
    let state = StateDir::at(&args.folder.dir)?;
    let model = stored(&state)?;
    if state.running()?.is_none() {
        return Err(LocalError::NotRunning(args.folder.dir.clone()));
    }
    // The process id keeps two requests of one moment apart.
    let requester = format!("searchop-{}", std::process::id());
    let request = RetrainRequest {
        trigger: Trigger::Manual,
        requester,
        replace: false,
        if_data_changed: false,
        time: Timestamp::now(),
    };
    let token = request.to_string();
    let (action, what) = match args.refresh_tables {
        false => (ScheduleAction::Retrain, "a retrain"),
        true => (ScheduleAction::RefreshTables, "a refresh of the tables"),
    };
    state.request(action, &token)?;
    let name = model.metadata.name.as_deref().unwrap_or_default();
    log.info("Requested", &format!("{what} of {name:?}"));
    if !args.wait {
        return Ok(Exit::Done);
    }
    let asked = request.time;
    let end = |status: &RankingModelStatus| match action {
        ScheduleAction::Retrain => end_of_run(status, asked, log),
        ScheduleAction::RefreshTables => end_of_refresh(status, asked, log),
    };
    await_end(&state, args.timeout, end)
}

fn await_end(
    state: &StateDir,
    timeout: Duration,
    end: impl Fn(&RankingModelStatus) -> Option<Exit>,
) -> Result<Exit, LocalError> {
    let begin = Instant::now();
    while begin.elapsed() < timeout {
        if let Some(exit) = end(&stored(state)?.status.unwrap_or_default()) {
            return Ok(exit);
        }
        if state.running()?.is_none() {
            return Err(LocalError::EndedMeanwhile);
        }
        sleep(PERIOD);
    }
    Err(LocalError::TimedOut(timeout.as_secs()))
}

/// A later request may have taken the place of ours; what came of it is what we asked for.
fn is_ours(token: Option<&str>, asked: Timestamp) -> bool {
    let request = token.and_then(|token| token.parse::<RetrainRequest>().ok());
    request.is_some_and(|request| request.time >= asked)
}

/// How the run ended that was asked for at `asked` or later, after telling it.
pub fn end_of_run(status: &RankingModelStatus, asked: Timestamp, log: Log) -> Option<Exit> {
    let run = status.run.as_ref()?;
    let ours = is_ours(run.request_token.as_deref(), asked);
    Some(say_outcome(run, run.outcome.filter(|_| ours)?, log))
}

/// The same of a refresh.
pub fn end_of_refresh(status: &RankingModelStatus, asked: Timestamp, log: Log) -> Option<Exit> {
    let refresh = status.refresh.as_ref()?;
    let outcome = refresh
        .outcome
        .filter(|_| is_ours(Some(&refresh.request_token), asked))?;
    let message = refresh.message.as_deref().unwrap_or("no more is known");
    Some(match outcome {
        RefreshOutcome::Refreshed | RefreshOutcome::Unchanged => {
            log.info(outcome.as_str(), message);
            Exit::Done
        }
        RefreshOutcome::Failed | RefreshOutcome::Superseded => {
            log.warn(outcome.as_str(), message);
            Exit::Failed
        }
    })
}

fn say_outcome(run: &Run, outcome: Outcome, log: Log) -> Exit {
    let message = format!(
        "v{}: {}",
        run.version,
        run.message.as_deref().unwrap_or("no more is known")
    );
    match outcome {
        Outcome::Promoted | Outcome::Unchanged | Outcome::AwaitingApproval => {
            log.info(outcome.as_str(), &message)
        }
        _ => log.warn(outcome.as_str(), &message),
    }
    match outcome {
        Outcome::Promoted | Outcome::Unchanged | Outcome::AwaitingApproval => Exit::Done,
        Outcome::Rejected | Outcome::Inconclusive => Exit::Refused,
        Outcome::Failed | Outcome::Superseded => Exit::Failed,
    }
}

/// Stops the running `up` and waits until it is gone. Where nothing runs there is nothing to do.
pub fn down(args: &args::Down, log: Log) -> Result<Exit, LocalError> {
    let state = StateDir::at(&args.folder.dir)?;
    let Some(pid) = state.running()? else {
        log.info(
            "NotRunning",
            &format!("nothing runs in {:?}", args.folder.dir),
        );
        return Ok(Exit::Done);
    };
    if pid > 0 {
        // The lock tells that this process lives and is ours.
        let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
    }
    let begin = Instant::now();
    while state.running()?.is_some() {
        if begin.elapsed() > args.timeout {
            return Err(LocalError::TimedOut(args.timeout.as_secs()));
        }
        sleep(PERIOD);
    }
    log.info(
        "Stopped",
        &format!("state and versions are kept in {:?}", args.folder.dir),
    );
    Ok(Exit::Done)
}

/// Prints which version served when, with what the folder's artifacts tell.
pub fn versions(args: &args::LocalVersions, log: Log) -> Result<Exit, LocalError> {
    let state = StateDir::at(&args.folder.dir)?;
    let folder = state.artifacts();
    let question = Question {
        model: &stored(&state)?,
        kept: &Kept::read(&folder)?,
        place: &folder.display().to_string(),
        when: args.when,
    };
    versions::answer(&question, log)?;
    Ok(Exit::Done)
}

fn stored(state: &StateDir) -> Result<RankingModel, LocalError> {
    state
        .model()?
        .ok_or_else(|| LocalError::NoModel(state.root().to_owned()))
}
