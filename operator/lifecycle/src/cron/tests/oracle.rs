//! What the written rules of schedules say, worked out the slow way: every minute of UTC is walked
//! with an eye on the wall clock. It shares nothing with the code that it checks but the time zones.
//!
//! Compiled twice: for the tests, and for `make bench-cron`, which draws many more cases.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use searchop_api::RetrainScheduleStatus;
use serde_json::{from_value, json};

use super::{Cron, ObservedModel, ObservedSchedule, plan_schedule};

/// Days that a case covers.
const DAYS: i64 = 4;
const DAY: i64 = 1440;
/// How late a missed tick may ask, in the planned part of a case.
const DEADLINE_SECONDS: i64 = 3600;
/// Ticks that a schedule remembers.
const REMEMBERED: usize = 20;

/// A generator that needs no crate: the same seed draws the same cases everywhere.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    fn minute(&mut self, bound: i64) -> i64 {
        self.below(bound.unsigned_abs()) as i64
    }

    /// The text of a field and the values it stands for.
    fn field(&mut self, low: u64, high: u64) -> (String, Values) {
        let one = |random: &mut Self| low + random.below(high - low + 1);
        match self.below(6) {
            0 | 1 => ("*".into(), Values::of(low..=high)),
            2 => {
                let step = 1 + self.below(high);
                let values = Values::of((low..=high).step_by(step as usize));
                (format!("*/{step}"), values)
            }
            3 => {
                let values: BTreeSet<u64> = (0..=self.below(4)).map(|_| one(self)).collect();
                let text: Vec<String> = values.iter().map(u64::to_string).collect();
                (text.join(","), Values::of(values))
            }
            kind => {
                let (a, b) = (one(self), one(self));
                let (from, to) = (a.min(b), a.max(b));
                let step = if kind == 4 { 1 } else { 1 + self.below(5) };
                let text = if kind == 4 {
                    format!("{from}-{to}")
                } else {
                    format!("{from}-{to}/{step}")
                };
                (text, Values::of((from..=to).step_by(step as usize)))
            }
        }
    }
}

/// The values of a field.
struct Values([bool; 60]);

impl Values {
    fn of(values: impl IntoIterator<Item = u64>) -> Self {
        let mut all = [false; 60];
        values
            .into_iter()
            .for_each(|value| all[value as usize] = true);
        Self(all)
    }

    fn has(&self, value: i64) -> bool {
        self.0[value as usize]
    }
}

struct Oracle {
    minutes: Values,
    hours: Values,
    days: Values,
    months: Values,
    weekdays: Values,
    either: bool,
}

impl Oracle {
    fn draw(random: &mut Random) -> (String, Self) {
        let (minute, minutes) = random.field(0, 59);
        let (hour, hours) = random.field(0, 23);
        let (day, days) = random.field(1, 31);
        let (month, months) = random.field(1, 12);
        let (weekday, mut weekdays) = random.field(0, 7);
        weekdays.0[0] |= weekdays.0[7];
        let either = !day.starts_with('*') && !weekday.starts_with('*');
        let text = format!("{minute} {hour} {day} {month} {weekday}");
        let oracle = Self {
            minutes,
            hours,
            days,
            months,
            weekdays,
            either,
        };
        (text, oracle)
    }

    /// `local` is in minutes since 1970 on the wall clock.
    fn fits(&self, local: i64) -> bool {
        let (days, minute) = (local.div_euclid(DAY), local.rem_euclid(DAY));
        if !self.minutes.has(minute % 60) || !self.hours.has(minute / 60) {
            return false;
        }
        let (month, day) = month_and_day(days);
        let by_day = self.days.has(day);
        let by_weekday = self.weekdays.has((days + 4).rem_euclid(7));
        let day_fits = match self.either {
            true => by_day || by_weekday,
            false => by_day && by_weekday,
        };
        self.months.has(month) && day_fits
    }

    /// Minutes of UTC in which a tick happens.
    fn ticks(&self, zone: &TimeZone, from: i64, until: i64) -> BTreeSet<i64> {
        let wall = |minute: i64| {
            let offset = zone.to_offset(minute_of(minute));
            minute + i64::from(offset.seconds()) / 60
        };
        let mut latest = wall(from - DAY - 1);
        let mut ticks = BTreeSet::new();
        for minute in from - DAY..until {
            let now = wall(minute);
            // What the wall clock jumped over, and what it shows for the first time.
            if minute >= from && (latest + 1..=now).any(|local| self.fits(local)) {
                ticks.insert(minute);
            }
            latest = latest.max(now);
        }
        ticks
    }
}

/// Month and day of a day since 1970, counted year by year and month by month.
fn month_and_day(mut days: i64) -> (i64, i64) {
    for year in 1970.. {
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let length = if leap { 366 } else { 365 };
        if days >= length {
            days -= length;
            continue;
        }
        let february = if leap { 29 } else { 28 };
        let months = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        for (month, length) in (1..).zip(months) {
            if days < length {
                return (month, days + 1);
            }
            days -= length;
        }
    }
    unreachable!("years do not end")
}

fn minute_of(minute: i64) -> Timestamp {
    Timestamp::from_second(minute * 60).expect("the cases lie in this century")
}

/// Every time zone that there is.
pub fn zones() -> Vec<TimeZone> {
    let names = jiff::tz::db().available();
    let found = names.filter_map(|name| TimeZone::get(name.as_str()).ok());
    // A name with two spellings counts twice; that is no matter.
    found.collect()
}

/// An expression in a zone, over some days of which half lie around a change of the clocks.
pub struct Case {
    expression: String,
    zone: TimeZone,
    from: i64,
    until: i64,
    ticks: BTreeSet<i64>,
}

impl Case {
    pub fn draw(random: &mut Random, zones: &[TimeZone]) -> Self {
        let zone = zones[random.below(zones.len() as u64) as usize].clone();
        // From 1990 on: before that, some clocks were off by seconds.
        let day = 20 * 365 + random.minute(47 * 365);
        let start = minute_of(day * DAY);
        let middle = match zone.following(start).next() {
            Some(change) if random.below(2) == 0 => change.timestamp(),
            _ => start,
        };
        let from = middle.as_second() / 60 - DAYS / 2 * DAY + random.minute(DAY);
        let until = from + DAYS * DAY;
        let (expression, oracle) = Oracle::draw(random);
        Self {
            ticks: oracle.ticks(&zone, from, until),
            expression,
            zone,
            from,
            until,
        }
    }

    /// The first difference between code and oracle, in words.
    pub fn compare(&self, random: &mut Random) -> Result<(), String> {
        let cron: Cron = self
            .expression
            .parse()
            .map_err(|error| self.difference(&format!("cannot be read: {error}")))?;
        self.compare_next(&cron)?;
        for _ in 0..10 {
            let moment = self.from + random.minute(DAYS * DAY);
            self.compare_newest(&cron, moment, random.minute(60))?;
        }
        self.compare_plans(random)
    }

    fn difference(&self, what: &str) -> String {
        let name = self.zone.iana_name().unwrap_or("?");
        format!(
            "{:?} in {name} from {}: {what}",
            self.expression,
            minute_of(self.from)
        )
    }

    /// Walking forwards finds all ticks.
    fn compare_next(&self, cron: &Cron) -> Result<(), String> {
        let before = minute_of(self.from) - SignedDuration::from_secs(1);
        let first = cron.next_after(&self.zone, before);
        let found: BTreeSet<i64> =
            std::iter::successors(first, |tick| cron.next_after(&self.zone, *tick))
                .map(|tick| tick.as_second() / 60)
                .take_while(|tick| *tick < self.until)
                .collect();
        match found.symmetric_difference(&self.ticks).next() {
            None => Ok(()),
            Some(tick) => Err(self.difference(&format!("{} is in one only", minute_of(*tick)))),
        }
    }

    fn compare_newest(&self, cron: &Cron, moment: i64, second: i64) -> Result<(), String> {
        let Some(expected) = self.ticks.range(..=moment).next_back() else {
            return Ok(());
        };
        let now = minute_of(moment) + SignedDuration::from_secs(second);
        let found = cron.newest_until(&self.zone, now);
        match found == Some(minute_of(*expected)) {
            true => Ok(()),
            false => Err(self.difference(&format!("newest at {now}: {found:?}"))),
        }
    }

    /// A schedule that is looked at now and then, by a clock that jumps: what it asks for, what it
    /// writes down of each tick, and which comes next.
    fn compare_plans(&self, random: &mut Random) -> Result<(), String> {
        let mut now = minute_of(self.from);
        let mut seen = self.observed(now);
        seen.status = plan_schedule(&seen).status;
        let mut dealt_with = self.from;
        let mut recent: Vec<(i64, &str)> = Vec::new();
        for _ in 0..8 {
            let step = match random.below(4) {
                0 => -random.minute(DAY),
                1 => random.minute(DAY),
                _ => random.minute(90),
            };
            let latest = minute_of(self.until - 1);
            let moved = now + SignedDuration::from_secs(step * 60 + random.minute(60));
            now = moved.clamp(minute_of(self.from), latest);
            seen.now = now;
            let plan = plan_schedule(&seen);
            let minute = now.as_second() / 60;
            let due: Vec<i64> = match dealt_with < minute {
                true => self.ticks.range(dealt_with + 1..=minute).copied().collect(),
                false => Vec::new(),
            };
            let late = |tick: i64| now.as_second() - tick * 60 > DEADLINE_SECONDS;
            if let Some((newest, missed)) = due.split_last() {
                recent.extend(missed.iter().map(|tick| (*tick, "Missed")));
                let outcome = if late(*newest) {
                    "DeadlineExceeded"
                } else {
                    "Requested"
                };
                recent.push((*newest, outcome));
                dealt_with = *newest;
            }
            let asks = due.last().is_some_and(|newest| !late(*newest));
            let next = self
                .ticks
                .range(dealt_with.max(minute) + 1..)
                .next()
                .copied();
            self.compare_plan(
                &plan.status,
                (asks, !plan.requests.is_empty()),
                (&recent, next),
            )
            .map_err(|what| self.difference(&format!("planned at {now}: {what}")))?;
            seen.status = plan.status;
        }
        Ok(())
    }

    fn compare_plan(
        &self,
        status: &RetrainScheduleStatus,
        (expected, asks): (bool, bool),
        (recent, next): (&[(i64, &str)], Option<i64>),
    ) -> Result<(), String> {
        if asks != expected {
            return Err(format!("asks: {asks}"));
        }
        let remembered: Vec<(i64, &str)> = status
            .recent
            .iter()
            .map(|tick| (tick.time.0.as_second() / 60, &*tick.outcome))
            .collect();
        let expected: Vec<(i64, &str)> = recent.iter().rev().take(REMEMBERED).copied().collect();
        if remembered != expected {
            return Err(format!("recent is {remembered:?}, not {expected:?}"));
        }
        let found = status
            .next_schedule_time
            .as_ref()
            .map(|time| time.0.as_second() / 60);
        match next {
            // The next one may lie beyond the days that the oracle walked.
            Some(_) if found != next => Err(format!("next is {found:?}, not {next:?}")),
            _ => Ok(()),
        }
    }

    fn observed(&self, now: Timestamp) -> ObservedSchedule {
        let spec = json!({
            "modelRef": {"name": "products"},
            "schedule": self.expression,
            "timeZone": self.zone.iana_name(),
            "startingDeadlineSeconds": DEADLINE_SECONDS,
        });
        ObservedSchedule {
            namespace: "shop".to_owned(),
            name: "any".to_owned(),
            generation: 1,
            spec: from_value(spec).expect("the fields of a schedule"),
            status: RetrainScheduleStatus::default(),
            models: vec![ObservedModel::default()],
            now,
        }
    }
}
