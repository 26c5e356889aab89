//! The API as users and API servers see it: the generated definitions.

#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

#[path = "api/rules.rs"]
mod rules;
#[path = "api/samples.rs"]
mod samples;
#[path = "api/schedules.rs"]
mod schedules;
#[path = "api/schema.rs"]
mod schema;
#[path = "api/written.rs"]
mod written;
