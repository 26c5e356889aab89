//! The ECommerce preset.

use super::{Feature, Signals, Source};
use crate::{item::single_precision, lexicon::Collection, texts::TermList};

const fn feature(
    name: &'static str,
    unit: &'static str,
    source: Source,
    value: fn(&Signals) -> f64,
) -> Feature {
    Feature {
        name,
        unit,
        source,
        default: f32::NAN,
        value,
    }
}

/// Of the query alone: the same for all its candidates, and never missing.
const fn of_query(name: &'static str, unit: &'static str, value: fn(&Signals) -> f64) -> Feature {
    Feature {
        default: 0.0,
        ..feature(name, unit, Source::Query, value)
    }
}

/// Of the whole list: see [`super::candidate_list`], which fills the last columns.
const fn of_list(name: &'static str, unit: &'static str) -> Feature {
    feature(name, unit, Source::CandidateList, |_| f64::NAN)
}

pub(super) static ECOMMERCE: [Feature; 67] = {
    use Collection::{All, BulletPoints, Category, Description, Title};
    use Source::{Item, ItemHistory, QueryItemHistory, Text};
    [
        of_query("query_terms", "terms", |s| s.query.len() as f64),
        of_query("query_mean_idf", "idf", |s| s.query.mean_idf()),
        of_query("query_rarest_idf", "idf", |s| s.query.rarest_idf()),
        feature("title_terms", "terms", Item, |s| {
            terms_in(s, TermList::Title)
        }),
        feature("title_head_terms", "terms", Item, |s| {
            terms_in(s, TermList::TitleHead)
        }),
        feature("title_bm25", "BM25", Text, |s| s.matched(Title).bm25),
        feature(
            "title_bm25_share",
            "share of the best possible BM25",
            Text,
            |s| s.matched(Title).share,
        ),
        feature("title_coverage", "share of query terms", Text, |s| {
            s.matched(Title).coverage
        }),
        feature(
            "title_idf_coverage",
            "share of query terms by idf",
            Text,
            |s| s.matched(Title).idf_coverage,
        ),
        feature("title_rarest_found", "idf", Text, |s| {
            s.matched(Title).rarest_found
        }),
        feature("title_rarest_missing", "idf", Text, |s| {
            s.matched(Title).rarest_missing
        }),
        feature("all_bm25", "BM25", Text, |s| s.matched(All).bm25),
        feature(
            "all_bm25_share",
            "share of the best possible BM25",
            Text,
            |s| s.matched(All).share,
        ),
        feature("all_coverage", "share of query terms", Text, |s| {
            s.matched(All).coverage
        }),
        feature(
            "all_idf_coverage",
            "share of query terms by idf",
            Text,
            |s| s.matched(All).idf_coverage,
        ),
        feature("all_rarest_found", "idf", Text, |s| {
            s.matched(All).rarest_found
        }),
        feature("all_rarest_missing", "idf", Text, |s| {
            s.matched(All).rarest_missing
        }),
        feature(
            "description_bm25_share",
            "share of the best possible BM25",
            Text,
            |s| s.matched(Description).share,
        ),
        feature(
            "description_idf_coverage",
            "share of query terms by idf",
            Text,
            |s| s.matched(Description).idf_coverage,
        ),
        feature(
            "bullet_points_bm25_share",
            "share of the best possible BM25",
            Text,
            |s| s.matched(BulletPoints).share,
        ),
        feature(
            "bullet_points_idf_coverage",
            "share of query terms by idf",
            Text,
            |s| s.matched(BulletPoints).idf_coverage,
        ),
        feature(
            "category_bm25_share",
            "share of the best possible BM25",
            Text,
            |s| s.matched(Category).share,
        ),
        feature("title_first_match", "tokens before", Text, |s| {
            s.title.first
        }),
        feature("title_head_coverage", "share of query terms", Text, |s| {
            s.title.head_coverage
        }),
        feature("title_head_used", "share of the tokens", Text, |s| {
            s.title.head_used
        }),
        feature("title_used", "share of the tokens", Text, |s| s.title.used),
        feature("title_exact", "0 or 1", Text, |s| {
            s.query.phrase_in_title(&s.text)
        }),
        feature("title_prefix", "0 or 1", Text, |s| {
            s.query.starts_title(&s.text)
        }),
        feature("title_bigrams", "share of query bigrams", Text, |s| {
            s.query.title_bigrams(&s.text)
        }),
        feature("title_trigrams", "share of query trigrams", Text, |s| {
            s.query.title_trigrams(&s.text)
        }),
        feature("brand_match", "0 or 1", Text, |s| {
            s.query.brand_match(&s.text)
        }),
        feature("category_match", "share of query terms", Text, |s| {
            s.query.category_match(&s.text)
        }),
        feature("number_match", "share of query numbers", Text, |s| {
            s.query.meaning.number_match(&s.text)
        }),
        feature("unwanted_in_title", "share of unwanted terms", Text, |s| {
            s.query.meaning.unwanted_in_title(&s.text)
        }),
        feature("unwanted_anywhere", "share of unwanted terms", Text, |s| {
            s.query.meaning.unwanted_anywhere(&s.text)
        }),
        feature("says_without", "0, 1 or 2", Text, |s| {
            s.query.meaning.says_without(&s.text)
        }),
        feature("says_less", "0 or 1", Text, |s| {
            s.query.meaning.says_less(&s.text)
        }),
        feature("brand_named", "0 or 1", Text, |s| {
            s.query.meaning.brand_named(&s.text)
        }),
        feature("audience_match", "-1, 0 or 1", Text, |s| {
            s.query.meaning.audience_match(&s.text)
        }),
        feature("colour_match", "share of query colours", Text, |s| {
            s.query.meaning.colour_match(&s.text)
        }),
        feature("other_colours", "colours", Text, |s| {
            s.query.meaning.other_colours(&s.text)
        }),
        feature("brand_affinity", "share of query terms by idf", Text, |s| {
            s.query.brand.of(s.text.name(TermList::BrandName))
        }),
        feature(
            "brand_affinity_relative",
            "share of the likeliest",
            Text,
            |s| s.query.brand.relative(s.text.name(TermList::BrandName)),
        ),
        feature(
            "category_affinity",
            "share of query terms by idf",
            Text,
            |s| s.query.category.of(s.text.name(TermList::CategoryLeaf)),
        ),
        feature(
            "category_affinity_relative",
            "share of the likeliest",
            Text,
            |s| {
                s.query
                    .category
                    .relative(s.text.name(TermList::CategoryLeaf))
            },
        ),
        feature("price_log", "ln(1 + price)", Item, |s| {
            log_of(s.numbers.price)
        }),
        feature("rating", "stars", Item, |s| number(s.numbers.rating)),
        feature("rating_count_log", "ln(1 + ratings)", Item, |s| {
            log_of(s.numbers.rating_count)
        }),
        feature("in_stock", "0 or 1", Item, |s| {
            match number(s.numbers.stock) {
                pieces if pieces.is_nan() => pieces,
                pieces => f64::from(u8::from(pieces > 0.0)),
            }
        }),
        feature("age_days", "days since added", Item, |s| {
            age_days(s.numbers.added_time, s.time)
        }),
        feature(
            "item_impressions_log_30d",
            "ln(1 + impressions)",
            ItemHistory,
            |s| s.item_shown.ln_1p(),
        ),
        feature("item_ctr_7d", "clicks per impression", ItemHistory, |s| {
            s.short.ctr
        }),
        feature("item_ctr_30d", "clicks per impression", ItemHistory, |s| {
            s.long.ctr
        }),
        feature(
            "item_coec_30d",
            "clicks per expected click",
            ItemHistory,
            |s| s.long.coec,
        ),
        feature("item_cart_rate_30d", "carts per click", ItemHistory, |s| {
            s.long.cart_rate
        }),
        feature(
            "item_purchase_rate_30d",
            "purchases per click",
            ItemHistory,
            |s| s.long.purchase_rate,
        ),
        feature(
            "item_cart_coec_30d",
            "carts per expected click",
            ItemHistory,
            |s| s.long.cart_coec,
        ),
        feature(
            "item_purchase_coec_30d",
            "purchases per expected click",
            ItemHistory,
            |s| s.long.purchase_coec,
        ),
        feature(
            "query_item_impressions_log_30d",
            "ln(1 + impressions)",
            QueryItemHistory,
            |s| s.query_item_shown.ln_1p(),
        ),
        feature(
            "query_item_ctr_30d",
            "clicks per impression",
            QueryItemHistory,
            |s| s.query_item.ctr,
        ),
        feature(
            "query_item_coec_30d",
            "clicks per expected click",
            QueryItemHistory,
            |s| s.query_item.coec,
        ),
        feature(
            "query_item_cart_rate_30d",
            "carts per click",
            QueryItemHistory,
            |s| s.query_item.cart_rate,
        ),
        feature(
            "query_item_purchase_rate_30d",
            "purchases per click",
            QueryItemHistory,
            |s| s.query_item.purchase_rate,
        ),
        feature(
            "query_item_cart_coec_30d",
            "carts per expected click",
            QueryItemHistory,
            |s| s.query_item.cart_coec,
        ),
        feature(
            "query_item_purchase_coec_30d",
            "purchases per expected click",
            QueryItemHistory,
            |s| s.query_item.purchase_coec,
        ),
        of_list("list_similarity", "mean cosine with the other titles"),
        of_list("list_price_rank", "share of the other prices"),
    ]
};

/// NaN without the field.
fn terms_in(signals: &Signals, list: TermList) -> f64 {
    let terms = signals.text.terms(list);
    terms.map_or(f64::NAN, |terms| terms.len() as f64)
}

/// ln(1 + value); NaN for what is missing, negative or not finite.
fn log_of(value: Option<f64>) -> f64 {
    number(value.filter(|value| *value >= 0.0)).ln_1p()
}

/// NaN for what is missing or not finite.
fn number(value: Option<f64>) -> f64 {
    value.and_then(single_precision).unwrap_or(f64::NAN)
}

/// An item that will be added later is as old as one added now.
fn age_days(added: Option<i64>, now: i64) -> f64 {
    const SECONDS: f64 = 86_400.0;
    added.map_or(f64::NAN, |added| {
        (now.saturating_sub(added).max(0)) as f64 / SECONDS
    })
}
