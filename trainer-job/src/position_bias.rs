//! What a run does about position bias, and why.

use polars::prelude::{PolarsResult, UInt32Chunked};
use searchop_contract::PositionBias;
use serde::{Deserialize, Serialize};

use crate::{
    propensity::{Cell, Propensities, place},
    stage_a,
    traffic::Traffic,
};

/// The decision, for the report and for who trains and judges.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PositionBiasDecision {
    /// Training learns what positions are worth beside the trees.
    pub corrected: bool,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What positions are worth, from data that training may see; figures on debiased clicks weigh
    /// by it, whether training does or not. `None` where the log does not show it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub propensities: Option<Propensities>,
}

impl PositionBiasDecision {
    /// Looks at the days up to `until`, included.
    pub fn of(traffic: &Traffic, wanted: PositionBias, until: i32) -> PolarsResult<Self> {
        let fitted = Propensities::fit(&cells(traffic, until)?);
        let reason = match (wanted, &fitted) {
            (PositionBias::None, _) => Some("training.positionBias is None".to_owned()),
            (PositionBias::Auto, Err(unidentified)) => Some(unidentified.to_string()),
            (PositionBias::Auto, Ok(_)) => None,
        };
        Ok(Self {
            corrected: reason.is_none(),
            reason,
            propensities: fitted.ok(),
        })
    }

    /// What training is to know of positions: nothing where it does not correct.
    pub fn for_training(&self) -> Option<&Propensities> {
        self.propensities.as_ref().filter(|_| self.corrected)
    }
}

/// Impressions and clicks of every (query key, item) at every place that it was shown at.
fn cells(traffic: &Traffic, until: i32) -> PolarsResult<Vec<Cell>> {
    let counted = stage_a::by_position(traffic, until)?;
    let column = |name: &str| counted.column(name)?.u32();
    let (queries, items) = (column("query")?, column("item")?);
    let (positions, impressions, clicks) = (
        column("position")?,
        column("impressions")?,
        column("clicks")?,
    );
    let mut cells = Vec::new();
    for row in 0..counted.height() {
        let at =
            |values: &UInt32Chunked| values.get(row).expect("groups and counters are never null");
        let Some(place) = place(Some(at(positions))) else {
            continue;
        };
        let next = Cell {
            pair: u64::from(at(queries)) << 32 | u64::from(at(items)),
            place,
            impressions: at(impressions),
            clicks: at(clicks),
        };
        // An event before the window may have left a click without its impression.
        if next.impressions > 0 {
            cells.push(next);
        }
    }
    Ok(cells)
}
