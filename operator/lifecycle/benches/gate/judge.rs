//! A world before the gate, by the code that judges in production.

use searchop_api::{Evaluation, Figure, GateRule, Goal, Trigger, Verdict};
use searchop_contract::{ListSlice, Metric, Reference};
use searchop_evaluation::held_out::Rankings;
use searchop_lifecycle::gate::{self, Trial};

use crate::world::World;

/// NDCG@10 against the served version.
pub fn rule(goal: Goal, margin: &str) -> GateRule {
    GateRule {
        name: "rule".into(),
        metric: Metric::NDCG,
        k: 10,
        threshold: None,
        against: Some(Reference::Served),
        goal: Some(goal),
        margin: Some(margin.into()),
        on: None,
        slice: None,
        applies_to: Vec::new(),
        dry_run: false,
    }
}

pub fn guard(slice: ListSlice, margin: &str) -> GateRule {
    GateRule {
        name: "guard".into(),
        slice: Some(slice),
        ..rule(Goal::NotWorse, margin)
    }
}

/// Figures as the trainer takes them, through decimals as the status keeps them.
pub fn judge(rules: &[GateRule], world: &World) -> Verdict {
    let evaluation = Evaluation {
        gates: rules.to_vec(),
        ..Evaluation::default()
    };
    let rankings = Rankings {
        candidate: &world.candidate,
        reference: Some(&world.served),
        overlaps: false,
    };
    let figures: Vec<Figure> = gate::measures(&evaluation, true)
        .into_iter()
        .filter(|measure| measure.against == Some(Reference::Served))
        .map(|measure| Figure::from(&world.lists.measurement(measure, rankings, 0.95)))
        .collect();
    let trial = Trial {
        version: 2,
        trigger: Trigger::Schedule,
        has_served: true,
        figures: &figures,
        best_promoted: None,
    };
    gate::judge(&evaluation, trial).verdict
}
