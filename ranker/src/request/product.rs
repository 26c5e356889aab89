use std::{fmt, marker::PhantomData};

use searchop_contract::MAX_DECLARED_FEATURES;
use searchop_model::{features, item::ItemFields, schema::Given};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error, MapAccess, Visitor, value::MapAccessDeserializer},
};

use super::DeclaredValues;
use crate::{id::Id, json::Text};

/// A product to be ranked, and what the request says about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Product<'a> {
    pub id: Id<'a>,
    /// Apart, so that a list of ids is small and quickly moved; `None` where there is nothing.
    pub fields: Option<Box<ItemFields>>,
    /// Features that the request gives, by column; NaN for one that is given as missing.
    pub values: Vec<(usize, f32)>,
    /// Features that the request gives and the preset does not have.
    pub declared: DeclaredValues<'a>,
    /// What the engine gave it, a number: kept in records, and the value of a declared feature of this
    /// name.
    pub engine_score: Option<Given<'static>>,
}

impl<'a> Product<'a> {
    /// A product of which nothing is said.
    pub fn bare(id: Id<'a>) -> Self {
        Self {
            id,
            fields: None,
            values: Vec::new(),
            declared: Vec::new(),
            engine_score: None,
        }
    }
}

/// An element of `products`: an id, or an object that may lack one.
pub struct RawProduct<'a> {
    pub id: Option<Id<'a>>,
    pub fields: Option<Box<ItemFields>>,
    pub values: Vec<(usize, f32)>,
    pub declared: DeclaredValues<'a>,
    pub engine_score: Option<Given<'static>>,
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
    #[serde(borrow)]
    features: Option<FeatureValues<'a>>,
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
        let features = product.features.unwrap_or_default();
        Self {
            id: product.id,
            fields: (!fields.is_empty()).then(|| Box::new(fields)),
            values: features.preset,
            declared: features.declared,
            engine_score: product.engine_score.map(Given::Number),
        }
    }
}

impl<'a> From<Id<'a>> for RawProduct<'a> {
    fn from(id: Id<'a>) -> Self {
        Self {
            id: Some(id),
            fields: None,
            values: Vec::new(),
            declared: Vec::new(),
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

/// An object from names of features to values or `null`. Which names are declared is not known here:
/// versions of a model may differ in it.
#[derive(Default)]
pub struct FeatureValues<'a> {
    /// By column of the preset.
    pub preset: Vec<(usize, f32)>,
    pub declared: DeclaredValues<'a>,
}

impl<'de: 'a, 'a> Deserialize<'de> for FeatureValues<'a> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_map(FeatureValuesVisitor)
    }
}

struct FeatureValuesVisitor;

impl<'de> Visitor<'de> for FeatureValuesVisitor {
    type Value = FeatureValues<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of features and their values")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut values = FeatureValues::default();
        while let Some(Text(name)) = map.next_key()? {
            if let Some(column) = features::column(&name) {
                let given = values.preset.iter().any(|(other, _)| *other == column);
                let FeatureNumber(value) = map.next_value_seed(Once::new(given))?;
                values.preset.push((column, value));
                continue;
            }
            let given = values.declared.iter().any(|(other, _)| *other == name);
            let value = map.next_value_seed(Once::new(given))?;
            if values.declared.len() == MAX_DECLARED_FEATURES {
                return Err(A::Error::custom(too_many_declared()));
            }
            values.declared.push((name, value));
        }
        Ok(values)
    }
}

pub fn too_many_declared() -> String {
    format!("more than {MAX_DECLARED_FEATURES} features that are not the preset's")
}

/// Reads a value; refuses here, where the path is known, a name that was there before.
struct Once<T> {
    given: bool,
    value: PhantomData<T>,
}

impl<T> Once<T> {
    fn new(given: bool) -> Self {
        Self {
            given,
            value: PhantomData,
        }
    }
}

impl<'de, T: Deserialize<'de>> DeserializeSeed<'de> for Once<T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<T, D::Error> {
        if self.given {
            return Err(D::Error::custom("the feature is there twice"));
        }
        T::deserialize(json)
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
