use std::{
    collections::BTreeSet,
    fs,
    net::{SocketAddr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::{
    artifacts::Artifacts,
    client::{Answer, Connection, RANK, get},
    object_store::ObjectStore,
    process::{Process, SECRET, Start},
};

#[test]
fn serves_a_request_as_it_stands_and_ends_with_zero() {
    let artifacts = Artifacts::new(1.0);
    let mut process = Start::new(
        &artifacts,
        &["--drain-seconds=0", "--log=searchop_ranker=debug"],
    )
    .start();
    assert_eq!(get(process.rank, "/livez").unwrap().status, 200);
    process.wait_until_ready();

    let mut connection = Connection::open(process.rank).unwrap();
    let answer = connection.rank(RANK).unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.json()["products"],
        json!([{"id": 1, "score": 1.25}, {"id": "3", "score": -0.75}])
    );
    assert_eq!(answer.json()["digest"], artifacts.digest.as_str());
    let text = connection.get("/health").unwrap().json();
    assert_eq!(
        (&text["status"], &text["version"]),
        (&json!("ready"), &json!(7))
    );
    let metrics = get(process.metrics, "/metrics").unwrap();
    assert!(metrics.text().contains("searchop_model_info{"));
    drop(connection);

    process.signal(Signal::SIGINT);
    assert_eq!(process.wait().code(), Some(0));
    process.wait_for("last line", |process| process.log().contains("\"ended\""));
    let log = process.log();
    assert!(log.contains(r#""route":"/rank""#), "{log}");
    assert!(
        log.lines()
            .all(|line| serde_json::from_str::<Value>(line).is_ok()),
        "{log}"
    );
    for private in ["running shoes", "Nike", "u-1"] {
        assert!(!log.contains(private), "{log}");
    }
}

/// What is done to an artifact, and what the program must say about it.
type Damage = (fn(&Artifacts), &'static [&'static str]);

#[test]
fn a_damaged_artifact_is_never_served() {
    fn rewrite(path: std::path::PathBuf, change: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = fs::read(&path).unwrap();
        change(&mut bytes);
        fs::write(path, bytes).unwrap();
    }
    let table: [Damage; 5] = [
        (
            |a| rewrite(a.model_dir().join("model.bst"), |bytes| bytes.truncate(100)),
            &["model.bst", "cut off"],
        ),
        (
            |a| rewrite(a.model_dir().join("model.bst"), |bytes| bytes[200] ^= 1),
            &["model.bst", "altered"],
        ),
        (
            |a| {
                rewrite(a.model_dir().join("manifest.json"), |bytes| {
                    bytes.push(b' ')
                })
            },
            &["manifest.json", "digest"],
        ),
        (
            |a| {
                rewrite(a.tables_dir().join("items.table"), |bytes| {
                    bytes.truncate(9)
                })
            },
            &["items.table", "cut off"],
        ),
        (
            |a| fs::remove_dir_all(a.model_dir()).unwrap(),
            &["manifest.json"],
        ),
    ];
    for (damage, says) in table {
        let artifacts = Artifacts::new(1.0);
        damage(&artifacts);
        let mut process = Start::new(&artifacts, &[]).start();
        assert_ne!(process.readiness(), Some(200));
        assert_eq!(process.wait().code(), Some(5), "{}", process.log());
        process.wait_for("the reason", |process| process.log().contains("ERROR"));
        let log = process.log();
        let errors: Vec<&str> = log.lines().filter(|line| line.contains("ERROR")).collect();
        assert_eq!(errors.len(), 1, "{log}");
        for word in says {
            assert!(errors[0].contains(word), "{word:?}: {log}");
        }
    }
}

#[test]
fn storage_that_comes_back_is_waited_for() {
    let artifacts = Artifacts::new(1.0);
    let cache = tempfile::tempdir().unwrap();
    let cache_option = format!("--cache={}", cache.path().display());
    // More refusals than the storage client itself takes for one request.
    let bucket = ObjectStore::start(artifacts.root(), 8);
    let options = [cache_option.as_str(), "--drain-seconds=0"];
    let mut process = Start {
        bucket: Some(&bucket),
        ..Start::new(&artifacts, &options)
    }
    .start();
    process.wait_for("reason", |process| {
        let answer = get(process.rank, "/readyz").unwrap();
        answer.status == 503 && answer.text().contains("unavailable")
    });
    assert_eq!(get(process.metrics, "/livez").unwrap().status, 200);
    process.wait_until_ready();
    let answer = Connection::open(process.rank).unwrap().rank(RANK).unwrap();
    assert_eq!(
        answer.json()["products"][0],
        json!({"id": 1, "score": 1.25})
    );
    process.signal(Signal::SIGTERM);
    assert_eq!(process.wait().code(), Some(0));

    // What is in the cache needs no storage any more; nothing was logged that is secret.
    let asked = bucket.requests.load(Ordering::Relaxed);
    let again = Start {
        bucket: Some(&bucket),
        ..Start::new(&artifacts, &options)
    }
    .start();
    again.wait_until_ready();
    assert_eq!(bucket.requests.load(Ordering::Relaxed), asked);
    assert!(!process.log().contains(SECRET), "{}", process.log());
}

#[test]
fn storage_that_refuses_ends_the_program() {
    let (artifacts, empty) = (Artifacts::new(1.0), tempfile::tempdir().unwrap());
    let cache_option = format!("--cache={}", empty.path().display());
    let bucket = ObjectStore::start(empty.path(), 0);
    let options = [cache_option.as_str()];
    let mut process = Start {
        bucket: Some(&bucket),
        ..Start::new(&artifacts, &options)
    }
    .start();
    assert_eq!(process.wait().code(), Some(5), "{}", process.log());
    process.wait_for("the reason", |process| process.log().contains("not found"));
}

#[test]
fn half_a_head_is_not_waited_for() {
    let artifacts = Artifacts::new(1.0);
    let process = Start::new(&artifacts, &["--request-timeout=1"]).start();
    process.wait_until_ready();
    let mut idle = Connection::open(process.rank).unwrap();
    assert_eq!(idle.rank(RANK).unwrap().status, 200);
    let begin = Instant::now();
    let mut half: Vec<Connection> = (0..50)
        .map(|_| Connection::open(process.rank).unwrap())
        .collect();
    for connection in &mut half[..25] {
        connection.send(b"POST /rank HTTP/1.1\r\nhost: te").unwrap();
    }
    let mut slow_body = Connection::open(process.rank).unwrap();
    let head = "POST /rank HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\ncontent-length: 90\r\n\r\n{";
    slow_body.send(head.as_bytes()).unwrap();
    for mut connection in half {
        connection.until_closed().unwrap();
    }
    assert_eq!(slow_body.answer().unwrap().status, 408);
    slow_body.until_closed().unwrap();
    let elapsed = begin.elapsed();
    assert!((0.9..10.0).contains(&elapsed.as_secs_f64()), "{elapsed:?}");
    // A connection between two requests is not half a head.
    assert_eq!(idle.rank(RANK).unwrap().status, 200);
}

#[test]
fn unsafe_framing_is_refused_and_others_are_unharmed() {
    let artifacts = Artifacts::new(1.0);
    let process = Start::new(&artifacts, &["--max-body-bytes=65536"]).start();
    process.wait_until_ready();
    let big_header = format!(
        "GET /livez HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n",
        "x".repeat(100_000)
    );
    let many_headers = format!(
        "GET /livez HTTP/1.1\r\nhost: a\r\n{}\r\n",
        "x: y\r\n".repeat(1000)
    );
    let json = "content-type: application/json\r\n";
    let expect = format!(
        "POST /rank HTTP/1.1\r\nhost: a\r\n{json}content-length: 99999999\r\nexpect: 100-continue\r\n\r\n"
    );
    let both = format!(
        "POST /rank HTTP/1.1\r\nhost: a\r\n{json}content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"
    );
    let table: [(&str, &[u16]); 6] = [
        ("nonsense\r\n\r\n", &[400]),
        ("GET /livez HTTP/9.9\r\n\r\n", &[400, 505]),
        (&big_header, &[431]),
        (&many_headers, &[431]),
        (&expect, &[413]),
        (&both, &[400]),
    ];
    for (bytes, statuses) in table {
        let mut connection = Connection::open(process.rank).unwrap();
        let _ = connection.send(bytes.as_bytes());
        let shown: String = bytes.chars().take(80).collect();
        let status = connection
            .answer()
            .unwrap_or_else(|error| panic!("{shown}: {error}"))
            .status;
        assert!(statuses.contains(&status), "{shown}: {status}");
        connection.until_closed().unwrap();
    }
    // A client that writes all before it reads sees why it was refused.
    let mut connection = Connection::open(process.rank).unwrap();
    let answer = connection.rank(&" ".repeat(200_000)).unwrap();
    assert_eq!(
        (answer.status, &answer.json()["error"]["code"]),
        (413, &json!("body_too_large"))
    );
    let mut pipelined = Connection::open(process.rank).unwrap();
    pipelined
        .send(&b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n".repeat(3))
        .unwrap();
    for _ in 0..3 {
        assert_eq!(pipelined.answer().unwrap().status, 200);
    }
    assert_eq!(get(process.rank, "/readyz").unwrap().status, 200);
}

/// Clients that rank without a pause, half of them over kept connections. Any failure is kept.
struct Load {
    stop: Arc<AtomicBool>,
    /// Answers so far.
    answered: Arc<AtomicUsize>,
    clients: Vec<JoinHandle<Result<BTreeSet<u64>, String>>>,
}

impl Load {
    fn start(address: SocketAddr) -> Self {
        let (stop, answered) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicUsize::new(0)),
        );
        let client = |kept: bool| {
            let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
            thread::spawn(move || client(address, kept, &stop, &answered))
        };
        let clients = vec![client(true), client(false), client(true), client(false)];
        Self {
            stop,
            answered,
            clients,
        }
    }

    /// Waits until `more` further requests are answered.
    fn go_on(&self, more: usize) {
        let target = self.answered.load(Ordering::Relaxed) + more;
        let begin = Instant::now();
        while self.answered.load(Ordering::Relaxed) < target {
            let broken = self.clients.iter().any(JoinHandle::is_finished);
            assert!(
                !broken && begin.elapsed() < Duration::from_secs(60),
                "the clients are stuck"
            );
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// The versions that answered.
    fn finish(self) -> BTreeSet<u64> {
        self.stop.store(true, Ordering::Relaxed);
        let seen = self
            .clients
            .into_iter()
            .map(|client| client.join().unwrap().unwrap());
        seen.flatten().collect()
    }
}

fn client(
    address: SocketAddr,
    kept: bool,
    stop: &AtomicBool,
    answered: &AtomicUsize,
) -> Result<BTreeSet<u64>, String> {
    let mut versions = BTreeSet::new();
    let mut open: Option<Connection> = None;
    while !stop.load(Ordering::Relaxed) {
        let mut connection = match open.take() {
            Some(connection) => connection,
            None => Connection::open(address).map_err(|error| format!("connect: {error}"))?,
        };
        let answer: Answer = connection
            .rank(RANK)
            .map_err(|error| format!("kept {kept}: {error}"))?;
        if answer.status != 200 {
            return Err(format!("{}: {}", answer.status, answer.text()));
        }
        versions.extend(answer.json()["version"].as_u64());
        answered.fetch_add(1, Ordering::Relaxed);
        if kept && !answer.closes() {
            open = Some(connection);
        }
    }
    Ok(versions)
}

#[test]
fn draining_fails_no_request() {
    let artifacts = Artifacts::new(1.0);
    let mut process = Start::new(&artifacts, &["--drain-seconds=4"]).start();
    process.wait_until_ready();
    let mut quiet = Connection::open(process.rank).unwrap();
    assert!(!quiet.rank(RANK).unwrap().closes());
    let load = Load::start(process.rank);
    load.go_on(200);

    let begin = Instant::now();
    process.signal(Signal::SIGTERM);
    process.wait_for("end of readiness", |process| {
        process.readiness() == Some(503)
    });
    assert!(
        begin.elapsed() < Duration::from_millis(1500),
        "{:?}",
        begin.elapsed()
    );
    // Endpoints take a moment to disappear; until then clients come, and are told to move.
    load.go_on(100);
    let answer = quiet.rank(RANK).unwrap();
    assert_eq!((answer.status, answer.closes()), (200, true));
    assert_eq!(load.finish(), BTreeSet::from([7]));
    assert_eq!(process.wait().code(), Some(0));
    assert!(
        begin.elapsed() >= Duration::from_secs(4),
        "the drain was cut short"
    );
    assert!(
        begin.elapsed() < Duration::from_secs(10),
        "the drain took {:?}",
        begin.elapsed()
    );
}

#[test]
fn a_request_under_way_is_answered_after_the_drain() {
    let artifacts = Artifacts::new(1.0);
    let mut process =
        Start::new(&artifacts, &["--drain-seconds=0.2", "--request-timeout=5"]).start();
    process.wait_until_ready();
    let mut slow = Connection::open(process.rank).unwrap();
    let head = format!(
        "POST /rank HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        RANK.len()
    );
    slow.send(head.as_bytes()).unwrap();
    thread::sleep(Duration::from_millis(100));
    process.signal(Signal::SIGTERM);
    thread::sleep(Duration::from_millis(600));
    slow.send(RANK.as_bytes()).unwrap();
    assert_eq!(slow.answer().unwrap().status, 200);
    assert_eq!(process.wait().code(), Some(0));
}

#[test]
fn a_second_signal_ends_at_once() {
    let artifacts = Artifacts::new(1.0);
    let mut process = Start::new(&artifacts, &["--drain-seconds=60"]).start();
    process.wait_until_ready();
    process.signal(Signal::SIGTERM);
    process.wait_for("drain", |process| process.readiness() == Some(503));
    process.signal(Signal::SIGTERM);
    assert_eq!(process.wait().code(), Some(0));
}

#[test]
fn a_shared_socket_passes_from_version_to_version() {
    let (first, second) = (Artifacts::new(1.0), Artifacts::new(2.0));
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let options = ["--drain-seconds=10"];
    let begin = |artifacts, version| -> Process {
        Start {
            version,
            socket: Some(&socket),
            ..Start::new(artifacts, &options)
        }
        .start()
    };
    let mut old = begin(&first, 1);
    assert_eq!(old.rank, address);
    // Clients that come before the model wait instead of failing.
    let load = Load::start(address);
    old.wait_until_ready();
    load.go_on(200);
    let new = begin(&second, 2);
    new.wait_until_ready();
    let leave = Instant::now();
    old.signal(Signal::SIGTERM);
    assert_eq!(old.wait().code(), Some(0));
    assert!(
        leave.elapsed() < Duration::from_secs(5),
        "nobody was left to wait for"
    );
    load.go_on(200);
    assert_eq!(load.finish(), BTreeSet::from([1, 2]));
    assert_eq!(
        Connection::open(address)
            .unwrap()
            .rank(RANK)
            .unwrap()
            .json()["version"],
        2
    );
}
