//! What trainer and ranker pods have in common: they pass Pod Security `restricted`, hold no
//! token, and see storage either as a mounted claim or through named keys of one Secret.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{
        Capabilities, ConfigMapVolumeSource, Container, EmptyDirVolumeSource, EnvVar, EnvVarSource,
        KeyToPath, PersistentVolumeClaimVolumeSource, PodSecurityContext, PodSpec,
        ResourceFieldSelector, ResourceRequirements, SeccompProfile, SecretKeySelector,
        SecretVolumeSource, SecurityContext, Volume, VolumeMount,
    },
    apimachinery::pkg::api::resource::Quantity,
};
use searchop_api::{ContainerResources, SecretReference};
use searchop_contract::names;

/// User and group of every pod; no account on a node has it.
const USER: i64 = 65532;

/// The programs that pods run; never chosen by a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Images {
    pub trainer: String,
    pub ranker: String,
    /// `Always`, `IfNotPresent`, `Never`; Kubernetes' default where absent.
    pub pull_policy: Option<String>,
}

/// A pod around one container.
pub(super) fn pod_spec(container: Container, storage: Storage) -> PodSpec {
    PodSpec {
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        security_context: Some(PodSecurityContext {
            run_as_non_root: Some(true),
            run_as_user: Some(USER),
            run_as_group: Some(USER),
            fs_group: Some(USER),
            // A large volume whose root is right already is not walked again at each start.
            fs_group_change_policy: Some("OnRootMismatch".to_owned()),
            seccomp_profile: Some(SeccompProfile {
                type_: "RuntimeDefault".to_owned(),
                ..SeccompProfile::default()
            }),
            ..PodSecurityContext::default()
        }),
        containers: vec![Container {
            security_context: Some(SecurityContext {
                allow_privilege_escalation: Some(false),
                capabilities: Some(Capabilities {
                    drop: Some(vec!["ALL".to_owned()]),
                    ..Capabilities::default()
                }),
                read_only_root_filesystem: Some(true),
                ..SecurityContext::default()
            }),
            volume_mounts: Some(storage.mounts),
            ..container
        }],
        volumes: Some(storage.volumes),
        ..PodSpec::default()
    }
}

/// The volumes of a pod.
#[derive(Default)]
pub(super) struct Storage {
    volumes: Vec<Volume>,
    mounts: Vec<VolumeMount>,
    /// Where a claim is mounted already.
    claims: BTreeMap<String, String>,
}

/// How a claim appears in the pod.
pub(super) struct Place {
    /// Name of the volume; the mount point is `/mnt/<name>`.
    pub name: &'static str,
    pub read_only: bool,
}

impl Storage {
    /// Writable scratch space at `path`.
    pub fn scratch(&mut self, name: &str, path: &str) {
        self.volumes.push(Volume {
            name: name.to_owned(),
            empty_dir: Some(EmptyDirVolumeSource::default()),
            ..Volume::default()
        });
        self.mounts.push(VolumeMount {
            name: name.to_owned(),
            mount_path: path.to_owned(),
            ..VolumeMount::default()
        });
    }

    /// The URI by which the container reaches `uri`: `pvc://claim/path` is mounted and becomes
    /// `file:///mnt/<name>/path`, anything else stays. A claim is mounted once, at its first place,
    /// so the place that may write comes first.
    pub fn reach(&mut self, uri: &str, place: Place) -> String {
        let Some((claim, inside)) = claim_and_path(uri) else {
            return uri.to_owned();
        };
        let mount_path = match self.claims.get(claim) {
            Some(mount_path) => mount_path.clone(),
            None => self.mount(claim, &place, None),
        };
        format!("file://{mount_path}/{inside}")
            .trim_end_matches('/')
            .to_owned()
    }

    /// These keys of a Secret as files; returns their folder. The kubelet replaces them when the
    /// Secret changes.
    pub fn secret(&mut self, name: &str, secret: &SecretReference, keys: &[&str]) -> String {
        let mount_path = format!("/etc/searchop/{name}");
        let item = |key: &&str| KeyToPath {
            key: (*key).to_owned(),
            path: (*key).to_owned(),
            mode: None,
        };
        self.volumes.push(Volume {
            name: name.to_owned(),
            secret: Some(SecretVolumeSource {
                secret_name: Some(secret.name.clone()),
                items: Some(keys.iter().map(item).collect()),
                default_mode: Some(0o440),
                ..SecretVolumeSource::default()
            }),
            ..Volume::default()
        });
        self.mounts.push(VolumeMount {
            name: name.to_owned(),
            mount_path: mount_path.clone(),
            read_only: Some(true),
            ..VolumeMount::default()
        });
        mount_path
    }

    /// The keys of a ConfigMap as files; returns their folder. The kubelet replaces them when the
    /// ConfigMap changes.
    pub fn config(&mut self, name: &str, config_map: &str) -> String {
        let mount_path = format!("/etc/searchop/{name}");
        self.volumes.push(Volume {
            name: name.to_owned(),
            config_map: Some(ConfigMapVolumeSource {
                name: config_map.to_owned(),
                default_mode: Some(0o440),
                ..ConfigMapVolumeSource::default()
            }),
            ..Volume::default()
        });
        self.mounts.push(VolumeMount {
            name: name.to_owned(),
            mount_path: mount_path.clone(),
            read_only: Some(true),
            ..VolumeMount::default()
        });
        mount_path
    }

    /// The folder `uri` of a claim, made where it is not there, and nothing else of the claim;
    /// returns its path.
    pub fn write_only(&mut self, uri: &str, name: &'static str) -> String {
        let Some((claim, inside)) = claim_and_path(uri) else {
            return uri.to_owned();
        };
        let place = Place {
            name,
            read_only: false,
        };
        self.mount(claim, &place, (!inside.is_empty()).then_some(inside))
    }

    /// Like [`Self::reach`], but to read, and with nothing in sight of the claim but what `uri` names: the
    /// folder is the mount point. It has to exist.
    pub fn reach_only(&mut self, uri: &str, name: &'static str) -> String {
        let Some((claim, inside)) = claim_and_path(uri) else {
            return uri.to_owned();
        };
        let place = Place {
            name,
            read_only: true,
        };
        format!("file://{}", self.mount(claim, &place, Some(inside)))
    }

    fn mount(&mut self, claim: &str, place: &Place, folder: Option<String>) -> String {
        let mount_path = format!("/mnt/{}", place.name);
        self.volumes.push(Volume {
            name: place.name.to_owned(),
            persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource {
                claim_name: claim.to_owned(),
                read_only: Some(place.read_only),
            }),
            ..Volume::default()
        });
        self.mounts.push(VolumeMount {
            name: place.name.to_owned(),
            mount_path: mount_path.clone(),
            read_only: Some(place.read_only),
            sub_path: folder,
            ..VolumeMount::default()
        });
        self.claims.insert(claim.to_owned(), mount_path.clone());
        mount_path
    }
}

/// Claim and path of a `pvc://claim/path`. No path leads out of the claim.
fn claim_and_path(uri: &str) -> Option<(&str, String)> {
    let rest = uri.strip_prefix("pvc://")?;
    let (claim, path) = rest.split_once('/').unwrap_or((rest, ""));
    let inside: Vec<&str> = path
        .split('/')
        .filter(|part| !matches!(*part, "" | "." | ".."))
        .collect();
    Some((claim, inside.join("/")))
}

/// A variable with exactly this value. The kubelet replaces `$(NAME)` by other variables, keys
/// among them, so no dollar sign is left to it.
pub(super) fn env(name: &str, value: impl AsRef<str>) -> EnvVar {
    EnvVar {
        name: name.to_owned(),
        value: Some(value.as_ref().replace('$', "$$")),
        ..EnvVar::default()
    }
}

/// The container's CPU limit in millicores, from which thread counts follow.
pub(super) fn cpu_limit_env(container: &str) -> EnvVar {
    let limit = ResourceFieldSelector {
        container_name: Some(container.to_owned()),
        resource: "limits.cpu".to_owned(),
        divisor: Some(Quantity("1m".to_owned())),
    };
    EnvVar {
        name: names::CPU_LIMIT_ENV.to_owned(),
        value_from: Some(EnvVarSource {
            resource_field_ref: Some(limit),
            ..EnvVarSource::default()
        }),
        ..EnvVar::default()
    }
}

/// The S3 keys of a Secret as variables that start with `prefix`. Key by key: a Secret that holds
/// more than these gives nothing more away.
pub(super) fn s3_env(secret: Option<&SecretReference>, prefix: &str) -> Vec<EnvVar> {
    let Some(secret) = secret else {
        return Vec::new();
    };
    names::S3_KEYS
        .iter()
        .map(|key| {
            let suffix = key.strip_prefix(names::S3_PREFIX).unwrap_or(key);
            // Without an endpoint or a region, those of the cloud apply; keys must be there.
            let optional = [names::S3_ENDPOINT_ENV, names::S3_REGION_ENV]
                .contains(key)
                .then_some(true);
            let reference = SecretKeySelector {
                name: secret.name.clone(),
                key: (*key).to_owned(),
                optional,
            };
            EnvVar {
                name: format!("{prefix}{suffix}"),
                value_from: Some(EnvVarSource {
                    secret_key_ref: Some(reference),
                    ..EnvVarSource::default()
                }),
                ..EnvVar::default()
            }
        })
        .collect()
}

/// Request and limit of one resource where the spec names neither.
pub(super) struct DefaultAmount {
    pub resource: &'static str,
    pub request: &'static str,
    pub limit: &'static str,
}

/// The spec's resources; for what it names neither as request nor as limit, the default. Half a
/// default beside half a wish could ask for more than it allows.
pub(super) fn resources(
    spec: &ContainerResources,
    defaults: &[DefaultAmount],
) -> ResourceRequirements {
    let given = ResourceRequirements::from(spec);
    let mut requests = given.requests.unwrap_or_default();
    let mut limits = given.limits.unwrap_or_default();
    for default in defaults {
        if !requests.contains_key(default.resource) && !limits.contains_key(default.resource) {
            requests.insert(
                default.resource.to_owned(),
                Quantity(default.request.to_owned()),
            );
            limits.insert(
                default.resource.to_owned(),
                Quantity(default.limit.to_owned()),
            );
        }
    }
    ResourceRequirements {
        requests: Some(requests),
        limits: Some(limits),
        ..ResourceRequirements::default()
    }
}
