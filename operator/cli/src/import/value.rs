//! Reads values of a row, and says exactly which field holds what.

use std::{borrow::Cow, fmt};

use jiff::{Timestamp, civil, tz::TimeZone};
use serde_json::{Map, Value};

/// A row: a JSON object, or a line of CSV under its header.
pub type Record = Map<String, Value>;

/// Years that an event can plausibly come from. Outside of them a number is in another unit.
const PLAUSIBLE_MS: std::ops::Range<i64> = 946_684_800_000..4_102_444_800_000;

/// A field that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadField {
    /// `properties.products[2].position`.
    pub field: String,
    pub complaint: String,
}

impl fmt::Display for BadField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "field {:?}: {}", self.field, self.complaint)
    }
}

/// Gives a complaint the name of its field; written only where there is a complaint.
pub trait At<T> {
    fn at(self, field: impl fmt::Display) -> Result<T, BadField>;
}

impl<T> At<T> for Result<T, String> {
    fn at(self, field: impl fmt::Display) -> Result<T, BadField> {
        self.map_err(|complaint| BadField {
            field: field.to_string(),
            complaint,
        })
    }
}

/// A value that must be there.
pub fn required<T>(read: Result<Option<T>, String>) -> Result<T, String> {
    read?.ok_or_else(|| "no value".to_owned())
}

/// The first of `names` that has a value.
pub fn first<'r, 'n>(record: &'r Record, names: &[&'n str]) -> Option<(&'n str, &'r Value)> {
    names.iter().find_map(|name| {
        let value = record.get(*name).filter(|value| !value.is_null())?;
        Some((*name, value))
    })
}

/// A text or a number as text; blank is `None`.
pub fn text(value: Option<&Value>) -> Result<Option<String>, String> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.trim())
            .filter(|text| !text.is_empty())
            .map(str::to_owned)),
        Some(Value::Number(number)) => Ok(Some(number.to_string())),
        Some(other) => Err(format!("{}, where a text is expected", kind(other))),
    }
}

/// A list; a text that holds one as JSON, as warehouses export it, is one too.
pub fn list(value: Option<&Value>) -> Result<Option<Cow<'_, [Value]>>, String> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(items)) => Ok(Some(Cow::Borrowed(items))),
        Some(Value::String(text)) if text.trim().is_empty() => Ok(None),
        Some(Value::String(text)) => serde_json::from_str(text)
            .map(|items| Some(Cow::Owned(items)))
            .map_err(|_| format!("{} is not a JSON list", quoted(text))),
        Some(other) => Err(format!("{}, where a list is expected", kind(other))),
    }
}

/// An object of a list.
pub fn object(value: &Value) -> Result<&Record, String> {
    value
        .as_object()
        .ok_or_else(|| format!("{}, where an object is expected", kind(value)))
}

/// A whole number from 0 on.
pub fn whole(value: Option<&Value>) -> Result<Option<u32>, String> {
    let Some(text) = text(value)? else {
        return Ok(None);
    };
    let number: f64 = text
        .parse()
        .map_err(|_| format!("{} is not a number", quoted(&text)))?;
    // `3.0` is accepted: a column of integers with gaps is often written that way.
    if number.fract() == 0.0 && (0.0..=f64::from(i32::MAX)).contains(&number) {
        Ok(Some(number as u32))
    } else {
        Err(format!("{} is not a whole number from 0 on", quoted(&text)))
    }
}

/// A place in a list, counted from 1; the source counts from `base`.
pub fn position(value: Option<&Value>, base: u32) -> Result<Option<u32>, String> {
    match whole(value)? {
        Some(number) if number < base => Err(format!(
            "\"{number}\" is below {base}; where positions count from {number}, say --position-base {number}"
        )),
        number => Ok(number.map(|number| number - base + 1)),
    }
}

/// What a number without further ado counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeUnit {
    Milliseconds,
    Microseconds,
}

impl TimeUnit {
    fn name(self) -> &'static str {
        match self {
            Self::Milliseconds => "milliseconds",
            Self::Microseconds => "microseconds",
        }
    }

    fn ms(self, number: i64) -> i64 {
        match self {
            Self::Milliseconds => number,
            Self::Microseconds => number.div_euclid(1000),
        }
    }
}

/// Milliseconds since 1970, and whether the source said the offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instant {
    pub ms: i64,
    pub zoned: bool,
}

/// ISO 8601 with or without offset, or a number in `unit`, also as a text.
pub fn instant(value: Option<&Value>, unit: TimeUnit) -> Result<Option<Instant>, String> {
    let Some(text) = text(value)? else {
        return Ok(None);
    };
    let instant = match text.parse::<i64>() {
        Ok(number) => Instant {
            ms: unit.ms(number),
            zoned: true,
        },
        Err(_) => calendar(&text).ok_or_else(|| {
            format!(
                "{} is not a time (ISO 8601 or {} since 1970)",
                quoted(&text),
                unit.name()
            )
        })?,
    };
    if PLAUSIBLE_MS.contains(&instant.ms) {
        Ok(Some(instant))
    } else {
        Err(format!(
            "{} is not a time between 2000 and 2100; numbers are {} since 1970",
            quoted(&text),
            unit.name()
        ))
    }
}

fn calendar(text: &str) -> Option<Instant> {
    // BigQuery writes "2026-11-01 10:00:00 UTC".
    let (text, utc) = match text.strip_suffix(" UTC") {
        Some(text) => (text, true),
        None => (text, false),
    };
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
        zoned: utc,
    })
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
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
    use serde_json::json;

    use super::*;

    #[test]
    fn times_in_every_form_that_sources_write() {
        let at = |ms, zoned| Ok(Some(Instant { ms, zoned }));
        let ms = 1_790_000_000_123;
        let read = |value: Value| instant(Some(&value), TimeUnit::Milliseconds);
        assert_eq!(read(json!("2026-09-21T14:13:20.123Z")), at(ms, true));
        assert_eq!(read(json!("2026-09-21T16:13:20.123+02:00")), at(ms, true));
        assert_eq!(read(json!("2026-09-21 14:13:20.123 UTC")), at(ms, true));
        assert_eq!(read(json!("2026-09-21 14:13:20.123+00")), at(ms, true));
        assert_eq!(read(json!("2026-09-21 14:13:20.123")), at(ms, false));
        assert_eq!(read(json!(ms)), at(ms, true));
        assert_eq!(read(json!("1790000000123")), at(ms, true));
        let micros = instant(Some(&json!("1790000000123456")), TimeUnit::Microseconds);
        assert_eq!(micros, at(ms, true));
        assert_eq!(read(json!("")), Ok(None));
        assert_eq!(
            read(json!(1_790_000_000)),
            Err("\"1790000000\" is not a time between 2000 and 2100; numbers are milliseconds since 1970".into())
        );
        assert_eq!(
            read(json!("yesterday")),
            Err("\"yesterday\" is not a time (ISO 8601 or milliseconds since 1970)".into())
        );
        assert_eq!(
            read(json!({})),
            Err("an object, where a text is expected".into())
        );
    }

    #[test]
    fn positions_count_from_one_whatever_the_source_does() {
        assert_eq!(position(Some(&json!(0)), 0), Ok(Some(1)));
        assert_eq!(position(Some(&json!("3")), 1), Ok(Some(3)));
        assert_eq!(position(Some(&json!(3.0)), 1), Ok(Some(3)));
        assert_eq!(position(Some(&json!("")), 1), Ok(None));
        assert_eq!(
            position(Some(&json!(0)), 1),
            Err("\"0\" is below 1; where positions count from 0, say --position-base 0".into())
        );
        for (value, complaint) in [
            (json!(-1), "\"-1\" is not a whole number from 0 on"),
            (json!(2.5), "\"2.5\" is not a whole number from 0 on"),
            (json!("top"), "\"top\" is not a number"),
            (json!([1]), "a list, where a text is expected"),
        ] {
            assert_eq!(position(Some(&value), 1), Err(complaint.to_owned()));
        }
    }

    #[test]
    fn lists_are_lists_or_json_in_a_text() {
        assert_eq!(list(Some(&json!("[1]"))), Ok(Some(vec![json!(1)].into())));
        assert_eq!(list(Some(&json!([1]))), Ok(Some(vec![json!(1)].into())));
        assert_eq!(list(Some(&json!(" "))), Ok(None));
        assert_eq!(
            list(Some(&json!("a,b"))),
            Err("\"a,b\" is not a JSON list".into())
        );
    }
}
