//! What the gate's verdict does to a run.

use searchop_api::{Candidate, GateStatus, Outcome, Run, Verdict};

use crate::{
    Observed, approval, gate, rollout,
    run::{Ending, Step, end, normal, open_rollout, reopen_run, warning},
};

/// A gate rule said no.
const GATE_FAILED: &str = "GateFailed";
const GATE_INCONCLUSIVE: &str = "GateInconclusive";
/// A rule could not be decided since a figure is missing or means nothing.
const GATE_ERROR: &str = "GateError";

/// Judges a candidate for the first time, or again by other rules.
pub(crate) fn judge(seen: &Observed, run: &Run, candidate: &Candidate) -> Step {
    let served = seen.status.served.as_ref();
    if served.is_some_and(|served| {
        served.digest == candidate.digest && served.tables_digest == candidate.tables_digest
    }) {
        return unchanged(seen, run, candidate);
    }
    let evaluation = &seen.spec.evaluation;
    let other_reference = run.reference_digest.as_deref() != served.map(|served| &*served.digest);
    let asked_for_others =
        run.measures_hash.as_deref() != Some(&gate::measures_hash(evaluation, served.is_some()));
    let missing = gate::missing_measures(evaluation, candidate, served.is_some());
    if other_reference || (asked_for_others && !missing.is_empty()) {
        return measure_again(seen, run);
    }
    let trial = gate::Trial {
        version: run.version,
        trigger: run.trigger,
        has_served: served.is_some(),
        figures: &candidate.figures,
        best_promoted: candidate.best_promoted,
    };
    decide(seen, run, gate::judge(evaluation, trial))
}

fn decide(seen: &Observed, run: &Run, gate: GateStatus) -> Step {
    let words = gate::summary(&gate);
    let verdict = gate.verdict;
    let version = run.version;
    let mut status = seen.status.clone();
    status.gate = Some(gate);
    if gate::promotes(verdict, seen.spec.evaluation.on_inconclusive) {
        if approval::is_aborted(&seen.spec, run) {
            return rollout::abort(seen, run);
        }
        if let Some(hold) = approval::hold(&seen.spec, run, verdict) {
            return approval::wait(seen, status, hold);
        }
        open_rollout(seen, &mut status);
        let note = match verdict {
            Verdict::Inconclusive => normal(
                "GateInconclusive",
                format!("v{version} may serve though the data cannot tell: {words}"),
            ),
            _ => normal("GatePassed", format!("v{version} may serve: {words}")),
        };
        return Step {
            status,
            notes: vec![note],
        };
    }
    let (outcome, reason, event) = match verdict {
        Verdict::Inconclusive => (Outcome::Inconclusive, GATE_INCONCLUSIVE, "GateInconclusive"),
        Verdict::Error => (Outcome::Rejected, GATE_ERROR, "GateRejected"),
        _ => (Outcome::Rejected, GATE_FAILED, "GateRejected"),
    };
    let note = warning(event, format!("v{version} was not promoted: {words}"));
    end(
        seen,
        status,
        Ending {
            outcome,
            reason,
            message: words,
        },
        note,
    )
}

/// What serves keeps serving whatever the new rules say; they are for the next version. The verdict
/// is shown all the same, from the figures that there are.
pub(crate) fn judge_served(seen: &Observed, run: &Run, candidate: &Candidate) -> Step {
    let evaluation = &seen.spec.evaluation;
    let has_served = run.reference_digest.is_some();
    let missing = gate::missing_measures(evaluation, candidate, has_served);
    let trial = gate::Trial {
        version: run.version,
        trigger: run.trigger,
        has_served,
        figures: &candidate.figures,
        best_promoted: candidate.best_promoted,
    };
    let mut known = evaluation.clone();
    known
        .gates
        .retain(|rule| !missing.contains(&gate::measure_of(rule)));
    let mut gate = gate::judge(&known, trial);
    gate.rules_hash = gate::rules_hash(evaluation);
    if known.gates.is_empty() {
        gate.verdict = Verdict::Skipped;
    }
    let words = match gate.verdict {
        Verdict::Passed => "it passes them too".to_owned(),
        Verdict::Skipped => "what they read was not measured for it".to_owned(),
        _ => gate::summary(&gate),
    };
    let mut status = seen.status.clone();
    status.gate = Some(gate);
    let message = format!(
        "the gate's rules changed; v{} keeps serving: {words}",
        run.version
    );
    Step {
        status,
        notes: vec![normal("GateChanged", message)],
    }
}

fn unchanged(seen: &Observed, run: &Run, candidate: &Candidate) -> Step {
    let mut status = seen.status.clone();
    if let Some(served) = &mut status.served {
        served.train_hash.clone_from(&run.train_hash);
        served.trained_through_time = candidate.trained_through_time.clone();
        served.tables_time = candidate.tables_time.clone();
    }
    let version = status.served.as_ref().map_or(0, |served| served.version);
    let message = format!("the same model as v{version}, which serves");
    let note = normal("Unchanged", format!("v{} is {message}", run.version));
    end(
        seen,
        status,
        Ending {
            outcome: Outcome::Unchanged,
            reason: "Unchanged",
            message,
        },
        note,
    )
}

/// Asks for an evaluate-only Job: the rules read figures that nobody measured, or what serves is not
/// what the figures compare with.
fn measure_again(seen: &Observed, run: &Run) -> Step {
    let mut status = seen.status.clone();
    let served = seen.status.served.as_ref();
    reopen_run(&mut status);
    status.gate = None;
    if let Some(run) = &mut status.run {
        run.evaluation += 1;
        run.attempt = 0;
        run.reference_digest = served.map(|served| served.digest.clone());
        run.measures_hash = Some(gate::measures_hash(&seen.spec.evaluation, served.is_some()));
    }
    let message = format!(
        "v{} is measured again: the gate needs figures that it does not have",
        run.version
    );
    Step {
        status,
        notes: vec![normal("EvaluationStarted", message)],
    }
}
