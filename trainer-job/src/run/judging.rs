//! What a run finds out about a model: its own candidate, or one that is published.

use searchop_contract::{
    Measure, ModelFeature, PromotedModel, Published, Reference, ReferenceModel,
};
use searchop_model::{artifact::read_model, forest::Forest, schema::Schema, store::ArtifactKind};

use super::Bench;
use crate::{
    boosting::Trained,
    encoding::Encoding,
    error::TrainError,
    evaluate::{Contestants, Evaluation, Overlap},
    outcome::Judged,
    prepare::Prepared,
    progress::{Stage, counts},
    publish::{self, Named},
};

impl Bench<'_> {
    /// Judges what was just trained.
    pub fn evaluate(&self, prepared: &Prepared, trained: &Trained) -> Result<Judged, TrainError> {
        let forest = publish::forest(trained)?;
        self.judge(prepared, (&forest, &prepared.rows.encoding), false)
    }

    /// Judges a published model.
    pub fn evaluate_published(
        &self,
        prepared: &Prepared,
        named: &ReferenceModel,
    ) -> Result<(Judged, Published), TrainError> {
        let Named {
            forest,
            schema,
            published,
        } = publish::describe(&self.store, named, self.work)?;
        let encoding = reads(&schema, prepared).map_err(|error| {
            TrainError::data(format!("published model {}: {error}", named.digest.short()))
        })?;
        let seen = published.trained_through_time > prepared.summary.trained_through_time;
        let judged = self.judge(prepared, (&forest, &encoding), seen)?;
        Ok((judged, published))
    }

    fn judge(
        &self,
        prepared: &Prepared,
        candidate: (&Forest, &Encoding),
        candidate_overlaps: bool,
    ) -> Result<Judged, TrainError> {
        let running = self.progress.begin(Stage::Evaluate, None);
        let served = self.served(prepared)?;
        let promoted = self.promoted(prepared)?;
        let contestants = Contestants {
            candidate,
            served: served.as_ref().and_then(|served| served.model.as_ref()),
            promoted: &promoted.models,
            overlap: Overlap {
                candidate: candidate_overlaps,
                served: served.as_ref().is_some_and(|served| served.overlaps),
                promoted: promoted.models.is_empty() && promoted.overlaps,
            },
        };
        let propensities = prepared.summary.position_bias.propensities.as_ref();
        let evaluation = Evaluation::new(&prepared.rows, contestants, propensities);
        let keys = &prepared.names.keys;
        let (measurements, best_promoted) = evaluation.measurements(&self.job.evaluation);
        let judged = Judged {
            measurements,
            evidence: evaluation.evidence(),
            clicks: evaluation.click_weights(),
            best_promoted,
            table: evaluation.table(&self.job.evaluation.baselines, keys),
            served: evaluation.beside_served(keys),
        };
        let served = judged
            .served
            .as_ref()
            .and_then(|served| served.figures.ndcg_at_10);
        running.end(counts([
            ("holdoutLists", evaluation.lists().into()),
            (
                "candidateNdcgAt10",
                judged.table.rankers[0].ndcg_at_10.into(),
            ),
            ("servedNdcgAt10", served.into()),
        ]));
        Ok(judged)
    }

    /// The served model. One that this program cannot compute features for has no figures, which a
    /// gate that needs them reads as an error.
    fn served(&self, prepared: &Prepared) -> Result<Option<Served>, TrainError> {
        let summary = &prepared.summary;
        let Some(reference) = &self.job.reference else {
            return Ok(None);
        };
        let dir = self
            .store
            .fetch(ArtifactKind::Model, &reference.digest, self.work)?;
        let model = read_model(&dir, &reference.digest).map_err(|error| error.to_string());
        let read = model.and_then(|model| Ok((reads(&model.schema, prepared)?, model)));
        let served = match read {
            Ok((encoding, model)) => Served {
                overlaps: model.manifest.trained_through_time > summary.trained_through_time,
                model: Some((model.forest, encoding)),
            },
            Err(error) => {
                tracing::warn!(
                    digest = reference.digest.short(),
                    "served model is not compared: {error}"
                );
                Served {
                    overlaps: false,
                    model: None,
                }
            }
        };
        Ok(Some(served))
    }

    /// Versions that served before. One that is gone, that this program cannot compute features for
    /// or that has trained on the held-out days is left out; the others still hold the line.
    fn promoted(&self, prepared: &Prepared) -> Result<Promoted, TrainError> {
        let summary = &prepared.summary;
        let asked = |measure: &Measure| measure.against == Some(Reference::BestPromoted);
        let mut found = Promoted::default();
        if !self.job.evaluation.measures.iter().any(asked) {
            return Ok(found);
        }
        for PromotedModel { version, digest } in &self.job.promoted {
            let dir = match self.store.fetch(ArtifactKind::Model, digest, self.work) {
                Err(TrainError::StorageRefused(message)) => {
                    tracing::warn!(version, "promoted model is not compared: {message}");
                    continue;
                }
                fetched => fetched?,
            };
            let model = read_model(&dir, digest).map_err(|error| error.to_string());
            match model.and_then(|model| Ok((reads(&model.schema, prepared)?, model))) {
                Ok((_, model))
                    if model.manifest.trained_through_time > summary.trained_through_time =>
                {
                    found.overlaps = true;
                }
                Ok((encoding, model)) => {
                    found.models.push((*version, (model.forest, encoding)));
                }
                Err(error) => {
                    tracing::warn!(version, "promoted model is not compared: {error}");
                }
            }
        }
        Ok(found)
    }
}

/// How a published model reads the rows. The error names a declared feature that the data do not have
/// any more: without it the model is not the one that was published.
fn reads(schema: &Schema, prepared: &Prepared) -> Result<Encoding, String> {
    let summary = &prepared.summary;
    let encoding = Encoding::new(schema.clone(), &summary.columns)?;
    for (number, declared) in schema.declared().iter().enumerate() {
        let feature = &declared.feature.feature;
        let of_job = |own: &ModelFeature| own.feature.reads_as(feature);
        let mut values = prepared.rows.column(encoding.place(number));
        if !summary.declared.iter().any(of_job) && values.all(f32::is_nan) {
            return Err(format!("the data have no values of {:?}", feature.name));
        }
    }
    Ok(encoding)
}

struct Served {
    model: Option<(Forest, Encoding)>,
    overlaps: bool,
}

/// Versions that served before.
#[derive(Default)]
struct Promoted {
    models: Vec<(u32, (Forest, Encoding))>,
    /// One of them has trained on the held-out days, and is left out.
    overlaps: bool,
}
