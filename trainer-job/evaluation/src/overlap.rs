//! How alike two orders are.

/// Of the next candidate that is looked at, the one after is looked at with this probability.
const PERSISTENCE: f64 = 0.9;

/// Rank-biased overlap (Webber et al. 2010) of the orders that two scorers give the same candidates:
/// 1 where they agree at every depth. The share of common candidates among the first d is weighted
/// by p^(d − 1), and the weights are normalised to the depth of the list. Equal scores keep the order
/// in which the candidates stand. `None` for an empty list or different lengths.
pub fn rank_biased_overlap(one: &[f64], other: &[f64]) -> Option<f64> {
    if one.is_empty() || one.len() != other.len() {
        return None;
    }
    let (first, second) = (order(one), order(other));
    let mut seen = vec![0_u8; one.len()];
    let (mut common, mut sum, mut weights, mut weight) = (0.0, 0.0, 0.0, 1.0);
    for (depth, (&a, &b)) in first.iter().zip(&second).enumerate() {
        for candidate in [a, b] {
            seen[candidate] += 1;
            if seen[candidate] == 2 {
                common += 1.0;
            }
        }
        sum += weight * common / (depth + 1) as f64;
        weights += weight;
        weight *= PERSISTENCE;
    }
    Some(sum / weights)
}

fn order(scores: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_order_is_one_and_the_top_counts_most() {
        let scores = [4.0, 3.0, 2.0, 1.0];
        assert_eq!(
            rank_biased_overlap(&scores, &[9.0, 8.0, 1.0, 0.0]),
            Some(1.0)
        );
        let top = rank_biased_overlap(&scores, &[3.0, 4.0, 2.0, 1.0]).unwrap();
        let bottom = rank_biased_overlap(&scores, &[4.0, 3.0, 1.0, 2.0]).unwrap();
        assert!(top < bottom && bottom < 1.0, "{top} {bottom}");
        // Depths 1 to 2: no common candidate, then both.
        let swapped = rank_biased_overlap(&[2.0, 1.0], &[1.0, 2.0]).unwrap();
        assert!((swapped - 0.9 / 1.9).abs() < 1e-12);
        assert_eq!(rank_biased_overlap(&[], &[]), None);
        assert_eq!(rank_biased_overlap(&[1.0], &[]), None);
    }
}
