//! Random walks through the world. What must hold at every moment is checked by the world itself;
//! here, that every walk comes to rest at the same place whatever died on the way.

use jiff::SignedDuration;
use proptest::prelude::*;
use serde_json::json;

use super::{
    edited, gates, with_leaves,
    world::{End, World},
};
use crate::testing::synthetic_spec;
use searchop_contract::FailureReason;

#[derive(Clone, Debug)]
enum Event {
    Pass,
    Die { actions: usize },
    EndJob(End),
    SettlePods,
    JamPods,
    CandidateAnswers(u64, u64),
    PodsGone,
    JobsGone,
    Leaves(i32),
    Gates(usize),
    Memory(&'static str),
    Suspend(bool),
    Rollout(usize),
    Ask(&'static str),
    AskRefresh(&'static str),
    RemoveRequest,
    Wait(i64),
}

fn event() -> impl Strategy<Value = Event> {
    let gain = prop_oneof![
        Just(0.2),
        Just(0.02),
        Just(0.0),
        Just(-0.005),
        Just(-0.2),
        Just(f64::NAN)
    ];
    let name = prop_oneof![Just("a"), Just("b"), Just("c"), Just("d")];
    let end = prop_oneof![
        6 => (name, gain).prop_map(|(name, gain)| End::Report { name, gain }),
        1 => Just(End::ReportWithout("Bm25")),
        1 => Just(End::LoseReport),
        1 => Just(End::Fail(FailureReason::OOMKilled, "limit 512Mi")),
        1 => Just(End::Fail(FailureReason::DataInvalid, "no clicks at all")),
    ];
    prop_oneof![
        12 => Just(Event::Pass),
        4 => (0_usize..4).prop_map(|actions| Event::Die { actions }),
        6 => end.prop_map(Event::EndJob),
        5 => Just(Event::SettlePods),
        1 => Just(Event::JamPods),
        1 => prop_oneof![Just((1000, 0)), Just((1000, 900)), Just((3, 0))]
            .prop_map(|(all, failed)| Event::CandidateAnswers(all, failed)),
        1 => Just(Event::PodsGone),
        3 => Just(Event::JobsGone),
        1 => prop_oneof![Just(31), Just(15), Just(7)].prop_map(Event::Leaves),
        1 => (0_usize..4).prop_map(Event::Gates),
        1 => prop_oneof![Just("512Mi"), Just("1Gi")].prop_map(Event::Memory),
        1 => any::<bool>().prop_map(Event::Suspend),
        2 => (0_usize..ROLLOUTS).prop_map(Event::Rollout),
        1 => prop_oneof![
            Just("Manual/ada"), Just("Schedule/nightly"), Just("Schedule/nightly!replace"), Just("nonsense")
        ].prop_map(Event::Ask),
        2 => prop_oneof![Just("Schedule/daily"), Just("nonsense")].prop_map(Event::AskRefresh),
        1 => Just(Event::RemoveRequest),
        1 => prop_oneof![Just(1_i64), Just(3600), Just(1_300_000)].prop_map(Event::Wait),
    ]
}

fn gate_lists() -> [serde_json::Value; 4] {
    let rule = |name, extra: serde_json::Value| {
        let mut rule = json!({"name": name, "metric": "NDCG", "k": 10});
        rule.as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        rule
    };
    [
        json!([rule("floor", json!({"threshold": "0.1"}))]),
        json!([rule("wall", json!({"threshold": "0.99"}))]),
        json!([rule(
            "better",
            json!({"against": "Served", "goal": "Superior", "margin": "0.05"})
        )]),
        json!([
            rule("lift", json!({"against": "Bm25", "goal": "Superior", "margin": "0"})),
            {"name": "top", "metric": "MRR", "k": 5, "threshold": "0.5"}
        ]),
    ]
}

const ROLLOUTS: usize = 11;

/// What people write below `spec.rollout`.
fn rollouts() -> [serde_json::Value; ROLLOUTS] {
    [
        json!({}),
        json!({"approval": "Manual"}),
        json!({"approval": "Manual", "approvedVersion": "v2"}),
        json!({"approvedVersion": "v3"}),
        json!({"abortedVersion": "v2"}),
        json!({"pinnedVersion": "v1"}),
        json!({"pinnedVersion": "2"}),
        json!({"pinnedVersion": "v99", "approval": "Manual"}),
        json!({"strategy": "Canary"}),
        json!({"strategy": "Canary", "approval": "Manual", "approvedVersion": "v2"}),
        json!({"strategy": "Canary", "steps": [{"weight": 0, "shadowPercent": 9}, {"weight": 9, "holdSeconds": 0}]}),
    ]
}

fn happen(world: &mut World, event: Event) {
    match event {
        Event::Pass => drop(world.pass()),
        Event::Die { actions } => world.pass_that_dies(actions),
        Event::EndJob(end) => world.end_job(end),
        Event::SettlePods => world.settle_pods(),
        Event::JamPods => world.jam_pods("pod products-1 is not ready"),
        Event::CandidateAnswers(all, failed) => world.candidate_requests = (all, failed),
        Event::JobsGone => world.finish_leaving(),
        Event::PodsGone => world.seen.serving = Default::default(),
        Event::Leaves(leaves) => {
            let spec = edited(
                &world.seen.spec,
                "/training/parameters/numLeaves",
                json!(leaves),
            );
            world.edit(spec);
        }
        Event::Gates(which) => {
            let spec = gates(&world.seen.spec, gate_lists()[which].clone());
            world.edit(spec);
        }
        Event::Memory(amount) => {
            let spec = edited(
                &world.seen.spec,
                "/training/resources",
                json!({"limits": {"memory": amount}}),
            );
            world.edit(spec);
        }
        Event::Suspend(suspend) => {
            let spec = edited(&world.seen.spec, "/suspend", json!(suspend));
            world.edit(spec);
        }
        Event::Rollout(which) => {
            let spec = edited(&world.seen.spec, "/rollout", rollouts()[which].clone());
            world.edit(spec);
        }
        Event::Ask(who) => {
            let now = world.seen.now;
            world.ask(who, &now.to_string());
        }
        Event::AskRefresh(who) => {
            let now = world.seen.now;
            world.ask_refresh(who, &now.to_string());
        }
        Event::RemoveRequest => world.seen.retrain_request = None,
        Event::Wait(seconds) => world.seen.now += SignedDuration::from_secs(seconds),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_nothing_breaks_and_all_comes_to_rest(events in prop::collection::vec(event(), 1..120)) {
        let mut world = World::new(synthetic_spec());
        for event in events {
            happen(&mut world, event);
        }
        // Left alone with a world that works, it comes to rest with nothing under way.
        let spec = edited(&world.seen.spec, "/suspend", json!(false));
        world.edit(edited(&spec, "/rollout", json!({})));
        for _ in 0..6 {
            world.run_to_its_end(End::Report { name: "last", gain: 0.2 });
        }
        prop_assert!(world.last_outcome().is_some());
        prop_assert!(!crate::is_under_way(&world.seen.status));
        prop_assert!(world.is_true("Ready") != world.is_true("Stalled"));
        prop_assert!(!world.is_true("Reconciling"));
        prop_assert!(world.active_jobs().is_empty());
    }

    #[test]
    fn a_first_training_and_a_retrain_end_alike_wherever_the_operator_dies(deaths in prop::collection::vec(0_usize..4, 0..40)) {
        let mut world = World::new(synthetic_spec());
        for (n, actions) in deaths.into_iter().enumerate() {
            world.pass_that_dies(actions);
            match n % 3 {
                0 => world.end_job(End::Report { name: "one", gain: 0.2 }),
                1 => world.settle_pods(),
                _ => {}
            }
        }
        world.run_to_its_end(End::Report { name: "one", gain: 0.2 });
        prop_assert_eq!((world.served(), world.started), (Some(1), 1));
        world.edit(with_leaves(15));
        world.run_to_its_end(End::Report { name: "two", gain: 0.2 });
        prop_assert_eq!((world.served(), world.started), (Some(2), 2));
        prop_assert!(world.is_true("Ready"));
    }
}
