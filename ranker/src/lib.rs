//! Answers `POST /rank` with one version of a ranking model.
//!
//! A process serves one model and never another: a new version is a new process. [`run()`] is the
//! whole program, [`app`] the routes it serves; tests use the same ones.

mod answer;
mod app;
mod body;
mod error;
mod head_deadline;
mod listen;
mod load;
mod metrics;
mod pool;
mod request;
mod run;
mod server;
mod settings;
mod state;
pub mod telemetry;

pub use app::{app, metrics_app};
pub use error::{ApiError, Kind};
pub use load::LoadError;
pub use metrics::Metrics;
pub use request::{Id, MAX_QUERY_CHARS, MAX_QUERY_ID_CHARS, RankRequest};
pub use run::{RunError, run};
pub use settings::{LogFormat, Settings};
pub use state::{Identity, Limits, Phase, Ranker};
