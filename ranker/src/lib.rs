//! Answers `POST /rank`, and rerank requests in the shapes of others, with the versions of a ranking
//! model that the process was started with.
//!
//! A process never loads another version: that is a new process. Which of its versions answers whom
//! is in a file that may change. [`run()`] is the whole program, [`app`] the routes it serves; tests
//! use the same ones.

mod answer;
mod apart;
mod app;
mod auth;
mod body;
mod error;
mod feature_log;
mod head_deadline;
mod histograms;
mod id;
mod json;
mod listen;
mod load;
mod metrics;
mod openapi;
mod pool;
mod query_log;
mod records;
mod request;
mod rules;
mod run;
mod server;
mod settings;
mod state;
pub mod telemetry;
mod tls;
mod traffic;
mod watched;

pub use app::{app, metrics_app};
pub use auth::Tokens;
pub use error::{ApiError, Kind};
pub use id::Id;
pub use load::LoadError;
pub use metrics::Metrics;
pub use openapi::document as openapi;
pub use records::{RecordCounters, Records, Sink};
pub use request::{MAX_EXPLAINED, MAX_QUERY_CHARS, MAX_QUERY_ID_CHARS, RankRequest, RerankRequest};
pub use run::{RunError, run};
pub use settings::{LogFormat, Settings};
pub use state::{Identity, Limits, Phase, Ranker};
pub use traffic::{Shadow, SharesError, TrafficFile, Versions};
