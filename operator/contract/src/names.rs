//! File, folder and environment names that two programs must agree on.

/// Environment variable of the trainer: the [`crate::TrainingJob`] as JSON.
pub const JOB_ENV: &str = "SEARCHOP_JOB";
/// Where the trainer leaves its report; the container's terminationMessagePath.
pub const REPORT_PATH: &str = "/dev/termination-log";
/// CPU limit of the container in millicores (downward API), from which thread counts follow.
pub const CPU_LIMIT_ENV: &str = "SEARCHOP_CPU_LIMIT_MILLIS";

/// Environment of the ranker: what to load.
pub const MODEL_NAME_ENV: &str = "SEARCHOP_MODEL";
pub const MODEL_VERSION_ENV: &str = "SEARCHOP_VERSION";
pub const MODEL_DIGEST_ENV: &str = "SEARCHOP_DIGEST";
pub const TABLES_DIGEST_ENV: &str = "SEARCHOP_TABLES_DIGEST";
/// The [`crate::LoadedVersion`]s as a JSON list, instead of the three above, and the file with the
/// [`crate::Traffic`] among them.
pub const VERSIONS_ENV: &str = "SEARCHOP_VERSIONS";
pub const TRAFFIC_FILE_ENV: &str = "SEARCHOP_TRAFFIC_FILE";
/// Key of the ConfigMap that the file is mounted from.
pub const TRAFFIC_KEY: &str = "traffic.json";
pub const ARTIFACTS_URI_ENV: &str = "SEARCHOP_ARTIFACTS_URI";
pub const MAX_CANDIDATES_ENV: &str = "SEARCHOP_MAX_CANDIDATES";
/// The [`crate::ServingRule`]s as a JSON list.
pub const RULES_ENV: &str = "SEARCHOP_RULES";
/// Files: accepted bearer tokens, one a line; certificate chain and key of the rank port.
pub const TOKEN_FILE_ENV: &str = "SEARCHOP_TOKEN_FILE";
pub const TLS_CERT_FILE_ENV: &str = "SEARCHOP_TLS_CERT_FILE";
pub const TLS_KEY_FILE_ENV: &str = "SEARCHOP_TLS_KEY_FILE";
/// Share of calls that leave a query record, and the folder for them.
pub const QUERY_LOG_SHARE_ENV: &str = "SEARCHOP_QUERY_LOG_SHARE";
pub const QUERY_LOG_FOLDER_ENV: &str = "SEARCHOP_QUERY_LOG_FOLDER";
/// The same for records of features.
pub const FEATURE_LOG_SHARE_ENV: &str = "SEARCHOP_FEATURE_LOG_SHARE";
pub const FEATURE_LOG_FOLDER_ENV: &str = "SEARCHOP_FEATURE_LOG_FOLDER";

/// Keys of the Secrets that a ranker may be given; those of TLS are Kubernetes' own.
pub const TOKEN_KEY: &str = "token";
pub const TLS_CERT_KEY: &str = "tls.crt";
pub const TLS_KEY_KEY: &str = "tls.key";

/// Credentials of S3-compatible storage; also the keys of the Secret.
pub const S3_ENDPOINT_ENV: &str = "SEARCHOP_S3_ENDPOINT";
pub const S3_REGION_ENV: &str = "SEARCHOP_S3_REGION";
pub const S3_ACCESS_KEY_ENV: &str = "SEARCHOP_S3_ACCESS_KEY_ID";
pub const S3_SECRET_KEY_ENV: &str = "SEARCHOP_S3_SECRET_ACCESS_KEY";
pub const S3_KEYS: [&str; 4] = [
    S3_ENDPOINT_ENV,
    S3_REGION_ENV,
    S3_ACCESS_KEY_ENV,
    S3_SECRET_KEY_ENV,
];
/// The same for the data sources, which may live elsewhere: `SEARCHOP_DATA_S3_ENDPOINT`, ….
pub const S3_PREFIX: &str = "SEARCHOP_S3_";
pub const DATA_S3_PREFIX: &str = "SEARCHOP_DATA_S3_";

/// Folders under the artifacts URI, each holding one folder a digest.
pub const MODELS_FOLDER: &str = "models";
pub const TABLES_FOLDER: &str = "tables";
pub const COUNTERS_FOLDER: &str = "counters";
/// Folder beside them with what was found out about each version: `v8.json`.
pub const REPORTS_FOLDER: &str = "reports";

pub const MANIFEST_FILE: &str = "manifest.json";
/// LightGBM's text model. `.bst` is the one suffix that KServe's LightGBM server loads.
pub const MODEL_FILE: &str = "model.bst";
pub const MLMODEL_FILE: &str = "MLmodel";
pub const GOLDEN_FILE: &str = "golden.json";
pub const IMPORTANCE_FILE: &str = "importance.json";
pub const REPORT_FILE: &str = "report.json";
/// The [`crate::ReferenceBins`].
pub const REFERENCE_BINS_FILE: &str = "reference_bins.json";
/// Columns of the catalogue that a spec declares; there where it declares any.
pub const DECLARED_FILE: &str = "declared.table";
pub const ITEMS_FILE: &str = "items.table";
/// The forward index: the terms of each item's text.
pub const TEXTS_FILE: &str = "texts.table";
pub const QUERY_ITEMS_FILE: &str = "query_items.table";
pub const LEXICON_FILE: &str = "lexicon.table";
pub const PRIORS_FILE: &str = "priors.json";

/// Ports of the ranker.
pub const RANK_PORT: u16 = 8080;
pub const METRICS_PORT: u16 = 9090;
