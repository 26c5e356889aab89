//! The manifests that users copy from pass every rule.

use std::{fs, path::PathBuf};

use searchop_api::{GROUP, RankingModel, RetrainSchedule};
use serde_json::Value;

/// Each document of each sample, with its file.
fn documents() -> Vec<(PathBuf, Value)> {
    let samples = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../config/samples");
    let mut found = Vec::new();
    let mut folders = vec![samples];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let values: Vec<Value> = serde_saphyr::from_multiple(&text)
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            found.extend(values.into_iter().map(|value| (path.clone(), value)));
        }
    }
    found
}

#[test]
fn every_sample_is_accepted() {
    let (mut models, mut schedules) = (0, 0);
    for (path, document) in documents() {
        let shown = path.display();
        let text = |field: &str| document[field].as_str().unwrap_or_default().to_owned();
        if !text("apiVersion").starts_with(GROUP) {
            continue;
        }
        let accepted = match text("kind").as_str() {
            "RankingModel" => {
                models += 1;
                serde_json::from_value::<RankingModel>(document)
                    .map(|model| model.validate_cel().map_err(|errors| errors.to_string()))
            }
            "RetrainSchedule" => {
                schedules += 1;
                serde_json::from_value::<RetrainSchedule>(document)
                    .map(|schedule| schedule.validate_cel().map_err(|errors| errors.to_string()))
            }
            other => panic!("{shown}: there is no kind {other:?}"),
        };
        assert_eq!(accepted.unwrap(), Ok(()), "{shown}");
    }
    assert!(models >= 2 && schedules >= 1, "{models}, {schedules}");
}
