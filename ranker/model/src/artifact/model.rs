use std::{collections::BTreeMap, path::Path};

use searchop_contract::{Digest, ModelManifest, ReferenceBins, names};
use serde::{Deserialize, Serialize};

use super::{ArtifactError, read_listed, read_manifest, write_file};
use crate::{
    forest::Forest,
    reference,
    schema::{Given, Schema, owned},
    text::Analyzer,
};

/// A loaded model.
#[derive(Clone, Debug)]
pub struct Model {
    pub digest: Digest,
    pub manifest: ModelManifest,
    pub schema: Schema,
    pub forest: Forest,
    pub golden: Golden,
    /// What its training rows looked like; models of earlier releases do not say.
    pub reference: Option<ReferenceBins>,
}

/// Rows with their scores as the trainer computed them, for a check of the code that serves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Golden {
    /// Tables that the features were computed from.
    pub tables_digest: Digest,
    /// Moment of all rows, in seconds since 1970.
    pub time: i64,
    pub rows: Vec<GoldenRow>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GoldenRow {
    /// The query as it was typed.
    pub query: String,
    /// Id of an item in the tables.
    pub item: String,
    /// What the request says of declared features.
    #[serde(
        default,
        deserialize_with = "owned",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub given: BTreeMap<String, Given<'static>>,
    /// In column order; `null` where a value is missing.
    pub features: Vec<Option<f32>>,
    /// The forest's raw score.
    pub score: f64,
}

impl GoldenRow {
    /// `features` may have NaN for what is missing.
    pub fn new(query: &str, item: &str, features: &[f32], score: f64) -> Self {
        let features = features
            .iter()
            .map(|value| Some(*value).filter(|value| !value.is_nan()))
            .collect();
        Self {
            query: query.to_owned(),
            item: item.to_owned(),
            given: BTreeMap::new(),
            features,
            score,
        }
    }

    /// Columns with what the request says of declared features. The error says what is wrong.
    pub fn encode(&self, schema: &Schema) -> Result<Vec<(usize, f32)>, String> {
        let given = self
            .given
            .iter()
            .map(|(name, given)| (name.as_str(), given));
        let wrong = |(name, problem): (String, String)| format!("{name}: {problem}");
        schema.encode(given).map_err(wrong)
    }

    /// The features with NaN for what is missing.
    pub fn row(&self) -> Vec<f32> {
        self.features
            .iter()
            .map(|value| value.unwrap_or(f32::NAN))
            .collect()
    }
}

impl Golden {
    /// Writes `golden.json` into a folder that is not sealed yet.
    pub fn write(&self, dir: &Path) -> Result<(), ArtifactError> {
        let bytes = serde_json::to_vec(self)
            .map_err(|error| ArtifactError::malformed(names::GOLDEN_FILE, error))?;
        write_file(dir, names::GOLDEN_FILE, &bytes)
    }
}

/// Loads a model from its folder, if it is the one that `expected` names and fits this program.
pub fn read_model(dir: &Path, expected: &Digest) -> Result<Model, ArtifactError> {
    let manifest: ModelManifest = read_manifest(dir, expected, &Analyzer::english())?;
    for file in &manifest.files {
        read_listed(dir, &manifest.files, &file.name)?;
    }
    let forest = Forest::parse(&read_listed(dir, &manifest.files, names::MODEL_FILE)?)?;
    let schema = Schema::new(&manifest.declared)
        .map_err(|detail| ArtifactError::malformed(names::MANIFEST_FILE, detail))?;
    check_columns((&manifest, &schema), &forest)?;
    let golden = read_listed(dir, &manifest.files, names::GOLDEN_FILE)?;
    let golden: Golden = serde_json::from_slice(&golden)
        .map_err(|error| ArtifactError::malformed(names::GOLDEN_FILE, error))?;
    let reference = read_reference(dir, (&manifest, &schema))?;
    Ok(Model {
        digest: expected.clone(),
        manifest,
        schema,
        forest,
        golden,
        reference,
    })
}

fn read_reference(
    dir: &Path,
    (manifest, schema): (&ModelManifest, &Schema),
) -> Result<Option<ReferenceBins>, ArtifactError> {
    const FILE: &str = names::REFERENCE_BINS_FILE;
    if !manifest.files.iter().any(|file| file.name == FILE) {
        return Ok(None);
    }
    let bytes = read_listed(dir, &manifest.files, FILE)?;
    let bins = serde_json::from_slice(&bytes);
    let bins = bins.map_err(|error| ArtifactError::malformed(FILE, error))?;
    reference::check(&bins, schema)?;
    Ok(Some(bins))
}

fn check_columns(
    (manifest, schema): (&ModelManifest, &Schema),
    forest: &Forest,
) -> Result<(), ArtifactError> {
    let known = schema.names();
    let pairs = [
        (
            "the manifest",
            &manifest.features,
            names::MODEL_FILE,
            forest.feature_names(),
        ),
        (
            "this program",
            &known,
            names::MANIFEST_FILE,
            manifest.features.as_slice(),
        ),
    ];
    for (who, expected, file, found) in pairs {
        if expected != found {
            let column = expected
                .iter()
                .zip(found)
                .take_while(|(a, b)| a == b)
                .count();
            let name = |names: &[String]| {
                names
                    .get(column)
                    .map_or("none".to_owned(), |name| format!("{name:?}"))
            };
            let detail = format!(
                "feature {column} is {}, {who} has {}",
                name(found),
                name(expected)
            );
            return Err(ArtifactError::malformed(file, detail));
        }
    }
    if manifest.trees as usize != forest.trees() {
        let detail = format!(
            "has {} trees, the manifest says {}",
            forest.trees(),
            manifest.trees
        );
        return Err(ArtifactError::malformed(names::MODEL_FILE, detail));
    }
    Ok(())
}
