//! How old the counters are that a list sees. Tables that serve are as old as their last rebuilding, so
//! trees that only ever saw those of the day before would trust the ones of last week too much.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use searchop_contract::CounterLag;

use crate::lists::List;

/// Apart from what else is drawn from the seed.
const STREAM: u64 = 1;

/// Draws for each list how many days before its own its counters end. The same seed and lists draw
/// the same days.
pub fn draw(lists: &mut [List], lag: CounterLag, seed: u32) {
    let mut random = ChaCha8Rng::seed_from_u64(seed.into());
    random.set_stream(STREAM);
    for list in lists {
        let days = random.random_range(lag.min_days..=lag.max_days);
        list.seen_through = list.day - i32::try_from(days).expect("lags are checked to be short");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slices::Slice;

    fn drawn(min_days: u32, max_days: u32, seed: u32) -> Vec<i32> {
        let list = |day| List {
            declared: Vec::new(),
            slice: Slice::Train,
            query: 0,
            day,
            seen_through: day - 1,
            time: 0,
            candidates: vec![],
        };
        let mut lists: Vec<List> = (0..7000).map(list).collect();
        let lag = CounterLag { min_days, max_days };
        draw(&mut lists, lag, seed);
        let lag_of = |list: &List| list.day - list.seen_through;
        lists.iter().map(lag_of).collect()
    }

    #[test]
    fn every_age_is_as_likely_and_the_seed_decides() {
        let lags = drawn(1, 7, 42);
        for age in 1..=7 {
            let share = lags.iter().filter(|lag| **lag == age).count() as f64 / 7000.0;
            assert!((share - 1.0 / 7.0).abs() < 0.02, "{age}: {share}");
        }
        assert_eq!(lags, drawn(1, 7, 42));
        assert_ne!(lags, drawn(1, 7, 43));
    }

    #[test]
    fn late_data_are_never_seen_early() {
        assert!(drawn(3, 3, 42).iter().all(|lag| *lag == 3));
        assert!(drawn(3, 9, 42).iter().all(|lag| (3..=9).contains(lag)));
    }
}
