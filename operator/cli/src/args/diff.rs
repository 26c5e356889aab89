//! The command line of `searchop diff`.

use std::path::PathBuf;

use clap::Args;
use clap_complete::ArgValueCandidates;
use searchop_contract::Digest;

use super::{Folder, Report, Target, cluster::version};
use crate::completion::models;

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("asked").required(true).args(["query", "file"]))]
pub struct Diff {
    /// The version to start from, such as v7 or 7.
    #[arg(value_parser = version)]
    pub before: i32,

    /// The version to compare with it.
    #[arg(value_parser = version)]
    pub after: i32,

    /// The search. Without --ids and --log, the items that either version's tables know to have been
    /// shown for it are ranked.
    #[arg(long, value_name = "QUERY")]
    pub query: Option<String>,

    /// Ids of the candidates: p1,p2,p3.
    #[arg(long, value_name = "IDS", value_delimiter = ',', requires = "query")]
    pub ids: Vec<String>,

    /// Take the candidates of the newest record of this query: files of the feature log or the query
    /// log, or folders of them; may be repeated.
    #[arg(long, value_name = "LOG", requires = "query", conflicts_with = "ids")]
    pub log: Vec<PathBuf>,

    /// A request as JSON, as POST /rank takes it with a list of products; - reads standard input.
    #[arg(long, short = 'f', value_name = "FILE")]
    pub file: Option<PathBuf>,

    /// Explain these items: p1,p2 [default: those that moved the most].
    #[arg(long, value_name = "IDS", value_delimiter = ',')]
    pub explain: Vec<String>,

    /// Digest of tables for both versions, instead of each version's own: then only the trees differ.
    #[arg(long, value_name = "SHA256")]
    pub tables: Option<Digest>,

    /// Name of the RankingModel in the cluster [default: local mode's model].
    #[arg(long, value_name = "NAME", add = ArgValueCandidates::new(models))]
    pub model: Option<String>,

    #[command(flatten)]
    pub folder: Folder,

    /// Folder or s3:// URI of the model's artifacts [default: where the model's are, if that is s3://;
    /// local mode's own].
    #[arg(long, value_name = "URI")]
    pub artifacts: Option<String>,

    /// How it is printed.
    #[arg(long, short, value_enum, default_value_t = Report::Table)]
    pub output: Report,

    #[command(flatten)]
    pub target: Target,
}
