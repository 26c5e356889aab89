//! Which models a schedule asks.

use std::collections::BTreeMap;

use searchop_api::{
    LabelOperator, LabelRequirement, ModelSelector, RankingModel, RetrainScheduleSpec,
};

type Labels = BTreeMap<String, String>;

/// Whether the schedule asks this model of its namespace.
pub fn selects(spec: &RetrainScheduleSpec, model: &RankingModel) -> bool {
    let metadata = &model.metadata;
    match (&spec.model_ref, &spec.model_selector) {
        (Some(reference), _) => metadata.name.as_ref() == Some(&reference.name),
        (None, Some(selector)) => matches(
            selector,
            metadata.labels.as_ref().unwrap_or(&Labels::default()),
        ),
        (None, None) => false,
    }
}

/// Whom the schedule asks, in words: `products`, `models with team=search`, `all models`.
pub fn selected(spec: &RetrainScheduleSpec) -> String {
    match (&spec.model_ref, &spec.model_selector) {
        (Some(reference), _) => reference.name.clone(),
        (None, selector) => match selector.as_ref().map(ToString::to_string) {
            Some(words) if words.is_empty() => "all models".to_owned(),
            Some(words) => format!("models with {words}"),
            None => "no model".to_owned(),
        },
    }
}

fn matches(selector: &ModelSelector, labels: &Labels) -> bool {
    let has = |(key, value): (&String, &String)| labels.get(key) == Some(value);
    selector.match_labels.iter().all(has)
        && selector
            .match_expressions
            .iter()
            .all(|requirement| holds(requirement, labels))
}

/// As label selectors are read everywhere: a model without the label is `NotIn`.
fn holds(requirement: &LabelRequirement, labels: &Labels) -> bool {
    let value = labels.get(&requirement.key);
    let listed = value.is_some_and(|value| requirement.values.contains(value));
    match requirement.operator {
        LabelOperator::In => listed,
        LabelOperator::NotIn => !listed,
        LabelOperator::Exists => value.is_some(),
        LabelOperator::DoesNotExist => value.is_none(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, from_value, json};

    use super::*;

    fn schedule(whom: Value) -> RetrainScheduleSpec {
        let mut spec = whom;
        spec["schedule"] = "0 2 * * 0".into();
        from_value(spec).unwrap()
    }

    fn model(name: &str, labels: Value) -> RankingModel {
        from_value(json!({
            "apiVersion": "searchop.io/v1alpha1", "kind": "RankingModel",
            "metadata": {"name": name, "labels": labels},
            "spec": {"data": {"synthetic": {}}, "artifacts": {"uri": "pvc://models/products"}}
        }))
        .unwrap()
    }

    #[test]
    fn whom_a_schedule_asks() {
        let models = [
            model("a", Value::Null),
            model("b", json!({"team": "search", "tier": "gold"})),
            model("c", json!({"team": "search", "tier": "tin"})),
            model("d", json!({"team": "ads"})),
        ];
        let labels = |labels: Value| json!({"modelSelector": {"matchLabels": labels}});
        let one = |key: &str, operator: &str, values: Value| {
            let requirement = json!({"key": key, "operator": operator, "values": values});
            json!({"modelSelector": {"matchExpressions": [requirement]}})
        };
        let both = json!({"modelSelector": {
            "matchLabels": {"team": "search"},
            "matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["tin"]}]
        }});
        for (whom, names, words) in [
            (json!({"modelRef": {"name": "c"}}), "c", "c"),
            (json!({"modelSelector": {}}), "abcd", "all models"),
            (json!({}), "", "no model"),
            (
                labels(json!({"team": "search"})),
                "bc",
                "models with team=search",
            ),
            (
                labels(json!({"team": "search", "tier": "gold"})),
                "b",
                "models with team=search,tier=gold",
            ),
            (labels(json!({"team": ""})), "", "models with team="),
            (
                one("team", "In", json!(["ads", "search"])),
                "bcd",
                "models with team in (ads,search)",
            ),
            (
                one("team", "NotIn", json!(["ads"])),
                "abc",
                "models with team notin (ads)",
            ),
            (one("tier", "Exists", json!([])), "bc", "models with tier"),
            (
                one("tier", "DoesNotExist", json!([])),
                "ad",
                "models with !tier",
            ),
            (both, "b", "models with team=search,tier notin (tin)"),
        ] {
            let spec = schedule(whom);
            let found: String = models
                .iter()
                .filter(|model| selects(&spec, model))
                .filter_map(|model| model.metadata.name.clone())
                .collect();
            assert_eq!((&*found, &*selected(&spec)), (names, words));
        }
    }
}
