//! How good an order is. The conventions, once, for every figure this project prints:
//!
//! - A *list* is one answer to one query: candidates with a score and a label (0 nothing, 1 click,
//!   2 cart, 3 purchase; or a person's grade of 0 to 3). Candidates are ordered by falling score. A
//!   candidate is *positive* where its label is above 0.
//! - **NDCG@k**: gain 2^label − 1, discount 1 / log2(rank + 1), divided by the best order's value.
//! - **MRR@k**: 1 / rank of the first positive, 0 if that rank is beyond k.
//! - **MAP@k**: mean of the precision at each rank ≤ k that holds a positive, divided by
//!   min(positives, k).
//! - **Recall@k**: share of the positives that are at ranks ≤ k.
//! - **ERR@k** (Chapelle et al. 2009): a shopper goes down the list and stops at a candidate with
//!   probability (2^label − 1) / 2^3; expected value of 1 / rank of the stop, 0 beyond k.
//! - **Ties**: candidates with equal scores have no order of their own, so the figure is the
//!   expected value over all orders of the tied ones, in closed form. A scorer that says the same
//!   of everything is therefore exactly a random order.
//! - A list without a positive label has no right order: it has no figure and is left out.
//! - A score that is NaN sorts behind every number.
//! - **Weights**: see [`Weighted`].

use std::ops::Range;

use searchop_contract::Metric;

/// Largest label.
pub const MAX_LABEL: u8 = 3;

/// The figure of one list, or `None` when no label is positive or the lengths differ.
pub fn measure(metric: Metric, k: u32, scores: &[f64], labels: &[u8]) -> Option<f64> {
    let list = Weighted {
        scores,
        labels,
        weights: &[],
    };
    let Part { value, best } = list.measure(metric, k)?;
    Some(value / best)
}

/// NDCG@k with gains of one's own, by label; `None` where no label has a gain or the lengths differ.
pub fn ndcg(k: u32, scores: &[f64], labels: &[u8], gains: &[f64; 4]) -> Option<f64> {
    let gain = |label: u8| gains[usize::from(label.min(MAX_LABEL))];
    if scores.len() != labels.len() || labels.iter().all(|&label| gain(label) == 0.0) {
        return None;
    }
    let k = k as usize;
    let value = Ranked::new(scores, labels).sum(k, |index| gain(labels[index]), discount);
    let gains: Vec<f64> = labels.iter().map(|&label| gain(label)).collect();
    Some(value / ideal_dcg(gains, k))
}

/// A list whose positives count by weight. An inverse propensity says how many positives stand
/// behind one that was seen, because as many more were never looked at.
#[derive(Clone, Copy, Debug)]
pub struct Weighted<'a> {
    pub scores: &'a [f64],
    pub labels: &'a [u8],
    /// One for each candidate, above 0; all are 1 where this is empty.
    pub weights: &'a [f64],
}

/// What a list adds to a self-normalised figure, which is Σ value / Σ best over lists.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Part {
    pub value: f64,
    /// What the best order would have added; above 0.
    pub best: f64,
}

impl Weighted<'_> {
    /// NDCG and Recall are sums over positives, each of which is multiplied by its weight. The
    /// others are not, so that all of the list is multiplied by the mean weight of its positives:
    /// that takes away a part of the bias, and may still order two models wrongly.
    /// `None` when no label is positive or the lengths differ.
    pub fn measure(&self, metric: Metric, k: u32) -> Option<Part> {
        let (scores, labels) = (self.scores, self.labels);
        let weights_fit = self.weights.is_empty() || self.weights.len() == labels.len();
        let positives = labels.iter().filter(|&&label| label > 0).count();
        if scores.len() != labels.len() || !weights_fit || positives == 0 {
            return None;
        }
        let k = k as usize;
        let ranked = Ranked::new(scores, labels);
        let part = match metric {
            Metric::NDCG => Part {
                value: ranked.sum(k, |index| self.gain(index), discount),
                best: ideal_dcg((0..labels.len()).map(|index| self.gain(index)).collect(), k),
            },
            Metric::Recall => Part {
                value: ranked.sum(k, |index| self.positive(index), |_| 1.0),
                best: (0..labels.len()).map(|index| self.positive(index)).sum(),
            },
            Metric::MRR => self.whole(ranked.reciprocal_rank(k), positives),
            Metric::MAP => self.whole(ranked.average_precision(k), positives),
            Metric::ERR => self.whole(ranked.expected_reciprocal_rank(k), positives),
        };
        Some(part)
    }

    fn weight(&self, index: usize) -> f64 {
        self.weights.get(index).copied().unwrap_or(1.0)
    }

    fn gain(&self, index: usize) -> f64 {
        gain(self.labels[index]) * self.weight(index)
    }

    fn positive(&self, index: usize) -> f64 {
        if self.labels[index] > 0 {
            self.weight(index)
        } else {
            0.0
        }
    }

    fn whole(&self, figure: f64, positives: usize) -> Part {
        let sum: f64 = (0..self.labels.len())
            .map(|index| self.positive(index))
            .sum();
        let weight = sum / positives as f64;
        Part {
            value: weight * figure,
            best: weight,
        }
    }
}

/// What a candidate of this label is worth to NDCG.
pub fn gain(label: u8) -> f64 {
    f64::from((1_u32 << label.min(MAX_LABEL)) - 1)
}

fn discount(rank: usize) -> f64 {
    1.0 / ((rank + 1) as f64).log2()
}

/// The value of the best order.
fn ideal_dcg(mut gains: Vec<f64>, k: usize) -> f64 {
    gains.sort_unstable_by(|a, b| b.total_cmp(a));
    let at = |(index, gain): (usize, &f64)| gain * discount(index + 1);
    gains.iter().take(k).enumerate().map(at).sum()
}

/// The discount of every candidate's rank, expected over the orders of those it is tied with; 0
/// beyond rank `k`.
pub fn discounts(k: usize, scores: &[f64]) -> Vec<f64> {
    let ranked = Ranked::new(scores, &[]);
    let mut discounts = vec![0.0; scores.len()];
    for block in &ranked.blocks {
        let mean = ranks(block, k).map(discount).sum::<f64>() / block.len() as f64;
        for &index in &ranked.order[block.clone()] {
            discounts[index] = mean;
        }
    }
    discounts
}

/// Candidates by falling score.
struct Ranked<'a> {
    labels: &'a [u8],
    /// Indices of candidates.
    order: Vec<usize>,
    /// Candidates with one score: places in `order`.
    blocks: Vec<Range<usize>>,
}

impl<'a> Ranked<'a> {
    fn new(scores: &[f64], labels: &'a [u8]) -> Self {
        let key = |index: usize| {
            if scores[index].is_nan() {
                f64::NEG_INFINITY
            } else {
                scores[index]
            }
        };
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|&a, &b| key(b).total_cmp(&key(a)));
        let mut blocks: Vec<Range<usize>> = Vec::with_capacity(order.len());
        for (place, &index) in order.iter().enumerate() {
            match blocks.last_mut() {
                // `==` and not bits: 0.0 and -0.0 are the same score.
                Some(block) if key(order[block.start]) == key(index) => block.end = place + 1,
                _ => blocks.push(place..place + 1),
            }
        }
        Self {
            labels,
            order,
            blocks,
        }
    }

    fn positives(&self, block: &Range<usize>) -> usize {
        let positive = |&&index: &&usize| self.labels[index] > 0;
        self.order[block.clone()].iter().filter(positive).count()
    }

    /// Σ of what each candidate is worth times what its rank is worth, over ranks ≤ k.
    fn sum(&self, k: usize, worth: impl Fn(usize) -> f64, at_rank: impl Fn(usize) -> f64) -> f64 {
        let of_block = |block: &Range<usize>| {
            let sum: f64 = self.order[block.clone()].iter().map(|&i| worth(i)).sum();
            if sum == 0.0 {
                return 0.0;
            }
            ranks(block, k).map(&at_rank).sum::<f64>() * sum / block.len() as f64
        };
        self.blocks.iter().map(of_block).sum()
    }

    fn reciprocal_rank(&self, k: usize) -> f64 {
        let found = self.blocks.iter().find_map(|block| {
            let positives = self.positives(block);
            (positives > 0).then_some((block, positives as f64))
        });
        let Some((block, positives)) = found else {
            return 0.0;
        };
        let mut expected = 0.0;
        // Probability that none of the block's earlier ranks held a positive.
        let mut none_yet = 1.0;
        for rank in ranks(block, k) {
            let left = (block.end + 1 - rank) as f64;
            let here = (positives / left).min(1.0);
            expected += none_yet * here / rank as f64;
            none_yet *= 1.0 - here;
        }
        expected
    }

    fn average_precision(&self, k: usize) -> f64 {
        let mut positives_before = 0;
        let mut sum = 0.0;
        for block in &self.blocks {
            let (size, positives) = (block.len() as f64, self.positives(block));
            if positives > 0 {
                // Of the ranks above one positive inside the block, this share is positive too.
                let share = if size > 1.0 {
                    (positives - 1) as f64 / (size - 1.0)
                } else {
                    0.0
                };
                for rank in ranks(block, k) {
                    let above = (rank - 1 - block.start) as f64;
                    let found = positives_before as f64 + 1.0 + above * share;
                    sum += positives as f64 / size * found / rank as f64;
                }
            }
            positives_before += positives;
        }
        sum / positives_before.min(k) as f64
    }

    fn expected_reciprocal_rank(&self, k: usize) -> f64 {
        let mut expected = 0.0;
        // Probability that nobody stopped before the block.
        let mut going = 1.0;
        for block in &self.blocks {
            let goes_on: Vec<f64> = self.order[block.clone()]
                .iter()
                .map(|&index| 1.0 - gain(self.labels[index]) / f64::from(1_u32 << MAX_LABEL))
                .collect();
            let past = mean_products(&goes_on);
            for rank in ranks(block, k) {
                let inside = rank - 1 - block.start;
                expected += going * (past[inside] - past[inside + 1]) / rank as f64;
            }
            going *= past[goes_on.len()];
        }
        expected
    }
}

/// Ranks of the block that are within the cut-off, counted from 1.
fn ranks(block: &Range<usize>, k: usize) -> Range<usize> {
    block.start + 1..block.end.min(k) + 1
}

/// For each m, the mean product of m of the values over all ways to choose them.
fn mean_products(values: &[f64]) -> Vec<f64> {
    let mut means = vec![0.0; values.len() + 1];
    means[0] = 1.0;
    for (index, value) in values.iter().enumerate() {
        let n = (index + 1) as f64;
        for m in (1..=index + 1).rev() {
            // The new value is among the m chosen of n with probability m / n.
            let share = m as f64 / n;
            means[m] = (1.0 - share) * means[m] + share * value * means[m - 1];
        }
    }
    means
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: [Metric; 5] = [
        Metric::NDCG,
        Metric::MRR,
        Metric::MAP,
        Metric::Recall,
        Metric::ERR,
    ];

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
        close(measure(Metric::Recall, 2, &scores, &labels), 0.5);
        close(
            measure(Metric::ERR, 10, &scores, &labels),
            7.0 / 8.0 / 2.0 + 1.0 / 8.0 * 1.0 / 8.0 / 4.0,
        );
        // One result asked for: at most one positive can be found.
        close(measure(Metric::MAP, 1, &[0.9, 0.1], &[1, 1]), 1.0);
    }

    #[test]
    fn the_right_order_is_one_and_a_list_without_a_positive_is_left_out() {
        for metric in ALL {
            let best = measure(metric, 3, &[4.0, 3.0, 2.0, 1.0], &[3, 2, 1, 0]);
            // Nobody stops for sure, so that ERR stays below one.
            let want = if metric == Metric::ERR {
                7.0 / 8.0 + 1.0 / 8.0 * 3.0 / 8.0 / 2.0 + 1.0 / 8.0 * 5.0 / 8.0 / 8.0 / 3.0
            } else {
                1.0
            };
            close(best, want);
            assert_eq!(measure(metric, 3, &[4.0, 3.0], &[0, 0]), None);
            assert_eq!(measure(metric, 3, &[], &[]), None);
            assert_eq!(measure(metric, 3, &[1.0], &[0, 1]), None);
        }
    }

    #[test]
    fn two_tied_candidates_are_the_mean_of_both_orders() {
        let labels = [3, 0];
        for metric in ALL {
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
    fn gains_of_ones_own() {
        let (scores, labels) = ([0.1, 0.9, 0.9, 0.7], [1, 0, 2, 3]);
        let own = ndcg(3, &scores, &labels, &[0.0, 1.0, 3.0, 7.0]);
        close(own, measure(Metric::NDCG, 3, &scores, &labels).unwrap());
        let flat = ndcg(10, &[2.0, 1.0], &[0, 3], &[0.0, 1.0, 1.0, 1.0]);
        close(flat, 1.0 / 3_f64.log2());
        assert_eq!(ndcg(10, &[1.0], &[1], &[0.0; 4]), None);
    }

    #[test]
    fn discounts_are_those_of_the_ranks() {
        let log3 = 1.0 / 3_f64.log2();
        let found = discounts(3, &[1.0, 7.0, 1.0, f64::NAN]);
        let tied = (log3 + 0.5) / 2.0;
        assert_eq!(found, [tied, 1.0, tied, 0.0]);
        assert_eq!(discounts(2, &[1.0, 7.0, 1.0])[0], log3 / 2.0);
    }

    #[test]
    fn a_score_that_is_no_number_comes_last() {
        close(measure(Metric::MRR, 10, &[f64::NAN, 1.0], &[1, 0]), 0.5);
        close(measure(Metric::MRR, 10, &[f64::NAN, -1e300], &[0, 1]), 1.0);
    }

    #[test]
    fn weights_count_positives_more_than_once() {
        let list = |weights| Weighted {
            scores: &[4.0, 3.0, 2.0],
            labels: &[1, 0, 1],
            weights,
        };
        for metric in ALL {
            let plain = list(&[]).measure(metric, 10).unwrap();
            assert_eq!(
                list(&[1.0, 1.0, 1.0]).measure(metric, 10),
                Some(plain),
                "{metric}"
            );
            let twice = list(&[2.0, 9.0, 2.0]).measure(metric, 10).unwrap();
            assert!((twice.value - 2.0 * plain.value).abs() < 1e-12, "{metric}");
            assert!((twice.best - 2.0 * plain.best).abs() < 1e-12, "{metric}");
            assert_eq!(list(&[1.0]).measure(metric, 10), None);
        }
        // The third was looked at by a quarter: it stands for four.
        let part = list(&[1.0, 1.0, 4.0]).measure(Metric::NDCG, 10).unwrap();
        assert!((part.value - (1.0 + 4.0 / 2.0)).abs() < 1e-12);
        assert!((part.best - (4.0 + 1.0 / 3_f64.log2())).abs() < 1e-12);
        let part = list(&[1.0, 1.0, 4.0]).measure(Metric::Recall, 2).unwrap();
        assert_eq!(
            part,
            Part {
                value: 1.0,
                best: 5.0
            }
        );
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
            for metric in ALL {
                let got = measure(metric, k, &scores, &labels).unwrap();
                let want = mean_over_orders(metric, k, &scores, &labels);
                prop_assert!((got - want).abs() < 1e-9, "{metric}: got {got}, want {want}");
                prop_assert!((0.0..=1.0 + 1e-12).contains(&got));
            }
        }
    }
}
