use std::{borrow::Cow, fmt};

use searchop_model::item::ItemFields;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error, MapAccess, Unexpected, Visitor},
};

use super::{
    Listing, Product, RawSearch, Search, at_least_one,
    product::{IdOrObject, RawProduct},
    rank::with_ids,
    whole,
};
use crate::{
    error::{ApiError, Kind},
    id::Id,
    json::{self, Keep, List, set, skip},
};

/// A valid request to one of the rerank routes.
#[derive(Clone, Debug, PartialEq)]
pub struct RerankRequest<'a> {
    pub search: Search<'a>,
    pub dialect: Dialect,
    /// How many results the answer has at most; at least 1.
    pub top_n: Option<usize>,
    /// Whether the documents go back with their scores.
    pub return_documents: bool,
    /// Whether the scores are the model's own; only in the dialect of TEI.
    pub raw_scores: bool,
}

/// Whose API a request speaks, which decides the form of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Cohere's and Jina's: `documents` in, `results` out.
    Documents,
    /// That of Hugging Face's text-embeddings-inference: `texts` in, a bare list out.
    Texts,
}

impl<'a> RerankRequest<'a> {
    /// Reads a body that may name at most `max_candidates` documents.
    pub fn parse(body: &'a [u8], max_candidates: usize) -> Result<Self, ApiError> {
        json::parse(body, Shape { max_candidates })?.validate(max_candidates)
    }
}

/// A request as it stands in the body.
#[derive(Default)]
struct RawRerank<'a> {
    search: RawSearch<'a>,
    documents: Option<List<Document<'a>>>,
    texts: Option<List<Document<'a>>>,
    top_n: Option<usize>,
    return_documents: Option<bool>,
    raw_scores: Option<bool>,
}

impl<'a> RawRerank<'a> {
    fn validate(self, max_candidates: usize) -> Result<RerankRequest<'a>, ApiError> {
        let (path, list, dialect, listing) = match (self.documents, self.texts) {
            (Some(documents), None) => (
                "documents",
                documents,
                Dialect::Documents,
                Listing::Documents,
            ),
            (None, Some(texts)) => ("texts", texts, Dialect::Texts, Listing::Texts),
            (Some(_), Some(_)) => {
                let message = "send either documents or texts, not both";
                return Err(ApiError::invalid("texts", message));
            }
            (None, None) => {
                return Err(ApiError::invalid("documents", "documents is required"));
            }
        };
        let documents = whole(path, list, max_candidates)?;
        let mut raw = Vec::with_capacity(documents.len());
        for (index, document) in documents.into_iter().enumerate() {
            let product = document
                .read()
                .map_err(|error| error.at(format!("{path}[{index}]")))?;
            raw.push(product);
        }
        let products: Vec<Product> = with_ids(path, raw)?;
        Ok(RerankRequest {
            search: self.search.of(products, listing)?,
            dialect,
            top_n: at_least_one("top_n", self.top_n)?,
            return_documents: self.return_documents.unwrap_or_default(),
            raw_scores: self.raw_scores.unwrap_or_default(),
        })
    }
}

/// An element of `documents` or `texts`: an id; a product object, itself or as JSON in a string.
struct Document<'a>(RawProduct<'a>);

impl<'a> Document<'a> {
    fn read(self) -> Result<RawProduct<'a>, ApiError> {
        match &self.0.id {
            Some(Id::Text(text)) if text.trim_start().starts_with('{') => {
                let object: DocumentObject = serde_json::from_str(text).map_err(|error| {
                    let message = format!("the string is no product object: {error}");
                    ApiError::new(Kind::InvalidRequest, message)
                })?;
                Ok(object.into_owned().into())
            }
            _ => Ok(self.0),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Document<'a> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        let visitor = IdOrObject::<DocumentObject>::new("an id or a product object");
        json.deserialize_any(visitor).map(Self)
    }
}

/// Clients whose documents hold only strings send numbers as strings. `text` is what others call the
/// id. Unknown fields are skipped.
#[derive(Deserialize)]
struct DocumentObject<'a> {
    #[serde(borrow)]
    id: Option<Id<'a>>,
    #[serde(borrow)]
    text: Option<Id<'a>>,
    title: Option<String>,
    description: Option<String>,
    #[serde(alias = "bulletPoints")]
    bullet_points: Option<String>,
    brand: Option<String>,
    color: Option<String>,
    category: Option<String>,
    price: Option<Lenient>,
    rating: Option<Lenient>,
    #[serde(alias = "ratingCount")]
    rating_count: Option<Lenient>,
    stock: Option<Lenient>,
    #[serde(alias = "addedTime")]
    added_time: Option<Lenient>,
}

impl DocumentObject<'_> {
    fn into_owned(self) -> DocumentObject<'static> {
        let owned = |id: Option<Id>| {
            id.map(|id| match id {
                Id::Text(text) => Id::Text(Cow::Owned(text.into_owned())),
                Id::Number(digits) => Id::Number(digits),
            })
        };
        DocumentObject {
            id: owned(self.id),
            text: owned(self.text),
            ..self
        }
    }
}

impl<'a> From<DocumentObject<'a>> for RawProduct<'a> {
    fn from(document: DocumentObject<'a>) -> Self {
        let number = |value: Option<Lenient>| value.and_then(|Lenient(value)| value);
        let fields = ItemFields {
            title: document.title,
            description: document.description,
            bullet_points: document.bullet_points,
            brand: document.brand,
            color: document.color,
            category: document.category,
            price: number(document.price),
            rating: number(document.rating),
            rating_count: number(document.rating_count),
            stock: number(document.stock),
            added_time: number(document.added_time).map(|seconds| seconds as i64),
        };
        Self {
            id: document.id.or(document.text),
            fields: (!fields.is_empty()).then(|| Box::new(fields)),
            values: Vec::new(),
            declared: Vec::new(),
            engine_score: None,
        }
    }
}

/// A number, or one in a string; an empty string is missing.
struct Lenient(Option<f64>);

impl<'de> Deserialize<'de> for Lenient {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_any(LenientVisitor)
    }
}

struct LenientVisitor;

impl Visitor<'_> for LenientVisitor {
    type Value = Lenient;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, or one in a string")
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Lenient, E> {
        Ok(Lenient(Some(number)))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Lenient, E> {
        self.visit_f64(number as f64)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Lenient, E> {
        self.visit_f64(number as f64)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Lenient, E> {
        match text.trim() {
            "" => Ok(Lenient(None)),
            text => match text.parse::<f64>() {
                Ok(number) if number.is_finite() => self.visit_f64(number),
                _ => Err(E::invalid_value(Unexpected::Str(text), &self)),
            },
        }
    }
}

/// Reads a whole request. Fields of the dialects that have no meaning here (`model`, `truncate`,
/// `max_tokens_per_doc`, `rank_fields`, …) are skipped like unknown ones.
#[derive(Clone, Copy)]
struct Shape {
    max_candidates: usize,
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Key {
    Query,
    QueryId,
    UserId,
    Documents,
    Texts,
    #[serde(alias = "top_k")]
    TopN,
    #[serde(alias = "return_text")]
    ReturnDocuments,
    RawScores,
    #[serde(other)]
    Other,
}

impl<'de> DeserializeSeed<'de> for Shape {
    type Value = RawRerank<'de>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Shape {
    type Value = RawRerank<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with query and documents")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let keep = self.max_candidates;
        let mut raw = RawRerank::default();
        let search = &mut raw.search;
        while let Some(key) = map.next_key()? {
            match key {
                Key::Query => set(&mut search.query, "query", map.next_value()?)?,
                Key::QueryId => set(&mut search.query_id, "query_id", map.next_value()?)?,
                Key::UserId => set(&mut search.user_id, "user_id", map.next_value()?)?,
                Key::Documents => {
                    let list = map.next_value_seed(Keep::first(keep, "documents"))?;
                    set(&mut raw.documents, "documents", list)?;
                }
                Key::Texts => {
                    let list = map.next_value_seed(Keep::first(keep, "texts"))?;
                    set(&mut raw.texts, "texts", list)?;
                }
                Key::TopN => set(&mut raw.top_n, "top_n", map.next_value()?)?,
                Key::ReturnDocuments => {
                    let wanted = map.next_value()?;
                    set(&mut raw.return_documents, "return_documents", wanted)?;
                }
                Key::RawScores => set(&mut raw.raw_scores, "raw_scores", map.next_value()?)?,
                Key::Other => skip(&mut map)?,
            }
        }
        Ok(raw)
    }
}
