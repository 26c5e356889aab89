//! Damaged models: refused, or valid and scored by every path alike. The digest check, which would
//! refuse them all, stands before this.
//!
//! Malformed is a text that is cut off, or has a line or a value too few, too many or in a place
//! where LightGBM writes none; a value of another kind than its list or out of range, used or not;
//! nodes that are no tree; a leaf that is not finite. All that is refused. What is left is a text
//! that LightGBM could have written: another model, which only the digest tells from the right one.

use searchop_model::forest::{Forest, Isa, Scratch};

use crate::forest_text::{categorical, leaf, model, two_splits};

/// Lines whose values mean the same kind of thing after a digit has changed.
const VALUES: [&str; 16] = [
    "objective",
    "label_index",
    "feature_names",
    "feature_infos",
    "split_feature",
    "split_gain",
    "threshold",
    "decision_type",
    "leaf_value",
    "leaf_weight",
    "leaf_count",
    "internal_value",
    "internal_weight",
    "internal_count",
    "cat_threshold",
    "shrinkage",
];

const ROWS: [f32; 20] = [
    0.0,
    0.0,
    1.0,
    1.0,
    2.0,
    2.0,
    32.0,
    -1.0,
    -1.0,
    32.0,
    0.5,
    1.5,
    f32::NAN,
    1.0,
    1.0,
    f32::NAN,
    f32::INFINITY,
    f32::NEG_INFINITY,
    1e-36,
    -1e-36,
];

fn text() -> String {
    model(&["a", "b"], &[leaf("0.125"), two_splits(), categorical()])
}

/// Scores of the plain walk, after every other path has given the same.
fn scores(forest: &Forest, scratch: &mut Scratch) -> Vec<f64> {
    let plain: Vec<f64> = ROWS.chunks(2).map(|row| forest.score(row)).collect();
    for isa in Isa::available() {
        let mut fast = vec![f64::NAN; plain.len()];
        forest.score_rows_with(isa, &ROWS, scratch, &mut fast);
        assert_eq!(fast, plain, "{isa:?}");
        let one = &mut [f64::NAN];
        forest.score_rows_with(isa, &ROWS[..2], scratch, one);
        assert_eq!(one[0], plain[0], "{isa:?}");
    }
    assert!(plain.iter().all(|score| score.is_finite()), "{plain:?}");
    plain
}

#[test]
fn every_prefix_is_refused() {
    let text = text();
    scores(
        &Forest::parse(text.as_bytes()).unwrap(),
        &mut Scratch::default(),
    );
    for cut in 0..text.len() {
        assert!(
            Forest::parse(&text.as_bytes()[..cut]).is_err(),
            "cut at {cut}"
        );
    }
}

#[test]
fn every_flipped_bit_is_refused_or_changes_a_value_alone() {
    let text = text();
    let mut scratch = Scratch::default();
    let trees_end = text.find("end of trees").unwrap();
    let (mut refused, mut accepted) = (0, 0);
    let mut line_start = 0;
    for at in 0..trees_end {
        if at > 0 && text.as_bytes()[at - 1] == b'\n' {
            line_start = at;
        }
        let line = text[line_start..].lines().next().unwrap_or_default();
        let (key, _) = line.split_once('=').unwrap_or((line, ""));
        let in_value = at > line_start + key.len();
        for bit in 0..8 {
            let mut mutant = text.clone().into_bytes();
            mutant[at] ^= 1 << bit;
            let Ok(forest) = Forest::parse(&mutant) else {
                refused += 1;
                continue;
            };
            accepted += 1;
            let what = format!("byte {at}, bit {bit}: {line}");
            assert!(in_value && VALUES.contains(&key), "{what}");
            assert_eq!(
                (forest.trees(), forest.feature_names().len()),
                (3, 2),
                "{what}"
            );
            scores(&forest, &mut scratch);
            if let Ok(parts) = forest.explain(&ROWS[..2]) {
                assert!(parts.expected.is_finite(), "{what}");
            }
        }
    }
    // Neither of the two is empty, and most of what is damaged is seen.
    assert!(
        accepted > 100 && refused > 10 * accepted,
        "{accepted} accepted, {refused} refused"
    );
}
