use jiff::Timestamp;
use searchop_api::{RankingModelSpec, RankingModelStatus};
use searchop_contract::{Digest, FailureReason, TrainingReport};

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
    /// The Job of `status.run` with its current evaluation number, if it exists.
    pub job: Option<ObservedJob>,
    /// The pods that answer.
    pub serving: ObservedServing,
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
    /// Created, not ended. `waiting` says why no pod runs, where that is known.
    Active { waiting: Option<String> },
    /// Ended with a readable report.
    Reported(TrainingReport),
    /// Ended well, but its report cannot be read (any more).
    ReportLost { message: String },
    /// Ended badly.
    Failed { reason: FailureReason, message: String },
}

/// What answers requests.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ObservedServing {
    /// Digests (model, tables) that the Deployment's template names; `None` where there is none.
    pub target: Option<(Digest, Digest)>,
    /// Every pod of the newest template is ready and no older one is left.
    pub settled: bool,
    /// The newest template did not get ready within its deadline; in words.
    pub stuck: Option<String>,
    /// Pods that are ready, of whatever template.
    pub ready_pods: i32,
    /// Pods in all.
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
    Serve { version: i32, digest: Digest, tables_digest: Digest },
    /// Remove Jobs of versions other than these.
    RetainJobs { versions: Vec<i32> },
}

/// What a Job is told; the executor adds the place of the artifacts, credentials and resources.
#[derive(Clone, Debug, PartialEq)]
pub struct JobRequest {
    pub version: i32,
    /// 0 trains; n > 0 only measures the candidate again.
    pub evaluation: i32,
    pub as_of_time: Timestamp,
    pub reference: Option<(Digest, Digest)>,
    pub evaluate_only: Option<(Digest, Digest)>,
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
    /// The whole new status. Store it where it differs from the observed one, conditions' times
    /// aside, before anything else.
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
    let _ = observed;
    todo!()
}
