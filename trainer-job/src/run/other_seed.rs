//! What chance alone changes: the same rows trained once more with another seed.
//!
//! Two versions differ by something even where nothing has changed. How much, nobody knows without a
//! second training, which costs as much as the first. So it is made after everything is published,
//! only where the first one was short, and nothing that is published or judged depends on it.

use std::time::{Duration, Instant};

use searchop_contract::BoostingParameters;
use searchop_evaluation::report::OtherSeed;

use super::Bench;
use crate::{
    boosting::{self, Settings, Trained},
    error::TrainError,
    evaluate::{Contestants, Evaluation, Overlap},
    prepare::Prepared,
    progress::{Stage, counts},
    publish, threads,
};

/// A training that took longer is not made twice: who waits for a version, waits at most this much
/// longer.
const LONGEST: Duration = Duration::from_secs(120);

impl Bench<'_> {
    /// `took` is what the candidate's own training took. `None` where that was too long, or where the
    /// other training fails: no version depends on it.
    pub fn other_seed(
        &self,
        prepared: &Prepared,
        (trained, took): (&Trained, Duration),
        threads: usize,
    ) -> Option<OtherSeed> {
        if took > LONGEST {
            tracing::info!(
                "what another seed changes is not known: training took {} s, and takes at most {} s \
                 where it is made twice",
                took.as_secs(),
                LONGEST.as_secs()
            );
            return None;
        }
        let found = self.trained_again(prepared, trained, threads);
        if let Err(error) = &found {
            tracing::warn!("what another seed changes is not known: {error}");
        }
        found.ok().flatten()
    }

    /// As many trees, so that validation lists are not needed. The days that counters are as old as
    /// and the parts that lists are cut into stay those of the first seed.
    fn trained_again(
        &self,
        prepared: &Prepared,
        trained: &Trained,
        threads: usize,
    ) -> Result<Option<OtherSeed>, TrainError> {
        let parameters = &trained.parameters;
        let parameters = BoostingParameters {
            num_iterations: trained.trees,
            // Seeds end where LightGBM's integers do.
            seed: match parameters.seed {
                0 => 1,
                seed => seed - 1,
            },
            ..parameters.clone()
        };
        let running = self.progress.begin(Stage::OtherSeed, None);
        running.at(format!("seed {}", parameters.seed));
        let begin = Instant::now();
        let encoding = &prepared.rows.encoding;
        let train = self.training_groups(prepared, parameters.seed);
        let settings = Settings {
            parameters: &parameters,
            features: &encoding.schema().names(),
            categorical: &encoding.categorical(),
            threads: threads::useful(threads, train.rows()),
        };
        let other = boosting::train(&train, None, &settings, |_, _| ())
            .map_err(|error| TrainError::evaluation(error.to_string()))?;
        let seconds = begin.elapsed().as_secs_f64();
        let candidate = publish::forest(trained)?;
        let other = (publish::forest(&other)?, encoding.clone());
        let contestants = Contestants {
            candidate: (&candidate, encoding),
            served: Some(&other),
            promoted: &[],
            overlap: Overlap::default(),
        };
        let propensities = prepared.summary.position_bias.propensities.as_ref();
        let evaluation = Evaluation::new(&prepared.rows, contestants, propensities);
        let comparison = evaluation.against_served(&format!("seed {}", parameters.seed));
        running.end(counts([
            ("seed", parameters.seed.into()),
            (
                "overlap",
                comparison
                    .as_ref()
                    .and_then(|found| found.rank_biased_overlap)
                    .into(),
            ),
        ]));
        Ok(comparison.map(|comparison| OtherSeed {
            seed: parameters.seed,
            seconds: (seconds * 1e3).round() / 1e3,
            comparison,
        }))
    }
}
