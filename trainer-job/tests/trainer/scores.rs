//! LightGBM and the reader that serves give the same scores to the last bit.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use searchop_contract::BoostingParameters;
use searchop_model::forest::{Forest, Isa, Scratch};
use searchop_trainer::boosting::{self, Groups, Settings, Trained};

const COLUMNS: usize = 8;

/// Values of several scales with missing ones, zeros and repeats.
fn value(rng: &mut ChaCha8Rng, column: usize) -> f32 {
    match rng.random_range(0..10) {
        0 => f32::NAN,
        1 => 0.0,
        2 => rng.random_range(0..4) as f32,
        _ => rng.random_range(-1.0_f32..1.0) * 10_f32.powi(column as i32 * 3 - 10),
    }
}

fn groups(lists: usize, seed: u64) -> Groups {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut groups = Groups {
        columns: COLUMNS,
        ..Groups::default()
    };
    for _ in 0..lists {
        let size = rng.random_range(2..12);
        for _ in 0..size {
            let row: Vec<f32> = (0..COLUMNS).map(|column| value(&mut rng, column)).collect();
            // Noise on top, so that many trees are worth having.
            let signs = [
                row[3].is_nan(),
                row[4] > 0.0,
                row[0] == 0.0,
                row[6] * row[2] > 0.0,
            ];
            let wanted =
                signs.iter().filter(|sign| **sign).count() as i32 + rng.random_range(-2..2);
            groups.labels.push(wanted.clamp(0, 3) as f32);
            groups.values.extend(row);
        }
        groups.sizes.push(size);
    }
    groups
}

fn trained() -> Trained {
    let features: Vec<String> = (0..COLUMNS).map(|column| format!("f{column}")).collect();
    let parameters = BoostingParameters {
        num_iterations: 120,
        min_data_in_leaf: 5,
        ..BoostingParameters::default()
    };
    let settings = Settings {
        parameters: &parameters,
        features: &features,
        categorical: &[],
        threads: 1,
    };
    boosting::train(&groups(400, 1), Some(&groups(100, 2)), &settings, |_, _| {}).unwrap()
}

/// What LightGBM itself makes of a model's text.
pub fn lightgbm_scores(text: &str, values: &[f32], columns: usize) -> Vec<f64> {
    let columns = i32::try_from(columns).unwrap();
    lightgbm3::Booster::from_string(text)
        .and_then(|model| model.raw_scores_with_params(values, columns, true, "num_threads=1"))
        .unwrap()
}

#[test]
fn lightgbm_and_the_forest_agree_bit_for_bit() {
    let model = trained();
    assert!(model.trees > 5, "{}", model.trees);
    let forest = Forest::parse(model.text.as_bytes()).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let mut values: Vec<f32> = (0..4_000 * COLUMNS)
        .map(|index| value(&mut rng, index % COLUMNS))
        .collect();
    values.extend([f32::NAN; COLUMNS]);
    values.extend([f32::MAX; COLUMNS]);
    values.extend([f32::NEG_INFINITY; COLUMNS]);
    values.extend([-0.0; COLUMNS]);
    let expected = lightgbm_scores(&model.text, &values, COLUMNS);
    for (row, expected) in values.chunks_exact(COLUMNS).zip(&expected) {
        assert_eq!(forest.score(row).to_bits(), expected.to_bits(), "{row:?}");
    }
    for isa in Isa::available() {
        let mut scores = vec![f64::NAN; expected.len()];
        forest.score_rows_with(isa, &values, &mut Scratch::default(), &mut scores);
        let rows = values.chunks_exact(COLUMNS);
        for ((row, score), expected) in rows.zip(scores).zip(&expected) {
            assert_eq!(score.to_bits(), expected.to_bits(), "{isa:?} {row:?}");
        }
    }
}

/// Scores and contributions must be LightGBM's over `parts`, and add up.
fn explains_as_lightgbm(text: &str, parts: f64) {
    let forest = Forest::parse(text.as_bytes()).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let values: Vec<f32> = (0..200 * COLUMNS)
        .map(|index| value(&mut rng, index % COLUMNS))
        .collect();
    let columns = i32::try_from(COLUMNS).unwrap();
    let expected = lightgbm3::Booster::from_string(text)
        .and_then(|model| model.predict_contrib(&values, columns, true))
        .unwrap();
    let scores = lightgbm_scores(text, &values, COLUMNS);
    // LightGBM's last column is the mean score.
    let expected = expected.chunks_exact(COLUMNS + 1).zip(scores);
    let mut largest = 0.0_f64;
    for (row, (expected, score)) in values.chunks_exact(COLUMNS).zip(expected) {
        let score = score / parts;
        let own = forest.explain(row).unwrap();
        for (part, expected) in own.features.iter().chain([&own.expected]).zip(expected) {
            let expected = expected / parts;
            assert!(
                (part - expected).abs() < 1e-9,
                "{part}, not {expected}: {row:?}"
            );
            largest = largest.max(part.abs());
        }
        assert_eq!(forest.score(row).to_bits(), score.to_bits(), "{row:?}");
        let sum: f64 = own.features.iter().sum::<f64>() + own.expected;
        assert!((sum - score).abs() < 1e-9, "{row:?}");
    }
    assert!(largest * parts > 0.1, "{largest}");
}

#[test]
fn lightgbm_and_the_forest_explain_alike() {
    let model = trained();
    explains_as_lightgbm(&model.text, 1.0);
    // LightGBM's predictions of such a forest are means, as ours are; its raw scores and its
    // contributions are sums.
    let averaged = model
        .text
        .replacen("feature_names=", "average_output\nfeature_names=", 1);
    explains_as_lightgbm(&averaged, f64::from(model.trees));
}
