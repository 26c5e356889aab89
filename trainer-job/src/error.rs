use searchop_contract::{ExitCode, FailureReason};
use searchop_model::store::StoreError;

/// Why a run ends without a model. The variant decides the exit status, and so whether a retry
/// can help; the text names the file or field, the value and what to do, and never a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrainError {
    /// The job description or the command line is wrong.
    #[error("{0}")]
    Config(String),
    /// The data cannot be trained on.
    #[error("{0}")]
    Data(String),
    /// The model could not be evaluated.
    #[error("{0}")]
    Evaluation(String),
    /// Storage answered, and said no.
    #[error("{0}")]
    StorageRefused(String),
    /// Storage did not answer.
    #[error("{0}")]
    StorageUnavailable(String),
}

impl TrainError {
    pub fn config(message: impl Into<String>) -> Self {
        Self::Config(message.into())
    }

    pub fn data(message: impl Into<String>) -> Self {
        Self::Data(message.into())
    }

    pub fn evaluation(message: impl Into<String>) -> Self {
        Self::Evaluation(message.into())
    }

    pub fn storage_refused(message: impl Into<String>) -> Self {
        Self::StorageRefused(message.into())
    }

    pub fn storage_unavailable(message: impl Into<String>) -> Self {
        Self::StorageUnavailable(message.into())
    }

    /// What the process ends with.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Config(_) => ExitCode::BadConfig,
            Self::Data(_) => ExitCode::BadData,
            Self::Evaluation(_) => ExitCode::EvaluationFailed,
            Self::StorageRefused(_) => ExitCode::StorageRefused,
            Self::StorageUnavailable(_) => ExitCode::StorageUnavailable,
        }
    }

    /// The reason word of the report.
    pub fn reason(&self) -> FailureReason {
        match self {
            Self::Config(_) => FailureReason::ConfigInvalid,
            Self::Data(_) => FailureReason::DataInvalid,
            Self::Evaluation(_) => FailureReason::EvaluationFailed,
            Self::StorageRefused(_) => FailureReason::StorageRefused,
            Self::StorageUnavailable(_) => FailureReason::StorageUnavailable,
        }
    }
}

impl From<StoreError> for TrainError {
    fn from(error: StoreError) -> Self {
        let message = error.to_string();
        match error.exit_code() {
            ExitCode::BadConfig => Self::Config(message),
            ExitCode::StorageUnavailable => Self::StorageUnavailable(message),
            _ => Self::StorageRefused(message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reason_and_exit_code_agree_with_the_contract() {
        let text = || "x".to_owned();
        for error in [
            TrainError::config(text()),
            TrainError::data(text()),
            TrainError::evaluation(text()),
            TrainError::storage_refused(text()),
            TrainError::storage_unavailable(text()),
        ] {
            assert_eq!(Option::from(error.exit_code()), Some(error.reason()));
        }
    }
}
