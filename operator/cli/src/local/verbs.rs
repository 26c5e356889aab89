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
use searchop_api::{Outcome, RankingModel, Run, Trigger};
use searchop_lifecycle::RetrainRequest;

use super::{LocalError, render, state::StateDir};
use crate::{
    args::{self, Output},
    exit::Exit,
    terminal::Log,
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

/// Asks for a retrain, and waits for what comes of it where asked to.
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
        time: Timestamp::now(),
    };
    let token = request.to_string();
    state.request_retrain(&token)?;
    let name = model.metadata.name.as_deref().unwrap_or_default();
    log.info("Requested", &format!("a retrain of {name:?}"));
    if args.wait {
        await_outcome(&state, request.time, args.timeout, log)
    } else {
        Ok(Exit::Done)
    }
}

fn await_outcome(
    state: &StateDir,
    asked: Timestamp,
    timeout: Duration,
    log: Log,
) -> Result<Exit, LocalError> {
    let begin = Instant::now();
    while begin.elapsed() < timeout {
        let status = stored(state)?.status.unwrap_or_default();
        // A later request may have taken the place of ours; its run does what we asked for.
        let ours = status
            .run
            .filter(|run| requested(run).is_some_and(|time| time >= asked));
        if let Some((run, outcome)) = ours.and_then(|run| Some((run.clone(), run.outcome?))) {
            return Ok(say_outcome(&run, outcome, log));
        }
        if state.running()?.is_none() {
            return Err(LocalError::EndedMeanwhile);
        }
        sleep(PERIOD);
    }
    Err(LocalError::TimedOut(timeout.as_secs()))
}

/// When the retrain behind a run was asked for.
fn requested(run: &Run) -> Option<Timestamp> {
    let request: RetrainRequest = run.request_token.as_deref()?.parse().ok()?;
    Some(request.time)
}

fn say_outcome(run: &Run, outcome: Outcome, log: Log) -> Exit {
    let message = format!(
        "v{}: {}",
        run.version,
        run.message.as_deref().unwrap_or("no more is known")
    );
    match outcome {
        Outcome::Promoted | Outcome::Unchanged => log.info(outcome.as_str(), &message),
        _ => log.warn(outcome.as_str(), &message),
    }
    match outcome {
        Outcome::Promoted | Outcome::Unchanged => Exit::Done,
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

fn stored(state: &StateDir) -> Result<RankingModel, LocalError> {
    state
        .model()?
        .ok_or_else(|| LocalError::NoModel(state.root().to_owned()))
}
