//! Named checks of the data, before anybody trains. What the loader refuses fails; what makes a
//! model worse warns.

use std::{
    collections::{BTreeSet, HashSet},
    path::Path,
};

use searchop_contract::{Check, CheckOutcome, DataSource, TrainingJob};
use searchop_evaluation::statistics::MIN_QUERIES;

use crate::{
    data::{self, Cleaning, Dataset, Wanted, complete_day, date},
    error::TrainError,
    lists::{self, List, ListCounts},
    rows::Catalog,
    slices::{Slice, Slices},
    traffic::Traffic,
};

/// From this share on a check warns, and from that share on it fails.
#[derive(Clone, Copy)]
struct Limits {
    warn: f64,
    fail: f64,
}

/// Items that the catalogue does not have are ranked without text, price and category.
const UNKNOWN_ITEMS: Limits = Limits {
    warn: 0.1,
    fail: 0.5,
};
/// Some events always come from elsewhere; most of them mean that the join is wrong.
const ORPHANS: Limits = Limits {
    warn: 0.1,
    fail: 0.5,
};
/// More is no accident but a broken collector.
const NOISE: Limits = Limits {
    warn: 0.1,
    fail: 0.9,
};
/// Without positions the logged order is no baseline, and position bias stays in.
const NO_POSITION: Limits = Limits {
    warn: 0.05,
    fail: 2.0,
};

/// All checks of what `job` names. Objects are downloaded into `work`. What is wrong with the job or
/// with storage is the error: nothing is known of the data then.
pub fn check(job: &TrainingJob, work: &Path) -> Result<Vec<Check>, TrainError> {
    let mut checks = Checks::default();
    if let Some(dataset) = load(job, work, &mut checks)? {
        look(job, &dataset, &mut checks)?;
    }
    Ok(checks.all)
}

fn load(
    job: &TrainingJob,
    work: &Path,
    checks: &mut Checks,
) -> Result<Option<Dataset>, TrainError> {
    if let DataSource::Sources {
        catalog,
        events,
        window_days,
        judgments,
        ..
    } = &job.data
    {
        let wanted = Wanted::new(&job.declared, []);
        let products = data::read_declared_catalog((catalog, &wanted), work, &mut |_| {});
        let read = checks.read("CatalogReadable", products, |(products, _)| {
            format!("{} products, each id once", products.len())
        })?;
        let raw = data::read_events((events, wanted), work, &mut |_| {});
        let raw = checks.read("EventsReadable", raw, |raw| {
            format!("{} events", raw.cleaning.read)
        })?;
        if let Some(source) = judgments {
            let grades = data::read_judgments(source, work, &mut |_| {});
            checks.read("JudgmentsReadable", grades, ToString::to_string)?;
        }
        let (Some(products), Some(raw)) = (read, raw) else {
            return Ok(None);
        };
        let window = data::newest_days(&raw, job.as_of_time, *window_days);
        let dataset = window.and_then(|window| data::finish(products, raw, window, &mut |_| {}));
        return checks.read("EventsUsable", dataset, |dataset| {
            dataset.cleaning.to_string()
        });
    }
    let dataset = data::load(job, work, &mut |_| {});
    checks.read("EventsUsable", dataset, |dataset| {
        format!("{} products; {}", dataset.products.len(), dataset.cleaning)
    })
}

fn look(job: &TrainingJob, dataset: &Dataset, checks: &mut Checks) -> Result<(), TrainError> {
    let analysed = Catalog::analyse(&dataset.products)?;
    let traffic = Traffic::read(dataset, analysed.analyzer())
        .map_err(|error| TrainError::data(error.to_string()))?;
    checks.cleaned(&dataset.cleaning);
    checks.declared(dataset);
    checks.positions(&traffic);
    checks.days(job, dataset, &traffic);
    let oldest = lists::oldest_day(&traffic).unwrap_or(dataset.window.first_day);
    match checks.read(
        "DaysEnough",
        Slices::divide(job, dataset.window, oldest),
        told,
    )? {
        Some(slices) => {
            let (lists, counts) = lists::build(&traffic, &slices);
            checks.slices(&counts);
            checks.gate(&lists, &traffic);
        }
        None => checks.skip(&["ListsClicked", "GateQueries"], "too few days"),
    }
    Ok(())
}

fn told(slices: &Slices) -> String {
    let span = |days: data::Window| format!("{} to {}", date(days.first_day), date(days.last_day));
    format!(
        "trains on {}, stops by {}, judged by {}",
        span(slices.train),
        span(slices.valid),
        span(slices.gate)
    )
}

#[derive(Default)]
struct Checks {
    all: Vec<Check>,
}

impl Checks {
    fn add(&mut self, name: &str, outcome: CheckOutcome, message: impl Into<String>) {
        self.all.push(Check::new(name, outcome, message));
    }

    fn skip(&mut self, names: &[&str], why: &str) {
        names
            .iter()
            .for_each(|name| self.add(name, CheckOutcome::Skip, why));
    }

    /// Bad data fail the check; anything else ends all checks.
    fn read<T>(
        &mut self,
        name: &str,
        found: Result<T, TrainError>,
        message: impl Fn(&T) -> String,
    ) -> Result<Option<T>, TrainError> {
        match found {
            Ok(found) => {
                self.add(name, CheckOutcome::Pass, message(&found));
                Ok(Some(found))
            }
            Err(TrainError::Data(complaint)) => {
                self.add(name, CheckOutcome::Fail, complaint);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// `count` of `of` are not as they should be.
    fn share(&mut self, name: &str, (count, of): (u64, u64), limits: Limits, message: &str) {
        let share = count as f64 / of.max(1) as f64;
        let outcome = if share >= limits.fail {
            CheckOutcome::Fail
        } else if share >= limits.warn {
            CheckOutcome::Warn
        } else {
            CheckOutcome::Pass
        };
        let percent = share * 100.0;
        self.add(
            name,
            outcome,
            format!("{count} of {of} {message} ({percent:.1} %)"),
        );
    }

    fn cleaned(&mut self, cleaning: &Cleaning) {
        let inside = cleaning.read - cleaning.outside_window - cleaning.other_actions;
        let noise = cleaning.bots + cleaning.duplicates;
        self.share(
            "ItemsKnown",
            (cleaning.unknown_items, cleaning.kept),
            UNKNOWN_ITEMS,
            "events are of items that the catalogue does not have",
        );
        self.share(
            "EventsJoined",
            (cleaning.orphans + cleaning.incomplete, inside),
            ORPHANS,
            "events belong to no list that showed the item before",
        );
        self.share(
            "FewBotsAndDuplicates",
            (noise, inside),
            NOISE,
            "events are of bots or there twice",
        );
        match cleaning.times_without_offset {
            0 => self.add(
                "TimesWithOffset",
                CheckOutcome::Pass,
                "every time says its offset",
            ),
            count => self.add(
                "TimesWithOffset",
                CheckOutcome::Warn,
                format!("{count} times without offset are read as UTC"),
            ),
        }
    }

    /// What the data have of declared features; what they never have, no model can learn from.
    fn declared(&mut self, dataset: &Dataset) {
        let shares = dataset.declared_shares();
        if shares.is_empty() {
            return;
        }
        let nowhere = shares.iter().any(|(_, share)| *share == 0.0);
        let outcome = if nowhere {
            CheckOutcome::Warn
        } else {
            CheckOutcome::Pass
        };
        let of = |(name, share): &(String, f64)| format!("{name} {:.1} %", share * 100.0);
        let shares: Vec<String> = shares.iter().map(of).collect();
        let message = format!(
            "products and impressions with a value: {}",
            shares.join(", ")
        );
        self.add("DeclaredFeatures", outcome, message);
    }

    fn positions(&mut self, traffic: &Traffic) {
        let shown = traffic.events.iter().filter(|event| event.action == 0);
        let (mut without, mut all) = (0, 0);
        for event in shown {
            all += 1;
            without += u64::from(event.position.is_none());
        }
        self.share(
            "PositionsKnown",
            (without, all),
            NO_POSITION,
            "impressions have no position",
        );
    }

    /// Whether the log is there day by day, and up to now.
    fn days(&mut self, job: &TrainingJob, dataset: &Dataset, traffic: &Traffic) {
        let window = dataset.window;
        let days: BTreeSet<i32> = traffic.events.iter().map(|event| event.day).collect();
        let first = days.first().copied().unwrap_or(window.last_day);
        let expected = window.last_day - first + 1;
        let missing: Vec<String> = (first..=window.last_day)
            .filter(|day| !days.contains(day))
            .map(date)
            .collect();
        let found = format!(
            "{} of {expected} days from {} to {} have events",
            days.len(),
            date(first),
            date(window.last_day)
        );
        match missing.as_slice() {
            [] => self.add("DaysComplete", CheckOutcome::Pass, found),
            [missing, ..] => {
                let message = format!("{found}; the first without is {missing}");
                self.add("DaysComplete", CheckOutcome::Warn, message);
            }
        }
        let age = complete_day(job.as_of_time) - window.last_day;
        let outcome = if age > 7 {
            CheckOutcome::Warn
        } else {
            CheckOutcome::Pass
        };
        let message = format!(
            "the newest events are of {}, {age} days before the newest complete day",
            date(window.last_day)
        );
        self.add("DataFresh", outcome, message);
    }

    fn slices(&mut self, counts: &ListCounts) {
        let ListCounts {
            train, valid, gate, ..
        } = counts;
        let message = format!(
            "lists with a click, cart or purchase: {train} to train, {valid} to validate, {gate} to judge; {} without, {} too young to tell",
            counts.without_action, counts.unripe
        );
        let empty = [train, valid, gate].into_iter().any(|lists| *lists == 0);
        let outcome = if empty {
            CheckOutcome::Fail
        } else {
            CheckOutcome::Pass
        };
        self.add("ListsClicked", outcome, message);
    }

    fn gate(&mut self, lists: &[List], traffic: &Traffic) {
        let judging = lists.iter().filter(|list| list.slice == Slice::Gate);
        let keys: HashSet<u32> = judging
            .map(|list| traffic.queries[list.query as usize].key)
            .collect();
        let found = format!("{} query keys in the held-out days", keys.len());
        if keys.len() >= MIN_QUERIES as usize {
            self.add("GateQueries", CheckOutcome::Pass, found);
        } else {
            let message = format!(
                "{found}, {MIN_QUERIES} are needed for a verdict: hold out more days, or collect more"
            );
            self.add("GateQueries", CheckOutcome::Fail, message);
        }
    }
}
