//! From the bytes of a body to a valid request.

mod bound;
mod columns;
mod product;
mod rank;
mod rerank;

use std::borrow::Cow;

use searchop_model::feature_log::Page;

pub use bound::{Bound, DeclaredValues, Listing};
pub use product::Product;
pub use rank::{Form, RankRequest};
pub use rerank::{Dialect, RerankRequest};

use crate::{
    error::{ApiError, Kind},
    id::Id,
    json::{List, Text},
};

/// Longest query, in characters. What people type is below 200; this leaves room for what machines do.
pub const MAX_QUERY_CHARS: usize = 1000;
/// Longest query id, in characters; it goes back into every answer.
pub const MAX_QUERY_ID_CHARS: usize = 200;
/// Longest name of an order, in characters.
pub const MAX_SORT_CHARS: usize = 200;
/// Products of a request that are explained at most: one takes as long as ranking hundreds.
pub const MAX_EXPLAINED: usize = 10;

/// What is ranked, in whatever shape it came.
///
/// Ids may repeat: each product is scored by itself and comes back once, equal scores in the order of
/// the request.
#[derive(Clone, Debug, PartialEq)]
pub struct Search<'a> {
    pub query: Cow<'a, str>,
    /// Without control characters.
    pub query_id: Option<Cow<'a, str>>,
    pub user_id: Option<Id<'a>>,
    pub products: Vec<Product<'a>>,
    pub listing: Listing,
    /// Declared features of the request as a whole.
    pub given: DeclaredValues<'a>,
    /// What they are a page of; only kept in records.
    pub page: Page,
}

/// The parts of a search that every shape has under the same names.
#[derive(Default)]
struct RawSearch<'a> {
    query: Option<Text<'a>>,
    query_id: Option<Text<'a>>,
    user_id: Option<Id<'a>>,
}

impl<'a> RawSearch<'a> {
    fn of(self, products: Vec<Product<'a>>, listing: Listing) -> Result<Search<'a>, ApiError> {
        let Text(query) = self
            .query
            .ok_or_else(|| ApiError::invalid("query", "query is required"))?;
        at_most("query", &query, MAX_QUERY_CHARS)?;
        if let Some(Text(query_id)) = &self.query_id {
            at_most("query_id", query_id, MAX_QUERY_ID_CHARS)?;
            if query_id.chars().any(char::is_control) {
                let message = "query_id has a control character, send a printable one";
                return Err(ApiError::invalid("query_id", message));
            }
        }
        Ok(Search {
            query,
            query_id: self.query_id.map(|Text(query_id)| query_id),
            user_id: self.user_id,
            products,
            listing,
            given: Vec::new(),
            page: Page::default(),
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

/// The number of results that are asked for.
fn at_least_one(path: &str, wanted: Option<usize>) -> Result<Option<usize>, ApiError> {
    match wanted {
        Some(0) => Err(ApiError::invalid(
            path,
            format!("{path} must be at least 1"),
        )),
        wanted => Ok(wanted),
    }
}

/// All elements of the list at `path`, if it is not too long.
fn whole<T>(path: &str, list: List<T>, limit: usize) -> Result<Vec<T>, ApiError> {
    if list.count > limit {
        let message = format!("{} {path}, at most {limit} are ranked", list.count);
        return Err(ApiError::new(Kind::TooManyProducts, message).at(path));
    }
    Ok(list.kept)
}

#[cfg(test)]
mod tests;
