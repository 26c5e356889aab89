use searchop_contract::{Bins, FeatureBins};

use super::*;

/// Two features of a model that looks at the first one four times as much.
fn bins() -> ReferenceBins {
    let bins = || Bins {
        bounds: vec![0.0, 1.0],
        training: vec![250, 500, 250, 0],
    };
    let feature = |name: &str, importance| FeatureBins {
        feature: name.to_owned(),
        importance,
        bins: bins(),
    };
    ReferenceBins {
        features: vec![feature("price", 0.85), feature("rating", 0.15)],
        scores: bins(),
    }
}

fn rules() -> Drift {
    Drift::default()
}

fn watch() -> DriftWatch {
    DriftWatch::begin((3, Digest::of(b"model")), bins(), at(0))
}

/// Hours after the promotion.
fn at(hours: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + hours * 3600).unwrap()
}

/// `requests` as in training, but that of each feature the part named is missing.
fn counts(requests: u64, missing: [f64; 2]) -> Counts {
    let of = |missing: f64| {
        let gone = (requests as f64 * missing) as u64;
        let left = requests - gone;
        vec![left / 4, left / 2, left - left / 4 - left / 2, gone]
    };
    Counts {
        requests,
        features: missing.map(of).to_vec(),
        scores: of(0.0),
    }
}

/// A watch whose reference is whole after a day.
fn watched() -> DriftWatch {
    let mut watch = watch();
    assert!(watch.add(&counts(2000, [0.0; 2]), &rules(), at(24)));
    watch
}

#[test]
fn the_reference_is_the_first_requests_of_a_day_at_least() {
    for (what, requests, hours, whole) in [
        ("enough of both", 2000, 24, true),
        ("too few requests", 1999, 100, false),
        ("too short a time", 1_000_000, 23, false),
    ] {
        let mut watch = watch();
        assert_eq!(
            watch.add(&counts(requests, [0.0; 2]), &rules(), at(hours)),
            whole,
            "{what}"
        );
        assert_eq!(watch.skew.is_some(), whole, "{what}");
        assert!(watch.drift.is_none() && !watch.has_drifted(&rules()));
    }
}

#[test]
fn skew_is_training_beside_the_first_requests_and_no_drift() {
    let mut watch = watch();
    watch.add(&counts(2000, [0.5, 0.0]), &rules(), at(24));
    let skew = watch.skew.clone().unwrap();
    assert!(skew.drifted() && skew.worst()[0].name == "price");
    for day in 2..9 {
        assert!(watch.add(&counts(500, [0.5, 0.0]), &rules(), at(24 * day)));
    }
    let drift = watch.drift.clone().unwrap();
    assert!(
        !watch.has_drifted(&rules()) && drift.worst().is_empty(),
        "{drift:?}"
    );
}

/// Parts of the two features that are missing, window after window, and the verdict after each.
#[test]
fn the_verdict_needs_windows_in_a_row_and_features_that_matter() {
    type Windows<'a> = &'a [([f64; 2], bool)];
    let cases: [(&str, Windows); 5] = [
        ("nothing moves", &[([0.0; 2], false); 4]),
        (
            "the feature that matters goes missing",
            &[
                ([0.0; 2], false),
                ([0.5, 0.0], false),
                ([0.5, 0.0], true),
                ([0.5, 0.0], true),
            ],
        ),
        ("one that hardly matters does", &[([0.0, 0.9], false); 4]),
        (
            "a holiday between usual windows",
            &[([0.5, 0.0], false), ([0.0; 2], false), ([0.5, 0.0], false)],
        ),
        (
            "what moved comes back",
            &[([0.5, 0.0], false), ([0.5, 0.0], true), ([0.0; 2], false)],
        ),
    ];
    for (what, windows) in cases {
        let mut watch = watched();
        for (day, (missing, verdict)) in (2..).zip(windows) {
            assert!(
                watch.add(&counts(500, *missing), &rules(), at(24 * day)),
                "{what}"
            );
            assert_eq!(watch.has_drifted(&rules()), *verdict, "{what}, day {day}");
        }
    }
}

#[test]
fn a_window_waits_for_requests_and_for_a_day() {
    let mut watch = watched();
    assert!(!watch.add(&counts(400, [0.9, 0.0]), &rules(), at(60)));
    assert!(watch.drift.is_none());
    assert!(watch.add(&counts(100, [0.9, 0.0]), &rules(), at(61)));
    let drift = watch.drift.clone().unwrap();
    assert_eq!(
        (drift.requests, drift.since, drift.through),
        (500, at(24), at(61))
    );
    assert!(!watch.add(&counts(100_000, [0.9, 0.0]), &rules(), at(84)));
    assert!(watch.add(&counts(1, [0.9, 0.0]), &rules(), at(85)));
    assert!(watch.has_drifted(&rules()));
}

#[test]
fn a_finding_names_the_three_that_drifted_and_matter_most() {
    let shift = |(name, importance, psi): (&str, f64, f64)| Shift {
        name: name.to_owned(),
        importance,
        psi,
        jensen_shannon: 0.0,
    };
    let features = [
        ("useless", 0.0, 9.0),
        ("great", 0.4, 0.3),
        ("still", 0.3, 0.09),
        ("far", 0.1, 2.0),
        ("small", 0.1, 0.2),
    ];
    let finding = Finding {
        since: at(0),
        through: at(1),
        requests: 500,
        features: features.map(shift).to_vec(),
        scores: shift(("", 0.0, 0.0)),
        drifted_share: 0.6,
    };
    let worst: Vec<&str> = finding.worst().iter().map(|of| of.name.as_str()).collect();
    assert_eq!(worst, ["far", "great", "small"]);
}

#[test]
fn pods_tell_totals_of_which_the_new_part_counts() {
    let (early, late) = (counts(100, [0.1, 0.0]), counts(300, [0.1, 0.0]));
    let added = late.since(&early);
    assert_eq!(added.requests, 200);
    assert_eq!(added.features[0], [45, 90, 45, 20]);
    assert_eq!(early.since(&late), early, "the process began anew");

    let told = |features| VersionHistograms {
        version: 3,
        digest: Digest::of(b"model"),
        requests: 1,
        reference: bins(),
        features,
        scores: vec![1, 0, 0, 0],
    };
    let good = told(vec![vec![0, 0, 0, 1]; 2]);
    assert_eq!(Counts::of_pod(&good, &bins()).unwrap().requests, 1);
    for wrong in [vec![], vec![vec![0; 4]; 3], vec![vec![0; 4], vec![0; 5]]] {
        assert_eq!(Counts::of_pod(&told(wrong), &bins()), None);
    }
}

#[test]
fn divergences_are_those_of_the_books() {
    // Half of one bin moves to the other.
    let (many, moved) = ([1_000_000, 1_000_000], [500_000, 1_500_000]);
    let (psi, jensen_shannon) = divergence(&many, &moved);
    let by_hand = (0.25 - 0.5) * (0.25f64 / 0.5).ln() + (0.75 - 0.5) * (0.75f64 / 0.5).ln();
    assert!((psi - by_hand).abs() < 1e-4, "{psi} {by_hand}");
    assert!((jensen_shannon - 0.0487).abs() < 1e-3, "{jensen_shannon}");
    // Nothing in common.
    let (psi, jensen_shannon) = divergence(&[1_000_000, 0], &[0, 1_000_000]);
    assert!(psi > 20.0 && psi.is_finite() && jensen_shannon > 0.999);
    for nothing in [[0, 0], [7, 7]] {
        assert_eq!(divergence(&nothing, &[0, 0]), (0.0, 0.0));
    }
    assert_eq!(divergence(&many, &many).0, 0.0);
}

#[test]
fn facts_come_back_as_they_were_kept() {
    let mut watch = watched();
    watch.add(&counts(700, [0.5, 0.1]), &rules(), at(50));
    let kept = serde_json::to_string(&watch).unwrap();
    assert_eq!(serde_json::from_str::<DriftWatch>(&kept).unwrap(), watch);
}
