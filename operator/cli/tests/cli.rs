//! The program as people run it: exit codes, messages, and the whole loop with the real trainer and
//! the real ranker.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on must fail where it stands"
)]

#[path = "cli/client.rs"]
mod client;
#[path = "cli/drift.rs"]
mod drift;
#[path = "cli/import.rs"]
mod import;
#[path = "cli/manifests.rs"]
mod manifests;
#[path = "cli/shop.rs"]
mod shop;
#[path = "cli/validate.rs"]
mod validate;
#[path = "cli/whole_loop.rs"]
mod whole_loop;
