//! The ticks of a schedule: when each is due, and in which none asks for anything.
//!
//! A tick has the time that the expression gives, and is due some seconds later: its jitter, which
//! the schedule's name and the tick decide, so that it is the same whenever it is computed. Jitter
//! ends before the next tick, so ticks are due in the order of their times.

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use searchop_api::{Blackout, RetrainScheduleSpec};
use sha2::{Digest, Sha256};

use crate::{Cron, CronError};

/// The ticks of one schedule.
#[derive(Clone, Debug)]
pub struct Ticks {
    cron: Cron,
    zone: TimeZone,
    seed: String,
    jitter_seconds: i64,
    blackouts: Vec<Blackout>,
}

/// One tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tick {
    /// As the expression says.
    pub time: Timestamp,
    /// When it asks.
    pub due: Timestamp,
}

/// The schedule cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TicksError {
    #[error("spec.schedule: {0}")]
    Schedule(#[from] CronError),
    #[error("spec.timeZone: {0:?} is not a known time zone")]
    TimeZone(String),
}

impl Ticks {
    /// The ticks of the schedule of this namespace and name; `None` where only drift asks.
    pub fn of(
        (namespace, name): (&str, &str),
        spec: &RetrainScheduleSpec,
    ) -> Result<Option<Self>, TicksError> {
        let Some(schedule) = &spec.schedule else {
            return Ok(None);
        };
        Ok(Some(Self {
            cron: schedule.parse()?,
            zone: TimeZone::get(&spec.time_zone)
                .map_err(|_| TicksError::TimeZone(spec.time_zone.clone()))?,
            seed: format!("{namespace}/{name}"),
            jitter_seconds: i64::from(spec.jitter_seconds),
            blackouts: spec.blackouts.clone(),
        }))
    }

    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// The newest tick that is due at `now`.
    pub fn newest_due(&self, now: Timestamp) -> Option<Tick> {
        let newest = self.tick(self.cron.newest_until(&self.zone, now)?);
        if newest.due <= now {
            Some(newest)
        } else {
            self.before(newest)
        }
    }

    /// The tick before this one.
    pub fn before(&self, tick: Tick) -> Option<Tick> {
        let just_before = tick.time.checked_sub(SignedDuration::from_secs(1)).ok()?;
        let time = self.cron.newest_until(&self.zone, just_before)?;
        Some(self.tick(time))
    }

    /// The tick after this time of the expression.
    pub fn after(&self, time: Timestamp) -> Option<Tick> {
        Some(self.tick(self.cron.next_after(&self.zone, time)?))
    }

    /// The first tick that is due after `now`.
    pub fn next_due(&self, now: Timestamp) -> Option<Tick> {
        let newest = self.cron.newest_until(&self.zone, now);
        match newest.map(|time| self.tick(time)) {
            Some(newest) if newest.due > now => Some(newest),
            _ => self.after(now),
        }
    }

    /// The first tick from this one on that no blackout covers.
    pub fn first_open(&self, mut tick: Tick) -> Option<Tick> {
        while let Some(blackout) = self.blackout(tick) {
            // What is due at the very end is open again.
            let last = blackout.end_time.0 - SignedDuration::from_secs(1);
            tick = self.next_due(last.max(tick.due))?;
        }
        Some(tick)
    }

    /// The blackout in which this tick is due.
    pub fn blackout(&self, tick: Tick) -> Option<&Blackout> {
        blackout_at(&self.blackouts, tick.due)
    }

    fn tick(&self, time: Timestamp) -> Tick {
        let jitter = SignedDuration::from_secs(self.jitter(time));
        Tick {
            time,
            due: time.checked_add(jitter).unwrap_or(time),
        }
    }

    fn jitter(&self, time: Timestamp) -> i64 {
        if self.jitter_seconds == 0 {
            return 0;
        }
        let room = self
            .cron
            .next_after(&self.zone, time)
            .map_or(i64::MAX, |next| next.duration_since(time).as_secs());
        let most = self.jitter_seconds.min(room - 1);
        let hash = Sha256::digest(format!("{}/{time}", self.seed));
        let number = hash
            .iter()
            .take(7)
            .fold(0, |sum, byte| sum << 8 | i64::from(*byte));
        number % (most + 1)
    }
}

/// The one of these blackouts that this instant lies in.
pub(crate) fn blackout_at(blackouts: &[Blackout], instant: Timestamp) -> Option<&Blackout> {
    blackouts
        .iter()
        .find(|blackout| (blackout.start_time.0..blackout.end_time.0).contains(&instant))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use serde_json::{Value, from_value, json};

    use super::*;
    use crate::testing::at;

    fn ticks(name: &str, more: Value) -> Ticks {
        let mut spec = json!({"modelRef": {"name": "products"}, "schedule": "0 * * * *"});
        spec.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        Ticks::of(("shop", name), &from_value(spec).unwrap())
            .unwrap()
            .unwrap()
    }

    fn due(ticks: &Ticks, count: usize) -> Vec<Tick> {
        let first = ticks.next_due(at("2026-11-24T09:30:00Z"));
        std::iter::successors(first, |tick| ticks.next_due(tick.due))
            .take(count)
            .collect()
    }

    #[test]
    fn without_jitter_a_tick_is_due_at_its_time() {
        let found = due(&ticks("hourly", json!({})), 3);
        assert!(found.iter().all(|tick| tick.time == tick.due));
        assert_eq!(found[2].due, at("2026-11-24T12:00:00Z"));
    }

    #[test]
    fn jitter_is_the_same_each_time_and_differs_between_ticks_and_schedules() {
        let jitter = json!({"jitterSeconds": 600});
        let offsets = |name: &str| -> Vec<i64> {
            due(&ticks(name, jitter.clone()), 200)
                .iter()
                .map(|tick| tick.due.duration_since(tick.time).as_secs())
                .collect()
        };
        let (one, other) = (offsets("one"), offsets("other"));
        assert_eq!(one, offsets("one"));
        assert_ne!(one, other);
        let distinct: BTreeSet<_> = one.iter().collect();
        assert!(distinct.len() > 100, "{distinct:?}");
        assert!(one.iter().all(|offset| (0..=600).contains(offset)));
        let mean = one.iter().sum::<i64>() / 200;
        assert!((240..=360).contains(&mean), "{mean}");
    }

    #[test]
    fn a_blackout_covers_what_is_due_in_it_and_the_next_open_tick_comes_after_it() {
        let window = |start: &str, end: &str| json!({"startTime": start, "endTime": end});
        let ticks = ticks(
            "hourly",
            json!({"blackouts": [
                window("2026-11-24T10:00:00Z", "2026-11-24T11:00:00Z"),
                window("2026-11-24T10:30:00Z", "2026-11-24T13:00:00Z"),
            ]}),
        );
        let first = ticks.next_due(at("2026-11-24T09:30:00Z")).unwrap();
        assert_eq!(first.due, at("2026-11-24T10:00:00Z"));
        assert!(ticks.blackout(first).is_some());
        let open = ticks.first_open(first).unwrap();
        assert_eq!(
            open.due,
            at("2026-11-24T13:00:00Z"),
            "the end is open again"
        );
    }

    #[test]
    fn what_cannot_be_read_names_the_field() {
        let read = |patch: Value| {
            let mut spec = json!({"modelRef": {"name": "products"}, "schedule": "0 * * * *"});
            spec.as_object_mut()
                .unwrap()
                .extend(patch.as_object().unwrap().clone());
            Ticks::of(("shop", "hourly"), &from_value(spec).unwrap())
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            read(json!({"schedule": "5-2 * * * *"})),
            "spec.schedule: minute \"5-2\" ends before it starts"
        );
        assert_eq!(
            read(json!({"timeZone": "Europe/Atlantis"})),
            "spec.timeZone: \"Europe/Atlantis\" is not a known time zone"
        );
    }

    proptest! {
        #[test]
        fn forwards_and_backwards_agree_whatever_the_jitter(
            jitter in 0_i32..86_400, minute in prop::sample::select(vec!["*", "*/7", "0", "3,5,58"]),
            hour in prop::sample::select(vec!["*", "2", "1-4"]),
            zone in prop::sample::select(vec!["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]),
            second in 1_700_000_000_i64..1_900_000_000,
        ) {
            let ticks = ticks("any", json!({
                "jitterSeconds": jitter, "schedule": format!("{minute} {hour} * * *"), "timeZone": zone
            }));
            let now = Timestamp::from_second(second).unwrap();
            let newest = ticks.newest_due(now).unwrap();
            let next = ticks.next_due(now).unwrap();
            prop_assert!(newest.due <= now && now < next.due);
            prop_assert_eq!(ticks.before(next), Some(newest));
            prop_assert_eq!(ticks.after(newest.time), Some(next));
            prop_assert!(next.due.duration_since(next.time).as_secs() <= i64::from(jitter));
        }
    }
}
