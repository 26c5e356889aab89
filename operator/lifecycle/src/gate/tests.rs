use proptest::prelude::*;
use searchop_api::{Candidate, Goal};
use searchop_contract::{Evidence, ListSlice, Measure, Metric};

use super::*;
use crate::testing::figure;

fn against(reference: Reference, goal: Goal, margin: &str) -> GateRule {
    GateRule {
        name: "rule".into(),
        metric: Metric::NDCG,
        k: 10,
        threshold: None,
        against: Some(reference),
        goal: Some(goal),
        margin: Some(margin.into()),
        on: None,
        slice: None,
        applies_to: vec![],
        dry_run: false,
    }
}

fn at_least(threshold: &str) -> GateRule {
    GateRule {
        threshold: Some(threshold.into()),
        against: None,
        goal: None,
        margin: None,
        ..against(Reference::Served, Goal::Superior, "0")
    }
}

fn evaluation(gates: Vec<GateRule>) -> Evaluation {
    Evaluation {
        gates,
        ..Evaluation::default()
    }
}

fn verdict(gates: Vec<GateRule>, figures: &[Figure]) -> GateStatus {
    judge(
        &evaluation(gates),
        Trial {
            version: 8,
            trigger: Trigger::Manual,
            has_served: true,
            figures,
            best_promoted: Some(5),
        },
    )
}

/// Candidate, reference, low, high.
type Numbers = (f64, f64, f64, f64);

#[test]
fn comparisons() {
    use Goal::{NotWorse, Superior};
    use Verdict::{Error, Failed, Inconclusive, Passed};
    let rows: Vec<(Goal, &str, Numbers, Verdict)> = vec![
        // The estimate reaches the margin and the lower bound is above nothing.
        (Superior, "0.05", (0.741, 0.700, 0.021, 0.09), Passed),
        (Superior, "0.05", (0.735, 0.700, 0.000_001, 0.09), Passed),
        (Superior, "0.05", (0.741, 0.700, 0.0, 0.12), Inconclusive),
        (Superior, "0.05", (0.741, 0.700, -0.01, 0.13), Inconclusive),
        (Superior, "0.05", (0.720, 0.700, 0.01, 0.06), Inconclusive),
        (Superior, "0.05", (0.720, 0.700, 0.01, 0.05), Inconclusive),
        (Superior, "0.05", (0.720, 0.700, 0.01, 0.049), Failed),
        (Superior, "0.05", (0.500, 0.700, -0.4, -0.1), Failed),
        // Margin 0 asks for more than nothing.
        (Superior, "0", (0.701, 0.700, 0.000_5, 0.004), Passed),
        (Superior, "0", (0.700, 0.700, 0.0, 0.0), Failed),
        (Superior, "0", (0.701, 0.700, 0.0, 0.004), Inconclusive),
        (Superior, "0", (0.699, 0.700, -0.003, 0.001), Inconclusive),
        (Superior, "0", (0.690, 0.700, -0.03, -0.001), Failed),
        // The lower bound stays within the margin.
        (NotWorse, "0.01", (0.702, 0.700, -0.01, 0.02), Passed),
        (NotWorse, "0.01", (0.699, 0.700, -0.005, 0.003), Passed),
        (NotWorse, "0.01", (0.702, 0.700, -0.011, 0.02), Inconclusive),
        (NotWorse, "0.01", (0.650, 0.700, -0.09, -0.05), Failed),
        (NotWorse, "0", (0.700, 0.700, 0.0, 0.0), Passed),
        // What means nothing.
        (Superior, "0.05", (f64::NAN, 0.7, 0.1, 0.2), Error),
        (Superior, "0.05", (0.741, f64::NAN, 0.1, 0.2), Error),
        (Superior, "0.05", (0.741, 0.7, f64::NAN, 0.2), Error),
        (Superior, "0.05", (0.741, 0.7, 0.1, f64::INFINITY), Error),
        (Superior, "0.05", (0.741, 0.0, 0.1, 0.2), Error),
        (NotWorse, "0.01", (0.741, 0.7, 0.2, 0.1), Error),
        (NotWorse, "much", (0.741, 0.7, 0.1, 0.2), Error),
        (NotWorse, "-0.01", (0.741, 0.7, 0.1, 0.2), Error),
    ];
    for (goal, margin, numbers, expected) in rows {
        let found = verdict(
            vec![against(Reference::Served, goal, margin)],
            &[figure(Some(Reference::Served), numbers)],
        );
        assert_eq!(
            found.verdict, expected,
            "{goal:?} {margin} {numbers:?}: {}",
            found.rules[0].message
        );
        assert!(!found.rules[0].message.is_empty() && found.rules[0].message.len() <= 256);
    }
}

#[test]
fn thresholds() {
    for (threshold, candidate, expected) in [
        ("0.60", 0.6, Verdict::Passed),
        // The upper bound of the figure is .02 above it.
        ("0.60", 0.599_999, Verdict::Inconclusive),
        ("0.60", 0.580_001, Verdict::Inconclusive),
        ("0.60", 0.579_999, Verdict::Failed),
        ("0", 0.0, Verdict::Passed),
        ("1", 0.999, Verdict::Inconclusive),
        ("1", 0.9, Verdict::Failed),
        ("high", 0.7, Verdict::Error),
        ("0.1", f64::NAN, Verdict::Error),
    ] {
        let bounds = (candidate, 0.0, candidate - 0.02, candidate + 0.02);
        let found = verdict(vec![at_least(threshold)], &[figure(None, bounds)]);
        assert_eq!(found.verdict, expected, "{threshold} {candidate}");
    }
}

#[test]
fn messages_have_the_numbers() {
    let served = |numbers| [figure(Some(Reference::Served), numbers)];
    let words = |rule, figures: &[Figure]| verdict(vec![rule], figures).rules[0].message.clone();
    insta::assert_snapshot!(
        words(against(Reference::Served, Goal::Superior, "0.05"), &served((0.741, 0.703, 0.021, 0.09))),
        @"NDCG@10 0.741 against 0.703 of the served version: +5.4 % (at least +2.1 %), needs +5.0 %: passed"
    );
    insta::assert_snapshot!(
        words(against(Reference::Served, Goal::Superior, "0.05"), &served((0.71, 0.7, 0.004, 0.024))),
        @"NDCG@10 0.710 against 0.700 of the served version: +1.4 % (at most +2.4 %), needs +5.0 %: failed"
    );
    insta::assert_snapshot!(
        words(against(Reference::Served, Goal::Superior, "0.05"), &served((0.734_9, 0.7, 0.01, 0.07))),
        @"NDCG@10 0.735 against 0.700 of the served version: +4.986 % (at least +1.000 %), needs +5.000 %: too few data to tell; 400 queries show gains from +6.0 %"
    );
    insta::assert_snapshot!(
        words(against(Reference::Served, Goal::NotWorse, "0.01"), &served((0.699, 0.7, -0.005, 0.003))),
        @"NDCG@10 0.699 against 0.700 of the served version: -0.1 % (at least -0.5 %), may lose 1.0 %: passed"
    );
    insta::assert_snapshot!(
        words(against(Reference::Bm25, Goal::Superior, "0"), &[figure(Some(Reference::Bm25), (0.741, 0.5, 0.4, 0.5))]),
        @"NDCG@10 0.741 against 0.500 of BM25: +48.2 % (at least +40.0 %), needs more than 0 %: passed"
    );
    insta::assert_snapshot!(
        words(at_least("0.9"), &[figure(None, (0.7, 0.0, 0.0, 0.0))]),
        @"NDCG@10 0.700, needs at least 0.9: failed"
    );
    let mut overlap = served((0.741, 0.703, 0.021, 0.09));
    overlap[0].holdout_overlap = true;
    insta::assert_snapshot!(
        words(against(Reference::Served, Goal::Superior, "0.05"), &overlap),
        @"NDCG@10: HoldoutOverlap, the served version has trained on the held-out days: error"
    );
    insta::assert_snapshot!(
        words(against(Reference::Served, Goal::Superior, "0.05"), &[]),
        @"NDCG@10 against the served version is missing from the report: error"
    );
}

#[test]
fn the_worst_rule_that_decides_is_the_verdict() {
    let pass = figure(None, (0.7, 0.0, 0.0, 0.0));
    let dry = |rule: GateRule| GateRule {
        dry_run: true,
        ..rule
    };
    let named = |name: &str, rule: GateRule| GateRule {
        name: name.into(),
        ..rule
    };
    let served_only = against(Reference::Served, Goal::Superior, "0.05");
    let scheduled = GateRule {
        applies_to: vec![Trigger::Schedule],
        ..at_least("0.9")
    };
    let rows: Vec<(Vec<GateRule>, Verdict)> = vec![
        (
            vec![at_least("0.6"), named("b", at_least("0.9"))],
            Verdict::Failed,
        ),
        (
            vec![at_least("0.6"), named("b", dry(at_least("0.9")))],
            Verdict::Passed,
        ),
        (
            vec![at_least("0.9"), named("b", served_only.clone())],
            Verdict::Error,
        ),
        (
            vec![at_least("0.6"), named("b", scheduled.clone())],
            Verdict::Passed,
        ),
        // No rule decides, but the candidate was measured.
        (vec![scheduled.clone()], Verdict::Passed),
        (vec![dry(at_least("0.9"))], Verdict::Passed),
    ];
    for (rules, expected) in rows {
        let found = verdict(rules.clone(), std::slice::from_ref(&pass));
        assert_eq!(found.verdict, expected, "{rules:?}");
    }
    // No rule decides and nothing was measured.
    assert_eq!(verdict(vec![scheduled], &[]).verdict, Verdict::Error);
}

#[test]
fn a_run_for_drift_is_judged_as_a_scheduled_one_unless_a_rule_names_drift() {
    let of = |triggers: &[Trigger], least| GateRule {
        applies_to: triggers.to_vec(),
        ..at_least(least)
    };
    let figures = [figure(None, (0.741, 0.0, 0.731, 0.751))];
    let (schedule, drift) = (Trigger::Schedule, Trigger::Drift);
    for (rules, expected) in [
        (vec![of(&[schedule], "0.9")], Verdict::Failed),
        (
            vec![of(&[schedule], "0.9"), of(&[drift], "0.6")],
            Verdict::Passed,
        ),
        (vec![of(&[Trigger::Manual], "0.9")], Verdict::Passed),
        (vec![of(&[schedule, drift], "0.9")], Verdict::Failed),
    ] {
        let trial = Trial {
            version: 2,
            trigger: drift,
            has_served: true,
            figures: &figures,
            best_promoted: None,
        };
        assert_eq!(
            judge(&evaluation(rules.clone()), trial).verdict,
            expected,
            "{rules:?}"
        );
    }
}

#[test]
fn the_first_version_skips_rules_against_the_served_one_and_says_so() {
    let evaluation = Evaluation::default();
    let figures = [figure(Some(Reference::Bm25), (0.741, 0.5, 0.4, 0.5))];
    let trial = Trial {
        version: 1,
        trigger: Trigger::SpecChange,
        has_served: false,
        figures: &figures,
        best_promoted: None,
    };
    let gate = judge(&evaluation, trial);
    let verdicts: Vec<_> = gate
        .rules
        .iter()
        .map(|rule| (&*rule.name, rule.verdict))
        .collect();
    assert_eq!(
        verdicts,
        [
            ("lift", Verdict::Passed),
            ("better", Verdict::Skipped),
            ("steady", Verdict::Skipped),
            ("ratchet", Verdict::Skipped)
        ]
    );
    assert!(
        gate.rules[1].message.contains("no version serves yet"),
        "{}",
        gate.rules[1].message
    );
    assert_eq!(gate.verdict, Verdict::Passed);
    assert_eq!(headline(&evaluation, &figures), "NDCG@10 0.741");
    assert_eq!(headline(&evaluation, &[]), "NDCG@10 not measured");
}

#[test]
fn a_job_is_asked_for_what_the_rules_read() {
    let measure = |against| Measure::new(Metric::NDCG, 10, against);
    let evaluation = Evaluation::default();
    assert_eq!(
        measures(&evaluation, false),
        [
            Some(Reference::Bm25),
            None,
            Some(Reference::LoggedOrder),
            Some(Reference::Random)
        ]
        .map(measure)
    );
    assert_eq!(
        measures(&evaluation, true)[..4],
        [
            Some(Reference::Bm25),
            Some(Reference::Served),
            Some(Reference::BestPromoted),
            None
        ]
        .map(measure)
    );
    let many = (1..=16)
        .map(|k| GateRule {
            k,
            ..at_least("0.1")
        })
        .collect();
    assert_eq!(measures(&self::evaluation(many), true).len(), 16);
}

#[test]
fn an_edited_gate_knows_which_figures_it_lacks() {
    let candidate = Candidate {
        confidence: "0.95".into(),
        figures: vec![
            figure(None, (0.7, 0.0, 0.0, 0.0)),
            figure(Some(Reference::Served), (0.7, 0.6, 0.1, 0.2)),
        ],
        ..crate::testing::candidate("v8")
    };
    let missing = |rules, served| missing_measures(&evaluation(rules), &candidate, served);
    let served = against(Reference::Served, Goal::Superior, "0.05");
    assert_eq!(missing(vec![at_least("0.3"), served.clone()], true), []);
    assert_eq!(
        missing(vec![against(Reference::Bm25, Goal::Superior, "0")], true).len(),
        1
    );
    assert_eq!(
        missing(
            vec![GateRule {
                k: 5,
                ..at_least("0.3")
            }],
            true
        )
        .len(),
        1
    );
    let other = Evaluation {
        confidence: "0.9".into(),
        ..evaluation(vec![at_least("0.3"), served])
    };
    assert_eq!(
        missing_measures(&other, &candidate, true).len(),
        2,
        "bounds hold for one confidence"
    );
}

/// The same figure over so many queries.
fn of_queries(queries: i64, figure: Figure) -> Figure {
    Figure { queries, ..figure }
}

#[test]
fn fewer_than_fifty_queries_tell_nothing() {
    let rule = against(Reference::Served, Goal::Superior, "0.05");
    let worse = against(Reference::Served, Goal::NotWorse, "0.01");
    let better = figure(Some(Reference::Served), (0.9, 0.5, 0.7, 0.9));
    let bad = figure(Some(Reference::Served), (0.5, 0.9, -0.5, -0.4));
    let alone = figure(None, (0.9, 0.0, 0.8, 1.0));
    for (queries, expected) in [
        (1, [Verdict::Inconclusive; 4]),
        (30, [Verdict::Inconclusive; 4]),
        (49, [Verdict::Inconclusive; 4]),
        (
            50,
            [
                Verdict::Passed,
                Verdict::Failed,
                Verdict::Failed,
                Verdict::Passed,
            ],
        ),
        (0, [Verdict::Error; 4]),
    ] {
        let found = [
            (&rule, &better),
            (&rule, &bad),
            (&worse, &bad),
            (&at_least("0.6"), &alone),
        ]
        .map(|(rule, figure)| {
            verdict(vec![rule.clone()], &[of_queries(queries, figure.clone())]).verdict
        });
        assert_eq!(found, expected, "{queries} queries");
    }
    let message = &verdict(vec![rule], &[of_queries(30, better)]).rules[0].message;
    insta::assert_snapshot!(message, @"NDCG@10 has 30 queries, 50 are needed: too few data to tell");
    // One query has no bounds at all.
    let unbounded = Figure {
        low: None,
        high: None,
        ..of_queries(1, alone.clone())
    };
    let found = verdict(vec![at_least("0.6")], &[unbounded]);
    assert_eq!(found.verdict, Verdict::Inconclusive);
}

#[test]
fn a_candidate_that_saw_the_held_out_days_passes_no_rule() {
    let mut alone = figure(None, (0.9, 0.0, 0.8, 1.0));
    alone.holdout_overlap = true;
    let found = verdict(vec![at_least("0.6")], &[alone]);
    assert_eq!(found.verdict, Verdict::Error);
    insta::assert_snapshot!(found.rules[0].message, @"NDCG@10: HoldoutOverlap, the candidate has trained on the held-out days: error");
}

fn guard(slice: ListSlice, margin: &str) -> GateRule {
    GateRule {
        name: format!("{slice:?}").to_lowercase(),
        slice: Some(slice),
        ..against(Reference::Served, Goal::NotWorse, margin)
    }
}

/// A slice's figure whose bounds are .05 around the gain.
fn slice_figure(slice: ListSlice, gain: f64) -> Figure {
    let numbers = (0.5 * (1.0 + gain), 0.5, gain - 0.05, gain + 0.05);
    Figure {
        slice: Some(slice),
        ..figure(Some(Reference::Served), numbers)
    }
}

#[test]
fn guards_fail_only_where_they_are_surely_worse() {
    use Verdict::{Failed, NotJudged, Passed};
    let slices = [
        ListSlice::ColdQueries,
        ListSlice::ColdItems,
        ListSlice::Tail,
    ];
    let rules = |dry_run: bool| {
        let rule = |slice| GateRule {
            dry_run,
            ..guard(slice, "0.02")
        };
        slices.map(rule).to_vec()
    };
    let all = figure(None, (0.7, 0.0, 0.69, 0.71));
    let judged = |rules: Vec<GateRule>, gains: [f64; 3], queries: i64| {
        let mut figures = vec![all.clone()];
        let pairs = slices.into_iter().zip(gains);
        figures.extend(pairs.map(|(slice, gain)| of_queries(queries, slice_figure(slice, gain))));
        let gate = verdict(rules, &figures);
        let verdicts: Vec<_> = gate.rules.iter().map(|rule| rule.verdict).collect();
        (gate.verdict, verdicts)
    };
    // A comparison would be inconclusive: a guard passes what it cannot tell.
    assert_eq!(
        judged(rules(false), [-0.03, 0.0, 0.1], 400),
        (Passed, vec![Passed; 3])
    );
    // By itself it would fall at 5 %, beside two others it does not.
    assert_eq!(
        judged(rules(false), [-0.072, 0.0, 0.1], 400),
        (Passed, vec![Passed; 3])
    );
    assert_eq!(
        judged(vec![guard(slices[0], "0.02")], [-0.072, 0.0, 0.1], 400),
        (Failed, vec![Failed])
    );
    assert_eq!(
        judged(rules(false), [-0.1, 0.0, 0.1], 400),
        (Failed, vec![Failed, Passed, Passed])
    );
    // The first that falls leaves fewer for the next.
    assert_eq!(
        judged(rules(false), [-0.2, -0.082, 0.1], 400),
        (Failed, vec![Failed, Failed, Passed])
    );
    assert_eq!(
        judged(rules(false), [-0.9, -0.9, -0.9], 49),
        (Passed, vec![NotJudged; 3])
    );
    assert_eq!(judged(rules(true), [-0.2, 0.0, 0.1], 400).0, Passed);
    // Guards that only report do not make the others more lenient.
    let mut mixed = rules(true);
    mixed[0].dry_run = false;
    assert_eq!(judged(mixed, [-0.072, 0.0, 0.1], 400).0, Failed);
}

#[test]
fn guards_say_what_they_saw() {
    let slice = ListSlice::ColdQueries;
    let words = |gain, queries| {
        let figures = [of_queries(queries, slice_figure(slice, gain))];
        verdict(vec![guard(slice, "0.02")], &figures).rules[0]
            .message
            .clone()
    };
    insta::assert_snapshot!(words(-0.1, 400), @"NDCG@10 0.450 against 0.500 of the served version: -10.0 %, may lose 2.0 %, p 0.004: failed");
    insta::assert_snapshot!(words(0.1, 400), @"NDCG@10 0.550 against 0.500 of the served version: +10.0 %, may lose 2.0 %, p 1.000: passed");
    insta::assert_snapshot!(words(0.1, 12), @"NDCG@10 has 12 queries, 50 are needed: not judged");
    let mut broken = slice_figure(slice, 0.1);
    broken.high = None;
    let found = verdict(vec![guard(slice, "0.02")], &[broken]);
    assert_eq!(found.verdict, Verdict::Error);
}

#[test]
fn messages_name_the_best_version() {
    let best = Figure {
        on: Some(Evidence::Judgments),
        ..figure(Some(Reference::BestPromoted), (0.699, 0.7, -0.005, 0.003))
    };
    let rule = GateRule {
        on: Some(Evidence::Judgments),
        ..against(Reference::BestPromoted, Goal::NotWorse, "0.02")
    };
    insta::assert_snapshot!(verdict(vec![rule], &[best]).rules[0].message, @"NDCG@10 0.699 against 0.700 of v5: -0.1 % (at least -0.5 %), may lose 2.0 %: passed");
}

#[test]
fn small_losses_do_not_add_up() {
    // Each version is .3 % worse than the one before, which alone passes for ever.
    let evaluation = Evaluation::default();
    let loses = |against, loss: f64| {
        let numbers = (0.7 * (1.0 - loss), 0.7, -loss - 0.006, -loss + 0.006);
        figure(Some(against), numbers)
    };
    let judged = |weeks: f64| {
        let figures = [
            figure(Some(Reference::Bm25), (0.7, 0.5, 0.3, 0.5)),
            loses(Reference::Served, 0.003),
            loses(Reference::BestPromoted, 0.003 * weeks),
        ];
        let trial = Trial {
            version: 9,
            trigger: Trigger::Schedule,
            has_served: true,
            figures: &figures,
            best_promoted: None,
        };
        judge(&evaluation, trial).verdict
    };
    assert_eq!(judged(1.0), Verdict::Passed);
    assert_eq!(judged(4.0), Verdict::Passed);
    assert_eq!(judged(6.0), Verdict::Inconclusive);
    assert_eq!(judged(9.0), Verdict::Failed);
}

proptest! {
    #[test]
    fn complaint_4_a_figure_that_is_no_number_never_passes(
        which in 0_usize..4, goal in prop_oneof![Just(Goal::Superior), Just(Goal::NotWorse)],
        margin in 0_u32..200_000, wrong in prop_oneof![Just(None), Just(Some("NaN")), Just(Some("inf")), Just(Some(""))],
    ) {
        let mut bad = figure(Some(Reference::Served), (0.9, 0.1, 5.0, 9.0));
        let field = [&mut bad.candidate, &mut bad.reference, &mut bad.low, &mut bad.high];
        *field.into_iter().nth(which).unwrap() = wrong.map(str::to_owned);
        let margin = format!("{:.6}", f64::from(margin) / 1e6);
        let found = verdict(vec![against(Reference::Served, goal, &margin)], &[bad]);
        prop_assert_eq!(found.verdict, Verdict::Error);
    }
}
