//! The command line.

mod cluster;
mod diff;
mod import;
mod local;

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::ArgValueCandidates;
use searchop_contract::{Digest, names::RANK_PORT};

use crate::completion::schedules;

pub use cluster::*;
pub use diff::Diff;
pub use import::{Import, ImportFiles, ImportShop};
pub use local::{Down, Local, LocalVersions, Retrain, Status, Up};

/// Train, judge and serve search ranking models.
///
/// Verbs about a cluster find it as kubectl does. Those that change something write one field or
/// annotation, and print the kubectl line that does the same.
#[derive(Debug, Parser)]
#[command(name = "searchop", version, max_term_width = 100, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,

    /// Plain text even on a terminal; the variable NO_COLOR does the same.
    #[arg(long, global = true)]
    pub no_color: bool,

    /// Say only what went wrong.
    #[arg(long, short, global = true)]
    pub quiet: bool,
}

const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    failed
  2    the command line is wrong
  3    refused: manifest, data or a change are not valid, or the gate said no
  4    timed out while waiting
  5    not found: nothing runs, or nothing is there
  6    forbidden by the cluster
  130  interrupted";

#[derive(Debug, Subcommand)]
pub enum Command {
    #[command(flatten)]
    Cluster(Verb),

    /// Run a model on this machine, without a cluster.
    #[command(subcommand)]
    Local(Local),

    /// Look into schedules, suspend and resume them.
    #[command(subcommand)]
    Schedule(Schedule),

    /// Check manifests like a cluster does, and the data they name, before anybody trains.
    ///
    /// Data are checked where they are here: made-up shops, pvc://CLAIM/PATH with volumes/CLAIM in the
    /// folder, and s3:// with SEARCHOP_DATA_S3_… in the environment. Exit code 3 where a check fails.
    #[command(after_help = VALIDATE)]
    Validate(Validate),

    /// Turn the click log of another tool into UBI events, which the trainer reads.
    ///
    /// Clicks, carts and purchases are joined to the list that showed the item, never to a later one.
    /// What is left out is counted by its reason.
    #[command(subcommand)]
    Import(Import),

    /// Print the calls that make a search engine ask a ranker: `searchop connect opensearch … | sh`.
    Connect(Connect),

    /// Read what was found out about versions when they were judged.
    #[command(subcommand)]
    Gate(Gate),

    /// Compute logged features again, and compare: is what served what tables and requests say?
    ///
    /// Exit code 3 where too few rows are equal, or where a field of the requests looks like another
    /// unit than the tables have.
    Replay(Replay),

    /// Rank one query by two versions of a model, and say why items stand elsewhere.
    ///
    /// Each version ranks with the tables that it served with last. What is explained is the order of
    /// the model, before any rule of `spec.serving`.
    #[command(after_help = DIFF)]
    Diff(Diff),

    /// Print a completion script, which offers names of the cluster's objects too:
    /// `source <(searchop completion bash)`.
    Completion { shell: Shell },

    /// Print the version.
    Version,
}

const DIFF: &str = "\
Examples:
  searchop diff v7 v8 --query 'running shoes'
  searchop diff v7 v8 --query 'running shoes' --log .searchop/volumes/records/features
  searchop diff v7 v8 -f request.json --model products --artifacts /mnt/models/products-27508939";

const VALIDATE: &str = "\
Example:
  mkdir -p .searchop/volumes && ln -s /data/shop .searchop/volumes/shop-data
  searchop validate -f model.yaml";

#[derive(Debug, Args)]
pub struct Validate {
    #[command(flatten)]
    pub files: Files,

    #[command(flatten)]
    pub folder: Folder,

    /// The trainer program [default: beside this program, else on PATH; without one, data are not
    /// checked].
    #[arg(long, value_name = "FILE")]
    pub trainer: Option<PathBuf>,

    /// How the checks are printed.
    #[arg(long, short, value_enum, default_value_t = Report::Table)]
    pub output: Report,
}

#[derive(Debug, Subcommand)]
pub enum Schedule {
    /// List schedules of a cluster.
    Get(GetSchedules),

    /// One page about a schedule: what it asks, when next, and what came of its last ticks.
    Describe(AboutSchedule),

    /// Print when schedules ask next, with time zone, jitter and blackouts.
    ///
    /// Schedules of a cluster, or those of manifests with --filename.
    Next(NextTicks),

    /// Ask for nothing any more; ticks that pass are not made up for.
    Suspend(ChangeSchedule),

    /// Ask again, from the next tick on.
    Resume(ChangeSchedule),
}

#[derive(Debug, Args)]
pub struct NextTicks {
    /// Names of schedules in the cluster [default: all of the namespace].
    #[arg(value_name = "NAME", conflicts_with = "filename", add = ArgValueCandidates::new(schedules))]
    pub names: Vec<String>,

    /// Manifest, or folder of manifests, to read instead of a cluster; may be repeated.
    #[arg(long, short = 'f', value_name = "FILE")]
    pub filename: Vec<PathBuf>,

    /// How many ticks of each schedule.
    #[arg(long, default_value_t = 5, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub count: u16,

    /// Ticks after this time, such as 2026-11-24T09:30:00Z [default: now].
    #[arg(long, value_name = "TIME")]
    pub from: Option<jiff::Timestamp>,

    #[command(flatten)]
    pub target: Target,
}

#[derive(Debug, Subcommand)]
pub enum Gate {
    /// Say why a version passed or not: figures, slices, queries that gained and lost.
    Explain(Explain),

    /// Say what other rules would have decided about the versions that there are.
    ///
    /// Each version is judged by itself, against what served when it was judged. Rules that read a
    /// figure which was not measured then end in an error that says so.
    Backtest(Backtest),
}

/// Where reports are stored.
#[derive(Debug, Args)]
pub struct Reports {
    #[command(flatten)]
    pub folder: Folder,

    /// Folder of artifacts [default: artifacts in the folder of --dir].
    #[arg(long, value_name = "FOLDER")]
    pub artifacts: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Replay {
    /// Files of the feature log, or folders of them: `spec.serving.featureLog` says where they are.
    #[arg(value_name = "LOG", required = true)]
    pub logs: Vec<PathBuf>,

    #[command(flatten)]
    pub folder: Folder,

    /// Folder or s3:// URI of artifacts [default: artifacts in the folder of --dir].
    #[arg(long, value_name = "URI")]
    pub artifacts: Option<String>,

    /// Digest of tables to compute with, instead of those that served: what newer ones would change.
    #[arg(long, value_name = "SHA256")]
    pub tables: Option<Digest>,

    /// Share of rows that must be equal.
    #[arg(long, value_name = "SHARE", default_value_t = 0.999, value_parser = share)]
    pub min_equal: f64,

    /// How it is printed.
    #[arg(long, short, value_enum, default_value_t = Report::Table)]
    pub output: Report,
}

#[derive(Debug, Args)]
pub struct Explain {
    #[command(flatten)]
    pub reports: Reports,

    /// Number of the version [default: the newest].
    #[arg(long, value_name = "N")]
    pub version: Option<u32>,
}

#[derive(Debug, Args)]
pub struct Backtest {
    #[command(flatten)]
    pub files: Files,

    #[command(flatten)]
    pub reports: Reports,

    /// What started the versions whose history is not known.
    #[arg(long, value_enum, default_value_t = Started::Schedule)]
    pub trigger: Started,
}

/// What started a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "PascalCase")]
pub enum Started {
    SpecChange,
    Schedule,
    Manual,
    Drift,
}

#[derive(Debug, Args)]
pub struct Files {
    /// Manifest, or folder of manifests; may be repeated.
    #[arg(long = "filename", short = 'f', value_name = "FILE", required = true)]
    pub filename: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Connect {
    #[arg(value_enum)]
    pub engine: Engine,

    /// Name of the RankingModel.
    #[arg(long, value_name = "NAME")]
    pub model: String,

    /// Its namespace.
    #[arg(long, short, default_value = "default", value_name = "NAME")]
    pub namespace: String,

    /// Where the engine reaches the ranker [default: its Service in the cluster].
    #[arg(long, value_name = "URL", value_parser = http_url)]
    pub url: Option<String>,

    /// Field of the documents with the product's id.
    #[arg(long, default_value = "id", value_name = "FIELD")]
    pub field: String,

    /// Fields that are sent beside the ids, for OpenSearch; every hit must have them.
    #[arg(long, value_name = "FIELDS", value_delimiter = ',')]
    pub columns: Vec<String>,

    /// Where the query text is in a search, with --columns.
    #[arg(
        long,
        default_value = "$._request.query.match.title.query",
        value_name = "PATH"
    )]
    pub query_path: String,
}

impl Connect {
    /// Where the engine reaches the ranker.
    pub fn ranker_url(&self) -> String {
        let service = || {
            let (model, namespace) = (&self.model, &self.namespace);
            format!("http://{model}-rank.{namespace}.svc:{RANK_PORT}")
        };
        self.url.clone().unwrap_or_else(service)
    }
}

/// A search engine that can ask a ranker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Engine {
    Opensearch,
    Elasticsearch,
}

#[derive(Debug, Args)]
pub struct Folder {
    /// Folder that keeps state, versions and logs.
    #[arg(long, default_value = ".searchop", value_name = "FOLDER")]
    pub dir: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Report {
    Table,
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    Table,
    Json,
    Yaml,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Shell {
    Bash,
    Zsh,
    Fish,
}

fn http_url(text: &str) -> Result<String, String> {
    let rest = text
        .strip_prefix("http://")
        .or_else(|| text.strip_prefix("https://"));
    match rest {
        Some(rest) if !rest.is_empty() && !rest.contains(char::is_whitespace) => {
            Ok(text.to_owned())
        }
        _ => Err("write http://host:port or https://host:port".to_owned()),
    }
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("not between 0 and 1".to_owned()),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let span: jiff::SignedDuration = text
        .parse()
        .map_err(|_| format!("{text:?} is not a duration, write for example 90s, 10m or 1h"))?;
    Duration::try_from(span).map_err(|_| format!("{text:?} is negative, write for example 90s"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn durations_are_as_people_write_them() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("1h30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(
            duration("ten").unwrap_err(),
            "\"ten\" is not a duration, write for example 90s, 10m or 1h"
        );
        assert_eq!(
            duration("-1s").unwrap_err(),
            "\"-1s\" is negative, write for example 90s"
        );
    }
}
