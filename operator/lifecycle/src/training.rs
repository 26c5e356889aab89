//! What becomes of a run's Job: a candidate, a start-over or a failure.

use searchop_api::{Candidate, Figure, Outcome, Run};
use searchop_contract::{FailureReason, TrainingReport};

use crate::{
    Observed, ObservedJob, gate,
    run::{self, Ending, Step, end, fail, normal, warning},
    time::stored,
};

/// A run whose report was lost is started over this often.
pub const MAX_ATTEMPTS: i32 = 2;

pub(crate) fn read_job(seen: &Observed, run: &Run) -> Option<Step> {
    match seen.job.as_ref()? {
        ObservedJob::Blocked { .. } | ObservedJob::Active { .. } => None,
        ObservedJob::Reported(report) if i64::from(report.version) != i64::from(run.version) => {
            let message = format!("the report speaks of version {}", report.version);
            Some(start_over(seen, run, &message))
        }
        ObservedJob::Reported(report) => Some(store_report(seen, run, report)),
        ObservedJob::ReportLost { message } => Some(start_over(seen, run, message)),
        ObservedJob::Failed { reason, message } => Some(fail(seen, *reason, message)),
    }
}

fn store_report(seen: &Observed, run: &Run, report: &TrainingReport) -> Step {
    if let Some(failure) = &report.failure {
        return fail(seen, failure.reason, &failure.message);
    }
    if report.data_unchanged && run::only_if_data_changed(run) {
        return data_unchanged(seen, run, report);
    }
    // An evaluation publishes nothing new: what is measured is what was trained.
    let published = match (&run.candidate, &report.published) {
        (Some(candidate), _) => candidate.clone(),
        (None, Some(published)) => Candidate {
            digest: published.digest.to_string(),
            tables_digest: published.tables_digest.to_string(),
            trained_through_time: stored(published.trained_through_time),
            tables_time: stored(published.tables_time),
            evaluation: 0,
            confidence: String::new(),
            evidence: None,
            best_promoted: None,
            seed_overlap: None,
            figures: Vec::new(),
        },
        (None, None) => return start_over(seen, run, "the report names no published model"),
    };
    let candidate = Candidate {
        evaluation: run.evaluation,
        confidence: seen.spec.evaluation.confidence.clone(),
        evidence: report.evidence,
        best_promoted: report
            .best_promoted
            .and_then(|version| i32::try_from(version).ok()),
        // An evaluation trains no second one.
        seed_overlap: report
            .seed_overlap
            .filter(|overlap| (0.0..=1.0).contains(overlap))
            .map(|overlap| format!("{overlap:.3}"))
            .or_else(|| published.seed_overlap.clone()),
        figures: report
            .measurements
            .iter()
            .take(16)
            .map(Figure::from)
            .collect(),
        ..published
    };
    let headline = gate::headline(&seen.spec.evaluation, &candidate.figures);
    let mut status = seen.status.clone();
    if let Some(run) = &mut status.run {
        run.candidate = Some(candidate);
    }
    let note = normal(
        "RunReported",
        format!("v{} is trained: {headline}", run.version),
    );
    Step {
        status,
        notes: vec![note],
    }
}

/// Nothing was trained, since it would have been what serves.
fn data_unchanged(seen: &Observed, run: &Run, report: &TrainingReport) -> Step {
    let served = seen.status.served.as_ref();
    let published = report.published.as_ref();
    let same = published.zip(served).filter(|(published, served)| {
        published.digest.as_str() == served.digest && run.train_hash == served.train_hash
    });
    let Some((_, served)) = same else {
        return start_over(seen, run, "the report speaks of another version's data");
    };
    let message = format!("the data are those of {}: nothing was trained", served.name);
    let note = normal("Unchanged", format!("v{}: {message}", run.version));
    let ending = Ending {
        outcome: Outcome::Unchanged,
        reason: "DataUnchanged",
        message,
    };
    end(seen, seen.status.clone(), ending, note)
}

/// The Job is done but what it said is gone. Publishing twice is publishing once, so the run is
/// simply done again, a few times at most.
fn start_over(seen: &Observed, run: &Run, message: &str) -> Step {
    if run.attempt >= MAX_ATTEMPTS {
        return fail(seen, FailureReason::ReportMissing, message);
    }
    let mut status = seen.status.clone();
    if let Some(run) = &mut status.run {
        run.attempt += 1;
    }
    let message = format!("v{} is run again: {message}", run.version);
    Step {
        status,
        notes: vec![warning("ReportLost", message)],
    }
}
