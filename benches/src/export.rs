//! What the reference services load: the same values as in the tables, in forms that suit Python.
//!
//! They compute the lexical features themselves, from a forward index of numbered terms as the
//! ranker has one. All that does not depend on the query is a matrix, one row a product. Of the rest,
//! a query–item value that differs from the matrix is listed by query and product.

use std::{
    collections::{BTreeMap, HashMap},
    fs::{self, File},
    io::{self, BufWriter, Write as _},
    path::Path,
};

use searchop_model::{
    bundle::features_of,
    features::{Source, features},
    item::Candidate,
    lexicon::{Collection, Label, Lexicon},
    tables::Tables,
    texts::{TermList, TextView},
};
use serde_json::json;

use crate::{
    Failure,
    fixture::Fixture,
    requests::{self, Request},
};

/// Raised when the reference services read something else than before.
pub const EXPORT_FORMAT: u32 = 2;
/// Distinct requests that reference services are asked.
pub const REQUESTS: usize = 1000;
/// Features that the reference services compute. Others of query and text are handed to them ready,
/// which favours them.
const COMPUTED: [&str; 43] = [
    "query_terms",
    "query_mean_idf",
    "query_rarest_idf",
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

/// Writes the folder of the reference services; `fixture.ids` are the products in their order.
pub fn write(fixture: &Fixture, tables: &Tables) -> Result<(), Failure> {
    let folder = fixture.export_folder();
    fs::create_dir_all(&folder)?;
    write_rows(&folder, &fixture.ids, tables)?;
    write_lexicon(&folder, tables.lexicon())?;
    let totals = write_texts(&folder, &fixture.ids, tables)?;
    write_pairs(&folder, fixture, tables)?;
    let names: Vec<&str> = features().iter().map(|feature| feature.name).collect();
    let lists: Vec<String> = TermList::ALL
        .iter()
        .map(|list| format!("{list:?}"))
        .collect();
    let collections: Vec<Vec<usize>> = Collection::ALL
        .iter()
        .map(|collection| {
            let lists = collection.lists().iter();
            lists.map(|list| *list as usize).collect()
        })
        .collect();
    let meta = json!({
        "features": names,
        "computed": COMPUTED.as_slice(),
        "lists": lists,
        "collections": collections,
        "documents": tables.lexicon().documents(),
        "tokens": totals,
    });
    fs::write(folder.join("meta.json"), meta.to_string())?;
    Ok(())
}

fn is_computed(name: &str) -> bool {
    name == AGE || COMPUTED.contains(&name)
}

fn create(folder: &Path, name: &str) -> io::Result<BufWriter<File>> {
    Ok(BufWriter::new(File::create(folder.join(name))?))
}

fn candidate(id: &str) -> Candidate<'_> {
    Candidate {
        id,
        ..Candidate::default()
    }
}

/// Rows without a query.
fn base_rows(tables: &Tables, ids: &[String]) -> Vec<Vec<f32>> {
    let candidates: Vec<Candidate> = ids.iter().map(|id| candidate(id)).collect();
    features_of(tables, "", tables.tables_time.as_second(), &candidates)
}

fn write_rows(folder: &Path, ids: &[String], tables: &Tables) -> Result<(), Failure> {
    let mut out = create(folder, "rows.f32")?;
    for part in ids.chunks(10_000) {
        for value in base_rows(tables, part).iter().flatten() {
            out.write_all(&value.to_le_bytes())?;
        }
    }
    Ok(out.flush()?)
}

/// The terms with how many documents have each, and the brands and categories they point to.
fn write_lexicon(folder: &Path, lexicon: &Lexicon) -> Result<(), Failure> {
    let (mut terms, mut documents) = (create(folder, "terms")?, create(folder, "documents.u32")?);
    for (term, containing) in lexicon.terms() {
        writeln!(terms, "{term}")?;
        for count in containing {
            documents.write_all(&count.to_le_bytes())?;
        }
    }
    terms.flush()?;
    documents.flush()?;
    for label in Label::ALL {
        let mut starts = create(folder, &format!("{label:?}.starts.u32"))?;
        let mut labels = create(folder, &format!("{label:?}.labels.u32"))?;
        let mut end = 0u32;
        for row in 0..lexicon.len() {
            starts.write_all(&end.to_le_bytes())?;
            for (label, items) in lexicon.labels(label, row) {
                labels.write_all(&(label.row() as u32).to_le_bytes())?;
                labels.write_all(&items.to_le_bytes())?;
                end += 1;
            }
        }
        starts.write_all(&end.to_le_bytes())?;
        starts.flush()?;
        labels.flush()?;
    }
    Ok(())
}

/// The forward index: of each product its term lists one after the other, then the trigrams of its
/// title, which are numbered here; and their lengths, −1 for a list that is not there. Returns the
/// terms of each collection.
fn write_texts(
    folder: &Path,
    ids: &[String],
    tables: &Tables,
) -> Result<[u64; Collection::ALL.len()], Failure> {
    let mut index = create(folder, "index.u32")?;
    let mut lengths = create(folder, "lengths.i32")?;
    let mut added = create(folder, "added.f64")?;
    let mut grams = Grams::default();
    let mut totals = [0; Collection::ALL.len()];
    for id in ids {
        let item = tables.item(id).ok_or("a product is not in the tables")?;
        let time = item
            .numbers()
            .added_time
            .map_or(f64::NAN, |time| time as f64);
        added.write_all(&time.to_le_bytes())?;
        let text = item.text();
        for list in TermList::ALL {
            let terms = text.terms(list);
            let length = terms.map_or(-1, |terms| terms.len() as i32);
            lengths.write_all(&length.to_le_bytes())?;
            for term in terms.unwrap_or_default() {
                index.write_all(&(term.row() as u32).to_le_bytes())?;
            }
        }
        let of_title = text.title().map(|title| grams.of(title));
        let length = of_title.as_ref().map_or(-1, |grams| grams.len() as i32);
        lengths.write_all(&length.to_le_bytes())?;
        for gram in of_title.unwrap_or_default() {
            index.write_all(&(tables.lexicon().len() as u32 + gram).to_le_bytes())?;
        }
        for (total, collection) in totals.iter_mut().zip(Collection::ALL) {
            *total += terms_of(&text, collection) as u64;
        }
    }
    index.flush()?;
    lengths.flush()?;
    added.flush()?;
    fs::write(folder.join("grams.json"), json!(grams.numbers).to_string())?;
    Ok(totals)
}

fn terms_of(text: &TextView, collection: Collection) -> usize {
    let lists = collection.lists().iter();
    lists
        .flat_map(|list| text.terms(*list))
        .map(<[_]>::len)
        .sum()
}

/// Windows of three characters, numbered as they come.
#[derive(Default)]
struct Grams {
    numbers: HashMap<String, u32>,
}

impl Grams {
    fn of(&mut self, title: &str) -> Vec<u32> {
        let starts: Vec<usize> = title.char_indices().map(|(start, _)| start).collect();
        let windows = starts.len().saturating_sub(2).max(starts.len().min(1));
        let end = |window: usize| starts.get(window + 3).copied().unwrap_or(title.len());
        (0..windows)
            .map(|window| self.number(&title[starts[window]..end(window)]))
            .collect()
    }

    fn number(&mut self, gram: &str) -> u32 {
        if let Some(number) = self.numbers.get(gram) {
            return *number;
        }
        let number = self.numbers.len() as u32;
        self.numbers.insert(gram.to_owned(), number);
        number
    }
}

/// Values of the requests that depend on query and product and are not computed in Python.
fn write_pairs(folder: &Path, fixture: &Fixture, tables: &Tables) -> Result<(), Failure> {
    let looked_up: Vec<usize> = (0..features().len())
        .filter(|&column| !is_computed(features()[column].name))
        .collect();
    for feature in features() {
        let of_query = matches!(feature.source, Source::Text | Source::Query);
        if of_query && !is_computed(feature.name) {
            println!("the reference services get {} ready", feature.name);
        }
    }
    let mut out = create(folder, "pairs.ndjson")?;
    for request in preset_requests(fixture, REQUESTS) {
        let key = tables.analyzer().query_key(&request.query);
        let candidates: Vec<Candidate> = request.ids.iter().map(|id| candidate(id)).collect();
        let time = tables.tables_time.as_second();
        let rows = features_of(tables, &request.query, time, &candidates);
        let base = base_rows(tables, &request.ids);
        for ((id, row), base) in request.ids.iter().zip(rows).zip(base) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_are_numbered_windows_of_three_characters() {
        let mut grams = Grams::default();
        assert_eq!(grams.of("abab"), [0, 1]);
        assert_eq!(grams.of("übab"), [2, 1]);
        assert_eq!(grams.of("ab"), [3]);
        assert_eq!(grams.of(""), [0u32; 0]);
    }

    #[test]
    fn what_is_computed_is_a_feature() {
        for name in COMPUTED {
            let feature = features().iter().find(|feature| feature.name == name);
            let source = feature.expect(name).source;
            assert!(matches!(source, Source::Text | Source::Query), "{name}");
        }
    }
}
