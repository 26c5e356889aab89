//! Drifted windows that ask, and those that do not.

use super::*;

/// Waits for drift alone, of a model whose newest window ended at `window` and has drifted.
fn on_drift(window: &str) -> ObservedSchedule {
    let spec = json!({
        "modelRef": {"name": "products"}, "onDrift": {"cooldownSeconds": 86400, "maxPerWeek": 2}
    });
    ObservedSchedule {
        spec: from_value(spec).unwrap(),
        models: vec![drifted(window)],
        ..hourly(window)
    }
}

fn drifted(window: &str) -> ObservedModel {
    ObservedModel {
        drifted: Some(at(window)),
        ..ObservedModel::default()
    }
}

#[test]
fn a_schedule_without_ticks_waits_for_drift() {
    let mut seen = on_drift("2026-11-24T10:00:00Z");
    seen.models = vec![ObservedModel::default()];
    let plan = pass(&mut seen, "2026-11-24T10:00:00Z");
    assert_eq!(
        (condition(&plan, READY), condition(&plan, SCHEDULED)),
        (("True", "OnDrift"), ("True", "OnDrift"))
    );
    assert_eq!((request(&plan), plan.wake_at), (None, None));
    assert_eq!(plan.status.next_schedule_time, None);
    seen.models = vec![drifted("2026-11-24T10:04:00Z")];
    let plan = pass(&mut seen, "2026-11-24T10:05:00Z");
    assert_eq!(request(&plan), Some("Drift/hourly/2026-11-24T10:04:00Z"));
    assert_eq!(
        recent(&plan),
        [("2026-11-24T10:04:00Z".to_owned(), "Requested")]
    );
    assert_eq!(plan.status.recent[0].trigger, Some(Trigger::Drift));
    assert_eq!(plan.notes[0].reason, "RetrainRequested");
    assert_eq!(pass(&mut seen, "2026-11-24T10:06:00Z").notes, []);
}

#[test]
fn drift_that_stays_asks_again_after_the_cooldown_within_the_weekly_budget() {
    let mut seen = on_drift("2026-11-02T10:00:00Z");
    for (window, outcome) in [
        ("2026-11-02T10:00:00Z", "Requested"),
        ("2026-11-03T09:59:59Z", "Cooldown"),
        ("2026-11-03T10:00:00Z", "Requested"),
        ("2026-11-05T10:00:00Z", "WeeklyBudget"),
        ("2026-11-09T09:59:00Z", "WeeklyBudget"),
        // The first of the two is a week ago.
        ("2026-11-09T10:00:00Z", "Requested"),
        ("2026-11-10T09:00:00Z", "Cooldown"),
        ("2026-11-10T10:00:00Z", "Requested"),
    ] {
        seen.models = vec![drifted(window)];
        let (request, found) = plan_at(&mut seen, window);
        assert_eq!(
            (request.is_some(), &*found),
            (outcome == "Requested", outcome),
            "{window}"
        );
        if outcome != "Requested" {
            assert_eq!(seen.status.last_skip.as_ref().unwrap().reason, outcome);
        }
    }
    assert_eq!(
        seen.status.drift_request_times.len(),
        2,
        "the rest is forgotten"
    );
}

#[test]
fn why_a_drifted_window_asks_for_nothing() {
    let window = "2026-11-24T10:00:00Z";
    let model = || drifted(window);
    let manual = |time: &str| Some(format!("Manual/ada/{time}"));
    let active = ObservedModel {
        active: true,
        ..model()
    };
    let rows = [
        (
            ObservedModel {
                suspended: true,
                ..model()
            },
            Err("ModelSuspended"),
        ),
        (active.clone(), Err("RunActive")),
        (
            ObservedModel {
                request: manual("2026-11-24T09:00:00Z"),
                ..model()
            },
            Err("RequestPending"),
        ),
        (
            ObservedModel {
                request: manual("2026-11-24T09:00:00Z"),
                last_handled: manual("2026-11-24T09:00:00Z"),
                ..model()
            },
            Ok(Some("Drift/hourly/2026-11-24T10:00:00Z")),
        ),
        (
            ObservedModel {
                last_handled: manual("2026-11-24T10:00:01Z"),
                ..model()
            },
            Err("RetrainedSince"),
        ),
        // Written before a crash.
        (
            ObservedModel {
                request: Some(format!("Drift/hourly/{window}")),
                ..active.clone()
            },
            Ok(None),
        ),
        (
            ObservedModel {
                last_handled: Some(format!("Drift/hourly!replace/{window}")),
                ..active
            },
            Ok(None),
        ),
    ];
    for (model, expected) in rows {
        let mut seen = on_drift(window);
        seen.models = vec![model.clone()];
        let plan = pass(&mut seen, "2026-11-24T10:00:30Z");
        let outcome = &*plan.status.recent[0].outcome;
        match expected {
            Ok(asked) => assert_eq!((request(&plan), outcome), (asked, "Requested")),
            Err(reason) => assert_eq!((request(&plan), outcome), (None, reason), "{model:?}"),
        }
    }
    let mut seen = on_drift(window);
    let sale = json!([{"startTime": window, "endTime": "2026-11-24T11:30:00Z"}]);
    seen.spec.blackouts = from_value(sale).unwrap();
    assert_eq!(plan_at(&mut seen, window), (None, "Blackout".to_owned()));
    let mut seen = on_drift(window);
    seen.spec.concurrency_policy = ConcurrencyPolicy::Replace;
    seen.models[0].active = true;
    let plan = pass(&mut seen, window);
    assert_eq!(
        request(&plan),
        Some("Drift/hourly!replace/2026-11-24T10:00:00Z")
    );
    let mut seen = on_drift(window);
    seen.spec.suspend = true;
    assert_eq!(pass(&mut seen, window).status.recent, []);
    seen.spec.suspend = false;
    assert_ne!(pass(&mut seen, window).requests, [], "it still drifts");
}

#[test]
fn a_tick_and_a_drifted_window_at_once_ask_one_after_the_other() {
    let mut seen = hourly("2026-11-24T09:30:00Z");
    seen.spec.on_drift = Some(searchop_api::OnDrift::default());
    let plan = pass(&mut seen, "2026-11-24T09:30:00Z");
    let scheduled = find(&plan.status.conditions, SCHEDULED).unwrap();
    assert_eq!(
        scheduled.message,
        "asks products for a retrain at each tick, and when its requests have drifted"
    );
    seen.models = vec![drifted("2026-11-24T09:59:00Z")];
    seen.now = at("2026-11-24T10:00:00Z");
    let plan = plan_schedule(&seen);
    let tick = request(&plan).unwrap().to_owned();
    assert!(tick.starts_with("Schedule/"), "{tick}");
    seen.status = plan.status;
    seen.models[0].request = Some(tick);
    let plan = plan_schedule(&seen);
    assert_eq!(plan.requests, []);
    assert_eq!(plan.status.recent[0].outcome, "RequestPending");
}
