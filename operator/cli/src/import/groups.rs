//! Brings together what may belong together: events by client, or by list where the source names
//! lists. What does not fit into memory waits on disk, in parts that do.

use std::{
    fs::File,
    hash::{DefaultHasher, Hash, Hasher},
    io::{self, BufRead, BufReader, BufWriter, Seek, Write},
    path::Path,
};

use super::event::SourceEvent;

/// A part whose events took this many bytes in the files fits into memory.
const PART_BYTES: u64 = 128 << 20;
/// Files that are open at once.
const MAX_PARTS: u64 = 256;

/// Events on their way to their groups.
pub struct Groups {
    by_list: bool,
    parts: Parts,
}

enum Parts {
    Memory(Vec<SourceEvent>),
    Disk(Vec<BufWriter<File>>),
}

impl Groups {
    /// For inputs of about `bytes`; parts that have to wait do so in `folder`.
    pub fn new(by_list: bool, bytes: u64, folder: &Path) -> io::Result<Self> {
        let count = bytes.div_ceil(PART_BYTES).clamp(1, MAX_PARTS);
        Self::with_parts(by_list, count, folder)
    }

    fn with_parts(by_list: bool, count: u64, folder: &Path) -> io::Result<Self> {
        let parts = if count == 1 {
            Parts::Memory(Vec::new())
        } else {
            let file = |_| tempfile::tempfile_in(folder).map(BufWriter::new);
            Parts::Disk((0..count).map(file).collect::<io::Result<_>>()?)
        };
        Ok(Self { by_list, parts })
    }

    pub fn parts(&self) -> u64 {
        match &self.parts {
            Parts::Memory(_) => 1,
            Parts::Disk(files) => files.len() as u64,
        }
    }

    pub fn add(&mut self, event: SourceEvent) -> io::Result<()> {
        match &mut self.parts {
            Parts::Memory(events) => events.push(event),
            Parts::Disk(files) => {
                // Its keys are fixed, so the same event always goes into the same part.
                let mut hasher = DefaultHasher::new();
                key(self.by_list, &event).hash(&mut hasher);
                let part = hasher.finish() % files.len() as u64;
                let file = &mut files[part as usize];
                serde_json::to_writer(&mut *file, &event)?;
                file.write_all(b"\n")?;
            }
        }
        Ok(())
    }

    /// Gives each group to `sink`, in the events' own order and each once; returns how many were
    /// there twice. `step` is told of each part that is done.
    pub fn each(
        self,
        mut sink: impl FnMut(&[SourceEvent]) -> io::Result<()>,
        mut step: impl FnMut(),
    ) -> io::Result<u64> {
        let mut twice = 0;
        match self.parts {
            Parts::Memory(events) => twice += split(self.by_list, events, &mut sink)?,
            Parts::Disk(files) => {
                for file in files {
                    twice += split(self.by_list, read_back(file)?, &mut sink)?;
                    step();
                }
            }
        }
        Ok(twice)
    }
}

fn read_back(file: BufWriter<File>) -> io::Result<Vec<SourceEvent>> {
    let mut file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.rewind()?;
    let lines = BufReader::with_capacity(1 << 16, file).lines();
    lines
        .map(|line| Ok(serde_json::from_str(&line?)?))
        .collect()
}

fn split(
    by_list: bool,
    mut events: Vec<SourceEvent>,
    sink: &mut impl FnMut(&[SourceEvent]) -> io::Result<()>,
) -> io::Result<u64> {
    events.sort_unstable_by(|a, b| (key(by_list, a), a).cmp(&(key(by_list, b), b)));
    let read = events.len();
    events.dedup();
    for group in events.chunk_by(|a, b| key(by_list, a) == key(by_list, b)) {
        sink(group)?;
    }
    Ok((read - events.len()) as u64)
}

fn key(by_list: bool, event: &SourceEvent) -> &str {
    match &event.list_id {
        Some(list) if by_list => list,
        _ => &event.client,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::event::{Action, What};

    fn event(number: i64) -> SourceEvent {
        SourceEvent {
            time_ms: number / 3,
            what: What::Act {
                action: Action::Click,
                item: (number % 5).to_string(),
            },
            client: (number % 7).to_string(),
            session: String::new(),
            list_id: Some((number % 4).to_string()),
        }
    }

    #[test]
    fn parts_on_disk_give_the_groups_that_memory_gives() {
        let folder = tempfile::tempdir().unwrap();
        for by_list in [false, true] {
            let found = |parts: u64| {
                let mut groups = Groups::with_parts(by_list, parts, folder.path()).unwrap();
                (0..200)
                    .chain(0..3)
                    .for_each(|number| groups.add(event(number)).unwrap());
                let mut found = Vec::new();
                let each = |group: &[SourceEvent]| {
                    found.push(group.to_vec());
                    Ok(())
                };
                let mut steps = 0;
                assert_eq!(groups.each(each, || steps += 1).unwrap(), 3);
                assert!(parts == 1 || steps == parts);
                found.sort();
                found
            };
            let memory = found(1);
            assert_eq!(memory.len(), if by_list { 4 } else { 7 });
            assert!(memory.iter().all(|group| group.is_sorted()));
            assert_eq!(found(3), memory);
        }
    }
}
