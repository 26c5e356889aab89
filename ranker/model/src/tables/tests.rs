//! No bytes make a reader panic, hang or read beyond the end: they are refused, or every lookup
//! gives a value.

use std::{fs, sync::LazyLock};

use proptest::prelude::*;

use super::*;
use crate::{
    bundle::features_of,
    counters::Counters,
    features::features,
    item::{Candidate, ItemFields},
};

const IDS: [&str; 5] = ["shoe", "sock", "kettle", "gone", "never"];

fn fields(title: &str, price: f64) -> ItemFields {
    ItemFields {
        title: Some(title.to_owned()),
        description: (price > 20.0).then(|| format!("{title} of the best kind, {price} only")),
        brand: Some("Nike".to_owned()),
        price: Some(price),
        added_time: (price > 20.0).then_some(1_600_000_000),
        ..ItemFields::default()
    }
}

fn tables() -> Tables {
    let mut counters = Counters {
        clicks: 3,
        ..Counters::default()
    };
    counters.impressions[2] = 9;
    let items = [
        ("shoe", "Nike Running Shoes", 99.5),
        ("sock", "Running Socks", 9.5),
        ("kettle", "Électric Kettle", 31.0),
    ];
    let pairs = [
        ("running shoes", "shoe"),
        ("running shoes", "gone"),
        ("kettle", "kettle"),
    ];
    Tables::build(TableRows {
        model: "m".to_owned(),
        tables_time: Timestamp::UNIX_EPOCH,
        items: items
            .map(|(id, title, price)| ItemRow {
                id: id.to_owned(),
                fields: fields(title, price),
                history: ItemHistory {
                    short: Counters::default(),
                    long: counters,
                },
            })
            .into(),
        query_items: pairs
            .map(|(query, item)| QueryItemRow {
                query: query.to_owned(),
                item: item.to_owned(),
                counters,
            })
            .into(),
        totals: Totals::default(),
    })
    .unwrap()
}

/// Items, texts, query–item pairs, lexicon.
static FILES: LazyLock<[Vec<u8>; 4]> = LazyLock::new(|| {
    let tables = tables();
    [
        tables.items.file().bytes().to_vec(),
        tables.texts.file().bytes().to_vec(),
        tables.queries.file().bytes().to_vec(),
        tables.lexicon.file().bytes().to_vec(),
    ]
});

fn open(files: &[Vec<u8>; 4]) -> Result<Tables, String> {
    let bytes = |index: usize| files[index].clone().into();
    let tables = Tables {
        model: "m".to_owned(),
        tables_time: Timestamp::UNIX_EPOCH,
        analyzer: Analyzer::english(),
        items: ItemTable::open(bytes(0))?,
        texts: Texts::open(bytes(1))?,
        queries: QueryItemTable::open(bytes(2))?,
        declared: None,
        lexicon: Lexicon::open(bytes(3))?,
        priors: Priors::from_totals(&Totals::default()),
    };
    let manifest = TablesManifest {
        format_version: TABLES_FORMAT,
        model: "m".to_owned(),
        files: Vec::new(),
        text: tables.analyzer.version(),
        features_version: FEATURES_VERSION,
        tables_time: Timestamp::UNIX_EPOCH,
        items: tables.items.listed() as u64,
        query_items: tables.queries.len() as u64,
    };
    tables
        .check_fit(&manifest)
        .map_err(|error| error.to_string())?;
    Ok(tables)
}

/// Whether the files are accepted; then every lookup must end with a value.
fn survives(files: &[Vec<u8>; 4]) -> bool {
    let Ok(tables) = open(files) else {
        return false;
    };
    let candidates = IDS.map(|id| Candidate {
        id,
        ..Candidate::default()
    });
    for query in ["running shoes", "kettle", ""] {
        let rows = features_of(&tables, query, 1_700_000_000, &candidates);
        assert!(rows.iter().all(|row| row.len() == features().len()));
    }
    for row in 0..tables.items.rows() + 1 {
        let item = tables.get(row);
        item.map(|item| (item.numbers(), item.history(), item.text()));
        assert!(tables.items.get(row).is_some() == (row < tables.items.rows()));
    }
    true
}

#[test]
fn what_was_shown_under_a_query_is_known_also_of_items_that_the_catalogue_lacks() {
    let tables = tables();
    assert_eq!(tables.shown_under("running shoes"), ["gone", "shoe"]);
    assert!(tables.shown_under("sofa").is_empty());
}

#[test]
fn every_cut_is_refused_and_every_flip_is_refused_or_a_value() {
    let mut files = FILES.clone();
    assert!(survives(&files));
    let (mut refused, mut accepted) = (0, 0);
    for file in 0..files.len() {
        let whole = files[file].clone();
        for cut in 0..whole.len() {
            files[file].truncate(cut);
            assert!(!survives(&files), "file {file} cut at {cut}");
            files[file].clone_from(&whole);
        }
        for bit in 0..whole.len() * 8 {
            files[file][bit / 8] ^= 1 << (bit % 8);
            match survives(&files) {
                true => accepted += 1,
                false => refused += 1,
            }
            files[file][bit / 8] ^= 1 << (bit % 8);
        }
    }
    // Numbers and padding may be anything; places, keys and order may not.
    assert!(refused > 3000 && accepted > 3000, "{refused} {accepted}");
}

/// Files that once were, or look as if they could be, hard to refuse. Each is opened as every kind.
#[test]
fn the_corpus_is_refused_or_read() {
    let valid = &*FILES;
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus/tables");
    let mut seen = 0;
    for entry in fs::read_dir(corpus).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        for file in 0..valid.len() {
            let mut files = valid.clone();
            files[file].clone_from(&bytes);
            survives(&files);
        }
        seen += 1;
    }
    assert!(seen >= 20, "{seen}");
}

/// A change of a file: at a place, of a kind, with a number.
type Change = (prop::sample::Index, u8, u64);

fn apply((place, kind, number): &Change, bytes: &mut Vec<u8>) {
    if bytes.is_empty() {
        return bytes.extend_from_slice(&number.to_le_bytes());
    }
    let at = place.index(bytes.len());
    let number = number.to_le_bytes();
    match kind % 6 {
        0 => bytes[at] = number[0],
        1 => bytes.truncate(at),
        2 => drop(bytes.splice(at..at, number)),
        3 => drop(bytes.drain(at..(at + usize::from(number[0])).min(bytes.len()))),
        // A whole number where the format has them, as it is or of a small size.
        kind => {
            let at = at & !3;
            let width = if kind == 4 { 1 } else { 8 };
            for (byte, number) in bytes[at..].iter_mut().take(8).zip(number).take(width) {
                *byte = number;
            }
        }
    }
}

/// As many as `make fuzz-tables` asks for; else what takes a second.
fn cases() -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok();
    ProptestConfig::with_cases(asked.and_then(|cases| cases.parse().ok()).unwrap_or(4000))
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn changes_are_refused_or_read(
        file in 0..4usize,
        changes in prop::collection::vec(any::<Change>(), 1..5),
    ) {
        let mut files = FILES.clone();
        for change in &changes {
            apply(change, &mut files[file]);
        }
        survives(&files);
    }

    #[test]
    fn any_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..400), sealed in any::<bool>()) {
        let valid = &*FILES;
        for file in 0..4 {
            let mut bytes = bytes.clone();
            if sealed {
                // With a true header, more of the reader is reached.
                let head = 16.min(bytes.len());
                bytes[..head].copy_from_slice(&valid[file][..head]);
            }
            let mut files = valid.clone();
            files[file] = bytes;
            survives(&files);
        }
    }
}
