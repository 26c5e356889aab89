//! Records of calls, a JSON line each, written beside the answers: no answer waits for a disk.

use std::{
    fs::{self, File},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io::{self, Write},
    iter,
    path::PathBuf,
    sync::mpsc::{self, Receiver, SyncSender},
    thread,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use prometheus::IntCounter;
use serde::Serialize;
use tracing::warn;
use uuid::Uuid;

/// A file is closed at this size or age, and another begun.
const FILE_BYTES: u64 = 64 << 20;
const FILE_AGE: Duration = Duration::from_secs(3600);

/// What records are of.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// Begins the names of their files.
    pub name: &'static str,
    /// As many wait to be written; more are dropped and counted.
    pub waiting: usize,
}

/// Where records go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sink {
    Stdout,
    /// Files of their own in this folder.
    Folder(PathBuf),
}

/// How many records were written, and how many were not.
#[derive(Clone)]
pub struct RecordCounters {
    pub written: IntCounter,
    pub dropped: IntCounter,
}

/// Takes records and writes them on a thread of its own.
pub struct Records {
    /// A query is in the sample if its hash is below.
    below: u128,
    messages: SyncSender<Message>,
    dropped: IntCounter,
}

/// To the thread that writes.
enum Message {
    Line(Vec<u8>),
    /// Answered when all lines before are written.
    Flush(SyncSender<()>),
}

impl Records {
    /// Records of `share` of the queries, from 0 to 1.
    pub fn start(kind: Kind, share: f64, sink: Sink, counters: RecordCounters) -> io::Result<Self> {
        if let Sink::Folder(folder) = &sink {
            fs::create_dir_all(folder)?;
        }
        let (messages, waiting) = mpsc::sync_channel(kind.waiting);
        let dropped = counters.dropped.clone();
        thread::Builder::new()
            .name(kind.name.to_owned())
            .spawn(move || {
                let output = Output {
                    name: kind.name,
                    sink,
                    open: None,
                };
                write_all(&waiting, output, &counters);
            })?;
        Ok(Self {
            below: (share.clamp(0.0, 1.0) * 2f64.powi(64)) as u128,
            messages,
            dropped,
        })
    }

    /// Whether calls with this query id leave a record: all of them or none.
    pub fn samples(&self, query_id: &str) -> bool {
        let mut hasher = DefaultHasher::new();
        query_id.hash(&mut hasher);
        u128::from(hasher.finish()) < self.below
    }

    /// Hands a record over; never waits.
    pub fn write(&self, record: &impl Serialize) {
        let line = serde_json::to_vec(record).map(|mut line| {
            line.push(b'\n');
            line
        });
        let taken = line.is_ok_and(|line| self.messages.try_send(Message::Line(line)).is_ok());
        if !taken {
            self.dropped.inc();
        }
    }

    /// Waits until what was handed over is written, `patience` at most; whether it was.
    pub fn flush(&self, patience: Duration) -> bool {
        let (done, written) = mpsc::sync_channel(1);
        self.messages.send(Message::Flush(done)).is_ok() && written.recv_timeout(patience).is_ok()
    }
}

/// Writes whole lines, as many at a time as wait.
fn write_all(waiting: &Receiver<Message>, mut output: Output, counters: &RecordCounters) {
    let mut failing = false;
    while let Ok(first) = waiting.recv() {
        let (mut lines, mut count, mut flushed) = (Vec::new(), 0, Vec::new());
        for message in iter::once(first).chain(waiting.try_iter()) {
            match message {
                Message::Line(line) => {
                    lines.extend(line);
                    count += 1;
                }
                Message::Flush(done) => flushed.push(done),
            }
        }
        match output.write(&lines) {
            Ok(()) => {
                counters.written.inc_by(count);
                failing = false;
            }
            Err(error) => {
                counters.dropped.inc_by(count);
                if !failing {
                    warn!(%error, "cannot write records of {}", output.name);
                }
                failing = true;
            }
        }
        for done in flushed {
            let _ = done.send(());
        }
    }
}

struct Output {
    name: &'static str,
    sink: Sink,
    open: Option<OpenFile>,
}

struct OpenFile {
    file: File,
    bytes: u64,
    since: Instant,
}

impl Output {
    fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        let Sink::Folder(folder) = &self.sink else {
            let mut stdout = io::stdout().lock();
            stdout.write_all(lines)?;
            return stdout.flush();
        };
        let full = |open: &OpenFile| open.bytes >= FILE_BYTES || open.since.elapsed() >= FILE_AGE;
        let mut open = match self.open.take() {
            Some(open) if !full(&open) => open,
            _ => OpenFile::create(folder.join(file_name(self.name, Timestamp::now())))?,
        };
        // A file whose write failed is left behind: half a line may be in it.
        open.file.write_all(lines)?;
        open.bytes += lines.len() as u64;
        self.open = Some(open);
        Ok(())
    }
}

impl OpenFile {
    fn create(path: PathBuf) -> io::Result<Self> {
        Ok(Self {
            file: File::create_new(path)?,
            bytes: 0,
            since: Instant::now(),
        })
    }
}

/// Sorts by time; several rankers may write into one folder.
fn file_name(name: &str, now: Timestamp) -> String {
    let id = Uuid::new_v4().simple().to_string();
    format!(
        "{name}-{}-{}.ndjson",
        now.strftime("%Y%m%dT%H%M%SZ"),
        &id[..8]
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUERIES: Kind = Kind {
        name: "queries",
        waiting: 4096,
    };
    const PATIENCE: Duration = Duration::from_secs(20);

    fn counters() -> RecordCounters {
        let counter = |name: &str| IntCounter::new(name, name).unwrap();
        RecordCounters {
            written: counter("written"),
            dropped: counter("dropped"),
        }
    }

    #[test]
    fn the_sample_has_its_share_and_depends_on_the_query_id_alone() {
        for (share, least, most) in [(0.0, 0, 0), (0.1, 800, 1200), (1.0, 10_000, 10_000)] {
            let log = Records::start(QUERIES, share, Sink::Stdout, counters()).unwrap();
            let sampled = (0..10_000).filter(|id| log.samples(&format!("q-{id}")));
            let count = sampled.count();
            assert!((least..=most).contains(&count), "{share}: {count}");
            assert_eq!(log.samples("q-1"), log.samples("q-1"));
        }
    }

    #[test]
    fn a_folder_that_cannot_be_written_loses_records_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("records");
        let counters = counters();
        let log =
            Records::start(QUERIES, 1.0, Sink::Folder(folder.clone()), counters.clone()).unwrap();
        let line = |text: &str| Message::Line(text.as_bytes().to_vec());
        fs::remove_dir(&folder).unwrap();
        log.messages.try_send(line("lost\n")).unwrap();
        assert!(log.flush(PATIENCE));
        fs::create_dir(&folder).unwrap();
        log.messages.try_send(line("kept\n")).unwrap();
        assert!(log.flush(PATIENCE));
        assert_eq!((counters.written.get(), counters.dropped.get()), (1, 1));
        let files: Vec<_> = fs::read_dir(&folder).unwrap().collect();
        let path = files[0].as_ref().unwrap().path();
        assert_eq!(fs::read(path).unwrap(), b"kept\n");
    }
}
