//! Every wrong request has its own answer: exact status, code and place, and a message of one line.
//! Requests that only look wrong are answered.

use axum::{Router, body::Body};
use http::{Request, StatusCode};

use crate::{
    client::RANK,
    router::{MAX_BODY, call, get, loaded, loaded_and, post},
};

/// A request and its answer.
struct Case {
    path: &'static str,
    body: Vec<u8>,
    status: u16,
    code: &'static str,
    /// Empty for none.
    place: String,
}

fn case(
    path: &'static str,
    body: impl Into<Vec<u8>>,
    status: u16,
    code: &'static str,
    place: impl Into<String>,
) -> Case {
    Case {
        path,
        body: body.into(),
        status,
        code,
        place: place.into(),
    }
}

fn invalid(path: &'static str, body: impl Into<Vec<u8>>, place: impl Into<String>) -> Case {
    case(path, body, 422, "invalid_request", place)
}

fn cut(path: &'static str, body: impl Into<Vec<u8>>) -> Case {
    case(path, body, 400, "invalid_json", "")
}

const ROUTES: [(&str, &str, &str); 4] = [
    ("/rank", "products", "top_k"),
    ("/v1/rerank", "documents", "top_n"),
    ("/v2/rerank", "documents", "top_n"),
    ("/rerank", "texts", "top_n"),
];

/// What is wrong with any body, whatever its shape.
fn whole_bodies(cases: &mut Vec<Case>) {
    for (path, list, _) in ROUTES {
        let good = format!(r#"{{"query":"a","{list}":["1"]}}"#);
        for end in [0, 1, good.len() / 2, good.len() - 1] {
            cases.push(cut(path, &good.as_bytes()[..end]));
        }
        for text in [
            "x",
            "{\"query\"}",
            "{'query':1}",
            "\u{feff}{}",
            "{\"query\":\"a\",}",
        ] {
            cases.push(cut(path, text));
        }
        cases.push(cut(path, format!("{good}x")));
        cases.push(cut(path, format!("{good}{good}")));
        cases.push(cut(path, b"{\"query\":\"\xff\"}".to_vec()));
        cases.push(cut(path, b"\x1f\x8b\x08\x00\x00\x00\x00\x00".to_vec()));
        for text in [
            "null",
            "[]",
            "7",
            "true",
            "\"query\"",
            "[{}]",
            "-0",
            "1e300",
        ] {
            cases.push(invalid(path, text, ""));
        }
        cases.push(cut(path, "1e400"));
        cases.push(cut(path, "NaN"));
        cases.push(invalid(path, "[".repeat(MAX_BODY), ""));
        cases.push(case(
            path,
            " ".repeat(MAX_BODY + 1),
            413,
            "body_too_large",
            "",
        ));
    }
}

/// Fields that every shape has.
fn shared_fields(cases: &mut Vec<Case>) {
    for (path, list, most) in ROUTES {
        let with = |field: &str, value: &str| {
            let query = if field == "query" {
                ""
            } else {
                r#""query":"a","#
            };
            format!(r#"{{{query}"{field}":{value},"{list}":[]}}"#)
        };
        let required = |body: &str, place: &str| invalid(path, body.to_owned(), place);
        let needed = if path == "/rank" {
            "products"
        } else {
            "documents"
        };
        cases.push(required("{}", needed));
        cases.push(required(r#"{"query":"a"}"#, needed));
        cases.push(required(
            &format!(r#"{{"query":"a","{list}":null}}"#),
            needed,
        ));
        cases.push(required(&format!(r#"{{"{list}":[]}}"#), "query"));
        for value in ["null", "7", "true", "[]", "{}", "1.5"] {
            cases.push(invalid(path, with("query", value), "query"));
        }
        let long = |count: usize| format!("\"{}\"", "é".repeat(count));
        cases.push(invalid(path, with("query", &long(1001)), "query"));
        for value in ["7", "{}", "false", &long(201), r#""a\nb""#, r#""\u0000""#] {
            cases.push(invalid(path, with("query_id", value), "query_id"));
        }
        for value in ["{}", "1.5", "true", "[]", "18446744073709551616"] {
            cases.push(invalid(path, with("user_id", value), "user_id"));
        }
        for value in ["0", "-1", "1.5", "\"1\"", "{}", "18446744073709551616"] {
            cases.push(invalid(path, with(most, value), most));
        }
        for field in ["query", "query_id", "user_id"] {
            let twice = format!(r#"{{"{field}":"a","{field}":"b","{list}":[]}}"#);
            cases.push(invalid(path, twice, ""));
        }
        cases.push(invalid(
            path,
            format!(r#"{{"query":"a","{list}":[],"{list}":[]}}"#),
            "",
        ));
        cases.push(cut(path, with("query", r#""\ud800""#)));
        cases.push(cut(path, with("query", r#""\x""#)));
        cases.push(cut(path, with("query", "\"a\nb\"")));
    }
}

/// The list of candidates and what is in it.
fn candidates(cases: &mut Vec<Case>) {
    for (path, list, _) in ROUTES {
        let of = |elements: &str| format!(r#"{{"query":"a","{list}":{elements}}}"#);
        for value in ["7", "\"1\"", "{}", "true"] {
            cases.push(invalid(path, of(value), list));
        }
        for (element, index) in [("null", 0), ("[\"1\"]", 1), ("1.5", 2), ("true", 17)] {
            let mut elements = vec!["\"1\""; index];
            elements.push(element);
            let body = of(&format!("[{}]", elements.join(",")));
            cases.push(invalid(path, body, format!("{list}[{index}]")));
        }
        cases.push(invalid(
            path,
            of("[18446744073709551616]"),
            format!("{list}[0]"),
        ));
        for id in ["true", "1.5", "[]", "{}"] {
            let body = of(&format!(r#"["1",{{"id":{id}}}]"#));
            cases.push(invalid(path, body, format!("{list}[1].id")));
        }
        for element in ["{}", r#"{"id":null}"#, r#"{"title":"a"}"#] {
            cases.push(invalid(
                path,
                of(&format!("[{element}]")),
                format!("{list}[0].id"),
            ));
        }
        for (field, value) in [
            ("title", "7"),
            ("title", "[\"a\"]"),
            ("description", "{}"),
            ("brand", "false"),
            ("category", "[]"),
            ("price", "true"),
            ("price", "[]"),
            ("price", "\"cheap\""),
            ("rating", "{}"),
            ("rating_count", "\"many\""),
            ("ratingCount", "[]"),
            ("stock", "true"),
            ("added_time", "\"yesterday\""),
            ("addedTime", "{}"),
        ] {
            let body = of(&format!(r#"["1","2",{{"id":"3","{field}":{value}}}]"#));
            cases.push(invalid(path, body, format!("{list}[2].{field}")));
        }
        cases.push(invalid(
            path,
            of(r#"[{"id":1,"id":2}]"#),
            format!("{list}[0]"),
        ));
        let many =
            |count: usize, element: &str| of(&format!("[{}]", vec![element; count].join(",")));
        for (count, element) in [
            (51, "\"1\""),
            (51, r#"{"id":1}"#),
            (5000, "{}"),
            (9000, "1"),
        ] {
            cases.push(case(
                path,
                many(count, element),
                413,
                "too_many_products",
                list,
            ));
        }
        cases.push(cut(path, of(r#"[{"id":1,"price":1e400}]"#)));
        cases.push(cut(path, of(r#"[{"id":1,"price":NaN}]"#)));
        cases.push(cut(path, of(r#"[{"id":1,"price":-Infinity}]"#)));
        cases.push(cut(path, of(r#"[{"id":1,"price":01}]"#)));
    }
}

/// What only the native route has.
fn native(cases: &mut Vec<Case>) {
    let mut wrong = |body: &str, place: &str| cases.push(invalid("/rank", body.to_owned(), place));
    let product = |features: &str| {
        format!(r#"{{"query":"a","products":["1",{{"id":1,"features":{features}}}]}}"#)
    };
    wrong(&product("[0.5]"), "products[1].features");
    wrong(&product("7"), "products[1].features");
    wrong(&product(r#"{"nope":1}"#), "products[1].features.nope");
    wrong(&product(r#"{"rating":"4"}"#), "products[1].features.rating");
    wrong(
        &product(r#"{"rating":1e39}"#),
        "products[1].features.rating",
    );
    wrong(
        &product(r#"{"rating":1,"rating":2}"#),
        "products[1].features.rating",
    );

    let columns = |columns: &str| format!(r#"{{"query":"a","ids":["1","2"],"columns":{columns}}}"#);
    wrong(&columns("[]"), "columns");
    wrong(&columns("7"), "columns");
    wrong(&columns(r#"{"colour":["red","blue"]}"#), "columns.colour");
    wrong(&columns(r#"{"price":7}"#), "columns.price");
    wrong(&columns(r#"{"price":null}"#), "columns.price");
    wrong(&columns(r#"{"price":[1]}"#), "columns.price");
    wrong(&columns(r#"{"price":[1,2,3]}"#), "columns.price");
    wrong(&columns(r#"{"price":[1,"2"]}"#), "columns.price[1]");
    wrong(&columns(r#"{"title":["a",7]}"#), "columns.title[1]");
    wrong(
        &columns(r#"{"added_time":[1,1.5]}"#),
        "columns.added_time[1]",
    );
    wrong(
        &columns(r#"{"item_ctr_7d":[1,-1e300]}"#),
        "columns.item_ctr_7d[1]",
    );
    wrong(
        &columns(r#"{"rating_count":[1,2],"ratingCount":[1,2]}"#),
        "columns.ratingCount",
    );
    wrong(r#"{"query":"a","products":[],"ids":[]}"#, "ids");
    wrong(r#"{"query":"a","products":[],"columns":{}}"#, "columns");
    wrong(r#"{"query":"a","columns":{}}"#, "products");
    wrong(r#"{"query":"a","ids":[1],"top_k":1}"#, "top_k");
    wrong(r#"{"query":"a","ids":{}}"#, "ids");
    wrong(r#"{"query":"a","ids":[{"id":1}]}"#, "ids[0]");
    wrong(r#"{"query":"a","ids":[null]}"#, "ids[0]");

    let explain =
        |explain: &str| format!(r#"{{"query":"a","products":["1","2"],"explain":{explain}}}"#);
    wrong(&explain("true"), "explain");
    wrong(&explain("[1.5]"), "explain[0]");
    wrong(&explain(r#"["1","x"]"#), "explain[1]");
    wrong(&explain(&format!("[{}]", ["1"; 11].join(","))), "explain");
    let ids = vec!["1"; 51].join(",");
    cases.push(case(
        "/rank",
        format!(r#"{{"query":"a","ids":[{ids}]}}"#),
        413,
        "too_many_products",
        "ids",
    ));
}

/// What only the rerank routes have.
fn foreign(cases: &mut Vec<Case>) {
    for path in ["/v1/rerank", "/v2/rerank", "/rerank"] {
        let mut wrong = |body: &str, place: &str| cases.push(invalid(path, body.to_owned(), place));
        wrong(r#"{"query":"a","documents":[],"texts":[]}"#, "texts");
        wrong(r#"{"query":"a","texts":7}"#, "texts");
        wrong(r#"{"query":"a","documents":["{"]}"#, "documents[0]");
        wrong(r#"{"query":"a","texts":["1","{\"id\":1.5}"]}"#, "texts[1]");
        wrong(
            r#"{"query":"a","texts":["{\"title\":\"a\"}"]}"#,
            "texts[0].id",
        );
        wrong(
            r#"{"query":"a","documents":[{"id":1,"price":"1e400"}]}"#,
            "documents[0].price",
        );
        wrong(
            r#"{"query":"a","documents":[{"id":1,"price":"NaN"}]}"#,
            "documents[0].price",
        );
        wrong(
            r#"{"query":"a","documents":[],"return_documents":1}"#,
            "return_documents",
        );
        wrong(
            r#"{"query":"a","texts":[],"return_text":"yes"}"#,
            "return_text",
        );
        wrong(r#"{"query":"a","texts":[],"raw_scores":0}"#, "raw_scores");
        wrong(r#"{"query":"a","documents":[],"top_n":1,"top_k":1}"#, "");
    }
}

async fn answered(router: &Router, case: &Case) -> Result<(), String> {
    let answer = post(router, case.path, case.body.clone()).await;
    let place = (!case.place.is_empty()).then(|| case.place.clone());
    let expected = (case.status, case.code.to_owned(), place);
    let found = answer.error();
    let message = answer.json()["error"]["message"]
        .as_str()
        .unwrap()
        .to_owned();
    let one_line = !message.contains('\n') && message.chars().count() <= 301;
    if found == expected && one_line {
        return Ok(());
    }
    let shown: String = String::from_utf8_lossy(&case.body)
        .chars()
        .take(100)
        .collect();
    Err(format!(
        "{} {shown}\n  {found:?} instead of {expected:?}: {message}",
        case.path
    ))
}

#[tokio::test]
async fn every_wrong_body_has_its_own_answer() {
    let (_artifacts, router) = loaded_and(|_| ());
    let mut cases = Vec::new();
    whole_bodies(&mut cases);
    shared_fields(&mut cases);
    candidates(&mut cases);
    native(&mut cases);
    foreign(&mut cases);
    assert!(cases.len() >= 400, "{}", cases.len());
    let mut wrong = Vec::new();
    for case in &cases {
        wrong.extend(answered(&router, case).await.err());
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
}

#[tokio::test]
async fn what_only_looks_wrong_is_answered() {
    let (_artifacts, router) = loaded_and(|_| ());
    let deep = format!(
        r#"{{"query":"a","products":[],"x":{}{}}}"#,
        "[".repeat(5000),
        "]".repeat(5000)
    );
    let fifty = format!(
        r#"{{"query":"a","products":[{}]}}"#,
        vec!["1"; 50].join(",")
    );
    let longest = format!(r#"{{"query":"{}","products":[]}}"#, "é".repeat(1000));
    for (path, body) in [
        ("/rank", deep.as_str()),
        ("/rank", &fifty),
        ("/rank", &longest),
        ("/rank", " {\"query\":\"\",\"products\":[]}\n"),
        (
            "/rank",
            r#"{"query":"a","products":[],"top_k":18446744073709551615}"#,
        ),
        (
            "/rank",
            r#"{"query":"a","products":[{"id":"","price":-0.0,"stock":-5,"added_time":-9223372036854775808}]}"#,
        ),
        (
            "/rank",
            r#"{"query":"a","products":[{"id":1,"price":1.7976931348623157e308,"rating":5e-324}]}"#,
        ),
        (
            "/rank",
            r#"{"query":"a","products":[{"id":1,"nope":{"a":[1]}}],"documents":7}"#,
        ),
        ("/rank", r#"{"query":"a","ids":[1,1],"columns":{}}"#),
        (
            "/rerank",
            r#"{"query":"a","documents":[],"products":7,"rank_fields":["a"],"truncate":"END"}"#,
        ),
        (
            "/rerank",
            r#"{"query":"a","texts":[{"id":1,"added_time":1.5}]}"#,
        ),
        (
            "/v2/rerank",
            r#"{"query":"a","documents":[" {\"id\":1} "],"max_tokens_per_doc":null}"#,
        ),
    ] {
        let answer = post(&router, path, body.to_owned()).await;
        let shown: String = body.chars().take(100).collect();
        assert_eq!(answer.status, StatusCode::OK, "{shown}: {}", answer.text());
    }
}

#[tokio::test]
async fn wrong_heads_have_their_own_answers() {
    let (_artifacts, ranker) = loaded();
    let router = searchop_ranker::app(ranker);
    let request = |method: &str, path: &str| Request::builder().method(method).uri(path);
    let json = |path: &str| request("POST", path).header("content-type", "application/json");
    let mut table = vec![
        (request("DELETE", "/health"), 405, "method_not_allowed"),
        (request("POST", "/docs"), 405, "method_not_allowed"),
        (request("PUT", "/openapi.json"), 405, "method_not_allowed"),
        (request("GET", "/"), 404, "not_found"),
        (request("GET", "/metrics"), 404, "not_found"),
        (json("/v3/rerank"), 404, "not_found"),
        (json("/RANK"), 404, "not_found"),
        (json("//rank"), 404, "not_found"),
        (json("/rank/../rank"), 404, "not_found"),
    ];
    for (path, ..) in ROUTES {
        let typed = |content: &str| request("POST", path).header("content-type", content);
        for content in [
            "text/plain",
            "application/x+jsonx",
            "application/jsonx",
            "json",
            "multipart/form-data",
        ] {
            table.push((typed(content), 415, "unsupported_media_type"));
        }
        table.push((request("POST", path), 415, "unsupported_media_type"));
        for encoding in ["gzip", "br", "identity, gzip"] {
            let encoded = json(path).header("content-encoding", encoding);
            table.push((encoded, 415, "unsupported_media_type"));
        }
        for method in ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"] {
            table.push((request(method, path), 405, "method_not_allowed"));
        }
        table.push((json(&format!("{path}/")), 404, "not_found"));
    }
    for (request, status, code) in table {
        let request = request.body(Body::from(RANK)).unwrap();
        let shown = format!(
            "{} {} {:?}",
            request.method(),
            request.uri(),
            request.headers()
        );
        let answer = call(&router, request).await;
        assert_eq!(answer.error(), (status, code.to_owned(), None), "{shown}");
    }
    let allow = async |method: &str, path: &str| {
        let request = Request::builder().method(method).uri(path);
        let answer = call(&router, request.body(Body::empty()).unwrap()).await;
        answer.header("allow").map(str::to_owned)
    };
    assert_eq!(allow("GET", "/rank").await.as_deref(), Some("POST"));
    assert_eq!(allow("POST", "/health").await.as_deref(), Some("GET,HEAD"));
    for good in [
        "application/json; charset=utf-8",
        "Application/JSON",
        "application/vnd.shop+json",
    ] {
        let request = Request::post("/rank").header("content-type", good);
        let answer = call(&router, request.body(Body::from(RANK)).unwrap()).await;
        assert_eq!(answer.status, StatusCode::OK, "{good}");
    }
    assert_eq!(get(&router, "/livez").await.status, StatusCode::OK);
}
