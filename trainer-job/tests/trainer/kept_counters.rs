//! Days are counted once, and known after the log has forgotten them.

use std::{fs, ops::RangeInclusive, path::Path};

use searchop_contract::{DataSource, Digest, TableSource, TrainingJob, names};
use searchop_trainer::{progress::Progress, publish::Store, run::Bench};
use tempfile::TempDir;

use super::shops::small_job;

/// Two lists a day, one of them clicked in.
pub fn job(folder: &Path, store: &Path, days: RangeInclusive<u32>) -> TrainingJob {
    let mut events = String::from("action_name,timestamp,query_id,user_query,object_id,position\n");
    for day in days {
        for (list, query) in [("x", "red shoe"), ("y", "blue hat")] {
            let event = |action: &str, item: &str, minute: u32| {
                format!(
                    "{action},2026-11-{day:02}T10:{minute:02}:00Z,{list}{day},{query},{item},{item}\n"
                )
            };
            events += &event("impression", "1", 0);
            events += &event("impression", "2", 0);
            events += &event("click", if day % 3 == 0 { "1" } else { "2" }, 1);
        }
    }
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).unwrap();
        TableSource {
            uri: path.display().to_string(),
            id_field: None,
        }
    };
    let mut job = small_job(store);
    job.evaluation.holdout_days = 2;
    job.labels.maturity_hours = 0;
    job.data = DataSource::Sources {
        catalog: write("catalog.csv", "product_id,title\n1,Red shoe\n2,Blue hat\n"),
        events: write("events.csv", &events),
        event_format: Default::default(),
        window_days: 20,
        judgments: None,
    };
    job
}

/// The digest of the tables, and the days that the store has counters of.
fn features(job: &TrainingJob, store: &Path) -> (Digest, usize) {
    let work = TempDir::new().unwrap();
    let progress = Progress::silent();
    let bench = Bench {
        job,
        work: work.path(),
        store: Store::open(job).unwrap(),
        progress: &progress,
    };
    let prepared = bench.features().unwrap();
    let kept = fs::read_dir(store.join(names::COUNTERS_FOLDER)).unwrap();
    (prepared.summary.tables_digest, kept.count())
}

#[test]
fn a_retrain_counts_new_days_only_and_knows_the_old_ones() {
    let (folder, store, fresh) = (
        TempDir::new().unwrap(),
        TempDir::new().unwrap(),
        TempDir::new().unwrap(),
    );
    let of = |days: RangeInclusive<u32>, store: &TempDir| {
        features(&job(folder.path(), store.path(), days), store.path())
    };
    let (_, kept) = of(1..=19, &store);
    assert_eq!(kept, 19);
    let written = |store: &TempDir| -> Vec<_> {
        let folders = fs::read_dir(store.path().join(names::COUNTERS_FOLDER)).unwrap();
        let mut names: Vec<_> = folders.map(|one| one.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = written(&store);

    // One day more: the old ones are where they were, and nothing is counted differently.
    let (resumed, kept) = of(1..=20, &store);
    assert_eq!(kept, 20);
    assert!(before.iter().all(|name| written(&store).contains(name)));
    let (counted, _) = of(1..=20, &fresh);
    assert_eq!(resumed, counted);
    assert_eq!(written(&store), written(&fresh));

    // The log keeps ten days; the counters of the others are still there.
    let (forgotten, kept) = of(11..=20, &store);
    assert_eq!((&forgotten, kept), (&counted, 20));
    let elsewhere = TempDir::new().unwrap();
    assert_ne!(of(11..=20, &elsewhere).0, counted);

    // Counters that were altered are counted again.
    let name = &written(&store)[0];
    let altered = store.path().join(names::COUNTERS_FOLDER).join(name);
    fs::write(altered.join("query_items.parquet"), "x").unwrap();
    assert_eq!(of(1..=20, &store), (counted, 20));
    assert!(
        fs::metadata(altered.join("query_items.parquet"))
            .unwrap()
            .len()
            > 1
    );
}
