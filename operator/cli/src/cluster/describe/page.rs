use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;
use searchop_api::{
    ConcurrencyPolicy, HistoryEntry, Outcome, RankingModelStatus, RetrainSchedule, Run,
    ServedVersion, TablesRefresh,
    conditions::{self, DRIFTED, READY, STALE, STALLED},
};
use searchop_lifecycle::RetrainRequest;

use super::Facts;
use crate::{
    cluster::{
        attempt::{Attempt, Step, attempt},
        events::rows,
    },
    local::render::{age, drift_table, gate},
    schedule::when,
    terminal::Paint,
};

const EVENTS: usize = 5;

/// Everything that is worth knowing at a glance, a section a question.
pub(super) fn page(facts: &Facts, paint: Paint) -> String {
    let none = RankingModelStatus::default();
    let status = facts.model.status.as_ref().unwrap_or(&none);
    let mut page = Page {
        paint,
        text: String::new(),
    };
    head(facts, status, &mut page);
    page.section("Serves", served(facts, status));
    if let Some(previous) = &status.previous {
        page.section("Before", vec![version_line(previous, facts.now)]);
    }
    page.section("Tries", tries(facts, status));
    page.section(
        "Refresh",
        status
            .refresh
            .iter()
            .map(|one| refresh(one, facts.now))
            .collect(),
    );
    page.section("Next run", next_run(facts, status));
    page.section("Requests", requests(status));
    if let Some(table) = status
        .drift
        .as_ref()
        .and_then(|drift| drift_table(drift, facts.now))
    {
        page.block(&table);
    }
    if let Some(judged) = &status.gate {
        let rules = &facts.model.spec.evaluation.gates;
        page.block(&gate(judged, rules, paint));
    }
    page.block(&last_events(facts, paint));
    page.text
}

struct Page {
    paint: Paint,
    text: String,
}

impl Page {
    /// The first line beside the title, the others below it.
    fn section(&mut self, title: &str, lines: Vec<String>) {
        for (index, line) in lines.iter().enumerate() {
            let title = if index == 0 { title } else { "" };
            let title = self.paint.bold(&format!("{title:<10}"));
            self.text += format!("{title}{line}").trim_end();
            self.text.push('\n');
        }
    }

    fn block(&mut self, text: &str) {
        self.text.push('\n');
        self.text += text;
    }
}

fn head(facts: &Facts, status: &RankingModelStatus, page: &mut Page) {
    let model = &facts.model;
    let namespace = model.namespace().unwrap_or_default();
    let suspended = if model.spec.suspend {
        ", suspended: no new work is started"
    } else {
        ""
    };
    let name = model.name_any();
    page.section(
        "Model",
        vec![format!("{name} in namespace {namespace}{suspended}")],
    );
    let lag = match status.observed_generation == model.metadata.generation {
        true => "",
        false => " (the operator has not seen the newest edit yet)",
    };
    let Some(ready) = conditions::find(&status.conditions, READY) else {
        let line = "unknown: no operator has looked at it".to_owned();
        return page.section("Ready", vec![line]);
    };
    let since = age(ready.last_transition_time.0, facts.now);
    let mut lines = vec![format!(
        "{} since {since}: {}{lag}",
        ready.status, ready.message
    )];
    for kind in [STALLED, STALE] {
        if let Some(found) = conditions::find(&status.conditions, kind)
            && found.status == "True"
            && found.message != ready.message
        {
            lines.push(format!("{kind}: {}", found.message));
        }
    }
    page.section("Ready", lines);
}

fn served(facts: &Facts, status: &RankingModelStatus) -> Vec<String> {
    let Some(served) = &status.served else {
        return vec!["nothing yet".to_owned()];
    };
    let mut lines = vec![version_line(served, facts.now)];
    lines.extend(why(status, served));
    if let Some(pinned) = &facts.model.spec.rollout.pinned_version {
        lines.push(format!(
            "{pinned} is pinned; \"searchop rollback --undo\" ends that"
        ));
    }
    lines.push(format!(
        "model through {}, tables through {}",
        day(served.trained_through_time.0),
        day(served.tables_time.0)
    ));
    lines.push(format!("model  {}", served.digest));
    lines.push(format!("tables {}", served.tables_digest));
    let pods = status.replicas.map(|pods| format!(", {pods} pods"));
    if let Some(url) = &status.url {
        lines.push(format!("{url}{}", pods.unwrap_or_default()));
    }
    lines
}

fn version_line(version: &ServedVersion, now: Timestamp) -> String {
    format!(
        "{}, since {} ({}): {}",
        version.name,
        minute(version.promoted_time.0),
        age(version.promoted_time.0, now),
        version.headline_metric
    )
}

/// Why the served version serves: what started its run, and what was said of it.
fn why(status: &RankingModelStatus, served: &ServedVersion) -> Option<String> {
    let mut entries = status.history.iter();
    let entry: &HistoryEntry = entries.find(|entry| entry.version == served.version)?;
    let run = status
        .run
        .as_ref()
        .filter(|run| run.version == served.version);
    let asked = run.and_then(requester);
    let who = asked.map_or(String::new(), |who| format!(", asked for by {who}"));
    let trigger = entry.trigger.as_str();
    Some(format!("trained for {trigger}{who}; the gate let it pass"))
}

fn tries(facts: &Facts, status: &RankingModelStatus) -> Vec<String> {
    if let Some(attempt) = attempt(&facts.model) {
        let who =
            requester(attempt.run).map_or(String::new(), |who| format!(" asked for by {who}"));
        let run = attempt.run;
        return vec![
            format!(
                "v{}, {}{who}, since {} ({})",
                run.version,
                run.trigger.as_str(),
                minute(run.start_time.0),
                age(run.start_time.0, facts.now)
            ),
            format!("step {} of 3: {}", step_number(&attempt), step(&attempt)),
        ]
        .into_iter()
        .chain(canary(facts, run))
        .collect();
    }
    match &status.run {
        Some(run) if run.outcome == Some(Outcome::AwaitingApproval) => vec![format!(
            "v{} waits: {}; \"searchop promote {}\" lets it serve",
            run.version,
            run.message.as_deref().unwrap_or("it is not approved"),
            facts.model.name_any()
        )],
        Some(run) => ended(run, facts.now).into_iter().collect(),
        None => vec!["nothing".to_owned()],
    }
}

/// How many see a version that is rolled out in steps, and how far those are.
fn canary(facts: &Facts, run: &Run) -> Option<String> {
    let canary = run.canary.as_ref()?;
    let steps = &facts.model.spec.rollout.steps;
    let number = usize::try_from(canary.step).ok()?;
    let Some(step) = steps.get(number) else {
        return Some("canary: past its last step, it takes over".to_owned());
    };
    let seen = match step.weight {
        0 => format!("{} % of the requests in the shadow", step.shadow_percent),
        weight => format!("{weight} % of the users"),
    };
    let since = canary.start_time.as_ref().map_or_else(
        || "waiting until all pods follow it".to_owned(),
        |time| {
            format!(
                "since {} of {} s",
                age(time.0, facts.now),
                step.hold_seconds
            )
        },
    );
    Some(format!(
        "canary: step {} of {}, {seen}, {since}",
        number + 1,
        steps.len()
    ))
}

fn refresh(refresh: &TablesRefresh, now: Timestamp) -> String {
    let version = refresh.version;
    let since = age(refresh.start_time.0, now);
    let Some(outcome) = refresh.outcome else {
        return format!(
            "tables of v{version}, {} since {since}",
            refresh.trigger.as_str()
        );
    };
    let message = refresh.message.as_deref().unwrap_or("no more is known");
    let outcome = outcome.as_str();
    format!("tables of v{version}, begun {since} ago, ended {outcome}: {message}")
}

fn step_number(attempt: &Attempt<'_>) -> u8 {
    match attempt.step {
        Step::Training => 1,
        Step::MeasuringAgain | Step::Judging => 2,
        Step::RollingOut => 3,
    }
}

fn step(attempt: &Attempt<'_>) -> String {
    let version = attempt.run.version;
    match attempt.step {
        Step::Training => format!("training; \"searchop logs\" with --version {version} shows it"),
        Step::MeasuringAgain => "measuring again, since the gate asks for other figures".to_owned(),
        Step::Judging => "judging what was measured".to_owned(),
        Step::RollingOut => "rolling out, the gate let it pass".to_owned(),
    }
}

fn ended(run: &Run, now: Timestamp) -> Option<String> {
    let outcome = run.outcome?;
    let when = run
        .completion_time
        .as_ref()
        .map_or(String::new(), |time| format!(" {} ago", age(time.0, now)));
    let message = run.message.as_deref().unwrap_or("no more is known");
    Some(format!(
        "nothing; v{} ended {}{when}: {message}",
        run.version,
        outcome.as_str()
    ))
}

fn requester(run: &Run) -> Option<String> {
    let request: RetrainRequest = run.request_token.as_deref()?.parse().ok()?;
    Some(request.requester)
}

fn next_run(facts: &Facts, status: &RankingModelStatus) -> Vec<String> {
    let mut lines = Vec::new();
    match &status.next_retrain_time {
        Some(time) if facts.model.spec.suspend => lines.push(format!(
            "none: the model is suspended; else {}",
            minute(time.0)
        )),
        Some(time) => lines.push(format!(
            "{} (in {})",
            minute(time.0),
            age(facts.now, time.0)
        )),
        None if facts.schedules.is_empty() => lines.push("none: no schedule asks it".to_owned()),
        None => lines.push("none is due".to_owned()),
    }
    lines.extend(facts.schedules.iter().map(schedule_line));
    lines
}

/// Whether they are still like the first ones.
fn requests(status: &RankingModelStatus) -> Vec<String> {
    let found = conditions::find(&status.conditions, DRIFTED);
    let line = |found: &Condition| format!("{}: {}", found.reason, found.message);
    found.map(line).into_iter().collect()
}

fn schedule_line(schedule: &RetrainSchedule) -> String {
    let spec = &schedule.spec;
    let state = if spec.suspend { ", suspended" } else { "" };
    let replace = match spec.concurrency_policy {
        ConcurrencyPolicy::Replace => ", stops a run under way",
        ConcurrencyPolicy::Forbid => "",
    };
    let status = schedule.status.as_ref();
    let skip = status.and_then(|status| status.last_skip.as_ref());
    let skipped = skip.map_or(String::new(), |skip| {
        format!("; skipped {}: {}", minute(skip.time.0), skip.reason)
    });
    format!(
        "schedule {}: {}{state}{replace}{skipped}",
        schedule.name_any(),
        when(spec)
    )
}

fn last_events(facts: &Facts, paint: Paint) -> String {
    match &facts.events {
        None => "events: you may not read them\n".to_owned(),
        Some(events) if events.is_empty() => {
            "events: none that the cluster still keeps\n".to_owned()
        }
        Some(events) => {
            let start = events.len().saturating_sub(EVENTS);
            rows(&events[start..], facts.now, paint)
        }
    }
}

/// `2026-11-22 02:14Z`.
fn minute(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%MZ").to_string()
}

/// The last day that ends at `time`, which lies at the end of it.
fn day(time: Timestamp) -> String {
    let within = time - jiff::SignedDuration::from_nanos(1);
    within.strftime("%Y-%m-%d").to_string()
}

#[cfg(test)]
mod tests {
    use searchop_api::RankingModel;

    use super::*;
    use crate::cluster::{
        events::Happening,
        testing::{model, now, schedule},
    };

    fn facts(model: RankingModel, events: Option<Vec<Happening>>) -> Facts {
        Facts {
            model,
            schedules: vec![schedule()],
            events,
            now: now(),
        }
    }

    fn event(minutes: i64, reason: &str) -> Happening {
        Happening {
            time: now() - jiff::SignedDuration::from_mins(minutes),
            warning: false,
            reason: reason.to_owned(),
            about: "rankingmodel/products".to_owned(),
            message: format!("{reason} happened"),
            count: 1,
        }
    }

    #[test]
    fn a_model_in_the_middle_of_life() {
        let events = (0..7).map(|n| event(70 - 10 * n, &format!("Number{n}")));
        let facts = facts(model(), Some(events.collect()));
        insta::assert_snapshot!(page(&facts, Paint::PLAIN));
    }

    #[test]
    fn a_model_whose_run_was_rejected_while_it_is_suspended() {
        let mut model = model();
        model.spec.suspend = true;
        let status = model.status.as_mut().unwrap();
        let run = status.run.as_mut().unwrap();
        run.outcome = Some(Outcome::Rejected);
        run.message = Some("steady: NDCG@10 0.507 against 0.520".to_owned());
        run.completion_time = status
            .conditions
            .first()
            .map(|found| found.last_transition_time.clone());
        insta::assert_snapshot!(page(&facts(model, None), Paint::PLAIN));
    }

    #[test]
    fn a_canary_says_who_sees_it_and_a_pin_how_it_ends() {
        let mut model = model();
        model.spec.rollout.pinned_version = Some("v5".to_owned());
        let run = model.status.as_mut().unwrap().run.as_mut().unwrap();
        let canary = |text: &str| serde_json::from_str(text).unwrap();
        run.canary = canary(r#"{"step": 1, "startTime": "2026-11-24T11:59:00Z"}"#);
        let lines = |model: &RankingModel| page(&facts(model.clone(), None), Paint::PLAIN);
        let found = lines(&model);
        assert!(
            found.contains("canary: step 2 of 3, 25 % of the users, since 60s of 600 s\n"),
            "{found}"
        );
        assert!(
            found.contains("v5 is pinned; \"searchop rollback --undo\" ends that\n"),
            "{found}"
        );
        model.status.as_mut().unwrap().run.as_mut().unwrap().canary = canary(r#"{"step": 3}"#);
        assert!(lines(&model).contains("past its last step"));
        let status = model.status.as_mut().unwrap();
        let run = status.run.as_mut().unwrap();
        run.outcome = Some(Outcome::AwaitingApproval);
        run.message = Some("it passed".to_owned());
        assert!(lines(&model).contains("v9 waits: it passed; \"searchop promote products\""));
    }

    #[test]
    fn a_model_that_nobody_has_looked_at() {
        let mut model = model();
        model.status = None;
        let facts = Facts {
            schedules: Vec::new(),
            ..facts(model, Some(Vec::new()))
        };
        insta::assert_snapshot!(page(&facts, Paint::PLAIN));
    }
}
