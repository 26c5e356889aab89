//! A model's declared features beside the tables that it serves from.

use searchop_contract::{FeatureSource, FeatureType, names};
use zerocopy::little_endian::F32;

use crate::{
    artifact::ArtifactError, features::features, item::Candidate, schema::Schema, tables::Tables,
};

/// Where the values of declared features come from; the default has none.
#[derive(Clone, Debug, Default)]
pub struct Linked {
    columns: Vec<Link>,
}

#[derive(Clone, Debug)]
struct Link {
    from: Option<Place>,
    default: Option<f32>,
    required: bool,
}

/// A column of the tables.
#[derive(Clone, Debug)]
struct Place {
    column: usize,
    /// Of a category, the model's code of each of the tables' own.
    codes: Option<Vec<f32>>,
}

impl Linked {
    /// The error names the feature that the tables do not have.
    pub fn new(schema: &Schema, tables: &Tables) -> Result<Self, ArtifactError> {
        let mut columns = Vec::with_capacity(schema.declared().len());
        for declared in schema.declared() {
            let feature = &declared.feature.feature;
            let mut from = None;
            if declared.source() == FeatureSource::Catalog {
                let mut stored = tables.declared_columns().iter().enumerate();
                let (column, stored) = stored
                    .find(|(_, stored)| {
                        stored.feature.name == feature.name && stored.feature.reads_as(feature)
                    })
                    .ok_or_else(|| {
                        ArtifactError::malformed(
                            names::DECLARED_FILE,
                            format!(
                                "the model needs {:?}, the tables have no such column",
                                feature.name
                            ),
                        )
                    })?;
                let codes = stored.categories.iter().map(|text| declared.code(text));
                let is_category = feature.kind == FeatureType::Category;
                from = Some(Place {
                    column,
                    codes: is_category.then(|| codes.collect()),
                });
            }
            columns.push(Link {
                from,
                default: declared.default(),
                required: declared.is_required(),
            });
        }
        Ok(Self { columns })
    }

    /// How many features are declared.
    pub fn columns(&self) -> usize {
        self.columns.len()
    }

    /// Appends the values of a candidate that is in this place of the tables to its row of the preset's
    /// values. Returns the declared features, a bit each, whose default stood in.
    pub(crate) fn push(
        &self,
        tables: &Tables,
        (candidate, place): (&Candidate, Option<usize>),
        row: &mut Vec<f32>,
    ) -> u32 {
        if self.columns.is_empty() {
            return 0;
        }
        let start = row.len();
        let stored = place.map(|place| tables.declared_row(place));
        let mut defaulted = 0;
        for (index, link) in self.columns.iter().enumerate() {
            let known = link.from.as_ref().and_then(|from| from.value(stored?));
            if known.is_none() && link.default.is_some() {
                defaulted |= 1 << index;
            }
            row.push(known.or(link.default).unwrap_or(f32::NAN));
        }
        for (column, value) in candidate.shared.iter().chain(candidate.values) {
            if let Some(index) = column.checked_sub(features().len()) {
                row[start + index] = *value;
                defaulted &= !(1 << index);
            }
        }
        defaulted
    }

    /// The first candidate for which neither request nor tables have a value of a required feature,
    /// with the feature's column.
    pub fn lacking(&self, tables: &Tables, candidates: &[Candidate]) -> Option<(usize, usize)> {
        let required = |link: &Link| link.required && link.from.is_some();
        if !self.columns.iter().any(required) {
            return None;
        }
        let places = tables.find_all(candidates.iter().map(|candidate| candidate.id));
        let pairs = candidates.iter().zip(places).enumerate();
        for (index, (candidate, place)) in pairs {
            let stored = place.map(|place| tables.declared_row(place));
            for (number, link) in self.columns.iter().enumerate() {
                let column = features().len() + number;
                let given = candidate.values.iter().any(|(given, _)| *given == column);
                let known = link.from.as_ref().and_then(|from| from.value(stored?));
                if required(link) && !given && known.is_none() {
                    return Some((index, column));
                }
            }
        }
        None
    }
}

impl Place {
    /// `None` without a value, NaN for a category that the model does not know.
    fn value(&self, stored: &[F32]) -> Option<f32> {
        let value = stored.get(self.column)?.get();
        if value.is_nan() {
            return None;
        }
        Some(match &self.codes {
            None => value,
            Some(codes) => codes.get(value as usize).copied().unwrap_or(f32::NAN),
        })
    }
}
