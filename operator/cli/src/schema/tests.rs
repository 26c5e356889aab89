use kube::CustomResourceExt;
use searchop_api::{RankingModel, RetrainSchedule};
use serde_json::json;

use super::*;

/// What the walk acts on, or may leave alone.
const KNOWN: [&str; 21] = [
    "type",
    "properties",
    "required",
    "additionalProperties",
    "maxProperties",
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
    if fields.contains_key("additionalProperties") {
        keywords(
            &schema["additionalProperties"],
            &format!("{path}.*"),
            unknown,
        );
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
            "labels": {"type": "object", "maxProperties": 1, "additionalProperties": {"type": "string", "maxLength": 3}},
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
        (json!({"uri": "abc", "labels": {"a": "b"}}), ""),
        (
            json!({"uri": "abc", "labels": {"a": "long"}}),
            "labels.a: has 4 characters, at most 3 are allowed",
        ),
        (
            json!({"uri": "abc", "labels": {"a": "b", "c": "d"}}),
            "labels: has 2 entries, at most 1 are allowed",
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
