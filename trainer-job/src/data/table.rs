//! Reads the wanted columns of one file, row by row, whatever its format.
//!
//! Here it is decided what counts as a column and how a bad row is named; what a value means is
//! the caller's.

mod csv;
mod ndjson;
mod parquet;

use std::{
    fmt,
    fs::File,
    io::{self, BufRead, BufReader},
};

use super::{Cell, Problems, SourceFile, source::Format};
use crate::error::TrainError;

/// A column that is looked for.
#[derive(Clone, Copy, Debug)]
pub struct Field<'a> {
    /// Name in messages where the column is missing.
    pub name: &'a str,
    /// Other names, in order of preference. A dot also leads into nested objects.
    pub also: &'a [&'a str],
    pub required: bool,
}

impl<'a> Field<'a> {
    fn names(self) -> impl Iterator<Item = &'a str> {
        std::iter::once(self.name).chain(self.also.iter().copied())
    }
}

/// What is wrong with the cell of one field.
#[derive(Debug)]
pub struct BadCell {
    /// Place in the list of fields.
    pub field: usize,
    pub complaint: String,
}

/// Takes the cells of one row, in the order of the fields.
pub type Sink<'s> = dyn FnMut(&[Cell<'_>]) -> Result<(), BadCell> + 's;

/// Gives every row of `file` to `sink` and returns how many there were. Bad rows go to `problems`
/// with their place; what is wrong with the file as a whole is the error.
pub fn read(
    file: &SourceFile,
    fields: &[Field<'_>],
    problems: &mut Problems,
    sink: &mut Sink<'_>,
) -> Result<u64, TrainError> {
    let mut rows = Rows {
        file,
        problems,
        sink,
    };
    match file.format {
        Format::Csv | Format::Text => csv::read(open_text(file)?, fields, &mut rows),
        Format::Ndjson => ndjson::read(open_text(file)?, fields, &mut rows),
        Format::Parquet => parquet::read(fields, &mut rows),
    }
}

/// Where a format's reader leaves its rows.
struct Rows<'a, 's> {
    file: &'a SourceFile,
    problems: &'a mut Problems,
    sink: &'a mut Sink<'s>,
}

/// How a format counts: `line 17`, `row 17`.
#[derive(Clone, Copy)]
struct Place {
    unit: &'static str,
    number: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.unit, self.number)
    }
}

impl Rows<'_, '_> {
    /// `column` gives a field's name in this file.
    fn accept(&mut self, place: Place, cells: &[Cell<'_>], column: impl Fn(usize) -> String) {
        if let Err(bad) = (self.sink)(cells) {
            let name = &self.file.name;
            self.problems.add(|| {
                format!(
                    "{name}: {place}, column {:?}: {}",
                    column(bad.field),
                    bad.complaint
                )
            });
        }
    }

    fn reject(&mut self, place: Place, complaint: impl fmt::Display) {
        let name = &self.file.name;
        self.problems
            .add(|| format!("{name}: {place}: {complaint}"));
    }

    fn missing_column(&self, field: Field<'_>, found: &[String]) -> TrainError {
        let hint = match found {
            [one] if one.contains([';', '\t', '|']) => "; columns are separated by commas",
            _ => "",
        };
        TrainError::data(format!(
            "{}: column {:?} is missing; found: {}{hint}",
            self.file.name,
            field.name,
            listed(found)
        ))
    }

    fn too_long(&self, line: u64) -> TrainError {
        TrainError::data(format!(
            "{}: line {line}: the row is longer than {MAX_ROW_BYTES} bytes",
            self.file.name
        ))
    }
}

fn listed(names: &[String]) -> String {
    const SHOWN: usize = 20;
    let mut shown: Vec<String> = names
        .iter()
        .take(SHOWN)
        .map(|name| super::cell::quoted(name))
        .collect();
    if names.len() > SHOWN {
        shown.push(format!("and {} more", names.len() - SHOWN));
    }
    shown.join(", ")
}

/// Longest row of a text file. A quote that is never closed makes one row of all that follows.
const MAX_ROW_BYTES: usize = 1 << 20;
/// A click log of repetitions packs to a hundredth; what unpacks to more than this many times its
/// size is no click log.
const MAX_UNPACKED_TIMES: u64 = 200;
/// Files that unpack to less than this are no danger, whatever they are.
const SMALL_BYTES: u64 = 64 << 20;

/// The decompressed bytes of a file that is not empty.
pub fn open_text(file: &SourceFile) -> Result<Box<dyn BufRead>, TrainError> {
    let raw = File::open(&file.path).map_err(|error| file.unreadable(&error))?;
    let packed = raw.metadata().map_or(0, |metadata| metadata.len());
    let raw = BufReader::with_capacity(1 << 16, raw);
    let mut text: Box<dyn BufRead> = if file.gzip {
        let unpacked = Bounded {
            inner: flate2::bufread::MultiGzDecoder::new(raw),
            left: SMALL_BYTES.max(packed.saturating_mul(MAX_UNPACKED_TIMES)),
        };
        Box::new(BufReader::with_capacity(1 << 16, unpacked))
    } else {
        Box::new(raw)
    };
    let begin = text.fill_buf().map_err(|error| damaged(file, &error))?;
    let complaint = match begin {
        [] => "is empty",
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => "is UTF-16; write it as UTF-8",
        _ => return Ok(text),
    };
    Err(TrainError::data(format!("{} {complaint}", file.name)))
}

/// Ends with an error where more comes than is plausible.
struct Bounded<R> {
    inner: R,
    left: u64,
}

impl<R: io::Read> io::Read for Bounded<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(out)?;
        self.left = self
            .left
            .checked_sub(read as u64)
            .ok_or(io::ErrorKind::FileTooLarge)?;
        Ok(read)
    }
}

/// A read that fails half-way: for compressed files nearly always a cut or altered archive.
pub fn damaged(file: &SourceFile, error: &io::Error) -> TrainError {
    if error.kind() == io::ErrorKind::FileTooLarge {
        TrainError::data(format!(
            "{}: unpacks to more than {MAX_UNPACKED_TIMES} times its size",
            file.name
        ))
    } else if file.gzip {
        TrainError::data(format!(
            "{}: the gzip file is damaged or cut short",
            file.name
        ))
    } else {
        file.unreadable(error)
    }
}
