//! The Kubernetes operator for `RankingModel` and `RetrainSchedule`.
//!
//! Each controller observes, lets `searchop-lifecycle` plan, executes and reports. Only `observe`,
//! `execute`, `reconcile` and `runtime` talk to the API server; everything in [`build`] is pure.

pub mod build;
pub mod cli;
pub mod model;
pub mod operator;
pub mod runtime;
pub mod schedule;
