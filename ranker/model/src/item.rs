use serde::{Deserialize, Serialize};

/// What is known about an item, from the catalogue or from a request. Every field may be missing.
/// Numbers count with the precision of an `f32`, the precision of a feature: what JSON writes of
/// one is read back the same.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ItemFields {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(alias = "bullet_points", skip_serializing_if = "Option::is_none")]
    pub bullet_points: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub brand: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub color: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    #[serde(with = "single", skip_serializing_if = "Option::is_none")]
    pub price: Option<f64>,
    #[serde(with = "single", skip_serializing_if = "Option::is_none")]
    pub rating: Option<f64>,
    #[serde(
        alias = "rating_count",
        with = "single",
        skip_serializing_if = "Option::is_none"
    )]
    pub rating_count: Option<f64>,
    /// Pieces in stock.
    #[serde(with = "single", skip_serializing_if = "Option::is_none")]
    pub stock: Option<f64>,
    /// When the item entered the shop, in seconds since 1970.
    #[serde(alias = "added_time", skip_serializing_if = "Option::is_none")]
    pub added_time: Option<i64>,
}

impl ItemFields {
    /// These fields, and those of `table` where one is missing.
    pub fn or(&self, table: &Self) -> Self {
        let text =
            |own: &Option<String>, other: &Option<String>| own.as_ref().or(other.as_ref()).cloned();
        Self {
            title: text(&self.title, &table.title),
            description: text(&self.description, &table.description),
            bullet_points: text(&self.bullet_points, &table.bullet_points),
            brand: text(&self.brand, &table.brand),
            color: text(&self.color, &table.color),
            category: text(&self.category, &table.category),
            price: self.price.or(table.price),
            rating: self.rating.or(table.rating),
            rating_count: self.rating_count.or(table.rating_count),
            stock: self.stock.or(table.stock),
            added_time: self.added_time.or(table.added_time),
        }
    }

    /// The same in the precision of an `f32`; what is not finite in it is missing.
    pub fn single(mut self) -> Self {
        let numbers = [
            &mut self.price,
            &mut self.rating,
            &mut self.rating_count,
            &mut self.stock,
        ];
        for number in numbers {
            *number = number.and_then(single_precision);
        }
        self
    }

    /// Whether any field is there.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The numbers alone.
    pub fn numbers(&self) -> ItemNumbers {
        ItemNumbers {
            price: self.price,
            rating: self.rating,
            rating_count: self.rating_count,
            stock: self.stock,
            added_time: self.added_time,
        }
    }

    /// Whether any text is there.
    pub(crate) fn has_text(&self) -> bool {
        let texts = [
            &self.title,
            &self.description,
            &self.bullet_points,
            &self.brand,
            &self.color,
            &self.category,
        ];
        texts.into_iter().any(Option::is_some)
    }
}

/// The numbers of [`ItemFields`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ItemNumbers {
    pub price: Option<f64>,
    pub rating: Option<f64>,
    pub rating_count: Option<f64>,
    pub stock: Option<f64>,
    pub added_time: Option<i64>,
}

impl ItemNumbers {
    /// These, and those of `table` where one is missing.
    pub fn or(&self, table: &Self) -> Self {
        Self {
            price: self.price.or(table.price),
            rating: self.rating.or(table.rating),
            rating_count: self.rating_count.or(table.rating_count),
            stock: self.stock.or(table.stock),
            added_time: self.added_time.or(table.added_time),
        }
    }
}

/// The value rounded to an `f32`; `None` if it is not finite.
pub(crate) fn single_precision(value: f64) -> Option<f64> {
    let rounded = f64::from(value as f32);
    rounded.is_finite().then_some(rounded)
}

/// Numbers in JSON, in the precision of an `f32`.
mod single {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &Option<f64>, to: S) -> Result<S::Ok, S::Error> {
        value.map(|value| value as f32).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
        let value = Option::<f32>::deserialize(from)?;
        Ok(value.filter(|value| value.is_finite()).map(f64::from))
    }
}

/// An item to be ranked: its id and what the request says about it. The default has no id and says
/// nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate<'a> {
    pub id: &'a str,
    pub fields: &'a ItemFields,
    /// Columns of [`crate::features::features`] whose value is given instead of computed; NaN for a
    /// missing one. Columns behind those are declared features of the model.
    pub values: &'a [(usize, f32)],
    /// The same of declared features that the request gives for all its candidates.
    pub shared: &'a [(usize, f32)],
}

pub(crate) static NO_FIELDS: ItemFields = ItemFields {
    title: None,
    description: None,
    bullet_points: None,
    brand: None,
    color: None,
    category: None,
    price: None,
    rating: None,
    rating_count: None,
    stock: None,
    added_time: None,
};

impl Default for Candidate<'_> {
    fn default() -> Self {
        Self {
            id: "",
            fields: &NO_FIELDS,
            values: &[],
            shared: &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_wins_over_the_table() {
        let request = ItemFields {
            price: Some(1.0),
            ..ItemFields::default()
        };
        let table = ItemFields {
            price: Some(2.0),
            rating: Some(4.5),
            title: Some("Shoe".into()),
            ..ItemFields::default()
        };
        let merged = request.or(&table);
        assert_eq!(merged.price, Some(1.0));
        assert_eq!(merged.rating, Some(4.5));
        assert_eq!(merged.title.as_deref(), Some("Shoe"));
    }

    #[test]
    fn both_spellings_of_a_field_are_read() {
        for text in [
            r#"{"ratingCount":3,"addedTime":9}"#,
            r#"{"rating_count":3,"added_time":9,"colour":"red"}"#,
        ] {
            let fields: ItemFields = serde_json::from_str(text).unwrap();
            assert_eq!(
                (fields.rating_count, fields.added_time),
                (Some(3.0), Some(9))
            );
        }
        assert_eq!(serde_json::to_string(&ItemFields::default()).unwrap(), "{}");
    }
}
