use std::{borrow::Cow, collections::BTreeMap};

use searchop_contract::FeatureSource;
use searchop_model::{
    bundle::Bundle,
    item::Candidate,
    schema::{Declared, Given, Schema},
};

use super::{Product, Search};
use crate::error::{ApiError, Kind};

/// A declared feature whose values may also stand beside `features`.
const ENGINE_SCORE: &str = "engine_score";

/// Values of declared features by name, as they stand in a request.
pub type DeclaredValues<'a> = Vec<(Cow<'a, str>, Given<'a>)>;

/// The list in which the products of a request stand, which says where each of them is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listing {
    Products,
    /// Ids beside columns.
    Columns,
    Documents,
    Texts,
}

impl Listing {
    /// Where a feature of a product is, or would be.
    fn path(self, index: usize, name: &str) -> String {
        match self {
            Self::Products => format!("products[{index}].features.{name}"),
            Self::Columns => format!("columns.{name}[{index}]"),
            Self::Documents => format!("documents[{index}]"),
            Self::Texts => format!("texts[{index}]"),
        }
    }

    /// Whether requests have a place for declared features.
    fn has_features(self) -> bool {
        matches!(self, Self::Products | Self::Columns)
    }
}

/// The declared features of a request in the columns of one model.
#[derive(Debug, Default)]
pub struct Bound {
    shared: Vec<(usize, f32)>,
    /// All given values of each product; empty where the model declares nothing.
    own: Vec<Vec<(usize, f32)>>,
}

impl<'a> Search<'a> {
    /// The products as a model takes them that read `bound`.
    pub fn candidates<'s>(&'s self, bound: &'s Bound) -> Vec<Candidate<'s>> {
        let candidate = |(index, product): (usize, &'s Product<'a>)| {
            let bare = Candidate::default();
            Candidate {
                id: product.id.as_str(),
                fields: product.fields.as_deref().unwrap_or(bare.fields),
                values: bound.own.get(index).unwrap_or(&product.values),
                shared: &bound.shared,
            }
        };
        self.products.iter().enumerate().map(candidate).collect()
    }

    /// What the request says of declared features, as this model reads it. An error where a value is
    /// not one of its feature, or where one is missing that the model cannot do without.
    pub fn bind(&self, bundle: &Bundle) -> Result<Bound, ApiError> {
        let schema = &bundle.model.schema;
        if schema.declared().is_empty() {
            return Ok(Bound::default());
        }
        let of_request = |declared: &Declared| declared.source() == FeatureSource::Request;
        let mut bound = Bound::default();
        for (name, given) in &self.given {
            let place = || format!("features.{name}");
            let wrong = "is a feature of products: send it in the features of each";
            add(
                &mut bound.shared,
                (schema, name, given),
                of_request,
                (&place, wrong),
            )?;
        }
        for (index, product) in self.products.iter().enumerate() {
            let mut own = product.values.clone();
            for (name, given) in declared_of(product) {
                let place = || self.listing.path(index, name);
                let wrong = "is a feature of the whole request: send it in the request's features";
                let of_product = |declared: &Declared| !of_request(declared);
                add(&mut own, (schema, name, given), of_product, (&place, wrong))?;
            }
            bound.own.push(own);
        }
        self.check_required(bundle, &bound)?;
        Ok(bound)
    }

    fn check_required(&self, bundle: &Bundle, bound: &Bound) -> Result<(), ApiError> {
        let schema = &bundle.model.schema;
        for declared in schema.declared().iter().filter(|one| one.is_required()) {
            let Some((column, _)) = schema.find(declared.name()) else {
                continue;
            };
            let given = |values: &[(usize, f32)]| values.iter().any(|(given, _)| *given == column);
            match declared.source() {
                FeatureSource::Request if !given(&bound.shared) => {
                    return Err(self.missing(declared, None));
                }
                FeatureSource::Product => {
                    if let Some(index) = bound.own.iter().position(|own| !given(own)) {
                        return Err(self.missing(declared, Some(index)));
                    }
                }
                FeatureSource::Request | FeatureSource::Catalog => {}
            }
        }
        match bundle.lacking(&self.candidates(bound)) {
            Some((index, column)) => match schema.find(schema.name(column)) {
                Some((_, declared)) => Err(self.missing(declared, Some(index))),
                None => Ok(()),
            },
            None => Ok(()),
        }
    }

    /// The model needs a feature that is nowhere; of the request as a whole without a product.
    fn missing(&self, declared: &Declared, product: Option<usize>) -> ApiError {
        let (name, source) = (declared.name(), declared.source());
        let unit = &declared.feature.feature.unit;
        let needs = format!("the model needs {name:?} ({unit}) of {source}");
        let of = |index: usize| format!("{:?} has none", self.products[index].id.as_str());
        let without = match product {
            Some(index) if source == FeatureSource::Catalog => {
                format!(
                    "{needs}, and {}: send it, or bring the tables up to date",
                    of(index)
                )
            }
            _ if !self.listing.has_features() => {
                format!("{needs}, and this route has no place for it: send the list to /rank")
            }
            Some(index) => format!("{needs}, and {}", of(index)),
            None => format!("{needs}, which has none"),
        };
        let path = match product {
            Some(index) => self.listing.path(index, name),
            None if self.listing.has_features() => format!("features.{name}"),
            None => return ApiError::new(Kind::MissingFeature, without),
        };
        ApiError::new(Kind::MissingFeature, without).at(path)
    }

    /// Refuses values for features that no model declares.
    pub fn check_declared(&self, is_declared: impl Fn(&str) -> bool) -> Result<(), ApiError> {
        let refuse = |path: String, message: &str| Err(ApiError::invalid(path, message));
        if let Some((name, _)) = self.given.iter().find(|(name, _)| !is_declared(name)) {
            return refuse(format!("features.{name}"), "the model has no such feature");
        }
        for (index, product) in self.products.iter().enumerate() {
            let mut names = product.declared.iter().map(|(name, _)| name);
            if let Some(name) = names.find(|name| !is_declared(name)) {
                return match self.listing {
                    Listing::Columns => refuse(
                        format!("columns.{name}"),
                        "products have no such field or feature",
                    ),
                    listing => refuse(listing.path(index, name), "the model has no such feature"),
                };
            }
        }
        Ok(())
    }

    /// What the request says of the declared features of a product, and of itself, for a record.
    pub fn declared_in(&self, schema: &Schema, index: usize) -> BTreeMap<String, Given<'static>> {
        declared(schema, declared_of(&self.products[index]))
    }

    /// The same of the request as a whole.
    pub fn declared_in_all(&self, schema: &Schema) -> BTreeMap<String, Given<'static>> {
        declared(
            schema,
            self.given.iter().map(|(name, given)| (&**name, given)),
        )
    }
}

/// With the engine's score, whichever way it came.
fn declared_of<'p>(product: &'p Product) -> impl Iterator<Item = (&'p str, &'p Given<'p>)> {
    let score = product.engine_score.as_ref();
    let score = score.map(|score| (ENGINE_SCORE, score));
    let declared = product.declared.iter();
    score
        .into_iter()
        .chain(declared.map(|(name, given)| (&**name, given)))
}

fn declared<'g>(
    schema: &Schema,
    given: impl Iterator<Item = (&'g str, &'g Given<'g>)>,
) -> BTreeMap<String, Given<'static>> {
    let known = given.filter(|(name, _)| schema.find(name).is_some());
    known
        .map(|(name, given)| (name.to_owned(), given.clone().into_owned()))
        .collect()
}

/// Adds what is given of one feature, if the model declares it.
fn add(
    values: &mut Vec<(usize, f32)>,
    (schema, name, given): (&Schema, &str, &Given),
    is_here: impl Fn(&Declared) -> bool,
    (place, elsewhere): (&dyn Fn() -> String, &str),
) -> Result<(), ApiError> {
    let Some((column, declared)) = schema.find(name) else {
        return Ok(());
    };
    if !is_here(declared) {
        return Err(ApiError::invalid(place(), format!("{name} {elsewhere}")));
    }
    let value = declared.read(given).map_err(|problem| {
        let unit = &declared.feature.feature.unit;
        ApiError::invalid(place(), format!("{problem}; {name} is in {unit}"))
    })?;
    if values.iter().any(|(other, _)| *other == column) {
        return Err(ApiError::invalid(place(), "the feature is there twice"));
    }
    values.extend(value.map(|value| (column, value)));
    Ok(())
}
