//! The house rules of an API, checked on every node of both schemas.

use searchop_api::crds;
use serde_json::Value;

/// A node of a schema with its path.
struct Node<'a> {
    path: String,
    schema: &'a Value,
    /// `None` at the root of a tree, which is not a field.
    field: Option<&'a str>,
}

impl Node<'_> {
    fn has(&self, key: &str) -> bool {
        self.schema.get(key).is_some()
    }

    fn type_(&self) -> &str {
        self.schema["type"].as_str().unwrap_or_default()
    }

    fn in_spec(&self) -> bool {
        self.path.contains(".spec")
    }
}

fn walk<'a>(path: String, field: Option<&'a str>, schema: &'a Value, nodes: &mut Vec<Node<'a>>) {
    // Kubernetes' own type, with its own rules.
    if field == Some("conditions") {
        return;
    }
    nodes.push(Node {
        path: path.clone(),
        schema,
        field,
    });
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        walk(format!("{path}.{name}"), Some(name), property, nodes);
    }
    if let Some(items) = schema.get("items") {
        walk(format!("{path}[]"), None, items, nodes);
    }
}

fn schemas() -> Vec<(String, Value)> {
    crds()
        .into_iter()
        .map(|crd| {
            let schema = crd.spec.versions[0]
                .schema
                .clone()
                .unwrap()
                .open_api_v3_schema
                .unwrap();
            (crd.spec.names.kind, serde_json::to_value(schema).unwrap())
        })
        .collect()
}

/// The nodes for which a rule does not hold.
fn broken(rule: impl Fn(&Node) -> bool) -> Vec<String> {
    let mut paths = Vec::new();
    for (kind, schema) in schemas() {
        let mut nodes = Vec::new();
        for part in ["spec", "status"] {
            walk(
                format!("{kind}.{part}"),
                Some(part),
                &schema["properties"][part],
                &mut nodes,
            );
        }
        assert!(nodes.len() > 15, "{kind} has {} nodes only", nodes.len());
        paths.extend(
            nodes
                .into_iter()
                .filter(|node| !rule(node))
                .map(|node| node.path),
        );
    }
    paths
}

fn camel_case(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_uppercase())
        && word.chars().all(|c| c.is_ascii_alphanumeric())
}

#[test]
fn every_node_has_a_type() {
    let typed = |node: &Node| {
        matches!(
            node.type_(),
            "object" | "array" | "string" | "integer" | "boolean"
        ) || node.schema["x-kubernetes-int-or-string"] == Value::Bool(true)
    };
    assert_eq!(broken(typed), [""; 0], "no type, or a float");
}

#[test]
fn strings_are_bounded() {
    let bounded = |node: &Node| {
        (node.type_() != "string" && !node.has("x-kubernetes-int-or-string"))
            || node.has("maxLength")
            || node.has("enum")
            || node.has("format")
    };
    assert_eq!(broken(bounded), [""; 0]);
}

#[test]
fn lists_are_bounded_and_say_how_they_merge() {
    let bounded = |node: &Node| node.type_() != "array" || node.has("maxItems");
    assert_eq!(broken(bounded), [""; 0]);
    let merges = |node: &Node| {
        node.type_() != "array"
            || match node.schema["x-kubernetes-list-type"].as_str() {
                Some("map") => node.has("x-kubernetes-list-map-keys"),
                Some("atomic" | "set") => true,
                _ => false,
            }
    };
    assert_eq!(broken(merges), [""; 0]);
}

#[test]
fn integers_have_a_signed_size_and_bounds_where_users_write_them() {
    let sized = |node: &Node| {
        node.type_() != "integer"
            || matches!(node.schema["format"].as_str(), Some("int32" | "int64"))
    };
    assert_eq!(broken(sized), [""; 0]);
    // A seed may be any number that is not negative.
    let bounded = |node: &Node| {
        node.type_() != "integer"
            || !node.in_spec()
            || node.has("minimum") && (node.has("maximum") || node.field == Some("seed"))
    };
    assert_eq!(broken(bounded), [""; 0]);
}

#[test]
fn objects_are_closed() {
    let closed = |node: &Node| {
        node.type_() != "object"
            // Labels have any name; their number and their values are bounded.
            || node.field == Some("matchLabels")
                && node.has("maxProperties")
                && node.schema["additionalProperties"]["maxLength"].is_u64()
            || node.has("properties")
                && !node.has("additionalProperties")
                && !node.has("x-kubernetes-preserve-unknown-fields")
    };
    assert_eq!(broken(closed), [""; 0]);
}

#[test]
fn fields_are_described() {
    let described = |node: &Node| {
        node.field.is_none()
            || node.schema["description"]
                .as_str()
                .is_some_and(|text| text.len() > 4)
    };
    assert_eq!(broken(described), [""; 0]);
}

#[test]
fn enums_are_camel_case_words_and_hold_no_null() {
    let words = |node: &Node| {
        let values = node.schema["enum"].as_array();
        values.is_none_or(|values| {
            values
                .iter()
                .all(|value| value.as_str().is_some_and(camel_case))
        })
    };
    assert_eq!(broken(words), [""; 0]);
    for (kind, schema) in schemas() {
        let text = schema.to_string();
        assert!(
            !text.contains("null,") && !text.contains("[null]"),
            "{kind} has a null"
        );
        assert!(
            !text.contains("\"anyOf\":[{\"properties\""),
            "{kind} has an anyOf of objects"
        );
    }
}

#[test]
fn names_say_what_they_hold() {
    let named = |node: &Node| {
        let Some(field) = node.field else { return true };
        let reference = !field.ends_with("Reference") && !field.ends_with("Name");
        let time =
            node.schema["format"] != "date-time" || field == "time" || field.ends_with("Time");
        let plain = field.starts_with(|c: char| c.is_ascii_lowercase())
            && field.chars().all(|c| c.is_ascii_alphanumeric());
        reference && time && plain && !field.contains("Duration")
    };
    assert_eq!(broken(named), [""; 0]);
}

#[test]
fn the_spec_is_required_and_the_status_is_not() {
    for (kind, schema) in schemas() {
        assert_eq!(schema["required"], serde_json::json!(["spec"]), "{kind}");
        assert!(
            schema["properties"]["status"].get("required").is_none(),
            "{kind}"
        );
    }
}

/// `kubectl get -o yaml` shows what is in force: every optional plain value has a default, and every
/// object of plain values is there. What has none is absent on purpose.
#[test]
fn defaults_are_visible() {
    let absent_on_purpose = [
        "synthetic",
        "sources",
        "judgments",
        "credentialsSecretRef",
        "readerSecretRef",
        "requests",
        "limits",
        "cpu",
        "memory",
        "threshold",
        "against",
        "goal",
        "margin",
        "on",
        "slice",
        "appliesTo",
        "dryRun",
        "declared",
        "field",
        "default",
        "required",
        "outOfStock",
        "pins",
        "tokenSecretRef",
        "tlsSecretRef",
        "queryLog",
        "lagDays",
        "tablesMaxAgeSeconds",
        "featureLog",
        "uri",
        "approvedVersion",
        "abortedVersion",
        "pinnedVersion",
        "schedule",
        "onDrift",
        "tuning",
        "maxScoreShift",
        "modelRef",
        "modelSelector",
        "matchLabels",
        "matchExpressions",
        "values",
    ];
    for (kind, schema) in schemas() {
        let mut nodes = Vec::new();
        walk(
            format!("{kind}.spec"),
            None,
            &schema["properties"]["spec"],
            &mut nodes,
        );
        let required: Vec<String> = nodes
            .iter()
            .flat_map(|node| {
                let names = node.schema["required"]
                    .as_array()
                    .cloned()
                    .unwrap_or_default();
                names
                    .into_iter()
                    .map(|name| format!("{}.{}", node.path, name.as_str().unwrap()))
            })
            .collect();
        for node in &nodes {
            let Some(field) = node.field else { continue };
            let shown = required.contains(&node.path)
                || node.has("default")
                || absent_on_purpose.contains(&field);
            assert!(shown, "{} has no default", node.path);
            let default = node
                .schema
                .get("default")
                .map(Value::to_string)
                .unwrap_or_default();
            assert!(!default.contains("null"), "{}: {default}", node.path);
        }
    }
}

#[test]
fn complaint_10_the_columns_tell_the_state_in_one_line() {
    let columns: Vec<Vec<String>> = crds()
        .into_iter()
        .map(|crd| {
            let columns = crd.spec.versions[0]
                .additional_printer_columns
                .clone()
                .unwrap();
            columns.into_iter().map(|column| column.name).collect()
        })
        .collect();
    assert_eq!(
        columns[0],
        [
            "Ready",
            "Served",
            "Metric",
            "Data-Age",
            "Tables-Age",
            "Stale",
            "Next",
            "Message",
            "Age"
        ]
    );
    assert_eq!(
        columns[1],
        [
            "Model",
            "Selector",
            "Action",
            "Schedule",
            "Time-Zone",
            "Suspend",
            "Last",
            "Next",
            "Message",
            "Age"
        ]
    );
}

#[test]
fn the_model_can_be_scaled() {
    let crd = &crds()[0];
    let scale = crd.spec.versions[0]
        .subresources
        .clone()
        .unwrap()
        .scale
        .unwrap();
    assert_eq!(scale.spec_replicas_path, ".spec.serving.replicas");
    assert_eq!(scale.status_replicas_path, ".status.replicas");
}
