//! What the reference services load: the same values as in the tables, in forms that suit Python.
//!
//! They compute the lexical features themselves, from token lists as a tuned service would keep
//! them. All that does not depend on the query is a matrix, one row a product. A query–item value
//! that differs from it is listed by query and product.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs::{self, File},
    io::{BufWriter, Write as _},
    path::Path,
};

use searchop_model::{
    bundle::features_of,
    features::{Source, features},
    item::Candidate,
    tables::{ItemRow, Tables},
    text::Analyzer,
};
use serde_json::json;

use crate::{
    Failure,
    fixture::Fixture,
    requests::{self, Request},
};

/// Distinct requests that reference services are asked.
pub const REQUESTS: usize = 1000;
/// Lexical features that the reference services compute. Others are handed to them ready, which
/// favours them.
const COMPUTED: [&str; 12] = [
    "query_terms",
    "title_bm25",
    "all_bm25",
    "title_bm25_share",
    "all_bm25_share",
    "title_coverage",
    "all_coverage",
    "title_exact",
    "title_prefix",
    "title_trigrams",
    "brand_match",
    "category_match",
];
/// Computed from the moment of the request.
const AGE: &str = "age_days";

/// The requests of `ids_preset`: real queries.
pub fn preset_requests(fixture: &Fixture, count: usize) -> Vec<Request> {
    requests::draw(count, 100, &fixture.queries, &fixture.ids)
}

/// The requests of `ids_numeric`: a page without a query, so that every feature is looked up.
pub fn numeric_requests(fixture: &Fixture, count: usize) -> Vec<Request> {
    requests::draw(count, 100, &[String::new()], &fixture.ids)
}

/// Writes the folder of the reference services.
pub fn write(fixture: &Fixture, tables: &Tables, items: &[ItemRow]) -> Result<(), Failure> {
    let folder = fixture.export_folder();
    fs::create_dir_all(&folder)?;
    let rows = base_rows(tables, items);
    let bytes: Vec<u8> = rows
        .iter()
        .flatten()
        .flat_map(|v| v.to_le_bytes())
        .collect();
    fs::write(folder.join("rows.f32"), bytes)?;
    let texts = Texts::write(&folder, items)?;
    write_pairs(&folder, fixture, tables, (items, &rows))?;
    let names: Vec<&str> = features().iter().map(|feature| feature.name).collect();
    let meta = json!({
        "features": names,
        "computed": computed(),
        "documents": items.len(),
        "title_tokens": texts.title.tokens,
        "all_tokens": texts.all.tokens,
        "title_documents": texts.title.documents,
        "all_documents": texts.all.documents,
    });
    fs::write(folder.join("meta.json"), meta.to_string())?;
    Ok(())
}

fn computed() -> Vec<&'static str> {
    let known = |name: &&str| *name == AGE || COMPUTED.contains(name);
    features()
        .iter()
        .map(|feature| feature.name)
        .filter(known)
        .collect()
}

fn base_rows(tables: &Tables, items: &[ItemRow]) -> Vec<Vec<f32>> {
    let candidates: Vec<Candidate> = items.iter().map(|item| candidate(&item.id)).collect();
    features_of(tables, "", tables.tables_time.as_second(), &candidates)
}

fn candidate(id: &str) -> Candidate<'_> {
    Candidate {
        id,
        ..Candidate::default()
    }
}

/// Values of the requests that depend on query and product and are not computed in Python.
fn write_pairs(
    folder: &Path,
    fixture: &Fixture,
    tables: &Tables,
    (items, base): (&[ItemRow], &[Vec<f32>]),
) -> Result<(), Failure> {
    let places: HashMap<&str, usize> = items
        .iter()
        .enumerate()
        .map(|(place, item)| (item.id.as_str(), place))
        .collect();
    let computed = computed();
    let looked_up: Vec<usize> = (0..features().len())
        .filter(|&column| !computed.contains(&features()[column].name))
        .collect();
    for feature in features() {
        if feature.source == Source::Text && !computed.contains(&feature.name) {
            println!("the reference services get {} ready", feature.name);
        }
    }
    let mut out = BufWriter::new(File::create(folder.join("pairs.ndjson"))?);
    for request in preset_requests(fixture, REQUESTS) {
        let key = tables.analyzer().query_key(&request.query);
        let candidates: Vec<Candidate> = request.ids.iter().map(|id| candidate(id)).collect();
        let time = tables.tables_time.as_second();
        let rows = features_of(tables, &request.query, time, &candidates);
        for (id, row) in request.ids.iter().zip(rows) {
            let base = &base[places[id.as_str()]];
            let other: BTreeMap<usize, Option<f32>> = looked_up
                .iter()
                .filter(|&&column| row[column].to_bits() != base[column].to_bits())
                .map(|&column| (column, Some(row[column]).filter(|value| !value.is_nan())))
                .collect();
            if !other.is_empty() {
                serde_json::to_writer(&mut out, &json!([key, id, other]))?;
                out.write_all(b"\n")?;
            }
        }
    }
    Ok(out.flush()?)
}

/// Documents that contain a token, and all tokens.
#[derive(Default)]
struct Counted {
    tokens: usize,
    documents: BTreeMap<String, u32>,
}

impl Counted {
    fn add(&mut self, tokens: &[&String]) {
        self.tokens += tokens.len();
        let distinct: BTreeSet<&&String> = tokens.iter().collect();
        for token in distinct {
            match self.documents.get_mut(*token) {
                Some(count) => *count += 1,
                None => {
                    self.documents.insert((*token).clone(), 1);
                }
            }
        }
    }
}

/// Token lists and what BM25 needs of them.
#[derive(Default)]
struct Texts {
    title: Counted,
    all: Counted,
}

impl Texts {
    fn write(folder: &Path, items: &[ItemRow]) -> Result<Self, Failure> {
        let analyzer = Analyzer::english();
        let mut texts = Self::default();
        let mut out = BufWriter::new(File::create(folder.join("items.ndjson"))?);
        for item in items {
            let tokens = |text: &Option<String>| text.as_ref().map(|text| analyzer.tokens(text));
            let fields = &item.fields;
            let (title, description) = (tokens(&fields.title), tokens(&fields.description));
            let (brand, category) = (tokens(&fields.brand), tokens(&fields.category));
            let key = fields.title.as_ref().map(|text| analyzer.query_key(text));
            let all: Vec<&String> = [&title, &description, &brand, &category]
                .into_iter()
                .flatten()
                .flatten()
                .collect();
            texts.title.add(&title.iter().flatten().collect::<Vec<_>>());
            texts.all.add(&all);
            let line = json!([
                item.id,
                fields.added_time,
                key,
                title,
                description,
                brand,
                category
            ]);
            serde_json::to_writer(&mut out, &line)?;
            out.write_all(b"\n")?;
        }
        out.flush()?;
        Ok(texts)
    }
}
