//! `searchop artifacts` and `versions`: what a model's status and its artifacts tell together.

use kube::ResourceExt;
use searchop_api::{RankingModel, RankingModelStatus};
use searchop_contract::artifacts_uri;

use super::{connection::Cluster, error::ClusterError, list::short};
use crate::{
    args,
    local::render::{table, text},
    terminal::Log,
    versions::{self, Kept, Question},
};

pub async fn versions(args: &args::Versions, log: Log) -> Result<(), ClusterError> {
    let cluster = Cluster::find(&args.model.target).await?;
    let model: RankingModel = cluster.get(&args.model.name).await?;
    let question = Question {
        model: &model,
        kept: &read(&args.kept)?,
        place: &place(&model),
        when: args.when,
    };
    versions::answer(&question, log)
}

pub async fn artifacts(args: &args::Artifacts, log: Log) -> Result<(), ClusterError> {
    let cluster = Cluster::find(&args.model.target).await?;
    let model: RankingModel = cluster.get(&args.model.name).await?;
    let kept = read(&args.kept)?;
    if !kept.was_read() {
        log.info(
            "NotOpened",
            "what is really there shows with --artifacts, the folder of a mounted volume or of a copy",
        );
    }
    print!("{}", page(&model, &kept));
    Ok(())
}

fn read(kept: &args::Kept) -> Result<Kept, ClusterError> {
    let Some(folder) = &kept.artifacts else {
        return Ok(Kept::default());
    };
    if !folder.is_dir() {
        return Err(ClusterError::Usage(format!(
            "--artifacts: {folder:?} is not a folder"
        )));
    }
    Kept::read(folder).map_err(|error| ClusterError::Failed(error.to_string()))
}

/// Where the model's own folder is.
fn place(model: &RankingModel) -> String {
    let uid = model.uid().unwrap_or_default();
    artifacts_uri(&model.spec.artifacts.uri, &model.name_any(), &uid)
}

/// A row a model that something still refers to, newest version first.
fn page(model: &RankingModel, kept: &Kept) -> String {
    let status = model.status.clone().unwrap_or_default();
    let mut table = table(&[
        "VERSION", "ROLE", "MODEL", "TABLES", "FILES", "TREES", "REPORT",
    ]);
    for one in referred(&status) {
        let found = kept.model(&one.digest);
        let bytes = found.map(|found| found.manifest.files.iter().map(|file| file.bytes).sum());
        let there = |is: bool| if is { "yes" } else { "no" }.to_owned();
        let unknown = || "?".to_owned();
        table.add_row([
            format!("v{}", one.version),
            one.role.to_owned(),
            short(&one.digest),
            one.tables.as_deref().map_or("-".to_owned(), short),
            match (kept.was_read(), bytes) {
                (false, _) => unknown(),
                (true, Some(bytes)) => size(bytes),
                (true, None) => "none".to_owned(),
            },
            found.map_or_else(unknown, |found| found.manifest.trees.to_string()),
            match kept.was_read() {
                true => there(kept.report(one.version).is_some()),
                false => unknown(),
            },
        ]);
    }
    format!("{}\n\n{}", place(model), text(&mut table))
}

/// A version that the status speaks of.
pub struct Reference {
    pub version: i32,
    role: &'static str,
    pub digest: String,
    /// Those that it served with last, as far as that is known.
    pub tables: Option<String>,
}

/// Each version once, with the most important role that it has.
pub fn referred(status: &RankingModelStatus) -> Vec<Reference> {
    let mut all: Vec<Reference> = Vec::new();
    let mut add = |one: Reference| {
        if all.iter().all(|other| other.version != one.version) {
            all.push(one);
        }
    };
    for (role, version) in [
        ("serves", &status.served),
        ("served before", &status.previous),
    ] {
        if let Some(version) = version {
            add(Reference {
                version: version.version,
                role,
                digest: version.digest.clone(),
                tables: Some(version.tables_digest.clone()),
            });
        }
    }
    if let Some(run) = &status.run
        && let Some(candidate) = &run.candidate
    {
        add(Reference {
            version: run.version,
            role: "candidate",
            digest: candidate.digest.clone(),
            tables: Some(candidate.tables_digest.clone()),
        });
    }
    for entry in &status.history {
        if let Some(digest) = &entry.digest {
            add(Reference {
                version: entry.version,
                role: entry.outcome.as_str(),
                digest: digest.clone(),
                tables: entry.tables_digest.clone(),
            });
        }
    }
    for one in &status.promoted {
        add(Reference {
            version: one.version,
            role: "Promoted",
            digest: one.digest.clone(),
            tables: None,
        });
    }
    all.sort_by_key(|one| std::cmp::Reverse(one.version));
    all
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{} kB", bytes / 1_000),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::testing::model;

    #[test]
    fn every_model_that_is_referred_to_has_a_row() {
        insta::assert_snapshot!(page(&model(), &Kept::default()));
    }

    #[test]
    fn sizes_have_units() {
        let sizes = [999, 41_300, 2_340_000].map(size);
        assert_eq!(sizes, ["999 B", "41 kB", "2.3 MB"]);
    }
}
