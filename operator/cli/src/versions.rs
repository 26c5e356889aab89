//! Which version served when, why, trained on which rows, with which metric. Of a cluster's model or
//! of local mode's: from the status, and from the reports beside the artifacts where they can be read.

pub mod kept;
mod render;
mod timeline;

use jiff::Timestamp;
use searchop_api::RankingModel;
use serde_json::json;

use crate::{
    args::{Moment, Output, When},
    cluster::{ClusterError, Whole, document},
    terminal::{Log, Paint},
};

pub use kept::Kept;
pub use timeline::{Version, timeline};

/// Who asks, and what about.
#[derive(Debug)]
pub struct Question<'a> {
    pub model: &'a RankingModel,
    pub kept: &'a Kept,
    /// Where the model's artifacts lie, in words.
    pub place: &'a str,
    pub when: When,
}

/// Prints all versions, or what served at a moment.
pub fn answer(question: &Question<'_>, log: Log) -> Result<(), ClusterError> {
    let model = question.model;
    let status = model.status.clone().unwrap_or_default();
    let mut found = timeline(&status, question.kept);
    if let Some(moment) = question.when.on {
        found.retain(|version| version.served_in(moment));
        if found.is_empty() {
            return Err(nothing_served(question, moment));
        }
    } else if let Some(oldest) = found.last().map(|version| version.version)
        && oldest > 1
    {
        log.info("Older", &older(oldest, question));
    }
    print!("{}", printed(question, &found, log.results())?);
    Ok(())
}

fn printed(
    question: &Question<'_>,
    found: &[Version],
    paint: Paint,
) -> Result<String, ClusterError> {
    let record = || json!({"model": question.model.metadata.name, "versions": found});
    match (question.when.output, question.when.on) {
        (Output::Json, _) => document(&record(), Whole::Json),
        (Output::Yaml, _) => document(&record(), Whole::Yaml),
        (Output::Table, None) => Ok(render::table_of(found)),
        (Output::Table, Some(_)) => Ok(render::pages(found, Timestamp::now(), paint)),
    }
}

fn nothing_served(question: &Question<'_>, moment: Moment) -> ClusterError {
    let name = question.model.metadata.name.as_deref().unwrap_or_default();
    let status = question.model.status.clone().unwrap_or_default();
    let known = timeline(&status, question.kept);
    let first = known.iter().filter_map(Version::first_served).min();
    let there = match first {
        Some(first) if moment.end <= first => format!(
            "; what served before {first} is not known from here: the artifacts lie in {}",
            question.place
        ),
        Some(first) => format!("; something serves since {first}"),
        None => "; nothing has served yet".to_owned(),
    };
    ClusterError::NotFound {
        what: format!("a version of {name:?} that served at {}", moment.start),
        namespace: question
            .model
            .metadata
            .namespace
            .clone()
            .unwrap_or_default(),
        there,
    }
}

fn older(oldest: i32, question: &Question<'_>) -> String {
    let what = match oldest - 1 {
        1 => "v1 is".to_owned(),
        last => format!("v1 to v{last} are"),
    };
    let place = question.place;
    match question.kept.was_read() {
        true => format!("{what} known no more, neither in the status nor among the reports"),
        false => format!(
            "{what} not in the status any more; reports and manifests lie in {place}, which is not opened \
             from here: mount or copy it, and name the folder with --artifacts"
        ),
    }
}

#[cfg(test)]
mod tests;
