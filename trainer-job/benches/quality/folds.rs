//! Queries in five parts, drawn anew for each seed.

use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

/// Parts of a split: four are learned from, one is measured.
pub const FOLDS: usize = 5;

/// The fold of each of `queries` queries; sizes differ by one at most.
pub fn split(queries: usize, seed: u64) -> Vec<usize> {
    let mut folds: Vec<usize> = (0..queries).map(|query| query % FOLDS).collect();
    folds.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    folds
}
