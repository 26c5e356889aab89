use std::collections::{BTreeMap, HashSet};

use proptest::prelude::*;

use super::*;
use crate::{
    counters::Totals,
    item::ItemFields,
    texts::{AnalysedText, Texts},
};

const NOW: i64 = 1_700_000_000;

fn shoe() -> ItemFields {
    ItemFields {
        title: Some("Nike Running Shoes Red".into()),
        description: Some("Light shoes for the road".into()),
        bullet_points: Some("Breathable mesh".into()),
        brand: Some("Nike".into()),
        color: Some("Red".into()),
        category: Some("sports_outdoors/shoes".into()),
        price: Some(99.0),
        rating: Some(4.5),
        rating_count: Some(0.0),
        stock: Some(3.0),
        added_time: Some(NOW - 2 * 86_400),
    }
}

struct Shop {
    analyzer: Analyzer,
    lexicon: Lexicon,
    priors: Priors,
}

impl Shop {
    fn new() -> Self {
        let other = ItemFields {
            title: Some("Blue kettle".into()),
            ..ItemFields::default()
        };
        Self::of(&[shoe(), other])
    }

    fn of(items: &[ItemFields]) -> Self {
        let analyzer = Analyzer::english();
        let (_, lexicon) = Texts::build(&analyzer, items.iter().map(Some)).unwrap();
        let totals = Totals {
            impressions: [100; 9],
            clicks: [10; 9],
            carts: 9,
            purchases: 3,
        };
        Self {
            lexicon,
            priors: Priors::from_totals(&totals),
            analyzer,
        }
    }

    fn context(&self) -> FeatureContext<'_> {
        FeatureContext {
            analyzer: &self.analyzer,
            lexicon: &self.lexicon,
            priors: &self.priors,
        }
    }

    fn row(
        &self,
        query: &str,
        fields: &ItemFields,
        history: Option<&ItemHistory>,
        pair: Option<&Counters>,
    ) -> BTreeMap<&'static str, f32> {
        let context = self.context();
        let query = context.query(query);
        let tools = (&self.analyzer, &self.lexicon);
        let text = query.analyse(tools, fields, &TextView::default());
        let mut row = Vec::new();
        let input = RowInput {
            text: text.view(),
            numbers: fields.numbers(),
            item_history: history,
            query_item: pair,
            time: NOW,
        };
        context.row(&query, &input, &mut row);
        assert_eq!(row.len(), features().len());
        features()
            .iter()
            .map(|feature| feature.name)
            .zip(row)
            .collect()
    }
}

#[test]
fn names_are_distinct_and_safe_in_a_model_file() {
    let names: HashSet<&str> = features().iter().map(|feature| feature.name).collect();
    assert_eq!(names.len(), features().len());
    for name in names {
        assert!(
            name.bytes()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_'),
            "{name}"
        );
        assert!(!name.contains("position"));
    }
}

#[test]
fn a_known_row_has_the_values_computed_by_hand() {
    let shop = Shop::new();
    let mut counters = Counters {
        clicks: 4,
        carts: 2,
        purchases: 1,
        ..Counters::default()
    };
    counters.impressions[0] = 20;
    let history = ItemHistory {
        short: Counters::default(),
        long: counters,
    };
    let row = shop.row("running SHOES", &shoe(), Some(&history), Some(&counters));

    // Two documents; "run" and "shoe" are in one of the two titles, which have 4 and 2 tokens.
    let idf = (1.0f64 + 1.5 / 1.5).ln();
    let one_term = 2.2 / (1.0 + 1.2 * (0.25 + 0.75 * 4.0 / 3.0));
    let expected = [
        ("query_terms", 2.0),
        ("title_terms", 4.0),
        ("title_bm25", 2.0 * idf * one_term),
        ("title_bm25_share", one_term / 2.2),
        ("title_coverage", 1.0),
        ("all_coverage", 1.0),
        ("title_exact", 1.0),
        ("title_prefix", 0.0),
        ("brand_match", 0.0),
        ("category_match", 0.5),
        ("price_log", 100f64.ln()),
        ("rating", 4.5),
        ("rating_count_log", 0.0),
        ("in_stock", 1.0),
        ("age_days", 2.0),
        ("item_impressions_log_30d", 21f64.ln()),
        ("item_ctr_30d", (4.0 + 20.0 * 0.1) / 40.0),
        ("item_coec_30d", 6.0 / 4.0),
        ("item_cart_rate_30d", (2.0 + 10.0 * 0.1) / 14.0),
        ("item_purchase_rate_30d", (1.0 + 10.0 / 30.0) / 14.0),
        ("query_item_ctr_30d", (4.0 + 20.0 * 0.15) / 40.0),
        ("query_item_coec_30d", (4.0 + 2.0 * 1.5) / 4.0),
        ("query_item_cart_rate_30d", (2.0 + 10.0 * 3.0 / 14.0) / 14.0),
        ("query_item_impressions_log_30d", 21f64.ln()),
    ];
    for (name, value) in expected {
        assert!(
            (f64::from(row[name]) - value).abs() < 1e-6,
            "{name}: {} is not {value}",
            row[name]
        );
    }
    assert!(row["item_ctr_7d"].is_nan());
    // "running shoes" has 11 windows of three characters, all of them in the title.
    assert_eq!(row["title_trigrams"], 1.0);
    assert_eq!(
        shop.row("nike runing", &shoe(), None, None)["brand_match"],
        1.0
    );
    assert_eq!(
        shop.row("nike run", &shoe(), None, None)["title_prefix"],
        1.0
    );
    assert_eq!(
        shop.row("shoe running", &shoe(), None, None)["title_exact"],
        0.0
    );
}

/// A shop of these titles, each of a brand of its own, and the first item's row under a query.
fn first_row(titles: [&str; 3], query: &str) -> BTreeMap<&'static str, f32> {
    let items: Vec<ItemFields> = titles
        .iter()
        .zip(["Acme", "Best Foot", "Zen"])
        .map(|(title, brand)| ItemFields {
            title: Some((*title).into()),
            brand: Some(brand.into()),
            category: Some(format!("things > {}", title.split(' ').next().unwrap())),
            ..ItemFields::default()
        })
        .collect();
    let shop = Shop::of(&items);
    shop.row(query, &items[0], None, None)
}

#[test]
fn what_a_query_rules_out_is_told_apart_from_what_it_asks_for() {
    let others = ["Sneaker free of laces", "Sneaker laceless"];
    let query = "sneaker without laces";
    for (title, in_title, without, less) in [
        ("Sneaker with laces", 1.0, 0.0, 0.0),
        ("Sneaker without laces", 1.0, 2.0, 0.0),
        ("Sneaker lace free", 1.0, 2.0, 1.0),
        ("Sneaker laceless", 0.0, 0.0, 1.0),
    ] {
        let row = first_row([title, others[0], others[1]], query);
        let found = ["unwanted_in_title", "says_without", "says_less"].map(|name| row[name]);
        assert_eq!(found, [in_title, without, less], "{title:?}");
    }
    let row = first_row(["Not rated film", "Film", "Free film"], "not rated film");
    assert!(row["unwanted_in_title"].is_nan());
}

#[test]
fn people_colours_numbers_and_brands_are_matched_as_such() {
    let titles = ["Grey boot for women size 7", "Boot mens black", "Zen boot"];
    let row = |query| first_row(titles, query);
    for (query, name, value) in [
        ("ladies boots", "audience_match", 1.0),
        ("mens boots", "audience_match", -1.0),
        ("gray boots", "colour_match", 1.0),
        ("black boots", "colour_match", 0.0),
        ("black boots", "other_colours", 1.0),
        ("boots 7", "number_match", 1.0),
        ("boots 8", "number_match", 0.0),
        ("acme boots", "brand_named", 1.0),
        ("best foot boots", "brand_named", 0.0),
        ("boot grey", "title_head_coverage", 1.0),
        ("boot 7", "title_head_coverage", 0.5),
        ("grey boot", "title_bigrams", 1.0),
        ("boot grey", "title_bigrams", 0.0),
        ("women", "title_first_match", 3.0),
    ] {
        assert_eq!(row(query)[name], value, "{name} of {query:?}");
    }
    for name in [
        "audience_match",
        "colour_match",
        "number_match",
        "brand_named",
    ] {
        assert!(row("boots")[name].is_nan(), "{name}");
    }
}

#[test]
fn words_point_to_the_brands_and_categories_of_their_titles() {
    let row = first_row(["Kettle steel", "Kettle steel", "Lamp steel"], "kettle");
    // Two of the three titles with the word, and one more that nobody has seen.
    assert_eq!(row["category_affinity"], 2.0 / 3.0);
    assert_eq!(row["category_affinity_relative"], 1.0);
    assert_eq!(row["brand_affinity"], 1.0 / 3.0);
    let row = first_row(["Lamp steel", "Kettle steel", "Kettle steel"], "kettle");
    assert_eq!(row["category_affinity"], 0.0);
    let row = first_row(["Lamp", "Kettle", "Pot"], "vase");
    assert!(row["category_affinity_relative"].is_nan());
}

#[test]
fn a_pair_counts_from_its_fifth_impression() {
    let shop = Shop::new();
    for (shown, known) in [(4, false), (5, true)] {
        let mut pair = Counters::default();
        pair.impressions[2] = shown;
        let row = shop.row("shoes", &shoe(), None, Some(&pair));
        assert_eq!(!row["query_item_ctr_30d"].is_nan(), known, "{shown}");
    }
}

#[test]
fn lists_are_looked_at_as_a_whole_or_not_at_all() {
    let titles: Vec<ItemFields> = (0..MIN_CANDIDATES)
        .map(|index| ItemFields {
            title: Some(if index == 0 {
                "Lamp".into()
            } else {
                "Red shoe".into()
            }),
            price: Some(index as f64),
            ..ItemFields::default()
        })
        .collect();
    let shop = Shop::of(&titles);
    let (similarity, price) = (
        column("list_similarity").unwrap(),
        column("list_price_rank"),
    );
    let filled = |candidates: usize| {
        let query = shop.context().query("shoe");
        let tools = (&shop.analyzer, &shop.lexicon);
        let texts: Vec<AnalysedText> = titles[..candidates]
            .iter()
            .map(|fields| query.analyse(tools, fields, &TextView::default()))
            .collect();
        let mut rows = Vec::new();
        for (text, fields) in texts.iter().zip(&titles) {
            let input = RowInput {
                text: text.view(),
                numbers: fields.numbers(),
                item_history: None,
                query_item: None,
                time: NOW,
            };
            shop.context().row(&query, &input, &mut rows);
        }
        let mut list = CandidateList::default();
        for text in &texts {
            list.add(&shop.lexicon, &text.view());
        }
        list.fill(&mut rows);
        rows
    };
    let (all, few) = (filled(MIN_CANDIDATES), filled(MIN_CANDIDATES - 1));
    let at = |rows: &[f32], row: usize, column: usize| rows[row * features().len() + column];
    assert_eq!(at(&all, 0, similarity), 0.0);
    let others = (MIN_CANDIDATES - 2) as f32 / (MIN_CANDIDATES - 1) as f32;
    assert!((at(&all, 1, similarity) - others).abs() < 1e-6);
    assert_eq!(at(&all, 0, price.unwrap()), 0.0);
    assert_eq!(at(&all, MIN_CANDIDATES - 1, price.unwrap()), 1.0);
    assert!(at(&few, 1, similarity).is_nan() && at(&few, 1, price.unwrap()).is_nan());
}

#[test]
fn what_is_missing_is_nan_and_never_zero() {
    let shop = Shop::new();
    let row = shop.row("shoes", &ItemFields::default(), None, None);
    for feature in features() {
        // Over all fields an item without any text is a known empty document.
        let known = feature.source == Source::Query || feature.name.starts_with("all_");
        assert_eq!(row[feature.name].is_nan(), !known, "{}", feature.name);
        assert_eq!(feature.default.is_nan(), feature.source != Source::Query);
    }
    let wrong = ItemFields {
        price: Some(-1.0),
        rating: Some(f64::INFINITY),
        rating_count: Some(f64::NAN),
        ..shoe()
    };
    let row = shop.row(
        "",
        &wrong,
        Some(&ItemHistory::default()),
        Some(&Counters::default()),
    );
    for name in [
        "price_log",
        "rating",
        "rating_count_log",
        "title_bm25",
        "title_exact",
        "all_bm25_share",
        "item_ctr_30d",
        "query_item_ctr_30d",
    ] {
        assert!(row[name].is_nan(), "{name}");
    }
}

proptest! {
    #[test]
    fn rows_are_total_and_shares_are_shares(query in ".{0,30}", title in ".{0,60}", price in any::<f64>(), added in any::<i64>()) {
        let shop = Shop::new();
        let fields = ItemFields { title: Some(title), price: Some(price), added_time: Some(added), ..shoe() };
        let row = shop.row(&query, &fields, None, None);
        for name in ["title_bm25_share", "all_bm25_share", "title_coverage", "all_coverage", "title_trigrams", "category_match"] {
            let share = row[name];
            prop_assert!(share.is_nan() || (0.0..=1.0).contains(&share), "{} = {}", name, share);
        }
        prop_assert!(row.values().all(|value| !value.is_infinite()));
    }
}
