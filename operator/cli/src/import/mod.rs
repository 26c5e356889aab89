//! `searchop import`: the click logs of other tools as UBI events, which the trainer reads.
//!
//! Rows become [`event::SourceEvent`]s (one file a source), these are brought together by client or
//! list ([`groups`]), joined to the list that showed the item ([`join`], which is pure) and written.

mod algolia;
mod counts;
mod event;
mod ga4;
mod groups;
mod input;
mod join;
mod metarank;
mod output;
mod segment;
mod source;
mod summary;
mod value;

use std::{io, time::Duration};

use indicatif::{ProgressBar, ProgressStyle};

pub use source::Meaning;

use self::{
    counts::{Counts, Orphan},
    event::{SourceEvent, What},
    groups::Groups,
    input::{Input, InputError, Problems, RowError},
    join::{Joined, Rules, join},
    output::{Output, OutputError, folder},
    source::{Dialect, Row, Source},
};
use crate::{
    args::{self, Import},
    exit::{Exit, Failure},
    terminal::Log,
};

#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error(transparent)]
    Input(#[from] InputError),
    #[error(transparent)]
    Output(#[from] OutputError),
    #[error("{path:?} is read and written; give --out and --queries files of their own")]
    Same { path: std::path::PathBuf },
    #[error("{0}")]
    BadRows(String),
    #[error("no list with a query; without lists it is not known what shoppers saw{0}")]
    NoLists(&'static str),
    #[error(
        "none of {0} clicks, carts and purchases belongs to a list; are the items named by the same field in both?"
    )]
    NothingJoined(u64),
    #[error(
        "{orphans} of {read} clicks, carts and purchases belong to no list, a share of {share:.3}; --max-orphan-share allows {limit}"
    )]
    Orphans {
        orphans: u64,
        read: u64,
        share: f64,
        limit: f64,
    },
    #[error("keep events for their join: {0}")]
    Waiting(io::Error),
}

impl Failure for ImportError {
    fn exit(&self) -> Exit {
        match self {
            Self::Input(InputError::Bad { .. }) => Exit::Refused,
            Self::Input(_) | Self::Same { .. } => Exit::Usage,
            Self::Output(OutputError::Ending { .. } | OutputError::QueriesEnding { .. }) => {
                Exit::Usage
            }
            Self::Output(_) | Self::Waiting(_) => Exit::Failed,
            _ => Exit::Refused,
        }
    }
}

/// Imports, prints what was joined and what was left out, and leaves no file where it fails.
pub fn import(args: &Import, log: Log) -> Result<Exit, ImportError> {
    let (common, dialect, rules) = settings(args);
    refuse_same(common)?;
    let inputs = common.inputs.iter().map(|path| Input::open(path));
    let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
    let mut output = Output::new(&common.out, common.queries.as_deref())?;
    let mut counts = Counts::default();
    let groups = read(&inputs, &dialect, common, (&mut counts, log))?;
    let bar = bar(log, "joining", groups.parts());
    let write = |group: &[SourceEvent]| {
        let Joined { events, queries } = join(group, &rules, &mut counts);
        events.iter().try_for_each(|event| output.event(event))?;
        queries.iter().try_for_each(|query| output.query(query))
    };
    let failed = |source| OutputError::Write {
        path: common.out.clone(),
        source,
    };
    let twice = groups.each(write, || bar.inc(1)).map_err(failed)?;
    bar.finish_and_clear();
    counts.duplicates = twice;
    tell(&counts, common.output, log);
    judge(&counts, dialect.source, common.max_orphan_share)?;
    output.finish()?;
    Ok(Exit::Done)
}

/// What is imported, as the source documents itself and the user says differently.
fn settings(args: &Import) -> (&args::ImportFiles, Dialect, Rules) {
    let (source, common) = match args {
        Import::Segment(args) => (Source::Segment, &args.files),
        Import::Ga4(args) => (Source::Ga4, &args.files),
        Import::Algolia(args) => (Source::Algolia, &args.files),
        Import::Metarank(args) => (Source::Metarank, &args.files),
    };
    let mut dialect = source.dialect();
    common
        .meanings
        .iter()
        .for_each(|meaning| dialect.means(meaning));
    let mut rules = Rules {
        source: source.name(),
        window_ms: 0,
        lists: Vec::new(),
    };
    if let Import::Segment(args::ImportShop { shop, .. })
    | Import::Ga4(args::ImportShop { shop, .. }) = args
    {
        rules.window_ms = i64::from(shop.join_window_minutes) * 60_000;
        rules.lists.clone_from(&shop.lists);
        dialect.position_base = shop.position_base.unwrap_or(dialect.position_base);
        if let Some(field) = &shop.item_field {
            dialect.item_field.clone_from(field);
        }
    }
    if let Import::Metarank(args) = args {
        dialect.query_field.clone_from(&args.query_field);
    }
    (common, dialect, rules)
}

fn refuse_same(files: &args::ImportFiles) -> Result<(), ImportError> {
    let real = |path: &std::path::Path| path.canonicalize().ok();
    let inputs: Vec<_> = files.inputs.iter().filter_map(|path| real(path)).collect();
    let twice = files.queries.as_ref() == Some(&files.out);
    let written = std::iter::once(&files.out).chain(&files.queries);
    for path in written {
        if twice || real(path).is_some_and(|path| inputs.contains(&path)) {
            return Err(ImportError::Same { path: path.clone() });
        }
    }
    Ok(())
}

/// Reads all rows into groups.
fn read(
    inputs: &[Input],
    dialect: &Dialect,
    args: &args::ImportFiles,
    (counts, log): (&mut Counts, Log),
) -> Result<Groups, ImportError> {
    let by_list = dialect.source.names_lists();
    let bytes = inputs.iter().map(Input::expanded).sum();
    let mut groups =
        Groups::new(by_list, bytes, folder(&args.out)).map_err(ImportError::Waiting)?;
    let bar = bar(log, "reading", inputs.iter().map(|input| input.bytes).sum());
    let (mut problems, mut row, mut done) = (Problems::default(), Row::default(), 0);
    for input in inputs {
        input.read(&mut problems, &mut |record, read| {
            bar.set_position(done + read);
            row = Row::default();
            dialect.read(record, &mut row).map_err(RowError::Field)?;
            counts.other_events += row.other_events;
            counts.times_without_offset += row.times_without_offset;
            for event in row.events.drain(..) {
                if belongs(&event, by_list, counts) {
                    groups.add(event).map_err(RowError::Io)?;
                }
            }
            Ok(())
        })?;
        done += input.bytes;
    }
    bar.finish_and_clear();
    (counts.rows, counts.bad_rows) = (problems.rows, problems.bad);
    if problems.bad > args.max_bad_rows {
        return Err(ImportError::BadRows(problems.told()));
    }
    if problems.bad > 0 {
        log.warn("BadRows", &problems.told());
    }
    Ok(groups)
}

/// Whether the event says what it belongs to; counted where it does not.
fn belongs(event: &SourceEvent, by_list: bool, counts: &mut Counts) -> bool {
    match &event.what {
        What::Act { action, .. } if by_list && event.list_id.is_none() => {
            counts.act(*action, Some(Orphan::NoListNamed));
            false
        }
        _ if !by_list && event.client.is_empty() => {
            counts.without_client += 1;
            false
        }
        _ => true,
    }
}

fn bar(log: Log, what: &'static str, length: u64) -> ProgressBar {
    if !log.attended() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{prefix:>9} {bar:30} {percent} %  {eta} left")
        .expect("the template is a constant");
    let bar = ProgressBar::new(length).with_style(style).with_prefix(what);
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

fn tell(counts: &Counts, output: args::Report, log: Log) {
    match output {
        args::Report::Table => print!("{}", summary::summary(counts)),
        args::Report::Json => println!(
            "{}",
            serde_json::to_string_pretty(counts).expect("counts are JSON")
        ),
    }
    let kinds = &counts.list_names;
    if kinds.len() > 1 && counts.lists.other_list == 0 {
        let kinds: Vec<String> = kinds
            .iter()
            .map(|(name, count)| format!("{name:?} {count}"))
            .collect();
        log.warn(
            "SeveralLists",
            &format!(
                "lists of several names count as search results ({}); say which do with --list NAME",
                kinds.join(", ")
            ),
        );
    }
}

/// Refuses what nothing can be learned from.
fn judge(
    counts: &Counts,
    source: Source,
    max_orphan_share: Option<f64>,
) -> Result<(), ImportError> {
    if counts.impressions == 0 {
        return Err(ImportError::NoLists(match source {
            Source::Algolia => {
                "; give the logged answers of the search API beside the events of Insights"
            }
            _ => "",
        }));
    }
    let (read, orphans) = counts.orphans();
    if read == orphans {
        return Err(ImportError::NothingJoined(read));
    }
    let share = orphans as f64 / read as f64;
    match max_orphan_share {
        Some(limit) if share > limit => Err(ImportError::Orphans {
            orphans,
            read,
            share,
            limit,
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
