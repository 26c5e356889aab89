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
        Format::Csv => csv::read(open_text(file)?, fields, &mut rows),
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
        TrainError::data(format!(
            "{}: column {:?} is missing; found: {}",
            self.file.name,
            field.name,
            listed(found)
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

/// The decompressed bytes of a file that is not empty.
fn open_text(file: &SourceFile) -> Result<Box<dyn BufRead>, TrainError> {
    let raw = BufReader::with_capacity(
        1 << 16,
        File::open(&file.path).map_err(|error| file.unreadable(&error))?,
    );
    let mut text: Box<dyn BufRead> = if file.gzip {
        Box::new(BufReader::with_capacity(
            1 << 16,
            flate2::bufread::MultiGzDecoder::new(raw),
        ))
    } else {
        Box::new(raw)
    };
    if text
        .fill_buf()
        .map_err(|error| damaged(file, &error))?
        .is_empty()
    {
        return Err(TrainError::data(format!("{} is empty", file.name)));
    }
    Ok(text)
}

/// A read that fails half-way: for compressed files nearly always a cut or altered archive.
fn damaged(file: &SourceFile, error: &io::Error) -> TrainError {
    if file.gzip {
        TrainError::data(format!(
            "{}: the gzip file is damaged or cut short",
            file.name
        ))
    } else {
        file.unreadable(error)
    }
}
