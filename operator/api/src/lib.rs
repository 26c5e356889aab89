//! The custom resources `RankingModel` and `RetrainSchedule`: types only, no client.
//!
//! Every doc comment on a field ships to `kubectl explain`.

pub mod conditions;
mod crd;
pub mod figures;
mod model_selector;
mod ranking_model;
mod resources;
mod retrain_schedule;
mod status;

pub use crd::{crds, to_yaml};
pub use model_selector::*;
pub use ranking_model::*;
pub use resources::*;
pub use retrain_schedule::*;
pub use status::*;

/// API group of both kinds.
pub const GROUP: &str = "searchop.io";
