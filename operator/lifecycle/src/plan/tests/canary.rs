//! A canary, step by step.

use jiff::SignedDuration;

use super::*;

fn canary(spec: &RankingModelSpec, steps: serde_json::Value) -> RankingModelSpec {
    edited(
        spec,
        "/rollout",
        json!({"strategy": "Canary", "steps": steps}),
    )
}

fn two_steps() -> serde_json::Value {
    json!([{"weight": 5, "holdSeconds": 60}, {"weight": 50, "holdSeconds": 60}])
}

/// v1 serves, v2 has passed the gate and is to go through these steps.
fn passed(steps: serde_json::Value) -> World {
    let mut world = serving();
    world.edit(canary(&with_leaves(15), steps));
    world.end_training(End::Report {
        name: "two",
        gain: 0.2,
    });
    world
}

fn wait(world: &mut World, seconds: i64) {
    world.seen.now += SignedDuration::from_secs(seconds);
}

fn weight(world: &World) -> Option<u8> {
    let weights = world.weights.as_ref()?;
    weights.shares.get(1).map(|share| share.weight)
}

#[test]
fn a_good_candidate_goes_through_its_steps_and_serves() {
    let mut world = passed(two_steps());
    insta::assert_snapshot!("canary_loads", render(&world.pass()));
    world.settle_pods();
    insta::assert_snapshot!("canary_begins", render(&world.pass()));
    insta::assert_snapshot!("canary_holds", render(&world.pass()));
    wait(&mut world, 60);
    insta::assert_snapshot!("canary_step_over", render(&world.pass()));
    world.settle_facts();
    assert_eq!(weight(&world), Some(50));
    // The hold counts from when the pods follow, not from when they were told.
    wait(&mut world, 3600);
    world.settle_facts();
    assert_eq!(weight(&world), Some(50));
    world.settle_pods();
    world.settle_facts();
    wait(&mut world, 60);
    world.pass();
    insta::assert_snapshot!("canary_ends", render(&world.pass()));
    assert_eq!(world.served(), Some(1), "until pods of its own answer");
    world.settle();
    assert_eq!((world.served(), world.started), (Some(2), 2));
    assert!(world.is_true("Ready"), "{}", render(&world.pass()));
    assert_eq!(world.seen.serving.candidate, None);
}

#[test]
fn a_bad_candidate_loses_its_weight_then_its_place_and_does_not_come_back() {
    let mut world = passed(two_steps());
    world.candidate_requests = (1000, 400);
    world.settle_pods();
    insta::assert_snapshot!("canary_failed", render(&world.pass()));
    insta::assert_snapshot!("after_canary_failed", render(&world.pass()));
    assert_eq!(weight(&world), Some(0), "before its pods are gone");
    world.settle();
    assert_eq!((world.served(), world.is_true("Stalled")), (Some(1), true));
    wait(&mut world, 1_000_000);
    world.settle();
    assert_eq!((world.served(), world.started), (Some(1), 2));
    assert_eq!(world.pass().notes, []);
    // A good one after it starts with a clean slate.
    world.candidate_requests = (1000, 0);
    world.edit(canary(&with_leaves(9), two_steps()));
    world.settle_facts();
    world.end_job(End::Report {
        name: "three",
        gain: 0.2,
    });
    for _ in 0..4 {
        world.settle();
        wait(&mut world, 60);
    }
    assert_eq!(world.served(), Some(3));
}

#[test]
fn a_canary_waits_for_requests_without_a_write() {
    let mut world = passed(two_steps());
    world.candidate_requests = (3, 0);
    world.settle();
    wait(&mut world, 1_000);
    world.settle_facts();
    insta::assert_snapshot!("canary_waits", render(&world.pass()));
    let status = world.seen.status.clone();
    world.candidate_requests = (4, 0);
    world.settle_pods();
    wait(&mut world, 10);
    world.pass();
    assert_eq!(world.seen.status, status);
    assert_eq!(weight(&world), Some(5));
}

#[test]
fn what_is_not_reported_goes_no_further() {
    type Change = fn(&mut World);
    let table: [(&str, Change); 4] = [
        ("a pod says nothing", |world| {
            world.seen.serving.traffic[0] = None
        }),
        ("a pod follows other weights", |world| {
            let report = world.seen.serving.traffic[1].as_mut().unwrap();
            report.revision = Some("v2-other".into());
        }),
        ("a pod refuses them", |world| {
            let report = world.seen.serving.traffic[1].as_mut().unwrap();
            report.revision = None;
            report.refused = Some("weights add up to 99".into());
        }),
        ("no pod is ready", |world| {
            world.seen.serving.traffic.clear()
        }),
    ];
    for (situation, change) in table {
        let mut world = passed(two_steps());
        world.settle_pods();
        world.pass();
        wait(&mut world, 3600);
        change(&mut world);
        world.settle_facts();
        assert_eq!(weight(&world), Some(5), "{situation}");
        assert_eq!(world.last_outcome(), None, "{situation}");
    }
}

#[test]
fn complaint_16_pods_that_come_during_a_canary_neither_block_nor_fail_it() {
    let mut world = passed(two_steps());
    world.settle_pods();
    world.settle_facts();
    world.seen.serving.settled = false;
    world.seen.serving.pods = 5;
    wait(&mut world, 60);
    world.settle_facts();
    assert_eq!(weight(&world), Some(50));
}

#[test]
fn an_edit_of_the_steps_restarts_no_pod() {
    let mut world = passed(two_steps());
    world.settle();
    assert!(world.seen.serving.settled);
    world.edit(canary(
        &with_leaves(15),
        json!([{"weight": 7, "holdSeconds": 60}]),
    ));
    world.settle_facts();
    assert_eq!(weight(&world), Some(7));
    assert!(world.seen.serving.settled, "the template is as it was");
    // Fewer steps than it has gone through: it is through.
    world.edit(edited(&with_leaves(15), "/rollout", json!({})));
    world.settle();
    assert_eq!(world.served(), Some(2));
}

#[test]
fn somebody_may_abort_or_pin_during_a_canary() {
    for decision in [
        json!({"abortedVersion": "v2"}),
        json!({"pinnedVersion": "v1"}),
    ] {
        let mut world = passed(two_steps());
        world.settle();
        let mut rollout = serde_json::to_value(&world.seen.spec.rollout).unwrap();
        let fields = decision.as_object().unwrap().clone();
        rollout.as_object_mut().unwrap().extend(fields);
        world.edit(edited(&with_leaves(15), "/rollout", rollout));
        world.settle_facts();
        assert_eq!(weight(&world), Some(0), "{decision}");
        world.settle();
        assert_eq!((world.served(), world.started), (Some(1), 2));
        assert_eq!(world.seen.serving.candidate, None);
    }
}

#[test]
fn a_candidate_that_does_not_load_is_a_failed_rollout() {
    let mut world = passed(two_steps());
    world.jam_pods("pod products-1: exit code 3: model.bst: sha256 differs");
    world.settle();
    assert_eq!((world.served(), world.is_true("Stalled")), (Some(1), true));
    let reason = world.seen.status.history[0].reason.as_deref();
    assert_eq!(reason, Some("RolloutFailed"));
}

#[test]
fn a_first_version_shares_with_nobody() {
    let mut world = World::new(canary(&synthetic_spec(), two_steps()));
    world.run_to_its_end(End::Report {
        name: "one",
        gain: 0.2,
    });
    assert_eq!((world.served(), world.weights), (Some(1), None));
}

#[test]
fn a_step_in_the_shadow_reports_how_far_the_order_differs() {
    let shadow = json!([{"weight": 0, "shadowPercent": 20, "holdSeconds": 60}, {"weight": 50}]);
    let mut world = passed(shadow);
    world.settle_pods();
    world.settle_facts();
    let share = world.weights.as_ref().unwrap().shares[1].clone();
    assert_eq!((share.weight, share.shadow), (0, 20));
    wait(&mut world, 60);
    insta::assert_snapshot!("shadow_over", render(&world.pass()));
    let run = world.seen.status.run.as_ref().unwrap();
    let shadow = run.canary.as_ref().unwrap().shadow.as_ref().unwrap();
    assert_eq!(
        (shadow.requests, &*shadow.overlap, &*shadow.top10_change),
        (2000, "0.900", "0.100")
    );
    assert_eq!(shadow.seed_overlap.as_deref(), Some("0.745"));
}

#[test]
fn a_retrain_that_is_asked_for_during_a_canary_waits_for_its_end() {
    let mut world = passed(two_steps());
    world.settle();
    world.ask("Manual/ada", "2026-11-24T10:00:00Z");
    world.settle_facts();
    assert_eq!(world.started, 2);
    for _ in 0..3 {
        world.settle();
        wait(&mut world, 60);
    }
    world.settle();
    assert_eq!((world.served(), world.started), (Some(2), 3));
}

#[test]
fn complaint_1_serving_does_not_flap_during_a_canary() {
    let mut world = passed(two_steps());
    for _ in 0..12 {
        world.pass();
        assert!(world.is_true("Serving"));
        world.settle_pods();
        wait(&mut world, 30);
    }
    world.settle();
    assert_eq!(world.served(), Some(2));
}
