//! Random numbers that are the same on every machine: ChaCha, and arithmetic that IEEE 754 fixes
//! to the last bit. The platform's `exp` and `ln` are not, so they are not used.

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};

/// What numbers are drawn for. Each purpose and index has a stream of its own, so drawing more for
/// one thing changes nothing about another.
#[derive(Clone, Copy, Debug)]
pub enum Purpose {
    Product = 1,
    Query = 2,
    Shopper = 3,
    Day = 4,
    /// What the catalogue says about a product on a day.
    Listing = 5,
    ClientId = 6,
}

pub struct Draw(ChaCha8Rng);

impl Draw {
    pub fn new(seed: u64, purpose: Purpose, index: i64) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..16].copy_from_slice(&(purpose as u64).to_le_bytes());
        key[16..24].copy_from_slice(&index.to_le_bytes());
        Self(ChaCha8Rng::from_seed(key))
    }

    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Uniform in [0, 1).
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
    }

    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// Uniform in [low, high).
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Uniform in 0..count.
    pub fn below(&mut self, count: usize) -> usize {
        ((u128::from(self.bits()) * count as u128) >> 64) as usize
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// Standard normal to within what can be told apart here: the sum of twelve uniform numbers.
    pub fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }

    /// A place in `cumulative`, which holds running sums of weights.
    pub fn weighted(&mut self, cumulative: &[f64]) -> usize {
        let total = cumulative.last().copied().unwrap_or(0.0);
        let at = self.unit() * total;
        cumulative
            .partition_point(|sum| *sum <= at)
            .min(cumulative.len().saturating_sub(1))
    }
}

/// e to the power of `x`, for |x| below 700: 2^k · e^r with |r| ≤ ln 2 / 2, e^r as its series.
pub fn exp(x: f64) -> f64 {
    let doublings = (x / std::f64::consts::LN_2).round();
    let rest = x - doublings * std::f64::consts::LN_2;
    let mut series = 1.0;
    for n in (1..=14).rev() {
        series = 1.0 + series * rest / f64::from(n);
    }
    let power = f64::from_bits(((doublings as i64 + 1023) as u64) << 52);
    series * power
}

/// Between 0 and 1, rising with `x`.
pub fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + exp(-x))
}

/// Running sums.
pub fn cumulative(weights: impl IntoIterator<Item = f64>) -> Vec<f64> {
    weights
        .into_iter()
        .scan(0.0, |sum, weight| {
            *sum += weight;
            Some(*sum)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_is_fixed() {
        let mut draw = Draw::new(42, Purpose::Day, 20_000);
        let bits: Vec<u64> = (0..2).map(|_| draw.bits()).collect();
        assert_eq!(bits, [6_748_087_742_664_761_914, 1_386_893_021_757_198_372]);
        assert_ne!(Draw::new(42, Purpose::Day, 20_001).bits(), bits[0]);
        assert_ne!(Draw::new(42, Purpose::Query, 20_000).bits(), bits[0]);
        assert_ne!(Draw::new(43, Purpose::Day, 20_000).bits(), bits[0]);
    }

    #[test]
    fn exp_is_exact_enough() {
        for x in [-20.0, -1.5, -0.1, 0.0, 0.3, 1.0, 5.0, 12.25] {
            let ratio = exp(x) / f64::exp(x);
            assert!((ratio - 1.0).abs() < 1e-13, "{x}: {ratio}");
        }
    }

    #[test]
    fn moments() {
        let mut draw = Draw::new(1, Purpose::Product, 0);
        let normal: Vec<f64> = (0..20_000).map(|_| draw.normal()).collect();
        let mean = normal.iter().sum::<f64>() / 20_000.0;
        let variance = normal.iter().map(|x| x * x).sum::<f64>() / 20_000.0;
        assert!(
            mean.abs() < 0.03 && (variance - 1.0).abs() < 0.05,
            "{mean} {variance}"
        );

        let weights = cumulative([1.0, 0.0, 3.0]);
        let mut counts = [0; 3];
        (0..4000).for_each(|_| counts[draw.weighted(&weights)] += 1);
        assert!(
            counts[1] == 0 && (900..1100).contains(&counts[0]),
            "{counts:?}"
        );
    }
}
