//! Trains one model version: load → features → train → evaluate → publish.
//!
//! [`data`] and [`shop`] bring the catalogue and the click log; [`traffic`], [`stage_a`], [`kept_counters`],
//! [`history`], [`slices`], [`lists`] and [`rows`] make rows of them, which [`prepare`] puts
//! together; [`propensity`] and [`position_bias`] tell what positions are worth; [`boosting`]
//! trains, with the parameters that `tuning` finds where it is asked to; [`evaluate`] judges with [`searchop_evaluation`]; [`publish`] seals and stores; `refresh`
//! gives a published model newer tables.
//! [`mod@run`] does all of it for one [`job`]; [`folder`] keeps what is made on the way for who works
//! stage by stage.

pub mod boosting;
pub mod check;
pub mod counter_lag;
pub mod data;
pub mod dropout;
pub mod encoding;
pub mod error;
pub mod evaluate;
pub mod folder;
pub mod history;
pub mod job;
pub mod kept_counters;
pub mod lists;
pub mod outcome;
pub mod position_bias;
pub mod prepare;
pub mod progress;
pub mod propensity;
pub mod publish;
mod refresh;
pub mod rows;
pub mod run;
pub mod shop;
pub mod slices;
pub mod stage_a;
pub mod termination;
pub mod threads;
pub mod traffic;
mod tuning;

pub use searchop_evaluation::metrics;
