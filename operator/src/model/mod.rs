//! The RankingModel controller: observe → plan → execute → report.

mod controller;
mod drift;
mod execute;
mod job_state;
mod observe;
mod reconcile;
mod scrape;
mod serving_state;

pub use controller::run;
pub use drift::DriftReaders;
pub use reconcile::reconcile;
