//! Condition types and reasons: every word that status and events use.

/// Summary: a version answers, this generation is acted on, nothing is stuck.
pub const READY: &str = "Ready";
/// A version answers, whatever else is going on.
pub const SERVING: &str = "Serving";
/// Work towards this generation is under way.
pub const RECONCILING: &str = "Reconciling";
/// This generation will not be reached without a change by the user.
pub const STALLED: &str = "Stalled";
/// What the served model has seen is older than `freshness.maxAgeSeconds`.
pub const STALE: &str = "Stale";
/// How the newest finished run ended.
pub const LAST_RUN_SUCCEEDED: &str = "LastRunSucceeded";
/// The schedule can be read and its model exists.
pub const SCHEDULED: &str = "Scheduled";
