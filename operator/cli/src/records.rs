//! Records that rankers leave: NDJSON files, line by line.

use std::{
    fs::{self, File},
    io::{self, BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
};

/// Longest line that is read: 100,000 candidates would not fit, 1,000 do.
const MAX_LINE_BYTES: usize = 64 << 20;

#[derive(Debug, thiserror::Error)]
pub enum RecordsError {
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{}:{line}: {detail}", path.display())]
    Line {
        path: PathBuf,
        line: usize,
        detail: String,
    },
}

/// The files that are named and, of folders, those with records.
pub fn files(logs: &[PathBuf]) -> Result<Vec<PathBuf>, RecordsError> {
    let mut files = Vec::new();
    for path in logs {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let mut inside = Vec::new();
        for entry in fs::read_dir(path).map_err(io_error(path))? {
            let file = entry.map_err(io_error(path))?.path();
            if file.extension().is_some_and(|ending| ending == "ndjson") {
                inside.push(file);
            }
        }
        inside.sort();
        files.extend(inside);
    }
    Ok(files)
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> RecordsError {
    let path = path.to_owned();
    move |source| RecordsError::Io { path, source }
}

/// The lines of a file, of which one at a time is in memory.
pub struct Lines {
    path: PathBuf,
    file: BufReader<File>,
    number: usize,
    text: Vec<u8>,
}

impl Lines {
    pub fn open(path: &Path) -> Result<Self, RecordsError> {
        Ok(Self {
            path: path.to_owned(),
            file: BufReader::new(File::open(path).map_err(io_error(path))?),
            number: 0,
            text: Vec::new(),
        })
    }

    /// The next line; `None` at the end.
    pub fn read(&mut self) -> Result<Option<&[u8]>, RecordsError> {
        self.text.clear();
        self.number += 1;
        let mut limited = self.file.by_ref().take(MAX_LINE_BYTES as u64 + 1);
        let read = limited.read_until(b'\n', &mut self.text);
        if read.map_err(io_error(&self.path))? == 0 {
            return Ok(None);
        }
        if self.text.len() > MAX_LINE_BYTES {
            return Err(self.wrong(format!("is longer than {MAX_LINE_BYTES} bytes")));
        }
        Ok(Some(&self.text))
    }

    /// Something about the line that was read last.
    pub fn wrong(&self, detail: String) -> RecordsError {
        RecordsError::Line {
            path: self.path.clone(),
            line: self.number,
            detail,
        }
    }
}
