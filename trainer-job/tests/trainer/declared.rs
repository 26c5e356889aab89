//! Declared features, from catalogue and click log to a published model and to serving.

use std::{fs, path::Path};

use searchop_contract::{
    DataSource, DeclaredFeature, Digest, FeatureSource, FeatureType, Measure, Metric, Published,
    Reference, TableSource, TrainingJob, names,
};
use searchop_model::{bundle::Bundle, item::Candidate, schema::Given};
use searchop_trainer::{
    error::TrainError, prepare::Prepared, progress::Progress, publish::Store, run::Bench,
    slices::Slice,
};
use tempfile::TempDir;

use super::{
    runs::{named, published, run},
    shops::small_job,
};

const ITEMS: [&str; 4] = ["1", "2", "3", "4"];

/// The engine's score, which says what is clicked, and is lost for one item a day.
fn engine_score(day: u32, list: usize, item: usize) -> Option<f32> {
    let place = place(day, list, item);
    (place != 1).then_some(place as f32 * 1.1)
}

/// Without any regularity that counters could show.
fn place(day: u32, list: usize, item: usize) -> usize {
    const SHIFTS: [usize; 20] = [2, 0, 3, 1, 3, 2, 0, 1, 1, 2, 3, 0, 0, 2, 1, 3, 1, 0, 3, 2];
    (item + SHIFTS[(day as usize * 3 + list * 7) % 20]) % 4
}

const LISTS: [(&str, &str); 3] = [("x", "red shoe"), ("y", "blue hat"), ("z", "grey hat")];

/// Of a list; `fall` is rare and on days of the gate alone.
fn season(day: u32) -> Option<&'static str> {
    match day % 5 {
        0 => None,
        1 | 2 => Some("summer"),
        _ if day >= 18 => Some("fall"),
        _ => Some("winter"),
    }
}

fn feature(name: &str, kind: FeatureType, source: FeatureSource) -> DeclaredFeature {
    DeclaredFeature {
        name: name.to_owned(),
        kind,
        unit: "none".to_owned(),
        source,
        field: None,
        default: None,
        required: false,
    }
}

fn declared() -> Vec<DeclaredFeature> {
    let mut engine_score = feature("engine_score", FeatureType::Number, FeatureSource::Product);
    engine_score.field = Some("_score".to_owned());
    let mut margin = feature("margin", FeatureType::Number, FeatureSource::Catalog);
    margin.default = Some("0.5".to_owned());
    vec![
        engine_score,
        margin,
        feature("kind", FeatureType::Category, FeatureSource::Catalog),
        feature("season", FeatureType::Category, FeatureSource::Request),
    ]
}

fn catalog() -> String {
    "product_id,title,margin,kind\n1,Red shoe,0.25,shoe\n2,Blue hat,,hat\n3,Green shoe,0.75,shoe\n4,Grey hat,0.1,\n"
        .to_owned()
}

fn events() -> String {
    let header = "action_name,timestamp,query_id,user_query,object_id,position,event_attributes.object._score,event_attributes.season\n";
    let mut events = header.to_owned();
    for day in 1..=20 {
        for (number, (list, query)) in LISTS.into_iter().enumerate() {
            let mut event = |action: &str, item: usize, minute: u32| {
                let shown = action == "impression";
                let score = engine_score(day, number, item).filter(|_| shown);
                let score = score.map_or(String::new(), |score| score.to_string());
                let season = season(day).filter(|_| shown).unwrap_or_default();
                events += &format!(
                    "{action},2026-11-{day:02}T10:{minute:02}:00Z,{list}{day},{query},{},{},{score},{season}\n",
                    ITEMS[item],
                    item + 1,
                );
            };
            (0..4).for_each(|item| event("impression", item, 0));
            let best = (0..4).find(|item| place(day, number, *item) == 3).unwrap();
            event("click", best, 1);
        }
    }
    events
}

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

    fn job(&self, declared: Vec<DeclaredFeature>) -> TrainingJob {
        self.job_of(&catalog(), &events(), declared)
    }

    fn job_of(&self, catalog: &str, events: &str, declared: Vec<DeclaredFeature>) -> TrainingJob {
        let write = |name: &str, text: &str| {
            let path = self.files.path().join(name);
            fs::write(&path, text).unwrap();
            TableSource {
                uri: path.display().to_string(),
                id_field: None,
            }
        };
        let mut job = small_job(self.store.path());
        job.evaluation.holdout_days = 3;
        job.evaluation.measures = [None, Some(Reference::Served)]
            .map(|against| Measure::new(Metric::NDCG, 10, against))
            .to_vec();
        job.labels.maturity_hours = 0;
        job.parameters.min_data_in_leaf = 1;
        job.parameters.num_iterations = 20;
        job.declared = declared;
        job.data = DataSource::Sources {
            catalog: write("catalog.csv", catalog),
            events: write("events.csv", events),
            event_format: Default::default(),
            window_days: 20,
            judgments: None,
        };
        job
    }

    fn bundle(&self, job: &TrainingJob) -> Bundle {
        let published = published(&run(job).unwrap());
        let dir = |folder: &str, digest: &Digest| self.store.path().join(folder).join(digest.hex());
        Bundle::open(
            &dir(names::MODELS_FOLDER, &published.digest),
            &published.digest,
            &dir(names::TABLES_FOLDER, &published.tables_digest),
            &published.tables_digest,
        )
        .unwrap()
    }
}

fn prepared(job: &TrainingJob, work: &Path) -> Prepared {
    let progress = Progress::silent();
    let bench = Bench {
        job,
        work,
        store: Store::open(job).unwrap(),
        progress: &progress,
    };
    bench.features().unwrap()
}

#[test]
fn a_model_learns_from_declared_features_and_serves_the_values_that_it_was_trained_on() {
    let shop = Shop::new();
    let job = shop.job(declared());
    let bundle = shop.bundle(&job);
    let manifest = &bundle.model.manifest;
    let own = ["engine_score", "margin", "kind", "season"];
    assert_eq!(manifest.features[manifest.features.len() - 4..], own);
    let categories: Vec<Vec<&str>> = (manifest.declared.iter())
        .map(|one| one.categories.iter().map(String::as_str).collect())
        .collect();
    assert_eq!(
        categories,
        [
            vec![],
            vec![],
            vec!["shoe", "hat"],
            vec!["summer", "winter"]
        ],
        "fall is of the gate alone"
    );
    let reference = bundle.model.reference.as_ref().unwrap();
    let gain = |name: &str| {
        let mut features = reference.features.iter();
        features.find(|of| of.feature == name).unwrap().importance
    };
    let gains: Vec<_> = (reference.features.iter())
        .filter(|of| of.importance > 0.0)
        .map(|of| (&of.feature, of.importance))
        .collect();
    assert!(
        gain("engine_score") > 0.3,
        "{} trees: {gains:?}",
        manifest.trees
    );
    let mut golden = bundle.model.golden.rows.iter();
    assert!(golden.any(|row| row.given.contains_key("engine_score")));

    // Every held-out row is what serving makes of the same request.
    let work = TempDir::new().unwrap();
    let prepared = prepared(&job, work.path());
    let schema = &bundle.model.schema;
    let first_day = searchop_trainer::data::complete_day("2026-11-02T00:00:00Z".parse().unwrap());
    let mut compared = 0;
    for list in prepared.rows.of(Slice::Gate) {
        let day = (list.day - first_day + 1) as u32;
        for row in list.rows.clone() {
            let item = &prepared.names.items[prepared.rows.candidates[row].item as usize];
            let place = ITEMS.iter().position(|id| id == item).unwrap();
            let query = prepared.names.keys[list.key as usize].as_str();
            let number = LISTS.iter().position(|(_, of)| *of == query).unwrap();
            let mut given = Vec::new();
            if let Some(score) = engine_score(day, number, place) {
                given.push(("engine_score", Given::Number(f64::from(score))));
            }
            given.extend(season(day).map(|text| ("season", Given::Text(text.into()))));
            let values = schema
                .encode(given.iter().map(|(name, given)| (*name, given)))
                .unwrap();
            let candidate = Candidate {
                id: item,
                values: &values,
                ..Candidate::default()
            };
            let served = bundle.features_of(query, 0, &[candidate]).remove(0);
            let trained = prepared.rows.encoded([row].into_iter());
            let last = |row: &[f32]| format!("{:?}", &row[row.len() - 4..]);
            assert_eq!(last(&served), last(&trained), "day {day}, item {item}");
            compared += 1;
        }
    }
    assert_eq!(compared, 36);

    // Explanations and a second run name and find the same.
    let one = Candidate {
        id: "1",
        ..Candidate::default()
    };
    let parts = bundle.explain("red shoe", 0, &[one]).unwrap();
    assert_eq!(parts[0].features.len(), schema.columns());
    assert_eq!(shop.bundle(&job).model.digest, bundle.model.digest);
    let elsewhere = Shop::new();
    let again = elsewhere.bundle(&elsewhere.job(declared()));
    assert_eq!(again.model.digest, bundle.model.digest);
    assert_eq!(again.tables_digest, bundle.tables_digest);
}

#[test]
fn nothing_of_a_model_without_declared_features_is_other() {
    let shop = Shop::new();
    let bundle = shop.bundle(&shop.job(Vec::new()));
    assert!(bundle.model.manifest.declared.is_empty());
    let files = &bundle.tables_manifest.files;
    assert!(files.iter().all(|file| file.name != names::DECLARED_FILE));
}

#[test]
fn a_version_with_other_features_is_compared_as_long_as_the_data_have_them() {
    let shop = Shop::new();
    let plain = published(&run(&shop.job(Vec::new())).unwrap());
    let mut keep = vec![plain.digest.clone(), plain.tables_digest.clone()];
    let measured = |keep: &[Digest], job: &mut TrainingJob, served: &Published| {
        job.version += 1;
        job.keep = keep.to_vec();
        job.reference = Some(named(served));
        let outcome = run(job).unwrap();
        let measurement = outcome.report.measurements[1].clone();
        assert!(measurement.candidate.is_some());
        (published(&outcome), measurement.reference)
    };
    let mut job = shop.job(declared());
    let (with, reference) = measured(&keep, &mut job, &plain);
    assert!(reference.is_some(), "the served one declares nothing");
    keep.extend([with.digest.clone(), with.tables_digest.clone()]);

    // Features that only the served version has are read for it.
    let (_, by_plain) = measured(&keep, &mut shop.job(Vec::new()), &with);
    assert_eq!(
        by_plain,
        run(&job).unwrap().report.measurements[1].candidate
    );

    let catalog = "product_id,title\n1,Red shoe\n2,Blue hat\n3,Green shoe\n4,Grey hat\n";
    let mut job = shop.job_of(catalog, &events(), Vec::new());
    let (_, reference) = measured(&keep, &mut job, &with);
    assert_eq!(reference, None, "no figure without its columns");
}

#[test]
fn tables_are_refreshed_with_the_columns_of_the_model() {
    let shop = Shop::new();
    let mut job = shop.job(declared());
    let first = published(&run(&job).unwrap());
    let catalog = catalog().replace("0.25", "0.35");
    let newer = shop.job_of(&catalog, &events(), declared());
    job.data = newer.data;
    job.refresh = Some(named(&first));
    job.reference.clone_from(&job.refresh);
    let second = published(&run(&job).unwrap());
    assert_eq!(second.digest, first.digest);
    assert_ne!(second.tables_digest, first.tables_digest);
}

#[test]
fn what_is_wrong_with_declared_data_is_said_with_its_place() {
    let shop = Shop::new();
    let required = |name: &str, kind, source| DeclaredFeature {
        required: true,
        ..feature(name, kind, source)
    };
    use FeatureSource::{Catalog, Product, Request};
    use FeatureType::{Category, Number};
    let events = events();
    let with_score = |score: &str| events.replacen(",2.2,", &format!(",{score},"), 1);
    let (bad_score, huge, infinite) = (with_score("high"), with_score("1e39"), with_score("inf"));
    let score = || DeclaredFeature {
        field: Some("_score".to_owned()),
        ..feature("engine_score", Number, Product)
    };
    for (catalog, events, declared, message) in [
        (
            catalog(),
            events.clone(),
            feature("stars", Number, Catalog),
            "catalog.csv: column \"stars\" is missing; found: \"product_id\"",
        ),
        (
            catalog(),
            events.clone(),
            feature("kind", Number, Catalog),
            "catalog.csv: line 2, column \"kind\": \"shoe\" is not a number",
        ),
        (
            catalog(),
            events.clone(),
            required("margin", Number, Catalog),
            "catalog.csv: line 3, column \"margin\": no value, and margin is required",
        ),
        (
            catalog(),
            events.clone(),
            required("score", Number, Product),
            "events.csv: no impression has \"score\", from which the required feature \"score\" of each product is read; log it, or do not require it",
        ),
        (
            catalog(),
            events.clone(),
            required("market", Category, Request),
            "events.csv: no impression has \"market\", from which the required feature \"market\" of the request is read",
        ),
        (
            catalog(),
            bad_score,
            score(),
            "column \"event_attributes.object._score\": \"high\" is not a number",
        ),
        (
            catalog(),
            infinite,
            score(),
            "column \"event_attributes.object._score\": \"inf\" is not a finite number",
        ),
        (
            catalog(),
            huge,
            score(),
            "is out of the range of a 32-bit float",
        ),
    ] {
        let found = run(&shop.job_of(&catalog, &events, vec![declared])).unwrap_err();
        let TrainError::Data(found) = found else {
            panic!("{found:?}")
        };
        assert!(found.contains(message), "{found}");
    }

    // What is logged nowhere and not required is missing, and the data checks say so.
    let market = feature("market", Category, Request);
    let job = shop.job(vec![market]);
    run(&job).unwrap();
    let work = TempDir::new().unwrap();
    let checks = searchop_trainer::check::check(&job, work.path()).unwrap();
    let check = checks.iter().find(|check| check.name == "DeclaredFeatures");
    assert_eq!(
        check.unwrap().message,
        "products and impressions with a value: market 0.0 %"
    );

    // A value that is never missing in training has to be required or have a default.
    let mut job = shop.job(vec![feature("product_id", Number, Catalog)]);
    job.counter_dropout = 0.0;
    let found = run(&job).unwrap_err().to_string();
    assert!(found.contains("no training row lacks"), "{found}");
}
