//! What is ranked: from ids, a request, a log, or what the tables know to have been shown.

use std::{
    collections::BTreeMap,
    io::Read as _,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use searchop_model::{
    feature_log::FeatureRecord,
    features::column,
    item::{Candidate, ItemFields},
    text::Analyzer,
};
use serde::Deserialize;

use super::{DiffError, find::Version};
use crate::{
    args,
    bundles::Bundles,
    records::{Lines, files},
};

/// So many products a request has at most by default.
const MAX_CANDIDATES: usize = 1_000;

/// A query with its candidates.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Asked {
    pub query: String,
    pub items: Vec<Item>,
    /// Where the candidates are from, in words.
    pub from: String,
    /// The moment of the request; `None` for now.
    pub time: Option<Timestamp>,
}

/// A candidate, and what was said of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Item {
    pub id: String,
    pub fields: ItemFields,
    /// Features that were given, by column; NaN for one that is given as missing.
    pub values: Vec<(usize, f32)>,
}

impl Item {
    fn bare(id: String) -> Self {
        Self {
            id,
            ..Self::default()
        }
    }

    pub fn candidate(&self) -> Candidate<'_> {
        Candidate {
            id: &self.id,
            fields: &self.fields,
            values: &self.values,
            shared: &[],
        }
    }
}

impl Asked {
    /// What the command line names; `None` where it names only a query.
    pub fn named(args: &args::Diff) -> Result<Option<Self>, DiffError> {
        if let Some(path) = &args.file {
            return request(path).map(Some);
        }
        let query = args.query.clone().unwrap_or_default();
        if !args.log.is_empty() {
            return logged(&query, &args.log).map(Some);
        }
        if args.ids.is_empty() {
            return Ok(None);
        }
        Ok(Some(Self {
            query,
            items: args.ids.iter().cloned().map(Item::bare).collect(),
            from: "as named".to_owned(),
            time: None,
        }))
    }

    /// What the tables of both versions count under the query.
    pub async fn shown(
        args: &args::Diff,
        bundles: &mut Bundles,
        versions: [&Version; 2],
    ) -> Result<Self, DiffError> {
        let query = args.query.clone().unwrap_or_default();
        let mut items: Vec<Item> = Vec::new();
        for version in versions {
            let tables = &bundles.of(&version.digest, &version.tables).await?.tables;
            for id in tables.shown_under(tables.context().query(&query).key()) {
                if items.iter().all(|item| item.id != id) {
                    items.push(Item::bare(id.to_owned()));
                }
            }
        }
        if items.is_empty() {
            return Err(DiffError::NoCandidates(format!(
                "the tables know no item that was shown for {query:?}; name candidates with --ids, \
                 --log or -f"
            )));
        }
        Ok(Self {
            query,
            items,
            from: "shown for it, by the tables".to_owned(),
            time: None,
        })
    }

    pub fn check(&self) -> Result<(), DiffError> {
        match self.items.len() {
            0 => Err(DiffError::Usage("there is no candidate".to_owned())),
            1..=MAX_CANDIDATES => Ok(()),
            many => Err(DiffError::Usage(format!(
                "{many} candidates, at most {MAX_CANDIDATES} are compared"
            ))),
        }
    }
}

/// A body of `POST /rank`; what is no part of ranking is skipped.
#[derive(Deserialize)]
struct Request {
    query: String,
    products: Vec<Product>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Product {
    Id(Id),
    Object {
        id: Id,
        #[serde(flatten)]
        fields: Box<ItemFields>,
        #[serde(default)]
        features: BTreeMap<String, Option<f32>>,
    },
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Id {
    Text(String),
    Number(i64),
}

impl From<Id> for String {
    fn from(id: Id) -> Self {
        match id {
            Id::Text(id) => id,
            Id::Number(id) => id.to_string(),
        }
    }
}

impl TryFrom<Product> for Item {
    type Error = String;

    fn try_from(product: Product) -> Result<Self, String> {
        match product {
            Product::Id(id) => Ok(Self::bare(id.into())),
            Product::Object {
                id,
                fields,
                features,
            } => Ok(Self {
                id: id.into(),
                fields: fields.single(),
                values: given(&features)?,
            }),
        }
    }
}

fn given(features: &BTreeMap<String, Option<f32>>) -> Result<Vec<(usize, f32)>, String> {
    let value = |(name, value): (&String, &Option<f32>)| match column(name) {
        Some(column) => Ok((column, value.unwrap_or(f32::NAN))),
        None => Err(format!("the model has no feature {name:?}")),
    };
    features.iter().map(value).collect()
}

fn request(path: &Path) -> Result<Asked, DiffError> {
    let wrong = |detail: String| DiffError::Request {
        path: path.to_owned(),
        detail,
    };
    let mut text = Vec::new();
    let read = match path.to_str() {
        Some("-") => std::io::stdin().read_to_end(&mut text),
        _ => std::fs::File::open(path).and_then(|mut file| file.read_to_end(&mut text)),
    };
    read.map_err(|error| wrong(error.to_string()))?;
    of_request(&text).map_err(wrong)
}

fn of_request(text: &[u8]) -> Result<Asked, String> {
    let request: Request = serde_json::from_slice(text)
        .map_err(|error| format!("no request with a query and products: {error}"))?;
    let items = request.products.into_iter().map(Item::try_from);
    Ok(Asked {
        query: request.query,
        items: items.collect::<Result<_, _>>()?,
        from: "of the request".to_owned(),
        time: None,
    })
}

/// A line of either log.
#[derive(Deserialize)]
#[serde(untagged)]
enum Record {
    Features(Box<FeatureRecord>),
    Query {
        query_id: String,
        user_query: String,
        timestamp: Timestamp,
        query_response_hit_ids: Vec<String>,
    },
}

impl Record {
    fn query(&self) -> &str {
        match self {
            Self::Features(record) => &record.user_query,
            Self::Query { user_query, .. } => user_query,
        }
    }

    fn time(&self) -> Option<Timestamp> {
        match self {
            Self::Features(record) => Timestamp::from_second(record.time).ok(),
            Self::Query { timestamp, .. } => Some(*timestamp),
        }
    }

    fn asked(self, query: &str) -> Result<Asked, String> {
        let time = self.time();
        let (id, items) = match self {
            Self::Features(record) => {
                let item = |logged: &searchop_model::feature_log::LoggedCandidate| {
                    Ok(Item {
                        id: logged.id.clone(),
                        fields: logged.fields.clone(),
                        values: given(&logged.given)?,
                    })
                };
                let items = record.candidates.iter().map(item);
                (record.query_id, items.collect::<Result<_, String>>()?)
            }
            Self::Query {
                query_id,
                query_response_hit_ids,
                ..
            } => {
                let items = query_response_hit_ids.into_iter().map(Item::bare);
                (query_id, items.collect())
            }
        };
        let when = time.map_or_else(String::new, |time| format!(" of {time}"));
        Ok(Asked {
            query: query.to_owned(),
            items,
            from: format!("of the logged list {id:?}{when}"),
            time,
        })
    }
}

/// The newest record of the query, or of a variant with the same key.
fn logged(query: &str, logs: &[PathBuf]) -> Result<Asked, DiffError> {
    let analyzer = Analyzer::english();
    let key = analyzer.query_key(query);
    let mut newest: Option<Record> = None;
    for path in files(logs)? {
        let mut lines = Lines::open(&path)?;
        while let Some(line) = lines.read()? {
            let record: Record = serde_json::from_slice(line)
                .map_err(|_| lines.wrong("is no record of queries or features".to_owned()))?;
            let newer = newest
                .as_ref()
                .is_none_or(|other| record.time() > other.time());
            if newer && analyzer.query_key(record.query()) == key {
                newest = Some(record);
            }
        }
    }
    let record = newest.ok_or_else(|| {
        DiffError::NoCandidates(format!("{logs:?} have no record of the query {query:?}"))
    })?;
    record.asked(query).map_err(DiffError::Usage)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::*;

    #[test]
    fn a_request_has_ids_or_products() {
        let request = json!({
            "query": "red shoe", "top_k": 3,
            "products": ["p1", 17, {"id": "p2", "price": 3.5, "ratingCount": 4, "shelf": "x", "features": {"rating": null}}]
        });
        let asked = of_request(request.to_string().as_bytes()).unwrap();
        let ids: Vec<&str> = asked.items.iter().map(|item| item.id.as_str()).collect();
        assert_eq!((&*asked.query, ids), ("red shoe", vec!["p1", "17", "p2"]));
        let last = &asked.items[2];
        assert_eq!(
            (last.fields.price, last.fields.rating_count),
            (Some(3.5), Some(4.0))
        );
        assert!(last.values[0].1.is_nan());
        let error =
            |request: serde_json::Value| of_request(request.to_string().as_bytes()).unwrap_err();
        let unknown = json!({"query": "a", "products": [{"id": 1, "features": {"x": 1}}]});
        assert_eq!(error(unknown), "the model has no feature \"x\"");
        assert!(error(json!({"query": "a", "ids": []})).contains("missing field `products`"));
    }

    #[test]
    fn the_newest_record_of_the_query_is_taken_from_either_log() {
        let folder = tempfile::tempdir().unwrap();
        let digest = format!("sha256:{}", "a".repeat(64));
        let features = json!({
            "query_id": "f1", "user_query": "Red Shoes", "time": 1_700_000_000, "model": "m", "version": 1,
            "digest": digest, "tables_digest": digest, "features": [],
            "candidates": [{"id": "a", "fields": {"price": 2}, "values": [], "sources": "", "score": 0.5}]
        });
        let query = json!({
            "query_id": "q1", "user_query": "  red SHOES", "timestamp": "2023-11-14T22:13:21Z",
            "query_attributes": {}, "query_response_hit_ids": ["b", "c"]
        });
        fs::write(folder.path().join("1.ndjson"), format!("{features}\n")).unwrap();
        let logs = [folder.path().to_owned()];
        let found = logged("red shoes", &logs).unwrap();
        assert_eq!(found.items[0].fields.price, Some(2.0));
        assert_eq!(
            found.from,
            "of the logged list \"f1\" of 2023-11-14T22:13:20Z"
        );
        fs::write(folder.path().join("2.ndjson"), format!("{query}\n")).unwrap();
        let found = logged("red shoes", &logs).unwrap();
        assert_eq!((&*found.items[1].id, &*found.query), ("c", "red shoes"));
        assert!(matches!(
            logged("kettle", &logs),
            Err(DiffError::NoCandidates(_))
        ));
        fs::write(folder.path().join("3.ndjson"), "{}\n").unwrap();
        let error = logged("red shoes", &logs).unwrap_err().to_string();
        assert!(
            error.ends_with("3.ndjson:1: is no record of queries or features"),
            "{error}"
        );
    }
}
