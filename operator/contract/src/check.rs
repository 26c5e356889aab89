use std::fmt;

use serde::{Deserialize, Serialize};

/// What one look at something said: a JSON line of `searchop-trainer check`, a row of
/// `searchop validate`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Check {
    /// What was looked at, CamelCase.
    pub name: String,
    pub outcome: CheckOutcome,
    /// What was found; where it is not well, what to do.
    pub message: String,
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CheckOutcome {
    Pass,
    /// A model can be trained, but will be worse for it.
    Warn,
    /// Training would fail, or no model could pass the gate.
    Fail,
    /// Could not be looked at; the message says why.
    Skip,
}

impl fmt::Display for CheckOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pass => "PASS",
            Self::Warn => "WARN",
            Self::Fail => "FAIL",
            Self::Skip => "SKIP",
        })
    }
}

impl Check {
    pub fn new(name: &str, outcome: CheckOutcome, message: impl Into<String>) -> Self {
        Self {
            name: name.to_owned(),
            outcome,
            message: message.into(),
        }
    }
}
