//! From the bytes of a body to a valid ranking request. Total: every input is a request or an error
//! that says where it is wrong, and memory stays in proportion to what is accepted.

use std::fmt;

use searchop_model::item::ItemFields;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{
        DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer,
    },
};
use serde_json::error::Category;

use crate::error::{ApiError, Kind};

/// Longest query, in characters. What people type is below 200; this leaves room for what machines do.
pub const MAX_QUERY_CHARS: usize = 1000;
/// Longest query id, in characters; it goes back into every answer.
pub const MAX_QUERY_ID_CHARS: usize = 200;

/// A ranking request that satisfies every rule of the API.
///
/// Ids may repeat: each product is scored by itself and comes back once, equal scores in the order of
/// the request.
#[derive(Clone, Debug, PartialEq)]
pub struct RankRequest {
    pub query: String,
    pub query_id: Option<String>,
    pub user_id: Option<Id>,
    /// The ids as they came, one a candidate.
    pub ids: Vec<Id>,
    /// What the request says about each of them.
    pub fields: Vec<ItemFields>,
    /// How many products the answer has at most; at least 1.
    pub top_k: Option<usize>,
}

/// An id in the type it came in, so that it goes back the same way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Id {
    Text(String),
    Positive(u64),
    Negative(i64),
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Positive(number) => number.fmt(f),
            Self::Negative(number) => number.fmt(f),
        }
    }
}

impl RankRequest {
    /// Reads a body that may name at most `max_candidates` products.
    pub fn parse(body: &[u8], max_candidates: usize) -> Result<Self, ApiError> {
        let raw = read(body, Request { max_candidates }).map_err(|error| {
            // Where it is wrong costs time to follow, so only bodies that are wrong pay for it.
            explain(body, Request { max_candidates }).unwrap_or_else(|| unreadable(&error))
        })?;
        raw.validate(max_candidates)
    }
}

fn read<'de, S: DeserializeSeed<'de>>(
    body: &'de [u8],
    seed: S,
) -> Result<S::Value, serde_json::Error> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let value = seed.deserialize(&mut json)?;
    json.end()?;
    Ok(value)
}

/// Reads `body` again and follows the path; `None` if the fault is not at a path.
fn explain<'de>(body: &'de [u8], seed: impl DeserializeSeed<'de>) -> Option<ApiError> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let mut track = serde_path_to_error::Track::new();
    let error = seed
        .deserialize(serde_path_to_error::Deserializer::new(
            &mut json, &mut track,
        ))
        .err()?;
    let path = track.path();
    let error = unreadable(&error);
    let at_the_root = path.iter().len() == 0;
    Some(if error.kind() == Kind::InvalidJson || at_the_root {
        error
    } else {
        error.at(path.to_string())
    })
}

fn unreadable(error: &serde_json::Error) -> ApiError {
    let kind = match error.classify() {
        Category::Data => Kind::InvalidRequest,
        Category::Syntax | Category::Eof | Category::Io => Kind::InvalidJson,
    };
    ApiError::new(kind, error.to_string())
}

/// A request as it stands in the body.
#[derive(Default)]
struct RawRequest {
    query: Option<String>,
    query_id: Option<String>,
    user_id: Option<Id>,
    products: Option<RawProducts>,
    top_k: Option<usize>,
}

/// The first products, and how many there were.
struct RawProducts {
    kept: Vec<Product>,
    count: usize,
}

impl RawRequest {
    fn validate(self, max_candidates: usize) -> Result<RankRequest, ApiError> {
        let query = self
            .query
            .ok_or_else(|| ApiError::invalid("query", "query is required"))?;
        at_most("query", &query, MAX_QUERY_CHARS)?;
        if let Some(query_id) = &self.query_id {
            at_most("query_id", query_id, MAX_QUERY_ID_CHARS)?;
        }
        if self.top_k == Some(0) {
            return Err(ApiError::invalid("top_k", "top_k must be at least 1"));
        }
        let products = self
            .products
            .ok_or_else(|| ApiError::invalid("products", "products is required"))?;
        if products.count > max_candidates {
            let message = format!(
                "{} products, at most {max_candidates} are ranked",
                products.count
            );
            return Err(ApiError::new(Kind::TooManyProducts, message).at("products"));
        }
        let mut ids = Vec::with_capacity(products.count);
        let mut known = Vec::with_capacity(products.count);
        for (index, product) in products.kept.into_iter().enumerate() {
            let (id, fields) = product.split();
            let id = id.ok_or_else(|| {
                ApiError::invalid(format!("products[{index}].id"), "id is required")
            })?;
            known.push(fields);
            ids.push(id);
        }
        Ok(RankRequest {
            query,
            query_id: self.query_id,
            user_id: self.user_id,
            ids,
            fields: known,
            top_k: self.top_k,
        })
    }
}

fn at_most(path: &str, text: &str, limit: usize) -> Result<(), ApiError> {
    match text.chars().nth(limit) {
        Some(_) => Err(ApiError::invalid(
            path,
            format!("{path} is longer than {limit} characters"),
        )),
        None => Ok(()),
    }
}

/// Reads a whole request. Unknown fields are skipped.
struct Request {
    max_candidates: usize,
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Key {
    Query,
    QueryId,
    UserId,
    Products,
    TopK,
    #[serde(other)]
    Other,
}

impl<'de> DeserializeSeed<'de> for Request {
    type Value = RawRequest;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<RawRequest, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Request {
    type Value = RawRequest;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with query and products")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawRequest, A::Error> {
        let products = Products {
            keep: self.max_candidates,
        };
        let mut raw = RawRequest::default();
        while let Some(key) = map.next_key()? {
            match key {
                Key::Query => set(&mut raw.query, "query", map.next_value()?)?,
                Key::QueryId => set(&mut raw.query_id, "query_id", map.next_value()?)?,
                Key::UserId => set(&mut raw.user_id, "user_id", map.next_value()?)?,
                Key::Products => set(
                    &mut raw.products,
                    "products",
                    map.next_value_seed(products)?,
                )?,
                Key::TopK => set(&mut raw.top_k, "top_k", map.next_value()?)?,
                Key::Other => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(raw)
    }
}

fn set<T, E: serde::de::Error>(
    field: &mut Option<T>,
    name: &'static str,
    value: Option<T>,
) -> Result<(), E> {
    if field.is_some() {
        return Err(E::duplicate_field(name));
    }
    *field = value;
    Ok(())
}

/// Reads the list of products and keeps the first `keep`: a small body can hold millions of empty
/// products, which must not become large in memory before they are refused.
#[derive(Clone, Copy)]
struct Products {
    keep: usize,
}

impl<'de> DeserializeSeed<'de> for Products {
    type Value = Option<RawProducts>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Products {
    type Value = Option<RawProducts>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of products")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut kept = Vec::new();
        while kept.len() < self.keep {
            match list.next_element()? {
                Some(product) => kept.push(product),
                None => {
                    return Ok(Some(RawProducts {
                        count: kept.len(),
                        kept,
                    }));
                }
            }
        }
        let mut count = kept.len();
        while list.next_element::<IgnoredAny>()?.is_some() {
            count += 1;
        }
        Ok(Some(RawProducts { kept, count }))
    }
}

/// One product as it stands in the body. Unknown fields are skipped: clients send whole documents.
struct Product(ProductFields);

#[derive(Deserialize)]
struct ProductFields {
    id: Option<Id>,
    title: Option<String>,
    description: Option<String>,
    brand: Option<String>,
    category: Option<String>,
    price: Option<f64>,
    rating: Option<f64>,
    #[serde(alias = "ratingCount")]
    rating_count: Option<f64>,
    stock: Option<f64>,
    #[serde(alias = "addedTime")]
    added_time: Option<i64>,
}

impl Product {
    fn split(self) -> (Option<Id>, ItemFields) {
        let product = self.0;
        let fields = ItemFields {
            title: product.title,
            description: product.description,
            brand: product.brand,
            category: product.category,
            price: product.price,
            rating: product.rating,
            rating_count: product.rating_count,
            stock: product.stock,
            added_time: product.added_time,
        };
        (product.id, fields)
    }
}

impl<'de> Deserialize<'de> for Product {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_map(ProductVisitor)
    }
}

/// A derived struct would take a list of its fields for an object.
struct ProductVisitor;

impl<'de> Visitor<'de> for ProductVisitor {
    type Value = Product;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a product object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Product, A::Error> {
        ProductFields::deserialize(MapAccessDeserializer::new(map)).map(Product)
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_any(IdVisitor)
    }
}

struct IdVisitor;

impl Visitor<'_> for IdVisitor {
    type Value = Id;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or an integer of 64 bits")
    }

    fn visit_str<E>(self, text: &str) -> Result<Id, E> {
        Ok(Id::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Id, E> {
        Ok(Id::Text(text))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Id, E> {
        Ok(Id::Positive(number))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Id, E> {
        Ok(Id::Negative(number))
    }
}

#[cfg(test)]
mod tests;
