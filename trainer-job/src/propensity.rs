//! How likely shoppers look at each place of a list, from the click log alone.
//!
//! The model is the position-based one: an item is clicked when its place is looked at and the item
//! is wanted, P(click) = θ(place) · γ(query, item). What the ranker of the time thought of an item
//! is in γ, so a place is only judged by items that one query showed at several places: among those
//! places, an item's clicks fall as impressions · θ, and γ cancels. That is a Poisson regression
//! with a fixed effect for each (query, item), which is right as long as the mean is, whatever the
//! distribution of clicks (Wooldridge 1999); it is also the estimator of Agarwal et al. (WSDM 2019,
//! "intervention harvesting") with every pair of places in one likelihood.
//!
//! A place's θ is exp(−η · ln position + δ), where δ is drawn towards 0: with few clicks the
//! places follow a power law, with many each has its own.

use serde::{Deserialize, Serialize};

/// Places that are told apart: 1 to 20, then 21–50, then 51 and beyond.
pub const PLACES: usize = 22;
/// Under this share of clicks on items seen at two or more places, log and shoppers cannot be told
/// apart.
const LEAST_SHARE: f64 = 0.05;
/// Standard deviation of a place's departure δ from the power law.
const DEPARTURE: f64 = 0.3;
/// A place looked at less is taken for one looked at this much: 1 ÷ propensity would let a few
/// clicks from far down outweigh all others.
pub const CLIP: f64 = 0.1;

/// The place of a position, which counts from 1; `None` where the position is not known.
pub fn place(position: Option<u32>) -> Option<usize> {
    match position? {
        0 => None,
        exact @ 1..=20 => Some(exact as usize - 1),
        21..=50 => Some(20),
        _ => Some(21),
    }
}

/// A number for the position's place; unknown positions have one of their own.
pub fn number(position: Option<u32>) -> i32 {
    i32::try_from(place(position).unwrap_or(PLACES)).expect("places are few")
}

/// A position that stands for its place: the geometric mean of those in it.
fn typical(place: usize) -> f64 {
    match place {
        20 => 32.0,
        21 => 71.0,
        exact => exact as f64 + 1.0,
    }
}

/// What happened to one item under one query at one place where it was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    /// Any number for the (query, item); cells of one stand together.
    pub pair: u64,
    pub place: usize,
    /// At least 1.
    pub impressions: u32,
    pub clicks: u32,
}

/// How likely each place is looked at, relative to the first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Propensities {
    /// By [`place`]; the first is 1.
    pub places: Vec<f64>,
    /// The power law that the places follow where clicks are few: position to the minus this.
    pub exponent: f64,
    /// Clicks that were judged by: those on items seen at two or more places.
    pub clicks: u64,
}

/// The log does not show what a place is worth.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error(
    "{:.1} % of {clicks} clicks are on items that one query showed at two or more positions; position bias can be told from {:.0} % on",
    share * 100.0,
    LEAST_SHARE * 100.0
)]
pub struct Unidentified {
    pub clicks: u64,
    pub share: f64,
}

impl Propensities {
    /// Fits to `cells`, in which the cells of one pair stand together.
    pub fn fit(cells: &[Cell]) -> Result<Self, Unidentified> {
        let pairs: Vec<&[Cell]> = cells.chunk_by(|a, b| a.pair == b.pair).collect();
        let clicks = |cells: &[Cell]| cells.iter().map(|cell| u64::from(cell.clicks)).sum::<u64>();
        let moved: Vec<&[Cell]> = pairs
            .into_iter()
            .filter(|pair| pair.len() > 1 && clicks(pair) > 0)
            .collect();
        let (total, judged) = (clicks(cells), moved.iter().map(|pair| clicks(pair)).sum());
        let share = if total > 0 {
            judged as f64 / total as f64
        } else {
            0.0
        };
        if share < LEAST_SHARE {
            return Err(Unidentified {
                clicks: total,
                share,
            });
        }
        let parameters = maximise(&moved);
        Ok(Self {
            places: logs(&parameters)
                .iter()
                .map(|log| rounded(log.exp()))
                .collect(),
            exponent: rounded(parameters[0]),
            clicks: judged,
        })
    }

    /// How likely the position is looked at, relative to the first; `None` where it is not known.
    pub fn of(&self, position: Option<u32>) -> Option<f64> {
        Some(self.places[place(position)?])
    }

    /// What a click at the position stands for: 1 ÷ propensity, at most 1 ÷ `clip`. A click at an
    /// unknown position counts once.
    pub fn weight(&self, position: Option<u32>, clip: f64) -> f64 {
        self.of(position)
            .map_or(1.0, |propensity| 1.0 / propensity.max(clip))
    }
}

/// Six decimals: JSON then gives back the same number.
fn rounded(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

/// η, then the δ of the second place and those behind it.
type Parameters = [f64; PLACES];
type Matrix = [[f64; PLACES]; PLACES];

/// ln θ of every place.
fn logs(parameters: &Parameters) -> [f64; PLACES] {
    std::array::from_fn(|place| {
        let departure = if place > 0 { parameters[place] } else { 0.0 };
        departure - parameters[0] * typical(place).ln()
    })
}

/// Newton's method on a concave likelihood, with halved steps where one overshoots.
fn maximise(pairs: &[&[Cell]]) -> Parameters {
    const STEPS: usize = 50;
    const SMALLEST: f64 = 1e-10;
    let mut parameters = [0.0; PLACES];
    let mut at = Slope::at(&parameters, pairs);
    for _ in 0..STEPS {
        let step = solve(at.curvature, at.gradient);
        let mut size = 1.0;
        let next = loop {
            let tried: Parameters = std::array::from_fn(|i| parameters[i] + size * step[i]);
            let slope = Slope::at(&tried, pairs);
            if slope.likelihood >= at.likelihood || size < 1e-3 {
                parameters = tried;
                break slope;
            }
            size /= 2.0;
        };
        at = next;
        if step.iter().all(|change| change.abs() < SMALLEST) {
            break;
        }
    }
    parameters
}

/// Penalised log-likelihood with its derivatives by [`Parameters`].
struct Slope {
    likelihood: f64,
    gradient: Parameters,
    /// Minus the second derivatives: positive definite.
    curvature: Matrix,
}

impl Slope {
    fn at(parameters: &Parameters, pairs: &[&[Cell]]) -> Self {
        let theta = logs(parameters).map(f64::exp);
        // First by ln θ of each place, then by the parameters that it follows from.
        let mut by_place = Self {
            likelihood: 0.0,
            gradient: [0.0; PLACES],
            curvature: [[0.0; PLACES]; PLACES],
        };
        for pair in pairs {
            by_place.add(pair, &theta);
        }
        by_place.by_parameters(parameters)
    }

    /// Adds one pair: given all its clicks, they fall on its places as impressions · θ.
    fn add(&mut self, pair: &[Cell], theta: &[f64; PLACES]) {
        let seen = |cell: &Cell| f64::from(cell.impressions) * theta[cell.place];
        let all: f64 = pair.iter().map(seen).sum();
        let clicks: f64 = pair.iter().map(|cell| f64::from(cell.clicks)).sum();
        for one in pair {
            let share = seen(one) / all;
            self.likelihood += f64::from(one.clicks) * share.ln();
            self.gradient[one.place] += f64::from(one.clicks) - clicks * share;
            self.curvature[one.place][one.place] += clicks * share;
            for other in pair {
                self.curvature[one.place][other.place] -= clicks * share * seen(other) / all;
            }
        }
    }

    /// ln θ is linear in the parameters, so this is the chain rule, with the penalty on δ added.
    fn by_parameters(self, parameters: &Parameters) -> Self {
        let steepness: [f64; PLACES] = std::array::from_fn(|place| -typical(place).ln());
        let by_eta =
            |row: &[f64; PLACES]| row.iter().zip(steepness).map(|(a, b)| a * b).sum::<f64>();
        let precision = 1.0 / (DEPARTURE * DEPARTURE);
        let (mut gradient, mut curvature) = (self.gradient, self.curvature);
        let mut likelihood = self.likelihood;
        gradient[0] = by_eta(&self.gradient);
        let rows: [f64; PLACES] = std::array::from_fn(|place| by_eta(&self.curvature[place]));
        curvature[0] = rows;
        curvature[0][0] = by_eta(&rows);
        for place in 1..PLACES {
            curvature[place][0] = rows[place];
            curvature[place][place] += precision;
            gradient[place] -= precision * parameters[place];
            likelihood -= precision * parameters[place] * parameters[place] / 2.0;
        }
        Self {
            likelihood,
            gradient,
            curvature,
        }
    }
}

/// Solves `matrix` · x = `right` for a positive definite matrix, by Cholesky's decomposition.
fn solve(mut matrix: Matrix, right: Parameters) -> Parameters {
    // Places far down may never have been seen, and then nothing but the penalty holds them.
    const LEAST: f64 = 1e-12;
    for row in 0..PLACES {
        for column in 0..=row {
            let known: f64 = (0..column)
                .map(|k| matrix[row][k] * matrix[column][k])
                .sum();
            let left = matrix[row][column] - known;
            matrix[row][column] = if row == column {
                left.max(LEAST).sqrt()
            } else {
                left / matrix[column][column]
            };
        }
    }
    let mut solved = right;
    for row in 0..PLACES {
        let known: f64 = (0..row).map(|k| matrix[row][k] * solved[k]).sum();
        solved[row] = (solved[row] - known) / matrix[row][row];
    }
    for row in (0..PLACES).rev() {
        let known: f64 = (row + 1..PLACES).map(|k| matrix[k][row] * solved[k]).sum();
        solved[row] = (solved[row] - known) / matrix[row][row];
    }
    solved
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Clicks as they are expected, so that what is found is the truth and no luck.
    fn expected(theta: impl Fn(usize) -> f64, pairs: u64) -> Vec<Cell> {
        let mut cells = Vec::new();
        for pair in 0..pairs {
            let wanted = 0.05 + 0.9 * (pair as f64 / pairs as f64);
            // The better an item, the higher it stands: a ranker that knows its trade.
            let best = ((1.0 - wanted) * 17.0) as usize;
            for place in best..best + 4 {
                let impressions = 100_000;
                let clicks = f64::from(impressions) * theta(place) * wanted;
                cells.push(Cell {
                    pair,
                    place,
                    impressions,
                    clicks: clicks.round() as u32,
                });
            }
        }
        cells
    }

    #[test]
    fn a_power_law_and_departures_from_it_are_found() {
        let law = |place: usize| (place as f64 + 1.0).powf(-0.8);
        let found = Propensities::fit(&expected(law, 200)).unwrap();
        assert!((found.exponent - 0.8).abs() < 0.01, "{found:?}");
        for (place, found) in found.places.iter().take(20).enumerate() {
            assert!((found / law(place) - 1.0).abs() < 0.01, "{place}: {found}");
        }

        // Nobody looks below the fold at the sixth place.
        let fold = |place: usize| law(place) * if place < 5 { 1.0 } else { 0.6 };
        let found = Propensities::fit(&expected(fold, 200)).unwrap();
        for (place, found) in found.places.iter().take(15).enumerate() {
            assert!((found / fold(place) - 1.0).abs() < 0.02, "{place}: {found}");
        }
    }

    #[test]
    fn without_items_that_moved_nothing_is_claimed() {
        let still: Vec<Cell> = (0..100)
            .map(|pair| Cell {
                pair,
                place: pair as usize % 10,
                impressions: 50,
                clicks: 10,
            })
            .collect();
        let error = Propensities::fit(&still).unwrap_err();
        assert_eq!(
            error.to_string(),
            "0.0 % of 1000 clicks are on items that one query showed at two or more positions; \
             position bias can be told from 5 % on"
        );
        assert!(Propensities::fit(&[]).is_err());

        // Four in a hundred are too few, six are enough.
        for (moved, enough) in [(4, false), (6, true)] {
            let mut cells = still.clone();
            for cell in cells.iter_mut().take(moved) {
                cell.clicks = 5;
            }
            let mut all: Vec<Cell> = cells
                .iter()
                .take(moved)
                .flat_map(|cell| {
                    let place = cell.place + 1;
                    [*cell, Cell { place, ..*cell }]
                })
                .collect();
            all.extend(&cells[moved..]);
            assert_eq!(Propensities::fit(&all).is_ok(), enough, "{moved}");
        }
    }

    #[test]
    fn weights_are_clipped_and_unknown_positions_count_once() {
        let found =
            Propensities::fit(&expected(|place| (place as f64 + 1.0).powi(-1), 200)).unwrap();
        assert_eq!(found.weight(Some(1), CLIP), 1.0);
        assert!((found.weight(Some(4), CLIP) - 4.0).abs() < 0.1);
        assert_eq!(found.weight(Some(400), CLIP), 10.0);
        assert_eq!((found.weight(None, CLIP), found.of(None)), (1.0, None));
    }

    #[test]
    fn places_of_positions() {
        for (position, expected) in [
            (Some(1), Some(0)),
            (Some(20), Some(19)),
            (Some(21), Some(20)),
            (Some(50), Some(20)),
            (Some(51), Some(21)),
            (Some(u32::MAX), Some(21)),
            (Some(0), None),
            (None, None),
        ] {
            assert_eq!(place(position), expected, "{position:?}");
        }
    }
}
