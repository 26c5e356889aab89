use searchop_contract::{Bins, VersionHistograms};

use super::*;

fn bins(name: &str) -> ReferenceBins {
    let bins = || Bins {
        bounds: vec![0.0],
        training: vec![50, 50, 0],
    };
    ReferenceBins {
        features: vec![FeatureBins {
            feature: name.to_owned(),
            importance: 1.0,
            bins: bins(),
        }],
        scores: bins(),
    }
}

fn digest(version: u32) -> Digest {
    Digest::of(&version.to_le_bytes())
}

/// A ranker of this version that has answered as many requests.
fn telling(version: u32, requests: u64) -> Option<HistogramReport> {
    let counts = || vec![requests / 2, requests - requests / 2, 0];
    Some(HistogramReport {
        versions: vec![VersionHistograms {
            version,
            digest: digest(version),
            requests,
            reference: bins("price"),
            features: vec![counts()],
            scores: counts(),
        }],
    })
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

/// What the reader counts of version 1 at each look, in seconds.
fn open(reader: &mut DriftReader, told: &[(&str, Option<HistogramReport>)], seconds: i64) -> u64 {
    let told: Vec<_> = told
        .iter()
        .map(|(process, report)| ((*process).to_owned(), report.clone()))
        .collect();
    reader.take((1, &digest(1)), &told, &Drift::default(), at(seconds));
    reader.watch.as_ref().map_or(0, DriftWatch::open_requests)
}

#[test]
fn only_what_a_ranker_adds_after_it_was_first_seen_counts() {
    let mut reader = DriftReader::default();
    let mut looks = |told: &[(&str, Option<HistogramReport>)]| open(&mut reader, told, 0);
    assert_eq!(looks(&[("a", None)]), 0, "nobody has told the bins");
    assert_eq!(looks(&[("a", telling(1, 100)), ("b", None)]), 0);
    assert_eq!(looks(&[("a", telling(1, 130)), ("b", telling(1, 7))]), 30);
    // One is silent for a while, and tells all of it later.
    assert_eq!(looks(&[("a", None), ("b", telling(1, 9))]), 32);
    assert_eq!(looks(&[("a", telling(1, 140)), ("b", telling(1, 9))]), 42);
    // A process that began anew, one that is new, and one that is gone.
    assert_eq!(looks(&[("a", telling(1, 5)), ("c", telling(1, 1000))]), 47);
    assert_eq!(looks(&[("c", telling(1, 1001))]), 48);
    assert_eq!(
        looks(&[("b", telling(1, 500)), ("c", telling(1, 1001))]),
        48
    );
    // Bins that are not those of the watch are counts of something else.
    let mut other = telling(1, 2000);
    other.as_mut().unwrap().versions[0].reference = bins("rating");
    assert_eq!(looks(&[("c", other)]), 48);
    assert_eq!(looks(&[("c", telling(2, 5000))]), 48, "another version");
}

#[test]
fn a_promotion_begins_anew_and_a_version_that_nobody_serves_is_not_counted() {
    let mut reader = DriftReader::default();
    open(&mut reader, &[("a", telling(1, 1))], 0);
    assert_eq!(open(&mut reader, &[("a", telling(1, 90))], 1), 89);
    let two = [("a".to_owned(), telling(1, 100)), ("b".to_owned(), None)];
    let rules = Drift::default();
    reader.take((2, &digest(2)), &two, &rules, at(2));
    assert_eq!(reader.status().unwrap().version, 1, "not seen yet");
    assert_eq!(reader.watch.as_ref().unwrap().open_requests(), 89);
    let two = [("b".to_owned(), telling(2, 3))];
    reader.take((2, &digest(2)), &two, &rules, at(3));
    assert_eq!(reader.status().unwrap().version, 2);
    assert_eq!(reader.watch.as_ref().unwrap().open_requests(), 0);
}

#[test]
fn facts_are_kept_at_once_and_counts_at_a_bounded_pace() {
    let rules = Drift::default();
    let mut reader = DriftReader::default();
    assert!(reader.is_due(at(0)) && reader.to_keep(&rules, at(0)).is_none());
    open(&mut reader, &[("a", telling(1, 0))], 0);
    assert_eq!(reader.next_look(), Some(at(300)));
    assert!(!reader.is_due(at(299)) && reader.is_due(at(300)));
    assert!(reader.to_keep(&rules, at(0)).is_some(), "a new watch");
    reader.is_kept(at(0));
    assert!(reader.to_keep(&rules, at(90_000)).is_none(), "nothing new");
    open(&mut reader, &[("a", telling(1, 10))], 300);
    assert!(reader.to_keep(&rules, at(3599)).is_none(), "too early");
    let kept = reader.to_keep(&rules, at(3600)).cloned();
    reader.is_kept(at(3600));

    // Started over: what was counted is not lost, and not counted twice.
    let mut again = DriftReader::resume(kept, at(3700));
    assert!(again.is_due(at(3700)) && again.to_keep(&rules, at(99_999)).is_none());
    assert_eq!(open(&mut again, &[("a", telling(1, 50))], 3700), 10);
    assert_eq!(open(&mut again, &[("a", telling(1, 2100))], 90_000), 0);
    assert!(
        again.status().unwrap().skew.is_some(),
        "the reference is whole"
    );
    assert!(again.to_keep(&rules, at(90_000)).is_some(), "new facts");
}

#[test]
fn bins_that_mean_nothing_are_not_watched() {
    let edits: [fn(&mut ReferenceBins); 5] = [
        |bins| bins.features.clear(),
        |bins| bins.features = vec![bins.features[0].clone(); MAX_FEATURES + 1],
        |bins| bins.features[0].importance = f64::NAN,
        |bins| bins.features[0].bins.bounds = vec![1.0, 0.0],
        |bins| bins.scores.training.clear(),
    ];
    assert!(is_sound(&bins("price")));
    for edit in edits {
        let mut told = telling(1, 1);
        edit(&mut told.as_mut().unwrap().versions[0].reference);
        let mut reader = DriftReader::default();
        open(&mut reader, &[("a", told)], 0);
        assert_eq!(reader.status(), None);
    }
}
