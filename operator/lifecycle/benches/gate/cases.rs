//! What is asked of the gate.

use std::thread;

use searchop_api::{GateRule, Goal, Verdict};
use searchop_contract::ListSlice;

use crate::{
    judge::{guard, judge, rule},
    world::{
        Evidence::{self, Clicks, Debiased, Grades, Raw},
        Population,
        Ranker::{self, ByTraffic, LikeShown, Mixed, Noisy, Popularity, Random},
    },
};

/// Cases behind one figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Superior, a true gain of 0.
    ZeroGain,
    /// NotWorse, a true loss of the margin.
    AtMargin,
    /// Superior, a true gain of .06, 500 query keys.
    Plus06,
    /// Candidates that look good to a careless judge.
    Biased,
    /// 30 query keys.
    FewQueries,
    /// Shown beside the others, behind no figure.
    Shown,
}

pub struct Case {
    pub kind: Kind,
    name: &'static str,
    evidence: Evidence,
    candidate: Candidate,
    queries: usize,
    rules: Vec<GateRule>,
}

enum Candidate {
    /// Between the two, with exactly this gain.
    Gain((Ranker, Ranker), f64),
    As(Ranker),
}

/// Noise on both sides of the served ranker's.
const ALIKE: (Ranker, Ranker) = (Noisy(1.35), Noisy(0.75));
/// A little better on most keys, much worse on a few.
const FEW_LOSE: (Ranker, Ranker) = (mixed(9.0, 1.3), mixed(9.0, 0.6));
/// A little worse on most keys, much better on a few.
const FEW_WIN: (Ranker, Ranker) = (mixed(0.05, 1.6), mixed(0.05, 0.9));

const fn mixed(there: f64, else_: f64) -> Ranker {
    Mixed {
        share: 0.06,
        there,
        else_,
    }
}

/// Relative gain over the population, by what is measured and by people's grades; design effect of
/// sessions; shares of the worlds.
pub const HEADER: &str = "case       population                                     queries    gain   truth design promoted   failed  too few  error";

/// Every case. The rule at the margin allows a loss of 2 %.
pub fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    let shapes = [
        ("grades", Grades, ALIKE),
        ("grades, few keys lose much", Grades, FEW_LOSE),
        ("grades, few keys win much", Grades, FEW_WIN),
        ("clicks", Clicks, ALIKE),
        ("clicks, few keys lose much", Clicks, FEW_LOSE),
        ("debiased clicks", Debiased, ALIKE),
    ];
    for (name, evidence, rankers) in shapes {
        for queries in [50, 100, 500] {
            for (kind, goal, margin, gain) in [
                (Kind::ZeroGain, Goal::Superior, "0", 0.0),
                (Kind::AtMargin, Goal::NotWorse, "0.02", -0.02),
            ] {
                cases.push(Case {
                    kind,
                    name,
                    evidence,
                    candidate: Candidate::Gain(rankers, gain),
                    queries,
                    rules: vec![rule(goal, margin)],
                });
            }
        }
    }
    for (name, evidence) in [("grades", Grades), ("clicks", Clicks)] {
        cases.push(Case {
            kind: Kind::Plus06,
            name,
            evidence,
            candidate: Candidate::Gain((Noisy(1.0), Noisy(0.5)), 0.06),
            queries: 500,
            rules: vec![rule(Goal::Superior, "0")],
        });
    }
    for gain in [0.0, 0.06] {
        cases.push(Case {
            kind: Kind::FewQueries,
            name: "grades",
            evidence: Grades,
            candidate: Candidate::Gain((Noisy(1.35), Noisy(0.5)), gain),
            queries: 30,
            rules: vec![rule(Goal::Superior, "0"), rule(Goal::NotWorse, "0.01")],
        });
    }
    cases.extend(biased());
    cases
}

fn biased() -> Vec<Case> {
    let case = |name, evidence, ranker, rules| Case {
        kind: Kind::Biased,
        name,
        evidence,
        candidate: Candidate::As(ranker),
        queries: 500,
        rules,
    };
    let superior = || vec![rule(Goal::Superior, "0")];
    let not_worse = || vec![rule(Goal::NotWorse, "0.01")];
    let tail = ByTraffic {
        tail: 1.5,
        head: 1.0,
    };
    let traded = ByTraffic {
        tail: 1.8,
        head: 0.1,
    };
    vec![
        case("random, superior", Debiased, Random, superior()),
        case("random, not worse", Debiased, Random, not_worse()),
        case("popularity, superior", Debiased, Popularity, superior()),
        case("popularity, not worse", Debiased, Popularity, not_worse()),
        case(
            "worse on the tail alone, superior",
            Clicks,
            tail,
            superior(),
        ),
        case(
            "worse on the tail alone, not worse",
            Clicks,
            tail,
            not_worse(),
        ),
        case(
            "worse on the tail, better on the head, guard",
            Clicks,
            traded,
            vec![rule(Goal::NotWorse, "0.2"), guard(ListSlice::Tail, "0.02")],
        ),
        case(
            "like what was shown, superior",
            Debiased,
            LikeShown,
            superior(),
        ),
        case(
            "like what was shown, not worse",
            Debiased,
            LikeShown,
            not_worse(),
        ),
        Case {
            kind: Kind::Shown,
            ..case(
                "like what was shown, on raw clicks",
                Raw,
                LikeShown,
                superior(),
            )
        },
    ]
}

impl Case {
    /// Share of the worlds in which the candidate is promoted, or for few queries in which nothing
    /// is decided.
    pub fn run(&self, worlds: u64) -> f64 {
        let population = match &self.candidate {
            Candidate::Gain(rankers, gain) => Population::with_gain(self.evidence, *rankers, *gain),
            Candidate::As(ranker) => Population::draw(self.evidence, *ranker),
        };
        let verdicts = self.verdicts(&population, worlds);
        let share = |verdict| {
            verdicts.iter().filter(|found| **found == verdict).count() as f64 / worlds as f64
        };
        let (promoted, undecided) = (share(Verdict::Passed), share(Verdict::Inconclusive));
        println!(
            "{:<10} {:<46} {:>7} {:>+7.3} {:>+7.3} {:>6.2} {:>8.4} {:>8.4} {:>8.4} {:>6.4}",
            format!("{:?}", self.kind),
            self.name,
            self.queries,
            population.gain,
            population.hidden_gain,
            population.design_effect(),
            promoted,
            share(Verdict::Failed),
            undecided,
            share(Verdict::Error)
        );
        if self.kind == Kind::FewQueries {
            undecided
        } else {
            promoted
        }
    }

    /// Half of the worlds in a thread each.
    fn verdicts(&self, population: &Population, worlds: u64) -> Vec<Verdict> {
        let half = |seeds: std::ops::Range<u64>| -> Vec<Verdict> {
            seeds
                .map(|seed| judge(&self.rules, &population.world(self.queries, seed)))
                .collect()
        };
        thread::scope(|scope| {
            let first = scope.spawn(|| half(0..worlds / 2));
            let mut all = half(worlds / 2..worlds);
            all.extend(first.join().expect("judging does not panic"));
            all
        })
    }
}
