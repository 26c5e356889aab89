//! Rankers beside each other.

use searchop_contract::Metric;
use searchop_trainer::metrics;

/// Gains of the KDD Cup 2022 task on the same data, by grade.
const KDD_GAINS: [f64; 4] = [0.0, 0.01, 0.1, 1.0];
/// Lists are never longer: no cut-off.
const ALL: u32 = u32::MAX;

/// A list of candidates with the grades of people, 0 to 3.
pub struct Graded {
    pub grades: Vec<u8>,
}

/// What one ranker reaches, each the mean over queries.
#[derive(Clone, Copy, Default)]
pub struct Figures {
    pub ndcg: f64,
    pub mrr: f64,
    pub map: f64,
    pub kdd: f64,
}

impl Figures {
    /// `scores` has one entry a list. A candidate is relevant for MRR and MAP at the highest grade.
    pub fn of(lists: &[Graded], scores: &[Vec<f64>]) -> Self {
        let (mut sum, mut count) = (Self::default(), 0.0);
        for (list, scores) in lists.iter().zip(scores) {
            let exact: Vec<u8> = list.grades.iter().map(|&g| u8::from(g == 3)).collect();
            let Some(ndcg) = metrics::measure(Metric::NDCG, 10, scores, &list.grades) else {
                continue;
            };
            count += 1.0;
            sum.ndcg += ndcg;
            sum.mrr += metrics::measure(Metric::MRR, ALL, scores, &exact).unwrap_or(0.0);
            sum.map += metrics::measure(Metric::MAP, ALL, scores, &exact).unwrap_or(0.0);
            sum.kdd += metrics::ndcg(ALL, scores, &list.grades, &KDD_GAINS).unwrap_or(0.0);
        }
        sum.scaled(1.0 / count)
    }

    pub fn mean(of: &[Self]) -> Self {
        let mut sum = Self::default();
        for figures in of {
            sum.ndcg += figures.ndcg;
            sum.mrr += figures.mrr;
            sum.map += figures.map;
            sum.kdd += figures.kdd;
        }
        sum.scaled(1.0 / of.len() as f64)
    }

    fn scaled(self, by: f64) -> Self {
        Self {
            ndcg: self.ndcg * by,
            mrr: self.mrr * by,
            map: self.map * by,
            kdd: self.kdd * by,
        }
    }
}

pub fn head(title: &str) {
    println!("\n{title}");
    println!(
        "{:<34} {:>8} {:>8} {:>8} {:>8}",
        "", "NDCG@10", "MRR", "MAP", "KDD NDCG"
    );
}

pub fn line(name: &str, figures: Figures) {
    let Figures {
        ndcg,
        mrr,
        map,
        kdd,
    } = figures;
    println!("{name:<34} {ndcg:>8.4} {mrr:>8.4} {map:>8.4} {kdd:>8.4}");
}
