//! The tables of the served version are rebuilt.

use searchop_api::RefreshOutcome;

use super::*;
use crate::testing::{digests, served};

const NOON: &str = "2026-11-24T12:00:00Z";

fn outcome(world: &World) -> Option<RefreshOutcome> {
    world.seen.status.refresh.as_ref()?.outcome
}

fn tables(world: &World) -> String {
    let served = world.seen.status.served.as_ref().unwrap();
    served.tables_digest.clone()
}

/// v1 serves, and its refresh has begun.
fn refreshing() -> World {
    let mut world = serving();
    world.ask_refresh("Schedule/daily", NOON);
    world.settle_facts();
    world
}

#[test]
fn a_refresh_gives_the_served_model_new_tables_and_judges_nothing() {
    let mut world = serving();
    let gate = world.seen.status.gate.clone();
    world.ask_refresh("Schedule/daily", NOON);
    insta::assert_snapshot!("refresh_requested", render(&world.pass()));
    insta::assert_snapshot!("refresh_job", render(&world.pass()));
    world.end_job(End::Report {
        name: "new",
        gain: 0.0,
    });
    insta::assert_snapshot!("tables_rebuilt", render(&world.pass()));
    insta::assert_snapshot!("tables_rolling_out", render(&world.pass()));
    assert!(world.is_true("Ready"), "its pods are replaced one by one");
    world.settle_pods();
    insta::assert_snapshot!("tables_refreshed", render(&world.pass()));
    world.settle_facts();
    let status = &world.seen.status;
    let served = status.served.as_ref().unwrap();
    let wanted = (digests("one").0.to_string(), digests("new").1.to_string());
    assert_eq!(
        (&served.digest, &served.tables_digest),
        (&wanted.0, &wanted.1)
    );
    assert_eq!(status.history[0].tables_digest.as_ref(), Some(&wanted.1));
    assert_eq!(
        (served.version, status.history.len(), world.started),
        (1, 1, 1)
    );
    assert_eq!(status.gate, gate);
    // What is asked for once is done once.
    world.settle_facts();
    assert_eq!(world.active_jobs(), [""; 0]);
}

#[test]
fn the_same_tables_are_unchanged() {
    let mut world = refreshing();
    world.end_job(End::Report {
        name: "one",
        gain: 0.0,
    });
    world.settle_facts();
    assert_eq!(outcome(&world), Some(RefreshOutcome::Unchanged));
    assert!(world.is_true("Ready"));
    assert!(world.seen.serving.settled, "no pod was touched");
}

#[test]
fn a_refresh_that_fails_leaves_everything_as_it_was() {
    let mut world = refreshing();
    world.end_job(End::Fail(FailureReason::DataInvalid, "events.csv: no rows"));
    insta::assert_snapshot!("refresh_failed", render(&world.pass()));
    world.settle_facts();
    assert!(world.is_true("Ready") && world.is_true("LastRunSucceeded"));
    assert_eq!(tables(&world), digests("one").1.to_string());
}

#[test]
fn tables_that_the_pods_do_not_take_are_taken_back() {
    let mut world = refreshing();
    world.end_job(End::Report {
        name: "new",
        gain: 0.0,
    });
    world.settle_facts();
    world.jam_pods("pod products-1: golden row 3 differs");
    world.settle_facts();
    assert_eq!(outcome(&world), Some(RefreshOutcome::Failed));
    assert_eq!(world.seen.serving.target, Some(digests("one")));
    world.settle_pods();
    world.settle_facts();
    assert!(world.is_true("Ready"), "{}", render(&world.pass()));
}

#[test]
fn a_lost_report_is_made_again_a_few_times() {
    let mut world = refreshing();
    for job in [
        "products-tables-1",
        "products-tables-1-a1",
        "products-tables-1-a2",
    ] {
        assert_eq!(world.active_jobs(), [job]);
        world.end_job(End::LoseReport);
        world.settle_facts();
    }
    assert_eq!(outcome(&world), Some(RefreshOutcome::Failed));
    assert!(world.is_true("Ready"));
}

#[test]
fn a_refresh_waits_for_the_run_under_way() {
    let mut world = serving();
    world.ask("Schedule/weekly", "2026-11-24T11:00:00Z");
    world.settle_facts();
    world.ask_refresh("Schedule/daily", NOON);
    world.settle_facts();
    assert_eq!(world.active_jobs(), ["products-train-v2"]);
    assert_eq!(world.seen.status.refresh, None);
    world.run_to_its_end(End::Report {
        name: "two",
        gain: 0.2,
    });
    assert_eq!(world.served(), Some(2));
    let refresh = world.seen.status.refresh.as_ref().unwrap();
    assert_eq!(
        (refresh.version, refresh.outcome),
        (2, None),
        "the new version's"
    );
}

#[test]
fn a_retrain_waits_for_the_refresh_under_way_and_is_not_lost() {
    let mut world = refreshing();
    world.ask("Schedule/weekly", NOON);
    world.edit(with_leaves(15));
    world.settle_facts();
    assert_eq!(world.active_jobs(), ["products-tables-1"]);
    world.end_job(End::Report {
        name: "new",
        gain: 0.0,
    });
    world.settle_facts();
    world.settle_pods();
    world.settle_facts();
    assert_eq!(outcome(&world), Some(RefreshOutcome::Refreshed));
    assert_eq!(world.active_jobs(), ["products-train-v2"]);
}

#[test]
fn a_refused_change_is_not_tried_again_because_of_a_refresh_and_keeps_its_reason() {
    let mut world = refused();
    world.ask_refresh("Schedule/daily", NOON);
    world.settle_facts();
    let refresh = world.seen.status.refresh.clone().unwrap();
    assert_eq!(refresh.outcome, Some(RefreshOutcome::Failed));
    assert_eq!(refresh.reason.as_deref(), Some("SettingsNotServed"));
    assert_eq!((world.started, world.is_true("Stalled")), (2, true));
    assert_eq!(world.active_jobs(), [""; 0]);
}

#[test]
fn suspended_or_without_a_version_it_waits() {
    let mut world = World::new(synthetic_spec());
    world.ask_refresh("Schedule/daily", NOON);
    world.settle_facts();
    assert_eq!(world.active_jobs(), ["products-train-v1"]);
    let mut world = serving();
    world.edit(edited(&synthetic_spec(), "/suspend", json!(true)));
    world.ask_refresh("Schedule/daily", NOON);
    world.settle_facts();
    assert_eq!(world.seen.status.refresh, None);
    world.edit(synthetic_spec());
    world.settle_facts();
    assert_eq!(world.active_jobs(), ["products-tables-1"]);
}

#[test]
fn where_another_version_serves_meanwhile_its_tables_are_not_touched() {
    let mut world = refreshing();
    world.seen.status.served = Some(served("other", 7));
    world.pass();
    assert_eq!(outcome(&world), Some(RefreshOutcome::Superseded));
    assert_eq!(tables(&world), digests("other").1.to_string());
}

#[test]
fn what_serves_and_what_served_before_is_kept() {
    let mut world = serving();
    world.edit(with_leaves(15));
    world.run_to_its_end(End::Report {
        name: "two",
        gain: 0.2,
    });
    world.ask_refresh("Schedule/daily", NOON);
    world.settle_facts();
    let plan = world.pass();
    let asked = plan.actions.iter().find_map(|action| match action {
        Action::StartRun(request) => Some(request),
        _ => None,
    });
    let keep = &asked.unwrap().keep;
    for name in ["one", "two"] {
        let (model, tables) = digests(name);
        assert!(keep.contains(&model) && keep.contains(&tables), "{name}");
    }
}

#[test]
fn old_tables_make_a_model_stale_where_their_age_has_a_limit() {
    let mut world = serving();
    let mut spec = synthetic_spec();
    spec.freshness.tables_max_age_seconds = Some(86_400);
    world.edit(spec);
    world.settle_facts();
    assert!(!world.is_true("Stale"));
    assert_eq!(world.pass().wake_at, Some(at("2026-11-25T00:00:00Z")));
    world.seen.now = at("2026-11-25T00:00:00Z");
    let plan = world.pass();
    let stale = searchop_api::conditions::find(&plan.status.conditions, "Stale").unwrap();
    assert_eq!((&*stale.status, &*stale.reason), ("True", "TablesTooOld"));
    assert_eq!(
        stale.message,
        "v1 has seen data up to 2026-11-24T00:00:00Z and goes stale at 2026-12-08T00:00:00Z; its \
         tables have seen data up to 2026-11-24T00:00:00Z and went stale at 2026-11-25T00:00:00Z"
    );
    assert_eq!(plan.notes[0].reason, "TablesTooOld");
}
