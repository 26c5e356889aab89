//! The trainer as a whole: what rows may see, what a run publishes, how it ends, how good it is.

mod trainer {
    mod cli;
    mod data;
    mod point_in_time;
    mod quality;
    mod runs;
    mod scores;
    mod shop;
    mod shops;
    mod stages;
}
