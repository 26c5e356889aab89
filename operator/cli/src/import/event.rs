//! What every source says, in one vocabulary: somebody searched, was shown a list, did something
//! with an item.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One event of a source.
///
/// The order is that in which things happen: by time, and at the same moment a search before its
/// list and the list before what is done with it. The rest of the order keeps the result the same
/// whatever the order of the files.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SourceEvent {
    /// Milliseconds since 1970.
    pub time_ms: i64,
    pub what: What,
    /// Who; empty where the source does not say.
    pub client: String,
    /// Visit of the client; empty where the source does not say.
    pub session: String,
    /// The source's own name of the list.
    pub list_id: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum What {
    Search {
        query: String,
        /// Address of the page, where the source says it.
        page: Option<String>,
    },
    List(ShownList),
    Act {
        action: Action,
        item: String,
    },
}

/// A list, or a part of one, as it came onto the screen.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ShownList {
    pub query: Option<String>,
    pub page: Option<String>,
    /// What kind of list it is: `search_results`, `related`.
    pub name: Option<String>,
    /// Filtered or sorted by the shopper, so the order is not the search engine's.
    pub refined: bool,
    /// In the order of the source.
    pub items: Vec<ShownItem>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ShownItem {
    pub id: String,
    /// 1-based.
    pub position: Option<u32>,
}

/// What was done with an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Action {
    Click,
    Cart,
    Purchase,
}

impl Action {
    pub const ALL: [Self; 3] = [Self::Click, Self::Cart, Self::Purchase];

    /// UBI's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Click => "click",
            Self::Cart => "add_to_cart",
            Self::Purchase => "purchase",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One row of the UBI events that are written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UbiEvent {
    pub time_ms: i64,
    /// `None` is an impression.
    pub action: Option<Action>,
    pub query_id: String,
    pub client: String,
    pub query: String,
    pub item: String,
    /// 1-based.
    pub position: u32,
}

impl UbiEvent {
    /// UBI's name of what happened.
    pub fn action_name(&self) -> &'static str {
        self.action.map_or("impression", Action::name)
    }
}

/// One row of the UBI queries that are written: a list with its items in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UbiQuery {
    pub time_ms: i64,
    pub query_id: String,
    pub client: String,
    pub query: String,
    pub items: Vec<String>,
}
