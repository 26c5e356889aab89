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
            None
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
mod tests {
    use kube::CustomResourceExt;
    use searchop_api::{RankingModel, RetrainSchedule};
    use serde_json::json;

    use super::*;

    /// What the walk acts on, or may leave alone.
    const KNOWN: [&str; 19] = [
        "type",
        "properties",
        "required",
        "items",
        "enum",
        "pattern",
        "minLength",
        "maxLength",
        "minItems",
        "maxItems",
        "minimum",
        "maximum",
        "format",
        "x-kubernetes-int-or-string",
        "x-kubernetes-list-type",
        "x-kubernetes-list-map-keys",
        // Checked by CEL, filled in by the types, or for people.
        "x-kubernetes-validations",
        "default",
        "description",
    ];

    fn keywords(schema: &Value, path: &str, unknown: &mut Vec<String>) {
        let Some(fields) = schema.as_object() else {
            return;
        };
        for keyword in fields.keys() {
            // `nullable` without a default is the same as absent once nulls are pruned; `anyOf` says
            // int-or-string once more.
            let twice = keyword == "anyOf" && fields.contains_key("x-kubernetes-int-or-string");
            if !KNOWN.contains(&keyword.as_str()) && keyword != "nullable" && !twice {
                unknown.push(format!("{path}: {keyword}"));
            }
        }
        for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
            keywords(schema, &join(path, name), unknown);
        }
        if fields.contains_key("items") {
            keywords(&schema["items"], &format!("{path}[]"), unknown);
        }
    }

    #[test]
    fn every_keyword_of_both_kinds_is_known() {
        for crd in [RankingModel::crd(), RetrainSchedule::crd()] {
            let schema = serde_json::to_value(&crd.spec.versions[0].schema).unwrap();
            let spec = &schema["openAPIV3Schema"]["properties"]["spec"];
            assert!(
                spec["properties"]
                    .as_object()
                    .is_some_and(|fields| !fields.is_empty())
            );
            let mut unknown = Vec::new();
            keywords(spec, "spec", &mut unknown);
            assert_eq!(unknown, Vec::<String>::new());
        }
    }

    #[test]
    fn each_keyword_has_its_message() {
        let schema = json!({
            "type": "object",
            "required": ["uri"],
            "properties": {
                "uri": {"type": "string", "description": "Where it is.", "minLength": 2, "maxLength": 4},
                "margin": {"type": "string", "pattern": "^0$", "description": "LightGBM's own. More."},
                "metric": {"type": "string", "enum": ["NDCG", "MRR"]},
                "days": {"type": "integer", "format": "int32", "minimum": 1.0, "maximum": 90.0},
                "seed": {"type": "integer", "format": "int32"},
                "cpu": {"x-kubernetes-int-or-string": true, "pattern": "^[0-9]+m?$"},
                "on": {"type": "boolean"},
                "gates": {
                    "type": "array", "maxItems": 2, "minItems": 1,
                    "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
                    "items": {"type": "object", "properties": {"name": {"type": "string"}}},
                },
            },
        });
        let cases = [
            (
                json!({"uri": "abc", "cpu": 2, "on": true, "gates": [{"name": "a"}]}),
                "",
            ),
            (json!({"uri": "abc", "cpu": "200m"}), ""),
            (json!({}), "uri: required, but missing (Where it is)"),
            (
                json!({"uri": "a"}),
                "uri: has 1 characters, at least 2 are needed",
            ),
            (
                json!({"uri": "abcde"}),
                "uri: has 5 characters, at most 4 are allowed",
            ),
            (
                json!({"uri": 12}),
                "uri: 12 is not a text; put it in quotes: \"12\"",
            ),
            (json!({"uri": ["ab"]}), "uri: [\"ab\"] is not a text"),
            (
                json!({"uri": "abc", "margin": "1"}),
                "margin: \"1\" does not match ^0$ (LightGBM's own)",
            ),
            (
                json!({"uri": "abc", "metric": "NDGC"}),
                "metric: \"NDGC\" is not one of \"NDCG\", \"MRR\"; did you mean \"NDCG\"?",
            ),
            (
                json!({"uri": "abc", "metric": "x"}),
                "metric: \"x\" is not one of \"NDCG\", \"MRR\"",
            ),
            (
                json!({"uri": "abc", "days": 0}),
                "days: 0 is too small, the minimum is 1",
            ),
            (
                json!({"uri": "abc", "days": 91}),
                "days: 91 is too large, the maximum is 90",
            ),
            (
                json!({"uri": "abc", "days": "7"}),
                "days: \"7\" is not a whole number",
            ),
            (
                json!({"uri": "abc", "days": 7.5}),
                "days: 7.5 is not a whole number",
            ),
            (
                json!({"uri": "abc", "seed": 3_000_000_000_u32}),
                "seed: 3000000000 is too large, the maximum is 2147483647",
            ),
            (
                json!({"uri": "abc", "cpu": 0.5}),
                "cpu: 0.5 is neither a whole number nor a text",
            ),
            (
                json!({"uri": "abc", "cpu": "two"}),
                "cpu: \"two\" does not match ^[0-9]+m?$",
            ),
            (
                json!({"uri": "abc", "on": "yes"}),
                "on: \"yes\" is not true or false",
            ),
            (
                json!({"uri": "abc", "ury": 1}),
                "ury: unknown field; did you mean \"uri\"?",
            ),
            (
                json!({"uri": "abc", "gates": []}),
                "gates: has 0 entries, at least 1 are needed",
            ),
            (
                json!({"uri": "abc", "gates": {}}),
                "gates: {} is not a list",
            ),
            (
                json!({"uri": "abc", "gates": [{"name": "a"}, {"name": "a"}]}),
                "gates[1].name: \"a\" is the name of gates[0] already; choose another",
            ),
            (
                json!({"uri": "abc", "gates": [{"nme": "a"}]}),
                "gates[0].nme: unknown field; did you mean \"name\"?",
            ),
            (
                json!({"uri": "abc", "gates": [{"zzz": "a"}]}),
                "gates[0].zzz: unknown field; possible are \"name\"",
            ),
            (json!([]), ": [] is not a group of fields"),
        ];
        for (value, wanted) in cases {
            let found: Vec<String> = check(&schema, &value, "")
                .into_iter()
                .map(|problem| format!("{}: {}", problem.path, problem.message))
                .collect();
            assert_eq!(found.join("\n"), wanted, "{value}");
        }
    }

    #[test]
    fn a_key_without_a_value_is_the_same_as_no_key() {
        let mut value = json!({"a": null, "b": [{"c": null, "d": 1}]});
        prune_nulls(&mut value);
        assert_eq!(value, json!({"b": [{"d": 1}]}));
    }
}
