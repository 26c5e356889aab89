//! What crosses a pod boundary, and nothing else.
//!
//! The operator (or `searchop local`) writes a [`TrainingJob`], the trainer answers with a
//! [`TrainingReport`] and publishes artifacts described by a [`ModelManifest`] and a
//! [`TablesManifest`], the ranker loads those. Serde types only: no client, no polars, no LightGBM.

mod check;
mod digest;
mod evaluation;
mod exit;
mod features;
mod histograms;
mod job;
pub mod labels;
mod manifest;
pub mod names;
mod place;
mod report;
mod rules;
mod traffic;

pub use check::{Check, CheckOutcome};
pub use digest::{Digest, DigestError};
pub use evaluation::{
    BaselineName, EvaluationSettings, Evidence, ListSlice, Measure, Metric, Reference,
};
pub use exit::{ExitCode, FailureReason};
pub use features::{
    DeclaredFeature, FeatureSource, FeatureType, MAX_CATEGORIES, MAX_DECLARED_FEATURES,
    ModelFeature, PRESET_FEATURES, PRODUCT_FIELDS,
};
pub use histograms::{
    BinCounts, Bins, FeatureBins, HistogramReport, MAX_BOUNDS, ReferenceBins, VersionHistograms,
};
pub use job::{
    BoostingParameters, CounterLag, DataSource, EventFormat, FreeParameter, JudgmentFormat,
    JudgmentSource, LabelSettings, PositionBias, PromotedModel, ReferenceModel, SyntheticShop,
    TableSource, TrainingJob, Tuning,
};
pub use manifest::{
    COUNTERS_FORMAT, CountersManifest, FileEntry, MANIFEST_FORMAT, ModelManifest, TABLES_FORMAT,
    TablesManifest, TextVersion,
};
pub use place::artifacts_uri;
pub use report::{
    ClickWeights, DataCounts, Failure, Measurement, Published, ReportError, TrainingReport,
};
pub use rules::{OutOfStock, Pins, ServingRule};
pub use traffic::{
    AbortRule, Buckets, LoadedVersion, Role, ShadowTraffic, Share, Traffic, TrafficReport,
    VersionTraffic,
};
