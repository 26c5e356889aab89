//! From a passed gate to a version that serves.

use searchop_api::{Candidate, Outcome, ServedVersion};
use searchop_contract::FailureReason;

use crate::{
    Observed, gate,
    run::{Ending, Step, digests, end, fail, left_standing, live, normal, reopen_run},
    time::stored,
    train_hash::settings_hash,
};

/// The candidate passed the gate: is it what answers now?
pub(crate) fn roll_out(seen: &Observed, candidate: &Candidate) -> Option<Step> {
    if !is_target(seen, candidate) {
        return None;
    }
    if has_settled(seen) {
        return Some(promote(seen, candidate));
    }
    let message = seen.serving.stuck.as_ref()?;
    let mut step = fail(seen, FailureReason::RolloutFailed, message);
    step.notes
        .iter_mut()
        .for_each(|note| note.reason = "RolloutFailed");
    Some(step)
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

fn is_target(seen: &Observed, candidate: &Candidate) -> bool {
    let wanted = digests(&candidate.digest, &candidate.tables_digest);
    wanted.is_some() && seen.serving.target == wanted
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
    reopen_run(&mut status);
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
