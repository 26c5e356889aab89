//! Do a candidate's scores lie where those of its training did?
//!
//! A candidate and what serves answer different users and score in units of their own, so their
//! scores cannot be compared with each other. Each can be compared with those of its own training,
//! in bins that its artifact brings. Requests differ from training rows for reasons of their own,
//! which the served version shows as well: the candidate may differ by so much more.

use searchop_contract::VersionTraffic;

use super::{Finding, MAX_BUCKETS, Z};
use crate::drift::divergence::divergence;

/// Scores in the bins of the training.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scores {
    training: Vec<u64>,
    seen: Vec<u64>,
}

impl Scores {
    /// What a pod tells; `None` where that is nothing that can be compared.
    pub fn of(told: &VersionTraffic) -> Option<Self> {
        let (scores, training) = (told.scores.as_ref()?, told.training_scores.as_ref()?);
        let fits = (2..=MAX_BUCKETS).contains(&training.len());
        (fits && scores.counts.len() == training.len()).then(|| Self {
            training: training.clone(),
            seen: scores.counts.clone(),
        })
    }

    /// Adds those of another pod, if they are of the same training.
    pub fn add(&mut self, more: &Self) {
        if self.training == more.training {
            let counts = self.seen.iter_mut().zip(&more.seen);
            counts.for_each(|(sum, count)| *sum = sum.saturating_add(*count));
        }
    }

    /// `None` without scores on either side.
    fn shift(&self) -> Option<Shift> {
        let sum = |counts: &[u64]| counts.iter().map(|count| *count as f64).sum::<f64>();
        let (n, m) = (sum(&self.training), sum(&self.seen));
        (n > 0.0 && m > 0.0).then(|| {
            let (psi, _) = divergence(&self.training, &self.seen);
            Shift {
                psi,
                pairs: n * m / (n + m),
                bins: self.seen.len() as f64,
            }
        })
    }
}

/// A population stability index beyond what chance adds to it.
struct Shift {
    psi: f64,
    /// Values that two samples are worth of which one knows the true shares.
    pairs: f64,
    bins: f64,
}

impl Shift {
    /// As of a non-central chi-squared statistic, which an index times its pairs is about.
    fn variance(&self) -> f64 {
        2.0 * (self.bins - 1.0 + 2.0 * self.pairs * self.psi) / (self.pairs * self.pairs)
    }
}

/// The finding about a candidate whose index may be this much greater than the served version's,
/// or as great at all where that tells of no scores.
pub(super) fn scores(limit: &str, served: Option<&Scores>, candidate: Option<&Scores>) -> Finding {
    let doubt = || Finding::Wait("too few requests to tell of scores unlike its training's".into());
    let limit = limit.parse::<f64>().ok().filter(|limit| limit.is_finite());
    let own = candidate.and_then(Scores::shift);
    let (Some(limit), Some(own)) = (limit, own) else {
        return doubt();
    };
    let base = served.and_then(Scores::shift);
    let (base_psi, base_variance) = base.map_or((0.0, 0.0), |base| (base.psi, base.variance()));
    let more = own.psi - base_psi;
    if more <= limit {
        Finding::Continue
    } else if more - Z * (own.variance() + base_variance).sqrt() > limit {
        Finding::Abort(format!(
            "scores unlike its training's: population stability index {:.2}, the served version's is {base_psi:.2}, \
             {limit} more is allowed",
            own.psi
        ))
    } else {
        doubt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(training: &[u64], seen: &[u64]) -> Scores {
        Scores {
            training: training.to_vec(),
            seen: seen.to_vec(),
        }
    }

    #[test]
    fn three_verdicts_about_scores() {
        let even = [2500; 4];
        let like_training = of(&even, &[240, 260, 255, 245]);
        let shifted = of(&even, &[50, 150, 300, 500]);
        let few = of(&even, &[1, 3, 6, 10]);
        let none = of(&even, &[0; 4]);
        let cases = [
            (
                "0.25",
                Some(&like_training),
                Some(&like_training),
                "continue",
            ),
            ("0.25", None, Some(&like_training), "continue"),
            ("0.25", Some(&like_training), Some(&shifted), "abort"),
            ("0.25", None, Some(&shifted), "abort"),
            // Requests are not training rows, for the served version no less.
            ("0.25", Some(&shifted), Some(&shifted), "continue"),
            ("0.25", Some(&like_training), Some(&few), "wait"),
            ("0.25", Some(&few), Some(&shifted), "wait"),
            ("1", Some(&like_training), Some(&shifted), "continue"),
            // What is not known never promotes.
            ("0.25", Some(&like_training), Some(&none), "wait"),
            ("0.25", Some(&like_training), None, "wait"),
            ("NaN", Some(&like_training), Some(&like_training), "wait"),
        ];
        for (limit, served, candidate, expected) in cases {
            let found = match scores(limit, served, candidate) {
                Finding::Continue => "continue",
                Finding::Wait(_) => "wait",
                Finding::Abort(words) => {
                    assert!(words.contains("0.25 more is allowed"), "{words}");
                    "abort"
                }
            };
            assert_eq!(found, expected, "{limit} {served:?} {candidate:?}");
        }
    }

    #[test]
    fn pods_of_one_training_are_summed() {
        let mut sum = of(&[5, 5], &[1, 2]);
        sum.add(&of(&[5, 5], &[10, u64::MAX]));
        sum.add(&of(&[6, 5], &[100, 100]));
        assert_eq!(sum, of(&[5, 5], &[11, u64::MAX]));
    }
}
