//! Has the trainer look at the data that a model names, where they are here.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use jiff::Timestamp;
use searchop_api::RankingModel;
use searchop_contract::{Check, CheckOutcome, ExitCode, names};
use searchop_lifecycle::JobRequest;

use super::{LocalError, child::ending, job::local_job, programs, state::StateDir};

/// What the trainer finds, or one check that says why it did not look.
pub fn data_checks(
    model: &RankingModel,
    dir: &Path,
    trainer: Option<&Path>,
) -> Result<Vec<Check>, LocalError> {
    let state = StateDir::at(dir)?;
    let skipped = |message| Ok(vec![Check::new("Data", CheckOutcome::Skip, message)]);
    if let Some(message) = out_of_reach(model, &state) {
        return skipped(message);
    }
    let program = match programs::trainer(trainer) {
        Ok(program) => program,
        Err(missing) if trainer.is_none() => return skipped(missing.to_string()),
        Err(missing) => return Err(missing.into()),
    };
    let job = local_job(model, &first_run(), &state)?;
    let job = serde_json::to_string(&job).expect("a job is JSON");
    let failed = |error: std::io::Error| LocalError::Check(error.to_string());
    let output = Command::new(program)
        .arg("check")
        .env(names::JOB_ENV, job)
        .stdin(Stdio::null())
        .output()
        .map_err(failed)?;
    let code = output.status.code();
    let judged = [ExitCode::Done, ExitCode::BadData].map(|code| Some(i32::from(code.code())));
    if !judged.contains(&code) {
        let words = String::from_utf8_lossy(&output.stderr);
        let last = words.lines().last().unwrap_or_default();
        return Err(LocalError::Check(format!(
            "{}: {last}",
            ending(output.status)
        )));
    }
    let lines = output
        .stdout
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty());
    lines
        .map(serde_json::from_slice)
        .collect::<Result<_, _>>()
        .map_err(|error| LocalError::Check(format!("a line that is no check: {error}")))
}

/// Why the data cannot be read from here; `None` where they can be tried.
fn out_of_reach(model: &RankingModel, state: &StateDir) -> Option<String> {
    let sources = model.spec.data.sources.as_ref()?;
    let judgments = sources.judgments.as_ref().map(|source| &source.uri);
    let tables = [&sources.catalog.uri, &sources.events.uri].into_iter();
    let mut uris = tables.chain(judgments);
    uris.find_map(|uri| {
        if let Some(place) = uri.strip_prefix("pvc://") {
            let claim = state.volumes().join(place.split('/').next()?);
            (!claim.exists()).then(|| {
                format!(
                    "{uri:?} is on the cluster: make {} a link to its files",
                    claim.display()
                )
            })
        } else {
            let key = names::S3_ACCESS_KEY_ENV;
            let own = key.replace(names::S3_PREFIX, names::DATA_S3_PREFIX);
            let known = [key, &own]
                .iter()
                .any(|name| std::env::var_os(name).is_some());
            (!known).then(|| {
                format!(
                    "{uri:?} needs {own} and the other {}… here",
                    names::DATA_S3_PREFIX
                )
            })
        }
    })
}

/// The run that an apply would start now.
fn first_run() -> JobRequest {
    JobRequest {
        version: 1,
        refresh: 0,
        if_data_changed: false,
        evaluation: 0,
        attempt: 0,
        as_of_time: Timestamp::now(),
        reference: None,
        evaluate_only: None,
        promoted: Vec::new(),
        keep: vec![],
    }
}
