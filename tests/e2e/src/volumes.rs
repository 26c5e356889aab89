use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use serde_json::json;

use crate::{
    kubectl::{apply_ok, kubectl_with_input},
    namespace::TestNamespace,
};

/// Makes a claim of this name that a pod can bind. Where `SEARCHOP_VOLUMES_DIR` names a folder of
/// the one node, a volume is made there; elsewhere the cluster's default storage class serves.
pub fn claim(namespace: &TestNamespace, name: &str) {
    volume_for(namespace, name);
    apply_ok(
        &namespace.name,
        &json!({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
        }),
    );
}

/// Makes the volume for a claim that is made elsewhere, where the node has a folder for it.
pub fn volume_for(namespace: &TestNamespace, claim: &str) {
    let Ok(folder) = std::env::var("SEARCHOP_VOLUMES_DIR") else {
        return;
    };
    let path = Path::new(&folder).join(&namespace.name).join(claim);
    fs::create_dir_all(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
    let volume = json!({
        "apiVersion": "v1", "kind": "PersistentVolume",
        "metadata": {"name": format!("{}-{claim}", namespace.name)},
        "spec": {
            "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain", "storageClassName": "",
            "claimRef": {"namespace": namespace.name, "name": claim},
            "hostPath": {"path": path}
        }
    });
    let output = kubectl_with_input(&["apply", "-f", "-"], &volume.to_string());
    assert!(output.success, "{}", output.stderr);
}
