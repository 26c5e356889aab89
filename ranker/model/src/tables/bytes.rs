//! The bytes of a table. A large file is mapped: a million items open at once, pods of a node that
//! mount one volume share the pages, and memory that is short takes them back. A small one is
//! copied, so that what happens to the file later cannot matter.
#![allow(unsafe_code, reason = "the one place that maps a file")]

use std::{
    fs::File,
    io::{self, Read},
    ops::Deref,
    path::Path,
};

use memmap2::{Mmap, MmapOptions};

/// Files below this size are copied into memory.
pub(crate) const SMALL_FILE_BYTES: u64 = 4 << 20;

pub(crate) enum TableBytes {
    Owned(Vec<u8>),
    Mapped(Mmap),
}

impl TableBytes {
    /// The file as it is, at most `limit` bytes and one more where it is longer.
    pub(crate) fn open(path: &Path, limit: u64) -> io::Result<Self> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        if length < SMALL_FILE_BYTES {
            let mut bytes = Vec::with_capacity(length as usize);
            file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
            return Ok(Self::Owned(bytes));
        }
        let length = length.min(limit.saturating_add(1));
        map(&file, usize::try_from(length).unwrap_or(usize::MAX)).map(Self::Mapped)
    }
}

fn map(file: &File, length: usize) -> io::Result<Mmap> {
    // SAFETY: the bytes must not change while they are mapped. Nobody changes a file of an artifact:
    // it is written under another name, synced and renamed, sealed by a manifest that has its hash,
    // and an artifact is replaced by removing the whole folder, which leaves mapped pages alone.
    // Should someone write into it by hand all the same, readers see other values and nothing worse:
    // each access checks its bounds anew and every bit pattern is a valid record. Should someone
    // truncate it, or its disk fail, reading ends the process with SIGBUS; the next start refuses
    // the file by its hash.
    unsafe { MmapOptions::new().len(length).populate().map(file) }
}

impl Deref for TableBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Owned(bytes) => bytes,
            Self::Mapped(map) => map,
        }
    }
}

impl From<Vec<u8>> for TableBytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Owned(bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_large_file_is_mapped_and_stays_readable_when_it_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.table");
        let size = SMALL_FILE_BYTES as usize;
        for (length, limit, read, mapped) in [
            (size - 1, size, size - 1, false),
            (size, size, size, true),
            (9, 4, 5, false),
            (0, 4, 0, false),
            (size + 9, size, size + 1, true),
            (size, size + 9, size, true),
        ] {
            let content: Vec<u8> = (0..length).map(|at| (at * at / 7) as u8).collect();
            fs::write(&path, &content).unwrap();
            let bytes = TableBytes::open(&path, limit as u64).unwrap();
            fs::remove_file(&path).unwrap();
            assert_eq!(matches!(bytes, TableBytes::Mapped(_)), mapped, "{length}");
            assert!(*bytes == content[..read], "{length} of at most {limit}");
        }
        assert!(TableBytes::open(&path, 9).is_err());
    }
}
