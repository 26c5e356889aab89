//! `searchop get` and `searchop schedule get`.

use jiff::Timestamp;
use kube::{ResourceExt, api::ListParams};
use searchop_api::{RankingModel, RankingModelStatus, RetrainSchedule, conditions};
use serde::Serialize;

use super::{
    attempt::attempt,
    connection::{Cluster, Namespaced},
    error::ClusterError,
    output::{Whole, whole},
};
use crate::{
    args::{Format, Listing},
    local::render::{age, table, text},
    terminal::Log,
};

/// Rows of one kind.
pub trait Listed: Namespaced + Serialize {
    /// What they are called where there are none.
    const PLURAL: &'static str;

    fn header(wide: bool) -> Vec<&'static str>;

    fn row(&self, wide: bool, now: Timestamp) -> Vec<String>;
}

/// Prints the objects of these names, or all.
pub async fn get<K: Listed>(
    names: &[String],
    listing: &Listing,
    log: Log,
) -> Result<(), ClusterError> {
    let cluster = Cluster::find(&listing.target).await?;
    let found = objects::<K>(&cluster, names, listing.all_namespaces).await?;
    let format = match listing.output {
        Format::Json => Some(Whole::Json),
        Format::Yaml => Some(Whole::Yaml),
        Format::Name => Some(Whole::Name),
        Format::Table | Format::Wide => None,
    };
    if let Some(format) = format {
        print!("{}", whole(&found, format)?);
        return Ok(());
    }
    if found.is_empty() {
        let place = match listing.all_namespaces {
            true => "the cluster".to_owned(),
            false => format!("namespace {:?}", cluster.namespace),
        };
        log.info("None", &format!("there are no {} in {place}", K::PLURAL));
        return Ok(());
    }
    let columns = Columns {
        wide: listing.output == Format::Wide,
        namespace: listing.all_namespaces,
    };
    print!("{}", rows(&found, columns, Timestamp::now()));
    Ok(())
}

/// The objects of these names in their order, or all by name.
pub async fn objects<K: Namespaced>(
    cluster: &Cluster,
    names: &[String],
    everywhere: bool,
) -> Result<Vec<K>, ClusterError> {
    if everywhere {
        return cluster.list_everywhere().await;
    }
    if names.is_empty() {
        return cluster.list(&ListParams::default()).await;
    }
    let mut found = Vec::new();
    for name in names {
        found.push(cluster.get(name).await?);
    }
    Ok(found)
}

#[derive(Clone, Copy, Debug)]
struct Columns {
    wide: bool,
    namespace: bool,
}

fn rows<K: Listed>(objects: &[K], columns: Columns, now: Timestamp) -> String {
    let mut header = K::header(columns.wide);
    if columns.namespace {
        header.insert(0, "NAMESPACE");
    }
    let mut table = table(&header);
    for object in objects {
        let mut row = object.row(columns.wide, now);
        if columns.namespace {
            row.insert(0, object.namespace().unwrap_or_default());
        }
        table.add_row(row);
    }
    text(&mut table)
}

fn age_of(object: &impl ResourceExt, now: Timestamp) -> String {
    let created = object.creation_timestamp();
    created.map_or(String::new(), |time| age(time.0, now))
}

impl Listed for RankingModel {
    const PLURAL: &'static str = "RankingModels";

    fn header(wide: bool) -> Vec<&'static str> {
        let mut header = vec![
            "NAME",
            "READY",
            "SERVED",
            "METRIC",
            "DATA-AGE",
            "TABLES-AGE",
            "STALE",
            "NEXT",
            "MESSAGE",
            "AGE",
        ];
        if wide {
            header.extend(["PODS", "DIGEST", "TRIES"]);
        }
        header
    }

    fn row(&self, wide: bool, now: Timestamp) -> Vec<String> {
        let none = RankingModelStatus::default();
        let status = self.status.as_ref().unwrap_or(&none);
        let condition = |kind: &str| conditions::find(&status.conditions, kind);
        let state =
            |kind: &str| condition(kind).map_or(String::new(), |found| found.status.clone());
        let message = condition(conditions::READY).map(|found| found.message.clone());
        let served = status.served.as_ref();
        let next = status.next_retrain_time.as_ref();
        let mut row = vec![
            self.name_any(),
            state(conditions::READY),
            served.map_or(String::new(), |served| served.name.clone()),
            served.map_or(String::new(), |served| served.headline_metric.clone()),
            served.map_or(String::new(), |served| {
                age(served.trained_through_time.0, now)
            }),
            served.map_or(String::new(), |served| age(served.tables_time.0, now)),
            state(conditions::STALE),
            next.map_or(String::new(), |time| time.0.to_string()),
            message.unwrap_or_default(),
            age_of(self, now),
        ];
        if wide {
            let digest = status.served.as_ref().map(|served| short(&served.digest));
            row.extend([
                status
                    .replicas
                    .map_or(String::new(), |pods| pods.to_string()),
                digest.unwrap_or_default(),
                attempt(self).map_or(String::new(), |attempt| attempt.to_string()),
            ]);
        }
        row
    }
}

/// Enough of a digest to tell it from others: `sha256:56c6977d`.
pub fn short(digest: &str) -> String {
    digest.chars().take(15).collect()
}

impl Listed for RetrainSchedule {
    const PLURAL: &'static str = "RetrainSchedules";

    fn header(wide: bool) -> Vec<&'static str> {
        let mut header = vec![
            "NAME",
            "MODEL",
            "ACTION",
            "SCHEDULE",
            "TIME-ZONE",
            "SUSPEND",
            "LAST",
            "NEXT",
            "MESSAGE",
            "AGE",
        ];
        if wide {
            header.extend(["LAST-SKIP", "WHY"]);
        }
        header
    }

    fn row(&self, wide: bool, now: Timestamp) -> Vec<String> {
        let status = self.status.clone().unwrap_or_default();
        let scheduled = conditions::find(&status.conditions, conditions::SCHEDULED);
        let time = |time: Option<Timestamp>| time.map_or(String::new(), |time| time.to_string());
        let mut row = vec![
            self.name_any(),
            self.spec.model_ref.name.clone(),
            self.spec.action.as_str().to_owned(),
            self.spec.schedule.clone(),
            self.spec.time_zone.clone(),
            self.spec.suspend.to_string(),
            status
                .last_schedule_time
                .map_or(String::new(), |time| age(time.0, now)),
            time(status.next_schedule_time.map(|time| time.0)),
            scheduled.map_or(String::new(), |found| found.message.clone()),
            age_of(self, now),
        ];
        if wide {
            let skip = status.last_skip;
            row.push(time(skip.as_ref().map(|skip| skip.time.0)));
            row.push(skip.map_or(String::new(), |skip| skip.reason));
        }
        row
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::testing::{model, now, schedule};

    #[test]
    fn models_have_the_columns_of_kubectl_and_more_where_wide() {
        let plain = Columns {
            wide: false,
            namespace: false,
        };
        let wide = Columns {
            wide: true,
            namespace: true,
        };
        let found = [model(), model()];
        insta::assert_snapshot!(format!(
            "{}\n{}",
            rows(&found, plain, now()),
            rows(&found[..1], wide, now())
        ));
    }

    #[test]
    fn schedules_say_when_they_asked_and_what_they_skipped() {
        let wide = Columns {
            wide: true,
            namespace: false,
        };
        insta::assert_snapshot!(rows(&[schedule()], wide, now()));
    }
}
