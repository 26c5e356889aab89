//! A small shop with its two artifacts on disk.

use std::{fs, path::Path};

use searchop_contract::{BoostingParameters, Digest, MANIFEST_FORMAT, ModelManifest, names};
use searchop_model::{
    artifact::{Golden, GoldenRow, write_artifact, write_file},
    bundle::features_of,
    counters::{Counters, ItemHistory, Totals},
    features::{FEATURES_VERSION, feature_names, features},
    forest::Forest,
    item::{Candidate, ItemFields},
    tables::{ItemRow, QueryItemRow, TableRows, Tables},
    text::Analyzer,
};
use tempfile::TempDir;

use crate::forest_text::{model, split};

pub const NOW: i64 = 1_700_000_000;

pub fn counters(shown: u32, clicks: u32) -> Counters {
    let mut counters = Counters {
        clicks,
        carts: clicks / 2,
        purchases: clicks / 4,
        ..Counters::default()
    };
    counters.impressions[0] = shown;
    counters
}

fn item(id: &str, title: &str, price: f64, history: Counters) -> ItemRow {
    let fields = ItemFields {
        title: Some(title.to_owned()),
        category: Some("sports_outdoors".to_owned()),
        price: Some(price),
        added_time: Some(NOW - 86_400),
        ..ItemFields::default()
    };
    ItemRow {
        id: id.to_owned(),
        fields,
        history: ItemHistory {
            short: Counters::default(),
            long: history,
        },
    }
}

pub fn rows() -> TableRows {
    TableRows {
        model: "products".to_owned(),
        tables_time: jiff::Timestamp::from_second(NOW).unwrap(),
        items: vec![
            item("shoe", "Nike Running Shoes", 99.99, counters(100, 20)),
            item("sock", "Running Socks", 9.5, counters(50, 1)),
            item("kettle", "Électric \"Kettle\"\n", 31.4, Counters::default()),
        ],
        query_items: vec![
            QueryItemRow {
                query: "running shoes".into(),
                item: "shoe".into(),
                counters: counters(40, 12),
            },
            QueryItemRow {
                query: "running shoes".into(),
                item: "sock".into(),
                counters: counters(30, 1),
            },
            QueryItemRow {
                query: "kettle".into(),
                item: "kettle".into(),
                counters: counters(3, 0),
            },
        ],
        totals: Totals {
            impressions: [150; 9],
            clicks: [20; 9],
            carts: 30,
            purchases: 9,
        },
    }
}

fn column(name: &str) -> usize {
    features()
        .iter()
        .position(|feature| feature.name == name)
        .unwrap()
}

/// Prefers text matches, then cheap items, then what was clicked under this query.
pub fn forest_text() -> String {
    let names = feature_names();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let trees = [
        split(column("title_coverage"), "0.75", 10, ["-1.25", "1.5"]),
        split(
            column("price_log"),
            "3",
            8,
            ["0.30000000000000004", "-0.10000000000000001"],
        ),
        split(
            column("query_item_ctr_30d"),
            "0.2",
            10,
            ["0", "0.69999999999999996"],
        ),
    ];
    model(&names, &trees)
}

pub fn manifest(trees: u32) -> ModelManifest {
    ModelManifest {
        format_version: MANIFEST_FORMAT,
        model: "products".to_owned(),
        files: Vec::new(),
        text: Analyzer::english().version(),
        features_version: FEATURES_VERSION,
        features: feature_names(),
        candidate_list: false,
        declared: Vec::new(),
        parameters: BoostingParameters::default(),
        trees,
        trained_through_time: jiff::Timestamp::from_second(NOW).unwrap(),
    }
}

pub fn golden(tables: &Tables, tables_digest: &Digest, forest: &Forest) -> Golden {
    let pairs = [
        ("Running  SHOES", "shoe"),
        ("running shoes", "sock"),
        ("kettle", "kettle"),
        ("tent", "shoe"),
    ];
    let rows = pairs.map(|(query, item)| {
        let candidate = Candidate {
            id: item,
            ..Candidate::default()
        };
        let row = features_of(tables, query, NOW, &[candidate]).remove(0);
        GoldenRow::new(query, item, &row, forest.score(&row))
    });
    Golden {
        tables_digest: tables_digest.clone(),
        time: NOW,
        rows: rows.into(),
    }
}

/// Both artifacts of the shop.
pub struct Artifacts {
    root: TempDir,
    pub model: Digest,
    pub tables: Digest,
}

impl Artifacts {
    pub fn write() -> Self {
        Self::write_rows(|_| {})
    }

    /// Of other rows.
    pub fn write_rows(change: impl FnOnce(&mut TableRows)) -> Self {
        let mut rows = rows();
        change(&mut rows);
        let root = TempDir::new().unwrap();
        for folder in ["model", "tables"] {
            fs::create_dir(root.path().join(folder)).unwrap();
        }
        let tables = Tables::build(rows).unwrap();
        let tables_digest = tables.write(&root.path().join("tables")).unwrap();
        let mut shop = Self {
            root,
            model: tables_digest.clone(),
            tables: tables_digest,
        };
        let forest = Forest::parse(forest_text().as_bytes()).unwrap();
        let golden = golden(&tables, &shop.tables, &forest);
        shop.model = seal_model(&shop.model_dir(), &golden, manifest(3));
        shop
    }

    pub fn model_dir(&self) -> std::path::PathBuf {
        self.root.path().join("model")
    }

    pub fn tables_dir(&self) -> std::path::PathBuf {
        self.root.path().join("tables")
    }
}

/// Writes a model's files and seals them.
pub fn seal_model(dir: &Path, golden: &Golden, manifest: ModelManifest) -> Digest {
    write_file(dir, names::MODEL_FILE, forest_text().as_bytes()).unwrap();
    golden.write(dir).unwrap();
    write_artifact(dir, manifest).unwrap().0
}
