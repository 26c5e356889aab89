//! What holds a version back that passed the gate, and what lets it go.

use searchop_api::{
    Approval, OnInconclusive, Outcome, RankingModelSpec, RankingModelStatus, Run, Verdict,
};

use crate::{
    Observed, judgement, rollout, run,
    run::{Ending, Step, end, normal},
    standing::{self, names},
};

/// Somebody has to say that the version may serve.
pub(crate) const APPROVAL_REQUIRED: &str = "ApprovalRequired";
/// Another version is pinned.
const PINNED: &str = "Pinned";

/// Why a version waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hold {
    pub reason: &'static str,
    /// What the version did and waits for.
    pub message: String,
    version: i32,
}

impl Hold {
    /// The message with the version that it is about.
    pub fn words(&self) -> String {
        format!("v{} {}", self.version, self.message)
    }
}

/// Why a run's candidate that passed with this verdict may not be rolled out now, if it may not.
pub(crate) fn hold(spec: &RankingModelSpec, run: &Run, verdict: Verdict) -> Option<Hold> {
    let version = run.version;
    let digest = run.candidate.as_ref().map(|candidate| &*candidate.digest);
    if let Some(pinned) = &spec.rollout.pinned_version {
        return Some(Hold {
            reason: PINNED,
            message: format!("passed the gate and waits while {pinned} is pinned"),
            version,
        });
    }
    let approved = spec.rollout.approved_version.as_deref();
    if approved.is_some_and(|name| names(name, version, digest)) {
        return None;
    }
    let cannot_tell = verdict == Verdict::Inconclusive
        && spec.evaluation.on_inconclusive == OnInconclusive::AwaitApproval;
    let what = match (cannot_tell, spec.rollout.approval) {
        (true, _) => "cannot be told from what serves by the data",
        (false, Approval::Manual) => "passed the gate",
        (false, Approval::Automatic) => return None,
    };
    Some(Hold {
        reason: APPROVAL_REQUIRED,
        message: format!(
            "{what} and waits for approval: set rollout.approvedVersion to v{version}"
        ),
        version,
    })
}

/// The run's version is the one that `rollout.abortedVersion` names.
pub(crate) fn is_aborted(spec: &RankingModelSpec, run: &Run) -> bool {
    let digest = run.candidate.as_ref().map(|candidate| &*candidate.digest);
    let aborted = spec.rollout.aborted_version.as_deref();
    aborted.is_some_and(|name| names(name, run.version, digest))
}

/// Ends the run for now; it is the newest until another starts.
pub(crate) fn wait(seen: &Observed, status: RankingModelStatus, hold: Hold) -> Step {
    let note = normal("AwaitingApproval", hold.words());
    let Hold {
        reason, message, ..
    } = hold;
    let ending = Ending {
        outcome: Outcome::AwaitingApproval,
        reason,
        message,
    };
    end(seen, status, ending, note)
}

/// The run that waits and why, if the newest one does.
pub(crate) fn waiting(seen: &Observed, status: &RankingModelStatus) -> Option<Hold> {
    let (run, _) = run::ended(status).filter(|(_, out)| *out == Outcome::AwaitingApproval)?;
    let verdict = status.gate.as_ref()?.verdict;
    hold(&seen.spec, run, verdict).or_else(|| {
        Some(Hold {
            reason: "Released",
            message: "is about to be rolled out".to_owned(),
            version: run.version,
        })
    })
}

/// Whether the version that waits goes on: aborted, or judged once more and rolled out.
pub(crate) fn release(seen: &Observed, run: &Run) -> Option<Step> {
    if is_aborted(&seen.spec, run) {
        return Some(rollout::abort(seen, run));
    }
    let verdict = seen.status.gate.as_ref()?.verdict;
    let candidate = run.candidate.as_ref()?;
    if hold(&seen.spec, run, verdict).is_some() || standing::is_changing(seen) {
        return None;
    }
    Some(judgement::judge(seen, run, candidate))
}

/// A version that waited is not wanted any more: another spec is, or a newer run starts.
pub(crate) fn give_up(seen: &Observed, run: &Run) -> Step {
    let message = "the spec changed while it waited".to_owned();
    let note = normal(
        "RunSuperseded",
        format!("v{} is given up: {message}", run.version),
    );
    let ending = Ending {
        outcome: Outcome::Superseded,
        reason: "SpecChanged",
        message,
    };
    end(seen, seen.status.clone(), ending, note)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        plan,
        testing::{candidate, fresh, synthetic_spec},
    };

    fn run() -> Run {
        let fresh = plan(&fresh(synthetic_spec())).status.run.unwrap();
        Run {
            version: 6,
            candidate: Some(candidate("six")),
            ..fresh
        }
    }

    #[test]
    fn who_waits_for_what() {
        use Verdict::{Inconclusive, Passed};
        type Change = fn(&mut RankingModelSpec);
        let manual: Change = |spec| spec.rollout.approval = Approval::Manual;
        let table: [(&str, Change, Verdict, Option<&str>); 9] = [
            ("automatic", |_| {}, Passed, None),
            ("manual", manual, Passed, Some(APPROVAL_REQUIRED)),
            (
                "approved",
                |spec| {
                    spec.rollout.approval = Approval::Manual;
                    spec.rollout.approved_version = Some("v6".into());
                },
                Passed,
                None,
            ),
            (
                "approved by digest",
                |spec| {
                    spec.rollout.approval = Approval::Manual;
                    spec.rollout.approved_version = Some(candidate("six").digest);
                },
                Passed,
                None,
            ),
            (
                "another is approved",
                |spec| {
                    spec.rollout.approval = Approval::Manual;
                    spec.rollout.approved_version = Some("v60".into());
                },
                Passed,
                Some(APPROVAL_REQUIRED),
            ),
            (
                "pinned, approved or not",
                |spec| {
                    spec.rollout.pinned_version = Some("v5".into());
                    spec.rollout.approved_version = Some("v6".into());
                },
                Passed,
                Some(PINNED),
            ),
            (
                "the data cannot tell, and somebody is to",
                |spec| spec.evaluation.on_inconclusive = OnInconclusive::AwaitApproval,
                Inconclusive,
                Some(APPROVAL_REQUIRED),
            ),
            (
                "the data can tell",
                |spec| spec.evaluation.on_inconclusive = OnInconclusive::AwaitApproval,
                Passed,
                None,
            ),
            (
                "the data cannot tell, and need not",
                |spec| spec.evaluation.on_inconclusive = OnInconclusive::Promote,
                Inconclusive,
                None,
            ),
        ];
        for (situation, change, verdict, expected) in table {
            let mut spec = synthetic_spec();
            change(&mut spec);
            let found = hold(&spec, &run(), verdict).map(|hold| hold.reason);
            assert_eq!(found, expected, "{situation}");
        }
    }
}
