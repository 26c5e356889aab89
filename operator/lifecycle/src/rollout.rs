//! From a passed gate to a version that serves.

use searchop_api::{Candidate, Outcome, Run, ServedVersion};
use searchop_contract::FailureReason;

use crate::{
    Observed, approval, canary, gate,
    run::{
        Ending, Step, digests, end, fail, left_standing, live, normal, open_rollout, reopen_run,
        warning,
    },
    time::stored,
    train_hash::settings_hash,
};

/// `rollout.abortedVersion` named the version.
const ABORTED: &str = "Aborted";
/// What the pods reported of a canary was over a limit.
const ANALYSIS_FAILED: &str = "AnalysisFailed";

/// The candidate passed the gate: is it what answers now?
pub(crate) fn roll_out(seen: &Observed, run: &Run, candidate: &Candidate) -> Option<Step> {
    if approval::is_aborted(&seen.spec, run) {
        return Some(abort(seen, run));
    }
    if seen.spec.rollout.pinned_version.is_some() {
        let verdict = seen.status.gate.as_ref()?.verdict;
        let hold = approval::hold(&seen.spec, run, verdict)?;
        return Some(approval::wait(seen, seen.status.clone(), hold));
    }
    if canary::step(&seen.spec, run).is_some() {
        return canary::advance(seen, run);
    }
    if !is_target(seen, candidate) {
        return None;
    }
    if has_settled(seen) {
        return Some(promote(seen, candidate));
    }
    Some(fail_rollout(seen, seen.serving.stuck.as_ref()?))
}

/// The pods did not get ready.
pub(crate) fn fail_rollout(seen: &Observed, message: &str) -> Step {
    let mut step = fail(seen, FailureReason::RolloutFailed, message);
    step.notes
        .iter_mut()
        .for_each(|note| note.reason = "RolloutFailed");
    step
}

/// The pods are ready, and what they report of the candidate is over a limit.
pub(crate) fn fail_analysis(seen: &Observed, words: &str) -> Step {
    let version = live(&seen.status).map_or(0, |run| run.version);
    let ending = Ending {
        outcome: Outcome::Failed,
        reason: ANALYSIS_FAILED,
        message: words.to_owned(),
    };
    let note = warning("CanaryFailed", format!("v{version} is given up: {words}"));
    end(seen, seen.status.clone(), ending, note)
}

/// More room or memory may mend what failed.
pub(crate) fn may_be_repeated(run: &Run) -> bool {
    let reasons = [FailureReason::RolloutFailed.as_str(), ANALYSIS_FAILED];
    run.reason
        .as_deref()
        .is_some_and(|reason| reasons.contains(&reason))
}

/// A first rollout failed, since its pods were late or their storage did not answer, say. Nothing
/// else serves, so they were left as they are: have they settled since?
pub(crate) fn take_up(seen: &Observed) -> Option<Step> {
    let candidate = left_standing(&seen.status, seen.spec.evaluation.on_inconclusive)?;
    if !is_target(seen, candidate) || !has_settled(seen) {
        return None;
    }
    let mut reopened = seen.clone();
    reopen_run(&mut reopened.status);
    Some(promote(&reopened, candidate))
}

/// Somebody gave the version up: what serves stays, or comes back.
pub(crate) fn abort(seen: &Observed, run: &Run) -> Step {
    let message = "rollout.abortedVersion names it".to_owned();
    let note = warning(
        "Aborted",
        format!("v{} is given up: {message}", run.version),
    );
    let ending = Ending {
        outcome: Outcome::Failed,
        reason: ABORTED,
        message,
    };
    end(seen, seen.status.clone(), ending, note)
}

fn is_target(seen: &Observed, candidate: &Candidate) -> bool {
    let wanted = digests(&candidate.digest, &candidate.tables_digest);
    wanted.is_some() && seen.serving.target == wanted && seen.serving.candidate.is_none()
}

fn has_settled(seen: &Observed) -> bool {
    seen.serving.settled && seen.serving.ready_pods > 0
}

fn promote(seen: &Observed, candidate: &Candidate) -> Step {
    let mut status = seen.status.clone();
    let Some(run) = live(&seen.status) else {
        return Step {
            status,
            notes: Vec::new(),
        };
    };
    let headline = gate::headline(&seen.spec.evaluation, &candidate.figures);
    let old = status.served.replace(ServedVersion {
        name: format!("v{}", run.version),
        version: run.version,
        digest: candidate.digest.clone(),
        tables_digest: candidate.tables_digest.clone(),
        train_hash: run.train_hash.clone(),
        headline_metric: headline.clone(),
        trained_through_time: candidate.trained_through_time.clone(),
        tables_time: candidate.tables_time.clone(),
        promoted_time: stored(seen.now),
    });
    status.previous = old.or(status.previous);
    let note = normal("Promoted", format!("v{} serves: {headline}", run.version));
    end(
        seen,
        status,
        Ending {
            outcome: Outcome::Promoted,
            reason: "Promoted",
            message: headline,
        },
        note,
    )
}

/// A rollout that failed for want of room or memory is tried again once the spec gives it more.
pub(crate) fn reopen(seen: &Observed) -> Step {
    let mut status = seen.status.clone();
    open_rollout(seen, &mut status);
    let mut version = 0;
    if let Some(run) = &mut status.run {
        run.settings_hash = Some(settings_hash(&seen.spec));
        version = run.version;
    }
    let message = format!("v{version} is rolled out again, since the spec's resources changed");
    Step {
        status,
        notes: vec![normal("RolloutRetried", message)],
    }
}
