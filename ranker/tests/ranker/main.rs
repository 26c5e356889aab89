//! The ranker as its clients and Kubernetes see it: routes through the Router that the program
//! serves, and the program itself as a process.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod artifacts;
mod client;
mod life;
mod object_store;
mod process;
mod routes;
