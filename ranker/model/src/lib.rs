//! What the trainer and the ranker must agree on to the last bit: text analysis, counters and
//! their smoothed rates, features, lookup tables, the forest and the artifact format.
//!
//! The trainer writes with this crate and the ranker reads with it, so that a row is computed by
//! the same code when it is trained on and when it is served.

pub mod artifact;
pub mod bundle;
pub mod counters;
pub mod feature_log;
pub mod features;
pub mod forest;
pub mod item;
pub mod lexicon;
pub mod linked;
pub mod reference;
pub mod replay;
pub mod schema;
pub mod store;
pub mod tables;
pub mod text;
mod text_cache;
pub mod texts;
