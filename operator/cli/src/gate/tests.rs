use searchop_contract::{
    BoostingParameters, ClickWeights, Digest, Evidence, ListSlice, Measure, Measurement, Metric,
    Reference,
};
use searchop_evaluation::report::{
    Changes, Comparison, Course, Figures, OtherSeed, QueryChange, Search, SliceFigures, Trial,
};

use super::*;
use crate::terminal::Paint;

/// A version that gains this much on what served.
fn report(version: u32, gain: f64) -> EvaluationReport {
    let measurement = |against, reference: f64| Measurement {
        measure: Measure::new(Metric::NDCG, 10, Some(against)),
        candidate: Some(0.7),
        reference: Some(reference),
        low: Some(0.7 / reference - 1.01),
        high: Some(0.7 / reference - 0.99),
        queries: 400,
        holdout_overlap: false,
    };
    let figures = |ranker: &str, ndcg| Figures {
        ranker: ranker.to_owned(),
        ndcg_at_10: Some(ndcg),
        mrr_at_10: Some(0.5),
        map_at_10: None,
        recall_at_10: Some(0.9),
        err_at_10: Some(0.3),
    };
    let served = 0.7 / (1.0 + gain);
    let change = |query: &str, candidate, other| QueryChange {
        query: query.to_owned(),
        candidate,
        other,
    };
    EvaluationReport {
        version,
        digest: Digest::of(b"model"),
        reference: (version > 1).then(|| Digest::of(b"served")),
        from: "2026-11-17".to_owned(),
        to: "2026-11-23".to_owned(),
        confidence: 0.95,
        evidence: Evidence::DebiasedClicks,
        clicks: Some(ClickWeights {
            clipped_share: 0.031,
            effective_clicks: 812.4,
        }),
        best_promoted: Some(1),
        measurements: vec![
            measurement(Reference::Bm25, 0.5),
            measurement(Reference::Served, served),
            measurement(Reference::BestPromoted, served),
        ],
        rankers: vec![figures("candidate", 0.7), figures("served", served)],
        comparisons: vec![Comparison {
            against: "served".to_owned(),
            difference: Some(gain),
            low: Some(gain - 0.01),
            high: Some(gain + 0.01),
            smallest_gain: Some(0.015),
            wins: 30,
            ties: 360,
            losses: 10,
            worst_decile: Some(-0.12),
            rank_biased_overlap: Some(0.93),
        }],
        slices: vec![SliceFigures {
            slice: ListSlice::ColdQueries,
            queries: 31,
            candidate: Some(0.52),
            served: Some(0.5),
        }],
        changes: Changes {
            winners: vec![change("red shoe", 1.0, 0.4)],
            losers: vec![change("tent", 0.2, 0.9)],
        },
        course: Some(course()),
        other_seed: Some(OtherSeed {
            seed: 41,
            seconds: 3.25,
            comparison: Comparison {
                against: "seed 41".to_owned(),
                difference: Some(-0.002),
                low: Some(-0.012),
                high: Some(0.008),
                smallest_gain: Some(0.015),
                wins: 60,
                ties: 280,
                losses: 60,
                worst_decile: Some(-0.08),
                rank_biased_overlap: Some(0.74),
            },
        }),
    }
}

/// 150 trees of which 117 are kept.
fn course() -> Course {
    let value = |tree: u32| 0.7 - 0.2 / f64::from(tree);
    let valid: Vec<f64> = (1..=150).map(value).collect();
    let train: Vec<(u32, f64)> = (0..=15)
        .map(|tenth| (tenth * 10).max(1))
        .map(|tree| (tree, value(tree) + 0.05))
        .collect();
    let gain = |feature: u32| {
        (
            format!("f{feature}"),
            f64::from(feature),
            u64::from(feature),
        )
    };
    let trial = |num_leaves, valid| Trial {
        parameters: BoostingParameters {
            num_leaves,
            ..BoostingParameters::default()
        },
        valid: Some(valid),
        trees: 117,
    };
    Course {
        tuning: Some(Search {
            asked: 20,
            trials: vec![trial(7, 0.69), trial(12, 0.698)],
            chosen: 1,
            out_of_time: true,
        }),
        ..Course::new(117, (&valid, &train), (0..12).map(gain))
    }
}

fn stored(reports: &[EvaluationReport]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("artifacts/reports");
    fs::create_dir_all(&folder).unwrap();
    for report in reports {
        let path = folder.join(format!("v{}.json", report.version));
        fs::write(path, serde_json::to_vec(report).unwrap()).unwrap();
    }
    dir
}

fn of(dir: &Path) -> args::Reports {
    args::Reports {
        folder: args::Folder {
            dir: dir.to_owned(),
        },
        artifacts: None,
    }
}

#[test]
fn a_version_is_explained_with_its_verdict() {
    let report = report(3, 0.02);
    let evaluation = Evaluation::default();
    let gate = judge(&evaluation, &report, Trigger::Schedule);
    let judged = Some((gate, evaluation.gates.as_slice()));
    let served = EvaluationReport {
        version: 2,
        ..report.clone()
    };
    insta::assert_snapshot!(render::explanation(
        &report,
        Some(&served),
        judged,
        Paint::PLAIN
    ));
}

#[test]
fn versions_are_judged_by_other_rules() {
    let reports = [report(1, 0.0), report(2, 0.004), report(10, -0.03)];
    let evaluation = Evaluation::default();
    let line = |report: &EvaluationReport| render::Line {
        outcome: (report.version == 1).then_some("Promoted"),
        trigger: Trigger::Schedule,
        gate: judge(&evaluation, report, Trigger::Schedule),
    };
    let lines: Vec<_> = reports.iter().map(line).collect();
    insta::assert_snapshot!(render::backtest(&lines, Paint::PLAIN));
}

#[test]
fn reports_are_found_by_number() {
    let dir = stored(&[report(10, 0.1), report(9, 0.1)]);
    let found = Stored::read(&of(dir.path())).unwrap();
    assert_eq!(found.versions(), "v9, v10");
    assert_eq!(found.report(None).unwrap().version, 10);
    assert_eq!(found.report(Some(9)).unwrap().version, 9);
    let error = found.report(Some(3)).unwrap_err();
    assert!(
        error.to_string().starts_with("v3 has no report in "),
        "{error}"
    );
    assert!(error.to_string().ends_with("there are v9, v10"), "{error}");
    assert_eq!(error.exit(), Exit::NotFound);
}

#[test]
fn without_reports_it_is_said_where_they_would_be() {
    let empty = tempfile::tempdir().unwrap();
    let error = Stored::read(&of(empty.path())).unwrap_err();
    assert!(error.to_string().contains("artifacts/reports"), "{error}");
    assert_eq!(error.exit(), Exit::NotFound);
    let damaged = stored(&[]);
    fs::write(damaged.path().join("artifacts/reports/v1.json"), "{").unwrap();
    let error = Stored::read(&of(damaged.path())).unwrap_err();
    assert!(error.to_string().contains("v1.json"), "{error}");
}
