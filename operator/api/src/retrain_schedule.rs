use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::CustomResource;
use schemars::JsonSchema;
use searchop_contract::labels;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{ModelSelector, Trigger};

/// When a model is trained again, or its tables are refreshed.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "searchop.io",
    version = "v1alpha1",
    kind = "RetrainSchedule",
    plural = "retrainschedules",
    shortname = "rts",
    category = "searchop",
    namespaced,
    cel,
    status = "RetrainScheduleStatus",
    doc = "A schedule that asks RankingModels for a retrain, or for a refresh of their tables, at each tick.",
    validation = Rule::new("self.metadata.name.matches('^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$')")
        .message("metadata.name must be at most 40 characters of a-z, 0-9 and '-', starting with a letter"),
    printcolumn(name = "Model", type_ = "string", json_path = ".spec.modelRef.name"),
    printcolumn(name = "Selector", type_ = "string", json_path = ".spec.modelSelector", priority = 1),
    printcolumn(name = "Action", type_ = "string", json_path = ".spec.action"),
    printcolumn(name = "Schedule", type_ = "string", json_path = ".spec.schedule"),
    printcolumn(name = "Time-Zone", type_ = "string", json_path = ".spec.timeZone"),
    printcolumn(name = "Suspend", type_ = "boolean", json_path = ".spec.suspend"),
    printcolumn(name = "Last", type_ = "date", json_path = ".status.lastScheduleTime"),
    printcolumn(name = "Next", type_ = "string", json_path = ".status.nextScheduleTime"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type==\"Scheduled\")].message"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "has(self.modelRef) != has(self.modelSelector)", "message": "exactly one of modelRef and modelSelector is needed"},
    {"rule": "self.action != 'RefreshTables' || self.concurrencyPolicy == 'Forbid'", "message": "with action RefreshTables concurrencyPolicy must be Forbid: a refresh stops nothing, it waits for the run under way"},
    {"rule": "has(self.schedule) || has(self.onDrift)", "message": "a RetrainSchedule needs schedule, onDrift, or both: without them it never asks"},
    {"rule": "!has(self.onDrift) || has(self.modelRef)", "message": "onDrift needs modelRef: its cooldown and budget are those of one model"},
    {"rule": "!(self.action == 'RefreshTables' && has(self.onDrift))", "message": "onDrift is for action Retrain: newer tables do not teach a model what requests are like now"},
    {"rule": "!(self.action == 'RefreshTables' && self.skipIfDataUnchanged)", "message": "skipIfDataUnchanged is for action Retrain: a refresh of unchanged data changes nothing anyway"},
]))]
pub struct RetrainScheduleSpec {
    /// The model that is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_ref: Option<ModelReference>,

    /// The models that are asked, by their labels, where it is more than one. A tick asks them in
    /// the order of their names, as many as parallelism lets work at a time, and the next ones as
    /// those end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_selector: Option<ModelSelector>,

    /// How many of the models of modelSelector are at work at a time, whoever asked them. A model
    /// whose new version is on its way to serve is not at work any more.
    #[serde(default = "RetrainScheduleSpec::default_parallelism")]
    #[schemars(range(min = 1, max = 100))]
    pub parallelism: i32,

    /// Retrain: a new version is trained and judged. RefreshTables: the served version gets tables
    /// of newer data, without a training and without the gate, so that a weekly model has daily
    /// counters.
    #[serde(default)]
    pub action: ScheduleAction,

    /// Minute, hour, day of month, month, day of week: `0 2 * * 0` is Sundays at 02:00. Where both
    /// day fields are restricted, either one is enough. Where absent, only onDrift asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        regex(pattern = r"^\S+( \S+){4}$"),
        length(max = 120),
        extend("x-kubernetes-validations" = schedule_rules())
    )]
    pub schedule: Option<String>,

    /// Asks for a retrain as well where the model's requests have drifted: the condition Drifted of
    /// the model, which its spec.drift decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_drift: Option<OnDrift>,

    /// IANA name of the time zone. A local time that does not exist on the day runs at the next one
    /// that does; one that comes twice runs once, the first time.
    #[serde(default = "RetrainScheduleSpec::default_time_zone")]
    #[schemars(
        regex(pattern = r"^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}$"),
        length(min = 1, max = 64),
        extend("x-kubernetes-validations" = [
            // An unknown zone is an error in CEL, and an error refuses the object.
            {"rule": "self != 'Local' && timestamp('2020-01-01T00:00:00Z').getHours(self) >= 0", "message": "timeZone must be the IANA name of a time zone"},
        ])
    )]
    pub time_zone: String,

    /// How late a missed tick may still run. Of several missed ones only the newest does. A tick that
    /// has begun goes on until every model of modelSelector was asked or skipped, however long.
    #[serde(default = "RetrainScheduleSpec::default_starting_deadline_seconds")]
    #[schemars(range(min = 10, max = 604_800))]
    pub starting_deadline_seconds: i64,

    /// Each tick asks up to this many seconds late, so that many schedules of one time do not start
    /// at once. How late is decided by the schedule's name and the tick, and ends before the next
    /// tick.
    #[serde(default)]
    #[schemars(range(min = 0, max = 86_400))]
    pub jitter_seconds: i32,

    /// Times in which neither ticks nor drift ask for anything, such as a sale.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    #[schemars(length(max = 16))]
    pub blackouts: Vec<Blackout>,

    /// What happens at a tick, or a drifted window, while a run is under way. Forbid: it is skipped.
    /// Replace: the run is stopped and a new one starts. A retrain and a refresh never skip or stop
    /// each other: the later one waits. With modelSelector likewise model by model, and for a tick
    /// while models of the one before it wait for their turn: Forbid skips the new tick, Replace
    /// starts anew with the first name.
    #[serde(default)]
    pub concurrency_policy: ConcurrencyPolicy,

    /// Trains nothing where catalogue, events and grades are those that the served version was
    /// trained on: the run ends as Unchanged before it trains.
    #[serde(default)]
    pub skip_if_data_unchanged: bool,

    /// Asks for nothing while true. Ticks that pass meanwhile are not made up for.
    #[serde(default)]
    pub suspend: bool,
}

/// One rule a field, so that a refusal names the field. What they let through and cannot be read
/// all the same, such as `5-2`, becomes a condition.
fn schedule_rules() -> Value {
    let months = "(?i:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)";
    let days = "(?i:sun|mon|tue|wed|thu|fri|sat)";
    let fields = [
        ("minute", "0-59", "0?[0-9]|[1-5][0-9]".to_owned()),
        ("hour", "0-23", "0?[0-9]|1[0-9]|2[0-3]".to_owned()),
        ("day of month", "1-31", "0?[1-9]|[12][0-9]|3[01]".to_owned()),
        (
            "month",
            "1-12 or JAN-DEC",
            format!("0?[1-9]|1[0-2]|{months}"),
        ),
        ("day of week", "0-7 or SUN-SAT", format!("[0-7]|{days}")),
    ];
    let rule = |(place, (name, values, value)): (usize, &(&str, &str, String))| {
        let step = "(/[1-9][0-9]?)?";
        let item = format!("([*]{step}|({value})(-({value}){step})?)");
        let (before, after) = (place, fields.len() - 1 - place);
        // A regular expression over the whole text, since the API server cannot bound the cost of
        // looking into parts of it.
        let pattern = format!("^([^ ]+ ){{{before}}}{item}(,{item})*( [^ ]+){{{after}}}$");
        json!({
            "rule": format!("!self.matches('^[^ ]+( [^ ]+){{4}}$') || self.matches('{pattern}')"),
            "message": format!("{name} must be *, {values}, a range, a list, or one of these with a step"),
        })
    };
    fields.iter().enumerate().map(rule).collect()
}

impl RetrainScheduleSpec {
    fn default_time_zone() -> String {
        "UTC".to_owned()
    }

    fn default_parallelism() -> i32 {
        1
    }

    fn default_starting_deadline_seconds() -> i64 {
        3600
    }
}

/// How often drift may ask for a retrain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct OnDrift {
    /// Drift asks again no sooner than this after it asked, so that the data get the chance to show
    /// what has changed.
    #[schemars(range(min = 0, max = 2_592_000))]
    pub cooldown_seconds: i32,

    /// Drift asks this often at most in any seven days.
    #[schemars(range(min = 1, max = 20))]
    pub max_per_week: i32,
}

impl Default for OnDrift {
    fn default() -> Self {
        Self {
            cooldown_seconds: 86_400,
            max_per_week: 2,
        }
    }
}

/// A RankingModel of the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ModelReference {
    /// Name of the RankingModel.
    #[schemars(length(min = 1, max = 40))]
    pub name: String,
}

/// A time in which nothing is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "self.startTime < self.endTime", "message": "startTime must be before endTime"},
]))]
pub struct Blackout {
    /// First instant of it.
    pub start_time: Time,

    /// First instant after it.
    pub end_time: Time,
}

/// What a tick asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ScheduleAction {
    #[default]
    Retrain,
    RefreshTables,
}

impl ScheduleAction {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Retrain => "Retrain",
            Self::RefreshTables => "RefreshTables",
        }
    }

    /// The annotation of the model that a request of it is written to.
    pub fn annotation(self) -> &'static str {
        match self {
            Self::Retrain => labels::RETRAIN_REQUESTED,
            Self::RefreshTables => labels::REFRESH_REQUESTED,
        }
    }
}

/// What happens at a tick while a run is under way. Forbid: the tick is skipped. Replace: the run
/// is stopped and a new one starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ConcurrencyPolicy {
    #[default]
    Forbid,
    Replace,
}

/// Facts about a schedule.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RetrainScheduleStatus {
    /// Generation that this status speaks of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// Ready, Scheduled, Stalled.
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    #[schemars(length(max = 8))]
    pub conditions: Vec<Condition>,

    /// Ticks up to here are dealt with. Moves to the present when the schedule is edited or resumed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anchor_time: Option<Time>,

    /// Hash of schedule, time zone, jitter, selector and suspend, from which an edit is seen.
    #[schemars(length(max = 80))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anchor_hash: Option<String>,

    /// Newest tick that asked for a retrain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_schedule_time: Option<Time>,

    /// When it asks next, jitter included; absent while suspended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_schedule_time: Option<Time>,

    /// End of the newest drifted window that is dealt with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_drift_time: Option<Time>,

    /// When drift asked for a retrain in the last seven days, newest first: what onDrift counts.
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    #[schemars(length(max = 20))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub drift_request_times: Vec<Time>,

    /// Newest tick or drifted window that asked for nothing, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_skip: Option<SkippedTick>,

    /// The tick whose models are being asked one after the other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<TickQueue>,

    /// Newest ticks and drifted windows with what came of them, newest first.
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    #[schemars(length(max = 20))]
    pub recent: Vec<TickRecord>,
}

/// A tick, or a drifted window, that asked for nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SkippedTick {
    /// The tick, or the end of the window.
    pub time: Time,

    /// Why: Blackout, RunActive, ModelMissing, NoneSelected, ModelSuspended, QueueActive, Edited,
    /// Suspended, Replaced, DeadlineExceeded, Missed; of drift also Cooldown, WeeklyBudget,
    /// RequestPending, RetrainedSince.
    #[schemars(length(max = 64))]
    pub reason: String,
}

/// How far a tick has come with the models of modelSelector. Those behind afterModel wait.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TickQueue {
    /// The tick.
    pub time: Time,

    /// The tick with its jitter, which the requests name.
    pub due_time: Time,

    /// The last model that was asked or skipped.
    #[schemars(length(max = 64))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_model: Option<String>,

    /// Models that were asked.
    pub requested: i32,

    /// Models that were not asked.
    pub skipped: i32,
}

/// A tick, or a drifted window, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TickRecord {
    /// The tick, or the end of the window.
    pub time: Time,

    /// Drift where a window asked; absent for a tick.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Trigger")]
    pub trigger: Option<Trigger>,

    /// Requested, Waiting where all models still do, or the reason for skipping.
    #[schemars(length(max = 64))]
    pub outcome: String,

    /// Models of modelSelector that were asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested: Option<i32>,

    /// Models of modelSelector that were not asked; events say why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skipped: Option<i32>,

    /// Models of modelSelector whose turn is to come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<i32>,
}
