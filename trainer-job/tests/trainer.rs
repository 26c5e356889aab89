//! The trainer as a whole: what rows may see, what a run publishes, how it ends, how good it is.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod trainer {
    mod check;
    mod cli;
    mod data;
    mod debias;
    mod declared;
    mod kept_counters;
    mod labels;
    mod point_in_time;
    mod quality;
    mod refresh;
    mod runs;
    mod scores;
    mod shop;
    mod shops;
    mod stages;
}
