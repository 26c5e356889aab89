use proptest::prelude::*;
use searchop_api::GateRule;
use searchop_contract::Metric;

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
        ("0.60", 0.599_999, Verdict::Failed),
        ("0", 0.0, Verdict::Passed),
        ("1", 0.999, Verdict::Failed),
        ("high", 0.7, Verdict::Error),
        ("0.1", f64::NAN, Verdict::Error),
    ] {
        let found = verdict(
            vec![at_least(threshold)],
            &[figure(None, (candidate, 0.0, 0.0, 1.0))],
        );
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
        @"NDCG@10 0.735 against 0.700 of the served version: +4.986 % (at least +1.000 %), needs +5.000 %: too few data to tell"
    );
    insta::assert_snapshot!(
        words(against(Reference::Served, Goal::NotWorse, "0.01"), &served((0.699, 0.7, -0.005, 0.003))),
        @"NDCG@10 0.699 against 0.700 of the served version: -0.1 % (at least -0.5 %), must not be below -1.0 %: passed"
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
fn the_first_version_skips_rules_against_the_served_one_and_says_so() {
    let evaluation = Evaluation::default();
    let figures = [figure(Some(Reference::Bm25), (0.741, 0.5, 0.4, 0.5))];
    let trial = Trial {
        version: 1,
        trigger: Trigger::SpecChange,
        has_served: false,
        figures: &figures,
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
            ("steady", Verdict::Skipped)
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
    let measure = |against| Measure {
        metric: Metric::NDCG,
        k: 10,
        against,
    };
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
        measures(&evaluation, true)[..3],
        [Some(Reference::Bm25), Some(Reference::Served), None].map(measure)
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
        1,
        "bounds hold for one confidence"
    );
    assert_eq!(missing_measures(&other, &candidate, false), []);
}

proptest! {
    #[test]
    fn a_figure_that_is_no_number_never_passes(
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
