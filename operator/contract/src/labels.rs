//! Labels and annotations on everything the operator makes.

pub const NAME: &str = "app.kubernetes.io/name";
pub const INSTANCE: &str = "app.kubernetes.io/instance";
pub const COMPONENT: &str = "app.kubernetes.io/component";
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
pub const MANAGER: &str = "searchop";

/// UID of the RankingModel, so that a re-created model never adopts its predecessor's children.
pub const MODEL_UID: &str = "searchop.io/model-uid";
/// Which of a model's Deployments a pod belongs to; part of the selector.
pub const TRACK: &str = "searchop.io/track";
pub const TRACK_STABLE: &str = "stable";
/// Version a Job trains or a pod serves.
pub const VERSION: &str = "searchop.io/version";
/// Number of the refresh that a Job rebuilds tables for, instead of a version.
pub const REFRESH: &str = "searchop.io/refresh";
/// Digest that a Deployment's template serves.
pub const DIGEST: &str = "searchop.io/digest";

/// Annotation on a RankingModel that asks for a retrain: `<Trigger>/<requester>/<RFC 3339 time>`.
pub const RETRAIN_REQUESTED: &str = "searchop.io/retrain-requested";
/// The same for a refresh of the tables. An annotation of its own, or one request would take the
/// place of the other.
pub const REFRESH_REQUESTED: &str = "searchop.io/refresh-requested";
