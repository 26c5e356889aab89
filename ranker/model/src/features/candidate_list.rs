//! Features that look at all candidates of a list. They are wrong where a caller splits its list,
//! so a model uses them only if it is told to, and lists below [`MIN_CANDIDATES`] have none.

use std::collections::HashMap;

use crate::{
    lexicon::{Collection, Lexicon},
    texts::{TermId, TermList, TextView},
};

/// Shorter lists say too little about what else there is.
pub const MIN_CANDIDATES: usize = 20;

/// The preset's last columns, which are computed here, in their order.
const COLUMNS: usize = 2;

/// The titles of one whole list, in the order of its rows.
#[derive(Default)]
pub struct CandidateList {
    titles: Vec<Vec<(TermId, f64)>>,
}

impl CandidateList {
    pub fn add(&mut self, lexicon: &Lexicon, text: &TextView) {
        self.titles.push(vector(lexicon, text));
    }

    /// Fills what [`super::FeatureContext::row`] leaves missing in the rows of the list.
    pub fn fill(&self, rows: &mut [f32]) {
        if self.titles.len() < MIN_CANDIDATES {
            return;
        }
        let width = rows.len() / self.titles.len();
        let end = super::features().len();
        let price = super::column("price_log").expect("the preset has a price");
        let prices: Vec<f32> = rows.chunks_exact(width).map(|row| row[price]).collect();
        let columns: [Vec<f64>; COLUMNS] = [self.similarities(), ranks(&prices)];
        for (index, row) in rows.chunks_exact_mut(width).enumerate() {
            for (value, column) in row[end - COLUMNS..end].iter_mut().zip(&columns) {
                *value = column[index] as f32;
            }
        }
    }

    /// How like the other candidates each title is: the mean cosine of their terms, each weighing
    /// its inverse document frequency. NaN without a term.
    fn similarities(&self) -> Vec<f64> {
        let mut sum: HashMap<TermId, f64> = HashMap::new();
        for (term, weight) in self.titles.iter().flatten() {
            *sum.entry(*term).or_default() += weight;
        }
        let similarity = |title: &Vec<(TermId, f64)>| {
            if title.is_empty() {
                return f64::NAN;
            }
            // Without the title itself, of which every list has one.
            let other = |(term, weight): &(TermId, f64)| (sum[term] - weight) * weight;
            title.iter().map(other).sum::<f64>() / (self.titles.len() - 1) as f64
        };
        self.titles.iter().map(similarity).collect()
    }
}

/// A title's distinct terms with weights of length 1.
fn vector(lexicon: &Lexicon, text: &TextView) -> Vec<(TermId, f64)> {
    let mut terms = text.terms(TermList::Title).unwrap_or_default().to_vec();
    terms.sort_unstable();
    terms.dedup();
    let idf = |term: TermId| (term, lexicon.idf(Collection::Title, term));
    let mut vector: Vec<(TermId, f64)> = terms.into_iter().map(idf).collect();
    let squares: f64 = vector.iter().map(|(_, weight)| weight * weight).sum();
    for (_, weight) in &mut vector {
        *weight /= squares.sqrt();
    }
    vector
}

/// Share of the other known values that are smaller, equal ones counting half; NaN for an unknown
/// value and for the only known one.
fn ranks(values: &[f32]) -> Vec<f64> {
    let mut known: Vec<f32> = values
        .iter()
        .copied()
        .filter(|value| !value.is_nan())
        .collect();
    known.sort_unstable_by(f32::total_cmp);
    let rank = |value: &f32| {
        if value.is_nan() {
            return f64::NAN;
        }
        let below = known.partition_point(|other| other < value);
        let up_to = known.partition_point(|other| other <= value);
        let equal = (up_to - below - 1) as f64;
        (below as f64 + equal / 2.0) / (known.len() - 1) as f64
    };
    values.iter().map(rank).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_shares_of_the_others() {
        let nan = f32::NAN;
        let ranks = ranks(&[3.0, nan, 1.0, 3.0, 9.0]);
        assert_eq!(
            (ranks[0], ranks[2], ranks[3], ranks[4]),
            (0.5, 0.0, 0.5, 1.0)
        );
        assert!(ranks[1].is_nan());
        assert!(super::ranks(&[nan, 2.0]).iter().all(|rank| rank.is_nan()));
    }
}
