//! What people decide about a rollout: approve, abort, pin and unpin.

use super::*;

fn rollout(spec: &RankingModelSpec, rollout: serde_json::Value) -> RankingModelSpec {
    edited(spec, "/rollout", rollout)
}

/// v1 and v2 served one after the other, for one spec each.
fn two_served() -> World {
    let mut world = serving();
    world.edit(with_leaves(15));
    world.run_to_its_end(End::Report {
        name: "two",
        gain: 0.2,
    });
    assert_eq!(world.served(), Some(2));
    world
}

fn pin(world: &mut World, version: Option<&str>) {
    let spec = rollout(
        &world.seen.spec,
        version.map_or(json!({}), |name| json!({"pinnedVersion": name})),
    );
    world.edit(spec);
}

#[test]
fn complaint_3_there_is_a_way_back_to_the_version_before_and_forth_again() {
    let mut world = two_served();
    pin(&mut world, Some("v1"));
    insta::assert_snapshot!("pinned", render(&world.pass()));
    assert_eq!(world.served(), Some(2), "until its pods answer");
    world.settle_pods();
    insta::assert_snapshot!("rolled_back", render(&world.pass()));
    world.settle();
    assert_eq!((world.served(), world.is_true("Ready")), (Some(1), true));
    assert_eq!(world.started, 2, "a rollback trains nothing");
    pin(&mut world, None);
    world.settle();
    assert_eq!((world.served(), world.is_true("Ready")), (Some(2), true));
    assert_eq!(world.started, 2, "nor does its end");
}

#[test]
fn complaint_6_what_is_asked_by_hand_is_idempotent() {
    let mut world = two_served();
    for name in ["v1", "1", "v1"] {
        pin(&mut world, Some(name));
        world.settle();
        assert_eq!(world.served(), Some(1));
        assert_eq!(world.pass().notes, []);
    }
    let status = world.seen.status.clone();
    world.pass();
    assert_eq!(world.seen.status, status, "nothing is written at rest");
}

#[test]
fn a_pin_to_what_nobody_knows_is_told_and_changes_nothing() {
    let mut world = two_served();
    pin(&mut world, Some("v9"));
    insta::assert_snapshot!("pin_unknown", render(&world.pass()));
    world.settle();
    assert_eq!(world.served(), Some(2));
    assert!(world.is_true("Stalled"));
}

#[test]
fn while_one_is_pinned_runs_are_judged_and_wait_and_go_on_afterwards() {
    let mut world = two_served();
    pin(&mut world, Some("v1"));
    world.settle();
    world.ask("Schedule/nightly", "2026-11-24T10:00:00Z");
    world.settle_facts();
    world.end_job(End::Report {
        name: "three",
        gain: 0.2,
    });
    world.settle();
    assert_eq!(world.last_outcome(), Some(Outcome::AwaitingApproval));
    assert_eq!(world.served(), Some(1));
    insta::assert_snapshot!("waits_for_the_pin", render(&world.pass()));
    // Without the pin the version before comes back first, then the new one is judged against it.
    pin(&mut world, None);
    world.settle();
    assert_eq!(world.served(), Some(2));
    world.run_to_its_end(End::Report {
        name: "three",
        gain: 0.2,
    });
    assert_eq!((world.served(), world.started), (Some(3), 3));
    assert!(world.is_true("Ready"), "{}", render(&world.pass()));
    assert!(!world.is_true("AwaitingApproval"));
}

#[test]
fn a_pin_turns_a_rollout_around() {
    let mut world = two_served();
    world.edit(with_leaves(9));
    world.end_training(End::Report {
        name: "three",
        gain: 0.2,
    });
    pin(&mut world, Some("v2"));
    world.settle();
    assert_eq!(world.served(), Some(2));
    assert_eq!(world.last_outcome(), Some(Outcome::AwaitingApproval));
    pin(&mut world, None);
    world.settle();
    assert_eq!((world.served(), world.started), (Some(3), 3));
}

#[test]
fn a_spec_that_changes_while_one_is_pinned_is_trained_once() {
    let mut world = two_served();
    pin(&mut world, Some("v1"));
    world.settle();
    let spec = edited(
        &world.seen.spec,
        "/training/parameters/numLeaves",
        json!(31),
    );
    world.edit(spec);
    // Its bytes are those of the pinned version.
    world.run_to_its_end(End::Report {
        name: "one",
        gain: 0.0,
    });
    assert_eq!(world.last_outcome(), Some(Outcome::Unchanged));
    assert_eq!((world.served(), world.started), (Some(1), 3));
    assert!(world.is_true("Ready"), "{}", render(&world.pass()));
}

/// v1 serves, v2 passed the gate and waits.
fn waiting() -> World {
    let mut world = serving();
    let spec = rollout(&with_leaves(15), json!({"approval": "Manual"}));
    world.edit(spec);
    world.run_to_its_end(End::Report {
        name: "two",
        gain: 0.2,
    });
    world
}

#[test]
fn with_manual_approval_a_version_waits_until_it_is_named() {
    let mut world = waiting();
    insta::assert_snapshot!("awaiting_approval", render(&world.pass()));
    assert_eq!(world.served(), Some(1));
    for (approved, served) in [("v1", 1), ("v3", 1), ("v2", 2)] {
        let spec = rollout(
            &with_leaves(15),
            json!({"approval": "Manual", "approvedVersion": approved}),
        );
        world.edit(spec);
        world.settle();
        assert_eq!(world.served(), Some(served), "{approved} is approved");
    }
    assert_eq!(world.started, 2);
    assert!(world.is_true("Ready"), "{}", render(&world.pass()));
}

#[test]
fn a_version_that_waits_makes_room_for_a_newer_one_and_for_another_spec() {
    let mut world = waiting();
    world.ask("Manual/ada", "2026-11-24T10:00:00Z");
    world.run_to_its_end(End::Report {
        name: "three",
        gain: 0.2,
    });
    let history = &world.seen.status.history;
    let outcomes: Vec<(i32, Outcome)> = history
        .iter()
        .map(|entry| (entry.version, entry.outcome))
        .collect();
    assert_eq!(
        outcomes,
        [
            (3, Outcome::AwaitingApproval),
            (2, Outcome::Superseded),
            (1, Outcome::Promoted)
        ]
    );
    // Back to the spec that serves: nothing is left to decide.
    world.edit(rollout(&synthetic_spec(), json!({"approval": "Manual"})));
    world.settle();
    assert_eq!(world.last_outcome(), Some(Outcome::Superseded));
    assert!(world.is_true("Ready") && !world.is_true("AwaitingApproval"));
    assert_eq!(world.started, 3);
}

#[test]
fn where_the_data_cannot_tell_somebody_may_be_asked() {
    let mut world = serving();
    let mut spec = edited(
        &with_leaves(15),
        "/evaluation/onInconclusive",
        json!("AwaitApproval"),
    );
    world.edit(spec.clone());
    world.settle_facts();
    world.end_job(End::Report {
        name: "two",
        gain: 0.045,
    });
    world.settle();
    assert_eq!(world.last_outcome(), Some(Outcome::AwaitingApproval));
    spec.rollout.approved_version = Some("v2".into());
    world.edit(spec);
    world.settle();
    assert_eq!((world.served(), world.started), (Some(2), 2));
}

#[test]
fn complaint_9_what_was_aborted_does_not_come_back() {
    let mut world = serving();
    world.edit(with_leaves(15));
    world.end_training(End::Report {
        name: "two",
        gain: 0.2,
    });
    world.edit(rollout(&with_leaves(15), json!({"abortedVersion": "v2"})));
    insta::assert_snapshot!("aborted", render(&world.pass()));
    world.settle();
    assert_eq!((world.served(), world.is_true("Stalled")), (Some(1), true));
    // Neither when the field is emptied ...
    world.edit(with_leaves(15));
    world.settle();
    assert_eq!((world.served(), world.started), (Some(1), 2));
    // ... and a new spec starts with a clean slate.
    world.edit(with_leaves(9));
    world.run_to_its_end(End::Report {
        name: "three",
        gain: 0.2,
    });
    assert_eq!((world.served(), world.started), (Some(3), 3));
}

#[test]
fn a_version_that_waits_can_be_aborted() {
    let mut world = waiting();
    let aborted = json!({"approval": "Manual", "abortedVersion": "v2"});
    world.edit(rollout(&with_leaves(15), aborted));
    world.settle();
    assert_eq!(world.last_outcome(), Some(Outcome::Failed));
    assert!(world.is_true("Stalled") && !world.is_true("AwaitingApproval"));
}

#[test]
fn what_somebody_may_go_back_to_is_kept() {
    let mut world = two_served();
    pin(&mut world, Some("v1"));
    world.settle();
    world.ask("Manual/ada", "2026-11-24T10:00:00Z");
    world.settle_facts();
    let plan = world.pass();
    let Some(Action::StartRun(job)) = plan.actions.first() else {
        panic!("{:?}", plan.actions)
    };
    for name in ["one", "two"] {
        let (model, tables) = crate::testing::digests(name);
        assert!(job.keep.contains(&model) && job.keep.contains(&tables));
    }
}

#[test]
fn from_one_pin_to_another_the_settings_in_force_stay_known() {
    let mut world = two_served();
    world.edit(with_leaves(9));
    world.run_to_its_end(End::Report {
        name: "three",
        gain: 0.2,
    });
    for (name, served) in [("v2", 2), ("v1", 1), ("v2", 2), ("v3", 3), ("v1", 1)] {
        pin(&mut world, Some(name));
        world.settle();
        assert_eq!((world.served(), world.started), (Some(served), 3));
    }
    pin(&mut world, None);
    world.settle();
    assert_eq!((world.served(), world.started), (Some(3), 3));
    assert!(world.is_true("Ready"), "{}", render(&world.pass()));
}

#[test]
fn complaint_8_what_served_and_since_when_is_written_down() {
    let mut world = two_served();
    world.seen.now = at("2026-11-25T08:00:00Z");
    pin(&mut world, Some("v1"));
    world.settle();
    let status = &world.seen.status;
    let served = status.served.as_ref().unwrap();
    assert_eq!(
        (&*served.name, served.promoted_time.0),
        ("v1", at("2026-11-25T08:00:00Z"))
    );
    assert_eq!(status.previous.as_ref().unwrap().name, "v2");
    let promoted: Vec<(i32, bool)> = status
        .history
        .iter()
        .map(|entry| (entry.version, entry.outcome == Outcome::Promoted))
        .collect();
    assert_eq!(promoted, [(2, true), (1, true)]);
}

#[test]
fn complaint_12_what_serves_stays_until_its_successor_answers() {
    let mut world = serving();
    world.edit(with_leaves(15));
    world.settle_facts();
    world.end_job(End::Report {
        name: "two",
        gain: 0.2,
    });
    for _ in 0..5 {
        world.settle_facts();
        assert_eq!((world.served(), world.is_true("Serving")), (Some(1), true));
    }
    world.settle_pods();
    world.settle_facts();
    assert_eq!(world.served(), Some(2));
}
