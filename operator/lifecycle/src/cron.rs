//! Cron expressions of five fields, in a time zone with daylight saving.
//!
//! The rules: a local time that the clocks jump over happens at the first instant after the jump; a
//! local time that comes twice happens once, the first time. Where day of month and day of week are
//! both restricted, either is enough; a field that starts with `*` is not restricted.
//!
//! Both rules make the instant of a local time grow with the local time. So the next tick is found
//! by walking the matching local times forwards, the newest past one by walking them backwards, and
//! neither ever counts the ticks between.

use std::{ops::RangeInclusive, str::FromStr};

use jiff::{
    Timestamp, ToSpan,
    civil::{Date, DateTime, Time},
    tz::{AmbiguousOffset, TimeZone},
};

/// Days that are searched: Feb 29 on one weekday comes back within 40 years.
const HORIZON_DAYS: i32 = 366 * 41;

/// A parsed expression: one bit for each value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cron {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Both day fields are restricted, so either one is enough.
    either_day: bool,
}

/// The expression cannot be read; names the field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CronError {
    #[error(
        "schedule {0:?} does not have the five fields minute, hour, day of month, month, day of week"
    )]
    Fields(String),
    #[error(
        "{field} {item:?} is not *, a value of {low}-{high}, a range, or one of these with a step"
    )]
    Item {
        field: &'static str,
        item: String,
        low: u32,
        high: u32,
    },
    #[error("{field} {item:?} ends before it starts")]
    Backwards { field: &'static str, item: String },
}

struct Field {
    name: &'static str,
    values: RangeInclusive<u32>,
    /// Names of the values, from the first one on.
    names: &'static [&'static str],
}

const FIELDS: [Field; 5] = [
    Field {
        name: "minute",
        values: 0..=59,
        names: &[],
    },
    Field {
        name: "hour",
        values: 0..=23,
        names: &[],
    },
    Field {
        name: "day of month",
        values: 1..=31,
        names: &[],
    },
    Field {
        name: "month",
        values: 1..=12,
        names: &[
            "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
        ],
    },
    // 0 and 7 are both Sunday.
    Field {
        name: "day of week",
        values: 0..=7,
        names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
    },
];

impl FromStr for Cron {
    type Err = CronError;

    fn from_str(text: &str) -> Result<Self, CronError> {
        let parts: Vec<&str> = text.split(' ').collect();
        let [minute, hour, day, month, weekday] = parts[..] else {
            return Err(CronError::Fields(text.chars().take(120).collect()));
        };
        let weekdays = FIELDS[4].bits(weekday)?;
        Ok(Self {
            minutes: FIELDS[0].bits(minute)?,
            hours: FIELDS[1].bits(hour)?,
            days: FIELDS[2].bits(day)?,
            months: FIELDS[3].bits(month)?,
            weekdays: (weekdays | weekdays >> 7) & 0x7f,
            either_day: !day.starts_with('*') && !weekday.starts_with('*'),
        })
    }
}

impl Field {
    fn bits(&self, text: &str) -> Result<u64, CronError> {
        text.split(',')
            .try_fold(0, |bits, item| Ok(bits | self.item(item)?))
    }

    fn item(&self, item: &str) -> Result<u64, CronError> {
        let unreadable = || CronError::Item {
            field: self.name,
            item: item.chars().take(40).collect(),
            low: *self.values.start(),
            high: *self.values.end(),
        };
        let (span, step) = match item.split_once('/') {
            Some((span, step)) => (span, Some(step)),
            None => (item, None),
        };
        let range = if span == "*" {
            self.values.clone()
        } else if let Some((from, to)) = span.split_once('-') {
            self.value(from).ok_or_else(unreadable)?..=self.value(to).ok_or_else(unreadable)?
        } else if step.is_none() {
            let value = self.value(span).ok_or_else(unreadable)?;
            value..=value
        } else {
            return Err(unreadable());
        };
        if range.is_empty() {
            return Err(CronError::Backwards {
                field: self.name,
                item: item.to_owned(),
            });
        }
        let step = match step {
            Some(step) => digits(step)
                .filter(|step| *step > 0)
                .ok_or_else(unreadable)?,
            None => 1,
        };
        Ok(range
            .step_by(step as usize)
            .fold(0, |bits, value| bits | 1 << value))
    }

    fn value(&self, text: &str) -> Option<u32> {
        let named = self
            .names
            .iter()
            .position(|name| text.eq_ignore_ascii_case(name));
        let value = match named {
            Some(place) => self.values.start() + u32::try_from(place).ok()?,
            None => digits(text)?,
        };
        self.values.contains(&value).then_some(value)
    }
}

/// One or two digits; `u32::from_str` would take a sign.
fn digits(text: &str) -> Option<u32> {
    let plain = (1..=2).contains(&text.len()) && text.bytes().all(|c| c.is_ascii_digit());
    plain.then(|| text.parse().ok())?
}

impl Cron {
    /// The first tick after `instant`; `None` where there is none within 40 years.
    pub fn next_after(&self, zone: &TimeZone, instant: Timestamp) -> Option<Timestamp> {
        let start = zone.to_datetime(instant);
        self.forwards(start)
            .map_while(|local| happens_at(zone, local))
            .find(|tick| *tick > instant)
    }

    /// The newest tick at or before `instant`; `None` where there is none within 40 years.
    pub fn newest_until(&self, zone: &TimeZone, instant: Timestamp) -> Option<Timestamp> {
        let local = zone.to_datetime(instant);
        // While an hour repeats, every local time in it has happened already.
        let start = match zone.to_ambiguous_timestamp(local).offset() {
            AmbiguousOffset::Fold { before, after } => local
                .checked_add((before.seconds() - after.seconds()).seconds())
                .unwrap_or(local),
            _ => local,
        };
        self.backwards(start)
            .map_while(|local| happens_at(zone, local))
            .find(|tick| *tick <= instant)
    }

    fn forwards(&self, start: DateTime) -> impl Iterator<Item = DateTime> + '_ {
        let dates = std::iter::successors(Some(start.date()), |date| date.tomorrow().ok());
        dates
            .take(HORIZON_DAYS as usize)
            .filter(|date| self.has_date(*date))
            .flat_map(move |date| {
                let from = if date == start.date() {
                    minute_of_day(start)
                } else {
                    0
                };
                (from..24 * 60)
                    .filter(|minute| self.has_minute(*minute))
                    .map(move |minute| at(date, minute))
            })
    }

    fn backwards(&self, start: DateTime) -> impl Iterator<Item = DateTime> + '_ {
        let dates = std::iter::successors(Some(start.date()), |date| date.yesterday().ok());
        dates
            .take(HORIZON_DAYS as usize)
            .filter(|date| self.has_date(*date))
            .flat_map(move |date| {
                let until = if date == start.date() {
                    minute_of_day(start)
                } else {
                    24 * 60 - 1
                };
                (0..=until)
                    .rev()
                    .filter(|minute| self.has_minute(*minute))
                    .map(move |minute| at(date, minute))
            })
    }

    fn has_date(&self, date: Date) -> bool {
        let day = has(self.days, date.day().into());
        let weekday = has(self.weekdays, date.weekday().to_sunday_zero_offset().into());
        let day_fits = if self.either_day {
            day || weekday
        } else {
            day && weekday
        };
        has(self.months, date.month().into()) && day_fits
    }

    fn has_minute(&self, minute_of_day: i16) -> bool {
        has(self.hours, (minute_of_day / 60).into())
            && has(self.minutes, (minute_of_day % 60).into())
    }
}

fn has(bits: u64, value: i32) -> bool {
    bits >> value & 1 == 1
}

fn minute_of_day(local: DateTime) -> i16 {
    i16::from(local.hour()) * 60 + i16::from(local.minute())
}

fn at(date: Date, minute_of_day: i16) -> DateTime {
    let [hour, minute] =
        [minute_of_day / 60, minute_of_day % 60].map(|value| i8::try_from(value).unwrap_or(0));
    date.to_datetime(Time::constant(hour, minute, 0, 0))
}

/// The instant of a local time; `None` at the end of the calendar.
fn happens_at(zone: &TimeZone, local: DateTime) -> Option<Timestamp> {
    let ambiguous = zone.to_ambiguous_timestamp(local);
    match ambiguous.offset() {
        AmbiguousOffset::Gap { after, .. } => {
            // Read with the later offset, a skipped local time lies before the jump.
            let before_the_jump = after.to_timestamp(local).ok()?;
            let just_before = before_the_jump.checked_sub(1.second()).ok()?;
            Some(zone.following(just_before).next()?.timestamp())
        }
        _ => ambiguous.compatible().ok(),
    }
}

#[cfg(test)]
mod tests;
