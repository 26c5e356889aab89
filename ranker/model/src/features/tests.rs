use std::collections::{BTreeMap, HashSet};

use proptest::prelude::*;

use super::*;
use crate::{counters::Totals, item::ItemFields, texts::Texts};

const NOW: i64 = 1_700_000_000;

fn shoe() -> ItemFields {
    ItemFields {
        title: Some("Nike Running Shoes Red".into()),
        description: Some("Light shoes for the road".into()),
        brand: Some("Nike".into()),
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
        let analyzer = Analyzer::english();
        let other = ItemFields {
            title: Some("Blue kettle".into()),
            ..ItemFields::default()
        };
        let (_, lexicon) = Texts::build(&analyzer, [Some(&shoe()), Some(&other)]).unwrap();
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
