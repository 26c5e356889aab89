//! What is asked: 100 candidates by their ids alone.

use std::{fs::File, io::Read as _, path::Path};

use flate2::read::GzDecoder;
use serde::{Deserialize, Serialize};

use crate::{Failure, catalogue::Draw};

/// A search with the candidates that an engine found.
#[derive(Clone, Serialize, Deserialize)]
pub struct Request {
    pub query: String,
    pub ids: Vec<String>,
}

impl Request {
    /// The body of `POST /rank`.
    pub fn body(&self) -> Vec<u8> {
        let products: Vec<_> = self
            .ids
            .iter()
            .map(|id| serde_json::json!({"id": id}))
            .collect();
        let body = serde_json::json!({"query": self.query, "products": products});
        body.to_string().into_bytes()
    }

    /// The same as it goes over the wire.
    pub fn bytes(&self) -> Vec<u8> {
        http(&self.body())
    }
}

/// A `POST /rank` with this body.
pub fn http(body: &[u8]) -> Vec<u8> {
    let mut bytes = format!(
        "POST /rank HTTP/1.1\r\nhost: ranker\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// `count` searches drawn from `queries`, with `candidates` ids each, drawn uniformly.
pub fn draw(count: usize, candidates: usize, queries: &[String], ids: &[String]) -> Vec<Request> {
    let mut draw = Draw::new(2);
    let request = |_| Request {
        query: queries[draw.below(queries.len())].clone(),
        ids: (0..candidates)
            .map(|_| ids[draw.below(ids.len())].clone())
            .collect(),
    };
    (0..count).map(request).collect()
}

/// The distinct queries of the ESCI sample in `folder`.
pub fn esci_queries(folder: &Path) -> Result<Vec<String>, Failure> {
    #[derive(Deserialize)]
    struct Judgment {
        query: String,
    }
    let path = folder.join("judgments.csv.gz");
    let file = File::open(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut text = String::new();
    GzDecoder::new(file).read_to_string(&mut text)?;
    let mut queries = Vec::new();
    for judgment in csv::Reader::from_reader(text.as_bytes()).deserialize() {
        let Judgment { query } = judgment?;
        if !queries.contains(&query) {
            queries.push(query);
        }
    }
    Ok(queries)
}
