//! Training and scoring as the trainer does it.

use searchop_contract::BoostingParameters;
use searchop_model::{features::feature_names, forest::Forest};
use searchop_trainer::{
    boosting::{self, Groups, Settings},
    publish,
    rows::{RowList, Rows},
};

/// A trained forest.
pub struct Model(Forest);

impl Model {
    /// Grows all trees that `parameters` name.
    pub fn train(groups: &Groups, parameters: &BoostingParameters) -> Result<Self, String> {
        let settings = Settings {
            parameters,
            features: &feature_names(),
            categorical: &[],
            threads: 1,
        };
        let trained = boosting::train(groups, None, &settings, |_, _| ())
            .map_err(|error| error.to_string())?;
        let forest = publish::forest(&trained).map_err(|error| error.to_string())?;
        Ok(Self(forest))
    }

    /// A score for each row of a list.
    pub fn scores(&self, rows: &Rows, list: &RowList) -> Vec<f64> {
        let score = |row| self.0.score(rows.row(row));
        list.rows.clone().map(score).collect()
    }
}

/// The values of one feature over a list.
pub fn values(rows: &Rows, list: &RowList, feature: &str) -> Vec<f64> {
    let column = searchop_model::features::column(feature).expect("the feature is there");
    let value = |row: usize| f64::from(rows.row(row)[column]);
    list.rows.clone().map(value).collect()
}
