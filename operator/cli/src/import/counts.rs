//! What was read, joined and left out, and why.

use std::collections::BTreeMap;

use serde::Serialize;

use super::event::Action;

/// Why a list is not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeftOut {
    WithoutQuery,
    OtherList,
    Refined,
}

/// Why an action belongs to no list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Orphan {
    /// The source's events name lists, this one names none.
    NoListNamed,
    /// The list it names is not there.
    UnknownList,
    /// No list showed the item before, or none in time.
    NotShown,
    /// It belongs to a list that is no search result.
    OtherList,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Rows read, bad ones too.
    pub rows: u64,
    /// Left out: rows that cannot be read.
    pub bad_rows: u64,
    /// Left out: events that are none of those below.
    pub other_events: u64,
    /// Left out: events that are there twice.
    pub duplicates: u64,
    /// Left out: events that do not say whose they are.
    pub without_client: u64,
    /// Kept: times without offset, read as UTC.
    pub times_without_offset: u64,
    pub searches: u64,
    pub lists: Lists,
    /// Impressions written.
    pub impressions: u64,
    /// Of these, without a position of their own: the order in the list is taken.
    pub without_position: u64,
    /// Left out: items that their list had shown before.
    pub repeated_impressions: u64,
    pub actions: BTreeMap<&'static str, Actions>,
    /// Lists read, by their name.
    pub list_names: BTreeMap<String, u64>,
}

/// Lists, as the source tells of them; several may be parts of one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Lists {
    pub read: u64,
    pub written: u64,
    pub without_query: u64,
    pub other_list: u64,
    pub refined: u64,
}

/// Actions of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Actions {
    pub read: u64,
    pub joined: u64,
    pub no_list_named: u64,
    pub unknown_list: u64,
    pub not_shown: u64,
    pub other_list: u64,
}

impl Actions {
    pub fn orphans(&self) -> u64 {
        self.read - self.joined
    }
}

impl Counts {
    /// Names beyond this many are product pages, not kinds of lists.
    const NAMES: usize = 50;

    pub fn list(&mut self, name: Option<&str>, left_out: Option<LeftOut>) {
        self.lists.read += 1;
        *match left_out {
            None => &mut self.lists.written,
            Some(LeftOut::WithoutQuery) => &mut self.lists.without_query,
            Some(LeftOut::OtherList) => &mut self.lists.other_list,
            Some(LeftOut::Refined) => &mut self.lists.refined,
        } += 1;
        let Some(name) = name else { return };
        if let Some(count) = self.list_names.get_mut(name) {
            *count += 1;
        } else if self.list_names.len() < Self::NAMES {
            self.list_names.insert(name.to_owned(), 1);
        }
    }

    pub fn act(&mut self, action: Action, orphan: Option<Orphan>) {
        let actions = self.actions.entry(action.name()).or_default();
        actions.read += 1;
        *match orphan {
            None => &mut actions.joined,
            Some(Orphan::NoListNamed) => &mut actions.no_list_named,
            Some(Orphan::UnknownList) => &mut actions.unknown_list,
            Some(Orphan::NotShown) => &mut actions.not_shown,
            Some(Orphan::OtherList) => &mut actions.other_list,
        } += 1;
    }

    /// Actions of all kinds that were read, and that belong to no list.
    pub fn orphans(&self) -> (u64, u64) {
        let actions = self.actions.values();
        actions.fold((0, 0), |(read, orphans), one| {
            (read + one.read, orphans + one.orphans())
        })
    }
}
