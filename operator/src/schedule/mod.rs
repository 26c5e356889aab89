//! The RetrainSchedule controller: it makes no Jobs, it asks its model for a retrain.

mod controller;
mod reconcile;

pub use controller::run;
pub use reconcile::reconcile;
