//! Model evaluation with metric gates, on the shop of the samples. The learned ranking must beat
//! every ranking that needs no learning, by margins well inside what it reaches: on the clicks of
//! the held-out days, and on the shop's hidden true grades, which clicks only hint at.

use searchop_contract::{DataSource, Metric, Reference, TrainingJob};
use searchop_model::features::feature_names;
use searchop_trainer::{
    data::complete_day,
    metrics,
    prepare::Prepared,
    progress::Progress,
    publish::{self, Store},
    run::Bench,
    shop,
    slices::Slice,
};

use super::shops::default_job;

/// Smallest relative gain in NDCG@10 on clicks.
const CLICK_GATES: [(Reference, f64); 3] = [
    (Reference::LoggedOrder, 0.10),
    (Reference::Bm25, 0.20),
    (Reference::Random, 0.50),
];

/// Smallest relative gain in NDCG@10 on true grades.
const TRUTH_GATES: [(&str, f64); 3] = [("logged order", 0.10), ("BM25", 0.05), ("random", 0.30)];

#[test]
fn the_model_beats_every_baseline() {
    let (store, work) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let job = default_job(store.path());
    let progress = Progress::silent();
    let bench = Bench {
        job: &job,
        work: work.path(),
        store: Store::open(&job).unwrap(),
        progress: &progress,
    };
    let prepared = bench.features().unwrap();
    let trained = bench.train(&prepared, 1).unwrap();

    let judged = bench.evaluate(&prepared, &trained).unwrap();
    for (against, margin) in CLICK_GATES {
        let mut found = judged
            .measurements
            .iter()
            .filter(|one| one.measure.against == Some(against));
        let found = found.next().unwrap();
        let (candidate, reference) = (found.candidate.unwrap(), found.reference.unwrap());
        let gain = (candidate - reference) / reference;
        println!("clicks: {candidate:.4}, {against} {reference:.4}, gain {gain:.4}");
        assert!(
            gain >= margin,
            "{against}: gain {gain:.4} is below {margin}"
        );
        assert!(
            found.low.unwrap() > 0.0,
            "{against}: the lower bound is {:?}",
            found.low
        );
        assert!(found.queries > 100, "{}", found.queries);
    }

    let forest = publish::forest(&trained).unwrap();
    let bm25 = feature_names()
        .iter()
        .position(|name| name == "all_bm25")
        .unwrap();
    let rows = &prepared.rows;
    let position = |row: usize| {
        rows.candidates[row]
            .position
            .map_or(f64::MIN, |at| -f64::from(at))
    };
    let candidate = on_truth(&job, &prepared, |row| forest.score(rows.row(row)));
    let baselines = [
        on_truth(&job, &prepared, position),
        on_truth(&job, &prepared, |row| f64::from(rows.row(row)[bm25])),
        on_truth(&job, &prepared, |_| 0.0),
    ];
    for ((against, margin), reference) in TRUTH_GATES.into_iter().zip(baselines) {
        let gain = (candidate - reference) / reference;
        println!("truth: {candidate:.4}, {against} {reference:.4}, gain {gain:.4}");
        assert!(
            gain >= margin,
            "{against}: gain {gain:.4} on true grades is below {margin}"
        );
    }
}

/// Mean NDCG@10 of the held-out lists by the grades that the shop keeps to itself.
fn on_truth(job: &TrainingJob, prepared: &Prepared, score: impl Fn(usize) -> f64) -> f64 {
    let DataSource::Synthetic(settings) = &job.data else {
        panic!("the shop is made up")
    };
    let truth = shop::draw(settings, complete_day(job.as_of_time))
        .unwrap()
        .truth;
    let (mut sum, mut lists) = (0.0, 0.0);
    for list in prepared.rows.of(Slice::Gate) {
        let query = &prepared.names.keys[list.key as usize];
        let grade = |row: usize| {
            let item = &prepared.names.items[prepared.rows.candidates[row].item as usize];
            truth.judge(query, item).map(|judgment| judgment.grade)
        };
        let Some(grades) = list.rows.clone().map(grade).collect::<Option<Vec<u8>>>() else {
            continue;
        };
        let scores: Vec<f64> = list.rows.clone().map(&score).collect();
        if let Some(ndcg) = metrics::measure(Metric::NDCG, 10, &scores, &grades) {
            sum += ndcg;
            lists += 1.0;
        }
    }
    assert!(lists > 300.0, "{lists} lists have grades");
    sum / lists
}
