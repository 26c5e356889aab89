use std::io::{BufRead, Read};

use serde_json::{Map, Value};

use super::{Field, MAX_ROW_BYTES, Place, Rows, damaged};
use crate::{data::Cell, error::TrainError};

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

pub fn read(
    mut text: Box<dyn BufRead>,
    fields: &[Field<'_>],
    rows: &mut Rows<'_, '_>,
) -> Result<u64, TrainError> {
    let (mut line, mut number, mut count) = (Vec::new(), 0, 0);
    let mut seen = vec![false; fields.len()];
    let mut first_keys: Option<Vec<String>> = None;
    loop {
        line.clear();
        let mut longest = (&mut text).take(MAX_ROW_BYTES as u64 + 1);
        let read = longest
            .read_until(b'\n', &mut line)
            .map_err(|error| damaged(rows.file, &error))?;
        if read == 0 {
            break;
        }
        number += 1;
        if read > MAX_ROW_BYTES {
            return Err(rows.too_long(number));
        }
        let bytes = line
            .strip_prefix(BYTE_ORDER_MARK)
            .filter(|_| number == 1)
            .unwrap_or(&line);
        if bytes.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        count += 1;
        let place = Place {
            unit: "line",
            number,
        };
        match parse(bytes) {
            Ok(object) => {
                let found: Vec<_> = fields.iter().map(|field| find(*field, &object)).collect();
                for (seen, found) in seen.iter_mut().zip(&found) {
                    *seen |= found.is_some();
                }
                let cells: Vec<Cell<'_>> = found
                    .iter()
                    .map(|found| found.map_or(Cell::Missing, |(_, value)| cell(value)))
                    .collect();
                rows.accept(place, &cells, |field| {
                    found[field]
                        .map_or(fields[field].name, |(name, _)| name)
                        .to_owned()
                });
                first_keys.get_or_insert_with(|| object.keys().cloned().collect());
            }
            Err(complaint) => rows.reject(place, complaint),
        }
    }
    let missing = fields
        .iter()
        .zip(seen)
        .find(|(field, seen)| field.required && !seen);
    match (missing, first_keys) {
        // Where no line could be read, the bad lines say more.
        (Some((field, _)), Some(keys)) => Err(rows.missing_column(*field, &keys)),
        _ => Ok(count),
    }
}

fn parse(bytes: &[u8]) -> Result<Map<String, Value>, String> {
    let text = str::from_utf8(bytes).map_err(|_| "not valid UTF-8".to_owned())?;
    match serde_json::from_str(text.trim_end()) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err("not a JSON object".to_owned()),
        Err(error) => Err(format!("not JSON from character {} on", error.column())),
    }
}

/// The value of a field with the name under which it was found: a key of that name, or a path
/// into nested objects.
fn find<'a, 'o>(field: Field<'a>, object: &'o Map<String, Value>) -> Option<(&'a str, &'o Value)> {
    field
        .names()
        .find_map(|name| Some((name, object.get(name).or_else(|| descend(object, name))?)))
}

fn descend<'o>(object: &'o Map<String, Value>, path: &str) -> Option<&'o Value> {
    let (first, rest) = path.split_once('.')?;
    let inner = object.get(first)?.as_object()?;
    inner.get(rest).or_else(|| descend(inner, rest))
}

fn cell(value: &Value) -> Cell<'_> {
    match value {
        Value::Null => Cell::Missing,
        Value::Bool(value) => Cell::boolean(*value),
        Value::Number(number) => match number.as_i64() {
            Some(integer) => Cell::Integer(integer),
            None => number.as_f64().map_or(Cell::Missing, Cell::Decimal),
        },
        Value::String(text) if text.is_empty() => Cell::Missing,
        Value::String(text) => Cell::Text(text.as_str().into()),
        Value::Array(_) | Value::Object(_) => Cell::Nested,
    }
}
