//! Random numbers of the shapes that worlds need.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

pub struct Draw(ChaCha8Rng);

impl Draw {
    pub fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// In [0, 1).
    pub fn uniform(&mut self) -> f64 {
        self.0.random()
    }

    pub fn below(&mut self, n: usize) -> usize {
        self.0.random_range(0..n)
    }

    /// Standard normal, by Box and Muller.
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// At least 1, with a heavy tail: P(n or more) falls as n^-1.1.
    pub fn traffic(&mut self, most: usize) -> usize {
        let heavy = (1.0 - self.uniform()).powf(-1.0 / 1.1);
        (heavy as usize).clamp(1, most)
    }
}
