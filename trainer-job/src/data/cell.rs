//! One value of a table, whatever file it came from, and what may be read from it.

use std::borrow::Cow;

use jiff::{Timestamp, civil, tz::TimeZone};

/// A value as the file holds it.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell<'a> {
    Missing,
    Text(Cow<'a, str>),
    Integer(i64),
    Decimal(f64),
    /// Milliseconds since 1970; `zoned` is false where the file does not say the offset.
    Time {
        ms: i64,
        zoned: bool,
    },
    /// Bytes that are no text.
    NotUtf8,
    /// A list or an object.
    Nested,
}

/// A reading of a cell: the value (`None` where nothing is there) or what is wrong with it.
pub type Reading<T> = Result<Option<T>, String>;

/// An instant, and whether the file said its offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instant {
    pub ms: i64,
    pub zoned: bool,
}

/// Years that an event can plausibly come from. Outside of them a number is in another unit.
const PLAUSIBLE_MS: std::ops::Range<i64> = 946_684_800_000..4_102_444_800_000;

impl Cell<'_> {
    pub fn boolean(value: bool) -> Self {
        Self::Text(if value { "true" } else { "false" }.into())
    }

    pub fn text(&self) -> Reading<Cow<'_, str>> {
        Ok(match self {
            Self::Missing => None,
            Self::Text(text) => Some(text.trim())
                .filter(|text| !text.is_empty())
                .map(Cow::Borrowed),
            Self::Integer(number) => Some(Cow::Owned(number.to_string())),
            Self::Decimal(number) if number.is_nan() => None,
            Self::Decimal(number) => Some(Cow::Owned(number.to_string())),
            Self::Time { .. } => return Err("a time, where a text is expected".to_owned()),
            Self::NotUtf8 => return Err("not valid UTF-8".to_owned()),
            Self::Nested => {
                return Err("a list or an object, where one value is expected".to_owned());
            }
        })
    }

    /// true or false, in words or as 1 and 0.
    pub fn flag(&self) -> Reading<bool> {
        let Some(text) = self.text()? else {
            return Ok(None);
        };
        match text.to_ascii_lowercase().as_str() {
            "true" | "1" => Ok(Some(true)),
            "false" | "0" => Ok(Some(false)),
            _ => Err(format!("{} is neither true nor false", quoted(&text))),
        }
    }

    /// A finite number. NaN counts as missing: dataframe libraries write it for that.
    pub fn number(&self) -> Reading<f64> {
        let number = match self {
            Self::Integer(number) => Some(*number as f64),
            Self::Decimal(number) => Some(*number),
            _ => match self.text()? {
                None => None,
                Some(text) => Some(
                    text.parse()
                        .map_err(|_| format!("{} is not a number", quoted(&text)))?,
                ),
            },
        };
        match number.filter(|number: &f64| !number.is_nan()) {
            Some(number) if number.is_infinite() => {
                Err(format!("\"{number}\" is not a finite number"))
            }
            number => Ok(number),
        }
    }

    /// A number that must not be below zero.
    pub fn amount(&self) -> Reading<f64> {
        match self.number()? {
            Some(number) if number < 0.0 => Err(format!("\"{number}\" is below 0")),
            number => Ok(number),
        }
    }

    /// A place in a list, counted from 1. `3.0` is accepted: a column of integers with gaps is
    /// often written that way.
    pub fn position(&self) -> Reading<i32> {
        let Some(number) = self.number()? else {
            return Ok(None);
        };
        if number < 1.0 {
            Err(format!("\"{number}\" is below 1; positions count from 1"))
        } else if number.fract() != 0.0 || number > f64::from(i32::MAX) {
            Err(format!("\"{number}\" is not a position"))
        } else {
            Ok(Some(number as i32))
        }
    }

    /// ISO 8601 with or without offset, or milliseconds since 1970.
    pub fn instant(&self) -> Reading<Instant> {
        let instant = match self {
            Self::Time { ms, zoned } => Instant {
                ms: *ms,
                zoned: *zoned,
            },
            Self::Integer(ms) => Instant {
                ms: *ms,
                zoned: true,
            },
            Self::Decimal(ms) if ms.fract() == 0.0 => Instant {
                ms: *ms as i64,
                zoned: true,
            },
            _ => match self.text()? {
                None => return Ok(None),
                Some(text) => read_instant(&text).ok_or_else(|| {
                    format!(
                        "{} is not a time (ISO 8601 or milliseconds since 1970)",
                        quoted(&text)
                    )
                })?,
            },
        };
        if PLAUSIBLE_MS.contains(&instant.ms) {
            Ok(Some(instant))
        } else {
            Err(format!(
                "\"{}\" is not a time between 2000 and 2100; numbers are milliseconds since 1970",
                instant.ms
            ))
        }
    }

    /// A calendar date, from a date or a date and time in ISO 8601.
    pub fn date(&self) -> Reading<civil::Date> {
        if let Self::Time { ms, .. } = self {
            let time =
                Timestamp::from_millisecond(*ms).map_err(|_| format!("\"{ms}\" is not a date"))?;
            return Ok(Some(TimeZone::UTC.to_datetime(time).date()));
        }
        match self.text()? {
            None => Ok(None),
            Some(text) => match read_date(&text) {
                Some(date) => Ok(Some(date)),
                None => Err(format!("{} is not a date (YYYY-MM-DD)", quoted(&text))),
            },
        }
    }
}

fn read_instant(text: &str) -> Option<Instant> {
    if let Ok(ms) = text.parse::<i64>() {
        return Some(Instant { ms, zoned: true });
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(Instant {
            ms: time.as_millisecond(),
            zoned: true,
        });
    }
    let civil: civil::DateTime = text.parse().ok()?;
    let time = TimeZone::UTC.to_timestamp(civil).ok()?;
    Some(Instant {
        ms: time.as_millisecond(),
        zoned: false,
    })
}

fn read_date(text: &str) -> Option<civil::Date> {
    let in_utc = || Some(TimeZone::UTC.to_datetime(text.parse().ok()?).date());
    text.parse().ok().or_else(in_utc)
}

/// The value for a message: quoted, cut where it is long.
pub fn quoted(text: &str) -> String {
    const SHOWN: usize = 40;
    let mut shown: String = text.chars().take(SHOWN).collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    format!("{shown:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str) -> Cell<'_> {
        Cell::Text(Cow::Borrowed(value))
    }

    #[test]
    fn numbers() {
        assert_eq!(text(" 12.5 ").number(), Ok(Some(12.5)));
        assert_eq!(text("").number(), Ok(None));
        assert_eq!(text("NaN").number(), Ok(None));
        assert_eq!(Cell::Decimal(f64::NAN).number(), Ok(None));
        assert_eq!(text("abc").number(), Err("\"abc\" is not a number".into()));
        assert_eq!(text("1,5").number(), Err("\"1,5\" is not a number".into()));
        assert_eq!(
            text("inf").number(),
            Err("\"inf\" is not a finite number".into())
        );
        assert_eq!(text("-1").amount(), Err("\"-1\" is below 0".into()));
        assert_eq!(
            Cell::Nested.number(),
            Err("a list or an object, where one value is expected".into())
        );
    }

    #[test]
    fn flags() {
        assert_eq!(text("True").flag(), Ok(Some(true)));
        assert_eq!(Cell::Integer(0).flag(), Ok(Some(false)));
        assert_eq!(Cell::boolean(true).flag(), Ok(Some(true)));
        assert_eq!(Cell::Missing.flag(), Ok(None));
        assert_eq!(
            text("maybe").flag(),
            Err("\"maybe\" is neither true nor false".into())
        );
    }

    #[test]
    fn positions() {
        assert_eq!(text("3").position(), Ok(Some(3)));
        assert_eq!(Cell::Decimal(3.0).position(), Ok(Some(3)));
        assert_eq!(
            text("0").position(),
            Err("\"0\" is below 1; positions count from 1".into())
        );
        assert_eq!(
            text("2.5").position(),
            Err("\"2.5\" is not a position".into())
        );
    }

    #[test]
    fn instants() {
        let at = |ms, zoned| Ok(Some(Instant { ms, zoned }));
        let ms = 1_790_000_000_123;
        assert_eq!(text("2026-09-21T14:13:20.123Z").instant(), at(ms, true));
        assert_eq!(
            text("2026-09-21T16:13:20.123+02:00").instant(),
            at(ms, true)
        );
        assert_eq!(text("2026-09-21T14:13:20.123").instant(), at(ms, false));
        assert_eq!(text("2026-09-21 14:13:20.123").instant(), at(ms, false));
        assert_eq!(text("1790000000123").instant(), at(ms, true));
        assert_eq!(Cell::Integer(ms).instant(), at(ms, true));
        assert_eq!(
            text("1790000000").instant(),
            Err("\"1790000000\" is not a time between 2000 and 2100; numbers are milliseconds since 1970".into())
        );
        assert_eq!(
            text("yesterday").instant(),
            Err("\"yesterday\" is not a time (ISO 8601 or milliseconds since 1970)".into())
        );
    }

    #[test]
    fn dates() {
        let day = civil::date(2026, 9, 21);
        assert_eq!(text("2026-09-21").date(), Ok(Some(day)));
        assert_eq!(text("2026-09-21T10:00:00").date(), Ok(Some(day)));
        assert_eq!(text("2026-09-21T10:00:00Z").date(), Ok(Some(day)));
        assert_eq!(
            Cell::Time {
                ms: 1_790_000_000_123,
                zoned: false
            }
            .date(),
            Ok(Some(day))
        );
        assert_eq!(
            text("21.9.2026").date(),
            Err("\"21.9.2026\" is not a date (YYYY-MM-DD)".into())
        );
    }

    #[test]
    fn long_values_are_cut() {
        assert_eq!(quoted(&"a".repeat(50)), format!("\"{}…\"", "a".repeat(40)));
    }
}
