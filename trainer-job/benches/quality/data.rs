//! Products, judged queries and clicks of one folder.

use std::{
    collections::BTreeMap,
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use flate2::read::GzDecoder;
use searchop_contract::TableSource;
use searchop_trainer::{
    data::{self, Judgment, Judgments, Product},
    metrics::MAX_LABEL,
};
use serde::Deserialize;

/// Products and the grades that people gave them under queries.
pub struct World {
    folder: PathBuf,
    pub products: Vec<Product>,
    pub judgments: Judgments,
}

#[derive(Deserialize)]
struct Row {
    query: String,
    product_id: String,
    label: u8,
}

impl World {
    pub fn read(folder: &Path) -> Result<Self, String> {
        let source = TableSource {
            uri: products_file(folder).display().to_string(),
            id_field: None,
        };
        let products =
            data::read_catalog(&source, folder, &mut |_| ()).map_err(|error| error.to_string())?;
        let judgments = judgments(folder)?;
        println!("{} products, {judgments}", products.len());
        Ok(Self {
            folder: folder.to_owned(),
            products,
            judgments,
        })
    }

    pub fn products_file(&self) -> PathBuf {
        products_file(&self.folder)
    }

    /// The click log's files; `None` without one.
    pub fn clicks(&self) -> Option<Vec<PathBuf>> {
        let pattern = self.folder.join("clickstream*.parquet");
        let files = glob::glob(&pattern.display().to_string()).ok()?;
        let files: Vec<PathBuf> = files.filter_map(Result::ok).collect();
        (!files.is_empty()).then_some(files)
    }
}

fn products_file(folder: &Path) -> PathBuf {
    folder.join("products.parquet")
}

fn judgments(folder: &Path) -> Result<Judgments, String> {
    let plain = folder.join("judgments.csv");
    let packed = folder.join("judgments.csv.gz");
    let path = if plain.exists() { &plain } else { &packed };
    let failed = |error: &dyn std::fmt::Display| format!("{path:?}: {error}");
    let file = File::open(path).map_err(|error| failed(&error))?;
    let reader: Box<dyn Read> = if path == &packed {
        Box::new(GzDecoder::new(file))
    } else {
        Box::new(file)
    };
    let mut grades: BTreeMap<(String, String), u8> = BTreeMap::new();
    for row in csv::Reader::from_reader(reader).deserialize() {
        let row: Row = row.map_err(|error| failed(&error))?;
        if row.label > MAX_LABEL {
            return Err(failed(&format!("label {} of {:?}", row.label, row.query)));
        }
        grades.insert((row.query, row.product_id), row.label);
    }
    let judgment = |((query, item), grade): ((String, String), u8)| Judgment {
        query,
        item,
        rating: f64::from(grade),
    };
    Ok(Judgments {
        all: grades.into_iter().map(judgment).collect(),
        unrated: 0,
    })
}
