//! From the rows of a run to the rows of a model. Rows hold declared features as the data have them,
//! texts as numbers and nothing in place of what is missing; models differ in which of them they read,
//! in the categories they know and in the defaults they take.

use std::cmp::Reverse;

use searchop_contract::{DeclaredFeature, FeatureType, MAX_CATEGORIES, ModelFeature};
use searchop_model::{features::features, schema::Schema, tables::DeclaredColumn};

/// How one model reads the rows of a run; the default reads the preset's values as they are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Encoding {
    schema: Schema,
    columns: Vec<Encoded>,
}

/// How a declared feature is read.
#[derive(Clone, Debug, PartialEq)]
struct Encoded {
    /// Place in a row of the run.
    place: usize,
    /// The model's code of each text of the run; of numbers none.
    codes: Option<Vec<f32>>,
    default: Option<f32>,
}

impl Encoding {
    /// The error names a feature that the rows do not have.
    pub fn new(schema: Schema, raw: &[DeclaredColumn]) -> Result<Self, String> {
        let mut columns = Vec::with_capacity(schema.declared().len());
        for declared in schema.declared() {
            let feature = &declared.feature.feature;
            let place = (raw.iter())
                .position(|column| column.feature.reads_as(feature))
                .ok_or_else(|| format!("the data have no {:?}", feature.name))?;
            let codes = raw[place].categories.iter().map(|text| declared.code(text));
            let is_category = feature.kind == FeatureType::Category;
            columns.push(Encoded {
                place: features().len() + place,
                codes: is_category.then(|| codes.collect()),
                default: declared.default(),
            });
        }
        Ok(Self { schema, columns })
    }

    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Appends the model's row of a row of the run.
    pub fn push(&self, row: &[f32], out: &mut Vec<f32>) {
        out.extend_from_slice(&row[..features().len()]);
        for column in &self.columns {
            let value = row[column.place];
            out.push(match (&column.codes, value.is_nan()) {
                (_, true) => column.default.unwrap_or(f32::NAN),
                (None, false) => value,
                (Some(codes), false) => codes.get(value as usize).copied().unwrap_or(f32::NAN),
            });
        }
    }

    /// Where a row of the run has the declared feature of this number.
    pub fn place(&self, number: usize) -> usize {
        self.columns[number].place
    }

    /// Columns of categories.
    pub fn categorical(&self) -> Vec<usize> {
        let columns = (features().len()..).zip(&self.columns);
        columns
            .filter(|(_, column)| column.codes.is_some())
            .map(|(column, _)| column)
            .collect()
    }
}

/// What a model learns of the categories of `features` from training rows: the most frequent ones, in
/// that order, of equally frequent ones in the alphabet's.
pub fn learn<'r>(
    features_of_job: &[DeclaredFeature],
    raw: &[DeclaredColumn],
    rows: impl Iterator<Item = &'r [f32]> + Clone,
) -> Vec<ModelFeature> {
    let learn = |feature: &DeclaredFeature| {
        let place = raw
            .iter()
            .position(|column| column.feature.reads_as(feature));
        let categories = match (feature.kind, place) {
            (FeatureType::Category, Some(place)) => {
                let column = rows.clone().map(|row| row[features().len() + place]);
                frequent(&raw[place].categories, feature.default.as_deref(), column)
            }
            _ => Vec::new(),
        };
        ModelFeature {
            feature: feature.clone(),
            categories,
        }
    };
    features_of_job.iter().map(learn).collect()
}

fn frequent(
    texts: &[String],
    default: Option<&str>,
    values: impl Iterator<Item = f32>,
) -> Vec<String> {
    let mut counts = vec![0_u64; texts.len()];
    let mut missing = 0;
    for value in values {
        match counts.get_mut(value as usize) {
            Some(count) if !value.is_nan() => *count += 1,
            _ => missing += 1,
        }
    }
    let mut counted: Vec<(&str, u64)> = texts.iter().map(String::as_str).zip(counts).collect();
    if let Some(default) = default {
        match counted.iter_mut().find(|(text, _)| *text == default) {
            Some((_, count)) => *count += missing,
            None => counted.push((default, missing)),
        }
    }
    counted.retain(|(_, count)| *count > 0);
    counted.sort_unstable_by_key(|(text, count)| (Reverse(*count), *text));
    let kept = counted.into_iter().take(MAX_CATEGORIES);
    kept.map(|(text, _)| text.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use searchop_contract::FeatureSource;

    use super::*;

    fn column(name: &str, kind: FeatureType, default: Option<&str>) -> DeclaredColumn {
        let categories: &[&str] = match kind {
            FeatureType::Category => &["summer", "winter", "rare"],
            FeatureType::Number => &[],
        };
        DeclaredColumn {
            feature: DeclaredFeature {
                name: name.to_owned(),
                kind,
                unit: "none".to_owned(),
                source: FeatureSource::Request,
                field: None,
                default: default.map(str::to_owned),
                required: false,
            },
            categories: categories.iter().map(|text| (*text).to_owned()).collect(),
        }
    }

    fn row(values: [f32; 3]) -> Vec<f32> {
        [vec![1.0; features().len()], values.to_vec()].concat()
    }

    #[test]
    fn a_model_knows_the_categories_of_its_training_rows_and_takes_its_own_defaults() {
        let nan = f32::NAN;
        let raw = [
            column("season", FeatureType::Category, Some("winter")),
            column("else", FeatureType::Number, None),
            column("margin", FeatureType::Number, Some("0.5")),
        ];
        let own = [raw[2].feature.clone(), raw[0].feature.clone()];
        let rows = [
            row([0.0, 9.0, 0.25]),
            row([nan, 9.0, nan]),
            row([1.0, 9.0, 0.0]),
        ];
        let learnt = learn(&own, &raw, rows.iter().map(Vec::as_slice));
        assert_eq!(learnt[1].categories, ["winter", "summer"]);
        let encoding = Encoding::new(Schema::new(&learnt).unwrap(), &raw).unwrap();
        assert_eq!(encoding.categorical(), [features().len() + 1]);
        let encoded = |values: [f32; 3]| {
            let mut out = Vec::new();
            encoding.push(&row(values), &mut out);
            out.split_off(features().len())
        };
        assert_eq!(encoded([0.0, 9.0, 0.25]), [0.25, 1.0]);
        assert_eq!(encoded([nan, 9.0, nan]), [0.5, 0.0]);
        // What no training row had is missing, not the default.
        assert!(encoded([2.0, 9.0, 0.0])[1].is_nan());
        let other = Encoding::new(Schema::new(&learnt).unwrap(), &raw[1..]);
        assert_eq!(other.unwrap_err(), "the data have no \"season\"");
    }

    #[test]
    fn only_the_most_frequent_categories_are_known() {
        let texts: Vec<String> = (0..1500).map(|n| format!("c{n:04}")).collect();
        let values = (0..1500).chain(500..1500).map(|n| n as f32);
        let kept = frequent(&texts, None, values);
        assert_eq!(kept, texts[500..]);
    }
}
