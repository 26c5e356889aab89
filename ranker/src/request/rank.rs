use std::fmt;

use searchop_model::feature_log::Page;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, MapAccess, Visitor},
};
use serde_json::{Map, Value};

use super::{
    Listing, MAX_EXPLAINED, MAX_SORT_CHARS, Product, RawSearch, Search, at_least_one, at_most,
    columns::{self, Columns, ReadColumns},
    product::{FeatureValues, RawProduct},
    whole,
};
use crate::{
    error::ApiError,
    id::Id,
    json::{self, Keep, List, Text, set, skip},
};

/// A valid request to `POST /rank`.
#[derive(Clone, Debug, PartialEq)]
pub struct RankRequest<'a> {
    pub search: Search<'a>,
    pub form: Form,
    /// How many products the answer has at most; at least 1.
    pub top_k: Option<usize>,
    /// Which products are to be explained, at most [`MAX_EXPLAINED`], by index.
    pub explain: Vec<usize>,
}

/// The form in which products came, which decides the form of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A list of products: they come back in order.
    Products,
    /// A list of ids beside lists of values: the scores come back aligned with the ids.
    Columns,
}

impl<'a> RankRequest<'a> {
    /// Reads a body that may name at most `max_candidates` products.
    pub fn parse(body: &'a [u8], max_candidates: usize) -> Result<Self, ApiError> {
        json::parse(body, Shape { max_candidates })?.validate(max_candidates)
    }
}

/// A request as it stands in the body.
#[derive(Default)]
struct RawRank<'a> {
    search: RawSearch<'a>,
    products: Option<List<RawProduct<'a>>>,
    ids: Option<List<Id<'a>>>,
    columns: Option<Columns<'a>>,
    top_k: Option<usize>,
    explain: Option<List<Id<'a>>>,
    features: Option<FeatureValues<'a>>,
    page: Option<u32>,
    sort: Option<Text<'a>>,
    filters: Option<Map<String, Value>>,
}

impl<'a> RawRank<'a> {
    fn validate(mut self, max_candidates: usize) -> Result<RankRequest<'a>, ApiError> {
        let (products, form) = self.take_products(max_candidates)?;
        let listing = match form {
            Form::Products => Listing::Products,
            Form::Columns => Listing::Columns,
        };
        let features = self.features.unwrap_or_default();
        if let Some((column, _)) = features.preset.first() {
            let name = searchop_model::features::features()[*column].name;
            let message =
                format!("{name} is a feature of products: send it in the features of each");
            return Err(ApiError::invalid(format!("features.{name}"), message));
        }
        let mut search = self.search.of(products, listing)?;
        search.given = features.declared;
        search.page = page(self.page, self.sort, self.filters)?;
        let top_k = at_least_one("top_k", self.top_k)?;
        if top_k.is_some() && form == Form::Columns {
            let message = "every id gets a score, so there is no top_k with ids";
            return Err(ApiError::invalid("top_k", message));
        }
        let explain = match self.explain {
            Some(explain) => explained(&explain, &search.products)?,
            None => Vec::new(),
        };
        Ok(RankRequest {
            search,
            form,
            top_k,
            explain,
        })
    }

    fn take_products(
        &mut self,
        max_candidates: usize,
    ) -> Result<(Vec<Product<'a>>, Form), ApiError> {
        let refuse = |path, message| Err(ApiError::invalid(path, message));
        match (self.products.take(), self.ids.take(), self.columns.take()) {
            (Some(_), Some(_), _) => refuse("ids", "send either products or ids, not both"),
            (Some(_), None, Some(_)) => refuse("columns", "columns go with ids, not with products"),
            (Some(products), None, None) => {
                let products = whole("products", products, max_candidates)?;
                Ok((with_ids("products", products)?, Form::Products))
            }
            (None, Some(ids), columns) => {
                let ids = whole("ids", ids, max_candidates)?;
                let products = columns::products(ids, columns.unwrap_or_default())?;
                Ok((products, Form::Columns))
            }
            (None, None, _) => refuse("products", "products is required"),
        }
    }
}

fn page(
    page: Option<u32>,
    sort: Option<Text>,
    filters: Option<Map<String, Value>>,
) -> Result<Page, ApiError> {
    if page == Some(0) {
        return Err(ApiError::invalid("page", "page must be at least 1"));
    }
    if let Some(Text(sort)) = &sort {
        at_most("sort", sort, MAX_SORT_CHARS)?;
    }
    Ok(Page {
        page,
        sort: sort.map(|Text(sort)| sort.into_owned()),
        filters: filters.map(Value::Object),
    })
}

/// The products of the list at `path`; each must have an id.
pub fn with_ids<'a>(path: &str, raw: Vec<RawProduct<'a>>) -> Result<Vec<Product<'a>>, ApiError> {
    let mut products = Vec::with_capacity(raw.len());
    for (index, raw) in raw.into_iter().enumerate() {
        let required = || ApiError::invalid(format!("{path}[{index}].id"), "id is required");
        products.push(Product {
            id: raw.id.ok_or_else(required)?,
            fields: raw.fields,
            values: raw.values,
            declared: raw.declared,
            engine_score: raw.engine_score,
        });
    }
    Ok(products)
}

fn explained(wanted: &List<Id>, products: &[Product]) -> Result<Vec<usize>, ApiError> {
    if wanted.count > MAX_EXPLAINED {
        let message = format!(
            "{} ids, at most {MAX_EXPLAINED} products are explained",
            wanted.count
        );
        return Err(ApiError::invalid("explain", message));
    }
    let index = |(place, id): (usize, &Id)| {
        let found = products
            .iter()
            .position(|product| product.id.as_str() == id.as_str());
        found.ok_or_else(|| {
            let message = format!("{:?} is not among the products", id.as_str());
            ApiError::invalid(format!("explain[{place}]"), message)
        })
    };
    wanted.kept.iter().enumerate().map(index).collect()
}

/// Reads a whole request. Unknown fields are skipped.
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
    Products,
    Ids,
    Columns,
    TopK,
    Explain,
    Features,
    Page,
    Sort,
    Filters,
    #[serde(other)]
    Other,
}

impl<'de> DeserializeSeed<'de> for Shape {
    type Value = RawRank<'de>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Shape {
    type Value = RawRank<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with query and products")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let keep = self.max_candidates;
        let mut raw = RawRank::default();
        let search = &mut raw.search;
        while let Some(key) = map.next_key()? {
            match key {
                Key::Query => set(&mut search.query, "query", map.next_value()?)?,
                Key::QueryId => set(&mut search.query_id, "query_id", map.next_value()?)?,
                Key::UserId => set(&mut search.user_id, "user_id", map.next_value()?)?,
                Key::Products => {
                    let list = map.next_value_seed(Keep::first(keep, "products"))?;
                    set(&mut raw.products, "products", list)?;
                }
                Key::Ids => {
                    let list = map.next_value_seed(Keep::first(keep, "ids"))?;
                    set(&mut raw.ids, "ids", list)?;
                }
                Key::Columns => {
                    let columns = map.next_value_seed(ReadColumns { keep })?;
                    set(&mut raw.columns, "columns", columns)?;
                }
                Key::TopK => set(&mut raw.top_k, "top_k", map.next_value()?)?,
                Key::Explain => {
                    let list = map.next_value_seed(Keep::first(MAX_EXPLAINED, "ids"))?;
                    set(&mut raw.explain, "explain", list)?;
                }
                Key::Features => set(&mut raw.features, "features", map.next_value()?)?,
                Key::Page => set(&mut raw.page, "page", map.next_value()?)?,
                Key::Sort => set(&mut raw.sort, "sort", map.next_value()?)?,
                Key::Filters => set(&mut raw.filters, "filters", map.next_value()?)?,
                Key::Other => skip(&mut map)?,
            }
        }
        Ok(raw)
    }
}
