//! The program as people run it: exit codes, messages, and the whole loop with the real trainer and
//! the real ranker.

#[path = "cli/client.rs"]
mod client;
#[path = "cli/manifests.rs"]
mod manifests;
#[path = "cli/shop.rs"]
mod shop;
#[path = "cli/whole_loop.rs"]
mod whole_loop;
