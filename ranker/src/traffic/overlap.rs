/// How much a rank weighs less than the one before, as in Webber, Moffat and Zobel, "A similarity
/// measure for indefinite rankings" (2010): with 0.9 the first ten have 86 % of the weight.
const PERSISTENCE: f64 = 0.9;
/// Below rank 100 the rest weighs less than 0.003 %.
const DEPTH: usize = 100;
/// What a searcher sees first.
const TOP: usize = 10;

/// How one order of the same candidates differs from another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Difference {
    /// Rank-biased overlap, extrapolated from the depth that is there (equation 23): 0 to 1, 1 for
    /// the same order.
    pub overlap: f64,
    /// Part of the first ten (or of all, where there are fewer) that the other order does not have
    /// there: 0 to 1.
    pub top_change: f64,
}

/// Compares two orders of the candidates `0..n`, each a permutation of them.
pub fn compare(answered: &[u32], other: &[u32]) -> Difference {
    let count = answered.len().min(other.len());
    let mut seen = vec![false; answered.len().max(other.len())];
    let (mut common, mut sum, mut weight) = (0.0, 0.0, 1.0);
    let (mut agreement, mut in_top) = (1.0, 0.0);
    for (rank, (a, b)) in answered.iter().zip(other).enumerate().take(DEPTH) {
        for candidate in [*a, *b] {
            let seen = &mut seen[candidate as usize];
            common += f64::from(u8::from(*seen));
            *seen = true;
        }
        let depth = (rank + 1) as f64;
        agreement = common / depth;
        sum += weight * agreement;
        weight *= PERSISTENCE;
        if rank < TOP {
            in_top = common;
        }
    }
    let top = count.clamp(1, TOP) as f64;
    Difference {
        overlap: (1.0 - PERSISTENCE) * sum + weight * agreement,
        top_change: match count {
            0 => 0.0,
            _ => 1.0 - in_top / top,
        },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-12
    }

    #[test]
    fn differences_are_those_of_the_definition() {
        let (p, up) = (PERSISTENCE, 1.0 - PERSISTENCE);
        let reversed: Vec<u32> = (0..20).rev().collect();
        for (answered, other, overlap, top_change) in [
            (vec![], vec![], 1.0, 0.0),
            (vec![0], vec![0], 1.0, 0.0),
            // A = 0, 1: (1 - p)(0 + p) + p² · 1
            (vec![0, 1], vec![1, 0], up * p + p * p, 0.0),
            // A = 1, 1/2, 1
            (
                vec![0, 1, 2],
                vec![0, 2, 1],
                up * (1.0 + p * 0.5 + p * p) + p.powi(3),
                0.0,
            ),
        ] {
            let found = compare(&answered, &other);
            assert!(
                close(found.overlap, overlap),
                "{answered:?} {other:?} {found:?}"
            );
            assert!(close(found.top_change, top_change), "{found:?}");
        }
        let order: Vec<u32> = (0..20).collect();
        assert_eq!(compare(&order, &reversed).top_change, 1.0);
        let mut swapped = order.clone();
        swapped.swap(9, 10);
        assert!(close(compare(&order, &swapped).top_change, 0.1));
    }

    proptest! {
        #[test]
        fn it_is_symmetric_bounded_and_one_for_the_same_order(
            order in Just((0..150u32).collect::<Vec<_>>()).prop_shuffle(), count in 0usize..150,
        ) {
            let same: Vec<u32> = (0..count as u32).collect();
            let other: Vec<u32> = order.into_iter().filter(|index| (*index as usize) < count).collect();
            let there = compare(&same, &other);
            prop_assert_eq!(there, compare(&other, &same));
            prop_assert!((0.0..=1.0 + 1e-12).contains(&there.overlap), "{there:?}");
            prop_assert!((0.0..=1.0).contains(&there.top_change), "{there:?}");
            let itself = compare(&other, &other);
            prop_assert!(close(itself.overlap, 1.0) && itself.top_change == 0.0);
        }

        /// The first ranks weigh most.
        #[test]
        fn a_swap_near_the_top_counts_more(high in 0usize..48) {
            let order: Vec<u32> = (0..50).collect();
            let swapped = |at: usize| {
                let mut other = order.clone();
                other.swap(at, at + 1);
                compare(&order, &other).overlap
            };
            prop_assert!(swapped(high) < swapped(high + 1));
        }
    }
}
