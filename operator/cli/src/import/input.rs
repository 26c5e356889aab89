//! Files of events as records, one a line, whatever their format; bad rows are named and counted.

use std::{
    cell::Cell,
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
    rc::Rc,
};

use flate2::bufread::MultiGzDecoder;
use serde_json::Value;

use super::value::{BadField, Record};

/// Longer lines are no events, and would not fit into memory.
const MAX_LINE: u64 = 16 << 20;

#[derive(Debug, thiserror::Error)]
pub enum InputError {
    #[error("read {path:?}: {source}")]
    Read { path: PathBuf, source: io::Error },
    #[error(
        "{path:?} has no ending that says what it holds; .ndjson, .jsonl, .json and .csv are read, \
         each also with .gz, and .gz alone as NDJSON"
    )]
    Ending { path: PathBuf },
    #[error("{name}: {complaint}")]
    Bad { name: String, complaint: String },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Ndjson,
    Csv,
}

/// A file of events.
#[derive(Debug)]
pub struct Input {
    path: PathBuf,
    /// Name for messages.
    name: String,
    format: Format,
    gzip: bool,
    pub bytes: u64,
}

impl Input {
    pub fn open(path: &Path) -> Result<Self, InputError> {
        let failed = |source| InputError::Read {
            path: path.to_owned(),
            source,
        };
        let metadata = std::fs::metadata(path).map_err(failed)?;
        if metadata.is_dir() {
            return Err(failed(io::ErrorKind::IsADirectory.into()));
        }
        let name = path.file_name().unwrap_or(path.as_os_str());
        let name = name.to_string_lossy().into_owned();
        let lower = name.to_ascii_lowercase();
        let (stem, gzip) = match lower.strip_suffix(".gz") {
            Some(stem) => (stem, true),
            None => (lower.as_str(), false),
        };
        let format = match stem.rsplit_once('.').map(|(_, ending)| ending) {
            Some("csv") => Format::Csv,
            Some("ndjson" | "jsonl" | "json") => Format::Ndjson,
            // What Segment writes: 1533333333.abc.gz.
            _ if gzip => Format::Ndjson,
            _ => {
                return Err(InputError::Ending {
                    path: path.to_owned(),
                });
            }
        };
        Ok(Self {
            path: path.to_owned(),
            name,
            format,
            gzip,
            bytes: metadata.len(),
        })
    }

    /// About how many bytes there are once decompressed; click logs shrink to a tenth.
    pub fn expanded(&self) -> u64 {
        self.bytes * if self.gzip { 10 } else { 1 }
    }

    /// Gives every row to `sink`, with the bytes of the file read so far. What is wrong with a row
    /// goes to `problems`; what is wrong with the file is the error.
    pub fn read(
        &self,
        problems: &mut Problems,
        sink: &mut dyn FnMut(&Record, u64) -> Result<(), RowError>,
    ) -> Result<(), InputError> {
        let failed = |source| InputError::Read {
            path: self.path.clone(),
            source,
        };
        let file = File::open(&self.path).map_err(failed)?;
        let read = Rc::new(Cell::new(0));
        let raw = BufReader::with_capacity(
            1 << 16,
            Counted {
                inner: file,
                read: Rc::clone(&read),
            },
        );
        let mut text: Box<dyn BufRead> = if self.gzip {
            Box::new(BufReader::with_capacity(1 << 16, MultiGzDecoder::new(raw)))
        } else {
            Box::new(raw)
        };
        if text
            .fill_buf()
            .map_err(|error| self.damaged(error))?
            .is_empty()
        {
            return Err(self.bad("the file is empty"));
        }
        let mut rows = Rows {
            input: self,
            problems,
            sink,
            read: &read,
        };
        match self.format {
            Format::Ndjson => rows.ndjson(text),
            Format::Csv => rows.csv(text),
        }
    }

    fn bad(&self, complaint: impl Into<String>) -> InputError {
        InputError::Bad {
            name: self.name.clone(),
            complaint: complaint.into(),
        }
    }

    /// A read that fails half-way: for compressed files nearly always a cut or altered archive.
    fn damaged(&self, source: io::Error) -> InputError {
        if self.gzip {
            self.bad("the gzip file is damaged or cut short")
        } else {
            InputError::Read {
                path: self.path.clone(),
                source,
            }
        }
    }
}

/// Why a row is not taken.
#[derive(Debug)]
pub enum RowError {
    Field(BadField),
    /// Not the row's fault: the import ends.
    Io(io::Error),
}

struct Rows<'a> {
    input: &'a Input,
    problems: &'a mut Problems,
    sink: &'a mut dyn FnMut(&Record, u64) -> Result<(), RowError>,
    read: &'a Cell<u64>,
}

impl Rows<'_> {
    fn ndjson(&mut self, mut text: Box<dyn BufRead>) -> Result<(), InputError> {
        let (mut line, mut number) = (Vec::new(), 0);
        loop {
            line.clear();
            let mut limited = text.by_ref().take(MAX_LINE);
            let length = limited
                .read_until(b'\n', &mut line)
                .map_err(|error| self.input.damaged(error))?;
            if length == 0 {
                return Ok(());
            }
            number += 1;
            if length as u64 == MAX_LINE && line.last() != Some(&b'\n') {
                let megabytes = MAX_LINE >> 20;
                return Err(self.input.bad(format!(
                    "line {number} is longer than {megabytes} MB; one event a line is expected"
                )));
            }
            let mark: &[u8] = if number == 1 { b"\xef\xbb\xbf" } else { b"" };
            let bytes = line.strip_prefix(mark).unwrap_or(&line);
            if bytes.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            match object(bytes) {
                Ok(record) => self.accept(number, &record)?,
                Err(complaint) => self.reject(number, &complaint)?,
            }
        }
    }

    fn csv(&mut self, text: Box<dyn BufRead>) -> Result<(), InputError> {
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text);
        let header: Vec<String> = reader
            .byte_headers()
            .map_err(|error| self.csv_error(error))?
            .iter()
            .map(|name| {
                String::from_utf8_lossy(name)
                    .trim()
                    .trim_start_matches('\u{feff}')
                    .to_owned()
            })
            .collect();
        let mut row = csv::ByteRecord::new();
        while reader
            .read_byte_record(&mut row)
            .map_err(|error| self.csv_error(error))?
        {
            let line = row.position().map_or(0, csv::Position::line);
            match fields(&header, &row) {
                Ok(record) => self.accept(line, &record)?,
                Err(complaint) => self.reject(line, &complaint)?,
            }
        }
        Ok(())
    }

    fn csv_error(&self, error: csv::Error) -> InputError {
        match error.into_kind() {
            csv::ErrorKind::Io(error) => self.input.damaged(error),
            other => self.input.bad(format!("{other:?}")),
        }
    }

    fn accept(&mut self, line: u64, record: &Record) -> Result<(), InputError> {
        self.problems.rows += 1;
        match (self.sink)(record, self.read.get()) {
            Ok(()) => Ok(()),
            Err(RowError::Field(bad)) => self.complain(line, &bad.to_string()),
            Err(RowError::Io(source)) => Err(InputError::Read {
                path: self.input.path.clone(),
                source,
            }),
        }
    }

    fn reject(&mut self, line: u64, complaint: &str) -> Result<(), InputError> {
        self.problems.rows += 1;
        self.complain(line, complaint)
    }

    fn complain(&mut self, line: u64, complaint: &str) -> Result<(), InputError> {
        let name = &self.input.name;
        self.problems
            .add(format!("{name}: line {line}: {complaint}"));
        Ok(())
    }
}

fn object(bytes: &[u8]) -> Result<Record, String> {
    let text = str::from_utf8(bytes).map_err(|_| "not valid UTF-8".to_owned())?;
    match serde_json::from_str(text.trim_end()) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err("not a JSON object; one event a line is expected".to_owned()),
        Err(error) => Err(format!("not JSON from character {} on", error.column())),
    }
}

fn fields(header: &[String], row: &csv::ByteRecord) -> Result<Record, String> {
    if row.len() != header.len() {
        return Err(format!(
            "{} values, but the header has {}",
            row.len(),
            header.len()
        ));
    }
    let mut record = Record::new();
    for (name, value) in header.iter().zip(row) {
        if !value.is_empty() {
            let value =
                str::from_utf8(value).map_err(|_| format!("field {name:?}: not valid UTF-8"))?;
            record.insert(name.clone(), value.into());
        }
    }
    Ok(record)
}

/// Counts the bytes that are read, for progress.
struct Counted {
    inner: File,
    read: Rc<Cell<u64>>,
}

impl Read for Counted {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(out)?;
        self.read.set(self.read.get() + read as u64);
        Ok(read)
    }
}

/// Bad rows: the first few in words, the others counted.
#[derive(Debug, Default)]
pub struct Problems {
    pub rows: u64,
    pub bad: u64,
    shown: Vec<String>,
}

impl Problems {
    const SHOWN: usize = 10;

    fn add(&mut self, problem: String) {
        self.bad += 1;
        if self.shown.len() < Self::SHOWN {
            self.shown.push(problem);
        }
    }

    /// The first bad rows, a line each, and how many there are.
    pub fn told(&self) -> String {
        let mut told = self.shown.join("\n");
        if self.bad > 1 {
            told += &format!("\n{} bad rows of {}", self.bad, self.rows);
        }
        told
    }
}
