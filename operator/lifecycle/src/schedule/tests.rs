use proptest::prelude::*;
use searchop_api::conditions::{READY, SCHEDULED, STALLED, find};
use serde_json::from_value;

use super::*;
use crate::testing::at;

fn hourly(now: &str) -> ObservedSchedule {
    ObservedSchedule {
        namespace: "shop".into(),
        name: "hourly".into(),
        generation: 1,
        spec: from_value(json!({"modelRef": {"name": "products"}, "schedule": "0 * * * *"}))
            .unwrap(),
        status: RetrainScheduleStatus::default(),
        models: vec![ObservedModel::default()],
        now: at(now),
    }
}

/// Planned and stored.
fn pass(seen: &mut ObservedSchedule, now: &str) -> SchedulePlan {
    seen.now = at(now);
    let plan = plan_schedule(seen);
    seen.status = plan.status.clone();
    let again = plan_schedule(seen);
    assert_eq!(
        again,
        SchedulePlan {
            requests: vec![],
            notes: vec![],
            ..plan.clone()
        },
        "no fixed point"
    );
    plan
}

fn request(plan: &SchedulePlan) -> Option<&str> {
    plan.requests.first().map(|asking| &*asking.request)
}

fn recent(plan: &SchedulePlan) -> Vec<(String, &str)> {
    plan.status
        .recent
        .iter()
        .map(|tick| (tick.time.0.to_string(), &*tick.outcome))
        .collect()
}

fn condition<'a>(plan: &'a SchedulePlan, type_: &str) -> (&'a str, &'a str) {
    let found = find(&plan.status.conditions, type_).unwrap();
    (&found.status, &found.reason)
}

#[test]
fn a_new_schedule_fires_for_no_past_tick_and_then_at_each() {
    let mut seen = hourly("2026-11-24T09:30:00Z");
    let plan = pass(&mut seen, "2026-11-24T09:30:00Z");
    assert_eq!(request(&plan), None);
    assert_eq!(plan.wake_at, Some(at("2026-11-24T10:00:00Z")));
    assert_eq!(
        (condition(&plan, READY), condition(&plan, SCHEDULED)),
        (("True", "Scheduled"), ("True", "Scheduled"))
    );
    let plan = pass(&mut seen, "2026-11-24T10:00:02.7Z");
    assert_eq!(request(&plan), Some("Schedule/hourly/2026-11-24T10:00:00Z"));
    assert_eq!(
        recent(&plan),
        [("2026-11-24T10:00:00Z".to_owned(), "Requested")]
    );
    assert_eq!(
        plan.status.last_schedule_time,
        Some(stored(at("2026-11-24T10:00:00Z")))
    );
    assert_eq!(plan.wake_at, Some(at("2026-11-24T11:00:00Z")));
    assert_eq!(pass(&mut seen, "2026-11-24T10:59:59Z").requests, []);
}

#[test]
fn of_missed_ticks_only_the_newest_runs_and_only_inside_the_deadline() {
    let mut seen = hourly("2026-11-24T09:30:00Z");
    pass(&mut seen, "2026-11-24T09:30:00Z");
    let plan = pass(&mut seen, "2026-11-24T12:20:00Z");
    assert_eq!(request(&plan), Some("Schedule/hourly/2026-11-24T12:00:00Z"));
    assert_eq!(
        recent(&plan),
        [
            ("2026-11-24T12:00:00Z".to_owned(), "Requested"),
            ("2026-11-24T11:00:00Z".to_owned(), "Missed"),
            ("2026-11-24T10:00:00Z".to_owned(), "Missed"),
        ]
    );
    assert_eq!(
        plan.notes
            .iter()
            .map(|note| note.reason)
            .collect::<Vec<_>>(),
        ["TicksMissed", "RetrainRequested"]
    );
    seen.spec.starting_deadline_seconds = 600;
    let plan = pass(&mut seen, "2026-11-24T13:10:01Z");
    assert_eq!(request(&plan), None);
    assert_eq!(
        plan.status.last_skip.as_ref().unwrap().reason,
        "DeadlineExceeded"
    );
    let plan = pass(&mut seen, "2026-11-24T14:10:00Z");
    assert!(
        request(&plan).is_some(),
        "ten minutes late is inside ten minutes"
    );
    // Ten years later: one tick, the last twenty remembered.
    let plan = pass(&mut seen, "2036-11-24T14:00:05Z");
    assert_eq!(request(&plan), Some("Schedule/hourly/2036-11-24T14:00:00Z"));
    assert_eq!(plan.status.recent.len(), 20);
}

#[test]
fn why_a_tick_asks_for_nothing() {
    let model = ObservedModel::default();
    for (model, policy, expected) in [
        (None, ConcurrencyPolicy::Forbid, Err("ModelMissing")),
        (
            Some(ObservedModel {
                suspended: true,
                ..model.clone()
            }),
            ConcurrencyPolicy::Replace,
            Err("ModelSuspended"),
        ),
        (
            Some(ObservedModel {
                active: true,
                ..model.clone()
            }),
            ConcurrencyPolicy::Forbid,
            Err("RunActive"),
        ),
        (
            Some(ObservedModel {
                active: true,
                ..model.clone()
            }),
            ConcurrencyPolicy::Replace,
            Ok("Schedule/hourly!replace/2026-11-24T10:00:00Z"),
        ),
        (
            Some(model),
            ConcurrencyPolicy::Replace,
            Ok("Schedule/hourly/2026-11-24T10:00:00Z"),
        ),
    ] {
        let mut seen = hourly("2026-11-24T09:30:00Z");
        seen.spec.concurrency_policy = policy;
        seen.models = model.into_iter().collect();
        pass(&mut seen, "2026-11-24T09:30:00Z");
        let plan = pass(&mut seen, "2026-11-24T10:00:00Z");
        assert_eq!(request(&plan), expected.ok());
        assert_eq!(
            plan.status.last_skip.as_ref().map(|skip| &*skip.reason),
            expected.err()
        );
    }
}

#[test]
fn a_request_that_was_written_before_a_crash_counts_as_made() {
    let mut seen = hourly("2026-11-24T09:30:00Z");
    pass(&mut seen, "2026-11-24T09:30:00Z");
    let token = "Schedule/hourly/2026-11-24T10:00:00Z".to_owned();
    for model in [
        ObservedModel {
            request: Some(token.clone()),
            ..Default::default()
        },
        ObservedModel {
            request: Some(token.clone()),
            active: true,
            ..Default::default()
        },
        ObservedModel {
            last_handled: Some(token.clone()),
            active: true,
            ..Default::default()
        },
    ] {
        let mut seen = ObservedSchedule {
            models: vec![model],
            ..seen.clone()
        };
        let plan = pass(&mut seen, "2026-11-24T10:00:30Z");
        assert_eq!(request(&plan), None);
        assert_eq!(
            recent(&plan),
            [("2026-11-24T10:00:00Z".to_owned(), "Requested")]
        );
    }
}

#[test]
fn complaint_7_edits_and_resumes_never_fire_for_the_past() {
    let mut seen = hourly("2026-11-24T09:30:00Z");
    pass(&mut seen, "2026-11-24T09:30:00Z");
    seen.spec.schedule = Some("45 * * * *".into());
    let plan = pass(&mut seen, "2026-11-24T09:50:00Z");
    assert_eq!(
        (request(&plan), plan.wake_at),
        (None, Some(at("2026-11-24T10:45:00Z")))
    );
    seen.spec.suspend = true;
    let plan = pass(&mut seen, "2026-11-24T10:40:00Z");
    assert_eq!(
        (plan.wake_at, plan.status.next_schedule_time.clone()),
        (None, None)
    );
    assert_eq!(
        (condition(&plan, READY), condition(&plan, SCHEDULED)),
        (("True", "Suspended"), ("False", "Suspended"))
    );
    assert_eq!(pass(&mut seen, "2026-11-24T11:46:00Z").requests, []);
    seen.spec.suspend = false;
    let plan = pass(&mut seen, "2026-11-24T12:50:00Z");
    assert_eq!(
        (request(&plan), plan.wake_at),
        (None, Some(at("2026-11-24T13:45:00Z")))
    );
    seen.spec.time_zone = "Asia/Kolkata".into();
    let plan = pass(&mut seen, "2026-11-24T13:46:00Z");
    assert_eq!(
        (request(&plan), plan.wake_at),
        (None, Some(at("2026-11-24T14:15:00Z")))
    );
}

#[test]
fn a_tick_inside_a_blackout_is_skipped_and_recorded() {
    let mut seen = hourly("2026-11-24T09:30:00Z");
    let blackout =
        json!([{"startTime": "2026-11-24T10:00:00Z", "endTime": "2026-11-24T11:30:00Z"}]);
    seen.spec.blackouts = from_value(blackout).unwrap();
    let plan = pass(&mut seen, "2026-11-24T09:30:00Z");
    assert_eq!(
        plan.status.next_schedule_time,
        Some(stored(at("2026-11-24T12:00:00Z")))
    );
    for now in ["2026-11-24T10:00:00Z", "2026-11-24T11:00:00Z"] {
        assert_eq!(plan_at(&mut seen, now), (None, "Blackout".to_owned()));
    }
    let (request, outcome) = plan_at(&mut seen, "2026-11-24T12:00:00Z");
    assert!(request.is_some());
    assert_eq!(outcome, "Requested");
}

fn plan_at(seen: &mut ObservedSchedule, now: &str) -> (Option<String>, String) {
    let plan = pass(seen, now);
    let request = request(&plan).map(str::to_owned);
    (request, plan.status.recent[0].outcome.clone())
}

#[test]
fn with_jitter_a_tick_asks_when_it_is_due_and_is_recorded_under_its_time() {
    let mut seen = hourly("2026-11-24T09:30:00Z");
    seen.spec.jitter_seconds = 900;
    let plan = pass(&mut seen, "2026-11-24T09:30:00Z");
    let due = plan.wake_at.unwrap();
    let tick = at("2026-11-24T10:00:00Z");
    assert!(tick < due && due <= at("2026-11-24T10:15:00Z"), "{due}");
    assert_eq!(plan.status.next_schedule_time, Some(stored(due)));
    assert_eq!(pass(&mut seen, "2026-11-24T10:00:00Z").requests, []);
    let plan = pass(&mut seen, &due.to_string());
    assert_eq!(request(&plan), Some(&*format!("Schedule/hourly/{due}")));
    assert_eq!(plan.status.recent[0].time, stored(tick));
}

#[test]
fn a_clock_that_jumps_back_repeats_nothing() {
    let mut seen = hourly("2026-11-24T09:30:00Z");
    pass(&mut seen, "2026-11-24T09:30:00Z");
    assert!(!pass(&mut seen, "2026-11-24T10:00:00Z").requests.is_empty());
    let plan = pass(&mut seen, "2026-11-24T09:55:00Z");
    assert_eq!(
        (request(&plan), plan.wake_at),
        (None, Some(at("2026-11-24T11:00:00Z")))
    );
    assert_eq!(pass(&mut seen, "2026-11-24T10:00:00Z").requests, []);
    assert!(!pass(&mut seen, "2026-11-24T11:00:00Z").requests.is_empty());
}

#[test]
fn what_can_never_run_is_stalled_and_told_once() {
    for (schedule, zone, reason, words) in [
        (
            "5-2 * * * *",
            "UTC",
            "ScheduleInvalid",
            "minute \"5-2\" ends before it starts",
        ),
        (
            "0 0 30 2 *",
            "UTC",
            "NeverFires",
            "\"0 0 30 2 *\" fits no date",
        ),
        (
            "0 2 * * 0",
            "Europe/Atlantis",
            "TimeZoneUnknown",
            "\"Europe/Atlantis\"",
        ),
    ] {
        let mut seen = hourly("2026-11-24T09:30:00Z");
        seen.spec.schedule = Some(schedule.into());
        seen.spec.time_zone = zone.into();
        let plan = pass(&mut seen, "2026-11-24T09:30:00Z");
        assert_eq!(
            (condition(&plan, STALLED), condition(&plan, READY)),
            (("True", reason), ("False", reason))
        );
        assert!(
            plan.notes[0].message.contains(words),
            "{}",
            plan.notes[0].message
        );
        assert_eq!(plan.wake_at, None);
        assert_eq!(pass(&mut seen, "2026-11-24T10:30:00Z").notes, []);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn whenever_one_looks_a_tick_asks_once_at_most(
        steps in prop::collection::vec((0_i64..7200, any::<bool>(), any::<bool>()), 1..40), jitter in 0_i32..4000,
    ) {
        let mut seen = hourly("2026-11-24T09:30:00Z");
        seen.spec.jitter_seconds = jitter;
        let mut now = seen.now;
        let mut asked: Vec<String> = Vec::new();
        for (seconds, back, active) in steps {
            let shift = SignedDuration::from_secs(if back { -seconds / 2 } else { seconds });
            now = now.checked_add(shift).unwrap();
            seen.models = vec![ObservedModel { active, ..Default::default() }];
            let plan = pass(&mut seen, &now.to_string());
            if let Some(request) = request(&plan) {
                prop_assert!(asked.last().is_none_or(|last| **last < *request), "{request} after {asked:?}");
                asked.push(request.to_owned());
            }
            prop_assert!(plan.status.recent.len() <= MAX_RECENT);
            prop_assert!(plan.wake_at.is_some_and(|wake| wake > now));
        }
    }
}

#[test]
fn a_refresh_and_a_retrain_do_not_skip_each_other() {
    let model = |action: ScheduleAction, status: serde_json::Value| {
        let model: RankingModel = from_value(json!({
            "apiVersion": "searchop.io/v1alpha1", "kind": "RankingModel",
            "metadata": {"name": "products", "annotations": {
                "searchop.io/retrain-requested": "Manual/ada/2026-11-24T09:00:00Z",
                "searchop.io/refresh-requested": "Manual/bob/2026-11-24T09:00:00Z"
            }},
            "spec": {"data": {"synthetic": {}}, "artifacts": {"uri": "pvc://models/products"}},
            "status": status
        }))
        .unwrap();
        ObservedModel::of(&model, action, at("2026-11-24T09:30:00Z"))
    };
    let run = json!({
        "version": 2, "trainHash": "h1:1", "trigger": "Manual",
        "asOfTime": "2026-11-24T09:00:00Z", "startTime": "2026-11-24T09:00:00Z"
    });
    let refresh = json!({
        "number": 1, "version": 1, "digest": "sha256:1", "trigger": "Manual",
        "requestToken": "Manual/bob/2026-11-24T08:00:00Z",
        "asOfTime": "2026-11-24T09:00:00Z", "startTime": "2026-11-24T09:00:00Z"
    });
    for (status, retrain, tables) in [
        (json!({"run": run}), true, false),
        (json!({"refresh": refresh}), false, true),
    ] {
        assert_eq!(
            model(ScheduleAction::Retrain, status.clone()).active,
            retrain
        );
        assert_eq!(model(ScheduleAction::RefreshTables, status).active, tables);
    }
    let seen = model(ScheduleAction::RefreshTables, json!({"refresh": refresh}));
    assert!(seen.request.unwrap().starts_with("Manual/bob"));
    assert_eq!(
        seen.last_handled.as_deref(),
        Some("Manual/bob/2026-11-24T08:00:00Z")
    );
}

#[test]
fn a_request_says_whether_unchanged_data_are_trained_on() {
    let mut seen = hourly("2026-11-24T10:30:00Z");
    seen.spec.skip_if_data_unchanged = true;
    pass(&mut seen, "2026-11-24T10:30:00Z");
    let plan = pass(&mut seen, "2026-11-24T11:00:00Z");
    assert_eq!(
        request(&plan),
        Some("Schedule/hourly!ifchanged/2026-11-24T11:00:00Z")
    );
}

mod many;
mod on_drift;
