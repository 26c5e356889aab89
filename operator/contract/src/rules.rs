use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Places products after they are scored. Each product is placed by the first rule that names it:
/// pinned ones before all others, sold out ones after them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "has(self.outOfStock) != has(self.pins)", "message": "a rule needs exactly one of outOfStock and pins"},
]))]
pub struct ServingRule {
    /// Name of the rule, unique in the list; answers give it with each product that the rule placed.
    #[schemars(regex(pattern = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"), length(max = 40))]
    pub name: String,

    /// Where products without a piece left go; those of unknown stock stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "OutOfStock")]
    pub out_of_stock: Option<OutOfStock>,

    /// Products that come first where a request has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Pins")]
    pub pins: Option<Pins>,
}

/// Last: after all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OutOfStock {
    Last,
}

/// Products that come first, in this order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Pins {
    /// Queries that the pins are for, compared as the model compares queries; all where empty.
    #[serde(default)]
    #[schemars(length(max = 10), inner(length(min = 1, max = 100)))]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub queries: Vec<String>,

    /// Ids of the products.
    #[schemars(length(min = 1, max = 10), inner(length(min = 1, max = 100)))]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub ids: Vec<String>,
}
