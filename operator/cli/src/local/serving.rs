//! What a ranker is told here about how to answer: what the Deployment's environment is on a cluster,
//! with folders for Secrets and claims.

use searchop_api::Serving;
use searchop_contract::names;

use super::{job::local_uri, state::StateDir};

/// Environment variables and their values.
pub type Environment = Vec<(&'static str, String)>;

/// The environment that says what `spec.serving` says.
pub fn environment(serving: &Serving, state: &StateDir) -> Environment {
    let mut variables = vec![(
        names::MAX_CANDIDATES_ENV,
        serving.max_candidates.to_string(),
    )];
    let secret = |name: &str, key: &str| {
        let file = state.secrets().join(name).join(key);
        file.display().to_string()
    };
    if !serving.rules.is_empty() {
        let rules = serde_json::to_string(&serving.rules).expect("rules have only string keys");
        variables.push((names::RULES_ENV, rules));
    }
    if let Some(reference) = &serving.token_secret_ref {
        let token = secret(&reference.name, names::TOKEN_KEY);
        variables.push((names::TOKEN_FILE_ENV, token));
    }
    if let Some(reference) = &serving.tls_secret_ref {
        for (variable, key) in [
            (names::TLS_CERT_FILE_ENV, names::TLS_CERT_KEY),
            (names::TLS_KEY_FILE_ENV, names::TLS_KEY_KEY),
        ] {
            variables.push((variable, secret(&reference.name, key)));
        }
    }
    if let Some(log) = &serving.query_log {
        let share = log.sample_share.clone();
        let records = state.logs().join("queries").display().to_string();
        let folder = log.uri.as_deref().map(|uri| local_uri(uri, state));
        variables.push((names::QUERY_LOG_SHARE_ENV, share));
        variables.push((names::QUERY_LOG_FOLDER_ENV, folder.unwrap_or(records)));
    }
    if let Some(log) = &serving.feature_log {
        let folder = local_uri(&log.uri, state);
        variables.push((names::FEATURE_LOG_FOLDER_ENV, folder));
        variables.push((names::FEATURE_LOG_SHARE_ENV, log.sample_share.clone()));
    }
    variables
}

/// All variables that [`environment`] may set; a shell's own must not get through.
pub const VARIABLES: [&str; 9] = [
    names::MAX_CANDIDATES_ENV,
    names::RULES_ENV,
    names::TOKEN_FILE_ENV,
    names::TLS_CERT_FILE_ENV,
    names::TLS_KEY_FILE_ENV,
    names::QUERY_LOG_SHARE_ENV,
    names::QUERY_LOG_FOLDER_ENV,
    names::FEATURE_LOG_FOLDER_ENV,
    names::FEATURE_LOG_SHARE_ENV,
];

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_and_claims_are_folders() {
        let state = StateDir::at(Path::new("/shop/.searchop")).unwrap();
        let read = |serving| {
            let serving: Serving = serde_json::from_value(serving).unwrap();
            environment(&serving, &state)
        };
        assert_eq!(
            read(json!({})),
            [(names::MAX_CANDIDATES_ENV, "1000".to_owned())]
        );
        let all = read(json!({
            "rules": [{"name": "gone", "outOfStock": "Last"}],
            "tokenSecretRef": {"name": "clients"},
            "tlsSecretRef": {"name": "cert"},
            "queryLog": {"sampleShare": "0.1", "uri": "pvc://records/shop"},
            "featureLog": {"uri": "pvc://records/features"},
        }));
        let expected = [
            "1000",
            r#"[{"name":"gone","outOfStock":"Last"}]"#,
            "/shop/.searchop/secrets/clients/token",
            "/shop/.searchop/secrets/cert/tls.crt",
            "/shop/.searchop/secrets/cert/tls.key",
            "0.1",
            "/shop/.searchop/volumes/records/shop",
            "/shop/.searchop/volumes/records/features",
            "0.01",
        ];
        assert_eq!(
            all,
            VARIABLES
                .into_iter()
                .zip(expected.map(str::to_owned))
                .collect::<Vec<_>>()
        );
        let records = read(json!({"queryLog": {}}));
        assert_eq!(records[2].1, "/shop/.searchop/logs/queries");
    }
}
