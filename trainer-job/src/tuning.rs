//! A search for parameters: trials drawn at random, of which the one that orders the validation lists
//! best is the model.
//!
//! It is given nothing but a way to train, which knows the lists that train and those that validate.
//! What judges the model is the future, and no trial sees it. The first trial has the parameters as
//! they were declared, so that a search finds nothing worse on the validation lists. The more trials,
//! the more of the best one's lead is luck: what a search is worth, the gate tells.

use std::time::{Duration, Instant};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use searchop_contract::{BoostingParameters, FreeParameter, Tuning};
use searchop_evaluation::report::{Search, Trial};

use crate::boosting::{BoostingError, Trained};

/// Ranges that draws are even in by their logarithm, both ends included.
const LEARNING_RATES: (f64, f64) = (0.02, 0.2);
const LEAVES: (f64, f64) = (4.0, 63.0);
const LEAF_ROWS: (f64, f64) = (5.0, 500.0);
/// Slow learning takes many trees; early stopping says how many.
const MOST_TREES: u32 = 1_000;

/// Trains with `train`, which is told the number of a trial, its parameters and, after each tree,
/// whether to go on; it returns nothing where it was told to stop. Without `tuning` there is one
/// trial, and no word of a search.
pub fn search<F>(
    declared: &BoostingParameters,
    tuning: Option<&Tuning>,
    mut train: F,
) -> Result<Trained, BoostingError>
where
    F: FnMut(u32, &BoostingParameters, &dyn Fn() -> bool) -> Result<Option<Trained>, BoostingError>,
{
    let begin = Instant::now();
    let first = train(1, declared, &|| true)?.expect("the first trial is never told to stop");
    let Some(tuning) = tuning else {
        return Ok(first);
    };
    let limit = Duration::from_secs(tuning.max_seconds.into());
    let in_time = || begin.elapsed() < limit;
    let mut found = Search {
        asked: tuning.trials,
        trials: vec![trial(declared, Some(&first))],
        chosen: 0,
        out_of_time: false,
    };
    let mut best = first;
    for parameters in draws(declared, tuning) {
        let number = found.trials.len() as u32 + 1;
        let trained = match in_time() {
            true => train(number, &parameters, &in_time),
            false => Ok(None),
        };
        let trained = match trained {
            // Leaves that are too large for the data are a bad draw, not bad data.
            Err(BoostingError::NoSplit { .. }) => None,
            Ok(None) => {
                found.out_of_time = true;
                break;
            }
            trained => trained?,
        };
        found.trials.push(trial(&parameters, trained.as_ref()));
        if let Some(trained) = trained
            && trained.reached() > best.reached()
        {
            found.chosen = found.trials.len() - 1;
            best = trained;
        }
    }
    best.tuning = Some(found);
    Ok(best)
}

fn trial(parameters: &BoostingParameters, trained: Option<&Trained>) -> Trial {
    Trial {
        parameters: parameters.clone(),
        valid: trained.and_then(Trained::reached),
        trees: trained.map_or(0, |trained| trained.trees),
    }
}

/// The trials after the first; none where nothing may be changed.
fn draws<'a>(
    declared: &'a BoostingParameters,
    tuning: &'a Tuning,
) -> impl Iterator<Item = BoostingParameters> + 'a {
    let mut draw = ChaCha8Rng::seed_from_u64(declared.seed.into());
    let trials = match tuning.free.as_slice() {
        [] => 0,
        _ => tuning.trials.saturating_sub(1),
    };
    (0..trials).map(move |_| {
        let mut even = |(low, high): (f64, f64)| low * (high / low).powf(draw.random());
        // All are drawn in any case, so that holding one of them changes no other.
        let (rate, leaves, rows) = (even(LEARNING_RATES), even(LEAVES), even(LEAF_ROWS));
        let mut parameters = declared.clone();
        for free in &tuning.free {
            match free {
                FreeParameter::NumIterations => parameters.num_iterations = MOST_TREES,
                FreeParameter::LearningRate => {
                    parameters.learning_rate = (rate * 1e4).round() / 1e4;
                }
                FreeParameter::NumLeaves => parameters.num_leaves = leaves.round() as u32,
                FreeParameter::MinDataInLeaf => parameters.min_data_in_leaf = rows.round() as u32,
            }
        }
        parameters
    })
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    fn tuning(trials: u32, free: &[FreeParameter]) -> Tuning {
        Tuning {
            trials,
            max_seconds: 3600,
            free: free.to_vec(),
        }
    }

    const ALL: [FreeParameter; 4] = [
        FreeParameter::NumIterations,
        FreeParameter::LearningRate,
        FreeParameter::NumLeaves,
        FreeParameter::MinDataInLeaf,
    ];

    fn model(parameters: &BoostingParameters, reached: f64) -> Trained {
        Trained {
            parameters: parameters.clone(),
            text: String::new(),
            trees: 1,
            curve: vec![reached],
            train_curve: Vec::new(),
            importance: Vec::new(),
            tuning: None,
        }
    }

    #[test]
    fn the_best_of_the_trials_is_the_model() {
        let declared = BoostingParameters::default();
        let values = [0.5, 0.4, 0.7, 0.7, 0.6];
        let found = search(
            &declared,
            Some(&tuning(5, &ALL)),
            |number, parameters, _| Ok(Some(model(parameters, values[number as usize - 1]))),
        )
        .unwrap();
        let search = found.tuning.as_ref().unwrap();
        assert_eq!((search.chosen, search.trials.len()), (2, 5));
        assert_eq!(search.trials[2].parameters, found.parameters);
        assert_eq!(search.trials[0].parameters, declared);
        assert!(!search.out_of_time);
    }

    #[test]
    fn a_search_without_luck_ends_with_what_was_declared() {
        let declared = BoostingParameters::default();
        let found = search(
            &declared,
            Some(&tuning(4, &ALL)),
            |number, parameters, _| match number {
                1 => Ok(Some(model(parameters, 0.5))),
                _ => Err(BoostingError::NoSplit {
                    rows: 1,
                    min_data_in_leaf: 9,
                }),
            },
        )
        .unwrap();
        let search = found.tuning.unwrap();
        assert_eq!((search.chosen, found.parameters), (0, declared));
        assert_eq!((search.trials[3].valid, search.trials[3].trees), (None, 0));
    }

    #[test]
    fn time_ends_a_search_but_not_its_first_trial() {
        let declared = BoostingParameters::default();
        let late = Tuning {
            max_seconds: 0,
            ..tuning(9, &ALL)
        };
        let asked = RefCell::new(Vec::new());
        let found = search(&declared, Some(&late), |number, parameters, in_time| {
            asked.borrow_mut().push((number, in_time()));
            Ok(Some(model(parameters, 0.5)))
        })
        .unwrap();
        assert_eq!(*asked.borrow(), [(1, true)]);
        let search = found.tuning.unwrap();
        assert_eq!((search.trials.len(), search.out_of_time), (1, true));
    }

    #[test]
    fn a_trial_that_is_told_to_stop_counts_for_nothing() {
        let declared = BoostingParameters::default();
        let found = search(
            &declared,
            Some(&tuning(9, &ALL)),
            |number, parameters, _| Ok((number < 3).then(|| model(parameters, f64::from(number)))),
        )
        .unwrap();
        let search = found.tuning.unwrap();
        assert_eq!((search.trials.len(), search.out_of_time), (2, true));
    }

    #[test]
    fn draws_are_the_same_for_a_seed_and_stay_in_their_ranges() {
        let declared = BoostingParameters::default();
        let of = |trials, free: &[FreeParameter]| -> Vec<BoostingParameters> {
            draws(&declared, &tuning(trials, free)).collect()
        };
        let all = of(200, &ALL);
        assert_eq!(all, of(200, &ALL));
        assert_eq!(all[..9], of(10, &ALL), "more trials begin with the same");
        for one in &all {
            assert!((0.02..=0.2).contains(&one.learning_rate), "{one:?}");
            assert!((4..=63).contains(&one.num_leaves), "{one:?}");
            assert!((5..=500).contains(&one.min_data_in_leaf), "{one:?}");
            assert_eq!((one.num_iterations, one.seed), (MOST_TREES, declared.seed));
        }
        let held = of(3, &[FreeParameter::NumLeaves]);
        for (held, free) in held.iter().zip(&all) {
            assert_eq!(held.num_leaves, free.num_leaves);
            assert_eq!(
                BoostingParameters {
                    num_leaves: declared.num_leaves,
                    ..held.clone()
                },
                declared
            );
        }
        assert!(of(9, &[]).is_empty());
    }
}
