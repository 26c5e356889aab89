//! Where products go after they are scored.

use searchop_contract::ServingRule;
use searchop_model::text::Analyzer;

/// The rules of a model, ready to be asked.
#[derive(Debug, Default)]
pub struct Rules {
    rules: Vec<Rule>,
    /// Of all rules together.
    pins: usize,
}

#[derive(Debug)]
struct Rule {
    name: String,
    test: Test,
}

#[derive(Debug)]
enum Test {
    SoldOut,
    Pinned {
        /// Normalised; empty for every query.
        queries: Vec<String>,
        ids: Vec<String>,
        /// Pins of the rules before.
        before: usize,
    },
}

/// A product's place by the rules; the smaller one comes first, whatever the scores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// Number of the pin among those of all rules, and index of its rule.
    Pinned(usize, usize),
    #[default]
    ByScore,
    /// Index of the rule.
    Last(usize),
}

impl Rules {
    /// `analyzer` is the one that the model's queries are normalised with.
    pub fn new(rules: &[ServingRule], analyzer: &Analyzer) -> Self {
        let mut made = Self::default();
        for rule in rules {
            let test = match &rule.pins {
                None => Test::SoldOut,
                Some(pins) => {
                    let keys = pins.queries.iter().map(|query| analyzer.query_key(query));
                    let before = made.pins;
                    made.pins += pins.ids.len();
                    Test::Pinned {
                        queries: keys.collect(),
                        ids: pins.ids.clone(),
                        before,
                    }
                }
            };
            made.rules.push(Rule {
                name: rule.name.clone(),
                test,
            });
        }
        made
    }

    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Where a product goes under the query with this key: the first rule that names it decides.
    pub fn place(&self, query_key: &str, id: &str, sold_out: bool) -> Place {
        let place = |(index, rule): (usize, &Rule)| match &rule.test {
            Test::SoldOut => sold_out.then_some(Place::Last(index)),
            Test::Pinned {
                queries,
                ids,
                before,
            } => {
                let holds = queries.is_empty() || queries.iter().any(|query| query == query_key);
                let pin = holds.then(|| ids.iter().position(|pinned| pinned == id))??;
                Some(Place::Pinned(before + pin, index))
            }
        };
        let mut rules = self.rules.iter().enumerate();
        rules.find_map(place).unwrap_or_default()
    }

    /// Name of the rule that gave the place.
    pub fn name(&self, place: Place) -> Option<&str> {
        match place {
            Place::ByScore => None,
            Place::Pinned(_, rule) | Place::Last(rule) => Some(&self.rules[rule].name),
        }
    }

    /// A score between 0 and 1 for callers that sort by it: it keeps the order of places and scores,
    /// tells apart what a sigmoid would not, and depends on nothing but the product and the query, so
    /// that a list may be ranked in parts. With rules, pinned products have the upper third and sold
    /// out ones the lower.
    pub fn sortable(&self, score: f64, place: Place) -> f32 {
        let finite = score.clamp(f64::MIN, f64::MAX);
        let unit = 0.5 * (1.0 + finite / (1.0 + finite.abs()));
        let sortable = match place {
            Place::ByScore if self.is_empty() => unit,
            Place::Pinned(pin, _) => 1.0 - (pin + 1) as f64 / (self.pins + 1) as f64 / 3.0,
            Place::ByScore => (1.0 + unit) / 3.0,
            Place::Last(_) => unit / 3.0,
        };
        sortable as f32
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use searchop_contract::{OutOfStock, Pins};

    use super::*;

    fn sold_out(name: &str) -> ServingRule {
        ServingRule {
            name: name.to_owned(),
            out_of_stock: Some(OutOfStock::Last),
            pins: None,
        }
    }

    fn pins(name: &str, queries: &[&str], ids: &[&str]) -> ServingRule {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        ServingRule {
            name: name.to_owned(),
            out_of_stock: None,
            pins: Some(Pins {
                queries: owned(queries),
                ids: owned(ids),
            }),
        }
    }

    fn rules(rules: &[ServingRule]) -> Rules {
        Rules::new(rules, &Analyzer::english())
    }

    /// Rules; query, id and whether it is sold out; the place and the name of its rule.
    type Row = (
        Vec<ServingRule>,
        (&'static str, &'static str, bool),
        Place,
        Option<&'static str>,
    );

    #[test]
    fn the_first_rule_that_names_a_product_places_it() {
        let promo = || pins("promo", &["Running  SHOES"], &["a", "b"]);
        let always = || pins("always", &[], &["b", "c"]);
        let table: Vec<Row> = vec![
            (vec![], ("shoes", "a", true), Place::ByScore, None),
            (
                vec![sold_out("gone")],
                ("shoes", "a", false),
                Place::ByScore,
                None,
            ),
            (
                vec![sold_out("gone")],
                ("shoes", "a", true),
                Place::Last(0),
                Some("gone"),
            ),
            (
                vec![promo()],
                ("running shoes", "b", false),
                Place::Pinned(1, 0),
                Some("promo"),
            ),
            (vec![promo()], ("shoes", "b", false), Place::ByScore, None),
            (
                vec![promo()],
                ("running shoes", "x", false),
                Place::ByScore,
                None,
            ),
            (
                vec![promo(), always()],
                ("running shoes", "b", false),
                Place::Pinned(1, 0),
                Some("promo"),
            ),
            (
                vec![promo(), always()],
                ("other", "b", false),
                Place::Pinned(2, 1),
                Some("always"),
            ),
            (
                vec![promo(), always()],
                ("running shoes", "c", false),
                Place::Pinned(3, 1),
                Some("always"),
            ),
            (
                vec![always(), sold_out("gone")],
                ("", "c", true),
                Place::Pinned(1, 0),
                Some("always"),
            ),
            (
                vec![sold_out("gone"), always()],
                ("", "c", true),
                Place::Last(0),
                Some("gone"),
            ),
        ];
        for (list, (query, id, out), place, name) in table {
            let rules = rules(&list);
            let found = rules.place(query, id, out);
            assert_eq!(
                (found, rules.name(found)),
                (place, name),
                "{query} {id} {out}"
            );
        }
    }

    #[test]
    fn without_rules_the_whole_range_is_used() {
        let none = Rules::default();
        assert_eq!(none.sortable(0.0, Place::ByScore), 0.5);
        assert_eq!(none.sortable(3.0, Place::ByScore), 0.875);
        for extreme in [f64::INFINITY, f64::NEG_INFINITY, f64::MAX] {
            let sortable = none.sortable(extreme, Place::ByScore);
            assert!((0.0..=1.0).contains(&sortable), "{extreme}: {sortable}");
        }
    }

    proptest! {
        #[test]
        fn the_sortable_score_keeps_the_order(
            scores in proptest::collection::vec(-40.0f64..40.0, 2..40),
            places in proptest::collection::vec(0usize..5, 40),
        ) {
            let rules = rules(&[pins("promo", &[], &["a", "b", "c"]), sold_out("gone")]);
            let place = [Place::Pinned(0, 0), Place::Pinned(1, 0), Place::Pinned(2, 0), Place::ByScore, Place::Last(1)];
            for (first, second) in (0..scores.len()).flat_map(|i| (0..i).map(move |j| (i, j))) {
                let key = |index: usize| (place[places[index]], scores[index]);
                let sortable = |index: usize| rules.sortable(key(index).1, key(index).0);
                let (a, b) = (key(first), key(second));
                prop_assert!((0.0..=1.0).contains(&sortable(first)));
                if a.0 < b.0 {
                    prop_assert!(sortable(first) > sortable(second), "{a:?} {b:?}");
                } else if a.0 == b.0 && a.1 > b.1 {
                    prop_assert!(sortable(first) >= sortable(second), "{a:?} {b:?}");
                }
            }
        }

        #[test]
        fn scores_a_thousandth_apart_stay_apart(score in -20.0f64..20.0) {
            let none = Rules::default();
            prop_assert!(none.sortable(score, Place::ByScore) < none.sortable(score + 1e-3, Place::ByScore));
        }
    }
}
