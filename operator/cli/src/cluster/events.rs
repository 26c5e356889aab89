//! `searchop events`: what happened to a model, to its schedules, Jobs and pods.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event;
use kube::{ResourceExt, api::ListParams};
use searchop_api::{RankingModel, RetrainSchedule};
use searchop_lifecycle::selects;

use super::{connection::Cluster, error::ClusterError};
use crate::{
    args::About,
    local::render::{age, table, text},
    terminal::{Log, Paint},
};

/// An event, cut down to what people read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Happening {
    pub time: Timestamp,
    pub warning: bool,
    pub reason: String,
    /// `job/products-train-v9`.
    pub about: String,
    pub message: String,
    pub count: i32,
}

pub async fn events(args: &About, log: Log) -> Result<(), ClusterError> {
    let cluster = Cluster::find(&args.target).await?;
    let model: RankingModel = cluster.get(&args.name).await?;
    let schedules = schedules_of(&cluster, &model).await?;
    let found = happenings(&cluster, &model, &schedules).await?;
    if found.is_empty() {
        log.info(
            "None",
            "nothing happened within the time that the cluster keeps events",
        );
    }
    print!("{}", rows(&found, Timestamp::now(), log.results()));
    Ok(())
}

/// The schedules that ask this model.
pub async fn schedules_of(
    cluster: &Cluster,
    model: &RankingModel,
) -> Result<Vec<RetrainSchedule>, ClusterError> {
    let mut all: Vec<RetrainSchedule> = cluster.list(&ListParams::default()).await?;
    all.retain(|schedule| selects(&schedule.spec, model));
    Ok(all)
}

/// Everything about the model that the cluster still knows, oldest first.
pub async fn happenings(
    cluster: &Cluster,
    model: &RankingModel,
    schedules: &[RetrainSchedule],
) -> Result<Vec<Happening>, ClusterError> {
    let name = model.name_any();
    let names: Vec<String> = schedules.iter().map(ResourceExt::name_any).collect();
    let events: Vec<Event> = cluster.list(&ListParams::default()).await?;
    let mut found: Vec<Happening> = events
        .iter()
        .filter(|event| is_about(event, &name, &names))
        .filter_map(happening)
        .collect();
    found.sort_by_key(|one| one.time);
    Ok(found)
}

/// The event is about the model, one of its schedules, or something that the operator made for it;
/// those are known by their names, since they may be gone.
fn is_about(event: &Event, model: &str, schedules: &[String]) -> bool {
    let regarding = &event.involved_object;
    let (kind, name) = (regarding.kind.as_deref(), regarding.name.as_deref());
    let (Some(kind), Some(name)) = (kind, name) else {
        return false;
    };
    match kind {
        "RankingModel" => name == model,
        "RetrainSchedule" => schedules.iter().any(|schedule| schedule == name),
        "Deployment" | "HorizontalPodAutoscaler" | "Service" | "PodDisruptionBudget" => {
            is_child(name, &format!("{model}-rank"), 0)
        }
        "ReplicaSet" => is_child(name, &format!("{model}-rank"), 1),
        "Job" => is_run(name, model, 0),
        "Pod" => is_child(name, &format!("{model}-rank"), 2) || is_run(name, model, 1),
        _ => false,
    }
}

/// `name` is `stem` with so many parts behind it: each controller puts one behind its own name.
fn is_child(name: &str, stem: &str, parts: usize) -> bool {
    let Some(rest) = name.strip_prefix(stem) else {
        return false;
    };
    (rest.is_empty() || rest.starts_with('-')) && rest.matches('-').count() == parts
}

/// `products-train-v7` or `products-tables-3`, or with the evaluation or attempt behind it.
fn is_run(name: &str, model: &str, parts: usize) -> bool {
    let stems = [format!("{model}-train-v"), format!("{model}-tables-")];
    let Some(rest) = stems.iter().find_map(|stem| name.strip_prefix(stem)) else {
        return false;
    };
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let more = rest[digits..].matches('-').count();
    digits > 0 && (parts..=parts + 2).contains(&more)
}

fn happening(event: &Event) -> Option<Happening> {
    let series = event.series.as_ref();
    let times = [
        series.and_then(|series| series.last_observed_time.as_ref().map(|time| time.0)),
        event.last_timestamp.as_ref().map(|time| time.0),
        event.event_time.as_ref().map(|time| time.0),
        event
            .metadata
            .creation_timestamp
            .as_ref()
            .map(|time| time.0),
    ];
    let regarding = &event.involved_object;
    let kind = regarding.kind.as_deref()?.to_lowercase();
    Some(Happening {
        time: times.into_iter().flatten().next()?,
        warning: event.type_.as_deref() == Some("Warning"),
        reason: event.reason.clone().unwrap_or_default(),
        about: format!("{kind}/{}", regarding.name.as_deref()?),
        message: event.message.clone().unwrap_or_default(),
        count: series
            .and_then(|series| series.count)
            .or(event.count)
            .unwrap_or(1),
    })
}

/// A line an event.
pub fn rows(happenings: &[Happening], now: Timestamp, paint: Paint) -> String {
    if happenings.is_empty() {
        return String::new();
    }
    let mut table = table(&["AGE", "REASON", "OBJECT", "MESSAGE"]);
    for one in happenings {
        let times = match one.count {
            ..=1 => String::new(),
            count => format!(" (x{count})"),
        };
        table.add_row([
            age(one.time, now) + &times,
            one.reason.clone(),
            one.about.clone(),
            one.message.trim_end().replace('\n', " "),
        ]);
    }
    let text = text(&mut table);
    let warnings = std::iter::once(false).chain(happenings.iter().map(|one| one.warning));
    let lines = text
        .lines()
        .zip(warnings)
        .map(|(line, warning)| match warning {
            true => paint.yellow(line) + "\n",
            false => format!("{line}\n"),
        });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json};

    use super::*;
    use crate::cluster::testing::now;

    fn event(kind: &str, name: &str) -> Event {
        from_value(json!({
            "metadata": {"name": "x.1"}, "involvedObject": {"kind": kind, "name": name},
            "type": "Warning", "reason": "BackOff", "message": "restarting\n",
            "firstTimestamp": "2026-11-24T11:00:00Z", "lastTimestamp": "2026-11-24T11:58:00Z", "count": 4
        }))
        .unwrap()
    }

    #[test]
    fn children_are_known_by_name_and_those_of_other_models_are_not() {
        let about = |kind: &str, name: &str| {
            is_about(&event(kind, name), "products", &["weekly".to_owned()])
        };
        for (kind, name, ours) in [
            ("RankingModel", "products", true),
            ("RankingModel", "products-2", false),
            ("RetrainSchedule", "weekly", true),
            ("RetrainSchedule", "daily", false),
            ("Deployment", "products-rank", true),
            ("ReplicaSet", "products-rank-5f6b", true),
            ("Pod", "products-rank-5f6b-x2x4z", true),
            ("Job", "products-train-v9", true),
            ("Job", "products-train-v9-e1", true),
            ("Pod", "products-train-v9-abcde", true),
            ("Job", "products-tables-3-a1", true),
            ("Pod", "products-tables-3-abcde", true),
            ("Pod", "products-train-v9-e1-a2-abcde", true),
            // A model named "products-rank", and one named "products-train-video".
            ("Deployment", "products-rank-rank", false),
            ("Pod", "products-rank-rank-5f6b-x2x4z", false),
            ("Job", "products-train-video-train-v1", false),
            ("Pod", "products", false),
            ("Node", "products-rank", false),
        ] {
            assert_eq!(about(kind, name), ours, "{kind} {name}");
        }
    }

    #[test]
    fn the_newest_time_and_the_count_are_shown() {
        let found = happening(&event("Pod", "products-rank-5f6b-x2x4z")).unwrap();
        assert_eq!(
            rows(&[found], now(), Paint::PLAIN),
            "AGE       REASON    OBJECT                         MESSAGE\n\
             2m (x4)   BackOff   pod/products-rank-5f6b-x2x4z   restarting\n"
        );
    }
}
