//! The scripts are run by a shell against something that answers as the engines do and keeps what it
//! was asked.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::Command,
    thread,
};

use clap::Parser as _;

use super::*;
use crate::args::{self, Cli};

fn connect(line: &str) -> Connect {
    let words = ["searchop", "connect"].into_iter().chain(line.split(' '));
    match Cli::try_parse_from(words).unwrap().command {
        args::Command::Connect(connect) => connect,
        other => panic!("{other:?}"),
    }
}

/// Method, path and body of each call that the script makes.
fn run(script: &str, calls: usize) -> Vec<(String, Value)> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let engine = thread::spawn(move || {
        let mut kept = Vec::new();
        for _ in 0..calls {
            kept.push(answer(listener.accept().unwrap().0));
        }
        kept
    });
    let done = Command::new("sh")
        .args(["-c", script])
        .env("OPENSEARCH_URL", &url)
        .env("ELASTICSEARCH_URL", &url)
        .env("SEARCHOP_TOKEN", "f1a0/9==")
        .output()
        .unwrap();
    assert!(done.status.success(), "{done:?}\n{script}");
    engine.join().unwrap()
}

fn answer(stream: TcpStream) -> (String, Value) {
    let mut reader = BufReader::new(stream);
    let mut line = || {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    };
    let call = line().trim_end_matches(" HTTP/1.1").to_owned();
    let mut length = 0;
    loop {
        let header = line().to_ascii_lowercase();
        match header.strip_prefix("content-length: ") {
            Some(text) => length = text.parse().unwrap(),
            None if header.is_empty() => break,
            None => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let text = r#"{"task_id":"t","status":"CREATED","connector_id":"c-1","model_id":"m-1"}"#;
    let head = format!(
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        text.len()
    );
    reader
        .get_mut()
        .write_all(format!("{head}{text}").as_bytes())
        .unwrap();
    (call, serde_json::from_slice(&body).unwrap())
}

/// The engine's part: values in the places of `${parameters.…}`.
fn filled(template: &Value, values: &[(&str, &str)]) -> Value {
    let mut text = template.as_str().unwrap().to_owned();
    for (name, value) in values {
        text = text.replace(&format!("${{{name}}}"), value);
    }
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn opensearch_reranks_by_ids() {
    let script = script(&connect(
        "opensearch --model products --namespace shop --field sku",
    ));
    insta::assert_snapshot!("opensearch", script);
    let calls = run(&script, 4);
    let names: Vec<&str> = calls.iter().map(|(call, _)| call.as_str()).collect();
    assert_eq!(
        names,
        [
            "PUT /_cluster/settings",
            "POST /_plugins/_ml/connectors/_create",
            "POST /_plugins/_ml/models/_register?deploy=true",
            "PUT /_search/pipeline/searchop",
        ]
    );
    let [(_, settings), (_, connector), (_, model), (_, pipeline)] = calls.try_into().unwrap();
    let trusted =
        settings["persistent"]["plugins.ml_commons.trusted_connector_endpoints_regex"][0].as_str();
    let trusted = regex::Regex::new(trusted.unwrap()).unwrap();
    let action = &connector["actions"][0];
    let url = action["url"].as_str().unwrap();
    assert_eq!(url, "http://products-rank.shop.svc:8080/v1/rerank");
    assert!(trusted.is_match(url) && !trusted.is_match("http://products-rank-shop.svc:8080/"));
    assert_eq!(connector["credential"]["key"], "f1a0/9==");
    let values = [
        ("parameters.documents", r#"["SKU1","SKU2"]"#),
        ("parameters.query", "red shoes"),
        ("parameters.model", "products"),
        ("parameters.top_n", "2"),
    ];
    assert_eq!(
        filled(&action["request_body"], &values),
        json!({"documents": ["SKU1", "SKU2"], "query": "red shoes", "model": "products", "top_n": 2})
    );
    assert_eq!(model["connector_id"], "c-1");
    let rerank = &pipeline["response_processors"][0]["rerank"];
    assert_eq!(rerank["ml_opensearch"]["model_id"], "m-1");
    assert_eq!(rerank["context"]["document_fields"], json!(["sku"]));
    assert_eq!(rerank["ignore_failure"], true);
}

#[test]
fn opensearch_sends_columns() {
    let line = "opensearch --model products --field sku --columns price,rating --url https://rank.example:8443/";
    let calls = run(&script(&connect(line)), 4);
    let action = &calls[1].1["actions"][0];
    assert_eq!(action["url"], "https://rank.example:8443/rank");
    let values = [
        ("parameters.query", "red shoes"),
        ("parameters.ids", r#"["a","b"]"#),
        ("parameters.price", "[9.9,12.0]"),
        ("parameters.rating", "[4.1,null]"),
    ];
    assert_eq!(
        filled(&action["request_body"], &values),
        json!({"query": "red shoes", "ids": ["a", "b"], "columns": {"price": [9.9, 12.0], "rating": [4.1, null]}})
    );
    let processors = &calls[3].1["response_processors"];
    let map = &processors[0]["ml_inference"]["input_map"][0];
    assert_eq!(
        (&map["ids"], &map["price"]),
        (&json!("sku"), &json!("price"))
    );
    assert_eq!(
        processors[1]["rerank"]["by_field"]["target_field"],
        "rank_score"
    );
}

#[test]
fn elasticsearch_has_an_inference_endpoint() {
    let script = script(&connect(
        "elasticsearch --model products -n shop --field sku",
    ));
    insta::assert_snapshot!("elasticsearch", script);
    let calls = run(&script, 1);
    assert_eq!(calls[0].0, "PUT /_inference/rerank/searchop");
    let settings = &calls[0].1["service_settings"];
    assert_eq!(settings["secret_parameters"]["api_key"], "f1a0/9==");
    let values = [("input", r#"["SKU1"]"#), ("query", r#""red shoes""#)];
    assert_eq!(
        filled(&settings["request"], &values),
        json!({"documents": ["SKU1"], "query": "red shoes", "model": "products"})
    );
}

#[test]
fn an_answer_without_an_id_ends_the_script() {
    let text = script(&connect("opensearch --model products"));
    let text = text.replace("| field connector_id", "| field nothing");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let engine = thread::spawn(move || {
        for _ in 0..2 {
            answer(listener.accept().unwrap().0);
        }
    });
    let done = Command::new("sh")
        .args(["-c", &text])
        .env("OPENSEARCH_URL", url)
        .output()
        .unwrap();
    assert!(!done.status.success());
    assert!(String::from_utf8_lossy(&done.stderr).contains("the answer has no connector_id"));
    engine.join().unwrap();
}

#[test]
fn a_url_has_a_scheme_and_a_host() {
    for wrong in ["rank:8080", "ftp://rank", "http://", "http://a b"] {
        let words = [
            "searchop",
            "connect",
            "opensearch",
            "--model=a",
            "--url",
            wrong,
        ];
        assert!(Cli::try_parse_from(words).is_err(), "{wrong}");
    }
}
