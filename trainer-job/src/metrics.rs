//! How good an order is. The conventions, once, for every figure this project prints:
//!
//! - A *list* is one answer to one query: candidates with a score and a label (0 nothing, 1 click,
//!   2 cart, 3 purchase). Candidates are ordered by falling score.
//! - **NDCG@k**: gain 2^label − 1, discount 1 / log2(rank + 1), divided by the best order's value.
//! - **MRR@k**: 1 / rank of the first candidate with a label > 0, 0 if that rank is beyond k.
//! - **MAP@k**: mean of the precision at each rank ≤ k that holds a label > 0, divided by
//!   min(positives, k).
//! - **Ties**: candidates with equal scores have no order of their own, so the figure is the
//!   expected value over all orders of the tied ones, in closed form. A scorer that says the same
//!   of everything is therefore exactly a random order.
//! - A list without a positive label has no right order: it has no figure and is left out.
//! - A score that is NaN sorts behind every number.

use searchop_contract::Metric;

/// Largest label.
pub const MAX_LABEL: u8 = 3;

/// The figure of one list, or `None` when no label is positive or the lengths differ.
pub fn measure(metric: Metric, k: u32, scores: &[f64], labels: &[u8]) -> Option<f64> {
    if scores.len() != labels.len() || labels.iter().all(|&label| label == 0) {
        return None;
    }
    let k = k as usize;
    let blocks = tied_blocks(scores, labels);
    Some(match metric {
        Metric::NDCG => normalised(&blocks, labels, k, gain),
        Metric::MRR => reciprocal_rank(&blocks, k),
        Metric::MAP => average_precision(&blocks, k),
    })
}

/// NDCG@k with gains of one's own, by label; `None` where no label has a gain or the lengths differ.
pub fn ndcg(k: u32, scores: &[f64], labels: &[u8], gains: &[f64; 4]) -> Option<f64> {
    let gain = |label: u8| gains[usize::from(label.min(MAX_LABEL))];
    if scores.len() != labels.len() || labels.iter().all(|&label| gain(label) == 0.0) {
        return None;
    }
    let blocks = tied_blocks(scores, labels);
    Some(normalised(&blocks, labels, k as usize, gain))
}

fn normalised(blocks: &[Block], labels: &[u8], k: usize, gain: impl Fn(u8) -> f64) -> f64 {
    dcg(blocks, k, &gain) / ideal_dcg(labels, k, &gain)
}

/// Candidates with one score: they share the ranks `before + 1 ..= before + labels.len()`.
struct Block {
    before: usize,
    labels: Vec<u8>,
}

impl Block {
    fn positives(&self) -> usize {
        self.labels.iter().filter(|&&label| label > 0).count()
    }

    /// Ranks of the block that are within the cut-off, counted from 1.
    fn ranks(&self, k: usize) -> std::ops::Range<usize> {
        self.before + 1..(self.before + self.labels.len()).min(k) + 1
    }
}

fn sort_key(score: f64) -> f64 {
    if score.is_nan() {
        f64::NEG_INFINITY
    } else {
        score
    }
}

fn tied_blocks(scores: &[f64], labels: &[u8]) -> Vec<Block> {
    let key = |index: usize| sort_key(scores[index]);
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| key(b).total_cmp(&key(a)));
    let mut blocks: Vec<Block> = Vec::new();
    let mut current = f64::NAN;
    for (rank, &index) in order.iter().enumerate() {
        // `==` and not bits: 0.0 and -0.0 are the same score.
        if key(index) == current {
            let block = blocks.last_mut().expect("a score was seen before");
            block.labels.push(labels[index]);
        } else {
            current = key(index);
            blocks.push(Block {
                before: rank,
                labels: vec![labels[index]],
            });
        }
    }
    blocks
}

/// What a candidate of this label is worth.
pub fn gain(label: u8) -> f64 {
    f64::from((1_u32 << label.min(MAX_LABEL)) - 1)
}

fn discount(rank: usize) -> f64 {
    1.0 / ((rank + 1) as f64).log2()
}

/// The discount of every candidate's rank, expected over the orders of those it is tied with; 0
/// beyond rank `k`.
pub fn discounts(k: usize, scores: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| sort_key(scores[b]).total_cmp(&sort_key(scores[a])));
    let mut discounts = vec![0.0; scores.len()];
    let mut before = 0;
    for tied in order.chunk_by(|&a, &b| sort_key(scores[a]) == sort_key(scores[b])) {
        let ranks = before + 1..(before + tied.len()).min(k) + 1;
        let mean = ranks.map(discount).sum::<f64>() / tied.len() as f64;
        for &index in tied {
            discounts[index] = mean;
        }
        before += tied.len();
    }
    discounts
}

fn dcg(blocks: &[Block], k: usize, gain: &impl Fn(u8) -> f64) -> f64 {
    let of_block = |block: &Block| {
        let mean_gain =
            block.labels.iter().map(|&label| gain(label)).sum::<f64>() / block.labels.len() as f64;
        block.ranks(k).map(discount).sum::<f64>() * mean_gain
    };
    blocks.iter().map(of_block).sum()
}

fn ideal_dcg(labels: &[u8], k: usize, gain: &impl Fn(u8) -> f64) -> f64 {
    let mut labels = labels.to_vec();
    labels.sort_unstable_by(|a, b| b.cmp(a));
    labels
        .iter()
        .take(k)
        .enumerate()
        .map(|(index, &label)| gain(label) * discount(index + 1))
        .sum()
}

fn reciprocal_rank(blocks: &[Block], k: usize) -> f64 {
    let Some(block) = blocks.iter().find(|block| block.positives() > 0) else {
        return 0.0;
    };
    let positives = block.positives() as f64;
    let mut expected = 0.0;
    // Probability that none of the block's earlier ranks held a positive.
    let mut none_yet = 1.0;
    for rank in block.ranks(k) {
        let left = (block.before + block.labels.len() + 1 - rank) as f64;
        let here = (positives / left).min(1.0);
        expected += none_yet * here / rank as f64;
        none_yet *= 1.0 - here;
    }
    expected
}

fn average_precision(blocks: &[Block], k: usize) -> f64 {
    let mut positives_before = 0;
    let mut sum = 0.0;
    for block in blocks {
        let (size, positives) = (block.labels.len() as f64, block.positives());
        if positives > 0 {
            // Of the ranks above one positive inside the block, this share is positive too.
            let share = if size > 1.0 {
                (positives - 1) as f64 / (size - 1.0)
            } else {
                0.0
            };
            for rank in block.ranks(k) {
                let above = (rank - 1 - block.before) as f64;
                let found = f64::from(positives_before) + 1.0 + above * share;
                sum += positives as f64 / size * found / rank as f64;
            }
        }
        positives_before += u32::try_from(positives).expect("a list is far shorter than 2^32");
    }
    sum / f64::from(positives_before).min(k as f64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn close(got: Option<f64>, want: f64) {
        let got = got.unwrap();
        assert!((got - want).abs() < 1e-12, "got {got}, want {want}");
    }

    #[test]
    fn hand_computed_lists() {
        // Order by score: labels 0, 3, 0, 1.
        let scores = [0.1, 0.9, 0.5, 0.7];
        let labels = [1, 0, 0, 3];
        let log3 = 3_f64.log2();
        let log5 = 5_f64.log2();
        let ideal = 7.0 + 1.0 / log3;
        close(
            measure(Metric::NDCG, 10, &scores, &labels),
            (7.0 / log3 + 1.0 / log5) / ideal,
        );
        close(measure(Metric::NDCG, 1, &scores, &labels), 0.0);
        close(
            measure(Metric::NDCG, 2, &scores, &labels),
            (7.0 / log3) / ideal,
        );
        close(measure(Metric::MRR, 10, &scores, &labels), 0.5);
        close(measure(Metric::MRR, 1, &scores, &labels), 0.0);
        close(
            measure(Metric::MAP, 10, &scores, &labels),
            (0.5 + 0.5) / 2.0,
        );
        close(measure(Metric::MAP, 2, &scores, &labels), 0.5 / 2.0);
        // One result asked for: at most one positive can be found.
        close(measure(Metric::MAP, 1, &[0.9, 0.1], &[1, 1]), 1.0);
    }

    #[test]
    fn the_right_order_is_one_and_a_list_without_a_positive_is_left_out() {
        for metric in [Metric::NDCG, Metric::MRR, Metric::MAP] {
            close(
                measure(metric, 3, &[4.0, 3.0, 2.0, 1.0], &[3, 2, 1, 0]),
                1.0,
            );
            assert_eq!(measure(metric, 3, &[4.0, 3.0], &[0, 0]), None);
            assert_eq!(measure(metric, 3, &[], &[]), None);
            assert_eq!(measure(metric, 3, &[1.0], &[0, 1]), None);
        }
    }

    #[test]
    fn two_tied_candidates_are_the_mean_of_both_orders() {
        let labels = [3, 0];
        for metric in [Metric::NDCG, Metric::MRR, Metric::MAP] {
            let one = measure(metric, 10, &[2.0, 1.0], &labels).unwrap();
            let other = measure(metric, 10, &[1.0, 2.0], &labels).unwrap();
            close(
                measure(metric, 10, &[1.0, 1.0], &labels),
                (one + other) / 2.0,
            );
        }
        close(measure(Metric::MRR, 10, &[-0.0, 0.0], &labels), 0.75);
    }

    #[test]
    fn a_score_that_is_no_number_comes_last() {
        close(measure(Metric::MRR, 10, &[f64::NAN, 1.0], &[1, 0]), 0.5);
        close(measure(Metric::MRR, 10, &[f64::NAN, -1e300], &[0, 1]), 1.0);
    }

    /// Every order of the tied candidates, made by breaking ties in each possible way.
    fn mean_over_orders(metric: Metric, k: u32, scores: &[f64], labels: &[u8]) -> f64 {
        let mut figures = Vec::new();
        permutations(scores.len(), &mut Vec::new(), &mut |order| {
            let mut broken = scores.to_vec();
            for (place, &index) in order.iter().enumerate() {
                broken[index] -= place as f64 * 1e-6;
            }
            figures.push(measure(metric, k, &broken, labels).unwrap());
        });
        figures.iter().sum::<f64>() / figures.len() as f64
    }

    fn permutations(n: usize, prefix: &mut Vec<usize>, visit: &mut impl FnMut(&[usize])) {
        if prefix.len() == n {
            return visit(prefix);
        }
        for next in 0..n {
            if !prefix.contains(&next) {
                prefix.push(next);
                permutations(n, prefix, visit);
                prefix.pop();
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        #[test]
        fn ties_are_the_expected_value(
            list in prop::collection::vec((0_u8..3, 0_u8..4), 1..6),
            k in 1_u32..7,
        ) {
            let scores: Vec<f64> = list.iter().map(|(score, _)| f64::from(*score)).collect();
            let labels: Vec<u8> = list.iter().map(|(_, label)| *label).collect();
            prop_assume!(labels.iter().any(|&label| label > 0));
            for metric in [Metric::NDCG, Metric::MRR, Metric::MAP] {
                let got = measure(metric, k, &scores, &labels).unwrap();
                let want = mean_over_orders(metric, k, &scores, &labels);
                prop_assert!((got - want).abs() < 1e-9, "{metric}: got {got}, want {want}");
                prop_assert!((0.0..=1.0 + 1e-12).contains(&got));
            }
        }
    }
}
