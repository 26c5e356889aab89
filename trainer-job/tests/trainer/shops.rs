//! Jobs and click logs for tests.

use std::path::Path;

use polars::prelude::{Column, DataFrame};
use searchop_contract::{
    BaselineName, BoostingParameters, DataSource, EvaluationSettings, LabelSettings, Measure,
    Metric, PositionBias, Reference, SyntheticShop, TrainingJob,
};
use searchop_model::item::ItemFields;
use searchop_trainer::data::{Cleaning, DAY_MS, Dataset, Judgments, Product, Window, day_of};

/// 200 products, 5,000 events.
pub fn small_job(store: &Path) -> TrainingJob {
    job(
        store,
        SyntheticShop {
            products: 200,
            events: 5_000,
            seed: 42,
            window_days: 30,
        },
    )
}

/// The shop of the samples: 2,000 products, 100,000 events.
pub fn default_job(store: &Path) -> TrainingJob {
    job(
        store,
        SyntheticShop {
            products: 2_000,
            events: 100_000,
            seed: 42,
            window_days: 30,
        },
    )
}

fn job(store: &Path, shop: SyntheticShop) -> TrainingJob {
    let against = |against| Measure::new(Metric::NDCG, 10, against);
    TrainingJob {
        model: "products".into(),
        version: 1,
        as_of_time: "2026-11-24T06:00:00Z".parse().unwrap(),
        data: DataSource::Synthetic(shop),
        parameters: BoostingParameters::default(),
        tuning: None,
        position_bias: PositionBias::Auto,
        labels: LabelSettings::default(),
        counter_dropout: 0.3,
        candidate_list: false,
        declared: Vec::new(),
        evaluation: EvaluationSettings {
            holdout_days: 7,
            baselines: vec![
                BaselineName::LoggedOrder,
                BaselineName::Bm25,
                BaselineName::Random,
            ],
            measures: vec![
                against(None),
                against(Some(Reference::Served)),
                against(Some(Reference::LoggedOrder)),
                against(Some(Reference::Bm25)),
                against(Some(Reference::Random)),
            ],
            confidence: 0.95,
        },
        artifacts_uri: format!("file://{}", store.display()),
        reference: None,
        evaluate_only: None,
        counter_lag: Default::default(),
        skip_if_data_unchanged: false,
        refresh: None,
        promoted: vec![],
        keep: vec![],
    }
}

/// An event of a handmade log.
#[derive(Clone, Copy)]
pub struct Line {
    pub list: &'static str,
    pub query: &'static str,
    pub item: &'static str,
    pub action: i8,
    pub position: Option<i32>,
    pub time_ms: i64,
}

pub fn product(id: &str, title: &str) -> Product {
    Product {
        id: id.into(),
        fields: ItemFields {
            title: Some(title.into()),
            ..ItemFields::default()
        },
    }
}

/// Lines must be in order of time, as loading leaves them.
pub fn dataset(products: Vec<Product>, lines: &[Line], window: Window) -> Dataset {
    let texts = |name: &str, of: fn(&Line) -> &'static str| {
        Column::new(name.into(), lines.iter().map(of).collect::<Vec<_>>())
    };
    let days: Vec<i32> = lines.iter().map(|line| day_of(line.time_ms)).collect();
    let events = DataFrame::new(
        lines.len(),
        vec![
            texts("list_id", |line| line.list),
            texts("query", |line| line.query),
            texts("client", |_| "c"),
            texts("item", |line| line.item),
            Column::new(
                "action".into(),
                lines
                    .iter()
                    .map(|line| i32::from(line.action))
                    .collect::<Vec<_>>(),
            ),
            Column::new(
                "position".into(),
                lines.iter().map(|line| line.position).collect::<Vec<_>>(),
            ),
            Column::new(
                "time_ms".into(),
                lines.iter().map(|line| line.time_ms).collect::<Vec<_>>(),
            ),
            Column::new("day".into(), days),
        ],
    );
    Dataset {
        products,
        events: events.unwrap(),
        window,
        through: window.end(),
        cleaning: Cleaning::default(),
        judgments: Judgments::default(),
        declared: Default::default(),
    }
}

/// Noon of a day, and some seconds.
pub fn noon(day: i32, seconds: i64) -> i64 {
    i64::from(day) * DAY_MS + DAY_MS / 2 + seconds * 1000
}
