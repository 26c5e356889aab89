use std::io::{self, BufRead, Read};

use csv::{ByteRecord, Reader, ReaderBuilder};

use super::{Field, MAX_ROW_BYTES, Place, Rows, damaged};
use crate::{data::Cell, error::TrainError};

const MARK: &str = "\u{feff}";

pub fn read(
    text: Box<dyn BufRead>,
    fields: &[Field<'_>],
    rows: &mut Rows<'_, '_>,
) -> Result<u64, TrainError> {
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(LineFeeds {
            inner: text,
            held: None,
            ends: End::Open,
            passed: 0,
            limit: 0,
        });
    let mut record = ByteRecord::new();
    if next_line(&mut reader, &mut record, rows)?.is_none() {
        return Err(TrainError::data(format!("{} is empty", rows.file.name)));
    }
    let header: Vec<String> = record
        .iter()
        .map(|name| {
            String::from_utf8_lossy(name)
                .trim()
                .trim_start_matches(MARK)
                .to_owned()
        })
        .collect();
    let columns = fields
        .iter()
        .map(|field| locate(*field, &header, rows))
        .collect::<Result<Vec<_>, _>>()?;

    let mut count = 0;
    while let Some(line) = next_line(&mut reader, &mut record, rows)? {
        count += 1;
        let place = Place {
            unit: "line",
            number: line,
        };
        if record.len() == header.len() {
            let cells: Vec<Cell<'_>> = columns
                .iter()
                .map(|column| cell(&record, *column))
                .collect();
            rows.accept(place, &cells, |field| match columns[field] {
                Some(column) => header[column].clone(),
                None => fields[field].name.to_owned(),
            });
        } else {
            rows.reject(
                place,
                format_args!(
                    "{} values, but the header has {}",
                    record.len(),
                    header.len()
                ),
            );
        }
    }
    Ok(count)
}

fn locate(
    field: Field<'_>,
    header: &[String],
    rows: &Rows<'_, '_>,
) -> Result<Option<usize>, TrainError> {
    let found = field
        .names()
        .find_map(|name| header.iter().position(|column| column == name));
    if found.is_none() && field.required {
        return Err(rows.missing_column(field, header));
    }
    Ok(found)
}

fn cell(record: &ByteRecord, column: Option<usize>) -> Cell<'_> {
    match column.and_then(|column| record.get(column)) {
        None | Some(b"") => Cell::Missing,
        Some(bytes) => match str::from_utf8(bytes) {
            Ok(text) => Cell::Text(text.into()),
            Err(_) => Cell::NotUtf8,
        },
    }
}

/// Reads a record and returns the line on which it begins. The reader's own position is the end
/// of the record before, so empty lines would be counted wrongly; every record here ends with a
/// line feed, so the line follows from where it ends and the line feeds inside quotes.
fn next_line(
    reader: &mut Reader<LineFeeds>,
    record: &mut ByteRecord,
    rows: &Rows<'_, '_>,
) -> Result<Option<u64>, TrainError> {
    let unread = reader.position().line();
    reader.get_mut().limit = reader.position().byte() + MAX_ROW_BYTES as u64;
    let more = reader
        .read_byte_record(record)
        .map_err(|error| match error.into_kind() {
            csv::ErrorKind::Io(error) if error.kind() == io::ErrorKind::InvalidData => {
                rows.too_long(unread)
            }
            csv::ErrorKind::Io(error) => damaged(rows.file, &error),
            other => TrainError::data(format!("{}: {other:?}", rows.file.name)),
        })?;
    if !more {
        return Ok(None);
    }
    let inside = record
        .as_slice()
        .iter()
        .filter(|byte| **byte == b'\n')
        .count() as u64;
    // A quote that is never closed swallows the last line feed too.
    Ok(Some(
        (reader.position().line() - 1)
            .saturating_sub(inside)
            .max(unread),
    ))
}

enum End {
    Open,
    /// The last byte was no line feed; one is added.
    Missing,
    Closed,
}

/// Turns CR LF into LF and ends the text with one, so that lines can be counted.
struct LineFeeds {
    inner: Box<dyn BufRead>,
    /// A carriage return of which the next byte is not known yet.
    held: Option<u8>,
    ends: End,
    /// Bytes given out, and how many may be: no row is longer.
    passed: u64,
    limit: u64,
}

impl Read for LineFeeds {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.passed > self.limit {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut written = 0;
        while written + 1 < out.len() {
            let input = self.inner.fill_buf()?;
            if input.is_empty() {
                written += self.finish(&mut out[written..]);
                break;
            }
            let mut used = 0;
            for byte in input.iter().copied() {
                if written + 1 >= out.len() {
                    break;
                }
                used += 1;
                if let Some(held) = self.held.take()
                    && byte != b'\n'
                {
                    out[written] = held;
                    written += 1;
                }
                if byte == b'\r' {
                    self.held = Some(byte);
                } else {
                    out[written] = byte;
                    written += 1;
                }
                self.ends = if byte == b'\n' {
                    End::Open
                } else {
                    End::Missing
                };
            }
            self.inner.consume(used);
            if written > 0 {
                break;
            }
        }
        self.passed += written as u64;
        Ok(written)
    }
}

impl LineFeeds {
    fn finish(&mut self, out: &mut [u8]) -> usize {
        self.held = None;
        match std::mem::replace(&mut self.ends, End::Closed) {
            End::Missing => {
                out[0] = b'\n';
                1
            }
            End::Open | End::Closed => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn converted(text: &'static str, window: usize) -> String {
        let inner = Box::new(io::BufReader::with_capacity(window, text.as_bytes()));
        let mut reader = LineFeeds {
            inner,
            held: None,
            ends: End::Open,
            passed: 0,
            limit: u64::MAX,
        };
        let (mut all, mut out) = (Vec::new(), vec![0; window + 1]);
        loop {
            match reader.read(&mut out).unwrap() {
                0 => return String::from_utf8(all).unwrap(),
                read => all.extend_from_slice(&out[..read]),
            }
        }
    }

    #[test]
    fn lines_end_the_same_way_wherever_the_buffer_is_cut() {
        for window in [1, 2, 3, 7, 64] {
            assert_eq!(
                converted("a\r\nb\n\r\nc", window),
                "a\nb\n\nc\n",
                "{window}"
            );
            assert_eq!(converted("a\rb\r\n", window), "a\rb\n", "{window}");
            assert_eq!(converted("a\r\r\nb\r", window), "a\r\nb\n", "{window}");
        }
    }
}
