//! `searchop schedule next`: what a schedule is going to do, before it does it.

use jiff::Timestamp;
use kube::ResourceExt;
use searchop_api::{OnDrift, RetrainSchedule, RetrainScheduleSpec, ScheduleAction};
use searchop_lifecycle::{Tick, Ticks, TicksError, selected};

use crate::{
    args::NextTicks,
    cluster::{self, ClusterError},
    exit::{Exit, Failure},
    local::render::{table, text},
    manifest::{self, ManifestError},
};

#[derive(Debug, thiserror::Error)]
pub enum ScheduleError {
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    #[error("the files hold no RetrainSchedule")]
    NoSchedule,
    #[error("RetrainSchedule {name:?}: {source}")]
    Ticks { name: String, source: TicksError },
}

impl Failure for ScheduleError {
    fn exit(&self) -> Exit {
        match self {
            Self::Manifest(error) => error.exit(),
            Self::Cluster(error) => error.exit(),
            Self::NoSchedule => Exit::Usage,
            Self::Ticks { .. } => Exit::Refused,
        }
    }
}

/// Prints the coming ticks of every RetrainSchedule in the files, or of these of a cluster.
pub async fn next(args: &NextTicks) -> Result<Exit, ScheduleError> {
    let schedules = if args.filename.is_empty() {
        cluster::asked_about(args).await?
    } else {
        manifest::read_all(&args.filename)?.schedules
    };
    if schedules.is_empty() {
        return Err(ScheduleError::NoSchedule);
    }
    let from = args.from.unwrap_or_else(Timestamp::now);
    print!("{}", table_of(&schedules, from, args.count.into())?);
    Ok(Exit::Done)
}

/// When a schedule asks, in words.
pub fn when(spec: &RetrainScheduleSpec) -> String {
    let drift = spec.on_drift.as_ref().map(|rules| {
        let OnDrift {
            cooldown_seconds,
            max_per_week,
        } = rules;
        format!("on drift, {max_per_week} times a week at most, {cooldown_seconds} s apart")
    });
    let ticks = spec.schedule.as_ref();
    let ticks = ticks.map(|schedule| format!("{schedule:?} in {}", spec.time_zone));
    let both: Vec<String> = ticks.into_iter().chain(drift).collect();
    both.join("; ")
}

/// A row a coming tick.
pub fn table_of(
    schedules: &[RetrainSchedule],
    from: Timestamp,
    count: usize,
) -> Result<String, ScheduleError> {
    let mut table = table(&["SCHEDULE", "LOCAL TIME", "DUE", "ASKS"]);
    for schedule in schedules {
        let rows = rows(schedule, from, count).map_err(|source| ScheduleError::Ticks {
            name: schedule.name_any(),
            source,
        })?;
        table.add_rows(rows);
    }
    Ok(text(&mut table))
}

fn rows(
    schedule: &RetrainSchedule,
    from: Timestamp,
    count: usize,
) -> Result<Vec<[String; 4]>, TicksError> {
    let namespace = schedule.namespace().unwrap_or_else(|| "default".to_owned());
    let name = schedule.name_any();
    let whom = selected(&schedule.spec);
    let at_no_time = |asks: String| vec![[name.clone(), "-".to_owned(), "-".to_owned(), asks]];
    let Some(ticks) = Ticks::of((&namespace, &name), &schedule.spec)? else {
        return Ok(at_no_time(match schedule.spec.suspend {
            true => "nothing: suspended".to_owned(),
            false => format!("{whom} for a retrain when its requests have drifted"),
        }));
    };
    let row = |tick: Tick| {
        let asks = match ticks.blackout(tick) {
            _ if schedule.spec.suspend => "nothing: suspended".to_owned(),
            Some(blackout) => format!("nothing: blackout until {}", blackout.end_time.0),
            None => match schedule.spec.action {
                ScheduleAction::Retrain => format!("{whom} for a retrain"),
                ScheduleAction::RefreshTables => format!("{whom} for a refresh"),
            },
        };
        let local = tick.time.to_zoned(ticks.zone().clone());
        [
            name.clone(),
            local.strftime("%a %Y-%m-%d %H:%M %Z").to_string(),
            tick.due.to_string(),
            asks,
        ]
    };
    let coming = std::iter::successors(ticks.next_due(from), |tick| ticks.after(tick.time));
    let found: Vec<_> = coming.take(count).map(row).collect();
    Ok(if found.is_empty() {
        let expression = schedule.spec.schedule.as_deref().unwrap_or_default();
        at_no_time(format!("never: {expression:?} fits no date"))
    } else {
        found
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, from_value, json};

    use super::*;

    fn lines(patch: Value) -> Vec<String> {
        let mut spec = json!({"modelRef": {"name": "products"}, "schedule": "30 2 * * 0", "timeZone": "Europe/Berlin"});
        spec.as_object_mut()
            .unwrap()
            .extend(patch.as_object().unwrap().clone());
        let schedule = RetrainSchedule::new("weekly", from_value(spec).unwrap());
        rows(&schedule, "2027-03-20T00:00:00Z".parse().unwrap(), 3)
            .unwrap()
            .iter()
            .map(|row| row.join(" | "))
            .collect()
    }

    #[test]
    fn ticks_are_shown_in_their_zone_with_what_they_ask() {
        // Clocks go forward on the 28th, and 02:30 is not there.
        assert_eq!(
            lines(json!({})),
            [
                "weekly | Sun 2027-03-21 02:30 CET | 2027-03-21T01:30:00Z | products for a retrain",
                "weekly | Sun 2027-03-28 03:00 CEST | 2027-03-28T01:00:00Z | products for a retrain",
                "weekly | Sun 2027-04-04 02:30 CEST | 2027-04-04T00:30:00Z | products for a retrain",
            ]
        );
        let sale =
            json!([{"startTime": "2027-03-27T00:00:00Z", "endTime": "2027-03-29T00:00:00Z"}]);
        assert_eq!(
            lines(json!({"blackouts": sale}))[1],
            "weekly | Sun 2027-03-28 03:00 CEST | 2027-03-28T01:00:00Z | nothing: blackout until 2027-03-29T00:00:00Z"
        );
        assert!(lines(json!({"action": "RefreshTables"}))[0].ends_with("products for a refresh"));
        let labels =
            json!({"modelRef": null, "modelSelector": {"matchLabels": {"team": "search"}}});
        assert!(lines(labels)[0].ends_with("models with team=search for a retrain"));
        assert!(lines(json!({"suspend": true}))[0].ends_with("nothing: suspended"));
        assert_eq!(
            lines(json!({"schedule": "0 0 30 2 *"})),
            ["weekly | - | - | never: \"0 0 30 2 *\" fits no date"]
        );
        assert_eq!(
            lines(json!({"schedule": null, "onDrift": {}})),
            ["weekly | - | - | products for a retrain when its requests have drifted"]
        );
    }
}
