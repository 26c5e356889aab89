//! Does this program compute what the trainer did?

use searchop_contract::Digest;

use super::declared_features_of;
use crate::{
    artifact::{ArtifactError, GoldenRow, Model},
    forest::Scratch,
    item::Candidate,
    linked::Linked,
    schema::Schema,
    tables::Tables,
};

/// Scores may differ by this much from the trainer's.
const TOLERANCE: f64 = 1e-9;

/// Checks that this program scores the golden rows as the trainer did and, with the tables they
/// came from, that it computes the same features.
pub(super) fn verify(
    (model, linked): (&Model, &Linked),
    tables: &Tables,
    tables_digest: &Digest,
) -> Result<(), ArtifactError> {
    let golden = &model.golden;
    if golden.rows.is_empty() {
        return Err(ArtifactError::Golden {
            row: 0,
            detail: "there are no rows".to_owned(),
        });
    }
    let same_tables = golden.tables_digest == *tables_digest;
    let found = scores(model)?;
    for ((row, expected), score) in golden.rows.iter().enumerate().zip(found) {
        let in_row = |detail| ArtifactError::Golden { row, detail };
        verify_score(score, expected).map_err(in_row)?;
        if same_tables {
            verify_features((tables, linked), (expected, &model.schema), golden.time)
                .map_err(in_row)?;
        }
    }
    Ok(())
}

/// What the code that serves makes of the golden rows.
fn scores(model: &Model) -> Result<Vec<f64>, ArtifactError> {
    let rows = &model.golden.rows;
    let expected = model.manifest.features.len();
    let of_other_width = |row: &GoldenRow| row.features.len() != expected;
    if let Some(row) = rows.iter().position(of_other_width) {
        let found = rows[row].features.len();
        let detail = format!("has {found} features, the model has {expected}");
        return Err(ArtifactError::Golden { row, detail });
    }
    let values: Vec<f32> = rows.iter().flat_map(GoldenRow::row).collect();
    let mut scores = vec![0.0; rows.len()];
    model
        .forest
        .score_rows(&values, &mut Scratch::default(), &mut scores);
    Ok(scores)
}

fn verify_score(score: f64, golden: &GoldenRow) -> Result<(), String> {
    let close = (score - golden.score).abs() <= TOLERANCE * golden.score.abs().max(1.0);
    if close {
        Ok(())
    } else {
        Err(format!(
            "scores {score}, the trainer computed {}",
            golden.score
        ))
    }
}

fn verify_features(
    (tables, linked): (&Tables, &Linked),
    (golden, schema): (&GoldenRow, &Schema),
    time: i64,
) -> Result<(), String> {
    if tables.item(&golden.item).is_none() {
        return Err(format!("item {:?} is not in the tables", golden.item));
    }
    let values = golden.encode(schema)?;
    let candidate = Candidate {
        id: &golden.item,
        values: &values,
        ..Candidate::default()
    };
    let rows = declared_features_of(
        (tables, linked),
        &golden.query,
        time,
        std::slice::from_ref(&candidate),
    );
    for ((column, &found), expected) in rows[0].iter().enumerate().zip(golden.row()) {
        if found != expected && !(found.is_nan() && expected.is_nan()) {
            return Err(format!(
                "{} is {found}, the trainer computed {expected}",
                schema.name(column)
            ));
        }
    }
    Ok(())
}
