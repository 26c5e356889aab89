//! The crate as its two users see it: forests, tables, artifacts and the bundle that ranks.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

#[path = "model/explain.rs"]
mod explain;
#[path = "model/forest.rs"]
mod forest;
#[path = "model/forest_text.rs"]
mod forest_text;
#[path = "model/fuzz.rs"]
mod fuzz;
#[path = "model/loading.rs"]
mod loading;
#[path = "model/mutants.rs"]
mod mutants;
#[path = "model/scorer.rs"]
mod scorer;
#[path = "model/shop.rs"]
mod shop;
#[path = "model/tables.rs"]
mod tables;
