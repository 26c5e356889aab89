//! Small artifacts, written the way the trainer writes them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use searchop_contract::{
    BoostingParameters, DeclaredFeature, Digest, FeatureSource, FeatureType, MANIFEST_FORMAT,
    ModelFeature, ModelManifest, ReferenceBins, names,
};
use searchop_model::{
    artifact::{Golden, GoldenRow, write_artifact, write_file},
    bundle::{Bundle, declared_features_of},
    features::{FEATURES_VERSION, feature_names},
    forest::Forest,
    item::{Candidate, ItemFields},
    linked::Linked,
    reference::reference_bins,
    schema::{Given, Schema},
    tables::{DeclaredColumn, DeclaredItems, ItemRow, TableRows, Tables},
};
use tempfile::TempDir;

/// Moment of the golden rows and of the tables.
const TIME: &str = "2026-03-01T00:00:00Z";

/// A model and its tables in a folder of their own.
pub struct Artifacts {
    dir: TempDir,
    pub digest: Digest,
    pub tables_digest: Digest,
}

impl Artifacts {
    /// A title that has the words of the query scores `matched`, another one `-matched`; up to 100 in
    /// price adds 0.25, more takes 0.25 away.
    pub fn new(matched: f64) -> Self {
        Self::of(&model_text(matched, &[]), &[])
    }

    /// Scores as [`Self::new`] with 1, but the score of a product that costs more than a million is
    /// infinite: a sum of leaves that are finite each.
    pub fn overflowing() -> Self {
        let price = 1_000_001f64.ln();
        let tree = |index| stump(index, "price_log", price, MISSING_LEFT, [0.0, f64::MAX]);
        Self::of(&model_text(1.0, &[tree(2), tree(3)]), &[])
    }

    /// Scores as [`Self::new`] with 1, and more: 2 by the engine's score above 10, which is required;
    /// 0.5 by a margin above 0.4, which the tables have for the products 1 and 3 and is 0.5 by default;
    /// 4 where the season of the request is not winter.
    pub fn declaring() -> Self {
        Self::declaring_as(|_| ())
    }

    /// The same with other features.
    pub fn declaring_as(change: impl FnOnce(&mut [ModelFeature; 3])) -> Self {
        let mut declared = declared();
        change(&mut declared);
        let names = Schema::new(&declared).unwrap().names();
        let trees = [
            stump_of(
                &names,
                0,
                "title_coverage",
                (0.5, MISSING_LEFT),
                [-1.0, 1.0],
            ),
            stump_of(&names, 1, "engine_score", (10.0, MISSING_LEFT), [0.0, 2.0]),
            stump_of(&names, 2, "margin", (0.4, MISSING_LEFT), [0.0, 0.5]),
            stump_of(&names, 3, "season", (0.5, MISSING_LEFT), [0.0, 4.0]),
        ];
        Self::of(&forest_text(&names, &trees), &declared)
    }

    fn of(model: &str, declared: &[ModelFeature]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let staging = dir.path().join("staging");
        let tables = tables(declared);
        let schema = Schema::new(declared).unwrap();
        fs::create_dir(&staging).unwrap();
        let tables_digest = tables.write(&staging).unwrap();
        let place = |folder: &str, digest: &Digest| {
            let parent = dir.path().join(folder);
            fs::create_dir_all(&parent).unwrap();
            fs::rename(&staging, parent.join(digest.hex())).unwrap();
            fs::create_dir(&staging).unwrap();
        };
        place(names::TABLES_FOLDER, &tables_digest);
        write_file(&staging, names::MODEL_FILE, model.as_bytes()).unwrap();
        golden((&tables, &schema), &tables_digest, model)
            .write(&staging)
            .unwrap();
        let reference = serde_json::to_vec(&reference((&tables, &schema), model)).unwrap();
        write_file(&staging, names::REFERENCE_BINS_FILE, &reference).unwrap();
        let mut manifest = manifest(&tables, model);
        manifest.features = schema.names();
        manifest.declared = declared.to_vec();
        let (digest, _) = write_artifact(&staging, manifest).unwrap();
        place(names::MODELS_FOLDER, &digest);
        Self {
            dir,
            digest,
            tables_digest,
        }
    }

    pub fn uri(&self) -> String {
        format!("file://{}", self.dir.path().display())
    }

    pub fn root(&self) -> &Path {
        self.dir.path()
    }

    pub fn model_dir(&self) -> PathBuf {
        self.dir
            .path()
            .join(names::MODELS_FOLDER)
            .join(self.digest.hex())
    }

    pub fn tables_dir(&self) -> PathBuf {
        self.dir
            .path()
            .join(names::TABLES_FOLDER)
            .join(self.tables_digest.hex())
    }

    /// Moves another model here, whose tables are the same.
    pub fn take(&self, other: &Self) {
        let models = self.dir.path().join(names::MODELS_FOLDER);
        fs::rename(other.model_dir(), models.join(other.digest.hex())).unwrap();
    }

    /// The model with tables in which a product has become dearer.
    pub fn bundle_with_newer_tables(&self) -> Bundle {
        let mut rows = rows();
        rows.items[1].fields.price = Some(90.0);
        let folder = tempfile::tempdir().unwrap();
        let digest = Tables::build(rows).unwrap().write(folder.path()).unwrap();
        Bundle::open(&self.model_dir(), &self.digest, folder.path(), &digest).unwrap()
    }

    pub fn bundle(&self) -> Bundle {
        Bundle::open(
            &self.model_dir(),
            &self.digest,
            &self.tables_dir(),
            &self.tables_digest,
        )
        .unwrap()
    }
}

/// A forest of one feature more than rows have, on which ranking panics.
pub fn forest_of_other_width() -> Forest {
    let mut names = feature_names();
    names.push("other".to_owned());
    let tree = stump(0, "price_log", 1.0, MISSING_LEFT, [0.0, 1.0]);
    Forest::parse(forest_text(&names, &[tree]).as_bytes()).unwrap()
}

/// The margins of the products 1 to 3, if the model has any.
fn tables(declared: &[ModelFeature]) -> Tables {
    let of_catalog = |one: &&ModelFeature| one.feature.source == FeatureSource::Catalog;
    let columns = declared
        .iter()
        .filter(of_catalog)
        .map(|one| DeclaredColumn {
            feature: one.feature.clone(),
            categories: Vec::new(),
        });
    let columns: Vec<DeclaredColumn> = columns.collect();
    let values = [0.25, f32::NAN, 0.75];
    let declared = DeclaredItems {
        values: values[..3 * columns.len()].to_vec(),
        columns,
    };
    Tables::build_with(rows(), &declared).unwrap()
}

fn declared() -> [ModelFeature; 3] {
    let feature = |name: &str, unit: &str, kind, source| ModelFeature {
        feature: DeclaredFeature {
            name: name.to_owned(),
            kind,
            unit: unit.to_owned(),
            source,
            field: None,
            default: None,
            required: false,
        },
        categories: Vec::new(),
    };
    use FeatureType::{Category, Number};
    let mut all = [
        feature("engine_score", "BM25", Number, FeatureSource::Product),
        feature(
            "margin",
            "share of the price",
            Number,
            FeatureSource::Catalog,
        ),
        feature("season", "season", Category, FeatureSource::Request),
    ];
    all[0].feature.required = true;
    all[1].feature.default = Some("0.5".to_owned());
    all[2].categories = vec!["winter".to_owned(), "summer".to_owned()];
    all
}

fn rows() -> TableRows {
    let item = |id: &str, title: &str, price: f64| ItemRow {
        id: id.to_owned(),
        fields: ItemFields {
            title: Some(title.into()),
            price: Some(price),
            ..ItemFields::default()
        },
        ..ItemRow::default()
    };
    let items = vec![
        item("1", "Trail running shoes", 150.0),
        item("2", "Road running shoes", 80.0),
        item("3", "Coffee grinder", 40.0),
    ];
    TableRows {
        model: "products".to_owned(),
        tables_time: TIME.parse().unwrap(),
        items,
        query_items: Vec::new(),
        totals: Default::default(),
    }
}

fn manifest(tables: &Tables, model: &str) -> ModelManifest {
    ModelManifest {
        format_version: MANIFEST_FORMAT,
        model: "products".to_owned(),
        files: Vec::new(),
        text: tables.analyzer().version(),
        features_version: FEATURES_VERSION,
        features: feature_names(),
        candidate_list: false,
        declared: Vec::new(),
        parameters: BoostingParameters::default(),
        trees: Forest::parse(model.as_bytes()).unwrap().trees() as u32,
        trained_through_time: TIME.parse().unwrap(),
    }
}

fn golden((tables, schema): (&Tables, &Schema), tables_digest: &Digest, model: &str) -> Golden {
    let linked = Linked::new(schema, tables).unwrap();
    let forest = Forest::parse(model.as_bytes()).unwrap();
    let time = tables.tables_time.as_second();
    let row = |item: &str| {
        let mut golden = GoldenRow::new("running shoes", item, &[], 0.0);
        if !schema.declared().is_empty() {
            let given = [
                ("engine_score", Given::Number(12.5)),
                ("season", Given::Text("summer".into())),
            ];
            golden.given = given.map(|(name, given)| (name.to_owned(), given)).into();
        }
        let values = golden.encode(schema).unwrap();
        let candidate = Candidate {
            id: item,
            values: &values,
            ..Candidate::default()
        };
        let tables = (tables, &linked);
        let row = declared_features_of(tables, "running shoes", time, &[candidate]).remove(0);
        GoldenRow {
            given: golden.given,
            ..GoldenRow::new("running shoes", item, &row, forest.score(&row))
        }
    };
    Golden {
        tables_digest: tables_digest.clone(),
        time,
        rows: ["1", "2", "3"].map(row).to_vec(),
    }
}

const MISSING_LEFT: u8 = 10;
const MISSING_RIGHT: u8 = 8;

/// As if the golden rows were those of training, and price alone mattered.
fn reference((tables, schema): (&Tables, &Schema), model: &str) -> ReferenceBins {
    let linked = Linked::new(schema, tables).unwrap();
    let forest = Forest::parse(model.as_bytes()).unwrap();
    let time = tables.tables_time.as_second();
    let candidates = ["1", "2", "3"].map(|id| Candidate {
        id,
        ..Candidate::default()
    });
    let rows = declared_features_of((tables, &linked), "running shoes", time, &candidates);
    let scores: Vec<f64> = rows.iter().map(|row| forest.score(row)).collect();
    let importance = |name: String| f64::from(u8::from(name == "price_log"));
    let importance: Vec<f64> = schema.names().into_iter().map(importance).collect();
    reference_bins(schema, &rows.concat(), &scores, &importance)
}

/// Two stumps in LightGBM's text form, and `more`.
fn model_text(matched: f64, more: &[String]) -> String {
    let price = 101f64.ln();
    let mut trees = vec![
        stump(0, "title_coverage", 0.5, MISSING_LEFT, [-matched, matched]),
        stump(1, "price_log", price, MISSING_RIGHT, [0.25, -0.25]),
    ];
    trees.extend_from_slice(more);
    forest_text(&feature_names(), &trees)
}

fn forest_text(names: &[String], trees: &[String]) -> String {
    let sizes: Vec<String> = trees.iter().map(|tree| tree.len().to_string()).collect();
    format!(
        "tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nlabel_index=0\n\
         max_feature_idx={}\nobjective=lambdarank\nfeature_names={}\nfeature_infos={}\n\
         tree_sizes={}\n\n{}end of trees\n\nparameters:\nend of parameters\n",
        names.len() - 1,
        names.join(" "),
        vec!["none"; names.len()].join(" "),
        sizes.join(" "),
        trees.concat(),
    )
}

fn stump(index: usize, feature: &str, threshold: f64, decision: u8, leaves: [f64; 2]) -> String {
    stump_of(
        &feature_names(),
        index,
        feature,
        (threshold, decision),
        leaves,
    )
}

fn stump_of(
    names: &[String],
    index: usize,
    feature: &str,
    (threshold, decision): (f64, u8),
    leaves: [f64; 2],
) -> String {
    let column = names.iter().position(|name| name == feature).unwrap();
    format!(
        "Tree={index}\nnum_leaves=2\nnum_cat=0\nsplit_feature={column}\nsplit_gain=1\n\
         threshold={threshold}\ndecision_type={decision}\nleft_child=-1\nright_child=-2\n\
         leaf_value={} {}\nleaf_weight=1 1\nleaf_count=1 1\ninternal_value=0\ninternal_weight=0\n\
         internal_count=2\nis_linear=0\nshrinkage=1\n\n\n",
        leaves[0], leaves[1],
    )
}
