//! A published model gets tables of newer data, and data that have not changed are not trained on.

use std::{fs, ops::RangeInclusive};

use searchop_contract::{FailureReason, Published, TrainingJob, names};
use searchop_model::bundle::Bundle;
use tempfile::TempDir;

use super::{
    kept_counters,
    runs::{named, published, run, stored},
    shops::small_job,
};

/// A click log in files, and a store.
struct Shop {
    files: TempDir,
    store: TempDir,
}

impl Shop {
    fn new() -> Self {
        Self {
            files: TempDir::new().unwrap(),
            store: TempDir::new().unwrap(),
        }
    }

    fn job(&self, days: RangeInclusive<u32>) -> TrainingJob {
        let mut job = kept_counters::job(self.files.path(), self.store.path(), days);
        job.parameters.min_data_in_leaf = 1;
        job.parameters.num_iterations = 3;
        job
    }

    fn refresh(&self, model: &Published, days: RangeInclusive<u32>) -> TrainingJob {
        let mut job = self.job(days);
        job.refresh = Some(named(model));
        job.reference.clone_from(&job.refresh);
        job
    }
}

#[test]
fn a_refresh_counts_new_days_only_and_publishes_what_a_retrain_would() {
    let shop = Shop::new();
    let first = published(&run(&shop.job(1..=19)).unwrap());
    let days = stored(shop.store.path(), names::COUNTERS_FOLDER);

    let outcome = run(&shop.refresh(&first, 1..=20)).unwrap();
    let second = published(&outcome);
    assert_eq!(second.digest, first.digest, "the model stays");
    assert_ne!(second.tables_digest, first.tables_digest);
    assert_eq!(second.trained_through_time, first.trained_through_time);
    assert_eq!(second.tables_time.to_string(), "2026-11-21T00:00:00Z");
    assert!(outcome.report.measurements.is_empty() && outcome.table.is_empty());
    let counted = stored(shop.store.path(), names::COUNTERS_FOLDER);
    assert_eq!(counted.len(), days.len() + 1);
    assert!(days.is_subset(&counted));

    // What a retrain on the same data publishes elsewhere, with nothing counted before.
    let elsewhere = Shop::new();
    let whole = published(&run(&elsewhere.job(1..=20)).unwrap());
    assert_eq!(second.tables_digest, whole.tables_digest);

    // Said twice is done once; what serves meanwhile is kept.
    assert_eq!(run(&shop.refresh(&first, 1..=20)).unwrap(), outcome);
    assert_eq!(stored(shop.store.path(), names::TABLES_FOLDER).len(), 2);
    // The next one, of the tables that serve now, prunes the first.
    run(&shop.refresh(&second, 1..=21)).unwrap();
    assert_eq!(stored(shop.store.path(), names::TABLES_FOLDER).len(), 2);
    assert_eq!(
        stored(shop.store.path(), names::MODELS_FOLDER),
        [first.digest.hex().to_owned()].into()
    );
}

#[test]
fn the_model_serves_from_the_new_tables() {
    let store = TempDir::new().unwrap();
    let job = small_job(store.path());
    let first = published(&run(&job).unwrap());
    let mut later = job.clone();
    later.as_of_time = "2026-11-26T06:00:00Z".parse().unwrap();
    later.refresh = Some(named(&first));
    let second = published(&run(&later).unwrap());
    let dir = |folder: &str, digest: &searchop_contract::Digest| {
        store.path().join(folder).join(digest.hex())
    };
    let bundle = Bundle::open(
        &dir(names::MODELS_FOLDER, &first.digest),
        &first.digest,
        &dir(names::TABLES_FOLDER, &second.tables_digest),
        &second.tables_digest,
    )
    .unwrap();
    assert_eq!(
        bundle.tables_manifest.tables_time.to_string(),
        "2026-11-26T00:00:00Z"
    );
    // Without new days nothing is new.
    later.as_of_time = job.as_of_time;
    assert_eq!(published(&run(&later).unwrap()), first);
}

#[test]
fn a_model_that_cannot_be_read_gets_no_tables() {
    let shop = Shop::new();
    let first = published(&run(&shop.job(1..=19)).unwrap());
    let models = shop.store.path().join(names::MODELS_FOLDER);
    let golden = models.join(first.digest.hex()).join(names::GOLDEN_FILE);
    fs::write(&golden, "{}").unwrap();
    let error = run(&shop.refresh(&first, 1..=20)).unwrap_err();
    assert!(error.to_string().contains("golden.json"), "{error}");
    assert_eq!(
        stored(shop.store.path(), names::TABLES_FOLDER),
        [first.tables_digest.hex().to_owned()].into(),
        "nothing was published"
    );
    fs::remove_dir_all(models).unwrap();
    let error = run(&shop.refresh(&first, 1..=20)).unwrap_err();
    assert_eq!(error.reason(), FailureReason::StorageRefused, "{error}");
}

#[test]
fn data_that_have_not_changed_are_not_trained_on_again() {
    let shop = Shop::new();
    let first = published(&run(&shop.job(1..=19)).unwrap());
    let again = |days: RangeInclusive<u32>, skip: bool| {
        let mut job = shop.job(days);
        job.version = 2;
        job.reference = Some(named(&first));
        job.skip_if_data_unchanged = skip;
        run(&job).unwrap().report
    };
    let report = again(1..=19, true);
    assert!(report.data_unchanged && report.measurements.is_empty());
    assert_eq!(report.published, Some(first.clone()));
    assert!(!again(1..=19, false).data_unchanged, "nobody asked to skip");
    let report = again(1..=20, true);
    assert!(!report.data_unchanged, "a day is new");
    assert_ne!(report.published.unwrap().digest, first.digest);
    // Other grades, or another title, are other data as well.
    let mut job = shop.job(1..=19);
    let catalog = shop.files.path().join("catalog.csv");
    fs::write(catalog, "product_id,title\n1,Red shoes\n2,Blue hat\n").unwrap();
    job.reference = Some(named(&first));
    job.skip_if_data_unchanged = true;
    assert!(!run(&job).unwrap().report.data_unchanged);
}
