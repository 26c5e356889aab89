use std::{net::SocketAddr, num::NonZeroUsize, path::PathBuf, sync::Arc, thread, time::Duration};

use clap::{Parser, ValueEnum};
use searchop_contract::{Digest, LoadedVersion, ServingRule, names};

use crate::traffic::MAX_VERSIONS;

/// Serves a ranking model over HTTP: one version of it, or several that share the users.
///
/// POST /rank orders the candidates of a search; POST /v1/rerank, /v2/rerank and /rerank do so in
/// the shapes of Cohere, Jina and text-embeddings-inference; GET /docs describes them all. GET
/// /health, /livez and /readyz tell how the program is doing, on the rank port and on the metrics
/// port, which also has GET /metrics, GET /traffic and GET /histograms: features and scores of one
/// product a request, in the bins of the model's training rows.
///
/// The ports are open at once; the program is ready when the model, its tables and the golden sample
/// agree with their digests. Storage that does not answer is asked again; a damaged or foreign
/// artifact ends the program with a message that names the file. (Of several versions this holds for
/// the first; another one that cannot be loaded gets no requests, and /traffic says why.) On SIGTERM and SIGINT readiness
/// goes off, answers carry `Connection: close`, and after the drain time the program ends with 0.
///
/// A listening socket passed in the systemd way (LISTEN_FDS=1, descriptor 3) is served instead of
/// --listen, so that two versions can share one address during a switch.
///
/// With `openapi` as its only argument, the program prints the description of its API and ends.
///
/// Exit codes: 0 ended by a signal, 2 bad settings, 5 storage refused or the artifact is damaged.
#[derive(Clone, Debug, Parser)]
#[command(name = "searchop-ranker", version)]
pub struct Settings {
    /// Name of the model, echoed in every answer
    #[arg(long, env = names::MODEL_NAME_ENV, value_name = "NAME")]
    pub model: String,

    /// Version of the model, echoed in every answer
    #[arg(long, env = names::MODEL_VERSION_ENV, value_name = "NUMBER", required_unless_present = "versions")]
    model_version: Option<u32>,

    /// Digest of the model to load
    #[arg(long, env = names::MODEL_DIGEST_ENV, value_name = "SHA256", required_unless_present = "versions")]
    digest: Option<Digest>,

    /// Digest of the tables that features are looked up in
    #[arg(long, env = names::TABLES_DIGEST_ENV, value_name = "SHA256", required_unless_present = "versions")]
    tables_digest: Option<Digest>,

    /// Several versions instead of the three options above, the one that answers first: a JSON list
    /// of {"version", "digest", "tablesDigest"}
    #[arg(long, env = names::VERSIONS_ENV, value_name = "JSON", value_parser = versions)]
    versions: Option<LoadedVersions>,

    /// File that says which version answers what part, as JSON; read again when it changes. Without
    /// it the first answers all
    #[arg(long, env = names::TRAFFIC_FILE_ENV, value_name = "FILE")]
    pub traffic_file: Option<PathBuf>,

    /// Where artifacts are: file:///… is read in place, s3://bucket/prefix is fetched into the cache
    #[arg(long, env = names::ARTIFACTS_URI_ENV, value_name = "URI")]
    pub artifacts_uri: String,

    /// Folder for fetched artifacts
    #[arg(long, value_name = "DIR", default_value = "/var/cache/searchop")]
    pub cache: PathBuf,

    /// Most products a request may have
    #[arg(long, env = names::MAX_CANDIDATES_ENV, value_name = "NUMBER", default_value_t = 1000)]
    pub max_candidates: usize,

    /// Rules after scoring, a JSON list as in spec.serving.rules
    #[arg(long, env = names::RULES_ENV, value_name = "JSON", default_value = "[]", value_parser = rules)]
    pub rules: Rules,

    /// File with the bearer tokens of clients, one a line; read again when it changes
    #[arg(long, env = names::TOKEN_FILE_ENV, value_name = "FILE")]
    pub token_file: Option<PathBuf>,

    /// Certificate chain of the rank port in PEM form, which then speaks TLS; read again when it
    /// changes
    #[arg(long, env = names::TLS_CERT_FILE_ENV, value_name = "FILE", requires = "tls_key_file")]
    pub tls_cert_file: Option<PathBuf>,

    /// Key of that certificate
    #[arg(long, env = names::TLS_KEY_FILE_ENV, value_name = "FILE", requires = "tls_cert_file")]
    pub tls_key_file: Option<PathBuf>,

    /// Share of queries that leave a record in the schema of User Behavior Insights, from 0 to 1
    #[arg(long, env = names::QUERY_LOG_SHARE_ENV, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    pub query_log_share: f64,

    /// Folder for query records [default: standard output, which has nothing else]
    #[arg(long, env = names::QUERY_LOG_FOLDER_ENV, value_name = "DIR")]
    pub query_log_folder: Option<PathBuf>,

    /// Folder for records of raw features, which `searchop replay` computes again [default: none]
    #[arg(long, env = names::FEATURE_LOG_FOLDER_ENV, value_name = "DIR")]
    pub feature_log_folder: Option<PathBuf>,

    /// Share of queries that leave one, from 0 to 1; writing one takes as long as some rankings
    #[arg(long, env = names::FEATURE_LOG_SHARE_ENV, value_name = "SHARE", default_value_t = 0.01, value_parser = share)]
    pub feature_log_share: f64,

    /// Address of the rank port
    #[arg(long, value_name = "ADDRESS", default_value_t = any(names::RANK_PORT))]
    pub listen: SocketAddr,

    /// Address of the metrics port
    #[arg(long, value_name = "ADDRESS", default_value_t = any(names::METRICS_PORT))]
    pub metrics_listen: SocketAddr,

    /// Largest request body
    #[arg(long, value_name = "BYTES", default_value_t = 8 << 20)]
    pub max_body_bytes: usize,

    /// Time for a request's head to arrive, and for its body and its turn
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub request_timeout: Duration,

    /// How long to serve on after a signal to end, until every client has moved
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds_or_zero)]
    pub drain_seconds: Duration,

    /// CPU limit in thousandths of a core, from which the number of workers follows [default: all cores]
    #[arg(long, env = names::CPU_LIMIT_ENV, value_name = "MILLIS")]
    pub cpu_limit_millis: Option<u64>,

    /// Form of the log lines on stderr
    #[arg(long, value_enum, default_value_t = LogFormat::Json)]
    pub log_format: LogFormat,

    /// What is logged, as a level or a filter like searchop_ranker=debug (one line a request)
    #[arg(
        long,
        env = "SEARCHOP_LOG",
        value_name = "FILTER",
        default_value = "info"
    )]
    pub log: String,
}

/// Lists that are one option.
pub type Rules = Arc<[ServingRule]>;
type LoadedVersions = Arc<[LoadedVersion]>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

impl Settings {
    /// What to load, at least one.
    pub fn versions(&self) -> Vec<LoadedVersion> {
        if let Some(versions) = &self.versions {
            return versions.to_vec();
        }
        const REQUIRED: &str = "clap requires it where there is no list";
        vec![LoadedVersion {
            version: self.model_version.expect(REQUIRED),
            digest: self.digest.clone().expect(REQUIRED),
            tables_digest: self.tables_digest.clone().expect(REQUIRED),
        }]
    }

    /// Threads that rank at the same time: the CPU limit rounded up, at least one.
    pub fn workers(&self) -> usize {
        match self.cpu_limit_millis {
            Some(millis) => usize::try_from(millis.div_ceil(1000))
                .unwrap_or(usize::MAX)
                .max(1),
            None => thread::available_parallelism().map_or(1, NonZeroUsize::get),
        }
    }
}

fn any(port: u16) -> SocketAddr {
    SocketAddr::from(([0, 0, 0, 0], port))
}

fn rules(json: &str) -> Result<Rules, String> {
    let rules: Vec<ServingRule> = serde_json::from_str(json).map_err(|error| error.to_string())?;
    for rule in &rules {
        if rule.out_of_stock.is_some() == rule.pins.is_some() {
            let name = &rule.name;
            return Err(format!("{name:?} needs exactly one of outOfStock and pins"));
        }
    }
    Ok(rules.into())
}

fn versions(json: &str) -> Result<LoadedVersions, String> {
    let versions: Vec<LoadedVersion> =
        serde_json::from_str(json).map_err(|error| error.to_string())?;
    let count = versions.len();
    if !(1..=MAX_VERSIONS).contains(&count) {
        return Err(format!("has {count} versions, send 1 to {MAX_VERSIONS}"));
    }
    for (index, one) in versions.iter().enumerate() {
        let version = one.version;
        if versions[..index]
            .iter()
            .any(|other| other.version == version)
        {
            return Err(format!("has version {version} twice"));
        }
    }
    Ok(versions.into())
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("not between 0 and 1".to_owned()),
    }
}

fn seconds_or_zero(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text
        .parse()
        .map_err(|_| "not a number of seconds".to_owned())?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if duration <= Duration::from_secs(3600) => Ok(duration),
        _ => Err("not between 0 and 3600 seconds".to_owned()),
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    match seconds_or_zero(text)? {
        Duration::ZERO => Err("must be more than 0 seconds".to_owned()),
        duration => Ok(duration),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEEDED: [&str; 11] = [
        "searchop-ranker",
        "--model=products",
        "--model-version=7",
        "--digest=sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "--tables-digest=sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "--artifacts-uri=file:///models",
        "--listen=127.0.0.1:0",
        "--metrics-listen=127.0.0.1:0",
        "--log=info",
        "--max-candidates=1000",
        "--drain-seconds=0",
    ];

    fn parse(more: &[&str]) -> Result<Settings, clap::Error> {
        Settings::try_parse_from(NEEDED.iter().chain(more))
    }

    #[test]
    fn workers_follow_the_cpu_limit_rounded_up() {
        for (millis, workers) in [("0", 1), ("1", 1), ("1000", 1), ("1001", 2), ("4000", 4)] {
            let settings = parse(&["--cpu-limit-millis", millis]).unwrap();
            assert_eq!(settings.workers(), workers, "{millis}");
        }
    }

    #[test]
    fn wrong_values_are_refused_with_their_option() {
        for (wrong, option) in [
            ("--request-timeout=0", "--request-timeout"),
            ("--request-timeout=soon", "--request-timeout"),
            ("--request-timeout=NaN", "--request-timeout"),
            ("--request-timeout=1e300", "--request-timeout"),
            ("--cpu-limit-millis=-1", "--cpu-limit-millis"),
            ("--query-log-share=1.1", "--query-log-share"),
            ("--query-log-share=NaN", "--query-log-share"),
            ("--tls-cert-file=a", "--tls-key-file"),
            ("--rules={}", "--rules"),
            (
                r#"--rules=[{"name":"a"}]"#,
                "exactly one of outOfStock and pins",
            ),
            (r#"--rules=[{"name":"a","pin":{}}]"#, "unknown field `pin`"),
            ("--cache", "--cache"),
            ("--versions=[]", "has 0 versions"),
            ("--versions={}", "--versions"),
            (r#"--versions=[{"version":1}]"#, "missing field `digest`"),
        ] {
            let error = parse(&[wrong]).unwrap_err().to_string();
            assert!(error.contains(option), "{wrong}: {error}");
        }
        assert_eq!(
            parse(&["--request-timeout=0.5"])
                .unwrap()
                .request_timeout
                .as_millis(),
            500
        );
    }

    #[test]
    fn a_list_of_versions_stands_in_place_of_the_options_for_one() {
        let one = |version: u32| LoadedVersion {
            version,
            digest: Digest::of(b"model"),
            tables_digest: Digest::of(b"tables"),
        };
        let list = |versions: &[u32]| {
            let versions: Vec<LoadedVersion> = versions.iter().map(|number| one(*number)).collect();
            format!("--versions={}", serde_json::to_string(&versions).unwrap())
        };
        assert_eq!(parse(&[]).unwrap().versions()[0].version, 7);
        let both = parse(&[&list(&[9, 8])]).unwrap();
        assert_eq!(both.versions(), [one(9), one(8)]);
        let without = |left_out: &[&str]| -> Vec<String> {
            let leaves = |option: &&str| left_out.iter().any(|start| option.starts_with(start));
            let kept = NEEDED.into_iter().filter(|option| !leaves(option));
            kept.map(str::to_owned).collect()
        };
        let three = ["--model-version", "--digest", "--tables-digest"];
        let mut alone = without(&three);
        alone.push(list(&[9]));
        assert_eq!(
            Settings::try_parse_from(alone).unwrap().versions(),
            [one(9)]
        );
        for option in three {
            let error = Settings::try_parse_from(without(&[option])).unwrap_err();
            assert!(error.to_string().contains(option), "{error}");
        }
        for (numbers, says) in [
            (vec![1, 2, 1], "version 1 twice"),
            ((1..=5).collect(), "5 versions"),
        ] {
            let error = parse(&[&list(&numbers)]).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn a_bad_digest_says_what_one_looks_like() {
        let mut line = NEEDED;
        line[3] = "--digest=sha256:abc";
        let error = Settings::try_parse_from(line).unwrap_err().to_string();
        assert!(error.contains("64 hex digits"), "{error}");
    }
}
