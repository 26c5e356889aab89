use std::{collections::BTreeSet, time::Instant};

use super::*;
use crate::testing::at;

fn cron(text: &str) -> Cron {
    text.parse()
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap()
}

/// The first ticks after an instant.
fn ticks(text: &str, zone_name: &str, after: &str, count: usize) -> Vec<String> {
    let (cron, zone) = (cron(text), zone(zone_name));
    std::iter::successors(cron.next_after(&zone, after.parse().unwrap()), |tick| {
        cron.next_after(&zone, *tick)
    })
    .take(count)
    .map(|tick| tick.to_string())
    .collect()
}

#[test]
fn what_cannot_be_read_names_the_field() {
    for (text, words) in [
        ("", "five fields"),
        ("* * * *", "five fields"),
        ("* * * * * *", "five fields"),
        ("*  * * * *", "five fields"),
        ("@reboot", "five fields"),
        ("60 * * * *", "minute \"60\" is not *, a value of 0-59"),
        ("-1 * * * *", "minute \"-1\""),
        ("+1 * * * *", "minute \"+1\""),
        ("5/10 * * * *", "minute \"5/10\""),
        ("*/0 * * * *", "minute \"*/0\""),
        ("*/100 * * * *", "minute \"*/100\""),
        ("1,,2 * * * *", "minute \"\""),
        ("* 24 * * *", "hour \"24\""),
        ("* * 0 * *", "day of month \"0\""),
        ("* * 32 * *", "day of month \"32\""),
        ("* * * 13 *", "month \"13\""),
        ("* * * foo *", "month \"foo\""),
        ("* * * * 8", "day of week \"8\""),
        ("* * * * L", "day of week \"L\""),
        ("5-2 * * * *", "minute \"5-2\" ends before it starts"),
        (
            "* * * * sat-sun",
            "day of week \"sat-sun\" ends before it starts",
        ),
    ] {
        let error = text.parse::<Cron>().unwrap_err().to_string();
        assert!(error.contains(words), "{text}: {error}");
    }
}

#[test]
fn names_ranges_lists_and_steps() {
    assert_eq!(cron("0 2 * * 0"), cron("00 02 * * 7"));
    assert_eq!(cron("0 2 * JAN,feb SUN"), cron("0 2 * 1-2 0"));
    assert_eq!(cron("*/20 * * * *"), cron("0,20,40 * * * *"));
    assert_eq!(cron("10-50/20 * * * *"), cron("10,30,50 * * * *"));
    assert_eq!(cron("0 0 * * 5-7"), cron("0 0 * * 0,5,6"));
    assert_eq!(cron("0 0 * * mon-fri"), cron("0 0 * * 1-5"));
}

#[test]
fn plain_days() {
    assert_eq!(
        ticks("0 2 * * 0", "UTC", "2026-11-24T09:30:00Z", 2),
        ["2026-11-29T02:00:00Z", "2026-12-06T02:00:00Z"]
    );
    // A tick is not its own successor, and a fraction of a minute changes nothing.
    assert_eq!(
        ticks("* * * * *", "UTC", "2026-11-24T09:30:00Z", 1),
        ["2026-11-24T09:31:00Z"]
    );
    assert_eq!(
        ticks("* * * * *", "UTC", "2026-11-24T09:30:59.5Z", 1),
        ["2026-11-24T09:31:00Z"]
    );
    // Both day fields restricted: either is enough.
    assert_eq!(
        ticks("0 0 13 * fri", "UTC", "2026-11-01T00:00:00Z", 3),
        [
            "2026-11-06T00:00:00Z",
            "2026-11-13T00:00:00Z",
            "2026-11-20T00:00:00Z"
        ]
    );
    // A field that starts with * does not restrict: both must fit.
    assert_eq!(
        ticks("0 0 */2 * fri", "UTC", "2026-11-01T00:00:00Z", 2),
        ["2026-11-13T00:00:00Z", "2026-11-27T00:00:00Z"]
    );
    assert_eq!(
        ticks("0 0 29 2 *", "UTC", "2096-03-01T00:00:00Z", 1),
        ["2104-02-29T00:00:00Z"],
        "2100 is no leap year"
    );
    assert_eq!(
        ticks("0 0 30 2 *", "UTC", "2026-11-01T00:00:00Z", 1),
        [""; 0]
    );
    assert_eq!(
        cron("0 0 31 4,6 *").newest_until(&TimeZone::UTC, at("2026-11-01T00:00:00Z")),
        None
    );
}

#[test]
fn a_skipped_local_time_happens_after_the_jump() {
    // Berlin, 2027-03-28: 02:00 → 03:00.
    assert_eq!(
        ticks("30 2 * * *", "Europe/Berlin", "2027-03-27T12:00:00Z", 2),
        ["2027-03-28T01:00:00Z", "2027-03-29T00:30:00Z"]
    );
    assert_eq!(
        ticks("*/30 1-3 * * *", "Europe/Berlin", "2027-03-28T00:00:00Z", 4),
        [
            "2027-03-28T00:30:00Z",
            "2027-03-28T01:00:00Z",
            "2027-03-28T01:30:00Z",
            "2027-03-28T23:00:00Z"
        ]
    );
    // Lord Howe jumps by half an hour: 02:00 → 02:30.
    assert_eq!(
        ticks(
            "15 2 * * *",
            "Australia/Lord_Howe",
            "2026-10-03T00:00:00Z",
            1
        ),
        ["2026-10-03T15:30:00Z"]
    );
    // Apia left out a whole day.
    assert_eq!(
        ticks("0 12 30 12 *", "Pacific/Apia", "2011-12-01T00:00:00Z", 1),
        ["2011-12-30T10:00:00Z"]
    );
}

#[test]
fn a_repeated_local_time_happens_once_the_first_time() {
    // Berlin, 2026-10-25: 03:00 → 02:00.
    assert_eq!(
        ticks("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 2),
        ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]
    );
    // From within the repeated hour, all of it has happened.
    assert_eq!(
        ticks("*/30 2 * * *", "Europe/Berlin", "2026-10-25T01:10:00Z", 1),
        ["2026-10-26T01:00:00Z"]
    );
    let newest = cron("* * * * *").newest_until(&zone("Europe/Berlin"), at("2026-10-25T01:10:00Z"));
    assert_eq!(newest, Some(at("2026-10-25T00:59:00Z")));
}

#[test]
fn the_newest_tick_of_ten_years_is_found_at_once() {
    let started = Instant::now();
    for text in ["* * * * *", "0 2 * * 0", "0 0 29 2 *", "0 0 30 2 *"] {
        let _ = cron(text).newest_until(&zone("Europe/Berlin"), at("2036-11-24T09:30:00Z"));
        let _ = cron(text).next_after(&zone("Europe/Berlin"), at("2036-11-24T09:30:00Z"));
    }
    assert!(
        started.elapsed().as_millis() < 50,
        "{:?}",
        started.elapsed()
    );
}

/// A generator that needs no crate: the oracle's cases are the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    /// The text of a field and the values it stands for.
    fn field(&mut self, low: u64, high: u64) -> (String, BTreeSet<u64>) {
        let one = |random: &mut Self| low + random.below(high - low + 1);
        match self.below(6) {
            0 | 1 => ("*".into(), (low..=high).collect()),
            2 => {
                let step = 1 + self.below(high);
                (
                    format!("*/{step}"),
                    (low..=high).step_by(step as usize).collect(),
                )
            }
            3 => {
                let values: BTreeSet<u64> = (0..=self.below(4)).map(|_| one(self)).collect();
                let text: Vec<String> = values.iter().map(u64::to_string).collect();
                (text.join(","), values)
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
                (text, (from..=to).step_by(step as usize).collect())
            }
        }
    }
}

struct Oracle {
    minutes: BTreeSet<u64>,
    hours: BTreeSet<u64>,
    days: BTreeSet<u64>,
    months: BTreeSet<u64>,
    weekdays: BTreeSet<u64>,
    either: bool,
}

impl Oracle {
    fn random(random: &mut Random) -> (String, Self) {
        let (minute, minutes) = random.field(0, 59);
        let (hour, hours) = random.field(0, 23);
        let (day, days) = random.field(1, 31);
        let (month, months) = random.field(1, 12);
        let (weekday, weekdays) = random.field(0, 7);
        let weekdays = weekdays.into_iter().map(|day| day % 7).collect();
        let either = !day.starts_with('*') && !weekday.starts_with('*');
        (
            format!("{minute} {hour} {day} {month} {weekday}"),
            Self {
                minutes,
                hours,
                days,
                months,
                weekdays,
                either,
            },
        )
    }

    /// `local` is in minutes since 1970 on the wall clock.
    fn fits(&self, local: i64) -> bool {
        let (days, minute) = (local.div_euclid(1440), local.rem_euclid(1440) as u64);
        let (month, day) = month_and_day(days);
        let by_day = self.days.contains(&day);
        let by_weekday = self.weekdays.contains(&((days + 4).rem_euclid(7) as u64));
        self.minutes.contains(&(minute % 60))
            && self.hours.contains(&(minute / 60))
            && self.months.contains(&month)
            && if self.either {
                by_day || by_weekday
            } else {
                by_day && by_weekday
            }
    }

    /// Walks the minutes of UTC with an eye on the wall clock.
    fn ticks(&self, zone: &TimeZone, from: i64, until: i64) -> BTreeSet<i64> {
        let wall = |minute: i64| {
            let offset = zone.to_offset(Timestamp::from_second(minute * 60).unwrap());
            minute + i64::from(offset.seconds()) / 60
        };
        let mut latest = wall(from - 1441);
        let mut ticks = BTreeSet::new();
        for minute in from - 1440..until {
            let now = wall(minute);
            // What the wall clock jumped over, and what it shows for the first time.
            if (latest + 1..=now).any(|local| self.fits(local)) && minute >= from {
                ticks.insert(minute);
            }
            latest = latest.max(now);
        }
        ticks
    }
}

/// Month and day of a day since 1970, counted year by year and month by month.
fn month_and_day(mut days: i64) -> (u64, u64) {
    for year in 1970.. {
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let length = if leap { 366 } else { 365 };
        if days >= length {
            days -= length;
            continue;
        }
        let february = if leap { 29 } else { 28 };
        for (month, length) in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
            .into_iter()
            .enumerate()
        {
            if days < length {
                return (month as u64 + 1, days as u64 + 1);
            }
            days -= length;
        }
    }
    unreachable!("years do not end")
}

#[test]
fn an_oracle_that_walks_the_minutes_agrees() {
    let zones = [
        "Europe/Berlin",
        "America/New_York",
        "Australia/Lord_Howe",
        "UTC",
        "Asia/Kolkata",
    ];
    let mut random = Random(0x5eed_1234_5678_9abc);
    let (mut cases, mut compared) = (0, 0);
    while cases < 2400 {
        let zone = zone(zones[cases % zones.len()]);
        let year_start = at("2025-01-01T00:00:00Z")
            + jiff::SignedDuration::from_hours(24 * random.below(2000) as i64);
        // Half of the spans lie around the next change of the clocks.
        let middle = match zone.following(year_start).next() {
            Some(change) if cases % 2 == 0 => change.timestamp(),
            _ => year_start,
        };
        let from = middle.as_second() / 60 - 2 * 1440 + random.below(1440) as i64;
        let until = from + 4 * 1440;
        let (text, oracle) = Oracle::random(&mut random);
        let cron = cron(&text);
        let expected = oracle.ticks(&zone, from, until);
        let minute = |minute: i64| Timestamp::from_second(minute * 60).unwrap();
        let found: BTreeSet<i64> = std::iter::successors(
            cron.next_after(&zone, minute(from) - jiff::SignedDuration::from_secs(1)),
            |tick| cron.next_after(&zone, *tick),
        )
        .map(|tick| tick.as_second() / 60)
        .take_while(|tick| *tick < until)
        .collect();
        assert_eq!(found, expected, "{text} in {zone:?} from {}", minute(from));
        for _ in 0..40 {
            let moment = from + random.below(4 * 1440) as i64;
            let Some(expected) = expected.range(..=moment).next_back() else {
                continue;
            };
            let now = minute(moment) + jiff::SignedDuration::from_secs(random.below(60) as i64);
            assert_eq!(
                cron.newest_until(&zone, now),
                Some(minute(*expected)),
                "{text} in {zone:?} at {now}"
            );
            compared += 1;
        }
        cases += 1;
    }
    assert!(compared > 10_000, "{compared}");
}
