use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Declared features of one model at most; a ranker notes defaults of a row in the bits of a `u32`.
pub const MAX_DECLARED_FEATURES: usize = 32;

/// Values of a category that a model tells apart, the most frequent ones of its training rows.
pub const MAX_CATEGORIES: usize = 1000;

/// The features of the ECommerce preset, in column order.
pub const PRESET_FEATURES: [&str; 67] = [
    "query_terms",
    "query_mean_idf",
    "query_rarest_idf",
    "title_terms",
    "title_head_terms",
    "title_bm25",
    "title_bm25_share",
    "title_coverage",
    "title_idf_coverage",
    "title_rarest_found",
    "title_rarest_missing",
    "all_bm25",
    "all_bm25_share",
    "all_coverage",
    "all_idf_coverage",
    "all_rarest_found",
    "all_rarest_missing",
    "description_bm25_share",
    "description_idf_coverage",
    "bullet_points_bm25_share",
    "bullet_points_idf_coverage",
    "category_bm25_share",
    "title_first_match",
    "title_head_coverage",
    "title_head_used",
    "title_used",
    "title_exact",
    "title_prefix",
    "title_bigrams",
    "title_trigrams",
    "brand_match",
    "category_match",
    "number_match",
    "unwanted_in_title",
    "unwanted_anywhere",
    "says_without",
    "says_less",
    "brand_named",
    "audience_match",
    "colour_match",
    "other_colours",
    "brand_affinity",
    "brand_affinity_relative",
    "category_affinity",
    "category_affinity_relative",
    "price_log",
    "rating",
    "rating_count_log",
    "in_stock",
    "age_days",
    "item_impressions_log_30d",
    "item_ctr_7d",
    "item_ctr_30d",
    "item_coec_30d",
    "item_cart_rate_30d",
    "item_purchase_rate_30d",
    "item_cart_coec_30d",
    "item_purchase_coec_30d",
    "query_item_impressions_log_30d",
    "query_item_ctr_30d",
    "query_item_coec_30d",
    "query_item_cart_rate_30d",
    "query_item_purchase_rate_30d",
    "query_item_cart_coec_30d",
    "query_item_purchase_coec_30d",
    "list_similarity",
    "list_price_rank",
];

/// Fields of a product in a request, which also name columns there.
pub const PRODUCT_FIELDS: [&str; 12] = [
    "id",
    "title",
    "description",
    "bullet_points",
    "brand",
    "color",
    "category",
    "price",
    "rating",
    "rating_count",
    "stock",
    "added_time",
];

/// A feature beside those of the preset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": name_is_free(), "message": "a declared feature has the name of a feature of the preset or of a field of products: choose another"},
    {"rule": "!has(self.default) || !has(self.required) || !self.required", "message": "a declared feature has either a default or required: a required one is never without a value"},
    {"rule": "!has(self.default) || self.type != 'Number' || self.default.matches('^-?[0-9]{1,9}([.][0-9]{1,9})?$')", "message": "the default of a Number is a decimal, such as \"0.5\""},
]))]
pub struct DeclaredFeature {
    /// Name of the feature, unique in the list; requests give its value under this name.
    #[schemars(regex(pattern = r"^[a-z][a-z0-9_]{0,39}$"), length(max = 40))]
    pub name: String,

    /// Number: a finite number. Category: a text, of which a model tells apart the 1,000 most
    /// frequent ones of its training rows; any other is a missing value.
    #[serde(rename = "type")]
    pub kind: FeatureType,

    /// What the values are measured in, for people: "EUR", "BM25", "ISO 3166 code".
    #[schemars(length(min = 1, max = 60))]
    pub unit: String,

    /// Where values come from. Catalog: a column of the catalogue; a request may give others.
    /// Product: each product of a request, logged with each impression. Request: a request as a
    /// whole, logged with any impression of its list.
    pub source: FeatureSource,

    /// Column of the catalogue, or of the click log, where it is not called like the feature; in the
    /// log also below `event_attributes` or `event_attributes.object`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 100))]
    pub field: Option<String>,

    /// Stands in where there is no value, in training and in serving; each use is counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 100))]
    pub default: Option<String>,

    /// Refuses requests without a value, and training data without any. Without it and without a
    /// default, what has no value is a missing value.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub required: bool,
}

impl DeclaredFeature {
    /// The column that training reads.
    pub fn field(&self) -> &str {
        self.field.as_deref().unwrap_or(&self.name)
    }

    /// Whether a model may be asked without a value, and has to know what that means.
    pub fn may_be_missing(&self) -> bool {
        !self.required && self.default.is_none()
    }

    /// Whether both are read from the same place in the same way.
    pub fn reads_as(&self, other: &Self) -> bool {
        (self.kind, self.source, self.field()) == (other.kind, other.source, other.field())
    }
}

fn name_is_free() -> String {
    let names: Vec<String> = PRESET_FEATURES
        .iter()
        .chain(&PRODUCT_FIELDS)
        .map(|name| format!("'{name}'"))
        .collect();
    format!("!(self.name in [{}])", names.join(", "))
}

/// What values of a feature are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum FeatureType {
    Number,
    Category,
}

/// Where values of a feature come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum FeatureSource {
    Catalog,
    Product,
    Request,
}

impl fmt::Display for FeatureSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Catalog => "the catalogue",
            Self::Product => "each product",
            Self::Request => "the request",
        })
    }
}

/// A declared feature as a model learnt it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelFeature {
    #[serde(flatten)]
    pub feature: DeclaredFeature,
    /// Of a category: the texts that the model tells apart; the place of each is its code.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<String>,
}
