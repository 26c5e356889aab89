//! The forest that is measured: trees that the trainer made on made-up shops. Early stopping ends a
//! run long before there are as many as are wanted, so the trees of several runs stand one after
//! the other; their scores add up.

use std::{fs, path::Path};

use searchop_contract::{BoostingParameters, Digest, MANIFEST_FORMAT, ModelManifest, names};
use searchop_model::{
    artifact::{Golden, GoldenRow, write_artifact, write_file},
    bundle::features_of,
    features::{FEATURES_VERSION, feature_names},
    forest::Forest,
    item::Candidate,
    tables::Tables,
};
use serde_json::{Value, json};

use crate::{Failure, catalogue::AS_OF, fixture::place, process::trainer, requests::Request};

/// Trees of the forest that is measured …
pub const TREES: usize = 200;
/// … and leaves of each.
const LEAVES: u32 = 31;
/// Each run has a shop of its own.
const SEEDS: std::ops::Range<u32> = 42..62;

/// The forest in LightGBM's text, trained in `folder` if it is not there yet.
pub fn forest(folder: &Path) -> Result<String, Failure> {
    let file = folder.join("forest.bst");
    if let Ok(text) = fs::read_to_string(&file) {
        return Ok(text);
    }
    fs::create_dir_all(folder)?;
    let mut texts: Vec<String> = Vec::new();
    let mut trees = 0;
    for seed in SEEDS {
        let text = train(folder, seed)?;
        trees += Parts::of(&text)?.trees.len();
        texts.push(text);
        if trees >= TREES {
            let text = joined(&texts)?;
            fs::write(&file, &text)?;
            return Ok(text);
        }
    }
    Err(format!("{trees} trees were trained, {TREES} are needed").into())
}

fn train(folder: &Path, seed: u32) -> Result<String, Failure> {
    let artifacts = folder.join("artifacts");
    let job = json!({
        "model": "products",
        "version": 1,
        "asOfTime": AS_OF,
        "data": {"synthetic": {"products": 20_000, "events": 200_000, "seed": seed, "windowDays": 30}},
        "parameters": {"numIterations": 300, "learningRate": 0.04, "numLeaves": LEAVES},
        "evaluation": {"holdoutDays": 5, "baselines": ["Bm25"], "confidence": 0.95, "measures": []},
        "artifactsUri": format!("file://{}", artifacts.display()),
    });
    let (file, report) = (folder.join("job.json"), folder.join("report.json"));
    fs::write(&file, job.to_string())?;
    trainer("run", |command| {
        command
            .arg("--job")
            .arg(&file)
            .arg("--report")
            .arg(&report)
            // With more threads than free cores LightGBM is many times slower.
            .env(names::CPU_LIMIT_ENV, "1000");
    })?;
    let report: Value = serde_json::from_slice(&fs::read(&report)?)?;
    let digest: Digest = serde_json::from_value(report["published"]["digest"].clone())?;
    let models = artifacts.join(names::MODELS_FOLDER);
    let text = fs::read_to_string(models.join(digest.hex()).join(names::MODEL_FILE))?;
    fs::remove_dir_all(artifacts)?;
    Ok(text)
}

/// LightGBM's text: head, trees, and what comes after them.
struct Parts<'a> {
    before_sizes: &'a str,
    after_sizes: &'a str,
    trees: Vec<&'a str>,
    tail: &'a str,
}

impl<'a> Parts<'a> {
    fn of(text: &'a str) -> Result<Self, Failure> {
        let (head, rest) = text.split_once("\n\nTree=").ok_or("no trees")?;
        let (trees, tail) = rest.split_once("end of trees").ok_or("no end of trees")?;
        let (before_sizes, sizes) = head.split_once("tree_sizes=").ok_or("no tree_sizes")?;
        let after_sizes = sizes.find('\n').map_or("", |end| &sizes[end..]);
        Ok(Self {
            before_sizes,
            after_sizes,
            trees: trees.trim_end().split("Tree=").collect(),
            tail,
        })
    }
}

/// The first [`TREES`] trees of all `texts`, numbered anew.
fn joined(texts: &[String]) -> Result<String, Failure> {
    let parts: Vec<Parts> = texts
        .iter()
        .map(|text| Parts::of(text))
        .collect::<Result<_, _>>()?;
    let all = parts.iter().flat_map(|part| &part.trees).take(TREES);
    let mut trees = Vec::new();
    for (number, tree) in all.enumerate() {
        let (_, body) = tree.split_once('\n').ok_or("a tree has no lines")?;
        trees.push(format!("Tree={number}\n{}\n\n\n", body.trim_end()));
    }
    let sizes: Vec<String> = trees.iter().map(|tree| tree.len().to_string()).collect();
    let first = &parts[0];
    Ok(format!(
        "{}tree_sizes={}{}\n\n{}end of trees{}",
        first.before_sizes,
        sizes.join(" "),
        first.after_sizes,
        trees.concat(),
        first.tail,
    ))
}

/// Seals a model of `text` below `models`, with the candidates of `request` as golden rows.
pub fn seal(
    text: &str,
    (tables, tables_digest): (&Tables, &Digest),
    request: &Request,
    models: &Path,
) -> Result<Digest, Failure> {
    let forest = Forest::parse(text.as_bytes())?;
    let time = tables.tables_time.as_second();
    let row = |id: &String| {
        let candidate = Candidate {
            id,
            ..Candidate::default()
        };
        let row = features_of(tables, &request.query, time, &[candidate]).remove(0);
        GoldenRow::new(&request.query, id, &row, forest.score(&row))
    };
    let golden = Golden {
        tables_digest: tables_digest.clone(),
        time,
        rows: request.ids.iter().map(row).collect(),
    };
    let manifest = ModelManifest {
        format_version: MANIFEST_FORMAT,
        model: "products".to_owned(),
        files: Vec::new(),
        text: tables.analyzer().version(),
        features_version: FEATURES_VERSION,
        features: feature_names(),
        candidate_list: false,
        declared: Vec::new(),
        parameters: BoostingParameters::default(),
        trees: forest.trees() as u32,
        trained_through_time: tables.tables_time,
    };
    place(models, |staging| {
        write_file(staging, names::MODEL_FILE, text.as_bytes())?;
        golden.write(staging)?;
        Ok(write_artifact(staging, manifest)?.0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joined_trees_are_numbered_anew() {
        let text = |value: i32| {
            format!(
                "tree\nversion=v4\ntree_sizes=9 9\n\nTree=0\nleaf_value={value}\n\n\nTree=1\nleaf_value=2\n\n\nend of trees\n\nparameters:\n"
            )
        };
        let joined = joined(&[text(1), text(3)]).unwrap();
        let trees: Vec<&str> = joined.split("\n\n").collect();
        assert!(
            joined.starts_with("tree\nversion=v4\ntree_sizes=22 22 22 22\n\nTree=0\n"),
            "{joined}"
        );
        assert!(
            joined.contains("Tree=2\nleaf_value=3\n\n\nTree=3\n"),
            "{joined}"
        );
        assert!(trees.len() > 4 && joined.ends_with("end of trees\n\nparameters:\n"));
    }
}
