use serde_json::{Value, from_value, json};

use super::*;
use crate::{
    conditions,
    testing::{fresh, served, synthetic_spec},
};

fn of(share: &str, features: &[(&str, &str, &str)]) -> Value {
    let feature = |(name, psi, importance): &(&str, &str, &str)| json!({"name": name, "psi": psi, "jensenShannon": "0.01", "importance": importance});
    json!({
        "startTime": "2026-11-22T00:00:00Z", "endTime": "2026-11-23T00:00:00Z", "requests": 512,
        "driftedShare": share, "scorePsi": "0.02",
        "features": features.iter().map(feature).collect::<Vec<_>>()
    })
}

fn still() -> Value {
    of("0.030000", &[])
}

fn moved() -> Value {
    of(
        "0.620000",
        &[
            ("price", "0.312345", "0.410000"),
            ("ctr_30d", "0.150000", "0.210000"),
        ],
    )
}

/// A model that serves v1, with what its rankers told.
fn told(skew: Option<Value>, drift: Option<Value>, windows: i32) -> RankingModelStatus {
    let mut seen = fresh(synthetic_spec());
    seen.status.served = Some(served("one", 1));
    let digest = &seen.status.served.as_ref().unwrap().digest;
    let known = json!({
        "version": 1, "digest": digest, "startTime": "2026-11-20T03:00:00Z", "skew": skew,
        "drift": drift, "driftedWindows": windows
    });
    seen.drift = from_value(known).unwrap();
    let mut status = seen.status.clone();
    conditions::write(&mut status, &seen);
    status
}

fn said(status: &RankingModelStatus) -> String {
    let found = find(&status.conditions, DRIFTED).unwrap();
    format!("{} {}: {}", found.status, found.reason, found.message)
}

#[test]
fn each_state_has_its_words() {
    insta::assert_snapshot!(
        said(&told(None, None, 0)),
        @"Unknown CollectingReference: the first requests of v1 are counted since 2026-11-20T03:00:00Z: at least 2000, for at least 86400 s"
    );
    insta::assert_snapshot!(
        said(&told(Some(still()), None, 0)),
        @"False NoDrift: the first requests of v1 are known, no later window is whole yet"
    );
    insta::assert_snapshot!(
        said(&told(Some(moved()), Some(still()), 0)),
        @"False Skewed: requests of v1 up to 2026-11-23T00:00:00Z look like its first ones; they were unlike training from the start: price (PSI 0.31, 41 % of the gain), ctr_30d (PSI 0.15, 21 % of the gain); features with a PSI of 0.1 or more have 62 % of the gain"
    );
    insta::assert_snapshot!(
        said(&told(Some(still()), Some(moved()), 1)),
        @"False WindowDrifted: 1 of 2 windows in a row, up to 2026-11-23T00:00:00Z, differ from the first requests of v1: price (PSI 0.31, 41 % of the gain), ctr_30d (PSI 0.15, 21 % of the gain); features with a PSI of 0.1 or more have 62 % of the gain"
    );
    insta::assert_snapshot!(
        said(&told(Some(still()), Some(moved()), 2)),
        @"True FeaturesDrifted: requests of v1 differ from its first ones in 2 windows in a row up to 2026-11-23T00:00:00Z: price (PSI 0.31, 41 % of the gain), ctr_30d (PSI 0.15, 21 % of the gain); features with a PSI of 0.1 or more have 62 % of the gain"
    );
    let mut seen = fresh(synthetic_spec());
    let mut status = seen.status.clone();
    conditions::write(&mut status, &seen);
    assert_eq!(said(&status), "Unknown NoVersion: no version serves yet");
    seen.status.served = Some(served("one", 1));
    let mut status = seen.status.clone();
    conditions::write(&mut status, &seen);
    assert_eq!(
        said(&status),
        "Unknown NoCounts: no ready pod of v1 has told what its requests look like"
    );
}

#[test]
fn what_was_known_stays_until_another_version_serves() {
    let known = told(Some(still()), Some(moved()), 2);
    let rules = Drift::default();
    let mut seen = fresh(synthetic_spec());
    seen.status = known.clone();
    let mut status = known.clone();
    conditions::write(&mut status, &seen);
    assert_eq!(status.drift, known.drift, "nobody looked this time");
    assert!(verdict(&rules, &status).is_some());

    status.served = Some(served("two", 2));
    assert!(verdict(&rules, &status).is_none());
    conditions::write(&mut status, &seen);
    assert_eq!(status.drift, None);
    assert!(said(&status).starts_with("Unknown NoCounts"));
    // The same bytes in another version are another watch.
    status.served = Some(searchop_api::ServedVersion {
        version: 3,
        ..served("one", 1)
    });
    seen.status = known;
    conditions::write(&mut status, &seen);
    assert_eq!(status.drift, None);
}

#[test]
fn a_verdict_that_turns_is_told_once() {
    let (calm, drifted) = (
        told(Some(still()), None, 0),
        told(Some(still()), Some(moved()), 2),
    );
    let reasons = |before: &RankingModelStatus, after: &RankingModelStatus| -> Vec<&'static str> {
        turns(before, after)
            .iter()
            .map(|note| note.reason)
            .collect()
    };
    assert_eq!(reasons(&calm, &drifted), [FEATURES_DRIFTED]);
    assert_eq!(reasons(&drifted, &drifted), [""; 0]);
    assert_eq!(reasons(&drifted, &calm), ["DriftOver"]);
    let skewed = told(Some(moved()), None, 0);
    let collecting = told(None, None, 0);
    assert_eq!(reasons(&collecting, &skewed), [SKEWED]);
    assert_eq!(reasons(&skewed, &skewed), [""; 0]);
}
