//! Named situations, each a snapshot of what the plan says about it.

mod canary;
mod refresh;
mod rollout;
mod size;
mod walks;
mod world;

use searchop_api::{Outcome, RankingModelSpec, Trigger, Verdict, conditions::is_true};
use serde_json::json;
use world::{End, World};

use super::*;
use crate::testing::{at, fresh, synthetic_spec};

/// The plan in a form that people can review.
fn render(plan: &Plan) -> String {
    let mut lines = vec![format!("facts changed: {}", plan.facts_changed)];
    let status = &plan.status;
    let version = |served: &searchop_api::ServedVersion| {
        format!("{} {}", served.name, served.headline_metric)
    };
    lines.push(format!("served: {:?}", status.served.as_ref().map(version)));
    lines.push(format!(
        "previous: {:?}",
        status.previous.as_ref().map(version)
    ));
    if let Some(run) = &status.run {
        lines.push(format!(
            "run: v{} {} evaluation {} attempt {} candidate {} {:?} {:?} {:?}",
            run.version,
            run.trigger.as_str(),
            run.evaluation,
            run.attempt,
            run.candidate.is_some(),
            run.outcome,
            run.reason,
            run.message
        ));
    }
    if let Some(refresh) = &status.refresh {
        lines.push(format!(
            "refresh: {} of v{} {} attempt {} tables {} {:?} {:?} {:?}",
            refresh.number,
            refresh.version,
            refresh.trigger.as_str(),
            refresh.attempt,
            refresh.tables_digest.is_some(),
            refresh.outcome,
            refresh.reason,
            refresh.message
        ));
    }
    if let Some(gate) = &status.gate {
        lines.push(format!("gate: v{} {:?}", gate.version, gate.verdict));
        lines.extend(
            gate.rules
                .iter()
                .map(|rule| format!("  {} {:?}: {}", rule.name, rule.verdict, rule.message)),
        );
    }
    for entry in &status.history {
        lines.push(format!(
            "history: v{} {:?} {:?}",
            entry.version, entry.outcome, entry.reason
        ));
    }
    for found in &status.conditions {
        lines.push(format!(
            "{}={} {}: {}",
            found.type_, found.status, found.reason, found.message
        ));
    }
    for action in &plan.actions {
        lines.push(match action {
            Action::StartRun(job) => format!(
                "do: StartRun {} reference {} evaluate only {} keep {}",
                crate::job_name("products", job),
                job.reference.is_some(),
                job.evaluate_only.is_some(),
                job.keep.len()
            ),
            Action::Serve {
                version,
                digest,
                candidate,
                traffic,
                ..
            } => {
                let mut line = format!("do: Serve v{version} {}", digest.short());
                if let Some(candidate) = candidate {
                    line += &format!(" and v{} {}", candidate.version, candidate.digest.short());
                }
                for share in traffic.iter().flat_map(|traffic| &traffic.shares) {
                    line += &format!(
                        ", v{} {:?} {} % shadow {} %",
                        share.version, share.role, share.weight, share.shadow
                    );
                }
                line
            }
            other => format!("do: {other:?}"),
        });
    }
    lines.extend(
        plan.notes
            .iter()
            .map(|note| format!("note: {:?} {}: {}", note.kind, note.reason, note.message)),
    );
    lines.push(format!(
        "wake at: {:?}",
        plan.wake_at.map(|time| time.to_string())
    ));
    lines.join("\n")
}

fn edited(spec: &RankingModelSpec, pointer: &str, value: serde_json::Value) -> RankingModelSpec {
    let mut json = serde_json::to_value(spec).unwrap();
    *json
        .pointer_mut(pointer)
        .unwrap_or_else(|| panic!("{pointer}")) = value;
    serde_json::from_value(json).unwrap()
}

fn with_leaves(leaves: i32) -> RankingModelSpec {
    edited(
        &synthetic_spec(),
        "/training/parameters/numLeaves",
        json!(leaves),
    )
}

fn gates(spec: &RankingModelSpec, gates: serde_json::Value) -> RankingModelSpec {
    edited(spec, "/evaluation/gates", gates)
}

/// v1 serves, all is quiet.
fn serving() -> World {
    let mut world = World::new(synthetic_spec());
    world.run_to_its_end(End::Report {
        name: "one",
        gain: 0.2,
    });
    assert_eq!(world.served(), Some(1));
    world
}

/// v1 serves, v2 was made for another spec and refused.
fn refused() -> World {
    let mut world = serving();
    world.edit(with_leaves(15));
    world.run_to_its_end(End::Report {
        name: "two",
        gain: 0.014,
    });
    world
}

#[test]
fn a_fresh_model_gets_a_run_then_a_job() {
    let mut world = World::new(synthetic_spec());
    insta::assert_snapshot!("fresh", render(&world.pass()));
    insta::assert_snapshot!("first_job", render(&world.pass()));
}

#[test]
fn a_fresh_suspended_model_does_nothing() {
    let mut spec = synthetic_spec();
    spec.suspend = true;
    insta::assert_snapshot!("fresh_suspended", render(&plan(&fresh(spec))));
}

#[test]
fn a_job_that_waits_says_for_what() {
    let mut world = World::new(synthetic_spec());
    world.settle_facts();
    world.waiting = Some("no node has 2 CPUs to spare".into());
    insta::assert_snapshot!("job_waits", render(&world.pass()));
}

#[test]
fn a_report_is_stored_then_judged_then_rolled_out_then_promoted() {
    let mut world = serving();
    world.edit(with_leaves(15));
    world.settle_facts();
    world.end_job(End::Report {
        name: "two",
        gain: 0.2,
    });
    insta::assert_snapshot!("reported", render(&world.pass()));
    insta::assert_snapshot!("gate_passed", render(&world.pass()));
    insta::assert_snapshot!("rolling_out", render(&world.pass()));
    world.settle_pods();
    insta::assert_snapshot!("promoted", render(&world.pass()));
    insta::assert_snapshot!("at_rest", render(&world.pass()));
}

#[test]
fn a_refused_spec_change_stalls_with_numbers() {
    let mut world = refused();
    insta::assert_snapshot!("spec_change_refused", render(&world.pass()));
    assert_eq!(world.served(), Some(1));
    assert_eq!(
        world.started, 2,
        "a refused run is not tried again by itself"
    );
}

#[test]
fn a_refused_scheduled_retrain_leaves_ready_true() {
    let mut world = serving();
    world.ask("Schedule/nightly", "2026-11-24T10:00:00Z");
    world.run_to_its_end(End::Report {
        name: "two",
        gain: -0.2,
    });
    insta::assert_snapshot!("scheduled_refused", render(&world.pass()));
}

#[test]
fn the_same_bytes_are_unchanged() {
    let mut world = serving();
    world.ask("Manual/ada", "2026-11-24T10:00:00Z");
    world.settle_facts();
    world.end_job(End::Report {
        name: "one",
        gain: 0.0,
    });
    world.pass();
    insta::assert_snapshot!("unchanged", render(&world.pass()));
    world.settle_facts();
    assert!(world.is_true("Ready"));
}

#[test]
fn data_that_have_not_changed_are_not_trained_on_again_where_nobody_asked_for_that() {
    let mut world = serving();
    world.ask("Schedule/weekly!ifchanged", "2026-11-24T10:00:00Z");
    world.settle_facts();
    world.end_job(End::DataUnchanged);
    insta::assert_snapshot!("data_unchanged", render(&world.pass()));
    world.settle_facts();
    assert_eq!(world.last_outcome(), Some(Outcome::Unchanged));
    assert!(world.is_true("Ready"));
    // A change of the spec trains whatever the request says.
    world.edit(with_leaves(15));
    world.ask("Schedule/weekly!ifchanged", "2026-11-24T11:00:00Z");
    world.settle_facts();
    let plan = world.pass();
    let asks = |action: &Action| matches!(action, Action::StartRun(job) if !job.if_data_changed);
    assert!(plan.actions.iter().any(asks), "{:?}", plan.actions);
}

#[test]
fn settings_that_change_no_byte_become_the_served_ones() {
    let mut world = serving();
    world.edit(with_leaves(15));
    world.run_to_its_end(End::Report {
        name: "one",
        gain: 0.0,
    });
    assert!(world.is_true("Ready"), "{}", render(&world.pass()));
    assert_eq!(world.started, 2);
}

#[test]
fn bad_data_stall_a_first_version_with_the_trainers_words() {
    let mut world = World::new(synthetic_spec());
    world.end_training(End::Fail(
        FailureReason::DataInvalid,
        "events.csv: line 17, column \"position\": \"abc\" is not a number",
    ));
    insta::assert_snapshot!("data_invalid", render(&world.pass()));
}

#[test]
fn more_memory_is_another_try_and_another_gate_is_not() {
    let mut world = World::new(synthetic_spec());
    world.end_training(End::Fail(
        FailureReason::OOMKilled,
        "the trainer met its limit of 512Mi",
    ));
    world.edit(gates(
        &synthetic_spec(),
        json!([{"name": "floor", "metric": "NDCG", "threshold": "0.1"}]),
    ));
    world.settle_facts();
    assert_eq!((world.started, world.is_true("Stalled")), (1, true));
    world.edit(edited(
        &synthetic_spec(),
        "/training/resources",
        json!({"limits": {"memory": "1Gi"}}),
    ));
    world.settle_facts();
    assert_eq!((world.started, world.is_true("Stalled")), (2, false));
}

#[test]
fn a_spec_that_changes_during_a_run_supersedes_it() {
    let mut world = World::new(synthetic_spec());
    world.settle_facts();
    world.edit(with_leaves(15));
    insta::assert_snapshot!("superseded", render(&world.pass()));
    world.pass();
    insta::assert_snapshot!("after_superseded", render(&world.pass()));
    insta::assert_snapshot!("predecessor_leaves", render(&world.pass()));
    assert!(world.active_jobs().is_empty());
    world.finish_leaving();
    world.pass();
    assert_eq!(world.active_jobs(), ["products-train-v2"]);
    assert_eq!(world.started, 2);
}

#[test]
fn a_spec_that_changes_during_a_rollout_waits_for_its_end() {
    let mut world = serving();
    world.edit(with_leaves(15));
    world.end_training(End::Report {
        name: "two",
        gain: 0.2,
    });
    world.edit(with_leaves(9));
    world.settle_facts();
    assert_eq!(world.started, 2);
    world.settle_pods();
    world.settle_facts();
    assert_eq!((world.served(), world.started), (Some(2), 3));
}

#[test]
fn a_rollout_that_gets_stuck_goes_back_to_the_old_version() {
    let mut world = serving();
    world.edit(with_leaves(15));
    world.end_training(End::Report {
        name: "two",
        gain: 0.2,
    });
    world.jam_pods("pod products-1: exit code 3: model.bst: sha256 differs");
    insta::assert_snapshot!("rollout_failed", render(&world.pass()));
    insta::assert_snapshot!("after_rollout_failed", render(&world.pass()));
    world.settle_pods();
    world.settle_facts();
    assert!(world.is_true("Serving") && world.is_true("Stalled"));
    assert_eq!(world.served(), Some(1));
    // More memory for the pods is another rollout, not another training.
    let spec = edited(
        &with_leaves(15),
        "/serving/resources",
        json!({"limits": {"memory": "1Gi"}}),
    );
    world.edit(spec);
    world.settle_facts();
    world.settle_pods();
    world.settle_facts();
    assert_eq!((world.served(), world.started), (Some(2), 2));
    assert!(world.is_true("Ready"), "{}", render(&world.pass()));
}

/// v1 passed the gate, and its pods got stuck.
fn first_rollout_failed() -> World {
    let mut world = World::new(synthetic_spec());
    world.end_training(End::Report {
        name: "one",
        gain: 0.2,
    });
    world.jam_pods("no pod of the new version got ready within its deadline");
    world.settle_facts();
    assert!(world.is_true("Stalled"));
    world
}

#[test]
fn a_first_rollout_that_was_late_is_taken_up_once_its_pods_settle() {
    let mut world = first_rollout_failed();
    insta::assert_snapshot!("first_rollout_failed", render(&world.pass()));
    world.settle_pods();
    insta::assert_snapshot!("first_rollout_settled_late", render(&world.pass()));
    world.settle_facts();
    assert_eq!((world.served(), world.started), (Some(1), 1));
    assert!(world.is_true("Ready"));
    let outcomes: Vec<Outcome> = world
        .seen
        .status
        .history
        .iter()
        .map(|entry| entry.outcome)
        .collect();
    assert_eq!(outcomes, [Outcome::Promoted], "a version has one outcome");
}

#[test]
fn a_failed_rollout_is_taken_up_only_where_it_is_wanted_and_nothing_else_serves() {
    type Change = fn(&mut World);
    let table: [(&str, Change, Option<i32>); 6] = [
        ("settled", |world| world.settle_pods(), Some(1)),
        ("not settled", |_| {}, None),
        (
            "settled, but nothing answers",
            |world| {
                world.settle_pods();
                world.seen.serving.ready_pods = 0;
            },
            None,
        ),
        (
            "other pods settled",
            |world| {
                world.settle_pods();
                world.seen.serving.target = Some(crate::testing::digests("another"));
            },
            None,
        ),
        (
            "the spec wants another version by now",
            |world| {
                world.edit(with_leaves(15));
                world.settle_pods();
            },
            None,
        ),
        (
            "another version serves",
            |world| {
                world.settle_pods();
                world.seen.status.served = Some(crate::testing::served("zero", 0));
            },
            Some(0),
        ),
    ];
    for (situation, change, served) in table {
        let mut world = first_rollout_failed();
        change(&mut world);
        world.pass();
        assert_eq!(world.served(), served, "{situation}");
    }
}

#[test]
fn a_gates_only_edit_judges_again_and_trains_nothing() {
    let mut world = refused();
    let easier = json!([{"name": "better", "metric": "NDCG", "against": "Served", "goal": "Superior", "margin": "0.01"}]);
    world.edit(gates(&with_leaves(15), easier));
    insta::assert_snapshot!("judged_again", render(&world.pass()));
    world.settle_pods();
    world.settle_facts();
    world.settle_pods();
    world.settle_facts();
    assert_eq!((world.served(), world.started), (Some(2), 2));
}

#[test]
fn a_gate_that_reads_other_figures_has_them_measured() {
    let mut world = refused();
    let other = json!([{"name": "top", "metric": "MRR", "k": 5, "threshold": "0.5"}]);
    world.edit(gates(&with_leaves(15), other));
    insta::assert_snapshot!("measured_again", render(&world.pass()));
    insta::assert_snapshot!("evaluate_only_job", render(&world.pass()));
    assert_eq!(world.active_jobs(), ["products-train-v2-e1"]);
    world.run_to_its_end(End::Report {
        name: "ignored",
        gain: 0.1,
    });
    assert_eq!(world.served(), Some(2));
}

#[test]
fn what_serves_keeps_serving_under_rules_that_it_would_not_pass() {
    let mut world = serving();
    world.edit(gates(
        &synthetic_spec(),
        json!([{"name": "floor", "metric": "NDCG", "threshold": "0.9"}]),
    ));
    insta::assert_snapshot!("rules_changed_under_served", render(&world.pass()));
    world.settle_facts();
    assert_eq!(
        (world.served(), world.started, world.is_true("Ready")),
        (Some(1), 1, true)
    );
}

#[test]
fn a_lost_report_is_fetched_by_running_again_and_not_for_ever() {
    let mut world = World::new(synthetic_spec());
    for attempt in 0..=crate::training::MAX_ATTEMPTS {
        world.settle_facts();
        assert_eq!(world.seen.status.run.as_ref().unwrap().attempt, attempt);
        world.end_job(End::LoseReport);
    }
    world.settle_facts();
    let status = &world.seen.status;
    assert_eq!(status.history[0].reason.as_deref(), Some("ReportMissing"));
    assert_eq!(world.started, 3);
    assert!(world.is_true("Stalled"));
}

#[test]
fn a_figure_that_the_trainer_left_out_is_an_error_not_another_job() {
    let mut world = World::new(synthetic_spec());
    world.end_training(End::ReportWithout("Bm25"));
    let gate = world.seen.status.gate.as_ref().unwrap();
    assert_eq!(gate.verdict, Verdict::Error);
    assert_eq!(
        (world.started, world.served(), world.is_true("Stalled")),
        (1, None, true)
    );
}

#[test]
fn a_later_request_waits_and_the_latest_wins() {
    let mut world = serving();
    world.ask("Manual/ada", "2026-11-24T10:00:00Z");
    world.settle_facts();
    assert_eq!(
        world.seen.status.run.as_ref().unwrap().trigger,
        Trigger::Manual
    );
    world.ask("Schedule/nightly", "2026-11-24T10:10:00Z");
    world.ask("Schedule/nightly", "2026-11-24T10:20:00Z");
    world.settle_facts();
    assert_eq!(world.started, 2);
    world.run_to_its_end(End::Report {
        name: "two",
        gain: 0.2,
    });
    let run = world.seen.status.run.as_ref().unwrap();
    assert_eq!(
        (world.started, run.version, run.trigger),
        (3, 3, Trigger::Schedule)
    );
    assert_eq!(
        run.request_token.as_deref(),
        Some("Schedule/nightly/2026-11-24T10:20:00Z")
    );
    // Removing or repeating it does nothing.
    world.run_to_its_end(End::Report {
        name: "three",
        gain: 0.2,
    });
    world.seen.retrain_request = None;
    world.settle_facts();
    world.ask("Schedule/nightly", "2026-11-24T10:20:00Z");
    world.settle_facts();
    assert_eq!(world.started, 3);
}

#[test]
fn a_request_may_replace_the_run_that_is_under_way() {
    let mut world = serving();
    world.ask("Manual/ada", "2026-11-24T10:00:00Z");
    world.settle_facts();
    world.ask("Schedule/nightly!replace", "2026-11-24T10:10:00Z");
    world.settle_facts();
    assert_eq!(world.active_jobs(), ["products-train-v3"]);
    assert_eq!(
        world.seen.status.history[0].reason.as_deref(),
        Some("Replaced")
    );
}

#[test]
fn a_request_for_settings_that_were_refused_is_judged_as_a_change_of_the_spec() {
    let mut world = refused();
    world.ask("Schedule/nightly", "2026-11-24T10:00:00Z");
    world.run_to_its_end(End::Report {
        name: "two again",
        gain: 0.014,
    });
    let run = world.seen.status.run.as_ref().unwrap();
    assert_eq!((run.version, run.trigger), (3, Trigger::SpecChange));
    assert_eq!(
        world.served(),
        Some(1),
        "a change that lost must not slip through with the schedule"
    );
}

#[test]
fn a_request_that_cannot_be_read_is_told_once() {
    let mut world = serving();
    world.ask("Manual", "soon");
    insta::assert_snapshot!("request_invalid", render(&world.pass()));
    assert_eq!(world.pass().notes, []);
    world.ask("Manual/ada", "2026-11-24T10:00:00Z");
    world.settle_facts();
    assert_eq!(world.started, 2);
}

#[test]
fn suspend_starts_nothing_and_lets_a_run_end() {
    let mut world = World::new(synthetic_spec());
    world.settle_facts();
    let mut suspended = synthetic_spec();
    suspended.suspend = true;
    world.edit(suspended.clone());
    world.run_to_its_end(End::Report {
        name: "one",
        gain: 0.2,
    });
    assert_eq!(world.served(), Some(1));
    world.ask("Manual/ada", "2026-11-24T10:00:00Z");
    let mut other = with_leaves(15);
    other.suspend = true;
    world.edit(other);
    world.settle_facts();
    insta::assert_snapshot!("suspended", render(&world.pass()));
    assert_eq!(world.started, 1);
    // Resumed, the request and the spec are one run.
    world.edit(with_leaves(15));
    world.settle_facts();
    assert_eq!(world.started, 2);
    world.run_to_its_end(End::Report {
        name: "two",
        gain: 0.2,
    });
    assert_eq!((world.started, world.served()), (2, Some(2)));
}

#[test]
fn data_go_stale_at_a_moment_that_is_known_before() {
    let mut world = serving();
    let plan = world.pass();
    assert_eq!(plan.wake_at, Some(at("2026-12-08T00:00:00Z")));
    world.seen.now = at("2026-12-07T23:59:59Z");
    assert!(!is_true(&world.pass().status.conditions, "Stale"));
    world.seen.now = at("2026-12-08T00:00:00Z");
    insta::assert_snapshot!("stale", render(&world.pass()));
    assert_eq!(world.pass().notes, []);
}

#[test]
fn pods_that_come_and_go_with_the_load_do_not_make_ready_flap() {
    let mut world = serving();
    world.pass();
    world.seen.serving.settled = false;
    world.pass();
    assert!(world.is_true("Ready"));
    // For a new generation they are part of reaching it.
    world.edit(edited(
        &synthetic_spec(),
        "/serving/maxCandidates",
        json!(10),
    ));
    world.seen.serving.settled = false;
    world.pass();
    assert!(!world.is_true("Ready") && world.is_true("Reconciling") && world.is_true("Serving"));
    world.settle_pods();
    world.pass();
    assert!(world.is_true("Ready"));
}

#[test]
fn a_status_that_somebody_broke_serves_and_trains_nothing_wrong() {
    let mut world = serving();
    world.seen.status.served.as_mut().unwrap().digest = "sha256:nonsense".into();
    let plan = plan(&world.seen);
    assert!(
        !plan
            .actions
            .iter()
            .any(|action| matches!(action, Action::Serve { .. })),
        "{:?}",
        plan.actions
    );
}
