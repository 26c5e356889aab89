use jiff::Timestamp;

use super::{DAY_MS, day_of};

/// UTC days of events, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub first_day: i32,
    pub last_day: i32,
}

impl Window {
    pub fn ending(last_day: i32, days: u32) -> Self {
        let days = i32::try_from(days).unwrap_or(i32::MAX).max(1);
        Self {
            first_day: last_day.saturating_sub(days - 1),
            last_day,
        }
    }

    pub fn contains(self, day: i32) -> bool {
        (self.first_day..=self.last_day).contains(&day)
    }

    /// The instant at which the last day ends.
    pub fn end(self) -> Timestamp {
        instant((i64::from(self.last_day) + 1) * DAY_MS)
    }
}

/// The newest UTC day that lies wholly before `as_of`.
pub fn complete_day(as_of: Timestamp) -> i32 {
    day_of(as_of.as_millisecond()) - 1
}

/// `2026-11-23` for a day number.
pub fn date(day: i32) -> String {
    instant(i64::from(day) * DAY_MS)
        .strftime("%Y-%m-%d")
        .to_string()
}

fn instant(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).expect("days of checked times are within the calendar")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_count_back_from_the_newest_complete_day() {
        let complete = |as_of: &str| date(complete_day(as_of.parse().unwrap()));
        assert_eq!(complete("2026-11-24T00:00:00Z"), "2026-11-23");
        assert_eq!(complete("2026-11-24T23:59:59Z"), "2026-11-23");
        assert_eq!(complete("2026-11-25T00:30:00+02:00"), "2026-11-23");

        let window = Window::ending(complete_day("2026-11-24T08:00:00Z".parse().unwrap()), 30);
        assert_eq!(
            (date(window.first_day), date(window.last_day)),
            ("2026-10-25".into(), "2026-11-23".into())
        );
        assert_eq!(window.end().to_string(), "2026-11-24T00:00:00Z");
    }
}
