//! The largest status fits into 18 KiB, of which drift takes two.

use searchop_api::{
    Candidate, DriftFinding, DriftStatus, DriftedFeature, Figure, GateRule, GateStatus, Goal,
    HistoryEntry, Outcome, RefreshOutcome, Run, ServedVersion, TablesRefresh, Trigger, Verdict,
    conditions::{AWAITING_APPROVAL, ConditionState, ConditionStatus, set_condition},
    figures::decimal,
};
use searchop_contract::{Evidence, ListSlice, Metric, Reference};

use super::*;
use crate::testing::{candidate, served, time};

const LIMIT: usize = 18 * 1024;

/// 16 rules with the longest names, numbers and words.
fn full_gate(spec: &RankingModelSpec, figures: &[Figure]) -> GateStatus {
    let trial = crate::gate::Trial {
        version: 1_000_000,
        trigger: Trigger::SpecChange,
        has_served: true,
        figures,
        best_promoted: Some(999_999),
    };
    crate::gate::judge(&spec.evaluation, trial)
}

/// Rules on all lists, or guards of a slice.
fn full_spec(slice: bool) -> RankingModelSpec {
    let mut spec = synthetic_spec();
    spec.evaluation.gates = (985..=1000)
        .map(|k| GateRule {
            name: format!("{:x<35}-{k}", "rule"),
            metric: Metric::NDCG,
            k,
            threshold: None,
            against: Some(Reference::BestPromoted),
            goal: Some(Goal::NotWorse),
            margin: Some("0.123456".into()),
            on: Some(Evidence::DebiasedClicks),
            slice: slice.then_some(ListSlice::ColdQueries),
            applies_to: vec![],
            dry_run: false,
        })
        .collect();
    spec
}

fn full_figures(spec: &RankingModelSpec, overlap: bool) -> Vec<Figure> {
    let figure = |rule: &GateRule| Figure {
        metric: rule.metric,
        k: rule.k,
        against: rule.against,
        candidate: decimal(0.123_456),
        // Where days overlap there is nothing to compare with.
        reference: decimal(0.987_654).filter(|_| !overlap),
        low: decimal(-0.987_654).filter(|_| !overlap),
        high: decimal(-0.787_654).filter(|_| !overlap),
        queries: u32::MAX.into(),
        holdout_overlap: overlap,
        on: rule.on,
        slice: rule.slice,
    };
    spec.evaluation.gates.iter().map(figure).collect()
}

fn full_version(version: i32) -> ServedVersion {
    ServedVersion {
        name: format!("v{version}"),
        version,
        headline_metric: "NDCG@1000 not measured".into(),
        ..served("x", version)
    }
}

#[test]
fn the_largest_status_fits() {
    for (outcome, overlap, slice) in [
        (Outcome::Rejected, false, false),
        (Outcome::Rejected, false, true),
        (Outcome::Rejected, true, true),
        (Outcome::Failed, false, true),
    ] {
        let spec = full_spec(slice);
        let figures = full_figures(&spec, overlap);
        let gate = full_gate(&spec, &figures);
        assert!(gate.verdict >= Verdict::Failed);
        let summary = crate::gate::summary(&gate);
        let mut seen = fresh(spec.clone());
        let version = 1_000_000;
        let candidate = Candidate {
            figures,
            evidence: Some(Evidence::DebiasedClicks),
            best_promoted: Some(version - 1),
            seed_overlap: Some("0.123".into()),
            ..candidate("x")
        };
        let words = if outcome == Outcome::Failed {
            "ä".repeat(1024)
        } else {
            summary
        };
        seen.generation = i64::MAX;
        seen.url = Some(format!("http://{:x<40}.{:x<63}.svc:8080/rank", "", ""));
        seen.selector = Some(format!(
            "searchop.io/model-uid={:x<36},searchop.io/track=stable",
            ""
        ));
        seen.next_retrain = Some(at("2026-11-24T09:30:00Z"));
        let status = &mut seen.status;
        status.last_handled_request =
            Some(format!("Schedule/{:x<40}!replace/2026-11-24T09:30:00Z", ""));
        status.ignored_request = Some("x".repeat(64));
        status.served = Some(full_version(version - 1));
        status.previous = Some(full_version(version - 2));
        status.gate = (outcome != Outcome::Failed).then_some(gate);
        status.history = (0..history::MAX_ENTRIES)
            .map(|n| HistoryEntry {
                digest: Some(candidate.digest.clone()),
                tables_digest: (n < history::WITH_TABLES).then(|| candidate.tables_digest.clone()),
                trigger: Trigger::SpecChange,
                reason: Some("Promoted".into()),
                headline_metric: Some("NDCG@1000 not measured".into()),
                trained_through_time: Some(time("2026-11-24T00:00:00Z")),
                ..crate::testing::history_entry(version - n as i32, Outcome::Promoted)
            })
            .collect();
        status.ignored_refresh = Some("x".repeat(64));
        status.refresh = Some(TablesRefresh {
            number: version,
            version,
            digest: candidate.digest.clone(),
            trigger: Trigger::Schedule,
            request_token: format!("Schedule/{:x<40}/2026-11-24T09:30:00Z", ""),
            as_of_time: time("2026-11-24T00:00:00Z"),
            start_time: time("2026-11-24T00:00:00Z"),
            attempt: 2,
            tables_digest: Some(candidate.tables_digest.clone()),
            tables_time: Some(time("2026-11-24T00:00:00Z")),
            outcome: Some(RefreshOutcome::Failed),
            reason: Some("StorageUnavailable".into()),
            message: Some("ä".repeat(160)),
            completion_time: Some(time("2026-11-24T00:00:00Z")),
        });
        let finding = || DriftFinding {
            start_time: time("2026-11-24T00:00:00Z"),
            end_time: time("2026-11-24T00:00:00Z"),
            requests: i64::from(u32::MAX),
            drifted_share: "0.987654".into(),
            score_psi: "12.345678".into(),
            features: vec![
                DriftedFeature {
                    name: "x".repeat(32),
                    psi: "12.345678".into(),
                    jensen_shannon: "0.987654".into(),
                    importance: "0.323456".into(),
                };
                3
            ],
        };
        seen.drift = Some(DriftStatus {
            version: version - 1,
            digest: candidate.digest.clone(),
            start_time: time("2026-11-24T00:00:00Z"),
            skew: Some(finding()),
            drift: Some(finding()),
            drifted_windows: 1000,
        });
        status.run = Some(Run {
            version,
            train_hash: crate::train_hash(&with_leaves(15)),
            settings_hash: Some("x".repeat(16)),
            measures_hash: Some("x".repeat(16)),
            trigger: Trigger::SpecChange,
            request_token: status.last_handled_request.clone(),
            as_of_time: time("2026-11-24T00:00:00Z"),
            reference_digest: Some(candidate.digest.clone()),
            start_time: time("2026-11-24T00:00:00Z"),
            evaluation: 99,
            attempt: 2,
            canary: Some(searchop_api::Canary {
                step: 9,
                start_time: Some(time("2026-11-24T00:00:00Z")),
                shadow: Some(searchop_api::ShadowOverlap {
                    requests: i64::from(u32::MAX),
                    overlap: "0.123456".into(),
                    top10_change: "0.123456".into(),
                    seed_overlap: Some("0.123".into()),
                }),
            }),
            candidate: Some(candidate),
            outcome: Some(outcome),
            reason: Some("StorageUnavailable".into()),
            message: Some(run::cut(&words)),
            completion_time: Some(time("2026-11-24T00:00:00Z")),
        });
        seen.spec = edited(&spec, "/training/parameters/numLeaves", json!(15));
        seen.status.run.as_mut().unwrap().train_hash = crate::train_hash(&seen.spec);
        // A version waited once, so whether one does is told for ever.
        let waited = ConditionState {
            type_: AWAITING_APPROVAL,
            status: ConditionStatus::True,
            reason: "ApprovalRequired".into(),
            message: String::new(),
        };
        set_condition(&mut seen.status.conditions, waited, 1, seen.now);
        let mut status = seen.status.clone();
        conditions::write(&mut status, &seen);
        assert!(is_true(&status.conditions, "Stalled"));
        assert!(is_true(&status.conditions, "Drifted"));
        let bytes = serde_json::to_vec(&status).unwrap().len();
        println!("{outcome:?} overlap {overlap}: {bytes} bytes");
        assert!(bytes <= LIMIT, "{outcome:?}: {bytes} bytes");
    }
}
