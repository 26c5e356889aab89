//! The RankingModel controller: observe → plan → execute → report.

mod controller;
mod execute;
mod job_state;
mod observe;
mod reconcile;
mod scrape;
mod serving_state;

pub use controller::run;
pub use reconcile::reconcile;
