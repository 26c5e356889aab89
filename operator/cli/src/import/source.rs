//! What is known of each source, and what the user may say differently.

use std::{collections::HashMap, str::FromStr};

use super::{
    algolia,
    event::{Action, SourceEvent},
    ga4, metarank, segment,
    value::{BadField, Record},
};

/// Where events come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    Segment,
    Ga4,
    Algolia,
    Metarank,
}

/// What an event of a source is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Search,
    List,
    /// Filtered or sorted by the shopper.
    RefinedList,
    Act(Action),
    Ignored,
}

const KINDS: [(&str, Kind); 7] = [
    ("search", Kind::Search),
    ("list", Kind::List),
    ("refined_list", Kind::RefinedList),
    ("click", Kind::Act(Action::Click)),
    ("add_to_cart", Kind::Act(Action::Cart)),
    ("purchase", Kind::Act(Action::Purchase)),
    ("ignore", Kind::Ignored),
];

/// `Product Opened=click`: what the source's name means here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meaning {
    pub name: String,
    pub kind: Kind,
}

impl FromStr for Meaning {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = || KINDS.map(|(name, _)| name).join(", ");
        let (name, kind) = text
            .rsplit_once('=')
            .ok_or_else(|| format!("{text:?} is not NAME=KIND; KIND is one of {}", known()))?;
        let found = KINDS.iter().find(|(known, _)| *known == kind);
        let (_, found) = found.ok_or_else(|| format!("{kind:?} is not one of {}", known()))?;
        Ok(Self {
            name: name.to_owned(),
            kind: *found,
        })
    }
}

/// How rows of a source are read.
#[derive(Clone, Debug)]
pub struct Dialect {
    pub source: Source,
    kinds: HashMap<String, Kind>,
    /// What the first place of a list is called.
    pub position_base: u32,
    /// Field of an item that the catalogue has as its id.
    pub item_field: String,
    /// Field of a list that holds what was asked for.
    pub query_field: String,
}

/// What one row says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    pub events: Vec<SourceEvent>,
    pub other_events: u64,
    pub times_without_offset: u64,
}

impl Source {
    pub fn name(self) -> &'static str {
        match self {
            Self::Segment => "segment",
            Self::Ga4 => "ga4",
            Self::Algolia => "algolia",
            Self::Metarank => "metarank",
        }
    }

    /// Whether events name the list they belong to; otherwise the client holds them together.
    pub fn names_lists(self) -> bool {
        matches!(self, Self::Algolia | Self::Metarank)
    }

    fn kinds(self) -> &'static [(&'static str, Kind)] {
        match self {
            Self::Segment => segment::KINDS,
            Self::Ga4 => ga4::KINDS,
            Self::Algolia => algolia::KINDS,
            Self::Metarank => metarank::KINDS,
        }
    }

    /// As the source documents itself.
    pub fn dialect(self) -> Dialect {
        let (position_base, item_field) = match self {
            Self::Segment => (1, "product_id"),
            Self::Ga4 => (0, "item_id"),
            Self::Algolia => (1, "objectID"),
            Self::Metarank => (1, "id"),
        };
        let kinds = self.kinds().iter();
        Dialect {
            source: self,
            kinds: kinds.map(|(name, kind)| (plain(name), *kind)).collect(),
            position_base,
            item_field: item_field.to_owned(),
            query_field: "query".to_owned(),
        }
    }
}

impl Dialect {
    pub fn means(&mut self, meaning: &Meaning) {
        self.kinds.insert(plain(&meaning.name), meaning.kind);
    }

    /// What an event of this name is; [`Kind::Ignored`] where nobody said.
    pub fn kind(&self, name: &str) -> Kind {
        self.find(name).unwrap_or(Kind::Ignored)
    }

    pub fn find(&self, name: &str) -> Option<Kind> {
        self.kinds.get(&plain(name)).copied()
    }

    /// Leaves what `record` says in `row`.
    pub fn read(&self, record: &Record, row: &mut Row) -> Result<(), BadField> {
        match self.source {
            Source::Segment => segment::read(self, record, row),
            Source::Ga4 => ga4::read(self, record, row),
            Source::Algolia => algolia::read(self, record, row),
            Source::Metarank => metarank::read(self, record, row),
        }
    }
}

/// `Product Clicked`, `product_clicked` and `productClicked` are one name.
fn plain(name: &str) -> String {
    name.chars()
        .filter(|letter| letter.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_as_people_read_them() {
        let mut dialect = Source::Segment.dialect();
        for name in ["Product Clicked", "product_clicked", "productClicked"] {
            assert_eq!(dialect.kind(name), Kind::Act(Action::Click), "{name}");
        }
        assert_eq!(dialect.kind("Product Opened"), Kind::Ignored);
        dialect.means(&"Product Opened=click".parse().unwrap());
        assert_eq!(dialect.kind("product opened"), Kind::Act(Action::Click));
    }

    #[test]
    fn a_meaning_is_a_name_and_a_kind() {
        let read = |text: &str| text.parse::<Meaning>();
        assert_eq!(read("a=b=click").map(|found| found.name), Ok("a=b".into()));
        assert_eq!(
            read("buy=buy").unwrap_err(),
            "\"buy\" is not one of search, list, refined_list, click, add_to_cart, purchase, ignore"
        );
        assert_eq!(
            read("buy").unwrap_err(),
            "\"buy\" is not NAME=KIND; KIND is one of search, list, refined_list, click, add_to_cart, purchase, ignore"
        );
    }
}
