//! Local mode: the second executor of the plan, with processes and folders.

mod apply;
mod check;
mod child;
mod figures;
mod job;
mod observe;
mod programs;
mod ranker;
pub(crate) mod render;
mod schedule;
mod serving;
mod signals;
mod socket;
pub(crate) mod state;
mod trainer;
mod up;
mod verbs;
mod watch;

pub use check::data_checks;
pub use up::up;
pub use verbs::{down, end_of_refresh, end_of_run, retrain, status, versions};

use crate::{
    cluster::ClusterError,
    exit::{Exit, Failure},
    manifest::ManifestError,
};

#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    #[error(transparent)]
    Apply(#[from] apply::ApplyError),
    #[error(transparent)]
    Program(#[from] programs::MissingProgram),
    #[error(transparent)]
    State(#[from] state::StateError),
    #[error(transparent)]
    Socket(#[from] socket::SocketError),
    #[error(transparent)]
    Child(#[from] child::ChildError),
    #[error(transparent)]
    Trainer(#[from] trainer::TrainerError),
    #[error(transparent)]
    Job(#[from] searchop_lifecycle::JobError),
    #[error("check the data: the trainer ended with {0}")]
    Check(String),
    #[error("print the model: {0}")]
    Print(String),
    #[error(transparent)]
    Versions(#[from] ClusterError),
    #[error("listen for signals: {0}")]
    Signals(std::io::Error),
    #[error("nothing is in {0:?}; start with \"searchop local up -f FILE\"")]
    NoModel(std::path::PathBuf),
    #[error("nothing runs in {0:?}; start it with \"searchop local up -f FILE\"")]
    NotRunning(std::path::PathBuf),
    #[error("\"searchop local up\" ended before the retrain did; start it again and it goes on")]
    EndedMeanwhile,
    #[error("no end after {0} s; what was asked for goes on")]
    TimedOut(u64),
}

impl Failure for LocalError {
    fn exit(&self) -> Exit {
        match self {
            Self::Manifest(error) => error.exit(),
            Self::Apply(_) => Exit::Refused,
            Self::NoModel(_) | Self::NotRunning(_) => Exit::NotFound,
            Self::Versions(error) => error.exit(),
            Self::TimedOut(_) => Exit::TimedOut,
            _ => Exit::Failed,
        }
    }
}
