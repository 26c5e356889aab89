//! What a query asks for beside its terms: something it does not want, numbers, people, colours and
//! brands.

use super::matching::share;
use crate::{
    lexicon::Lexicon,
    text::{ABSENCE, AUDIENCES, Analyzer, COLOURS, Role, name, role},
    texts::{BRAND_MARK, TermId, TermList, TextView},
};

/// Longest brand that is looked for in a query, in words.
const MAX_BRAND_WORDS: usize = 3;
/// Lists that tell for whom an item is.
const AUDIENCE_LISTS: [TermList; 2] = [TermList::Title, TermList::Category];
/// Lists that tell an item's colours.
const COLOUR_LISTS: [TermList; 2] = [TermList::Title, TermList::Color];
/// Lists with an item's own words.
const TEXT_LISTS: [TermList; 6] = [
    TermList::Title,
    TermList::Description,
    TermList::BulletPoints,
    TermList::Brand,
    TermList::Color,
    TermList::Category,
];

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Meaning {
    /// What stands behind "without", "no" or "not".
    unwanted: Vec<Unwanted>,
    /// Terms by which an item says that something is left out; none where all is wanted.
    absence: Vec<TermId>,
    /// "free".
    free: Option<TermId>,
    /// Tokens with a digit.
    numbers: Vec<TermId>,
    audience: Choice,
    colours: Choice,
    /// Brands of the catalogue.
    brands: Vec<TermId>,
}

/// A term that the query rules out.
#[derive(Clone, Debug, PartialEq)]
struct Unwanted {
    term: TermId,
    /// "laceless": what has none of it.
    less: Option<TermId>,
}

/// Groups of words that name alternatives: the query's own, and all others.
#[derive(Clone, Debug, Default, PartialEq)]
struct Choice {
    asked: Vec<Vec<TermId>>,
    others: Vec<Vec<TermId>>,
}

impl Meaning {
    /// `tokens` are the numbers of the words.
    pub fn new(analyzer: &Analyzer, lexicon: &Lexicon, words: &[&str], tokens: &[TermId]) -> Self {
        let known = |word: &str| lexicon.term(&analyzer.token(word));
        let unwanted = unwanted(words, tokens, |word| {
            lexicon.term(&analyzer.token(&format!("{}less", analyzer.token(word))))
        });
        let asks_less = !unwanted.is_empty();
        let absence = ABSENCE.iter().filter(|_| asks_less);
        let numbers = words.iter().zip(tokens);
        let numbers = numbers.filter(|(word, _)| word.contains(char::is_numeric));
        Self {
            unwanted,
            absence: absence.filter_map(|word| known(word)).collect(),
            free: known("free"),
            numbers: numbers.map(|(_, token)| *token).collect(),
            audience: Choice::new(AUDIENCES, words, known),
            colours: Choice::new(COLOURS, words, known),
            brands: brands(words, lexicon),
        }
    }

    /// Share of the query's numbers that the title has; NaN for a query without.
    pub fn number_match(&self, text: &TextView) -> f64 {
        let in_title = |number: &&TermId| text.has(TermList::Title, **number);
        let found = self.numbers.iter().filter(in_title).count();
        known_title(text, share(found, self.numbers.len()))
    }

    /// Share of the unwanted terms that the title has; NaN where nothing is unwanted.
    pub fn unwanted_in_title(&self, text: &TextView) -> f64 {
        let found = self
            .unwanted
            .iter()
            .filter(|one| text.has(TermList::Title, one.term));
        known_title(text, share(found.count(), self.unwanted.len()))
    }

    /// The same over all text.
    pub fn unwanted_anywhere(&self, text: &TextView) -> f64 {
        let found = self.unwanted.iter().filter(|one| anywhere(text, one.term));
        share(found.count(), self.unwanted.len())
    }

    /// 2 where the title says that something is left out, 1 where other text does, else 0; NaN
    /// where nothing is unwanted.
    pub fn says_without(&self, text: &TextView) -> f64 {
        if self.unwanted.is_empty() {
            return f64::NAN;
        }
        let any = |has: &dyn Fn(TermId) -> bool| self.absence.iter().any(|term| has(*term));
        if any(&|term| text.has(TermList::Title, term)) {
            2.0
        } else {
            flag(any(&|term| anywhere(text, term)))
        }
    }

    /// 1 where the text has "laceless" or the title "lace free" for a query without lace.
    pub fn says_less(&self, text: &TextView) -> f64 {
        if self.unwanted.is_empty() {
            return f64::NAN;
        }
        let title = text.terms(TermList::Title).unwrap_or_default();
        let says = |one: &Unwanted| {
            let free = self.free.is_some_and(|free| {
                let mut pairs = title.windows(2);
                pairs.any(|pair| pair == [one.term, free])
            });
            free || one.less.is_some_and(|less| anywhere(text, less))
        };
        flag(self.unwanted.iter().any(says))
    }

    /// 1 where the item is for those the query asks for alone, −1 where it is for others alone, 0
    /// for both; NaN where one does not say.
    pub fn audience_match(&self, text: &TextView) -> f64 {
        let (asked, others) = self.audience.found(text, AUDIENCE_LISTS);
        if self.audience.asked.is_empty() || asked + others == 0 {
            return f64::NAN;
        }
        flag(asked > 0) - flag(others > 0)
    }

    /// Share of the query's colours that the item has; NaN for a query without.
    pub fn colour_match(&self, text: &TextView) -> f64 {
        let (asked, _) = self.colours.found(text, COLOUR_LISTS);
        share(asked, self.colours.asked.len())
    }

    /// How many colours the item has that the query does not ask for; NaN for a query without.
    pub fn other_colours(&self, text: &TextView) -> f64 {
        if self.colours.asked.is_empty() {
            return f64::NAN;
        }
        self.colours.found(text, COLOUR_LISTS).1 as f64
    }

    /// Among items with a brand and queries that name one: 1 for this brand, 0 for another one.
    pub fn brand_named(&self, text: &TextView) -> f64 {
        match text.name(TermList::BrandName) {
            Some(brand) if !self.brands.is_empty() => flag(self.brands.contains(&brand)),
            _ => f64::NAN,
        }
    }
}

impl Choice {
    /// Only where the query chooses is anything kept.
    fn new(groups: &[&[&str]], words: &[&str], known: impl Fn(&str) -> Option<TermId>) -> Self {
        let ids = |group: &[&str]| group.iter().filter_map(|word| known(word)).collect();
        let named = |group: &[&str]| group.iter().any(|word| words.contains(word));
        let of = |asked: bool| groups.iter().filter(move |group| named(group) == asked);
        let asked: Vec<Vec<TermId>> = of(true).map(|group| ids(group)).collect();
        let others = of(false).filter(|_| !asked.is_empty());
        Self {
            others: others.map(|group| ids(group)).collect(),
            asked,
        }
    }

    /// How many of the query's groups and of the others the item names.
    fn found(&self, text: &TextView, lists: [TermList; 2]) -> (usize, usize) {
        let has = |term: &TermId| lists.iter().any(|list| text.has(*list, *term));
        let count = |groups: &[Vec<TermId>]| {
            let named = |group: &&Vec<TermId>| group.iter().any(has);
            groups.iter().filter(named).count()
        };
        (count(&self.asked), count(&self.others))
    }
}

/// The terms behind the first negation, which must not be the first word: "not rated".
fn unwanted(
    words: &[&str],
    tokens: &[TermId],
    less: impl Fn(&str) -> Option<TermId>,
) -> Vec<Unwanted> {
    let mut negations = words
        .iter()
        .position(|word| role(word) == Some(Role::Negation));
    let Some(place) = negations.take_if(|place| *place > 0) else {
        return Vec::new();
    };
    let behind = words.iter().zip(tokens).skip(place + 1);
    behind
        .filter(|(word, _)| role(word).is_none())
        .map(|(word, term)| Unwanted {
            term: *term,
            less: less(word),
        })
        .collect()
}

fn brands(words: &[&str], lexicon: &Lexicon) -> Vec<TermId> {
    (1..=MAX_BRAND_WORDS)
        .flat_map(|size| words.windows(size))
        .filter_map(|window| lexicon.term(&name(BRAND_MARK, window.iter().copied())))
        .collect()
}

fn anywhere(text: &TextView, term: TermId) -> bool {
    TEXT_LISTS.iter().any(|list| text.has(*list, term))
}

fn known_title(text: &TextView, value: f64) -> f64 {
    text.terms(TermList::Title).map_or(f64::NAN, |_| value)
}

fn flag(holds: bool) -> f64 {
    f64::from(u8::from(holds))
}
