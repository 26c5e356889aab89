//! The calls that make a search engine ask a ranker, as a script for `sh`. Nothing is sent from here.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::args::{Connect, Engine};

/// Names of what the calls make in the engine.
const NAME: &str = "searchop";

/// Where the ranker's token goes, and where it comes from.
const TOKEN: (&str, &str) = ("@TOKEN@", "${SEARCHOP_TOKEN:-none}");

/// The script for an engine.
pub fn script(args: &Connect) -> String {
    let url = args.ranker_url();
    let base = url.trim_end_matches('/');
    match args.engine {
        Engine::Opensearch if args.columns.is_empty() => opensearch_ids(args, base),
        Engine::Opensearch => opensearch_columns(args, base),
        Engine::Elasticsearch => elasticsearch(args, base),
    }
}

const OPENSEARCH_HEAD: &str = r#"#!/bin/sh
# Needs curl. OPENSEARCH_URL may hold a user: https://admin:…@search:9200. SEARCHOP_TOKEN is the
# ranker's bearer token, where it wants one.
set -eu
url=${OPENSEARCH_URL:-http://localhost:9200}
# call METHOD PATH: sends standard input.
call() { curl -fsS -X "$1" "$url/$2" -H 'content-type: application/json' --data-binary @-; }
# field NAME: its value in the JSON on standard input.
field() { sed -n "s/.*\"$1\" *: *\"\([^\"]*\)\".*/\1/p"; }
"#;

/// Ids go out, the order comes back: fields of the documents are not needed.
fn opensearch_ids(args: &Connect, base: &str) -> String {
    let mut script = OPENSEARCH_HEAD.to_owned();
    trust(&mut script, base);
    let action = json!({
        "action_type": "predict",
        "method": "POST",
        "url": format!("{base}/v1/rerank"),
        "headers": {"Authorization": "Bearer ${credential.key}"},
        "request_body": r#"{ "documents": ${parameters.documents}, "query": "${parameters.query}", "model": "${parameters.model}", "top_n": ${parameters.top_n} }"#,
        "pre_process_function": "connector.pre_process.cohere.rerank",
        "post_process_function": "connector.post_process.cohere.rerank",
    });
    register(&mut script, &args.model, &action);
    let rerank = json!({"rerank": {
        "ignore_failure": true,
        "ml_opensearch": {"model_id": "@MODEL@"},
        "context": {"document_fields": [args.field]},
    }});
    pipeline(&mut script, &json!([rerank]));
    ask(
        &mut script,
        "\"ext\": {\"rerank\": {\"query_context\": {\"query_text\": \"red shoes\"}}}",
    );
    script
}

/// Columns of the hits go out, a score for each comes back.
fn opensearch_columns(args: &Connect, base: &str) -> String {
    let mut script = OPENSEARCH_HEAD.to_owned();
    trust(&mut script, base);
    let columns: Vec<String> = args
        .columns
        .iter()
        .map(|column| format!("\"{column}\": ${{parameters.{column}}}"))
        .collect();
    let action = json!({
        "action_type": "predict",
        "method": "POST",
        "url": format!("{base}/rank"),
        "headers": {"Authorization": "Bearer ${credential.key}"},
        "request_body": format!(
            r#"{{ "query": "${{parameters.query}}", "ids": ${{parameters.ids}}, "columns": {{ {} }} }}"#,
            columns.join(", ")
        ),
    });
    register(&mut script, &args.model, &action);
    let mut input = json!({"ids": args.field, "query": args.query_path});
    for column in &args.columns {
        input[column] = column.as_str().into();
    }
    let score = json!({"ml_inference": {
        "ignore_failure": true,
        "model_id": "@MODEL@",
        "function_name": "remote",
        "input_map": [input],
        "output_map": [{"rank_score": "scores"}],
        "one_to_one": false,
    }});
    let sort = json!({"rerank": {
        "ignore_failure": true,
        "by_field": {
            "target_field": "rank_score",
            "remove_target_field": true,
            "keep_previous_score": true,
        },
    }});
    pipeline(&mut script, &json!([score, sort]));
    ask(
        &mut script,
        "nothing more: the query text is read from the query itself",
    );
    script
}

/// In-cluster addresses are refused unless these two settings allow them.
fn trust(script: &mut String, base: &str) {
    let endpoint = format!("^{}/.*$", regex::escape(base));
    let settings = json!({"persistent": {
        "plugins.ml_commons.trusted_connector_endpoints_regex": [endpoint],
        "plugins.ml_commons.connector.private_ip_enabled": true,
    }});
    step(script, "Let OpenSearch reach the ranker.");
    Call {
        request: "PUT _cluster/settings",
        body: &settings,
        fill: None,
        keep: None,
    }
    .write(script);
}

fn register(script: &mut String, model: &str, action: &Value) {
    let connector = json!({
        "name": NAME,
        "description": "SearchOp",
        "version": "1",
        "protocol": "http",
        "credential": {"key": "@TOKEN@"},
        "parameters": {"model": model},
        "client_config": {"connection_timeout": 1, "read_timeout": 1, "max_connection": 64},
        "actions": [action],
    });
    step(script, "Register the ranker as a remote model.");
    Call {
        request: "POST _plugins/_ml/connectors/_create",
        body: &connector,
        fill: Some(TOKEN),
        keep: Some(("connector", "connector_id")),
    }
    .write(script);
    let remote = json!({"name": NAME, "function_name": "remote", "connector_id": "@CONNECTOR@"});
    Call {
        request: "POST _plugins/_ml/models/_register?deploy=true",
        body: &remote,
        fill: Some(("@CONNECTOR@", "$connector")),
        keep: Some(("model", "model_id")),
    }
    .write(script);
}

fn pipeline(script: &mut String, processors: &Value) {
    step(
        script,
        "Rerank hits with it; where it does not answer, hits keep the engine's order.",
    );
    Call {
        request: &format!("PUT _search/pipeline/{NAME}"),
        body: &json!({"response_processors": processors}),
        fill: Some(("@MODEL@", "$model")),
        keep: None,
    }
    .write(script);
}

fn ask(script: &mut String, with: &str) {
    step(
        script,
        &format!("Search with ?search_pipeline={NAME} and, in the body, {with}"),
    );
}

fn elasticsearch(args: &Connect, base: &str) -> String {
    let mut script = r#"#!/bin/sh
# Needs curl. ELASTICSEARCH_URL may hold a user: https://elastic:…@search:9200. SEARCHOP_TOKEN is the
# ranker's bearer token, where it wants one.
set -eu
url=${ELASTICSEARCH_URL:-http://localhost:9200}
# call METHOD PATH: sends standard input.
call() { curl -fsS -X "$1" "$url/$2" -H 'content-type: application/json' --data-binary @-; }
"#
    .to_owned();
    let request = format!(
        r#"{{"documents": ${{input}}, "query": ${{query}}, "model": {}}}"#,
        json!(args.model)
    );
    let service = json!({"service": "custom", "service_settings": {
        "secret_parameters": {"api_key": "@TOKEN@"},
        "url": format!("{base}/v1/rerank"),
        "headers": {
            "Authorization": "Bearer ${api_key}",
            "Content-Type": "application/json",
        },
        "request": request,
        "response": {"json_parser": {
            "reranked_index": "$.results[*].index",
            "relevance_score": "$.results[*].relevance_score",
        }},
    }});
    step(&mut script, "Register the ranker as an inference endpoint.");
    Call {
        request: &format!("PUT _inference/rerank/{NAME}"),
        body: &service,
        fill: Some(TOKEN),
        keep: None,
    }
    .write(&mut script);
    let retriever = json!({"retriever": {"text_similarity_reranker": {
        "retriever": {"standard": {"query": {"match": {"title": "red shoes"}}}},
        "field": args.field,
        "inference_id": NAME,
        "inference_text": "red shoes",
        "rank_window_size": 100,
    }}});
    step(&mut script, "Search with a body like this one:");
    for line in format!("{retriever:#}").lines() {
        let _ = writeln!(script, "#   {line}");
    }
    script
}

fn step(script: &mut String, what: &str) {
    let _ = writeln!(script, "\n# {what}");
}

/// A call in a script.
struct Call<'a> {
    /// Method and path.
    request: &'a str,
    body: &'a Value,
    /// A mark in the body, and the shell's word for what takes its place.
    fill: Option<(&'a str, &'a str)>,
    /// A variable, and the field of the answer that it gets.
    keep: Option<(&'a str, &'a str)>,
}

impl Call<'_> {
    fn write(&self, script: &mut String) {
        let Self { request, body, .. } = self;
        let send = match self.fill {
            Some((mark, word)) => format!("sed \"s|{mark}|{word}|\" <<'JSON' | call {request}"),
            None => format!("call {request} <<'JSON'"),
        };
        let _ = match self.keep {
            Some((variable, field)) => writeln!(
                script,
                "{variable}=$({send} | field {field}\n{body:#}\nJSON\n)\n\
                 : \"${{{variable}:?the answer has no {field}}}\""
            ),
            None => writeln!(script, "{send}\n{body:#}\nJSON\necho"),
        };
    }
}

#[cfg(test)]
mod tests;
