use std::{fmt, marker::PhantomData};

use searchop_model::{
    features,
    item::{Candidate, ItemFields},
};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error, MapAccess, Visitor, value::MapAccessDeserializer},
};

use crate::id::Id;

/// A product to be ranked, and what the request says about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Product<'a> {
    pub id: Id<'a>,
    /// Apart, so that a list of ids is small and quickly moved; `None` where there is nothing.
    pub fields: Option<Box<ItemFields>>,
    /// Features that the request gives, by column; NaN for one that is given as missing.
    pub values: Vec<(usize, f32)>,
    /// What the engine gave it; only kept in records.
    pub engine_score: Option<f64>,
}

impl<'a> Product<'a> {
    /// A product of which nothing is said.
    pub fn bare(id: Id<'a>) -> Self {
        Self {
            id,
            fields: None,
            values: Vec::new(),
            engine_score: None,
        }
    }

    pub fn candidate(&self) -> Candidate<'_> {
        let bare = Candidate::default();
        Candidate {
            id: self.id.as_str(),
            fields: self.fields.as_deref().unwrap_or(bare.fields),
            values: &self.values,
        }
    }
}

/// An element of `products`: an id, or an object that may lack one.
pub struct RawProduct<'a> {
    pub id: Option<Id<'a>>,
    pub fields: Option<Box<ItemFields>>,
    pub values: Vec<(usize, f32)>,
    pub engine_score: Option<f64>,
}

/// Unknown fields are skipped: clients send whole documents.
#[derive(Deserialize)]
struct ProductObject<'a> {
    #[serde(borrow)]
    id: Option<Id<'a>>,
    title: Option<String>,
    description: Option<String>,
    #[serde(alias = "bulletPoints")]
    bullet_points: Option<String>,
    brand: Option<String>,
    color: Option<String>,
    category: Option<String>,
    price: Option<f64>,
    rating: Option<f64>,
    #[serde(alias = "ratingCount")]
    rating_count: Option<f64>,
    stock: Option<f64>,
    #[serde(alias = "addedTime")]
    added_time: Option<i64>,
    features: Option<FeatureValues>,
    engine_score: Option<f64>,
}

impl<'a> From<ProductObject<'a>> for RawProduct<'a> {
    fn from(product: ProductObject<'a>) -> Self {
        let fields = ItemFields {
            title: product.title,
            description: product.description,
            bullet_points: product.bullet_points,
            brand: product.brand,
            color: product.color,
            category: product.category,
            price: product.price,
            rating: product.rating,
            rating_count: product.rating_count,
            stock: product.stock,
            added_time: product.added_time,
        };
        Self {
            id: product.id,
            fields: (!fields.is_empty()).then(|| Box::new(fields)),
            values: product
                .features
                .map_or(Vec::new(), |FeatureValues(values)| values),
            engine_score: product.engine_score,
        }
    }
}

impl<'a> From<Id<'a>> for RawProduct<'a> {
    fn from(id: Id<'a>) -> Self {
        Self {
            id: Some(id),
            fields: None,
            values: Vec::new(),
            engine_score: None,
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for RawProduct<'a> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        let visitor = IdOrObject::<ProductObject>::new("a product object or an id");
        json.deserialize_any(visitor)
    }
}

/// Reads an id, or an object as an `O`. (A derived struct would take a list of its fields for an
/// object.)
pub struct IdOrObject<O> {
    expecting: &'static str,
    object: PhantomData<O>,
}

impl<O> IdOrObject<O> {
    pub fn new(expecting: &'static str) -> Self {
        Self {
            expecting,
            object: PhantomData,
        }
    }
}

impl<'de, O> Visitor<'de> for IdOrObject<O>
where
    O: Deserialize<'de> + Into<RawProduct<'de>>,
{
    type Value = RawProduct<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expecting)
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Id::Text(text.into()).into())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Id::Text(text.to_owned().into()).into())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Id::from(number).into())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Id::from(number).into())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        O::deserialize(MapAccessDeserializer::new(map)).map(Into::into)
    }
}

/// An object from names of features to numbers or `null`.
struct FeatureValues(Vec<(usize, f32)>);

impl<'de> Deserialize<'de> for FeatureValues {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_map(FeatureValuesVisitor)
    }
}

struct FeatureValuesVisitor;

impl<'de> Visitor<'de> for FeatureValuesVisitor {
    type Value = FeatureValues;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of features and their values")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<FeatureValues, A::Error> {
        let mut values: Vec<(usize, f32)> = Vec::new();
        while let Some(Column(column)) = map.next_key()? {
            let given = values.iter().any(|(other, _)| Some(*other) == column);
            values.push(map.next_value_seed(FeatureValue { column, given })?);
        }
        Ok(FeatureValues(values))
    }
}

/// The column of a feature's name, if there is one.
struct Column(Option<usize>);

impl<'de> Deserialize<'de> for Column {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct Name;
        impl Visitor<'_> for Name {
            type Value = Column;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a feature")
            }

            fn visit_str<E>(self, name: &str) -> Result<Column, E> {
                Ok(Column(features::column(name)))
            }
        }
        json.deserialize_identifier(Name)
    }
}

/// Reads the value of one feature; refuses names here, where the path is known.
struct FeatureValue {
    column: Option<usize>,
    given: bool,
}

impl<'de> DeserializeSeed<'de> for FeatureValue {
    type Value = (usize, f32);

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        let column = self
            .column
            .ok_or_else(|| D::Error::custom("the model has no such feature"))?;
        if self.given {
            return Err(D::Error::custom("the feature is there twice"));
        }
        Ok((column, FeatureNumber::deserialize(json)?.0))
    }
}

/// A number in the precision of a feature; `null` is missing.
pub struct FeatureNumber(pub f32);

impl<'de> Deserialize<'de> for FeatureNumber {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        let Some(value) = Option::<f64>::deserialize(json)? else {
            return Ok(Self(f32::NAN));
        };
        let single = value as f32;
        if single.is_finite() {
            Ok(Self(single))
        } else {
            Err(D::Error::custom(format!(
                "{value} is out of the range of a 32-bit float"
            )))
        }
    }
}
