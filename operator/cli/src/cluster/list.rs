//! `searchop get` and `searchop schedule get`.

use jiff::Timestamp;
use kube::{ResourceExt, api::ListParams};
use searchop_api::{RankingModel, RetrainSchedule, conditions};
use searchop_lifecycle::selected;
use serde::Serialize;

use super::{
    attempt::attempt,
    connection::{Cluster, Namespaced},
    error::ClusterError,
    output::{Whole, whole},
};
use crate::{
    args::{Format, Listing},
    local::render::{Column, age, columns, table, text},
    terminal::Log,
};

/// Rows of one kind.
pub trait Listed: Namespaced + Serialize {
    /// What they are called where there are none.
    const PLURAL: &'static str;

    fn columns(&self, wide: bool, now: Timestamp) -> Vec<Column>;
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
    let rows = objects.iter().map(|object| {
        let mut row = object.columns(columns.wide, now);
        if columns.namespace {
            row.insert(0, ("NAMESPACE", object.namespace().unwrap_or_default()));
        }
        row.into_iter().unzip()
    });
    let rows: Vec<(Vec<&str>, Vec<String>)> = rows.collect();
    let header = rows.first().map_or(&[][..], |(header, _)| header);
    let mut table = table(header);
    table.add_rows(rows.iter().map(|(_, row)| row));
    text(&mut table)
}

fn age_of(object: &impl ResourceExt, now: Timestamp) -> String {
    let created = object.creation_timestamp();
    created.map_or(String::new(), |time| age(time.0, now))
}

impl Listed for RankingModel {
    const PLURAL: &'static str = "RankingModels";

    fn columns(&self, wide: bool, now: Timestamp) -> Vec<Column> {
        let mut columns = columns(self, now);
        columns.push(("AGE", age_of(self, now)));
        if wide {
            let status = self.status.as_ref();
            let pods = status.and_then(|status| status.replicas);
            let served = status.and_then(|status| status.served.as_ref());
            columns.extend([
                ("PODS", pods.map_or(String::new(), |pods| pods.to_string())),
                (
                    "DIGEST",
                    served.map_or(String::new(), |served| short(&served.digest)),
                ),
                (
                    "TRIES",
                    attempt(self).map_or(String::new(), |attempt| attempt.to_string()),
                ),
            ]);
        }
        columns
    }
}

/// Enough of a digest to tell it from others: `sha256:56c6977d`.
pub fn short(digest: &str) -> String {
    digest.chars().take(15).collect()
}

impl Listed for RetrainSchedule {
    const PLURAL: &'static str = "RetrainSchedules";

    fn columns(&self, wide: bool, now: Timestamp) -> Vec<Column> {
        let status = self.status.clone().unwrap_or_default();
        let scheduled = conditions::find(&status.conditions, conditions::SCHEDULED);
        let time = |time: Option<Timestamp>| time.map_or(String::new(), |time| time.to_string());
        let last = status.last_schedule_time;
        let next = status.next_schedule_time;
        let mut columns = vec![
            ("NAME", self.name_any()),
            ("MODEL", selected(&self.spec)),
            ("ACTION", self.spec.action.as_str().to_owned()),
            ("SCHEDULE", self.spec.schedule.clone().unwrap_or_default()),
            ("TIME-ZONE", self.spec.time_zone.clone()),
            ("SUSPEND", self.spec.suspend.to_string()),
            ("LAST", last.map_or(String::new(), |time| age(time.0, now))),
            ("NEXT", time(next.map(|time| time.0))),
            (
                "MESSAGE",
                scheduled.map_or(String::new(), |found| found.message.clone()),
            ),
            ("AGE", age_of(self, now)),
        ];
        if wide {
            let skip = status.last_skip;
            let skipped = time(skip.as_ref().map(|skip| skip.time.0));
            let why = skip.map_or(String::new(), |skip| skip.reason);
            columns.extend([("LAST-SKIP", skipped), ("WHY", why)]);
        }
        columns
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
