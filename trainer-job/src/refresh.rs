//! Newer tables under a published model: load → count the days that are new → seal → check → publish.
//! Nothing is trained and nothing is judged.

use searchop_contract::{Digest, Published, ReferenceModel, TrainingReport};
use searchop_model::{
    artifact::ArtifactError, bundle::Bundle, item::Candidate, store::ArtifactKind,
};

use crate::{
    error::TrainError,
    outcome::Outcome,
    prepare::{self, TABLES_DIR},
    progress::{Stage, counts},
    run::Bench,
};

impl Bench<'_> {
    /// Rebuilds the tables of a published model.
    pub(crate) fn refresh(&self, model: &ReferenceModel) -> Result<Outcome, TrainError> {
        let dataset = self.load()?;
        let running = self.progress.begin(Stage::Features, None);
        running.at("counting new days");
        let kept = self.kept_counters(&dataset)?;
        let (tables_digest, new_days) = prepare::refresh(self.job, &dataset, &kept, self.work)?;
        kept.update(&self.store, &new_days)?;
        running.end(counts([
            ("daysReadFromCounters", kept.days().count().into()),
            ("daysCounted", new_days.len().into()),
        ]));
        let running = self.progress.begin(Stage::Publish, None);
        let bundle = self.check(&model.digest, &tables_digest)?;
        let published = Published {
            digest: model.digest.clone(),
            tables_digest,
            trained_through_time: bundle.model.manifest.trained_through_time,
            tables_time: dataset.through,
        };
        let (tables, digest) = (self.work.join(TABLES_DIR), &published.tables_digest);
        self.store
            .publish_one(ArtifactKind::Tables, &tables, digest)?;
        let pruned = self.store.prune(self.job, &published)?;
        running.end(counts([
            ("tablesDigest", published.tables_digest.as_str().into()),
            ("pruned", pruned.into()),
        ]));
        let report = TrainingReport {
            version: self.job.version,
            published: Some(published),
            data: Some(dataset.counts()),
            ..TrainingReport::default()
        };
        Ok(Outcome {
            report,
            table: Vec::new(),
        })
    }

    /// Proves that the model serves from the new tables. Its golden rows must still get the scores that
    /// its trainer gave them. Their features are those of other tables and must differ, so instead
    /// every golden query is asked of the new tables, and each item must get a score that is a number.
    fn check(&self, model: &Digest, tables: &Digest) -> Result<Bundle, TrainError> {
        let unusable = |error: ArtifactError| {
            refused(
                model,
                &format!("does not serve from the new tables: {error}"),
            )
        };
        let dir = self.store.fetch(ArtifactKind::Model, model, self.work)?;
        let bundle =
            Bundle::open(&dir, model, &self.work.join(TABLES_DIR), tables).map_err(unusable)?;
        let golden = &bundle.model.golden;
        for row in &golden.rows {
            let values = row
                .encode(&bundle.model.schema)
                .map_err(|error| refused(model, &error))?;
            let item = Candidate {
                id: &row.item,
                values: &values,
                ..Candidate::default()
            };
            let scored = bundle.rank(&row.query, golden.time, &[item]);
            if let Some(bad) = scored.iter().find(|scored| !scored.score.is_finite()) {
                let detail = format!(
                    "scores {:?} under {:?} with {} from the new tables",
                    row.item, row.query, bad.score
                );
                return Err(refused(model, &detail));
            }
        }
        Ok(bundle)
    }
}

fn refused(model: &Digest, detail: &str) -> TrainError {
    TrainError::evaluation(format!("published model {} {detail}", model.short()))
}
