//! Checks a document against a custom resource's schema the way a strict API server does.
//!
//! A structural schema is a small and closed dialect, so the walk is short, finds every problem in
//! one go, and can say what the field is for. Patterns run on the `regex` crate, which like the
//! API server's engine is of the RE2 family. A keyword that is not known here is refused by a test
//! rather than skipped.

use regex::Regex;
use serde_json::{Map, Value};

/// Something that is wrong with one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// `spec.evaluation.gates[0].metric`.
    pub path: String,
    /// Which value is wrong and what to do.
    pub message: String,
}

/// Removes what an API server drops before it looks: keys without a value.
pub fn prune_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            fields.values_mut().for_each(prune_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(prune_nulls),
        _ => {}
    }
}

/// Every way in which `value` does not fit `schema`.
pub fn check(schema: &Value, value: &Value, path: &str) -> Vec<Problem> {
    let mut found = Vec::new();
    walk(schema, value, path, &mut found);
    found
}

fn walk(schema: &Value, value: &Value, path: &str, found: &mut Vec<Problem>) {
    if let Err(message) = check_type(schema, value) {
        found.push(Problem {
            path: path.to_owned(),
            message,
        });
        return;
    }
    let problem = match value {
        Value::Object(fields) => {
            walk_fields(schema, fields, path, found);
            check_size(
                schema,
                fields.len(),
                ["minProperties", "maxProperties"],
                "entries",
            )
        }
        Value::Array(items) => {
            walk_items(schema, items, path, found);
            check_size(schema, items.len(), ["minItems", "maxItems"], "entries")
        }
        Value::String(text) => check_text(schema, text),
        Value::Number(_) => check_number(schema, value),
        Value::Bool(_) | Value::Null => None,
    };
    if let Some(message) = problem {
        found.push(Problem {
            path: path.to_owned(),
            message,
        });
    }
}

fn check_type(schema: &Value, value: &Value) -> Result<(), String> {
    if schema["x-kubernetes-int-or-string"] == true {
        return match value {
            Value::String(_) => Ok(()),
            Value::Number(number) if number.is_i64() => Ok(()),
            _ => Err(format!("{value} is neither a whole number nor a text")),
        };
    }
    let wanted = schema["type"].as_str().unwrap_or("object");
    let (fits, name) = match wanted {
        "object" => (value.is_object(), "a group of fields"),
        "array" => (value.is_array(), "a list"),
        "string" => (value.is_string(), "a text"),
        "boolean" => (value.is_boolean(), "true or false"),
        "integer" => (value.is_i64() || value.is_u64(), "a whole number"),
        "number" => (value.is_number(), "a number"),
        _ => (false, "of a known type"),
    };
    if fits {
        return Ok(());
    }
    let hint = match (wanted, value) {
        ("string", Value::Number(_) | Value::Bool(_)) => format!("; put it in quotes: \"{value}\""),
        _ => String::new(),
    };
    Err(format!("{} is not {name}{hint}", shown(value)))
}

fn walk_fields(schema: &Value, fields: &Map<String, Value>, path: &str, found: &mut Vec<Problem>) {
    let none = Map::new();
    let known = schema["properties"].as_object().unwrap_or(&none);
    for (name, value) in fields {
        let place = join(path, name);
        match known.get(name) {
            Some(schema) => walk(schema, value, &place, found),
            None if schema["additionalProperties"].is_object() => {
                walk(&schema["additionalProperties"], value, &place, found);
            }
            None => found.push(Problem {
                path: place,
                message: unknown_field(name, known.keys().map(String::as_str)),
            }),
        }
    }
    for name in strings(&schema["required"]).filter(|name| !fields.contains_key(*name)) {
        let purpose = known.get(name).map_or(String::new(), purpose);
        found.push(Problem {
            path: join(path, name),
            message: format!("required, but missing{purpose}"),
        });
    }
}

fn walk_items(schema: &Value, items: &[Value], path: &str, found: &mut Vec<Problem>) {
    for (index, item) in items.iter().enumerate() {
        walk(&schema["items"], item, &format!("{path}[{index}]"), found);
    }
    if schema["x-kubernetes-list-type"] != "map" {
        return;
    }
    let keys: Vec<&str> = strings(&schema["x-kubernetes-list-map-keys"]).collect();
    let identity = |item: &Value| {
        keys.iter()
            .map(|key| item[*key].clone())
            .collect::<Vec<_>>()
    };
    for (index, item) in items.iter().enumerate() {
        let first = items[..index]
            .iter()
            .position(|other| identity(other) == identity(item));
        if let (Some(first), Some(key)) = (first, keys.first()) {
            found.push(Problem {
                path: format!("{path}[{index}].{key}"),
                message: format!(
                    "{} is the {key} of {path}[{first}] already; choose another",
                    item[*key]
                ),
            });
        }
    }
}

fn check_text(schema: &Value, text: &str) -> Option<String> {
    if let Some(options) = schema["enum"].as_array() {
        let names: Vec<&str> = options.iter().filter_map(Value::as_str).collect();
        if !names.contains(&text) {
            let nearest = nearest(text, names.iter().copied());
            let hint = nearest.map_or(String::new(), |name| format!("; did you mean {name:?}?"));
            let list = names
                .iter()
                .map(|name| format!("{name:?}"))
                .collect::<Vec<_>>()
                .join(", ");
            return Some(format!("{text:?} is not one of {list}{hint}"));
        }
    }
    if let Some(pattern) = schema["pattern"].as_str() {
        match Regex::new(pattern) {
            Ok(regex) if regex.is_match(text) => {}
            Ok(_) => {
                return Some(format!(
                    "{text:?} does not match {pattern}{}",
                    purpose(schema)
                ));
            }
            Err(_) => return Some(format!("{text:?} cannot be checked against {pattern}")),
        }
    }
    check_size(
        schema,
        text.chars().count(),
        ["minLength", "maxLength"],
        "characters",
    )
}

fn check_size(schema: &Value, size: usize, keywords: [&str; 2], unit: &str) -> Option<String> {
    let [least, most] = keywords.map(|keyword| schema[keyword].as_u64().map(|n| n as usize));
    match (least, most) {
        (Some(least), _) if size < least => {
            Some(format!("has {size} {unit}, at least {least} are needed"))
        }
        (_, Some(most)) if size > most => {
            Some(format!("has {size} {unit}, at most {most} are allowed"))
        }
        _ => None,
    }
}

fn check_number(schema: &Value, value: &Value) -> Option<String> {
    let number = value.as_f64()?;
    let limit = |keyword: &str| schema[keyword].as_f64();
    if let Some(least) = limit("minimum").filter(|least| number < *least) {
        return Some(format!("{value} is too small, the minimum is {least}"));
    }
    if let Some(most) = limit("maximum").filter(|most| number > *most) {
        return Some(format!("{value} is too large, the maximum is {most}"));
    }
    let fits = match schema["format"].as_str() {
        Some("int32") => value.as_i64().is_some_and(|n| i32::try_from(n).is_ok()),
        Some("int64") => value.is_i64(),
        _ => true,
    };
    (!fits).then(|| format!("{value} is too large, the maximum is {}", i32::MAX))
}

/// The message for a field that nobody knows.
pub fn unknown_field<'a>(name: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    match nearest(name, known.clone()) {
        Some(near) => format!("unknown field; did you mean {near:?}?"),
        None => {
            let mut names: Vec<String> = known.map(|name| format!("{name:?}")).collect();
            names.sort();
            format!("unknown field; possible are {}", names.join(", "))
        }
    }
}

fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|other| {
            (
                strsim::jaro_winkler(&name.to_lowercase(), &other.to_lowercase()),
                other,
            )
        })
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, other)| other)
}

/// First sentence of the field's description, in parentheses.
fn purpose(schema: &Value) -> String {
    let sentence = |text: &str| {
        text.split(". ")
            .next()
            .map(|first| first.trim_end_matches('.').replace('\n', " "))
    };
    let text = schema["description"].as_str().and_then(sentence);
    text.map_or(String::new(), |text| format!(" ({text})"))
}

fn strings(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}

pub fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

/// A value as it may appear in a message: short, on one line.
pub fn shown(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= 120 {
        return text;
    }
    let start: String = text.chars().take(119).collect();
    format!("{start}…")
}

#[cfg(test)]
mod tests;
