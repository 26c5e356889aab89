use std::fs;

use proptest::prelude::*;
use searchop_contract::{TablesManifest, names};
use searchop_model::{
    artifact::write_artifact,
    counters::{Counters, ItemHistory, Totals},
    item::ItemFields,
    tables::{ItemRow, QueryItemRow, TableRows, Tables},
    text::Analyzer,
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
        (text(), text(), text(), text()),
        (number(), number(), number(), number()),
        prop::option::of(any::<i64>()),
    )
        .prop_map(
            |(
                (title, description, brand, category),
                (price, rating, rating_count, stock),
                added_time,
            )| ItemFields {
                title,
                description,
                brand,
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
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_written_is_read_and_written_again_to_the_same_bytes(rows in rows()) {
        let (one, two, three) = (TempDir::new().unwrap(), TempDir::new().unwrap(), TempDir::new().unwrap());
        let digest = Tables::build(rows.clone()).unwrap().write(one.path()).unwrap();
        let (read, manifest) = Tables::read(one.path(), &digest).unwrap();
        prop_assert_eq!(manifest.items, rows.items.len() as u64);
        prop_assert_eq!(read.write(two.path()).unwrap(), digest.clone());

        let mut shuffled = rows.clone();
        shuffled.items.reverse();
        shuffled.query_items.reverse();
        prop_assert_eq!(Tables::build(shuffled).unwrap().write(three.path()).unwrap(), digest);

        prop_assert_eq!(read.priors().totals(), &rows.totals);
        for row in rows.items {
            let item = read.item(&row.id).unwrap();
            prop_assert_eq!(&item.fields, &row.fields.single());
            prop_assert_eq!(item.history, row.history);
        }
        for row in rows.query_items {
            prop_assert_eq!(read.query(&row.query).unwrap()[&row.item], row.counters);
        }
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
        "items.ndjson line 3: item \"shoe\" is there twice"
    );
    assert_eq!(
        build(&|rows| rows.items[1].id.clear()),
        "items.ndjson line 2: the id is empty"
    );
    assert_eq!(
        build(&|rows| rows.query_items[1].item = "shoe".into()),
        "query_items.ndjson line 2: item \"shoe\" is there twice under this query"
    );
    assert_eq!(
        build(&|rows| rows.query_items[0].query = "Running shoes".into()),
        "query_items.ndjson line 1: query \"Running shoes\" is not a normalised query key"
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

#[test]
fn malformed_files_are_refused_with_file_and_line() {
    let cases = [
        (
            names::ITEMS_FILE,
            "99.99",
            "99.99.1",
            "items.ndjson line 2: expected `,` or `}` at line 1 column",
        ),
        (
            names::ITEMS_FILE,
            "\"price\":9.5",
            "\"price\":\"9.5\"",
            "items.ndjson line 3: invalid type: string \"9.5\", expected f32",
        ),
        (
            names::ITEMS_FILE,
            "{\"id\":\"sock\"",
            "\n{\"id\":\"sock\"",
            "items.ndjson line 3: EOF while parsing",
        ),
        (
            names::QUERY_ITEMS_FILE,
            "\"clicks\":12",
            "\"clicks\":-1",
            "query_items.ndjson line 2: invalid value: integer `-1`, expected u32",
        ),
        (
            names::QUERY_ITEMS_FILE,
            "\"clicks\":12",
            "\"klicks\":12",
            "query_items.ndjson line 2: unknown field `klicks`",
        ),
        (
            names::QUERY_ITEMS_FILE,
            "running shoes",
            "Running shoes",
            "query_items.ndjson line 2: query \"Running shoes\" is not a normalised query key",
        ),
        (
            names::PRIORS_FILE,
            "\"carts\":30,",
            "",
            "priors.json: missing field `carts`",
        ),
    ];
    for (file, from, to, expected) in cases {
        let shop = shop::Artifacts::write();
        let path = shop.tables_dir().join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{file} has {from}: {text}");
        fs::write(&path, text.replacen(from, to, 1)).unwrap();
        let message = refusal(&shop.tables_dir(), |_| {});
        assert!(message.starts_with(expected), "{message}");
    }
    let shop = shop::Artifacts::write();
    assert_eq!(refusal(&shop.tables_dir(), |_| {}), "accepted");
    assert_eq!(
        refusal(&shop.tables_dir(), |m| m.items = 4),
        "items.ndjson: has 3 lines, the manifest says 4"
    );
    assert_eq!(
        refusal(&shop.tables_dir(), |m| (m.items, m.features_version) =
            (3, 9)),
        "featuresVersion is 9, this program reads 1: serve it with the release that trained it, or retrain"
    );
    assert!(
        refusal(&shop.tables_dir(), |m| (
            m.features_version,
            m.text.version
        ) = (1, 7))
        .starts_with("text version is 7 of english")
    );
    assert!(
        refusal(&shop.tables_dir(), |m| (m.text.version, m.format_version) =
            (1, 2))
        .starts_with("formatVersion is 2")
    );
    let path = shop.tables_dir().join(names::ITEMS_FILE);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, &text[..text.len() - 1]).unwrap();
    assert_eq!(
        refusal(&shop.tables_dir(), |m| m.format_version = 1),
        "items.ndjson line 3: the last line has no end: the file is cut off"
    );
}

#[test]
fn every_cut_and_many_flips_end_in_an_error_or_in_tables() {
    let shop = shop::Artifacts::write();
    let dir = shop.tables_dir();
    for file in [
        names::ITEMS_FILE,
        names::QUERY_ITEMS_FILE,
        names::PRIORS_FILE,
    ] {
        let whole = fs::read(dir.join(file)).unwrap();
        for cut in (0..whole.len()).step_by(7) {
            fs::write(dir.join(file), &whole[..cut]).unwrap();
            assert_ne!(refusal(&dir, |_| {}), "accepted", "{file} cut at {cut}");
        }
        for at in (0..whole.len()).step_by(5) {
            let mut flipped = whole.clone();
            flipped[at] ^= 1 << (at % 8);
            fs::write(dir.join(file), &flipped).unwrap();
            // Sealed anew, a flip may be a legal change; what matters is that reading ends.
            refusal(&dir, |_| {});
            assert!(
                Tables::read(&dir, &shop.tables).is_err(),
                "the digest covers every byte"
            );
        }
        fs::write(dir.join(file), &whole).unwrap();
    }
}
