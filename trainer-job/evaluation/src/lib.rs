//! How good an order is, and how sure one may be of it.
//!
//! [`metrics`] says how good one list is; [`held_out`] puts the lists of a query key together and
//! makes the figures that a gate reads; [`statistics`] bounds them; [`clicks`] weighs what was
//! clicked by the chance that it was looked at; [`overlap`] compares two orders; [`report`] is what
//! people read of it. Pure: no files, no clock, the same input gives the same figures.

pub mod clicks;
pub mod held_out;
pub mod metrics;
pub mod overlap;
pub mod report;
pub mod statistics;

/// Six decimals are more than any list of queries can tell apart. `None` for what is no number.
pub fn rounded(value: f64) -> Option<f64> {
    // Adding zero turns -0.0 into 0.0.
    value.is_finite().then(|| (value * 1e6).round() / 1e6 + 0.0)
}
