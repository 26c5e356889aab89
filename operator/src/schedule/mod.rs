//! The RetrainSchedule controller: it makes no Jobs, it asks its model for a retrain or a
//! refresh of its tables.

mod controller;
mod reconcile;

pub use controller::run;
pub use reconcile::reconcile;
