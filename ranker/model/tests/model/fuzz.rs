//! No text makes the reader of models panic or hang: it is refused, or every path scores it alike.

use std::{fs, sync::LazyLock};

use proptest::prelude::*;
use searchop_model::forest::{Forest, Isa, Scratch};

use crate::forest_text::{categorical, leaf, model, two_splits, with_header};

/// What stands in place of a word of the text.
const WORDS: [&str; 24] = [
    "",
    "0",
    "-0",
    "1",
    "-1",
    "2",
    "-2",
    "-3",
    "3",
    "7",
    "31",
    "4096",
    "4097",
    "65536",
    "2147483647",
    "-2147483648",
    "4294967296",
    "18446744073709551616",
    "nan",
    "inf",
    "-inf",
    "1e400",
    "1e-400",
    "x",
];
/// Values that a row has in its columns.
const VALUES: [f32; 9] = [
    0.0,
    1.0,
    2.0,
    32.0,
    -1.0,
    1e-36,
    f32::NAN,
    f32::INFINITY,
    f32::NEG_INFINITY,
];
const ROWS: usize = 70;

static TEXTS: LazyLock<[String; 2]> = LazyLock::new(|| {
    let trees = [leaf("0.125"), two_splits(), categorical()];
    [
        model(&["a", "b"], &trees),
        with_header(&["a", "b"], &trees, "average_output\n"),
    ]
});

/// A change of a text: of a kind, at a place, from another one, with a number.
type Change = (u8, prop::sample::Index, prop::sample::Index, u8);

fn apply((kind, at, from, number): &Change, text: &mut Vec<u8>) {
    if text.is_empty() {
        return;
    }
    let (at, from) = (at.index(text.len()), from.index(text.len()));
    match kind % 8 {
        0 => text[at] = *number,
        1 => text.truncate(at),
        2 => drop(text.drain(at..(at + usize::from(*number)).min(text.len()))),
        // Half of what is changed are values.
        3..6 => {
            let word = part(text, at, b" =\n");
            drop(text.splice(word, WORDS[usize::from(*number) % WORDS.len()].bytes()));
        }
        6 => {
            let copied = text[part(text, from, b"\n")].to_vec();
            drop(text.splice(part(text, at, b"\n"), copied));
        }
        _ => {
            let copied = text[part(text, from, b" =\n")].to_vec();
            drop(text.splice(part(text, at, b" =\n"), copied));
        }
    }
}

/// What stands around a place, between two of `ends`.
fn part(text: &[u8], at: usize, ends: &[u8]) -> std::ops::Range<usize> {
    let is_end = |byte: &u8| ends.contains(byte);
    let start = text[..at].iter().rposition(is_end).map_or(0, |end| end + 1);
    let length = text[at..].iter().position(is_end);
    start..length.map_or(text.len(), |length| at + length)
}

/// The same text with `tree_sizes` as they are, so that more of the reader is reached.
fn resized(text: Vec<u8>) -> Vec<u8> {
    let Ok(text) = String::from_utf8(text) else {
        return Vec::new();
    };
    let ends = text.find("\nTree=").zip(text.find("end of trees"));
    let Some((start, end)) = ends.filter(|(start, end)| start < end) else {
        return text.into_bytes();
    };
    let (head, trees) = (&text[..start], &text[start + 1..end]);
    let mut starts: Vec<usize> = trees
        .match_indices("Tree=")
        .map(|(start, _)| start)
        .collect();
    starts.push(trees.len());
    let sizes: Vec<String> = starts
        .windows(2)
        .map(|pair| (pair[1] - pair[0]).to_string())
        .collect();
    let sized = |line: &str| match line.starts_with("tree_sizes=") {
        true => format!("tree_sizes={}", sizes.join(" ")),
        false => line.to_owned(),
    };
    let head: Vec<String> = head.split('\n').map(sized).collect();
    format!("{}\n{}", head.join("\n"), &text[start + 1..]).into_bytes()
}

/// Whether a text is accepted; then every path must give the same scores.
fn survives(text: &[u8]) -> bool {
    let Ok(forest) = Forest::parse(text) else {
        return false;
    };
    let columns = forest.feature_names().len();
    let value = |index: usize| VALUES[(index + index / columns) % VALUES.len()];
    let rows: Vec<f32> = (0..ROWS * columns).map(value).collect();
    let plain: Vec<f64> = rows.chunks(columns).map(|row| forest.score(row)).collect();
    // Each leaf is finite. That a sum is not shows when it is ranked with.
    if !plain.iter().all(|score| score.is_finite()) {
        return true;
    }
    let mut scratch = Scratch::default();
    for isa in Isa::available() {
        let mut scores = vec![f64::NAN; plain.len()];
        forest.score_rows_with(isa, &rows, &mut scratch, &mut scores);
        assert_eq!(scores, plain, "{isa:?}");
    }
    if let Ok(parts) = forest.explain(&rows[..columns]) {
        let all = parts.features.iter().sum::<f64>() + parts.expected;
        assert!(all.is_finite());
    }
    true
}

#[test]
fn fuzz_corpus_of_models_is_refused() {
    assert!(TEXTS.iter().all(|text| survives(text.as_bytes())));
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus/models");
    let mut seen = 0;
    for entry in fs::read_dir(corpus).unwrap() {
        let path = entry.unwrap().path();
        assert!(!survives(&fs::read(&path).unwrap()), "{}", path.display());
        seen += 1;
    }
    assert!(seen >= 15, "{seen}");
}

#[test]
fn sizes_are_mended() {
    for text in &*TEXTS {
        assert_eq!(resized(text.clone().into_bytes()), text.as_bytes());
        let longer = text.replace("leaf_value=1 2 4", "leaf_value=1 2 4000");
        assert!(!survives(longer.as_bytes()));
        assert!(survives(&resized(longer.into_bytes())));
    }
}

/// As many as `make fuzz` asks for; else what takes a second.
fn cases() -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok();
    ProptestConfig::with_cases(asked.and_then(|cases| cases.parse().ok()).unwrap_or(4000))
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn fuzz_models(
        averages in any::<bool>(),
        changes in prop::collection::vec(any::<Change>(), 1..4),
        mended in prop::bool::weighted(0.9),
    ) {
        let mut text = TEXTS[usize::from(averages)].clone().into_bytes();
        for change in &changes {
            apply(change, &mut text);
        }
        if mended {
            text = resized(text);
        }
        survives(&text);
    }
}
