//! One record a call, in the schema `query` of User Behavior Insights 1.3.0, so that clicks can be
//! attributed to the version that ranked what was clicked.

use jiff::{Timestamp, Unit};
use searchop_contract::Digest;
use serde::Serialize;

use crate::{records::Kind, request::Search, state::Identity};

/// The records of a log of queries.
pub const KIND: Kind = Kind {
    name: "queries",
    waiting: 4096,
};

/// A query as User Behavior Insights describes it.
#[derive(Serialize)]
pub struct QueryRecord<'a> {
    application: &'a str,
    query_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<&'a str>,
    user_query: &'a str,
    timestamp: String,
    query_attributes: Attributes<'a>,
    /// Ids in the order shown.
    query_response_hit_ids: Vec<&'a str>,
}

/// What ranked them.
#[derive(Serialize)]
struct Attributes<'a> {
    model: &'a str,
    version: u32,
    digest: &'a Digest,
    tables_digest: &'a Digest,
    /// Products that were ranked, of which the answer may have only the best.
    candidates: usize,
}

impl<'a> QueryRecord<'a> {
    /// A record of `shown` as the answer to `search` at this moment.
    pub fn new(
        identity: &'a Identity,
        query_id: &'a str,
        search: &'a Search,
        shown: impl Iterator<Item = &'a str>,
    ) -> Self {
        let now = Timestamp::now();
        Self {
            application: &identity.model,
            query_id,
            client_id: search.user_id.as_ref().map(|id| id.as_str()),
            user_query: &search.query,
            timestamp: now.round(Unit::Millisecond).unwrap_or(now).to_string(),
            query_attributes: Attributes {
                model: &identity.model,
                version: identity.version,
                digest: &identity.digest,
                tables_digest: &identity.tables_digest,
                candidates: search.products.len(),
            },
            query_response_hit_ids: shown.collect(),
        }
    }
}
