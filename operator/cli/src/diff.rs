//! `searchop diff`: one query ranked by two versions of a model, and why items stand elsewhere.

mod candidates;
mod compare;
mod find;
mod render;

use std::path::PathBuf;

use jiff::Timestamp;
use searchop_contract::Digest;
use searchop_model::forest::ExplainError;

use crate::{
    args,
    bundles::{BundleError, Bundles},
    cluster::ClusterError,
    exit::{Exit, Failure},
    local::state::StateError,
    records::RecordsError,
    terminal::Log,
};
use candidates::Asked;
use compare::Ranking;
use find::Found;

#[derive(Debug, thiserror::Error)]
pub enum DiffError {
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    #[error(transparent)]
    Bundle(#[from] BundleError),
    #[error(transparent)]
    Records(#[from] RecordsError),
    #[error("{0}")]
    Usage(String),
    #[error("v{version} is not known; known are {there}")]
    Unknown { version: i32, there: String },
    #[error(
        "the {what} of v{version} are gone: {digest} was deleted when nothing needed it any more; {instead}"
    )]
    Gone {
        version: i32,
        what: &'static str,
        digest: Digest,
        instead: String,
    },
    #[error("--tables: {digest} is not there; {instead}")]
    NoTables { digest: Digest, instead: String },
    #[error("{0}")]
    NoCandidates(String),
    #[error("v{version}: {source}")]
    Explain { version: i32, source: ExplainError },
    #[error("read {path:?}: {detail}")]
    Request { path: PathBuf, detail: String },
}

impl Failure for DiffError {
    fn exit(&self) -> Exit {
        match self {
            Self::Cluster(error) => error.exit(),
            Self::Bundle(error) => error.exit(),
            Self::Usage(_) | Self::Request { .. } => Exit::Usage,
            Self::Unknown { .. }
            | Self::Gone { .. }
            | Self::NoTables { .. }
            | Self::NoCandidates(_) => Exit::NotFound,
            Self::Records(RecordsError::Line { .. }) | Self::Explain { .. } => Exit::Refused,
            Self::State(_) | Self::Records(_) => Exit::Failed,
        }
    }
}

pub async fn diff(args: &args::Diff, log: Log) -> Result<Exit, DiffError> {
    if args.before == args.after {
        let message = format!("v{} does not differ from itself", args.after);
        return Err(DiffError::Usage(message));
    }
    let Found { versions, uri } = find::versions(args).await?;
    let mut bundles = Bundles::at(uri.as_deref(), &args.folder)?;
    let before = find::complete(&bundles, &versions, args.before, args.tables.as_ref()).await?;
    let after = find::complete(&bundles, &versions, args.after, args.tables.as_ref()).await?;
    let both = [&before, &after];
    let asked = match Asked::named(args)? {
        Some(asked) => asked,
        None => Asked::shown(args, &mut bundles, both).await?,
    };
    asked.check()?;
    let time = asked.time.unwrap_or_else(Timestamp::now);
    let mut rankings = Vec::new();
    for version in both {
        let bundle = bundles.of(&version.digest, &version.tables).await?;
        rankings.push(Ranking::of(version, bundle, &asked, time)?);
    }
    let found = compare::compare(&asked, time, &rankings[0], &rankings[1]);
    if let Some(id) = found.missing(&args.explain) {
        let message = format!("--explain: {id:?} is not among the candidates");
        return Err(DiffError::Usage(message));
    }
    match args.output {
        args::Report::Json => println!("{}", render::json(&found)),
        args::Report::Table => print!("{}", render::page(&found, &args.explain, log.results())),
    }
    Ok(Exit::Done)
}
