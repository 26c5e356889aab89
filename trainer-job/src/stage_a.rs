//! Stage A: integer counters by day. They only add, so any engine can compute them in any order and
//! a later retrain can reuse a day that was counted before. An event counts on the day on which it
//! arrived, not on the day of the list it belongs to: that is when serving could have known it.
//!
//! Days are counted one by one, so the groups of one fit into the processor's cache, and what does
//! not fit into memory is never there at once.

use std::{
    collections::BTreeMap,
    fs::File,
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use polars::prelude::*;
use searchop_model::counters::{Counters, POSITION_BUCKETS, Totals, position_bucket};

use crate::{error::TrainError, kept_counters::KeptCounters, traffic::Traffic};

/// One aggregation: sums of [`COUNTERS`] over these keys, a table a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AggSpec {
    pub name: &'static str,
    pub keys: &'static [&'static str],
}

/// The finest table; the others are sums of it. `query` is the query's key, `position` one of
/// [`counted_position`].
pub const QUERY_ITEMS: AggSpec = AggSpec {
    name: "query_items",
    keys: &["query", "item", "position", "surface"],
};
pub const ITEMS: AggSpec = AggSpec {
    name: "items",
    keys: &["item", "position", "surface"],
};
pub const TOTALS: AggSpec = AggSpec {
    name: "totals",
    keys: &["position", "surface"],
};

/// The counters, by the number of the action they count.
pub const COUNTERS: [&str; 4] = ["impressions", "clicks", "carts", "purchases"];

/// Positions are counted as 1 to 20 each, then 21 for those up to 50, then 51; 0 is unknown.
pub fn counted_position(position: Option<u32>) -> u32 {
    match position.unwrap_or(0) {
        exact @ 0..=20 => exact,
        21..=50 => 21,
        _ => 51,
    }
}

/// The same for a column of 1-based positions, in which a null is unknown.
fn counted(position: Expr) -> Expr {
    let position = position.fill_null(lit(0)).cast(DataType::UInt32);
    when(position.clone().lt_eq(lit(20_u32)))
        .then(position.clone())
        .when(position.lt_eq(lit(50_u32)))
        .then(lit(21_u32))
        .otherwise(lit(51_u32))
}

/// The tables of one day, in the order in which their keys were first seen.
#[derive(Clone, Debug)]
pub struct DayTables {
    pub day: i32,
    pub query_items: DataFrame,
    pub items: DataFrame,
    pub totals: DataFrame,
}

/// Counts every day of `events`, which are in order of days, and hands its tables to `each`. The
/// columns are those of the finest table's keys, `day` and `action`; names and numbers do alike.
pub fn count_days(
    events: &LazyFrame,
    threads: usize,
    each: impl Fn(DayTables) -> PolarsResult<()> + Sync,
) -> PolarsResult<()> {
    let days = slices(events)?;
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(None));
    let work = || {
        while let Some(slice) = days.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Err(error) = slice.count(events).and_then(&each) {
                next.store(days.len(), Ordering::Relaxed);
                *failed.lock().expect("nobody panics with it") = Some(error);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(work);
        }
        work();
    });
    match failed.into_inner().expect("nobody panics with it") {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

/// The rows of one day.
struct DaySlice {
    day: i32,
    offset: i64,
    rows: IdxSize,
}

fn slices(events: &LazyFrame) -> PolarsResult<Vec<DaySlice>> {
    let days = events.clone().select([col("day")]).collect()?;
    let days = days.column("day")?.i32()?;
    let mut slices: Vec<DaySlice> = Vec::new();
    for (offset, day) in (0..).zip(days.iter()) {
        let day = day.ok_or_else(|| polars_err!(ComputeError: "row {offset} has no day"))?;
        match slices.last_mut() {
            Some(last) if last.day == day => last.rows += 1,
            Some(last) if last.day > day => {
                polars_bail!(ComputeError: "row {offset} is of an earlier day than the one before");
            }
            _ => slices.push(DaySlice {
                day,
                offset,
                rows: 1,
            }),
        }
    }
    Ok(slices)
}

impl DaySlice {
    fn count(&self, events: &LazyFrame) -> PolarsResult<DayTables> {
        let today = events
            .clone()
            .slice(self.offset, self.rows)
            .with_column(counted(col("position")).alias("position"));
        let tables = DayTables::from_finest(self.day, QUERY_ITEMS.count(today)?)?;
        tables.audit(self.rows.into())?;
        Ok(tables)
    }
}

impl DayTables {
    /// All tables, from the finest.
    pub fn from_finest(day: i32, query_items: DataFrame) -> PolarsResult<Self> {
        let items = ITEMS.sum(&query_items)?;
        Ok(Self {
            day,
            totals: TOTALS.sum(&items)?,
            query_items,
            items,
        })
    }

    /// Every event is in each table once, whatever went wrong.
    pub fn audit(&self, events: u64) -> PolarsResult<()> {
        for (spec, table) in self.tables() {
            let counted = sum(table)?;
            polars_ensure!(
                counted == events,
                ComputeError: "{} counted {counted} of {events} events", spec.name
            );
        }
        Ok(())
    }

    /// How many were counted.
    pub fn events(&self) -> PolarsResult<u64> {
        sum(&self.totals)
    }

    /// Writes a file a table into `dir`; the same tables give the same bytes.
    pub fn write(&self, dir: &Path) -> PolarsResult<()> {
        for (spec, table) in self.tables() {
            let file = File::create(dir.join(format!("{}.parquet", spec.name)))?;
            ParquetWriter::new(file)
                .with_compression(ParquetCompression::Zstd(None))
                .finish(&mut table.clone())?;
        }
        Ok(())
    }

    /// Each table with what it is.
    pub fn tables(&self) -> [(AggSpec, &DataFrame); 3] {
        [
            (QUERY_ITEMS, &self.query_items),
            (ITEMS, &self.items),
            (TOTALS, &self.totals),
        ]
    }
}

fn sum(table: &DataFrame) -> PolarsResult<u64> {
    let mut counted = 0;
    for counter in COUNTERS {
        counted += u64::from(table.column(counter)?.u32()?.sum().unwrap_or(0));
    }
    Ok(counted)
}

impl AggSpec {
    fn columns(self) -> Vec<Expr> {
        self.keys.iter().map(|key| col(*key)).collect()
    }

    /// From events.
    fn count(self, events: LazyFrame) -> PolarsResult<DataFrame> {
        let count = |(action, name): (i8, &&str)| {
            col("action")
                .eq(lit(action))
                .sum()
                .cast(DataType::UInt32)
                .alias(*name)
        };
        let counters: Vec<Expr> = (0..).zip(&COUNTERS).map(count).collect();
        events
            .group_by_stable(self.columns())
            .agg(counters)
            .collect()
    }

    /// From a finer table.
    fn sum(self, finer: &DataFrame) -> PolarsResult<DataFrame> {
        let counters: Vec<Expr> = COUNTERS.iter().map(|name| col(*name).sum()).collect();
        finer
            .clone()
            .lazy()
            .group_by_stable(self.columns())
            .agg(counters)
            .collect()
    }
}

/// What happened on each day.
pub struct DayCounts {
    days: BTreeMap<i32, Day>,
}

/// What happened on one day.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Day {
    /// By item of the catalogue, ascending.
    pub items: Vec<(u32, Counters)>,
    /// By (query key, item of the catalogue), ascending.
    pub query_items: Vec<((u32, u32), Counters)>,
    /// Of all items.
    pub totals: Totals,
}

impl DayCounts {
    pub fn count(traffic: &Traffic) -> PolarsResult<Self> {
        let counted = count_where(traffic, |_| true)?;
        Self::read(counted.iter(), traffic)
    }

    /// Counts the days that were not counted before; `new` sees their tables.
    pub fn resume(
        traffic: &mut Traffic,
        kept: &KeptCounters,
        mut new: impl FnMut(&DayTables, &Traffic) -> Result<(), TrainError>,
    ) -> Result<Self, TrainError> {
        let failed =
            |error: PolarsError| TrainError::data(format!("the events cannot be counted: {error}"));
        let mut events: BTreeMap<i32, u64> = BTreeMap::new();
        for event in &traffic.events {
            *events.entry(event.day).or_default() += 1;
        }
        let has = |day: i32| kept.has(day, events.get(&day).copied().unwrap_or(0));
        let mut all = count_where(traffic, |day| !has(day)).map_err(failed)?;
        for tables in &all {
            new(tables, traffic)?;
        }
        for day in kept.days().filter(|day| has(*day)) {
            all.push(kept.read(day, traffic).map_err(failed)?);
        }
        Self::read(all.iter(), traffic).map_err(failed)
    }

    fn read<'t>(all: impl Iterator<Item = &'t DayTables>, traffic: &Traffic) -> PolarsResult<Self> {
        let days = all
            .map(|tables| Ok((tables.day, Day::read(tables, traffic)?)))
            .collect::<PolarsResult<_>>()?;
        Ok(Self { days })
    }

    /// `None` for a day without events.
    pub fn day(&self, day: i32) -> Option<&Day> {
        self.days.get(&day)
    }
}

/// The tables of the wanted days, oldest first.
fn count_where(traffic: &Traffic, wanted: impl Fn(i32) -> bool) -> PolarsResult<Vec<DayTables>> {
    let counted = Mutex::new(Vec::new());
    count_days(&frame(traffic, wanted)?, 1, |tables| {
        counted.lock().expect("nobody panics with it").push(tables);
        Ok(())
    })?;
    Ok(counted.into_inner().expect("nobody panics with it"))
}

impl Day {
    fn read(tables: &DayTables, traffic: &Traffic) -> PolarsResult<Self> {
        let known = |item: u32| traffic.knows(item);
        let mut day = Self::default();
        for row in Counted::rows(&tables.query_items, &["query", "item"])? {
            if let [query, item] = row.keys[..]
                && known(item)
            {
                merge(&mut day.query_items, (query, item), row.counters());
            }
        }
        for row in Counted::rows(&tables.items, &["item"])? {
            if let [item] = row.keys[..]
                && known(item)
            {
                merge(&mut day.items, item, row.counters());
            }
        }
        for row in Counted::rows(&tables.totals, &[])? {
            row.add_to(&mut day.totals);
        }
        Ok(day)
    }
}

/// A row an event, names as numbers; the log knows no surfaces.
fn frame(traffic: &Traffic, wanted: impl Fn(i32) -> bool) -> PolarsResult<LazyFrame> {
    let events: Vec<&crate::traffic::Event> = traffic
        .events
        .iter()
        .filter(|event| wanted(event.day))
        .collect();
    let numbers = |name: &str, of: &dyn Fn(&crate::traffic::Event) -> u32| -> Column {
        Column::new(
            name.into(),
            events.iter().copied().map(of).collect::<Vec<u32>>(),
        )
    };
    let actions: Vec<i8> = events.iter().map(|event| event.action as i8).collect();
    let days: Vec<i32> = events.iter().map(|event| event.day).collect();
    let columns = vec![
        Column::new("day".into(), days),
        Column::new("action".into(), actions),
        numbers("item", &|event| event.item),
        numbers("query", &|event| traffic.queries[event.query as usize].key),
        numbers("position", &|event| event.position.unwrap_or(0)),
        numbers("surface", &|_| 0),
    ];
    Ok(DataFrame::new(events.len(), columns)?.lazy())
}

/// Counters of every (query key, item, position) in the days up to `until`, ordered by them.
pub fn by_position(traffic: &Traffic, until: i32) -> PolarsResult<DataFrame> {
    let keys = ["query", "item", "position"];
    let spec = AggSpec {
        name: "positions",
        keys: &["query", "item", "position"],
    };
    let events =
        frame(traffic, |day| day <= until)?.with_column(counted(col("position")).alias("position"));
    spec.count(events)?
        .sort(keys, SortMultipleOptions::default())
}

/// A row of an aggregation.
struct Counted {
    keys: Vec<u32>,
    bucket: usize,
    counts: [u32; 4],
}

impl Counted {
    /// In ascending order of keys.
    fn rows(frame: &DataFrame, keys: &[&str]) -> PolarsResult<Vec<Self>> {
        let order: Vec<&str> = keys.iter().copied().chain(["position"]).collect();
        let frame = frame.sort(order, SortMultipleOptions::default())?;
        let position = frame.column("position")?.u32()?;
        let numbers = |names: &[&str]| -> PolarsResult<Vec<UInt32Chunked>> {
            names
                .iter()
                .map(|name| Ok(frame.column(name)?.u32()?.clone()))
                .collect()
        };
        let (keys, counters) = (numbers(keys)?, numbers(&COUNTERS)?);
        let row = |index: usize| Self {
            keys: keys
                .iter()
                .map(|key| key.get(index).expect("a group has its keys"))
                .collect(),
            bucket: position_bucket(position.get(index).filter(|&position| position > 0)),
            counts: std::array::from_fn(|counter| counters[counter].get(index).unwrap_or(0)),
        };
        Ok((0..frame.height()).map(row).collect())
    }

    fn counters(&self) -> Counters {
        let [shown, clicks, carts, purchases] = self.counts;
        let mut impressions = [0; POSITION_BUCKETS];
        impressions[self.bucket] = shown;
        Counters {
            impressions,
            clicks,
            carts,
            purchases,
        }
    }

    fn add_to(&self, totals: &mut Totals) {
        let [shown, clicks, carts, purchases] = self.counts.map(u64::from);
        totals.impressions[self.bucket] += shown;
        totals.clicks[self.bucket] += clicks;
        totals.carts += carts;
        totals.purchases += purchases;
    }
}

/// Adds to the last entry where the key is the same; rows come in ascending order of keys.
fn merge<K: PartialEq>(counts: &mut Vec<(K, Counters)>, key: K, counters: Counters) {
    match counts.last_mut() {
        Some((last, sum)) if *last == key => *sum += counters,
        _ => counts.push((key, counters)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_of_counting_positions_agree() {
        let positions = [
            None,
            Some(0),
            Some(1),
            Some(20),
            Some(21),
            Some(50),
            Some(51),
        ];
        let column = Column::new(
            "position".into(),
            positions.map(|one| one.map(|p| p as i32)),
        );
        let found = DataFrame::new(positions.len(), vec![column])
            .unwrap()
            .lazy()
            .select([counted(col("position"))])
            .collect()
            .unwrap();
        let found: Vec<u32> = found.columns()[0].u32().unwrap().iter().flatten().collect();
        assert_eq!(found, positions.map(counted_position));
        assert_eq!(found, [0, 0, 1, 20, 21, 21, 51]);
        for position in positions {
            let bucket = |position: u32| position_bucket(Some(position).filter(|&p| p > 0));
            assert_eq!(
                bucket(counted_position(position)),
                bucket(position.unwrap_or(0)),
                "the buckets of features are made of these"
            );
        }
    }

    fn events(days: &[i32]) -> LazyFrame {
        let texts = |name: &str, modulus: usize| {
            let values: Vec<String> = (0..days.len())
                .map(|n| format!("{name}{}", n % modulus))
                .collect();
            Column::new(name.into(), values)
        };
        let columns = vec![
            texts("query", 3),
            texts("item", 5),
            texts("surface", 2),
            Column::new(
                "position".into(),
                (0..days.len() as i32).collect::<Vec<_>>(),
            ),
            Column::new(
                "action".into(),
                (0..days.len()).map(|n| (n % 4) as i8).collect::<Vec<_>>(),
            ),
            Column::new("day".into(), days.to_vec()),
        ];
        DataFrame::new(days.len(), columns).unwrap().lazy()
    }

    #[test]
    fn a_day_is_counted_once_whatever_the_threads() {
        let days: Vec<i32> = (0..1000).map(|n| n / 150).collect();
        let counted = |threads: usize| {
            let found = Mutex::new(BTreeMap::new());
            count_days(&events(&days), threads, |tables| {
                found.lock().unwrap().insert(tables.day, tables);
                Ok(())
            })
            .unwrap();
            found.into_inner().unwrap()
        };
        let (one, two) = (counted(1), counted(2));
        assert_eq!(
            one.keys().copied().collect::<Vec<_>>(),
            (0..7).collect::<Vec<_>>()
        );
        for (day, tables) in &one {
            for ((_, table), (_, other)) in tables.tables().into_iter().zip(two[day].tables()) {
                assert!(table.equals(other), "{day}");
            }
        }
    }

    #[test]
    fn days_must_be_in_order() {
        let error = count_days(&events(&[1, 2, 1]), 1, |_| Ok(())).unwrap_err();
        assert!(
            error.to_string().contains("row 2 is of an earlier day"),
            "{error}"
        );
    }
}
