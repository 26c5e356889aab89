//! Kubernetes objects from a model and what it should serve or train: pure, total, and the only
//! place where their shape is decided.

mod artifacts;
mod deployment;
mod drift;
mod hpa;
mod job;
mod labels;
mod names;
mod pdb;
mod pod;
mod service;
mod traffic;

#[cfg(test)]
mod tests;

pub use deployment::{
    RANKER_CONTAINER, RANKER_IMAGE_ANNOTATION, SPEC_HASH_ANNOTATION, ServedDigests,
    TEMPLATE_HASH_ANNOTATION, deployment,
};
pub use drift::{DRIFT_KEY, drift};
pub use hpa::horizontal_pod_autoscaler;
pub use job::{TRAINER_CONTAINER, job};
pub use labels::{MANAGED, Owner, model_selector, ranker_selector};
pub use names::{drift_name, ranker_name, ranker_url};
pub use pdb::pod_disruption_budget;
pub use pod::Images;
pub use service::service;
pub use traffic::traffic;
