//! Verbs that change something: one field or annotation, written as a merge patch, and the kubectl
//! line that does the same.

use kube::{
    Resource,
    api::{Patch, PatchParams},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{
    connection::{Cluster, Namespaced},
    error::ClusterError,
    output::{Whole, full_name, whole},
};
use crate::{
    args::{ChangeFormat, DryRun, HowToChange, Target},
    terminal::Log,
};

/// Owner of what these verbs write, in managedFields.
const MANAGER: &str = "searchop-cli";

/// What a verb writes.
#[derive(Clone, Debug, PartialEq)]
pub enum Edit {
    /// Fields of the spec, as a merge patch of it.
    Spec(Value),
    Annotation {
        key: &'static str,
        value: String,
    },
}

impl Edit {
    fn patch(&self) -> Value {
        match self {
            Self::Spec(fields) => json!({"spec": fields}),
            Self::Annotation { key, value } => json!({"metadata": {"annotations": {*key: value}}}),
        }
    }

    /// The kubectl line that does the same; `object` is `rankingmodel/products`.
    pub fn kubectl(&self, target: &Target, namespace: &str, object: &str) -> String {
        let mut line = "kubectl".to_owned();
        let file = target
            .kubeconfig
            .as_ref()
            .map(|file| file.display().to_string());
        let options = [
            ("--kubeconfig", file.as_deref()),
            ("--context", target.context.as_deref()),
            ("--as", target.as_user.as_deref()),
            ("-n", Some(namespace)),
        ];
        for (option, value) in options {
            if let Some(value) = value {
                line += &format!(" {option} {}", quoted(value));
            }
        }
        match self {
            Self::Spec(_) => {
                line + &format!(
                    " patch {object} --type=merge -p {}",
                    quoted(&self.patch().to_string())
                )
            }
            Self::Annotation { key, value } => {
                line + &format!(
                    " annotate --overwrite {object} {}",
                    quoted(&format!("{key}={value}"))
                )
            }
        }
    }
}

/// As one word of a shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "@%+=:,./_-".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

/// A verb about one object.
#[derive(Debug)]
pub struct Verb<'a> {
    pub target: &'a Target,
    pub how: HowToChange,
    pub edit: Edit,
    /// What has happened to the object then: `suspended`.
    pub done: &'a str,
}

impl Verb<'_> {
    /// Writes the edit, or says what it would write, and prints what became of the object.
    pub async fn apply<K>(&self, cluster: &Cluster, found: &K, log: Log) -> Result<K, ClusterError>
    where
        K: Namespaced + Serialize,
    {
        let name = found.meta().name.as_deref().unwrap_or_default();
        let object = format!("{}/{name}", K::kind(&()).to_lowercase());
        let line = self.edit.kubectl(self.target, &cluster.namespace, &object);
        log.info("SameAs", &line);
        let changed = match self.how.dry_run {
            DryRun::Client => merged(found, &self.edit.patch())?,
            DryRun::None | DryRun::Server => self.write(cluster, name).await?,
        };
        print!("{}", self.printed(&changed)?);
        Ok(changed)
    }

    async fn write<K: Namespaced>(&self, cluster: &Cluster, name: &str) -> Result<K, ClusterError> {
        let parameters = PatchParams {
            dry_run: self.how.dry_run == DryRun::Server,
            field_manager: Some(MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let (api, patch) = (cluster.api::<K>(), Patch::Merge(self.edit.patch()));
        cluster
            .call::<K, _>(name, api.patch(name, &parameters, &patch))
            .await
    }

    fn printed<K>(&self, changed: &K) -> Result<String, ClusterError>
    where
        K: Resource<DynamicType = ()> + Serialize + Clone,
    {
        let format = match self.how.output {
            Some(ChangeFormat::Json) => Whole::Json,
            Some(ChangeFormat::Yaml) => Whole::Yaml,
            Some(ChangeFormat::Name) => Whole::Name,
            None => {
                let dry = match self.how.dry_run {
                    DryRun::None => "",
                    DryRun::Client => " (dry run)",
                    DryRun::Server => " (server dry run)",
                };
                return Ok(format!("{} {}{dry}\n", full_name(changed), self.done));
            }
        };
        whole(std::slice::from_ref(changed), format)
    }
}

fn merged<K: Serialize + DeserializeOwned>(object: &K, patch: &Value) -> Result<K, ClusterError> {
    let mut value = serde_json::to_value(object).expect("a resource is JSON");
    merge(&mut value, patch);
    serde_json::from_value(value).map_err(|error| ClusterError::Refused(error.to_string()))
}

/// RFC 7386.
fn merge(base: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        *base = patch.clone();
        return;
    };
    if !base.is_object() {
        *base = json!({});
    }
    let Some(base) = base.as_object_mut() else {
        return;
    };
    for (key, value) in fields {
        if value.is_null() {
            base.remove(key);
        } else {
            merge(base.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::testing::model;

    #[test]
    fn the_line_of_kubectl_is_ready_to_paste() {
        let target = Target {
            context: Some("my cluster".to_owned()),
            ..Target::default()
        };
        let suspend = Edit::Spec(json!({"suspend": true}));
        assert_eq!(
            suspend.kubectl(&target, "shop", "rankingmodel/products"),
            r#"kubectl --context 'my cluster' -n shop patch rankingmodel/products --type=merge -p '{"spec":{"suspend":true}}'"#
        );
        let ask = Edit::Annotation {
            key: "searchop.io/retrain-requested",
            value: "Manual/ada!replace/2026-11-24T12:00:00Z".to_owned(),
        };
        assert_eq!(
            ask.kubectl(&Target::default(), "shop", "rankingmodel/products"),
            "kubectl -n shop annotate --overwrite rankingmodel/products \
             'searchop.io/retrain-requested=Manual/ada!replace/2026-11-24T12:00:00Z'"
        );
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }

    #[test]
    fn a_dry_run_of_the_client_merges_as_the_server_would() {
        let changed = merged(&model(), &json!({"spec": {"suspend": true}})).unwrap();
        assert!(changed.spec.suspend);
        assert_eq!(changed.status, model().status);
        let mut value = json!({"a": {"b": 1, "c": 2}, "d": 3});
        merge(&mut value, &json!({"a": {"b": null}, "d": {"e": 4}}));
        assert_eq!(value, json!({"a": {"c": 2}, "d": {"e": 4}}));
    }
}
