//! No bytes make the reader of manifests panic: they are refused, or what they list is harmless.

use std::{fs, sync::LazyLock};

use proptest::prelude::*;
use serde_json::json;

use super::*;

/// What stands in place of a word of the manifest.
const WORDS: [&str; 20] = [
    "null",
    "true",
    "0",
    "-1",
    "1.5",
    "1e400",
    "4294967296",
    "18446744073709551616",
    "NaN",
    "\"\"",
    "\"..\"",
    "\"../model.bst\"",
    "\"a/b\"",
    "\".hidden\"",
    "\"manifest.json\"",
    "\"model.bst\"",
    "\"\\u0000\"",
    "\"\\ud800\"",
    "[]",
    "{}",
];

/// A model's and a table's.
static MANIFESTS: LazyLock<[Vec<u8>; 2]> = LazyLock::new(|| {
    let files = ["golden.json", "model.bst"]
        .map(|name| json!({"name": name, "bytes": 12, "sha256": Digest::of(name.as_bytes())}));
    let text = Analyzer::english().version();
    let common =
        json!({"model": "m", "files": files, "text": text, "featuresVersion": FEATURES_VERSION});
    let own = [
        json!({"formatVersion": MANIFEST_FORMAT, "features": ["a", "b"], "trees": 3,
            "parameters": searchop_contract::BoostingParameters::default(),
            "trainedThroughTime": "2026-11-20T00:00:00Z"}),
        json!({"formatVersion": TABLES_FORMAT, "tablesTime": "2026-11-20T00:00:00Z", "items": 5,
            "queryItems": 0}),
    ];
    own.map(|own| {
        let mut manifest = common.clone();
        let fields = manifest.as_object_mut().unwrap();
        fields.extend(own.as_object().unwrap().clone());
        serde_json::to_vec_pretty(&manifest).unwrap()
    })
});

/// Whether the bytes are accepted as the manifest of a model or of tables.
fn survives(bytes: &[u8]) -> bool {
    let analyzer = Analyzer::english();
    let model = usable::<ModelManifest>(bytes, &analyzer).map(|manifest| manifest.files);
    let tables = usable::<TablesManifest>(bytes, &analyzer).map(|manifest| manifest.files);
    let listed = listed_files(bytes);
    let mut accepted = false;
    for files in [model, tables] {
        let Ok(files) = files else {
            continue;
        };
        accepted = true;
        assert_eq!(listed.as_ref().ok(), Some(&files));
        assert!(files.len() <= MAX_FILES);
        for file in &files {
            // Nothing outside the folder, and not the manifest itself.
            assert!(!file.name.contains(['/', '\\', '\0']) && !file.name.starts_with('.'));
            assert_ne!(file.name, names::MANIFEST_FILE);
            assert!(file.bytes <= MAX_FILE_BYTES);
        }
    }
    accepted
}

#[test]
fn every_cut_of_a_manifest_is_refused_and_every_flip_is_refused_or_a_value() {
    for manifest in &*MANIFESTS {
        assert!(survives(manifest), "{}", String::from_utf8_lossy(manifest));
        for cut in 0..manifest.len() {
            assert!(!survives(&manifest[..cut]), "cut at {cut}");
        }
        let mut refused = 0;
        let mut flipped = manifest.clone();
        for bit in 0..manifest.len() * 8 {
            flipped[bit / 8] ^= 1 << (bit % 8);
            refused += usize::from(!survives(&flipped));
            flipped[bit / 8] ^= 1 << (bit % 8);
        }
        assert!(refused > manifest.len() * 3, "{refused}");
    }
}

#[test]
fn the_corpus_of_manifests_is_refused() {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus/manifests");
    let mut seen = 0;
    for entry in fs::read_dir(corpus).unwrap() {
        let path = entry.unwrap().path();
        assert!(!survives(&fs::read(&path).unwrap()), "{}", path.display());
        seen += 1;
    }
    assert!(seen >= 12, "{seen}");
}

/// As many as `make fuzz` asks for; else what takes a second.
fn cases() -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok();
    ProptestConfig::with_cases(asked.and_then(|cases| cases.parse().ok()).unwrap_or(4000))
}

/// A change of a manifest: of a kind, at a place, with a number.
type Change = (u8, prop::sample::Index, u8);

fn apply((kind, at, number): &Change, bytes: &mut Vec<u8>) {
    if bytes.is_empty() {
        return;
    }
    let at = at.index(bytes.len());
    let is_end = |byte: &u8| b" \n,:[]{}".contains(byte);
    match kind % 6 {
        0 => bytes[at] = *number,
        1 => bytes.truncate(at),
        2 => drop(bytes.drain(at..(at + usize::from(*number)).min(bytes.len()))),
        3 => bytes.extend_from_within(at..),
        _ => {
            let start = bytes[..at]
                .iter()
                .rposition(is_end)
                .map_or(0, |end| end + 1);
            let length = bytes[at..].iter().position(is_end);
            let end = length.map_or(bytes.len(), |length| at + length);
            let word = WORDS[usize::from(*number) % WORDS.len()];
            drop(bytes.splice(start..end, word.bytes()));
        }
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn fuzz_manifests(
        of_tables in any::<bool>(),
        changes in prop::collection::vec(any::<Change>(), 1..4),
    ) {
        let mut bytes = MANIFESTS[usize::from(of_tables)].clone();
        for change in &changes {
            apply(change, &mut bytes);
        }
        survives(&bytes);
    }
}
