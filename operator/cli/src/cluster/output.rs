//! Objects as kubectl prints them.

use kube::Resource;
use serde::Serialize;
use serde_json::{Value, json};

use super::error::ClusterError;

/// Formats that hold whole objects or their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whole {
    Json,
    Yaml,
    Name,
}

/// `rankingmodel.searchop.io/products`.
pub fn full_name<K: Resource<DynamicType = ()>>(object: &K) -> String {
    let kind = K::kind(&()).to_lowercase();
    let name = object.meta().name.as_deref().unwrap_or_default();
    format!("{kind}.{}/{name}", K::group(&()))
}

/// One object as itself, several as a List.
pub fn whole<K>(objects: &[K], format: Whole) -> Result<String, ClusterError>
where
    K: Resource<DynamicType = ()> + Serialize,
{
    if format == Whole::Name {
        let names = objects.iter().map(|object| full_name(object) + "\n");
        return Ok(names.collect());
    }
    let mut values: Vec<Value> = objects.iter().map(plain).collect();
    let value = match values.len() {
        1 => values.remove(0),
        _ => json!({"apiVersion": "v1", "kind": "List", "items": values}),
    };
    document(&value, format)
}

/// A value as one document.
pub fn document(value: &impl Serialize, format: Whole) -> Result<String, ClusterError> {
    let printed = match format {
        Whole::Yaml => serde_saphyr::to_string(value).map_err(|error| error.to_string()),
        Whole::Json | Whole::Name => {
            serde_json::to_string_pretty(value).map_err(|error| error.to_string())
        }
    };
    let text = printed.map_err(|error| ClusterError::Failed(format!("print it: {error}")))?;
    Ok(text.trim_end().to_owned() + "\n")
}

/// Without what only field managers read.
fn plain<K: Serialize>(object: &K) -> Value {
    let mut value = serde_json::to_value(object).expect("a resource is JSON");
    if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
    value
}

#[cfg(test)]
mod tests {
    use searchop_api::RankingModel;
    use serde_json::{from_value, json};

    use super::*;

    fn model(name: &str) -> RankingModel {
        from_value(json!({
            "apiVersion": "searchop.io/v1alpha1", "kind": "RankingModel",
            "metadata": {"name": name, "managedFields": [{"manager": "kubectl"}]},
            "spec": {"data": {"synthetic": {}}, "artifacts": {"uri": "pvc://models"}}
        }))
        .unwrap()
    }

    #[test]
    fn one_is_itself_and_several_are_a_list_without_managers() {
        let one = whole(&[model("a")], Whole::Json).unwrap();
        let value: Value = serde_json::from_str(&one).unwrap();
        assert_eq!(
            (&value["kind"], &value["apiVersion"]),
            (&json!("RankingModel"), &json!("searchop.io/v1alpha1"))
        );
        assert_eq!(value["metadata"], json!({"name": "a"}));
        let two = whole(&[model("a"), model("b")], Whole::Yaml).unwrap();
        assert!(two.contains("kind: List\n") && two.ends_with('\n'), "{two}");
        assert_eq!(
            whole(&[model("a"), model("b")], Whole::Name).unwrap(),
            "rankingmodel.searchop.io/a\nrankingmodel.searchop.io/b\n"
        );
    }
}
