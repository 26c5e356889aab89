//! `searchop schedule describe` and the schedules behind `searchop schedule next`.

use jiff::Timestamp;
use kube::{ResourceExt, api::ListParams};
use searchop_api::{RetrainSchedule, TickRecord, conditions};
use searchop_lifecycle::selected;

use super::{connection::Cluster, error::ClusterError, list::objects};
use crate::{
    args::{AboutSchedule, NextTicks},
    local::render::{table, text},
    schedule,
};

/// Ticks that are shown of the future.
const COMING: usize = 3;

pub async fn describe(args: &AboutSchedule) -> Result<(), ClusterError> {
    let cluster = Cluster::find(&args.target).await?;
    let found: RetrainSchedule = cluster.get(&args.name).await?;
    print!("{}", page(&found, Timestamp::now())?);
    Ok(())
}

/// The schedules that `next` is asked about.
pub async fn asked_about(args: &NextTicks) -> Result<Vec<RetrainSchedule>, ClusterError> {
    let cluster = Cluster::find(&args.target).await?;
    let found = if args.names.is_empty() {
        cluster.list(&ListParams::default()).await?
    } else {
        objects(&cluster, &args.names, false).await?
    };
    if found.is_empty() {
        return Err(ClusterError::NotFound {
            what: "a retrainschedule".to_owned(),
            namespace: cluster.namespace,
            there: String::new(),
        });
    }
    Ok(found)
}

fn page(found: &RetrainSchedule, now: Timestamp) -> Result<String, ClusterError> {
    let (spec, status) = (&found.spec, found.status.clone().unwrap_or_default());
    let scheduled = conditions::find(&status.conditions, conditions::SCHEDULED);
    let state = scheduled.map_or(
        "unknown: no operator has looked at it".to_owned(),
        |found| format!("{} ({}): {}", found.status, found.reason, found.message),
    );
    let when = schedule::when(spec);
    let late = match spec.jitter_seconds {
        0 => String::new(),
        seconds => format!(", ticks up to {seconds} s late"),
    };
    let mut page = format!(
        "Schedule  {} asks {}\nWhen      {}\nScheduled {state}\n",
        found.name_any(),
        selected(spec),
        when + &late,
    );
    if !status.recent.is_empty() {
        let mut ticks = table(&["TICK", "OF", "CAME OF IT"]);
        for tick in &status.recent {
            let of = tick.trigger.map_or("", |trigger| trigger.as_str());
            ticks.add_row([tick.time.0.to_string(), of.to_owned(), came_of(tick)]);
        }
        page += &format!("\n{}", text(&mut ticks));
    }
    let coming = schedule::table_of(std::slice::from_ref(found), now, COMING)
        .map_err(|error| ClusterError::Refused(error.to_string()))?;
    Ok(page + "\n" + &coming)
}

fn came_of(tick: &TickRecord) -> String {
    let counts = [
        ("asked", tick.requested),
        ("skipped", tick.skipped),
        ("waiting", tick.waiting),
    ];
    let counted: Vec<String> = counts
        .iter()
        .filter_map(|(what, count)| Some(format!("{} {what}", (*count)?)))
        .collect();
    match counted.is_empty() {
        true => tick.outcome.clone(),
        false => format!("{}: {}", tick.outcome, counted.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use searchop_api::ModelSelector;

    use super::*;
    use crate::cluster::testing;

    #[test]
    fn a_schedule_with_its_past_and_its_future() {
        insta::assert_snapshot!(page(&testing::schedule(), testing::now()).unwrap());
    }

    #[test]
    fn a_schedule_of_many_models_says_how_many_were_asked() {
        let mut schedule = testing::schedule();
        schedule.spec.model_ref = None;
        schedule.spec.model_selector = Some(ModelSelector::default());
        let status = schedule.status.as_mut().unwrap();
        let tick = &mut status.recent[0];
        (tick.requested, tick.skipped, tick.waiting) = (Some(2), Some(1), Some(3));
        let page = page(&schedule, testing::now()).unwrap();
        assert!(page.contains("weekly asks all models"), "{page}");
        assert!(
            page.contains("Requested: 2 asked, 1 skipped, 3 waiting"),
            "{page}"
        );
        assert!(page.contains("all models for a retrain"), "{page}");
    }
}
