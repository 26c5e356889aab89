//! How a run ends for those who wait for it: the report and the exit status.

use std::{
    any::Any,
    fs,
    path::{Path, PathBuf},
};

use searchop_contract::{ExitCode, Failure, FailureReason, TrainingReport, names::REPORT_PATH};

use crate::error::TrainError;

/// Longest message of a failure, in bytes.
const MAX_MESSAGE: usize = 1024;
/// Exit status after a panic: none of the contract's, so it reads as a crash.
pub const PANICKED: u8 = 101;

/// Where the report goes: the asked file, else the container's termination message where there is
/// one.
pub fn report_path(asked: Option<PathBuf>) -> Option<PathBuf> {
    asked.or_else(|| Some(PathBuf::from(REPORT_PATH)).filter(|path| path.exists()))
}

/// The report of a run that failed.
pub fn failed(version: u32, reason: FailureReason, message: &str) -> TrainingReport {
    let failure = Failure {
        reason,
        message: cut(message, MAX_MESSAGE),
    };
    TrainingReport {
        version,
        failure: Some(failure),
        ..TrainingReport::default()
    }
}

/// Writes the report in place: a termination message is a mount that cannot be renamed over.
pub fn write(path: &Path, report: &TrainingReport) -> Result<(), TrainError> {
    fs::write(path, encode(report)).map_err(|error| {
        TrainError::storage_unavailable(format!("report {path:?} cannot be written: {error}"))
    })
}

/// At most [`TrainingReport::MAX_BYTES`]. Only a failure's message can be longer, by its escapes.
fn encode(report: &TrainingReport) -> Vec<u8> {
    let mut report = report.clone();
    loop {
        let bytes = serde_json::to_vec(&report).expect("a report has string keys");
        match &mut report.failure {
            Some(failure) if bytes.len() > TrainingReport::MAX_BYTES => {
                failure.message = cut(&failure.message, failure.message.len() / 2);
            }
            _ => return bytes,
        }
    }
}

fn cut(message: &str, bytes: usize) -> String {
    let mut end = message.len().min(bytes);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    message[..end].to_owned()
}

/// What a panic said.
pub fn panic_message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied().map(str::to_owned);
    let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
    format!(
        "the trainer crashed: {}",
        text.unwrap_or_else(|| "no message".to_owned())
    )
}

/// The exit status of a result.
pub fn exit_code<T>(result: &Result<T, TrainError>) -> u8 {
    result
        .as_ref()
        .map_or_else(TrainError::exit_code, |_| ExitCode::Done)
        .code()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_fits_a_termination_message() {
        for message in ["x".repeat(5000), "\u{1}".repeat(5000), "ü\"".repeat(3000)] {
            let report = failed(7, FailureReason::DataInvalid, &message);
            assert!(report.failure.as_ref().unwrap().message.len() <= 1024);
            let parsed = TrainingReport::parse(&encode(&report)).unwrap();
            assert!(message.starts_with(&parsed.failure.unwrap().message));
        }
    }

    #[test]
    fn a_panic_is_told() {
        let payload = std::panic::catch_unwind(|| panic!("index {} is out", 3)).unwrap_err();
        assert_eq!(
            panic_message(payload.as_ref()),
            "the trainer crashed: index 3 is out"
        );
    }
}
