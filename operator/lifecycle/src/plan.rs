use jiff::Timestamp;
use searchop_api::{
    Candidate, DriftStatus, Outcome, RankingModelSpec, RankingModelStatus, Run, TablesRefresh,
};
use searchop_contract::{
    Digest, FailureReason, LoadedVersion, Traffic, TrafficReport, TrainingReport,
};

use crate::{
    canary, conditions, history, refresh,
    run::{self, digests},
    stale,
    standing::{self, known},
    time::whole_seconds,
};

/// Everything the plan may know of one model.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    pub name: String,
    pub generation: i64,
    pub spec: RankingModelSpec,
    /// The stored facts.
    pub status: RankingModelStatus,
    /// Value of the annotation `searchop.io/retrain-requested`, if there is one.
    pub retrain_request: Option<String>,
    /// The same of `searchop.io/refresh-requested`.
    pub refresh_request: Option<String>,
    /// The Job that the newest run or the refresh under way waits for, if it exists; see
    /// [`crate::JobKey::awaited`].
    pub job: Option<ObservedJob>,
    /// The pods that answer.
    pub serving: ObservedServing,
    /// What the rankers' counts say of the served version's requests; what was known before stays
    /// where absent.
    pub drift: Option<DriftStatus>,
    /// Earliest next tick of the schedules that point here.
    pub next_retrain: Option<Timestamp>,
    /// Where requests go.
    pub url: Option<String>,
    /// Label selector of the ranker pods.
    pub selector: Option<String>,
    pub now: Timestamp,
}

/// State of the Job that carries a run.
#[derive(Clone, Debug, PartialEq)]
pub enum ObservedJob {
    /// Not created, since the trainer of another Job of this model may still work. Two at a time
    /// would prune what the other publishes.
    Blocked { by: String },
    /// Created, not ended. `waiting` says why no pod runs, where that is known.
    Active { waiting: Option<String> },
    /// Ended with a readable report.
    Reported(Box<TrainingReport>),
    /// Ended well, but its report cannot be read (any more).
    ReportLost { message: String },
    /// Ended badly.
    Failed {
        reason: FailureReason,
        message: String,
    },
}

/// What answers requests.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ObservedServing {
    /// Digests (model, tables) that the Deployment's template names first; `None` where there is
    /// none.
    pub target: Option<(Digest, Digest)>,
    /// Those of the candidate that it names beside them.
    pub candidate: Option<(Digest, Digest)>,
    /// What each ready pod reports of its traffic, while a canary is under way; `None` for a pod
    /// that says nothing that can be read.
    pub traffic: Vec<Option<TrafficReport>>,
    /// The template is what the current spec asks for, every pod of it is ready and no older one is
    /// left.
    pub settled: bool,
    /// The newest template did not get ready within its deadline; in words.
    pub stuck: Option<String>,
    /// Pods that are ready, of whatever template.
    pub ready_pods: i32,
    /// Pods in all; as many as there were, while what runs them is about to come back.
    pub pods: i32,
}

/// One thing to do. Doing it twice is the same as doing it once.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Make sure that the Job of this run exists.
    StartRun(Box<JobRequest>),
    /// Make sure that no Job works for a run of this version any more.
    CancelRun { version: i32 },
    /// Make sure that this version is what the Deployment, Service, HPA and PDB serve.
    Serve {
        version: i32,
        digest: Digest,
        tables_digest: Digest,
        /// A second version in the same pods.
        candidate: Option<Box<LoadedVersion>>,
        /// Who answers which part; whatever is in force stays where absent.
        traffic: Option<Box<Traffic>>,
    },
    /// Remove Jobs of versions and of refreshes other than these.
    RetainJobs {
        versions: Vec<i32>,
        refreshes: Vec<i32>,
    },
}

/// What a Job is told; the executor adds the place of the artifacts, credentials and resources.
#[derive(Clone, Debug, PartialEq)]
pub struct JobRequest {
    pub version: i32,
    /// 0 is a run; n > 0 is the n-th refresh of tables, those of the version's model.
    pub refresh: i32,
    /// Train nothing where the data are those of the served version.
    pub if_data_changed: bool,
    /// 0 trains; n > 0 only measures the candidate again.
    pub evaluation: i32,
    /// Start-overs since a report was lost; part of the Job's name.
    pub attempt: i32,
    pub as_of_time: Timestamp,
    pub reference: Option<(Digest, Digest)>,
    pub evaluate_only: Option<(Digest, Digest)>,
    /// The last versions that served, newest first, with the model of each.
    pub promoted: Vec<(i32, Digest)>,
    pub keep: Vec<Digest>,
}

/// A Kubernetes event, or a line in local mode.
#[derive(Clone, Debug, PartialEq)]
pub struct Note {
    pub kind: NoteType,
    /// Reason word, CamelCase.
    pub reason: &'static str,
    pub message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoteType {
    Normal,
    Warning,
}

/// What follows from one look at the world.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The whole new status. Store it where it differs from the observed one, before anything else.
    /// It is a fixed point: planned again from it, nothing differs.
    pub status: RankingModelStatus,
    /// Facts in `status` are new: store them and plan again before acting.
    pub facts_changed: bool,
    /// What to do once the facts are stored, in this order.
    pub actions: Vec<Action>,
    /// What to tell people, after the status is stored.
    pub notes: Vec<Note>,
    /// Look again at this time even if nothing happens.
    pub wake_at: Option<Timestamp>,
}

/// Decides what follows from `observed`.
pub fn plan(observed: &Observed) -> Plan {
    let seen = &Observed {
        now: whole_seconds(observed.now),
        ..observed.clone()
    };
    let step = run::advance(seen);
    let facts_changed = step.is_some();
    let (mut status, mut notes) = step.map_or_else(
        || (seen.status.clone(), Vec::new()),
        |step| (step.status, step.notes),
    );
    conditions::write(&mut status, seen);
    notes.extend(conditions::turns(&seen.status, &status));
    Plan {
        actions: if facts_changed {
            Vec::new()
        } else {
            actions(seen)
        },
        wake_at: wake_at(seen, &status),
        facts_changed,
        notes,
        status,
    }
}

/// When something follows though nothing happens.
fn wake_at(seen: &Observed, status: &RankingModelStatus) -> Option<Timestamp> {
    let stale = stale::next(seen, status);
    let held = run::live(status).and_then(|run| canary::wake_at(seen, run));
    let moments = [stale, held].into_iter().flatten();
    moments.filter(|moment| *moment > seen.now).min()
}

/// What makes the world match the stored facts.
fn actions(seen: &Observed) -> Vec<Action> {
    let status = &seen.status;
    let mut actions = cancellations(status);
    let on = seen.spec.evaluation.on_inconclusive;
    let target = run::rolling_out(status, on).or_else(|| run::left_standing(status, on));
    if let Some(run) = run::live(status)
        && run::measured(run).is_none()
        && !matches!(seen.job, Some(ObservedJob::Blocked { .. }))
    {
        actions.extend(job_request(status, run).map(|request| Action::StartRun(Box::new(request))));
    }
    if let Some(refresh) = refresh::live(status)
        && refresh.tables_digest.is_none()
        && !matches!(seen.job, Some(ObservedJob::Blocked { .. }))
    {
        let request = refresh_request(status, refresh);
        actions.extend(request.map(|request| Action::StartRun(Box::new(request))));
    }
    actions.extend(serve(seen, target));
    actions.extend(retained_jobs(status));
    actions
}

/// Runs that were given up since the last one that went to its end. Their Jobs may still work.
fn cancellations(status: &RankingModelStatus) -> Vec<Action> {
    let live = run::live(status).map(|run| run.version);
    status
        .history
        .iter()
        .filter(|entry| Some(entry.version) != live)
        .take_while(|entry| entry.outcome == Outcome::Superseded)
        .map(|entry| Action::CancelRun {
            version: entry.version,
        })
        .collect()
}

fn job_request(status: &RankingModelStatus, run: &Run) -> Option<JobRequest> {
    let candidate = run.candidate.as_ref();
    let candidate =
        candidate.and_then(|candidate| digests(&candidate.digest, &candidate.tables_digest));
    // An evaluation without a model to evaluate would train, and publish under a judged version.
    if run.evaluation > 0 && candidate.is_none() {
        return None;
    }
    Some(JobRequest {
        version: run.version,
        refresh: 0,
        if_data_changed: run::only_if_data_changed(run),
        evaluation: run.evaluation,
        attempt: run.attempt,
        as_of_time: run.as_of_time.0,
        reference: served(status),
        evaluate_only: candidate.filter(|_| run.evaluation > 0),
        promoted: promoted(status),
        keep: keep(status),
    })
}

fn refresh_request(status: &RankingModelStatus, refresh: &TablesRefresh) -> Option<JobRequest> {
    Some(JobRequest {
        version: refresh.version,
        refresh: refresh.number,
        if_data_changed: false,
        evaluation: 0,
        attempt: refresh.attempt,
        as_of_time: refresh.as_of_time.0,
        reference: Some(served(status)?),
        evaluate_only: None,
        promoted: Vec::new(),
        keep: keep(status),
    })
}

fn served(status: &RankingModelStatus) -> Option<(Digest, Digest)> {
    let served = status.served.as_ref()?;
    digests(&served.digest, &served.tables_digest)
}

fn promoted(status: &RankingModelStatus) -> Vec<(i32, Digest)> {
    history::last_promoted(status)
        .iter()
        .filter_map(|one| Some((one.version, one.digest.parse().ok()?)))
        .collect()
}

/// What is in use or may be again: a Job prunes all else.
fn keep(status: &RankingModelStatus) -> Vec<Digest> {
    let candidate = status.run.as_ref().and_then(|run| run.candidate.as_ref());
    let candidate = candidate.and_then(|one| digests(&one.digest, &one.tables_digest));
    let known = known(status);
    let known = known
        .iter()
        .filter_map(|one| digests(&one.digest, &one.tables_digest));
    let mut keep: Vec<Digest> = known
        .chain(candidate)
        .flat_map(|(model, tables)| [model, tables])
        .chain(promoted(status).into_iter().map(|(_, model)| model))
        .collect();
    keep.sort();
    keep.dedup();
    keep
}

/// The candidate that passed the gate, else the version that should serve, with its rebuilt tables
/// where a refresh has some. A rollout that failed is thus undone by naming the old version again;
/// where there is none, the pods stay what they are.
fn serve(seen: &Observed, target: Option<&Candidate>) -> Option<Action> {
    let status = &seen.status;
    if let Some((served, digest, tables_digest)) = refresh::rolling_out(status) {
        return Some(Action::Serve {
            version: served.version,
            digest,
            tables_digest,
            candidate: None,
            traffic: None,
        });
    }
    let split = canary::split(seen);
    let live = run::live(status);
    let at_step = live.is_some_and(|run| canary::step(&seen.spec, run).is_some());
    // Beside what serves as long as it is at a step, then alone.
    let target = target.filter(|_| !at_step);
    let (version, model, tables) = match (target, &status.run) {
        (Some(candidate), Some(run)) => (
            run.version,
            candidate.digest.clone(),
            candidate.tables_digest.clone(),
        ),
        _ => {
            let standing = standing::standing(&seen.spec, status)?;
            (standing.version, standing.digest, standing.tables_digest)
        }
    };
    let (digest, tables_digest) = digests(&model, &tables)?;
    Some(Action::Serve {
        version,
        digest,
        tables_digest,
        candidate: split
            .as_ref()
            .filter(|_| at_step)
            .map(|split| Box::new(split.candidate.clone())),
        // Pods that may still hold both follow it.
        traffic: split
            .filter(|_| seen.serving.candidate.is_some() || live.is_some())
            .map(|split| Box::new(split.traffic)),
    })
}

/// The newest run's Job and those of the two before, whose logs somebody may want to read; the newest
/// refresh's and that of the one before.
fn retained_jobs(status: &RankingModelStatus) -> Option<Action> {
    let newest = status.run.as_ref()?.version;
    let before = status
        .history
        .iter()
        .map(|entry| entry.version)
        .filter(|version| *version != newest);
    let refresh = status.refresh.iter();
    Some(Action::RetainJobs {
        versions: std::iter::once(newest).chain(before.take(2)).collect(),
        refreshes: refresh
            .flat_map(|refresh| [refresh.number, refresh.number - 1])
            .filter(|number| *number > 0)
            .collect(),
    })
}

#[cfg(test)]
mod tests;
