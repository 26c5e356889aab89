//! The same of a RetrainSchedule.

use searchop_api::RetrainSchedule;
use serde_json::{Value, json};

use crate::rules::{pattern, words};

fn schedule(field: &str, value: impl Into<Value>) -> RetrainSchedule {
    let mut manifest = json!({
        "apiVersion": "searchop.io/v1alpha1",
        "kind": "RetrainSchedule",
        "metadata": {"name": "weekly"},
        "spec": {"modelRef": {"name": "products"}, "schedule": "0 2 * * 0"}
    });
    manifest["spec"][field] = value.into();
    serde_json::from_value(manifest).unwrap()
}

#[test]
fn rules_of_a_schedule() {
    for good in [
        "* * * * *",
        "0 2 * * 0",
        "*/15 0-6/2 1,15 jan-MAR sun,3,FRI",
        "59 23 31 12 7",
        "00 02 * * *",
        "5-2 * * * *",
    ] {
        assert_eq!(
            words(schedule("schedule", good).validate_cel()),
            "",
            "{good}"
        );
    }
    for (bad, message) in [
        ("61 * * * *", "minute must be *, 0-59"),
        ("5/10 * * * *", "minute must be"),
        ("*/0 * * * *", "minute must be"),
        ("0 24 * * *", "hour must be *, 0-23"),
        ("0 2 0 * *", "day of month must be *, 1-31"),
        ("0 2 L * *", "day of month must be"),
        ("0 2 * 13 *", "month must be *, 1-12 or JAN-DEC"),
        ("0 2 * * 8", "day of week must be *, 0-7 or SUN-SAT"),
        ("0 2 * * sunday", "day of week must be"),
    ] {
        let found = words(schedule("schedule", bad).validate_cel());
        assert!(found.contains(message), "{bad}: {found:?}");
    }
    let pattern = pattern("/spec/properties/schedule");
    for bad in [
        "",
        "* * *",
        "@reboot",
        "* * * * * *",
        "*  * * * *",
        " * * * * *",
    ] {
        assert!(!pattern.is_match(bad), "{bad:?}");
    }
}

#[test]
fn a_refresh_stops_nothing() {
    let of = |action: &str, policy: &str| {
        let mut schedule = serde_json::to_value(schedule("action", action)).unwrap();
        schedule["spec"]["concurrencyPolicy"] = policy.into();
        let schedule: RetrainSchedule = serde_json::from_value(schedule).unwrap();
        words(schedule.validate_cel())
    };
    for (action, policy) in [
        ("Retrain", "Forbid"),
        ("Retrain", "Replace"),
        ("RefreshTables", "Forbid"),
    ] {
        assert_eq!(of(action, policy), "", "{action} {policy}");
    }
    assert!(of("RefreshTables", "Replace").contains("concurrencyPolicy must be Forbid"));
    let skip = |action: &str| {
        let mut schedule = serde_json::to_value(schedule("action", action)).unwrap();
        schedule["spec"]["skipIfDataUnchanged"] = true.into();
        let schedule: RetrainSchedule = serde_json::from_value(schedule).unwrap();
        words(schedule.validate_cel())
    };
    assert_eq!(skip("Retrain"), "");
    assert!(skip("RefreshTables").contains("skipIfDataUnchanged is for action Retrain"));
}

#[test]
fn a_schedule_asks_at_ticks_or_on_drift() {
    let of = |patch: Value| {
        let mut manifest = serde_json::to_value(schedule("schedule", Value::Null)).unwrap();
        let spec = manifest["spec"].as_object_mut().unwrap();
        spec.extend(patch.as_object().unwrap().clone());
        let found: RetrainSchedule = serde_json::from_value(manifest).unwrap();
        words(found.validate_cel())
    };
    for good in [
        json!({"schedule": "0 2 * * 0"}),
        json!({"onDrift": {}}),
        json!({"schedule": "0 2 * * 0", "onDrift": {"cooldownSeconds": 0, "maxPerWeek": 20}}),
    ] {
        assert_eq!(of(good.clone()), "", "{good}");
    }
    assert!(of(json!({})).contains("needs schedule, onDrift, or both"));
    let tables = json!({"action": "RefreshTables", "onDrift": {}});
    assert!(of(tables).contains("onDrift is for action Retrain"));
}

/// The API server knows zones, this crate's CEL does not; what it can refuse is the form.
#[test]
fn time_zones_have_a_form() {
    let pattern = pattern("/spec/properties/timeZone");
    for good in [
        "UTC",
        "Europe/Berlin",
        "America/Argentina/Buenos_Aires",
        "Etc/GMT+5",
        "EST5EDT",
    ] {
        assert!(pattern.is_match(good), "{good}");
        assert_eq!(
            words(schedule("timeZone", good).validate_cel()),
            "",
            "{good}"
        );
    }
    for bad in [
        "",
        "+02:00",
        "Europe/",
        "../../etc/passwd",
        "Europe Berlin",
        "/etc/localtime",
    ] {
        assert!(!pattern.is_match(bad), "{bad}");
    }
    assert!(words(schedule("timeZone", "Local").validate_cel()).contains("IANA name"));
}

#[test]
fn a_schedule_asks_one_model_or_selects_them() {
    let of = |whom: Value| {
        let mut schedule = serde_json::to_value(schedule("suspend", false)).unwrap();
        for (field, value) in whom.as_object().unwrap() {
            schedule["spec"][field] = value.clone();
        }
        let schedule: RetrainSchedule = serde_json::from_value(schedule).unwrap();
        words(schedule.validate_cel())
    };
    let label = |requirement: Value| json!({"modelRef": null, "modelSelector": {"matchExpressions": [requirement]}});
    for good in [
        json!({}),
        json!({"modelRef": null, "modelSelector": {}}),
        json!({"modelRef": null, "modelSelector": {"matchLabels": {"team": "search"}}, "parallelism": 2}),
        label(json!({"key": "tier", "operator": "In", "values": ["gold"]})),
        label(json!({"key": "tier", "operator": "Exists"})),
    ] {
        assert_eq!(of(good.clone()), "", "{good}");
    }
    let one = "exactly one of modelRef and modelSelector";
    let values = "values are needed by the operators In and NotIn, and by no other";
    for (bad, message) in [
        (json!({"modelRef": null}), one),
        (json!({"modelSelector": {}}), one),
        (
            json!({"modelRef": null, "modelSelector": {}, "onDrift": {}}),
            "onDrift needs modelRef",
        ),
        (label(json!({"key": "tier", "operator": "NotIn"})), values),
        (
            label(json!({"key": "tier", "operator": "DoesNotExist", "values": ["gold"]})),
            values,
        ),
    ] {
        let found = of(bad.clone());
        assert!(found.contains(message), "{bad}: {found:?}");
    }
}

#[test]
fn a_blackout_ends_after_it_starts() {
    let blackout = |start: &str, end: &str| {
        schedule("blackouts", json!([{"startTime": start, "endTime": end}]))
    };
    for (start, end, good) in [
        ("2026-11-27T00:00:00Z", "2026-11-30T00:00:00Z", true),
        ("2026-11-27T00:00:00Z", "2026-11-27T00:00:00Z", false),
        ("2026-11-30T00:00:00Z", "2026-11-27T00:00:00Z", false),
    ] {
        let found = words(blackout(start, end).validate_cel());
        assert_eq!(found.is_empty(), good, "{start} to {end}: {found}");
        assert!(
            good || found.contains("startTime must be before endTime"),
            "{found}"
        );
    }
}
