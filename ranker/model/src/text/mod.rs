//! Text analysis. Everything here is part of the artifact's meaning: a change that alters one
//! output raises [`TEXT_VERSION`], and artifacts of another version are refused.

mod roles;

use rust_stemmers::{Algorithm, Stemmer};
use searchop_contract::TextVersion;
use unicode_normalization::UnicodeNormalization;

pub(crate) use roles::{ABSENCE, AUDIENCES, COLOURS, Role, role};

/// Version of the normaliser and the tokeniser.
pub const TEXT_VERSION: u32 = 1;

/// Normalises and tokenises text of one language.
pub struct Analyzer {
    stemmer: Stemmer,
    language: &'static str,
}

impl Analyzer {
    /// English: Snowball's English stemmer.
    pub fn english() -> Self {
        Self {
            stemmer: Stemmer::create(Algorithm::English),
            language: "english",
        }
    }

    /// What manifests say about this analyser.
    pub fn version(&self) -> TextVersion {
        TextVersion {
            version: TEXT_VERSION,
            language: self.language.to_owned(),
        }
    }

    /// The key under which a query's counters are stored and looked up: Unicode NFKC, lower case,
    /// runs of white space become one space, none at the ends. Idempotent.
    pub fn query_key(&self, raw: &str) -> String {
        let folded = fold(raw);
        let mut key = String::with_capacity(folded.len());
        for word in folded.split_whitespace() {
            if !key.is_empty() {
                key.push(' ');
            }
            key.push_str(word);
        }
        key
    }

    /// Stemmed lower-case words in the order of the text, split at everything that is neither
    /// letter nor digit.
    pub fn tokens(&self, text: &str) -> Vec<String> {
        words(&fold(text)).map(|word| self.token(word)).collect()
    }

    /// The same of the part of a title that names the thing itself: up to the first "for", "with"
    /// or "compatible", comma, colon, bracket, bar or dash.
    pub(crate) fn head_tokens(&self, title: &str) -> Vec<String> {
        let folded = fold(title);
        let mut end = 0;
        let mut tokens = Vec::new();
        for word in words(&folded) {
            let start = word.as_ptr() as usize - folded.as_ptr() as usize;
            let separated = end > 0 && separates(&folded[end..start]);
            if separated || role(word) == Some(Role::Link) {
                break;
            }
            end = start + word.len();
            tokens.push(self.token(word));
        }
        tokens
    }

    /// The stem of a folded word.
    pub(crate) fn token(&self, word: &str) -> String {
        self.stemmer.stem(word).into_owned()
    }
}

/// The words of folded text.
pub(crate) fn words(folded: &str) -> impl Iterator<Item = &str> {
    folded
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
}

/// Whether what stands between two words ends a part of a title.
fn separates(gap: &str) -> bool {
    gap.contains([',', '|', '(', '[', ':', '–', '—']) || gap.contains(" - ")
}

/// Words as one name, each behind `mark`, which no token has.
pub(crate) fn name<'a>(mark: char, words: impl IntoIterator<Item = &'a str>) -> String {
    words.into_iter().fold(String::new(), |mut name, word| {
        name.push(mark);
        name.push_str(word);
        name
    })
}

/// The last step with a word of a category's path: "books > fiction" and "books/fiction".
pub(crate) fn leaf(path: &str) -> &str {
    path.split(['>', '/', '|'])
        .rfind(|step| step.contains(char::is_alphanumeric))
        .unwrap_or_default()
}

/// NFKC and lower case. Lower-casing can leave text that NFKC composes further, and the other way
/// round; the second pass makes the result a fixed point.
pub(crate) fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let once = text.nfkc().collect::<String>().to_lowercase();
    once.nfkc()
        .collect::<String>()
        .to_lowercase()
        .nfkc()
        .collect()
}

/// The three-character windows of `text`, each packed into one integer: a `char` has 21 bits. Text
/// of one or two characters is its own only window.
pub(crate) fn trigrams(text: &str) -> impl Iterator<Item = u64> {
    let push = |packed: u64, c: char| (packed << 21 | u64::from(u32::from(c))) & ((1 << 63) - 1);
    let mut chars = text.chars();
    let (mut window, mut length) = (0, 0);
    for c in chars.by_ref().take(2) {
        (window, length) = (push(window, c), length + 1);
    }
    let first = chars.next();
    let short = (length > 0 && first.is_none()).then_some(window);
    let long = first.into_iter().chain(chars).map(move |c| {
        window = push(window, c);
        window
    });
    short.into_iter().chain(long)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_key_for_the_spellings_of_a_query() {
        let analyzer = Analyzer::english();
        for raw in [
            "Running Shoes",
            "  running\t shoes\n",
            "ＲＵＮＮＩＮＧ　shoes",
            "running\u{a0}shoes",
        ] {
            assert_eq!(analyzer.query_key(raw), "running shoes", "{raw:?}");
        }
        assert_eq!(analyzer.query_key("Cafe\u{301} ﬁlter"), "café filter");
        assert_eq!(analyzer.query_key(" \t"), "");
        assert_ne!(analyzer.query_key("shoe"), analyzer.query_key("shoes"));
    }

    #[test]
    fn tokens_are_stems_in_order() {
        let analyzer = Analyzer::english();
        assert_eq!(
            analyzer.tokens("Nike Running-Shoes, (2x)"),
            ["nike", "run", "shoe", "2x"]
        );
        assert_eq!(analyzer.tokens("sports_outdoors"), ["sport", "outdoor"]);
        assert!(analyzer.tokens("—!?").is_empty());
    }

    #[test]
    fn the_head_of_a_title_names_the_thing() {
        let analyzer = Analyzer::english();
        for (title, head) in [
            ("Leather Cases for Kindle", "leather case"),
            ("Kindle, 6 inch", "kindl"),
            ("Desk - white", "desk"),
            ("T-shirt (red)", "t shirt"),
            ("Anti-slip mat", "anti slip mat"),
            ("For Kindle", ""),
            ("(2 pack) socks", "2 pack sock"),
            ("", ""),
        ] {
            assert_eq!(analyzer.head_tokens(title).join(" "), head, "{title:?}");
        }
    }

    #[test]
    fn categories_have_a_last_step() {
        for (path, last) in [
            ("books > fiction", " fiction"),
            ("books/fiction > ", "fiction "),
            ("books", "books"),
            (" > ", ""),
        ] {
            assert_eq!(leaf(path), last, "{path:?}");
        }
    }

    #[test]
    fn trigrams_are_windows_of_three_characters() {
        let windows = |text| trigrams(text).collect::<Vec<u64>>();
        assert_eq!(windows("abab\u{10ffff}").len(), 3);
        assert_eq!(windows("abab")[0], windows("xaba")[1]);
        assert_eq!(windows("aaaa"), windows("aaa").repeat(2));
        assert_eq!(windows("ab").len(), 1);
        assert_ne!(windows("ab"), windows("ba"));
        assert!(windows("").is_empty());
    }

    #[test]
    fn every_character_has_a_stable_key() {
        let analyzer = Analyzer::english();
        for c in (0..=0x10_ffff).filter_map(char::from_u32) {
            let key = analyzer.query_key(&format!("a{c}b {c}"));
            assert_eq!(analyzer.query_key(&key), key, "{c:?}");
        }
    }

    proptest! {
        #[test]
        fn keys_are_idempotent(raw in "\\PC{0,40}|.{0,20}") {
            let analyzer = Analyzer::english();
            let key = analyzer.query_key(&raw);
            prop_assert_eq!(&analyzer.query_key(&key), &key);
            prop_assert_eq!(analyzer.tokens(&raw), analyzer.tokens(&key));
        }
    }
}
