//! Model evaluation with metric gates: on the shop of the samples the learned ranking must beat
//! every ranking that needs no learning, by margins well inside what it reaches.

use searchop_contract::Reference;
use searchop_trainer::{progress::Progress, run};

use super::shops::default_job;

/// Smallest relative gain in NDCG@10.
const GATES: [(Reference, f64); 3] = [
    (Reference::LoggedOrder, 0.02),
    (Reference::Bm25, 0.05),
    (Reference::Random, 0.20),
];

#[test]
fn the_model_beats_every_baseline() {
    let (store, work) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let outcome = run::run(
        &default_job(store.path()),
        work.path(),
        1,
        &Progress::silent(),
    )
    .unwrap();
    for (against, margin) in GATES {
        let found = outcome
            .report
            .measurements
            .iter()
            .find(|one| one.measure.against == Some(against))
            .unwrap();
        let (candidate, reference) = (found.candidate.unwrap(), found.reference.unwrap());
        let gain = (candidate - reference) / reference;
        println!(
            "{against}: {candidate} and {reference}, gain {gain:.4} in [{:?}, {:?}]",
            found.low, found.high
        );
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
}
