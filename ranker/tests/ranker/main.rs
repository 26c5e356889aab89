//! The ranker as its clients and Kubernetes see it: routes through the Router that the program
//! serves, and the program itself as a process.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod access;
mod artifacts;
mod bad_input;
mod client;
mod declared;
mod explain;
mod feature_log;
mod life;
mod object_store;
mod openapi;
mod process;
mod query_log;
mod rerank;
mod router;
mod routes;
mod rules;
mod traffic;
