//! UBI 1.3.0 as files: written beside their place and moved there once they are whole.

use std::{
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use flate2::{Compression, write::GzEncoder};
use jiff::Timestamp;
use serde::Serialize;
use tempfile::NamedTempFile;

use super::event::{UbiEvent, UbiQuery};

#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    #[error("write {path:?}: {source}")]
    Write { path: PathBuf, source: io::Error },
    #[error("--out {path:?} ends in none of .ndjson, .jsonl and .csv, each also with .gz")]
    Ending { path: PathBuf },
    #[error(
        "--queries {path:?} ends in none of .ndjson and .jsonl, each also with .gz; CSV has no place for lists"
    )]
    QueriesEnding { path: PathBuf },
}

/// Columns of the CSV: UBI's, flattened.
const COLUMNS: [&str; 7] = [
    "action_name",
    "query_id",
    "client_id",
    "timestamp",
    "user_query",
    "object_id",
    "position_ordinal",
];

/// A file that comes into being.
struct Draft {
    path: PathBuf,
    out: Packed,
}

enum Packed {
    Plain(BufWriter<NamedTempFile>),
    /// Rows are written in small pieces, and every piece would be compressed by itself.
    Gzip(BufWriter<GzEncoder<NamedTempFile>>),
}

impl Write for Packed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(out) => out.write(bytes),
            Self::Gzip(out) => out.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(out) => out.flush(),
            Self::Gzip(out) => out.flush(),
        }
    }
}

impl Draft {
    fn new(path: &Path, gzip: bool) -> io::Result<Self> {
        const BUFFER: usize = 1 << 16;
        let file = tempfile::Builder::new()
            .prefix(".searchop-import-")
            .permissions(permissions())
            .tempfile_in(folder(path))?;
        Ok(Self {
            path: path.to_owned(),
            out: if gzip {
                let packed = GzEncoder::new(file, Compression::fast());
                Packed::Gzip(BufWriter::with_capacity(BUFFER, packed))
            } else {
                Packed::Plain(BufWriter::with_capacity(BUFFER, file))
            },
        })
    }

    fn finish(self) -> io::Result<()> {
        let file = match self.out {
            Packed::Plain(out) => out.into_inner().map_err(io::IntoInnerError::into_error)?,
            Packed::Gzip(out) => {
                let packed = out.into_inner().map_err(io::IntoInnerError::into_error)?;
                packed.finish()?
            }
        };
        file.as_file().sync_all()?;
        file.persist(self.path).map_err(|error| error.error)?;
        Ok(())
    }
}

/// What any new file asks for; temporary ones are private by themselves.
fn permissions() -> std::fs::Permissions {
    use std::os::unix::fs::PermissionsExt;
    std::fs::Permissions::from_mode(0o666)
}

/// The folder in which a file is.
pub fn folder(path: &Path) -> &Path {
    path.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

/// The ending without `.gz`, and whether it was there.
fn ending(path: &Path) -> (String, bool) {
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .to_ascii_lowercase();
    let (stem, gzip) = match name.strip_suffix(".gz") {
        Some(stem) => (stem, true),
        None => (name.as_str(), false),
    };
    let ending = stem.rsplit_once('.').map_or("", |(_, ending)| ending);
    (ending.to_owned(), gzip)
}

/// Where events and, if asked for, queries go.
pub struct Output {
    events: Events,
    queries: Option<Draft>,
}

enum Events {
    Ndjson(Draft),
    Csv(PathBuf, Box<csv::Writer<Packed>>),
}

impl Output {
    pub fn new(events: &Path, queries: Option<&Path>) -> Result<Self, OutputError> {
        let draft = |path: &Path, gzip| {
            Draft::new(path, gzip).map_err(|source| OutputError::Write {
                path: path.to_owned(),
                source,
            })
        };
        let path = events.to_owned();
        let events = match ending(events) {
            (ending, gzip) if ["ndjson", "jsonl"].contains(&ending.as_str()) => {
                Events::Ndjson(draft(events, gzip)?)
            }
            (ending, gzip) if ending == "csv" => {
                let mut writer = csv::Writer::from_writer(draft(events, gzip)?.out);
                let header = writer.write_record(COLUMNS);
                header.map_err(|error| OutputError::Write {
                    path: path.clone(),
                    source: error.into(),
                })?;
                Events::Csv(path, Box::new(writer))
            }
            _ => return Err(OutputError::Ending { path }),
        };
        let queries = match queries.map(|path| (path, ending(path))) {
            None => None,
            Some((path, (ending, gzip))) if ["ndjson", "jsonl"].contains(&ending.as_str()) => {
                Some(draft(path, gzip)?)
            }
            Some((path, _)) => {
                return Err(OutputError::QueriesEnding {
                    path: path.to_owned(),
                });
            }
        };
        Ok(Self { events, queries })
    }

    pub fn event(&mut self, event: &UbiEvent) -> io::Result<()> {
        match &mut self.events {
            Events::Ndjson(draft) => line(&mut draft.out, &EventLine::of(event)),
            Events::Csv(_, writer) => Ok(writer.write_record([
                event.action_name(),
                &event.query_id,
                &event.client,
                &iso(event.time_ms),
                &event.query,
                &event.item,
                &event.position.to_string(),
            ])?),
        }
    }

    pub fn query(&mut self, query: &UbiQuery) -> io::Result<()> {
        match &mut self.queries {
            Some(draft) => line(&mut draft.out, &QueryLine::of(query)),
            None => Ok(()),
        }
    }

    /// Moves the files to their places.
    pub fn finish(self) -> Result<(), OutputError> {
        let finish = |draft: Draft| {
            let path = draft.path.clone();
            draft
                .finish()
                .map_err(|source| OutputError::Write { path, source })
        };
        let events = match self.events {
            Events::Ndjson(draft) => draft,
            Events::Csv(path, writer) => match writer.into_inner() {
                Ok(out) => Draft { path, out },
                Err(error) => {
                    let source = error.into_error();
                    return Err(OutputError::Write { path, source });
                }
            },
        };
        finish(events)?;
        self.queries.map_or(Ok(()), finish)
    }
}

fn line(out: &mut impl Write, line: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, line)?;
    out.write_all(b"\n")
}

fn iso(ms: i64) -> String {
    let time = Timestamp::from_millisecond(ms).expect("times are checked to be of this century");
    format!("{time:.3}")
}

/// An event as UBI nests it.
#[derive(Serialize)]
struct EventLine<'e> {
    action_name: &'static str,
    query_id: &'e str,
    #[serde(skip_serializing_if = "str::is_empty")]
    client_id: &'e str,
    timestamp: String,
    user_query: &'e str,
    event_attributes: Attributes<'e>,
}

#[derive(Serialize)]
struct Attributes<'e> {
    object: Object<'e>,
    position: Position,
}

#[derive(Serialize)]
struct Object<'e> {
    object_id: &'e str,
}

#[derive(Serialize)]
struct Position {
    ordinal: u32,
}

impl<'e> EventLine<'e> {
    fn of(event: &'e UbiEvent) -> Self {
        Self {
            action_name: event.action_name(),
            query_id: &event.query_id,
            client_id: &event.client,
            timestamp: iso(event.time_ms),
            user_query: &event.query,
            event_attributes: Attributes {
                object: Object {
                    object_id: &event.item,
                },
                position: Position {
                    ordinal: event.position,
                },
            },
        }
    }
}

/// A query as UBI has it.
#[derive(Serialize)]
struct QueryLine<'q> {
    query_id: &'q str,
    #[serde(skip_serializing_if = "str::is_empty")]
    client_id: &'q str,
    timestamp: String,
    user_query: &'q str,
    query_response_hit_ids: &'q [String],
}

impl<'q> QueryLine<'q> {
    fn of(query: &'q UbiQuery) -> Self {
        Self {
            query_id: &query.query_id,
            client_id: &query.client,
            timestamp: iso(query.time_ms),
            user_query: &query.query,
            query_response_hit_ids: &query.items,
        }
    }
}
