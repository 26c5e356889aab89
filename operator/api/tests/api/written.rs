//! `crds/` holds what the types say.

use std::{env, fs, path::PathBuf};

use searchop_api::{crds, to_yaml};

/// A chart with both definitions has to fit into one Helm release.
const MAX_BYTES: usize = 200 * 1024;

#[test]
fn the_definitions_are_written_down() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../crds");
    let mut bytes = 0;
    for crd in crds() {
        let name = format!("{}.yaml", crd.metadata.name.as_deref().unwrap());
        let path = folder.join(&name);
        let text = to_yaml(&crd).unwrap();
        bytes += text.len();
        if env::var_os("UPDATE_CRDS").is_some() {
            fs::create_dir_all(&folder).unwrap();
            fs::write(&path, &text).unwrap();
        }
        let written = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            written == text,
            "crds/{name} is not what the types say: run `make crds`"
        );
    }
    assert!(bytes < MAX_BYTES, "{bytes} bytes");
}
