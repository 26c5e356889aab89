//! Reads manifests and refuses what a cluster would refuse: the generated schema, strictly, then
//! the CEL rules. What is valid but means nothing without a cluster is listed, not refused.

mod ignored;

use std::{fmt, path::PathBuf};

use jiff::tz::TimeZone;
use kube::{
    CustomResourceExt, Resource,
    core::cel::{ValidationError, ValidationErrors, validate_cel},
};
use searchop_api::{GROUP, RankingModel, RetrainSchedule};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

pub use ignored::Ignored;
use ignored::ignored_settings;

use crate::{
    exit::Exit,
    schema::{self, Problem},
};

const API_VERSION: &str = "searchop.io/v1alpha1";
const KINDS: [&str; 2] = ["RankingModel", "RetrainSchedule"];
const METADATA: [&str; 12] = [
    "annotations",
    "creationTimestamp",
    "finalizers",
    "generateName",
    "generation",
    "labels",
    "managedFields",
    "name",
    "namespace",
    "ownerReferences",
    "resourceVersion",
    "uid",
];

/// What local mode works on.
#[derive(Debug)]
pub struct Manifests {
    pub model: RankingModel,
    pub schedules: Vec<RetrainSchedule>,
    pub ignored: Vec<Ignored>,
}

/// A file's name and its text.
#[derive(Debug)]
pub struct Source {
    pub name: String,
    pub text: String,
}

#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    #[error("read {path:?}: {source}")]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{path:?} holds no .yaml, .yml or .json file")]
    EmptyFolder { path: PathBuf },
    #[error("{0}")]
    Invalid(Problems),
}

impl ManifestError {
    /// A file that is not there is a matter of the command line, its content is not.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Read { .. } | Self::EmptyFolder { .. } => Exit::Usage,
            Self::Invalid(_) => Exit::Refused,
        }
    }

    fn one(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid(Problems(vec![(
            place.into(),
            Problem {
                path: String::new(),
                message: message.into(),
            },
        )]))
    }
}

/// Every problem with the document it is in: `model.yaml: RankingModel "products"`.
#[derive(Debug)]
pub struct Problems(Vec<(String, Problem)>);

impl Problems {
    /// What the CEL rules of a kind say about `object`.
    pub fn from_cel<K: Resource + Serialize>(
        kind: &str,
        object: &K,
        errors: &ValidationErrors,
    ) -> Self {
        let document = serde_json::to_value(object).expect("a resource is JSON");
        let place = format!(
            "{kind} {:?}",
            object.meta().name.as_deref().unwrap_or_default()
        );
        let problems = errors
            .as_slice()
            .iter()
            .map(|error| (place.clone(), cel_problem(error, &document)));
        Self(problems.collect())
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (document, Problem { path, message })) in self.0.iter().enumerate() {
            let newline = if index == 0 { "" } else { "\n" };
            let path = if path.is_empty() {
                String::new()
            } else {
                format!("{path}: ")
            };
            write!(f, "{newline}{document}: {path}{message}")?;
        }
        Ok(())
    }
}

/// The files that `paths` name: a folder stands for the manifests right inside it.
pub fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, ManifestError> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let failed = |source| ManifestError::Read {
            path: path.clone(),
            source,
        };
        let mut inside: Vec<PathBuf> = std::fs::read_dir(path)
            .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect())
            .map_err(failed)?;
        inside.retain(|file| {
            file.extension()
                .is_some_and(|end| ["yaml", "yml", "json"].iter().any(|e| end == *e))
        });
        if inside.is_empty() {
            return Err(ManifestError::EmptyFolder { path: path.clone() });
        }
        inside.sort();
        files.extend(inside);
    }
    Ok(files)
}

/// Reads and checks everything that `paths` name.
pub fn read(paths: &[PathBuf]) -> Result<Manifests, ManifestError> {
    parse(&sources(paths)?)
}

/// Reads and checks the files, whatever of a model and its schedules they hold.
pub fn read_all(paths: &[PathBuf]) -> Result<Checked, ManifestError> {
    check(&sources(paths)?)
}

fn sources(paths: &[PathBuf]) -> Result<Vec<Source>, ManifestError> {
    files(paths)?
        .into_iter()
        .map(|path| match std::fs::read_to_string(&path) {
            Ok(text) => Ok(Source {
                name: path.display().to_string(),
                text,
            }),
            Err(source) => Err(ManifestError::Read { path, source }),
        })
        .collect()
}

/// One document of a file.
struct Document {
    place: String,
    value: Value,
}

/// Valid documents.
#[derive(Debug)]
pub struct Checked {
    pub models: Vec<RankingModel>,
    pub schedules: Vec<RetrainSchedule>,
    ignored: Vec<Ignored>,
}

/// Checks every document and picks out the one model with its schedules.
pub fn parse(sources: &[Source]) -> Result<Manifests, ManifestError> {
    assemble(sources, check(sources)?)
}

fn check(sources: &[Source]) -> Result<Checked, ManifestError> {
    let mut problems = Vec::new();
    let mut models: Vec<RankingModel> = Vec::new();
    let mut schedules: Vec<RetrainSchedule> = Vec::new();
    let mut ignored = Vec::new();
    for source in sources {
        for document in documents(source)? {
            let found = match kind_of(&document.value) {
                Err(problem) => vec![problem],
                Ok("RankingModel") => match typed(&document.value) {
                    Ok(model) => {
                        ignored.extend(ignored_settings(&document.value));
                        models.push(model);
                        continue;
                    }
                    Err(problems) => problems,
                },
                Ok("RetrainSchedule") => match typed(&document.value).and_then(known_zone) {
                    Ok(schedule) => {
                        schedules.push(schedule);
                        continue;
                    }
                    Err(problems) => problems,
                },
                Ok(kind) => {
                    let name = document.value["metadata"]["name"]
                        .as_str()
                        .unwrap_or_default();
                    ignored.push(Ignored {
                        what: format!("{kind} {name:?}"),
                        instead: "not needed without a cluster",
                    });
                    continue;
                }
            };
            problems.extend(
                found
                    .into_iter()
                    .map(|problem| (document.place.clone(), problem)),
            );
        }
    }
    if !problems.is_empty() {
        return Err(ManifestError::Invalid(Problems(problems)));
    }
    Ok(Checked {
        models,
        schedules,
        ignored,
    })
}

fn assemble(sources: &[Source], checked: Checked) -> Result<Manifests, ManifestError> {
    let Checked {
        mut models,
        schedules,
        ignored,
    } = checked;
    let place = sources
        .iter()
        .map(|source| source.name.as_str())
        .collect::<Vec<_>>()
        .join(", ");
    let name =
        |model: &RankingModel| format!("{:?}", model.metadata.name.as_deref().unwrap_or_default());
    if models.len() > 1 {
        let names = models.iter().map(name).collect::<Vec<_>>().join(", ");
        let advice = "local mode runs one a folder; start each with its own --dir and --listen";
        return Err(ManifestError::one(
            place,
            format!("holds the RankingModels {names}; {advice}"),
        ));
    }
    let Some(model) = models.pop() else {
        return Err(ManifestError::one(
            place,
            "holds no RankingModel; name the file that does with -f",
        ));
    };
    for (index, schedule) in schedules.iter().enumerate() {
        if schedules[..index]
            .iter()
            .any(|other| other.metadata.name == schedule.metadata.name)
        {
            let name = schedule.metadata.name.as_deref().unwrap_or_default();
            return Err(ManifestError::one(
                place,
                format!("holds two RetrainSchedules {name:?}; rename one"),
            ));
        }
    }
    Ok(Manifests {
        model,
        schedules,
        ignored,
    })
}

fn documents(source: &Source) -> Result<Vec<Document>, ManifestError> {
    let values: Vec<Value> = serde_saphyr::from_multiple(&source.text).map_err(|error| {
        ManifestError::one(&source.name, format!("is not readable YAML: {error}"))
    })?;
    let documents = values
        .into_iter()
        .filter(|value| !value.is_null())
        .map(|mut value| {
            schema::prune_nulls(&mut value);
            let kind = value["kind"].as_str().unwrap_or("document");
            let name = value["metadata"]["name"]
                .as_str()
                .map_or(String::new(), |name| format!(" {name:?}"));
            Document {
                place: format!("{}: {kind}{name}", source.name),
                value,
            }
        });
    Ok(documents.collect())
}

/// The kind, once it is clear that it is a kind that we know, or none of ours.
fn kind_of(document: &Value) -> Result<&str, Problem> {
    let problem = |path: &str, message: String| Problem {
        path: path.to_owned(),
        message,
    };
    let text = |name: &str| {
        let value = document.get(name).and_then(Value::as_str);
        value.ok_or_else(|| problem(name, "required, but missing".to_owned()))
    };
    let (version, kind) = (text("apiVersion")?, text("kind")?);
    if version.split('/').next() != Some(GROUP) {
        return Ok(kind);
    }
    if version != API_VERSION {
        return Err(problem(
            "apiVersion",
            format!("{version:?} is not known, write {API_VERSION:?}"),
        ));
    }
    if !KINDS.contains(&kind) {
        let message = format!(
            "{kind:?} is not known in {GROUP}, possible are \"{}\"",
            KINDS.join("\", \"")
        );
        return Err(problem("kind", message));
    }
    Ok(kind)
}

/// The typed object, checked like an API server does before it stores it.
fn typed<K>(document: &Value) -> Result<K, Vec<Problem>>
where
    K: CustomResourceExt + DeserializeOwned + Serialize,
{
    let mut problems = check_envelope(document);
    let nothing = Value::Object(serde_json::Map::new());
    let spec = document.get("spec").unwrap_or(&nothing);
    problems.extend(schema::check(&spec_schema::<K>(), spec, "spec"));
    if !problems.is_empty() {
        return Err(problems);
    }
    let mut document = document.clone();
    // As on a cluster, status is not the user's to write.
    if let Some(fields) = document.as_object_mut() {
        fields.remove("status");
    }
    let object: K = serde_json::from_value(document.clone()).map_err(|error| {
        vec![Problem {
            path: String::new(),
            message: error.to_string(),
        }]
    })?;
    match validate_cel(&object) {
        Ok(()) => Ok(object),
        Err(errors) => Err(errors
            .as_slice()
            .iter()
            .map(|error| cel_problem(error, &document))
            .collect()),
    }
}

/// The CEL rule of the time zone relies on an error that only an API server makes.
fn known_zone(schedule: RetrainSchedule) -> Result<RetrainSchedule, Vec<Problem>> {
    let zone = &schedule.spec.time_zone;
    if TimeZone::get(zone).is_ok() {
        return Ok(schedule);
    }
    let message = format!("timeZone must be the IANA name of a time zone; it is {zone:?}");
    Err(vec![Problem {
        path: "spec.timeZone".to_owned(),
        message,
    }])
}

fn cel_problem(error: &ValidationError, document: &Value) -> Problem {
    let pointer = format!(
        "/{}",
        error.field_path.replace(['.', '['], "/").replace(']', "")
    );
    let value = match document.pointer(&pointer) {
        Some(value) => format!("; it is {}", schema::shown(value)),
        None => String::new(),
    };
    Problem {
        path: error.field_path.clone(),
        message: format!("{}{value}", error.message),
    }
}

fn check_envelope(document: &Value) -> Vec<Problem> {
    let none = serde_json::Map::new();
    let top = document.as_object().unwrap_or(&none);
    let metadata = document["metadata"].as_object().unwrap_or(&none);
    let known = ["apiVersion", "kind", "metadata", "spec", "status"];
    let unknown = |path: &str, name: &str, known: &[&str]| Problem {
        path: schema::join(path, name),
        message: schema::unknown_field(name, known.iter().copied()),
    };
    let mut problems: Vec<Problem> = top
        .keys()
        .filter(|name| !known.contains(&name.as_str()))
        .map(|name| unknown("", name, &known))
        .collect();
    let strangers = metadata
        .keys()
        .filter(|name| !METADATA.contains(&name.as_str()));
    problems.extend(strangers.map(|name| unknown("metadata", name, &METADATA)));
    if !document["metadata"]["name"].is_string() {
        let message =
            "required, but missing (A name in quotes, where it looks like a number)".to_owned();
        problems.push(Problem {
            path: "metadata.name".to_owned(),
            message,
        });
    }
    problems
}

fn spec_schema<K: CustomResourceExt>() -> Value {
    let crd = K::crd();
    let schema = crd
        .spec
        .versions
        .first()
        .and_then(|version| version.schema.clone());
    let mut schema = serde_json::to_value(schema).expect("a generated schema is JSON");
    schema["openAPIV3Schema"]["properties"]["spec"].take()
}

#[cfg(test)]
mod tests;
