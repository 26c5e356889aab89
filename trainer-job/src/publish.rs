//! Seals the model and puts both artifacts into the store. Safe to repeat: the same model has the
//! same address, and what is there already is left alone.

use std::path::{Path, PathBuf};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use searchop_contract::{
    Digest, MANIFEST_FORMAT, ModelManifest, Published, ReferenceBins, TrainingJob,
    names::{
        IMPORTANCE_FILE, MLMODEL_FILE, MODEL_FILE, REFERENCE_BINS_FILE, REPORT_FILE, S3_PREFIX,
    },
};
use searchop_evaluation::report::EvaluationReport;
use searchop_model::{
    artifact::{Golden, GoldenRow, read_manifest_bytes, read_model, write_artifact, write_file},
    bundle::{Bundle, declared_features_of},
    features::FEATURES_VERSION,
    forest::Forest,
    item::Candidate,
    linked::Linked,
    reference::reference_bins,
    schema::Schema,
    store::{ArtifactKind, ArtifactStore, S3Settings},
    tables::Tables,
};
use serde::Serialize;

use crate::{
    boosting::{Importance, Trained},
    error::TrainError,
    prepare::{Prepared, TABLES_DIR, empty_dir, unwritable},
    slices::Slice,
};

/// Folder of the sealed model inside the work folder.
pub const MODEL_DIR: &str = "model";
/// The version of LightGBM that writes the model text.
const LIGHTGBM_VERSION: &str = "4.7.0";

/// Four years of weekly versions.
const KEPT_REPORTS: u32 = 200;

/// The store with a runtime to talk to it.
pub struct Store {
    store: ArtifactStore,
    runtime: tokio::runtime::Runtime,
}

impl Store {
    pub fn open(job: &TrainingJob) -> Result<Self, TrainError> {
        let store = ArtifactStore::open(&job.artifacts_uri, &S3Settings::from_env(S3_PREFIX))?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| {
                TrainError::storage_unavailable(format!("no runtime for storage: {error}"))
            })?;
        Ok(Self { store, runtime })
    }

    /// The folder of an artifact, brought here and checked.
    pub fn fetch(
        &self,
        kind: ArtifactKind,
        digest: &Digest,
        work: &Path,
    ) -> Result<PathBuf, TrainError> {
        Ok(self
            .runtime
            .block_on(self.store.fetch(kind, digest, work))?)
    }

    /// Digests of all artifacts of a kind.
    pub fn list(&self, kind: ArtifactKind) -> Result<Vec<Digest>, TrainError> {
        Ok(self.runtime.block_on(self.store.list(kind))?)
    }

    /// Puts one sealed artifact in place.
    pub fn publish_one(
        &self,
        kind: ArtifactKind,
        dir: &Path,
        digest: &Digest,
    ) -> Result<(), TrainError> {
        Ok(self
            .runtime
            .block_on(self.store.publish(dir, kind, digest))?)
    }

    pub fn delete(&self, kind: ArtifactKind, digest: &Digest) -> Result<(), TrainError> {
        Ok(self.runtime.block_on(self.store.delete(kind, digest))?)
    }

    /// Puts both sealed artifacts in place, tables first: a model is never there without them.
    pub fn publish(&self, work: &Path, published: &Published) -> Result<(), TrainError> {
        for (dir, kind, digest) in [
            (TABLES_DIR, ArtifactKind::Tables, &published.tables_digest),
            (MODEL_DIR, ArtifactKind::Model, &published.digest),
        ] {
            self.publish_one(kind, &work.join(dir), digest)?;
        }
        Ok(())
    }

    /// Puts what was found out about a version beside the artifacts, in place of what was found out
    /// about it before. The last [`KEPT_REPORTS`] versions have one.
    pub fn write_report(&self, report: &EvaluationReport) -> Result<(), TrainError> {
        let write = self.store.write_report(report.version, pretty(report));
        self.runtime.block_on(write)?;
        if let Some(old) = report.version.checked_sub(KEPT_REPORTS) {
            self.runtime.block_on(self.store.delete_report(old))?;
        }
        Ok(())
    }

    /// Deletes what nobody named: not the job, not its reference, not this run. Returns how many
    /// artifacts went.
    pub fn prune(&self, job: &TrainingJob, published: &Published) -> Result<u64, TrainError> {
        let mut keep: Vec<&Digest> = job.keep.iter().collect();
        keep.extend([&published.digest, &published.tables_digest]);
        keep.extend(
            job.reference
                .iter()
                .flat_map(|reference| [&reference.digest, &reference.tables_digest]),
        );
        let mut pruned = 0;
        for kind in [ArtifactKind::Model, ArtifactKind::Tables] {
            for digest in self.list(kind)? {
                if !keep.contains(&&digest) {
                    self.delete(kind, &digest)?;
                    pruned += 1;
                }
            }
        }
        Ok(pruned)
    }
}

/// Seals the model in `work`/[`MODEL_DIR`] and proves that it loads together with the tables.
pub fn seal(
    job: &TrainingJob,
    prepared: &Prepared,
    (trained, report): (&Trained, &impl Serialize),
    work: &Path,
) -> Result<Published, TrainError> {
    let summary = &prepared.summary;
    let (model_dir, tables_dir) = (work.join(MODEL_DIR), work.join(TABLES_DIR));
    empty_dir(&model_dir)?;
    let (tables, _) = Tables::read(&tables_dir, &summary.tables_digest).map_err(unwritable)?;
    let forest = forest(trained)?;
    for (name, bytes) in [
        (MODEL_FILE, trained.text.clone().into_bytes()),
        (MLMODEL_FILE, mlmodel().into_bytes()),
        (IMPORTANCE_FILE, pretty(&by_gain(&trained.importance))),
        (REPORT_FILE, pretty(report)),
        (
            REFERENCE_BINS_FILE,
            pretty(&reference(job, prepared, (trained, &forest))),
        ),
    ] {
        write_file(&model_dir, name, &bytes).map_err(unwritable)?;
    }
    golden(prepared, &tables, &forest)?
        .write(&model_dir)
        .map_err(unwritable)?;
    let manifest = ModelManifest {
        format_version: MANIFEST_FORMAT,
        model: job.model.clone(),
        files: Vec::new(),
        text: tables.analyzer().version(),
        features_version: FEATURES_VERSION,
        features: prepared.rows.encoding.schema().names(),
        candidate_list: job.candidate_list,
        declared: summary.declared.clone(),
        parameters: trained.parameters.clone(),
        trees: trained.trees,
        trained_through_time: summary.trained_through_time,
    };
    let (digest, _) = write_artifact(&model_dir, manifest).map_err(unwritable)?;
    Bundle::open(&model_dir, &digest, &tables_dir, &summary.tables_digest).map_err(|error| {
        TrainError::evaluation(format!("the sealed model does not load: {error}"))
    })?;
    Ok(Published {
        digest,
        tables_digest: summary.tables_digest.clone(),
        trained_through_time: summary.trained_through_time,
        tables_time: summary.tables_time,
    })
}

/// The trees as the ranker will read them.
pub fn forest(trained: &Trained) -> Result<Forest, TrainError> {
    Forest::parse(trained.text.as_bytes()).map_err(|error| {
        TrainError::evaluation(format!("the trained model cannot be read: {error}"))
    })
}

/// A published pair, as a run that only evaluates names it.
pub fn describe(
    store: &Store,
    reference: &searchop_contract::ReferenceModel,
    work: &Path,
) -> Result<Named, TrainError> {
    let unusable = |error| {
        TrainError::evaluation(format!(
            "published model {}: {error}",
            reference.digest.short()
        ))
    };
    let model_dir = store.fetch(ArtifactKind::Model, &reference.digest, work)?;
    let model = read_model(&model_dir, &reference.digest).map_err(unusable)?;
    let tables_dir = store.fetch(ArtifactKind::Tables, &reference.tables_digest, work)?;
    let bytes = read_manifest_bytes(&tables_dir, &reference.tables_digest).map_err(unusable)?;
    let tables: searchop_contract::TablesManifest = serde_json::from_slice(&bytes)
        .map_err(|error| TrainError::evaluation(format!("published tables: {error}")))?;
    let published = Published {
        digest: reference.digest.clone(),
        tables_digest: reference.tables_digest.clone(),
        trained_through_time: model.manifest.trained_through_time,
        tables_time: tables.tables_time,
    };
    Ok(Named {
        forest: model.forest,
        schema: model.schema,
        published,
    })
}

/// A published model.
pub struct Named {
    pub forest: Forest,
    pub schema: Schema,
    pub published: Published,
}

fn golden(prepared: &Prepared, tables: &Tables, forest: &Forest) -> Result<Golden, TrainError> {
    let (summary, schema) = (&prepared.summary, prepared.rows.encoding.schema());
    let linked = Linked::new(schema, tables).map_err(unwritable)?;
    let time = summary.tables_time.as_second();
    let row = |pair: &crate::prepare::GoldenPair| {
        let given = pair
            .given
            .iter()
            .filter(|(name, _)| schema.find(name).is_some());
        let mut row = GoldenRow::new(&pair.query, &pair.item, &[], 0.0);
        row.given = given
            .map(|(name, value)| (name.clone(), value.given()))
            .collect();
        let values = row.encode(schema).map_err(TrainError::evaluation)?;
        let candidate = Candidate {
            id: &pair.item,
            values: &values,
            ..Candidate::default()
        };
        let tables = (tables, &linked);
        let values = declared_features_of(tables, &pair.query, time, &[candidate]).remove(0);
        let whole = GoldenRow::new(&pair.query, &pair.item, &values, forest.score(&values));
        row.features = whole.features;
        row.score = whole.score;
        Ok(row)
    };
    Ok(Golden {
        tables_digest: summary.tables_digest.clone(),
        time,
        rows: (summary.golden.iter().map(row)).collect::<Result<_, TrainError>>()?,
    })
}

/// What the training rows look like, one of each list, as serving will count one of each request.
fn reference(
    job: &TrainingJob,
    prepared: &Prepared,
    (trained, forest): (&Trained, &Forest),
) -> ReferenceBins {
    let mut draw = ChaCha8Rng::seed_from_u64(job.parameters.seed.into());
    let lists = prepared.rows.of(Slice::Train);
    let lists = lists.filter(|list| !list.rows.is_empty());
    let sampled: Vec<usize> = lists
        .map(|list| draw.random_range(list.rows.clone()))
        .collect();
    let own = &prepared.rows;
    let scores = own.scores((forest, &own.encoding), sampled.iter().copied());
    let rows = own.encoded(sampled.iter().copied());
    let schema = own.encoding.schema();
    reference_bins(schema, &rows, &scores, &shares(schema, &trained.importance))
}

/// Each feature's part of the gain, in column order.
fn shares(schema: &Schema, importance: &[Importance]) -> Vec<f64> {
    let all: f64 = importance.iter().map(|feature| feature.gain).sum();
    let share = |name: String| {
        let of = importance.iter().find(|of| of.feature == name);
        of.filter(|_| all > 0.0).map_or(0.0, |of| of.gain / all)
    };
    schema.names().into_iter().map(share).collect()
}

/// Most useful features first.
fn by_gain(importance: &[Importance]) -> Vec<Importance> {
    let mut sorted = importance.to_vec();
    sorted.sort_by(|a, b| {
        b.gain
            .total_cmp(&a.gain)
            .then_with(|| a.feature.cmp(&b.feature))
    });
    sorted
}

fn pretty(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(value).expect("reports have string keys");
    bytes.push(b'\n');
    bytes
}

/// Lets `mlflow.lightgbm.load_model` open the folder as it is.
fn mlmodel() -> String {
    format!(
        "flavors:\n  lightgbm:\n    data: {MODEL_FILE}\n    lgb_version: {LIGHTGBM_VERSION}\n    \
         model_class: lightgbm.basic.Booster\n  python_function:\n    data: {MODEL_FILE}\n    \
         loader_module: mlflow.lightgbm\n"
    )
}
