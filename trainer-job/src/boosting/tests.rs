use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;

const COLUMNS: usize = 6;

/// Lists of 10 whose label follows the first two columns, a tenth of the values missing.
fn sample(lists: usize, seed: u64) -> Groups {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut groups = Groups {
        columns: COLUMNS,
        ..Groups::default()
    };
    for _ in 0..lists {
        for _ in 0..10 {
            let row: Vec<f32> = (0..COLUMNS).map(|_| rng.random_range(-1.0..1.0)).collect();
            let score = 2.0 * row[0] + row[1] + rng.random_range(-0.3_f32..0.3);
            groups.labels.push(((score + 0.6).clamp(0.0, 3.0)).floor());
            let missing = |value| {
                if rng.random_bool(0.1) {
                    f32::NAN
                } else {
                    value
                }
            };
            groups.values.extend(row.into_iter().map(missing));
        }
        groups.sizes.push(10);
    }
    groups
}

fn features() -> Vec<String> {
    (0..COLUMNS).map(|column| format!("f{column}")).collect()
}

fn trained(threads: usize) -> Trained {
    let parameters = BoostingParameters {
        num_iterations: 40,
        ..BoostingParameters::default()
    };
    let features = features();
    let settings = Settings {
        parameters: &parameters,
        features: &features,
        categorical: &[],
        threads,
    };
    train(&sample(200, 1), Some(&sample(60, 2)), &settings, |_, _| {}).unwrap()
}

#[test]
fn the_training_lists_are_followed_after_some_trees() {
    let found = trained(1).train_curve;
    let trees: Vec<u32> = found.iter().map(|point| point.tree).collect();
    assert_eq!(trees, [1, 10, 20, 30, 40]);
    assert!(found[4].ndcg_at_10 > found[0].ndcg_at_10, "{found:?}");
    assert!(
        found.iter().all(|point| point.ndcg_at_10 <= 1.0),
        "{found:?}"
    );
}

#[test]
fn learns_and_keeps_the_best_trees() {
    let mut seen = Vec::new();
    let parameters = BoostingParameters {
        num_iterations: 60,
        ..BoostingParameters::default()
    };
    let features = features();
    let settings = Settings {
        parameters: &parameters,
        features: &features,
        categorical: &[],
        threads: 1,
    };
    let model = train(
        &sample(200, 1),
        Some(&sample(60, 2)),
        &settings,
        |tree, ndcg| seen.push((tree, ndcg)),
    );
    let model = model.unwrap();
    assert_eq!(seen.len(), model.curve.len());
    let best = model.curve.iter().copied().fold(0.0, f64::max);
    assert!(best > 0.85, "{best}");
    assert!((model.reached().unwrap() - best).abs() < 1e-15);
    assert_eq!(model.text.matches("\nTree=").count(), model.trees as usize);
    let gain: Vec<f64> = model.importance.iter().map(|one| one.gain).collect();
    assert!(gain[0] > gain[1] && gain[1] > gain[2], "{gain:?}");
}

#[test]
fn neither_a_repeat_nor_the_threads_change_a_byte() {
    let one = trained(1);
    assert!(one == trained(1), "a repeat differs");
    assert!(one == trained(2), "two threads differ from one");
    assert!(!one.text.contains("num_threads"));
    assert!(one.text.contains("feature_names=f0 f1 f2"));
}

#[test]
fn rows_that_do_not_fit_are_an_error() {
    let parameters = BoostingParameters::default();
    let features = features();
    let settings = Settings {
        parameters: &parameters,
        features: &features,
        categorical: &[],
        threads: 1,
    };
    let good = sample(20, 1);
    for bad in [
        Groups {
            columns: 3,
            ..good.clone()
        },
        Groups {
            sizes: vec![10; 19],
            ..good.clone()
        },
        Groups {
            values: vec![0.0; 7],
            ..good.clone()
        },
        Groups {
            columns: COLUMNS,
            ..Groups::default()
        },
    ] {
        let error = train(&bad, Some(&good), &settings, |_, _| {}).unwrap_err();
        assert!(matches!(error, BoostingError::Shape(_)), "{error}");
    }
    let same = Groups {
        labels: vec![0.0; 200],
        values: vec![0.0; 200 * COLUMNS],
        ..good.clone()
    };
    let error = train(&same, Some(&good), &settings, |_, _| {}).unwrap_err();
    assert!(error.to_string().contains("minDataInLeaf"), "{error}");
}
