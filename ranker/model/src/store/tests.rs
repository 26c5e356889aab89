use std::{
    io::{Read, Write},
    net::TcpListener,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use object_store::{ObjectStore, ObjectStoreExt, memory::InMemory, path::Path as Key};
use searchop_contract::{FileEntry, TABLES_FORMAT, TablesManifest, TextVersion};
use tempfile::TempDir;

use super::*;
use crate::artifact::{write_artifact, write_file};

/// A small sealed artifact; `text` makes its digest.
fn sealed(text: &str) -> (TempDir, Digest) {
    let dir = TempDir::new().unwrap();
    write_file(dir.path(), "a.txt", text.as_bytes()).unwrap();
    write_file(dir.path(), "b.txt", b"").unwrap();
    let manifest = TablesManifest {
        format_version: TABLES_FORMAT,
        model: "products".into(),
        files: Vec::<FileEntry>::new(),
        text: TextVersion {
            version: 1,
            language: "english".into(),
        },
        features_version: 1,
        tables_time: jiff::Timestamp::UNIX_EPOCH,
        items: 0,
        query_items: 0,
    };
    let (digest, _) = write_artifact(dir.path(), manifest).unwrap();
    (dir, digest)
}

fn local(root: &TempDir) -> ArtifactStore {
    let uri = format!("file://{}", root.path().display());
    ArtifactStore::open(&uri, &S3Settings::default()).unwrap()
}

fn remote() -> (ArtifactStore, Arc<InMemory>) {
    let memory = Arc::new(InMemory::new());
    let store: Arc<dyn ObjectStore> = memory.clone();
    let location = S3Location {
        store,
        prefix: Key::from("shop/x"),
        place: "s3://b at memory".into(),
    };
    (
        ArtifactStore(Backend::Remote(RemoteStore::new(location))),
        memory,
    )
}

async fn publishes_fetches_lists_and_deletes(store: &ArtifactStore) {
    let (one, first) = sealed("one");
    let (two, second) = sealed("two");
    let into = TempDir::new().unwrap();
    for _ in 0..2 {
        store
            .publish(one.path(), ArtifactKind::Tables, &first)
            .await
            .unwrap();
        store
            .publish(two.path(), ArtifactKind::Tables, &second)
            .await
            .unwrap();
    }
    let mut both = vec![first.clone(), second.clone()];
    both.sort();
    assert_eq!(store.list(ArtifactKind::Tables).await.unwrap(), both);
    assert_eq!(store.list(ArtifactKind::Model).await.unwrap(), []);
    for _ in 0..2 {
        let dir = store
            .fetch(ArtifactKind::Tables, &first, into.path())
            .await
            .unwrap();
        assert_eq!(std::fs::read_to_string(dir.join("a.txt")).unwrap(), "one");
        verify_copy(&dir, &first);
    }
    for _ in 0..2 {
        store.delete(ArtifactKind::Tables, &first).await.unwrap();
        assert_eq!(
            store.list(ArtifactKind::Tables).await.unwrap(),
            std::slice::from_ref(&second)
        );
    }
    let elsewhere = TempDir::new().unwrap();
    let gone = store
        .fetch(ArtifactKind::Tables, &first, elsewhere.path())
        .await
        .unwrap_err();
    assert!(matches!(gone, StoreError::Refused { .. }), "{gone}");
    assert_eq!(gone.exit_code(), ExitCode::StorageRefused);
}

async fn replaces_and_removes_reports(store: &ArtifactStore) {
    for text in ["first", "second"] {
        store.write_report(8, text.into()).await.unwrap();
    }
    for version in [7, 8, 8] {
        store.delete_report(version).await.unwrap();
    }
    store.write_report(9, b"third".to_vec()).await.unwrap();
}

fn verify_copy(dir: &Path, digest: &Digest) {
    let files = crate::artifact::verify_artifact(dir, digest).unwrap();
    assert_eq!(files.len(), 2);
}

#[tokio::test]
async fn a_folder_keeps_artifacts() {
    let root = TempDir::new().unwrap();
    publishes_fetches_lists_and_deletes(&local(&root)).await;
    replaces_and_removes_reports(&local(&root)).await;
    let reports = root.path().join("reports");
    assert_eq!(std::fs::read(reports.join("v9.json")).unwrap(), b"third");
    assert_eq!(std::fs::read_dir(reports).unwrap().count(), 1);
    let left = std::fs::read_dir(root.path().join("tables"))
        .unwrap()
        .count();
    assert_eq!(left, 1, "nothing but the second artifact stays");
}

#[tokio::test]
async fn an_object_store_keeps_artifacts() {
    publishes_fetches_lists_and_deletes(&remote().0).await;
}

#[tokio::test]
async fn a_damaged_copy_is_refused_when_read_and_replaced_when_published() {
    let root = TempDir::new().unwrap();
    let store = local(&root);
    let (dir, digest) = sealed("whole");
    store
        .publish(dir.path(), ArtifactKind::Model, &digest)
        .await
        .unwrap();
    let copy = root.path().join("models").join(digest.hex()).join("a.txt");
    std::fs::write(&copy, "whale").unwrap();
    let error = store
        .fetch(ArtifactKind::Model, &digest, root.path())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("a.txt: has sha256"), "{error}");
    store
        .publish(dir.path(), ArtifactKind::Model, &digest)
        .await
        .unwrap();
    store
        .fetch(ArtifactKind::Model, &digest, root.path())
        .await
        .unwrap();
}

#[tokio::test]
async fn an_upload_that_was_cut_off_is_finished_and_a_download_trusts_no_byte() {
    let (store, memory) = remote();
    let (dir, digest) = sealed("whole");
    let key = |name: &str| Key::from(format!("shop/x/models/{}/{name}", digest.hex()));
    memory.put(&key("a.txt"), "who".into()).await.unwrap();
    let into = TempDir::new().unwrap();
    let fetch = || store.fetch(ArtifactKind::Model, &digest, into.path());

    assert!(
        matches!(fetch().await, Err(StoreError::Refused { .. })),
        "no manifest, no artifact"
    );
    store
        .publish(dir.path(), ArtifactKind::Model, &digest)
        .await
        .unwrap();
    let manifest = memory
        .get(&key("manifest.json"))
        .await
        .unwrap()
        .bytes()
        .await
        .unwrap();
    for (name, content, problem) in [
        ("a.txt", "whale", "has sha256"),
        ("a.txt", "wholesome", "has more than the 5 bytes"),
        ("a.txt", "who", "has 3 bytes, the manifest says 5"),
        ("manifest.json", "{}", "has digest"),
    ] {
        memory.put(&key(name), content.into()).await.unwrap();
        let error = fetch().await.unwrap_err();
        assert!(error.to_string().contains(problem), "{error}");
        memory.put(&key("a.txt"), "whole".into()).await.unwrap();
        memory
            .put(&key("manifest.json"), manifest.clone().into())
            .await
            .unwrap();
    }
    fetch().await.unwrap();
}

#[tokio::test]
async fn a_large_file_travels_in_parts() {
    let (store, _memory) = remote();
    let text = "0123456789abcdef".repeat(2_200_000);
    let (dir, digest) = sealed(&text);
    store
        .publish(dir.path(), ArtifactKind::Model, &digest)
        .await
        .unwrap();
    let into = TempDir::new().unwrap();
    let copy = store
        .fetch(ArtifactKind::Model, &digest, into.path())
        .await
        .unwrap();
    verify_copy(&copy, &digest);
}

#[test]
fn uris_and_settings_that_cannot_work_are_named() {
    let none = S3Settings::from_lookup("SEARCHOP_S3_", |_| None);
    let with = |endpoint: &str| {
        let endpoint = endpoint.to_owned();
        S3Settings::from_lookup("SEARCHOP_DATA_S3_", move |name| match name {
            "SEARCHOP_DATA_S3_ENDPOINT" => Some(endpoint.clone()),
            "SEARCHOP_DATA_S3_ACCESS_KEY_ID" => Some("key".into()),
            "SEARCHOP_DATA_S3_SECRET_ACCESS_KEY" => Some("top-secret".into()),
            _ => None,
        })
    };
    let good = with("http://127.0.0.1:9000");
    let error = |uri: &str, settings: &S3Settings| match ArtifactStore::open(uri, settings) {
        Ok(_) => panic!("{uri} was accepted"),
        Err(error) => {
            assert_eq!(error.exit_code(), ExitCode::BadConfig);
            error.to_string()
        }
    };
    for (uri, settings, message) in [
        (
            "s3://b/p",
            &none,
            "SEARCHOP_S3_ACCESS_KEY_ID is not set, s3:// needs it",
        ),
        (
            "s3://b/p",
            &with("ftp://host"),
            "SEARCHOP_DATA_S3_ENDPOINT is not of the form http://host or https://host",
        ),
        (
            "s3://b/p",
            &with("nonsense"),
            "SEARCHOP_DATA_S3_ENDPOINT is not of the form http://host or https://host",
        ),
        (
            "s3:///p",
            &good,
            r#""s3:///p" is not a place for artifacts: "" is not the name of a bucket"#,
        ),
        (
            "/tmp/x",
            &none,
            r#""/tmp/x" is not a place for artifacts: relative URL without a base"#,
        ),
        (
            "gs://b/p",
            &none,
            r#""gs://b/p" is not a place for artifacts: expected file:///folder or s3://bucket/prefix"#,
        ),
        (
            "file://host/p",
            &none,
            r#""file://host/p" is not a place for artifacts: expected an absolute path without host"#,
        ),
    ] {
        assert_eq!(error(uri, settings), message);
    }
    assert!(ArtifactStore::open("s3://b/p", &good).is_ok());
    assert!(ArtifactStore::open("s3://b", &with("https://s3.example.com/")).is_ok());
    assert!(!format!("{good:?}").contains("secret\""), "{good:?}");
    assert!(!format!("{good:?}").contains("top-secret"), "{good:?}");
}

/// A server that gives every request the same answer, for what real servers do only when ill.
fn answering(status: &'static str, body: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut request = [0; 8192];
            let _ = stream.read(&mut request);
            let head = format!(
                "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(format!("{head}{body}").as_bytes());
        }
    });
    format!("http://{address}")
}

async fn fetch_from(endpoint: String) -> String {
    let settings = S3Settings::from_lookup("SEARCHOP_S3_", move |name| match name {
        "SEARCHOP_S3_ENDPOINT" => Some(endpoint.clone()),
        "SEARCHOP_S3_ACCESS_KEY_ID" => Some("AKIDSECRET".into()),
        "SEARCHOP_S3_SECRET_ACCESS_KEY" => Some("s3cr3t".into()),
        _ => None,
    });
    let store = ArtifactStore::open("s3://shop/models-of/x", &settings).unwrap();
    let into = TempDir::new().unwrap();
    let start = Instant::now();
    let error = store
        .fetch(ArtifactKind::Model, &Digest::of(b""), into.path())
        .await
        .unwrap_err();
    assert!(
        start.elapsed() < Duration::from_secs(20),
        "took {:?}",
        start.elapsed()
    );
    let message = error.to_string();
    assert!(
        !message.contains("SECRET") && !message.contains("s3cr3t"),
        "{message}"
    );
    assert!(message.contains("s3://shop at 127.0.0.1:"), "{message}");
    assert!(
        message.contains("models-of/x/models/e3b0c44298fc"),
        "{message}"
    );
    let class = if error.is_transient() {
        "unavailable"
    } else {
        "refused"
    };
    format!("{class}: {}", message.rsplit("\": ").next().unwrap())
}

#[tokio::test]
async fn the_servers_answers_are_told_apart() {
    const DENIED: &str =
        "<Error><Code>AccessDenied</Code><AWSAccessKeyId>AKIDSECRET</AWSAccessKeyId></Error>";
    for (status, body, expected) in [
        (
            "403 Forbidden",
            DENIED,
            "refused: permission denied (AccessDenied)",
        ),
        ("401 Unauthorized", "", "refused: credentials not accepted"),
        (
            "404 Not Found",
            "<Error><Code>NoSuchBucket</Code></Error>",
            "refused: not found (NoSuchBucket)",
        ),
        (
            "400 Bad Request",
            "<Error><Code>InvalidArgument</Code></Error>",
            "refused: status 400 (InvalidArgument)",
        ),
        (
            "301 Moved Permanently",
            "",
            "refused: redirected without a location: check SEARCHOP_S3_REGION",
        ),
        (
            "503 Slow Down",
            "<Error><Code>SlowDown</Code></Error>",
            "unavailable: status 503 (SlowDown)",
        ),
        ("500 Internal Server Error", "", "unavailable: status 500"),
    ] {
        assert_eq!(fetch_from(answering(status, body)).await, expected);
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable() {
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let answer = fetch_from(format!("http://{free}")).await;
    assert_eq!(answer, "unavailable: Connection refused (os error 111)");
}

#[tokio::test]
async fn a_server_that_never_answers_is_unavailable() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let answer = fetch_from(format!("http://{}", listener.local_addr().unwrap())).await;
    assert!(answer.starts_with("unavailable: "), "{answer}");
}
