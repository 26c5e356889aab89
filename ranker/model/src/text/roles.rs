//! Words that do something besides naming a thing. English only, as the analyser is.

/// What a lower-case word does in a query or a title.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// What follows is not wanted: "desk without wheels".
    Negation,
    /// Ends the part of a title that names the thing itself: "case for phone".
    Link,
    /// Binds other words together.
    Glue,
}

/// `None` for the words that name things, which most do.
pub(crate) fn role(word: &str) -> Option<Role> {
    Some(match word {
        "without" | "no" | "not" => Role::Negation,
        "for" | "with" | "compatible" => Role::Link,
        "the" | "a" | "an" | "of" | "and" | "to" | "in" | "on" | "by" | "or" | "is" | "it"
        | "your" | "my" | "from" | "at" => Role::Glue,
        _ => return None,
    })
}

/// Words by which an item says that something is left out.
pub(crate) const ABSENCE: &[&str] = &["without", "no", "not", "non", "sans", "free"];

/// For whom something is.
pub(crate) const AUDIENCES: &[&[&str]] = &[
    &["women", "woman", "womens", "ladies", "lady"],
    &["girl", "girls"],
    &["men", "mens", "man"],
    &["boy", "boys"],
    &[
        "kid", "kids", "child", "children", "toddler", "toddlers", "baby", "infant", "newborn",
    ],
    &["adult", "adults"],
];

/// One entry for each colour, with its spellings.
pub(crate) const COLOURS: &[&[&str]] = &[
    &["black"],
    &["white"],
    &["red"],
    &["blue"],
    &["green"],
    &["yellow"],
    &["brown"],
    &["tan"],
    &["pink"],
    &["purple"],
    &["orange"],
    &["grey", "gray"],
    &["silver"],
    &["gold"],
    &["beige"],
    &["navy"],
    &["clear"],
];
