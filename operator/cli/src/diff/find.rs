//! Which artifacts a version is.

use kube::ResourceExt;
use searchop_api::RankingModel;
use searchop_contract::{Digest, artifacts_uri};
use searchop_model::store::ArtifactKind;

use super::DiffError;
use crate::{
    args,
    bundles::Bundles,
    cluster::{Cluster, referred},
    local::state::StateDir,
    versions::Kept,
};

/// Versions that something speaks of, and where their artifacts are.
pub struct Found {
    pub versions: Vec<Known>,
    /// `None` for local mode's own folder.
    pub uri: Option<String>,
}

/// What is known of a version before its files are looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct Known {
    pub version: i32,
    pub digest: Digest,
    /// Absent where nothing says with which tables it served last.
    pub tables: Option<Digest>,
}

/// A version with its tables.
#[derive(Clone, Debug, PartialEq)]
pub struct Version {
    pub version: i32,
    pub digest: Digest,
    pub tables: Digest,
}

/// From the status of the model, and from the reports beside the artifacts where they are files.
pub async fn versions(args: &args::Diff) -> Result<Found, DiffError> {
    let Some(name) = &args.model else {
        let state = StateDir::at(&args.folder.dir)?;
        // Another folder's artifacts are those of another model.
        let model = match &args.artifacts {
            Some(_) => None,
            None => state.model()?,
        };
        let uri = args.artifacts.clone();
        let own = state.artifacts().display().to_string();
        let kept = reports(uri.as_deref().unwrap_or(&own))?;
        return Ok(Found {
            versions: known(model.as_ref(), &kept),
            uri,
        });
    };
    let cluster = Cluster::find(&args.target).await?;
    let model: RankingModel = cluster.get(name).await?;
    let uid = model.uid().unwrap_or_default();
    let place = artifacts_uri(&model.spec.artifacts.uri, name, &uid);
    let uri = match &args.artifacts {
        Some(uri) => uri.clone(),
        None if place.starts_with("s3://") => place,
        None => {
            return Err(DiffError::Usage(format!(
                "the artifacts of {name:?} lie in {place}, which is not opened from here: mount or \
                 copy it, and name the folder with --artifacts"
            )));
        }
    };
    Ok(Found {
        versions: known(Some(&model), &reports(&uri)?),
        uri: Some(uri),
    })
}

fn reports(uri: &str) -> Result<Kept, DiffError> {
    match uri.contains("://") {
        true => Ok(Kept::default()),
        false => Ok(Kept::read(uri.as_ref())?),
    }
}

/// Newest first. The status knows which tables a version served with last; a report only knows the
/// model.
fn known(model: Option<&RankingModel>, kept: &Kept) -> Vec<Known> {
    let status = model.and_then(|model| model.status.clone());
    let of_status = referred(&status.unwrap_or_default());
    let of_status = of_status.into_iter().filter_map(|one| {
        Some(Known {
            version: one.version,
            digest: one.digest.parse().ok()?,
            tables: one.tables.and_then(|tables| tables.parse().ok()),
        })
    });
    let mut all: Vec<Known> = of_status.collect();
    for report in &kept.reports {
        let version = i32::try_from(report.version).unwrap_or(i32::MAX);
        if all.iter().all(|one| one.version != version) {
            all.push(Known {
                version,
                digest: report.digest.clone(),
                tables: None,
            });
        }
    }
    all.sort_by_key(|one| std::cmp::Reverse(one.version));
    all
}

/// The version with the tables that it ranks with: those that are asked for, else those that it served
/// with last, else those that it was published with.
pub async fn complete(
    bundles: &Bundles,
    versions: &[Known],
    version: i32,
    asked: Option<&Digest>,
) -> Result<Version, DiffError> {
    let known = versions.iter().find(|one| one.version == version);
    let known = known.ok_or_else(|| DiffError::Unknown {
        version,
        there: there(versions),
    })?;
    let models = bundles.list(ArtifactKind::Model).await?;
    if !models.contains(&known.digest) {
        let kept = versions.iter().filter(|one| models.contains(&one.digest));
        let kept: Vec<Known> = kept.cloned().collect();
        return Err(DiffError::Gone {
            version,
            what: "trees",
            digest: known.digest.clone(),
            instead: format!("still there are {}", there(&kept)),
        });
    }
    let tables = match asked.or(known.tables.as_ref()) {
        Some(tables) => tables.clone(),
        None => bundles.model(&known.digest).await?.golden.tables_digest,
    };
    let kept = bundles.list(ArtifactKind::Tables).await?;
    if asked.is_some() && !kept.contains(&tables) {
        return Err(DiffError::NoTables {
            digest: tables,
            instead: other_tables(&kept),
        });
    }
    if !kept.contains(&tables) {
        return Err(DiffError::Gone {
            version,
            what: "tables",
            digest: tables,
            instead: other_tables(&kept),
        });
    }
    Ok(Version {
        version,
        digest: known.digest.clone(),
        tables,
    })
}

fn there(versions: &[Known]) -> String {
    let names = versions.iter().map(|one| format!("v{}", one.version));
    match names.collect::<Vec<_>>().join(", ") {
        none if none.is_empty() => "no versions".to_owned(),
        names => names,
    }
}

fn other_tables(kept: &[Digest]) -> String {
    let kept: Vec<&str> = kept.iter().map(Digest::as_str).collect();
    match kept.as_slice() {
        [] => "no tables are there at all".to_owned(),
        kept => format!(
            "compare the trees of both versions on tables that are there, with --tables and one of {}",
            kept.join(", ")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::testing::{digest, model};

    #[test]
    fn the_status_says_the_tables_and_reports_add_older_versions() {
        let found = known(Some(&model()), &Kept::default());
        let seen: Vec<_> = found
            .iter()
            .map(|one| (one.version, one.digest.as_str(), one.tables.is_some()))
            .collect();
        let expected = [
            (7, digest('a'), true),
            (5, digest('b'), true),
            (3, digest('c'), false),
        ];
        let expected: Vec<_> = expected
            .iter()
            .map(|(version, digest, tables)| (*version, digest.as_str(), *tables))
            .collect();
        assert_eq!(seen, expected);
        assert_eq!(there(&found), "v7, v5, v3");
        assert_eq!(there(&[]), "no versions");
    }

    #[test]
    fn tables_that_are_gone_name_those_that_are_there() {
        let kept: Digest = digest('e').parse().unwrap();
        let gone = DiffError::Gone {
            version: 3,
            what: "tables",
            digest: digest('d').parse().unwrap(),
            instead: other_tables(&[kept]),
        };
        insta::assert_snapshot!(gone.to_string());
        assert_eq!(other_tables(&[]), "no tables are there at all");
    }
}
