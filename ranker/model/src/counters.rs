//! Counters of what shoppers did, and the smoothed rates that become features.
//!
//! Counters are integers that add, so any engine can compute them day by day in any order.
//! Something never shown has no rate: NaN, never 0.

use std::ops::{AddAssign, SubAssign};

use serde::{Deserialize, Serialize};

/// Positions are counted in these buckets: 1, 2, 3, 4, 5–6, 7–10, 11–20, 21–50, 51 and beyond or
/// unknown.
pub const POSITION_BUCKETS: usize = 9;
/// Complete days behind the `_7d` features.
pub const SHORT_WINDOW_DAYS: u32 = 7;
/// Complete days behind the `_30d` features.
pub const LONG_WINDOW_DAYS: u32 = 30;

/// What was shown less often under a query says too little about the pair: it has no counters.
pub const MIN_PAIR_IMPRESSIONS: u64 = 5;
/// Items of one query whose counters are kept, the most shown ones: a bound on the tables.
pub const MAX_QUERY_ITEMS: usize = 200;

/// How many impressions the prior click rate weighs.
const CTR_PRIOR_IMPRESSIONS: f64 = 20.0;
/// How many expected clicks the prior of COEC weighs.
const COEC_PRIOR_CLICKS: f64 = 2.0;
/// How many clicks the prior cart and purchase rates weigh.
const RATE_PRIOR_CLICKS: f64 = 10.0;
/// How many impressions the overall click rate weighs in a bucket's own.
const BUCKET_PRIOR_IMPRESSIONS: f64 = 100.0;

/// The bucket of a position; the first result has position 1.
pub fn position_bucket(position: Option<u32>) -> usize {
    match position {
        Some(exact @ 1..=4) => exact as usize - 1,
        Some(5..=6) => 4,
        Some(7..=10) => 5,
        Some(11..=20) => 6,
        Some(21..=50) => 7,
        _ => 8,
    }
}

/// What happened to one item, or to one item under one query, in some days.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Counters {
    /// Times shown, by [`position_bucket`].
    pub impressions: [u32; POSITION_BUCKETS],
    pub clicks: u32,
    pub carts: u32,
    pub purchases: u32,
}

impl Counters {
    /// Times shown anywhere.
    pub fn shown(&self) -> u64 {
        self.impressions.iter().map(|&count| u64::from(count)).sum()
    }

    /// Whether an item was shown often enough under a query for its counters to count.
    pub fn is_supported(&self) -> bool {
        self.shown() >= MIN_PAIR_IMPRESSIONS
    }

    pub fn is_zero(&self) -> bool {
        *self == Self::default()
    }

    /// The sum, or `None` where a counter would overflow.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.combine(other, u32::checked_add)
    }

    /// The difference, or `None` where a counter would fall below zero.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.combine(other, u32::checked_sub)
    }

    fn combine(mut self, other: Self, op: fn(u32, u32) -> Option<u32>) -> Option<Self> {
        for (own, others) in self.impressions.iter_mut().zip(other.impressions) {
            *own = op(*own, others)?;
        }
        self.clicks = op(self.clicks, other.clicks)?;
        self.carts = op(self.carts, other.carts)?;
        self.purchases = op(self.purchases, other.purchases)?;
        Some(self)
    }
}

/// Panics where a counter would overflow.
impl AddAssign for Counters {
    fn add_assign(&mut self, other: Self) {
        *self = self.checked_add(other).expect("a counter stays below 2^32");
    }
}

/// Panics where a counter would fall below zero.
impl SubAssign for Counters {
    fn sub_assign(&mut self, other: Self) {
        *self = self
            .checked_sub(other)
            .expect("only what was added is taken away");
    }
}

/// An item's counters over the two windows, both ending where the tables end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ItemHistory {
    /// The last [`SHORT_WINDOW_DAYS`].
    pub short: Counters,
    /// The last [`LONG_WINDOW_DAYS`].
    pub long: Counters,
}

/// All visible traffic of the long window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Totals {
    pub impressions: [u64; POSITION_BUCKETS],
    /// Clicks by the bucket of the position that was clicked.
    pub clicks: [u64; POSITION_BUCKETS],
    pub carts: u64,
    pub purchases: u64,
}

/// What is believed about something of which nothing has been seen yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Priors {
    totals: Totals,
    /// Clicks per impression over all positions.
    pub click_rate: f64,
    /// Clicks per impression by position bucket.
    pub bucket_click_rate: [f64; POSITION_BUCKETS],
    /// Carts per click.
    pub cart_rate: f64,
    /// Purchases per click.
    pub purchase_rate: f64,
}

impl Priors {
    /// The rates of all traffic; a bucket with little traffic leans on the overall click rate.
    pub fn from_totals(totals: &Totals) -> Self {
        let sum = |counts: &[u64; POSITION_BUCKETS]| {
            counts.iter().map(|&count| count as f64).sum::<f64>()
        };
        let (impressions, clicks) = (sum(&totals.impressions), sum(&totals.clicks));
        let click_rate = ratio(clicks, impressions);
        let bucket = |index: usize| {
            (totals.clicks[index] as f64 + BUCKET_PRIOR_IMPRESSIONS * click_rate)
                / (totals.impressions[index] as f64 + BUCKET_PRIOR_IMPRESSIONS)
        };
        Self {
            totals: *totals,
            click_rate,
            bucket_click_rate: std::array::from_fn(bucket),
            cart_rate: ratio(totals.carts as f64, clicks),
            purchase_rate: ratio(totals.purchases as f64, clicks),
        }
    }

    /// The counts that these rates were computed from: the exact form that is stored.
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// Clicks that the positions alone would have brought.
    pub fn expected_clicks(&self, counters: &Counters) -> f64 {
        counters
            .impressions
            .iter()
            .zip(self.bucket_click_rate)
            .map(|(&shown, rate)| f64::from(shown) * rate)
            .sum()
    }

    /// An item's rates, smoothed towards those of all traffic.
    pub fn item_rates(&self, counters: &Counters) -> Rates {
        let prior = Rates {
            ctr: self.click_rate,
            coec: 1.0,
            cart_rate: self.cart_rate,
            purchase_rate: self.purchase_rate,
            cart_coec: self.cart_rate,
            purchase_coec: self.purchase_rate,
        };
        self.rates(counters, &prior)
    }

    /// A query–item pair's rates, smoothed towards the item's own, or where the item was never
    /// shown towards those of all traffic.
    pub fn query_item_rates(&self, counters: &Counters, item: &Rates) -> Rates {
        if item.ctr.is_nan() {
            self.item_rates(counters)
        } else {
            self.rates(counters, item)
        }
    }

    fn rates(&self, counters: &Counters, prior: &Rates) -> Rates {
        let shown = counters.shown() as f64;
        if shown == 0.0 {
            return Rates::UNKNOWN;
        }
        let clicks = f64::from(counters.clicks);
        let expected = self.expected_clicks(counters);
        let smooth =
            |count: f64, of: f64, rate: f64, weight: f64| (count + weight * rate) / (of + weight);
        Rates {
            ctr: smooth(clicks, shown, prior.ctr, CTR_PRIOR_IMPRESSIONS),
            coec: smooth(clicks, expected, prior.coec, COEC_PRIOR_CLICKS),
            cart_rate: smooth(
                counters.carts.into(),
                clicks,
                prior.cart_rate,
                RATE_PRIOR_CLICKS,
            ),
            purchase_rate: smooth(
                counters.purchases.into(),
                clicks,
                prior.purchase_rate,
                RATE_PRIOR_CLICKS,
            ),
            cart_coec: smooth(
                counters.carts.into(),
                expected,
                prior.cart_coec,
                COEC_PRIOR_CLICKS,
            ),
            purchase_coec: smooth(
                counters.purchases.into(),
                expected,
                prior.purchase_coec,
                COEC_PRIOR_CLICKS,
            ),
        }
    }
}

fn ratio(count: f64, of: f64) -> f64 {
    if of > 0.0 { count / of } else { 0.0 }
}

/// Smoothed rates; all NaN for what was never shown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// Clicks per impression.
    pub ctr: f64,
    /// Clicks over the clicks expected from the positions alone; 1 is average.
    pub coec: f64,
    /// Carts per click.
    pub cart_rate: f64,
    /// Purchases per click.
    pub purchase_rate: f64,
    /// Carts over the clicks expected from the positions alone.
    pub cart_coec: f64,
    /// Purchases over the clicks expected from the positions alone.
    pub purchase_coec: f64,
}

impl Rates {
    /// The rates of what was never shown.
    pub const UNKNOWN: Self = Self {
        ctr: f64::NAN,
        coec: f64::NAN,
        cart_rate: f64::NAN,
        purchase_rate: f64::NAN,
        cart_coec: f64::NAN,
        purchase_coec: f64::NAN,
    };
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn totals() -> Totals {
        let mut totals = Totals {
            carts: 60,
            purchases: 20,
            ..Totals::default()
        };
        totals.impressions = [1000, 1000, 1000, 1000, 2000, 4000, 0, 0, 0];
        totals.clicks = [300, 150, 100, 80, 100, 70, 0, 0, 0];
        totals
    }

    fn at(bucket: usize, shown: u32, clicks: u32) -> Counters {
        let mut counters = Counters {
            clicks,
            ..Counters::default()
        };
        counters.impressions[bucket] = shown;
        counters
    }

    #[test]
    fn positions_fall_into_their_buckets() {
        let cases = [
            (1, 0),
            (2, 1),
            (3, 2),
            (4, 3),
            (5, 4),
            (6, 4),
            (7, 5),
            (10, 5),
            (11, 6),
            (20, 6),
            (21, 7),
            (50, 7),
            (51, 8),
            (u32::MAX, 8),
            (0, 8),
        ];
        for (position, bucket) in cases {
            assert_eq!(position_bucket(Some(position)), bucket, "{position}");
        }
        assert_eq!(position_bucket(None), 8);
    }

    #[test]
    fn never_shown_has_no_rate() {
        let priors = Priors::from_totals(&totals());
        assert!(priors.item_rates(&Counters::default()).ctr.is_nan());
        let item = priors.item_rates(&at(0, 10, 1));
        assert!(
            priors
                .query_item_rates(&Counters::default(), &item)
                .coec
                .is_nan()
        );
    }

    #[test]
    fn rates_of_an_empty_shop_are_numbers() {
        let priors = Priors::from_totals(&Totals::default());
        let rates = priors.item_rates(&at(8, 1, 0));
        assert_eq!((rates.ctr, rates.coec, rates.cart_rate), (0.0, 1.0, 0.0));
    }

    #[test]
    fn coec_forgives_a_bad_position() {
        let priors = Priors::from_totals(&totals());
        let (top, low) = (
            priors.item_rates(&at(0, 200, 20)),
            priors.item_rates(&at(5, 200, 20)),
        );
        assert_eq!(top.ctr, low.ctr);
        assert!(low.coec > 1.0 && top.coec < 1.0, "{top:?} {low:?}");
    }

    #[test]
    fn rates_are_exactly_the_documented_formulas() {
        let priors = Priors::from_totals(&totals());
        assert_eq!(priors.click_rate, 0.08);
        assert_eq!(priors.bucket_click_rate[0], (300.0 + 8.0) / 1100.0);
        assert_eq!(priors.bucket_click_rate[8], 0.08);
        assert_eq!(priors.cart_rate, 60.0 / 800.0);
        let counters = Counters {
            carts: 3,
            purchases: 1,
            ..at(0, 30, 6)
        };
        let rates = priors.item_rates(&counters);
        assert_eq!(rates.ctr, (6.0 + 20.0 * 0.08) / 50.0);
        assert_eq!(rates.coec, 8.0 / (30.0 * (308.0 / 1100.0) + 2.0));
        assert_eq!(rates.cart_rate, (3.0 + 10.0 * 0.075) / 16.0);
        assert_eq!(rates.purchase_rate, (1.0 + 10.0 * 0.025) / 16.0);
        let expected = 30.0 * (308.0 / 1100.0) + 2.0;
        assert_eq!(rates.cart_coec, (3.0 + 2.0 * 0.075) / expected);
        assert_eq!(rates.purchase_coec, (1.0 + 2.0 * 0.025) / expected);
        let pair = priors.query_item_rates(&at(0, 10, 0), &rates);
        assert_eq!(pair.ctr, 20.0 * rates.ctr / 30.0);
    }

    fn counters() -> impl Strategy<Value = Counters> {
        (
            prop::array::uniform9(0..1_000_000u32),
            0..1_000_000u32,
            0..1000u32,
            0..1000u32,
        )
            .prop_map(|(impressions, clicks, carts, purchases)| Counters {
                impressions,
                clicks,
                carts,
                purchases,
            })
    }

    proptest! {
        #[test]
        fn adding_commutes_and_taking_away_undoes_it(a in counters(), b in counters()) {
            let (mut ab, mut ba) = (a, b);
            ab += b;
            ba += a;
            prop_assert_eq!(ab, ba);
            prop_assert_eq!(ab.shown(), a.shown() + b.shown());
            ab -= b;
            prop_assert_eq!(ab, a);
            prop_assert_eq!(a.checked_sub(ba).is_some(), b.is_zero());
        }

        #[test]
        fn rates_are_finite_and_one_more_click_never_lowers_them(counters in counters()) {
            let priors = Priors::from_totals(&totals());
            prop_assume!(counters.shown() > 0);
            let rates = priors.item_rates(&counters);
            for rate in [rates.ctr, rates.coec, rates.cart_rate, rates.purchase_rate] {
                prop_assert!(rate.is_finite() && rate >= 0.0);
            }
            let more = priors.item_rates(&Counters { clicks: counters.clicks + 1, ..counters });
            prop_assert!(more.ctr >= rates.ctr && more.coec >= rates.coec);
        }
    }

    #[test]
    fn overflow_is_refused() {
        let full = at(0, u32::MAX, 0);
        assert_eq!(full.checked_add(at(0, 1, 0)), None);
        assert_eq!(at(0, 0, 0).checked_sub(at(1, 1, 0)), None);
    }
}
