use std::{
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    thread,
};

use searchop_contract::ExitCode;

use super::*;

#[test]
fn uris_without_an_object_or_with_credentials_are_refused() {
    let refused = |uri: &str| Wanted::parse(uri).unwrap_err().to_string();
    assert_eq!(
        refused("s3://key:secret@shop/events.csv"),
        "a data URI carries no credentials; put them into SEARCHOP_DATA_S3_ACCESS_KEY_ID and \
         SEARCHOP_DATA_S3_SECRET_ACCESS_KEY"
    );
    assert_eq!(
        refused("s3://shop/folder/"),
        "\"s3://shop/folder/\" names no object; use s3://bucket/key or a pattern such as \
         s3://bucket/folder/*.parquet"
    );
}

#[test]
fn patterns_list_the_folder_that_their_matches_share() {
    let prefix = |pattern| listed_prefix(pattern).map(|key| key.to_string());
    assert_eq!(prefix("a/b/*.csv"), Some("a/b".into()));
    assert_eq!(prefix("a/part-*/x.csv"), Some("a".into()));
    assert_eq!(prefix("*.csv"), None);
}

#[test]
fn the_data_may_live_elsewhere_than_the_artifacts() {
    let variables = |names: &'static [(&'static str, &'static str)]| {
        settings(|name| {
            names
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        })
    };
    let shared = variables(&[
        ("SEARCHOP_S3_ENDPOINT", "http://a"),
        ("SEARCHOP_S3_ACCESS_KEY_ID", "k"),
    ]);
    assert_eq!(
        (shared.endpoint.as_deref(), shared.access_key_id.as_deref()),
        (Some("http://a"), Some("k"))
    );
    // Never the keys of one place for the other.
    let own = variables(&[
        ("SEARCHOP_DATA_S3_ENDPOINT", "http://b"),
        ("SEARCHOP_S3_ACCESS_KEY_ID", "k"),
    ]);
    assert_eq!(
        (own.endpoint.as_deref(), own.access_key_id),
        (Some("http://b"), None)
    );
}

const LISTING: &str = "<?xml version=\"1.0\"?><ListBucketResult><Name>shop</Name><IsTruncated>false</IsTruncated>\
    <Contents><Key>log/b.csv</Key><Size>1</Size><LastModified>2026-11-20T00:00:00.000Z</LastModified></Contents>\
    <Contents><Key>log/a.csv</Key><Size>1</Size><LastModified>2026-11-20T00:00:00.000Z</LastModified></Contents>\
    <Contents><Key>log/old/c.csv</Key><Size>1</Size><LastModified>2026-11-20T00:00:00.000Z</LastModified></Contents>\
    <Contents><Key>log/a.md5</Key><Size>1</Size><LastModified>2026-11-20T00:00:00.000Z</LastModified></Contents>\
    </ListBucketResult>";

/// The answers of a bucket, byte for byte; the real servers are met in the cluster's scenarios.
fn answer(path: &str) -> (&'static str, &'static str) {
    match path.split_once('?') {
        Some(_) => ("200 OK", LISTING),
        None if path.starts_with("/shop/log/") => ("200 OK", "x,y"),
        None if path.starts_with("/shop/") => {
            ("404 Not Found", "<Error><Code>NoSuchKey</Code></Error>")
        }
        None => (
            "403 Forbidden",
            "<Error><Code>AccessDenied</Code><AWSAccessKeyId>key</AWSAccessKeyId></Error>",
        ),
    }
}

/// Serves until the test ends; returns the endpoint.
fn bucket() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap())
                .lines()
                .map_while(Result::ok);
            let request = lines.next().unwrap_or_default();
            lines.take_while(|line| !line.is_empty()).for_each(drop);
            let (status, body) = answer(request.split(' ').nth(1).unwrap_or_default());
            let head = format!(
                "HTTP/1.1 {status}\r\ncontent-length: {}\r\netag: \"1\"\r\n\
                 last-modified: Fri, 20 Nov 2026 00:00:00 GMT\r\nconnection: close\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all((head + body).as_bytes());
        }
    });
    endpoint
}

fn fetched(endpoint: &str, uri: &str) -> Result<Vec<String>, TrainError> {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(|name| match name {
        "SEARCHOP_DATA_S3_ENDPOINT" => Some(endpoint.to_owned()),
        "SEARCHOP_DATA_S3_ACCESS_KEY_ID" => Some("key".to_owned()),
        "SEARCHOP_DATA_S3_SECRET_ACCESS_KEY" => Some("secret".to_owned()),
        _ => None,
    });
    let paths = fetch_with(&settings, (Kind::Table, uri), folder.path())?;
    let text = |path: &PathBuf| {
        format!(
            "{}: {}",
            SourceFile::of(Kind::Table, path.clone()).unwrap().name,
            fs::read_to_string(path).unwrap()
        )
    };
    Ok(paths.iter().map(text).collect())
}

#[test]
fn objects_are_brought_here() {
    let endpoint = bucket();
    assert_eq!(
        fetched(&endpoint, "s3://shop/log/b.csv"),
        Ok(vec!["b.csv: x,y".into()])
    );
    assert_eq!(
        fetched(&endpoint, "s3://shop/log/*.csv"),
        Ok(vec!["a.csv: x,y".into(), "b.csv: x,y".into()])
    );
    assert_eq!(
        fetched(&endpoint, "s3://shop/log/*.parquet"),
        Err(TrainError::data(
            "s3://shop/log/*.parquet matches no object"
        ))
    );
    assert_eq!(
        fetched(&endpoint, "s3://shop/log/a.md5")
            .unwrap_err()
            .to_string()
            .split(';')
            .next(),
        Some("a.md5: unknown file ending")
    );
}

#[test]
fn a_refusal_is_final_and_silence_is_not() {
    let endpoint = bucket();
    let host = endpoint.trim_start_matches("http://");
    let missing = fetched(&endpoint, "s3://shop/gone.csv").unwrap_err();
    assert_eq!(missing.exit_code(), ExitCode::StorageRefused);
    assert_eq!(
        missing.to_string(),
        format!("s3://shop at {host} refused \"gone.csv\": not found (NoSuchKey)")
    );

    let forbidden = fetched(&endpoint, "s3://secrets/events.csv").unwrap_err();
    assert_eq!(forbidden.exit_code(), ExitCode::StorageRefused);
    assert_eq!(
        forbidden.to_string(),
        format!("s3://secrets at {host} refused \"events.csv\": permission denied (AccessDenied)")
    );

    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let silent = fetched(&format!("http://{closed}"), "s3://shop/events.csv").unwrap_err();
    assert_eq!(silent.exit_code(), ExitCode::StorageUnavailable);
    assert!(
        silent.to_string().starts_with(&format!(
            "s3://shop at {closed} is unavailable for \"events.csv\": "
        )),
        "{silent}"
    );
}
