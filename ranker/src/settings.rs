use std::{net::SocketAddr, num::NonZeroUsize, path::PathBuf, thread, time::Duration};

use clap::{Parser, ValueEnum};
use searchop_contract::{Digest, names};

/// Serves one version of a ranking model over HTTP.
///
/// POST /rank orders the candidates of a search; GET /health, /livez and /readyz tell how the
/// program is doing, on the rank port and on the metrics port, which also has GET /metrics.
///
/// The ports are open at once; the program is ready when the model, its tables and the golden sample
/// agree with their digests. Storage that does not answer is asked again; a damaged or foreign
/// artifact ends the program with a message that names the file. On SIGTERM and SIGINT readiness
/// goes off, answers carry `Connection: close`, and after the drain time the program ends with 0.
///
/// A listening socket passed in the systemd way (LISTEN_FDS=1, descriptor 3) is served instead of
/// --listen, so that two versions can share one address during a switch.
///
/// Exit codes: 0 ended by a signal, 2 bad settings, 5 storage refused or the artifact is damaged.
#[derive(Clone, Debug, Parser)]
#[command(name = "searchop-ranker", version)]
pub struct Settings {
    /// Name of the model, echoed in every answer
    #[arg(long, env = names::MODEL_NAME_ENV, value_name = "NAME")]
    pub model: String,

    /// Version of the model, echoed in every answer
    #[arg(long, env = names::MODEL_VERSION_ENV, value_name = "NUMBER")]
    pub model_version: u32,

    /// Digest of the model to load
    #[arg(long, env = names::MODEL_DIGEST_ENV, value_name = "SHA256")]
    pub digest: Digest,

    /// Digest of the tables that features are looked up in
    #[arg(long, env = names::TABLES_DIGEST_ENV, value_name = "SHA256")]
    pub tables_digest: Digest,

    /// Where artifacts are: file:///… is read in place, s3://bucket/prefix is fetched into the cache
    #[arg(long, env = names::ARTIFACTS_URI_ENV, value_name = "URI")]
    pub artifacts_uri: String,

    /// Folder for fetched artifacts
    #[arg(long, value_name = "DIR", default_value = "/var/cache/searchop")]
    pub cache: PathBuf,

    /// Most products a request may have
    #[arg(long, env = names::MAX_CANDIDATES_ENV, value_name = "NUMBER", default_value_t = 1000)]
    pub max_candidates: usize,

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

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

impl Settings {
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
            ("--cache", "--cache"),
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
    fn a_bad_digest_says_what_one_looks_like() {
        let mut line = NEEDED;
        line[3] = "--digest=sha256:abc";
        let error = Settings::try_parse_from(line).unwrap_err().to_string();
        assert!(error.contains("64 hex digits"), "{error}");
    }
}
