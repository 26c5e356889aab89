use std::fs;

use proptest::prelude::*;
use searchop_contract::{TablesManifest, names};
use searchop_model::{
    artifact::{ArtifactError, write_artifact},
    counters::{Counters, ItemHistory, Totals},
    item::ItemFields,
    tables::{ItemRow, QueryItemRow, TableRows, Tables},
    text::Analyzer,
    texts::{TermId, TermList},
};
use tempfile::TempDir;

use crate::shop;

fn counters() -> impl Strategy<Value = Counters> {
    (
        prop::array::uniform9(any::<u32>()),
        any::<u32>(),
        any::<u32>(),
        any::<u32>(),
    )
        .prop_map(|(impressions, clicks, carts, purchases)| Counters {
            impressions,
            clicks,
            carts,
            purchases,
        })
}

fn text() -> impl Strategy<Value = Option<String>> {
    prop::option::of(".{0,24}|[a-z ]{0,24}")
}

fn number() -> impl Strategy<Value = Option<f64>> {
    prop::option::of(prop_oneof![
        any::<f64>(),
        (0..100_000u32).prop_map(|cents| f64::from(cents) / 100.0)
    ])
}

fn fields() -> impl Strategy<Value = ItemFields> {
    (
        (text(), text(), text(), text(), text(), text()),
        (number(), number(), number(), number()),
        prop::option::of(any::<i64>()),
    )
        .prop_map(
            |(
                (title, description, bullet_points, brand, color, category),
                (price, rating, rating_count, stock),
                added_time,
            )| ItemFields {
                title,
                description,
                bullet_points,
                brand,
                color,
                category,
                price,
                rating,
                rating_count,
                stock,
                added_time,
            },
        )
}

fn rows() -> impl Strategy<Value = TableRows> {
    let items =
        prop::collection::btree_map("\\PC{1,12}", (fields(), counters(), counters()), 0..12);
    let pairs = prop::collection::btree_map((".{0,12}", ".{0,6}"), counters(), 0..12);
    let totals = (
        prop::array::uniform9(0..u64::MAX / 16),
        prop::array::uniform9(0..u64::MAX / 16),
    );
    (items, pairs, totals).prop_map(|(items, pairs, (impressions, clicks))| {
        let item = |(id, (fields, short, long))| ItemRow {
            id,
            fields,
            history: ItemHistory { short, long },
        };
        let analyzer = Analyzer::english();
        let mut query_items: Vec<QueryItemRow> = pairs
            .into_iter()
            .map(|((query, item), counters)| QueryItemRow {
                query: analyzer.query_key(&query),
                item,
                counters,
            })
            .collect();
        query_items.sort_by(|a, b| (&a.query, &a.item).cmp(&(&b.query, &b.item)));
        query_items.dedup_by(|a, b| (&a.query, &a.item) == (&b.query, &b.item));
        TableRows {
            model: "m".into(),
            tables_time: jiff::Timestamp::UNIX_EPOCH,
            items: items.into_iter().map(item).collect(),
            query_items,
            totals: Totals {
                impressions,
                clicks,
                carts: 3,
                purchases: 1,
            },
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_is_written_is_read_and_written_again_to_the_same_bytes(rows in rows()) {
        let (one, two, three) = (TempDir::new().unwrap(), TempDir::new().unwrap(), TempDir::new().unwrap());
        let digest = Tables::build(rows.clone()).unwrap().write(one.path()).unwrap();
        let (read, manifest) = Tables::read(one.path(), &digest).unwrap();
        prop_assert_eq!((manifest.items, read.len()), (rows.items.len() as u64, rows.items.len()));
        prop_assert_eq!(read.write(two.path()).unwrap(), digest.clone());

        let mut shuffled = rows.clone();
        shuffled.items.reverse();
        shuffled.query_items.reverse();
        prop_assert_eq!(Tables::build(shuffled).unwrap().write(three.path()).unwrap(), digest);

        prop_assert_eq!(read.priors().totals(), &rows.totals);
        for row in &rows.items {
            let item = read.item(&row.id).unwrap();
            prop_assert_eq!(item.numbers(), row.fields.clone().single().numbers());
            prop_assert_eq!(item.history(), row.history);
            let number = |term: &String| read.lexicon().term(term).unwrap();
            let title = row.fields.title.as_ref();
            let title: Option<Vec<TermId>> =
                title.map(|title| read.analyzer().tokens(title).iter().map(number).collect());
            prop_assert_eq!(item.text().terms(TermList::Title), title.as_deref());
        }
        for row in &rows.query_items {
            let place = read.find(&row.item).unwrap();
            prop_assert_eq!(read.query(&row.query).unwrap().get(place), Some(row.counters));
            prop_assert_eq!(read.get(place).is_some(), rows.items.iter().any(|item| item.id == row.item));
        }
        prop_assert!(read.find("no such item").is_none() && read.query("no such query").is_none());
    }
}

#[test]
fn rows_that_contradict_each_other_are_named() {
    let build = |change: &dyn Fn(&mut TableRows)| {
        let mut rows = shop::rows();
        change(&mut rows);
        Tables::build(rows).err().unwrap().to_string()
    };
    assert_eq!(
        build(&|rows| rows.items[2].id = "shoe".into()),
        "items.table row 2: item \"shoe\" is there twice"
    );
    assert_eq!(
        build(&|rows| rows.items[1].id.clear()),
        "items.table row 1: the id is empty"
    );
    assert_eq!(
        build(&|rows| rows.query_items[1].item = "shoe".into()),
        "query_items.table row 1: item \"shoe\" is there twice under this query"
    );
    assert_eq!(
        build(&|rows| rows.query_items[0].query = "Running shoes".into()),
        "query_items.table row 0: query \"Running shoes\" is not a normalised query key"
    );
}

/// Seals the folder again after a change, so that the change itself is what is read.
fn reseal(
    dir: &std::path::Path,
    change: impl FnOnce(&mut TablesManifest),
) -> searchop_contract::Digest {
    let mut manifest: TablesManifest =
        serde_json::from_slice(&fs::read(dir.join(names::MANIFEST_FILE)).unwrap()).unwrap();
    change(&mut manifest);
    write_artifact(dir, manifest).unwrap().0
}

fn refusal(dir: &std::path::Path, change: impl FnOnce(&mut TablesManifest)) -> String {
    Tables::read(dir, &reseal(dir, change))
        .err()
        .map_or("accepted".to_owned(), |error| error.to_string())
}

/// The files of the shop's tables.
const FILES: [&str; 4] = [
    names::ITEMS_FILE,
    names::TEXTS_FILE,
    names::QUERY_ITEMS_FILE,
    names::LEXICON_FILE,
];

/// The message of opening the shop's tables after a change of one file, sealed anew.
fn after(file: &str, change: impl FnOnce(&mut Vec<u8>)) -> String {
    let shop = shop::Artifacts::write();
    let path = shop.tables_dir().join(file);
    let mut bytes = fs::read(&path).unwrap();
    change(&mut bytes);
    fs::write(&path, bytes).unwrap();
    refusal(&shop.tables_dir(), |_| {})
}

/// Where section `index` starts and how long it is, and where the file says so.
fn section(bytes: &[u8], index: usize) -> (usize, usize, usize) {
    let at = 16 + 16 * index;
    let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) as usize;
    (word(at), word(at + 8), at)
}

fn add(bytes: &mut [u8], at: usize, number: u8) {
    bytes[at] = bytes[at].wrapping_add(number);
}

#[test]
fn malformed_tables_are_refused_with_file_and_place() {
    type Change = fn(&mut Vec<u8>);
    let cases: [(&str, Change, &str); 16] = [
        (
            names::ITEMS_FILE,
            |b| b.truncate(9),
            "items.table: is shorter than its header",
        ),
        (
            names::ITEMS_FILE,
            |b| b.truncate(40),
            "items.table: is shorter than its list of sections",
        ),
        (
            names::ITEMS_FILE,
            |b| b[0] = b's',
            "items.table: is not a table of kind \"item\"",
        ),
        (
            names::TEXTS_FILE,
            |b| b[8] = b'i',
            "texts.table: is not a table of kind \"text\"",
        ),
        (
            names::TEXTS_FILE,
            |b| add(b, 12, 1),
            "texts.table: has 3 sections, expected 2",
        ),
        (
            names::ITEMS_FILE,
            |b| b.truncate(b.len() - 1),
            "items.table: section 2 lies outside of the file",
        ),
        (
            names::ITEMS_FILE,
            |b| add(b, 16 + 7, 0x80),
            "items.table: section 0 lies outside of the file",
        ),
        (
            names::ITEMS_FILE,
            |b| {
                let at = section(b, 1).2;
                add(b, at + 8, 1)
            },
            "items.table: section 1 has 409 bytes, its records have 136 each",
        ),
        (
            names::ITEMS_FILE,
            |b| {
                let at = section(b, 0).2;
                add(b, at + 8, 252)
            },
            "items.table: the directory's size is not a power of two",
        ),
        (
            names::LEXICON_FILE,
            |b| {
                let at = section(b, 0).0;
                add(b, at + 4, 100)
            },
            "lexicon.table: bucket 0 of the directory is not in order",
        ),
        (
            names::ITEMS_FILE,
            |b| {
                let at = section(b, 1).0;
                add(b, at, 1)
            },
            "items.table: row 0: key ",
        ),
        (
            names::ITEMS_FILE,
            |b| {
                let at = section(b, 1).0;
                add(b, at + 4 + 3, 1)
            },
            "items.table: row 0: the key is not valid text",
        ),
        (
            names::TEXTS_FILE,
            |b| {
                let at = section(b, 0).0;
                add(b, at + 4, 1)
            },
            "texts.table: row ",
        ),
        (
            names::QUERY_ITEMS_FILE,
            |b| {
                let at = section(b, 1).0;
                add(b, at + 12, 1)
            },
            "query_items.table: row 0: its pairs are not in order",
        ),
        (
            names::QUERY_ITEMS_FILE,
            |b| {
                let at = section(b, 3).0;
                add(b, at + 3, 1)
            },
            "query_items.table: ",
        ),
        (
            names::LEXICON_FILE,
            |b| {
                let at = section(b, 3).2;
                add(b, at + 8, 248)
            },
            "lexicon.table: has 5 sums, expected 6",
        ),
    ];
    for (index, (file, change, expected)) in cases.into_iter().enumerate() {
        let message = after(file, change);
        assert!(message.starts_with(expected), "case {index}: {message}");
    }
    let message = after(names::PRIORS_FILE, |bytes| drop(bytes.drain(..9)));
    assert!(message.starts_with("priors.json: "), "{message}");
}

#[test]
fn tables_that_do_not_fit_their_manifest_or_this_program_are_refused() {
    let shop = shop::Artifacts::write();
    let with = |change: &dyn Fn(&mut TablesManifest)| {
        let bytes = fs::read(shop.tables_dir().join(names::MANIFEST_FILE)).unwrap();
        let message = refusal(&shop.tables_dir(), change);
        fs::write(shop.tables_dir().join(names::MANIFEST_FILE), bytes).unwrap();
        message
    };
    assert_eq!(with(&|_| {}), "accepted");
    assert_eq!(
        with(&|m| m.items = 4),
        "items.table: has 3 items, expected 4"
    );
    assert_eq!(
        with(&|m| m.query_items = 2),
        "query_items.table: has 3 pairs, expected 2"
    );
    for (message, expected) in [
        (with(&|m| m.features_version += 1), "featuresVersion is "),
        (with(&|m| m.text.version += 1), "text version is "),
        (
            with(&|m| m.format_version = 1),
            "formatVersion is 1, this program reads 2: ",
        ),
    ] {
        assert!(message.starts_with(expected), "{message}");
    }
    let other = shop::Artifacts::write_rows(|rows| {
        rows.items.truncate(2);
        rows.query_items.truncate(2);
    });
    fs::copy(
        other.tables_dir().join(names::TEXTS_FILE),
        shop.tables_dir().join(names::TEXTS_FILE),
    )
    .unwrap();
    assert_eq!(
        refusal(&shop.tables_dir(), |_| {}),
        "texts.table: has 2 rows, expected 3"
    );
}

#[test]
fn every_cut_and_flip_on_disk_is_seen_by_the_digest() {
    let shop = shop::Artifacts::write();
    let dir = shop.tables_dir();
    for file in FILES {
        let whole = fs::read(dir.join(file)).unwrap();
        for at in (0..whole.len()).step_by(13) {
            let mut flipped = whole.clone();
            flipped[at] ^= 1 << (at % 8);
            for damaged in [&whole[..at], &flipped] {
                fs::write(dir.join(file), damaged).unwrap();
                let error = Tables::read(&dir, &shop.tables).err().unwrap();
                assert!(matches!(error, ArtifactError::Damaged { .. }), "{error}");
            }
        }
        fs::write(dir.join(file), &whole).unwrap();
    }
    assert!(Tables::read(&dir, &shop.tables).is_ok());
}
