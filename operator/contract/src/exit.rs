use serde::{Deserialize, Serialize};

/// How the trainer ends. The Job's podFailurePolicy is built from these, so a number never changes
/// its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    Done = 0,
    /// The job description or the command line is wrong. Never retried.
    BadConfig = 2,
    /// The data cannot be trained on. Never retried.
    BadData = 3,
    /// The model could not be evaluated. Never retried.
    EvaluationFailed = 4,
    /// Storage answered, and said no: not found, forbidden. Never retried.
    StorageRefused = 5,
    /// Storage did not answer. Retried up to the backoff limit.
    StorageUnavailable = 10,
}

impl ExitCode {
    /// The codes after which a retry cannot help.
    pub const FINAL: [Self; 4] = [
        Self::BadConfig,
        Self::BadData,
        Self::EvaluationFailed,
        Self::StorageRefused,
    ];

    pub fn code(self) -> u8 {
        self as u8
    }
}

/// Why a run failed: the reason word in conditions, events and status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum FailureReason {
    ConfigInvalid,
    DataInvalid,
    EvaluationFailed,
    StorageRefused,
    StorageUnavailable,
    /// The kernel ended the trainer at its memory limit.
    OOMKilled,
    DeadlineExceeded,
    /// The trainer ended in a way it does not announce (signal, panic, eviction), retries used up.
    TrainerCrashed,
    /// The Job was done, but no readable report was left.
    ReportMissing,
    /// The new version never became ready.
    RolloutFailed,
}

impl FailureReason {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ConfigInvalid => "ConfigInvalid",
            Self::DataInvalid => "DataInvalid",
            Self::EvaluationFailed => "EvaluationFailed",
            Self::StorageRefused => "StorageRefused",
            Self::StorageUnavailable => "StorageUnavailable",
            Self::OOMKilled => "OOMKilled",
            Self::DeadlineExceeded => "DeadlineExceeded",
            Self::TrainerCrashed => "TrainerCrashed",
            Self::ReportMissing => "ReportMissing",
            Self::RolloutFailed => "RolloutFailed",
        }
    }

    /// What an exit status means. `None` for 0 and for codes the trainer never uses.
    pub fn from_exit_code(code: i32) -> Option<Self> {
        match code {
            2 => Some(Self::ConfigInvalid),
            3 => Some(Self::DataInvalid),
            4 => Some(Self::EvaluationFailed),
            5 => Some(Self::StorageRefused),
            10 => Some(Self::StorageUnavailable),
            _ => None,
        }
    }
}

impl From<ExitCode> for Option<FailureReason> {
    fn from(code: ExitCode) -> Self {
        FailureReason::from_exit_code(code.code().into())
    }
}
