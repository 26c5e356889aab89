//! What a folder of artifacts tells about versions: `reports/v8.json`, and of each model that is
//! still there its manifest and its own report.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use searchop_contract::{Digest, ModelManifest, names};
use searchop_evaluation::report::EvaluationReport;
use serde::{Deserialize, Serialize};

use crate::{
    gate::read_reports,
    local::state::{StateError, read_json},
};

/// What was found in a folder.
#[derive(Debug, Default)]
pub struct Kept {
    /// Absent where none was named.
    pub folder: Option<PathBuf>,
    /// Oldest version first.
    pub reports: Vec<EvaluationReport>,
    pub models: BTreeMap<Digest, KeptModel>,
}

/// A model whose files are there.
#[derive(Clone, Debug)]
pub struct KeptModel {
    pub manifest: ModelManifest,
    pub rows: Option<Rows>,
}

/// The rows that a model was trained on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rows {
    /// First and last day.
    pub from: String,
    pub to: String,
    pub rows: u64,
    /// Result lists that they come from.
    pub lists: u64,
    pub queries: u64,
}

/// What is read of a model's own report.
#[derive(Debug, Deserialize)]
struct Report {
    train: Rows,
}

impl Kept {
    /// Reads what is in `folder`. A folder that is there without models is one of no versions.
    pub fn read(folder: &Path) -> Result<Self, StateError> {
        let models = fs::read_dir(folder.join(names::MODELS_FOLDER));
        let mut kept = Self {
            folder: Some(folder.to_owned()),
            reports: read_reports(&folder.join(names::REPORTS_FOLDER))?,
            models: BTreeMap::new(),
        };
        for entry in models.into_iter().flatten().flatten() {
            let path = entry.path();
            let digest = format!("sha256:{}", entry.file_name().to_string_lossy());
            let manifest = read_json::<ModelManifest>(&path.join(names::MANIFEST_FILE))?;
            if let (Ok(digest), Some(manifest)) = (digest.parse(), manifest) {
                // Models of an older trainer have other reports; then the manifest has to do.
                let report =
                    read_json::<Report>(&path.join(names::REPORT_FILE)).unwrap_or_default();
                let rows = report.map(|report| report.train);
                kept.models.insert(digest, KeptModel { manifest, rows });
            }
        }
        Ok(kept)
    }

    /// A folder was named.
    pub fn was_read(&self) -> bool {
        self.folder.is_some()
    }

    pub fn model(&self, digest: &str) -> Option<&KeptModel> {
        self.models.get(&digest.parse().ok()?)
    }

    pub fn report(&self, version: i32) -> Option<&EvaluationReport> {
        let version = u32::try_from(version).ok()?;
        self.reports.iter().find(|report| report.version == version)
    }
}
