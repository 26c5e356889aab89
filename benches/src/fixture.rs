//! Model, tables and requests, made once and kept outside the checkout.

use std::{
    fs,
    path::{Path, PathBuf},
};

use searchop_contract::{Digest, TABLES_FORMAT, names};
use searchop_model::{features::FEATURES_VERSION, tables::Tables, text::TEXT_VERSION};
use serde::{Deserialize, Serialize};

use crate::{
    Failure, catalogue,
    export::{self, EXPORT_FORMAT},
    model, requests,
};

/// What the shop's log is drawn for: its queries.
const LOGGED_EVENTS: u32 = 40_000;
/// Written last.
const COMPLETE_FILE: &str = "complete.json";
const ARTIFACTS: &str = "artifacts";

/// Where the queries come from, and how many products there are.
pub struct Wanted<'a> {
    pub products: u32,
    /// Folder of the ESCI sample; the made-up shop's own queries without it.
    pub esci: Option<&'a Path>,
    /// Trains and writes anew, whatever is there of these versions of features and text.
    pub anew: bool,
}

/// What the ranker is started with and asked.
#[derive(Clone, Serialize, Deserialize)]
pub struct Fixture {
    #[serde(skip)]
    pub folder: PathBuf,
    pub digest: Digest,
    pub tables_digest: Digest,
    /// Ids of all products.
    #[serde(skip)]
    pub ids: Vec<String>,
    /// Searches, as often as they were logged.
    pub queries: Vec<String>,
}

impl Fixture {
    pub fn artifacts_uri(&self) -> String {
        format!("file://{}", self.artifacts().display())
    }

    fn artifacts(&self) -> PathBuf {
        self.folder.join(ARTIFACTS)
    }

    pub fn model_file(&self) -> PathBuf {
        self.artifacts()
            .join(names::MODELS_FOLDER)
            .join(self.digest.hex())
            .join(names::MODEL_FILE)
    }

    /// What the reference services load.
    pub fn export_folder(&self) -> PathBuf {
        self.folder.join("export")
    }

    /// From `cache`, where it is there already.
    pub fn prepare(cache: &Path, wanted: &Wanted) -> Result<Self, Failure> {
        let source = if wanted.esci.is_some() {
            "esci"
        } else {
            "shop"
        };
        let versions = cache.join(format!(
            "features-{FEATURES_VERSION}-text-{TEXT_VERSION}-tables-{TABLES_FORMAT}-export-{EXPORT_FORMAT}"
        ));
        let folder = versions.join(format!("{source}-{}", wanted.products));
        if wanted.anew && versions.exists() {
            fs::remove_dir_all(&versions)?;
        }
        if !folder.join(COMPLETE_FILE).exists() {
            if folder.exists() {
                fs::remove_dir_all(&folder)?;
            }
            fs::create_dir_all(&folder)?;
            make(&folder, wanted)?;
        }
        Self::read(folder)
    }

    fn read(folder: PathBuf) -> Result<Self, Failure> {
        let complete = fs::read(folder.join(COMPLETE_FILE))?;
        let mut fixture: Self = serde_json::from_slice(&complete)?;
        let ids = fs::read_to_string(folder.join("ids"))?;
        fixture.ids = ids.lines().map(str::to_owned).collect();
        fixture.folder = folder;
        Ok(fixture)
    }
}

fn make(folder: &Path, wanted: &Wanted) -> Result<(), Failure> {
    println!(
        "making {} products and a model in {}",
        wanted.products,
        folder.display()
    );
    let text = model::forest(&folder.with_file_name("forest"))?;
    let (log, shop) = (folder.join("log"), folder.join("shop"));
    catalogue::draw_shop(&log, 20_000, LOGGED_EVENTS)?;
    let searches = catalogue::searches(&log)?;
    catalogue::draw_shop(&shop, wanted.products, 100)?;
    let items = catalogue::items(&shop)?;
    let ids: Vec<String> = items.iter().map(|item| item.id.clone()).collect();
    fs::write(folder.join("ids"), ids.join("\n"))?;
    let tables = Tables::build(catalogue::table_rows(items, &searches)?)?;
    let artifacts = folder.join(ARTIFACTS);
    let tables_digest = place(&artifacts.join(names::TABLES_FOLDER), |staging| {
        Ok(tables.write(staging)?)
    })?;
    let queries = match wanted.esci {
        Some(esci) => requests::esci_queries(esci)?,
        None => searches,
    };
    let golden = requests::draw(1, 20, &queries, &ids).remove(0);
    let models = artifacts.join(names::MODELS_FOLDER);
    let digest = model::seal(&text, (&tables, &tables_digest), &golden, &models)?;
    let fixture = Fixture {
        folder: folder.to_owned(),
        digest,
        tables_digest,
        ids,
        queries,
    };
    export::write(&fixture, &tables)?;
    for drawn in [log, shop] {
        fs::remove_dir_all(drawn)?;
    }
    fs::write(folder.join(COMPLETE_FILE), serde_json::to_vec(&fixture)?)?;
    Ok(())
}

/// Has an artifact written and puts it where its digest says.
pub fn place(
    all: &Path,
    write: impl FnOnce(&Path) -> Result<Digest, Failure>,
) -> Result<Digest, Failure> {
    let staging = all.join(".staging");
    if staging.exists() {
        fs::remove_dir_all(&staging)?;
    }
    fs::create_dir_all(&staging)?;
    let digest = write(&staging)?;
    fs::rename(&staging, all.join(digest.hex()))?;
    Ok(digest)
}
