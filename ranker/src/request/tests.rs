use proptest::prelude::*;

use super::*;

fn parse(body: &str) -> Result<RankRequest, ApiError> {
    RankRequest::parse(body.as_bytes(), 3)
}

#[test]
fn a_document_of_a_shop_is_read_as_it_stands() {
    let request = parse(
        r#"{"query":"running shoes","user_id":"u-1","products":[
            {"id":1,"title":"Nike Running Shoes","price":99.99,"category":"sports_outdoors","tags":[["x"]]},
            {"id":"b","ratingCount":3,"added_time":9,"brand":null}],"session":{"a":1}}"#,
    )
    .unwrap();
    assert_eq!(request.query, "running shoes");
    assert_eq!(request.user_id, Some(Id::Text("u-1".into())));
    assert_eq!(request.ids, [Id::Positive(1), Id::Text("b".into())]);
    let [first, second] = request.fields.try_into().unwrap();
    assert_eq!(first.price, Some(99.99));
    assert_eq!(first.category.as_deref(), Some("sports_outdoors"));
    let expected = ItemFields {
        rating_count: Some(3.0),
        added_time: Some(9),
        ..ItemFields::default()
    };
    assert_eq!(second, expected);
}

#[test]
fn ids_go_back_in_their_type() {
    for id in [
        "\"7\"",
        "7",
        "-7",
        "18446744073709551615",
        "-9223372036854775808",
        "\"\"",
        "\"ü\"",
    ] {
        let request = parse(&format!(r#"{{"query":"","products":[{{"id":{id}}}]}}"#)).unwrap();
        assert_eq!(serde_json::to_string(&request.ids[0]).unwrap(), id);
    }
}

#[test]
fn null_and_absent_are_the_same() {
    let request = parse(
        r#"{"query":"a","query_id":null,"user_id":null,"top_k":null,"products":[{"id":1,"price":null}]}"#,
    )
    .unwrap();
    assert_eq!(
        request,
        parse(r#"{"query":"a","products":[{"id":1}]}"#).unwrap()
    );
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    let long = |field: &str, n: usize| {
        format!(
            r#"{{"query":"a","{field}":"{}","products":[]}}"#,
            "é".repeat(n)
        )
    };
    let many = format!(r#"{{"query":"a","products":[{}]}}"#, ["{}"; 4].join(","));
    let table: &[(&str, Kind, Option<&str>, &str)] = &[
        ("null", Kind::InvalidRequest, None, "an object"),
        ("[]", Kind::InvalidRequest, None, "an object"),
        ("7", Kind::InvalidRequest, None, "an object"),
        (
            "{}",
            Kind::InvalidRequest,
            Some("query"),
            "query is required",
        ),
        (
            r#"{"products":[]}"#,
            Kind::InvalidRequest,
            Some("query"),
            "query is required",
        ),
        (
            r#"{"query":null,"products":[]}"#,
            Kind::InvalidRequest,
            Some("query"),
            "query is required",
        ),
        (
            r#"{"query":7,"products":[]}"#,
            Kind::InvalidRequest,
            Some("query"),
            "integer `7`",
        ),
        (
            r#"{"query":"a"}"#,
            Kind::InvalidRequest,
            Some("products"),
            "products is required",
        ),
        (
            r#"{"query":"a","products":{}}"#,
            Kind::InvalidRequest,
            Some("products"),
            "a list",
        ),
        (
            r#"{"query":"a","products":[["1"]]}"#,
            Kind::InvalidRequest,
            Some("products[0]"),
            "a product object",
        ),
        (
            r#"{"query":"a","products":[{"id":1},null]}"#,
            Kind::InvalidRequest,
            Some("products[1]"),
            "a product object",
        ),
        (
            r#"{"query":"a","products":[{"id":1},{"title":"b"}]}"#,
            Kind::InvalidRequest,
            Some("products[1].id"),
            "id is required",
        ),
        (
            r#"{"query":"a","products":[{"id":1.5}]}"#,
            Kind::InvalidRequest,
            Some("products[0].id"),
            "a string or an integer",
        ),
        (
            r#"{"query":"a","products":[{"id":[]}]}"#,
            Kind::InvalidRequest,
            Some("products[0].id"),
            "a string or an integer",
        ),
        (
            r#"{"query":"a","products":[{"id":18446744073709551616}]}"#,
            Kind::InvalidRequest,
            Some("products[0].id"),
            "a string or an integer",
        ),
        (
            r#"{"query":"a","products":[{"id":1},{"id":2,"price":"9"}]}"#,
            Kind::InvalidRequest,
            Some("products[1].price"),
            "string",
        ),
        (
            r#"{"query":"a","products":[{"id":1,"title":["b"]}]}"#,
            Kind::InvalidRequest,
            Some("products[0].title"),
            "sequence",
        ),
        (
            r#"{"query":"a","products":[{"id":1,"ratingCount":true}]}"#,
            Kind::InvalidRequest,
            Some("products[0].ratingCount"),
            "boolean",
        ),
        (
            r#"{"query":"a","products":[],"user_id":{}}"#,
            Kind::InvalidRequest,
            Some("user_id"),
            "map",
        ),
        (
            r#"{"query":"a","products":[],"top_k":0}"#,
            Kind::InvalidRequest,
            Some("top_k"),
            "at least 1",
        ),
        (
            r#"{"query":"a","products":[],"top_k":-1}"#,
            Kind::InvalidRequest,
            Some("top_k"),
            "integer `-1`",
        ),
        (
            r#"{"query":"a","query":"b","products":[]}"#,
            Kind::InvalidRequest,
            None,
            "duplicate field `query`",
        ),
        (
            &long("query_id", 201),
            Kind::InvalidRequest,
            Some("query_id"),
            "200 characters",
        ),
        (
            &many,
            Kind::TooManyProducts,
            Some("products"),
            "4 products, at most 3",
        ),
        ("", Kind::InvalidJson, None, "EOF"),
        (
            r#"{"query":"a","products":[{"id":1}"#,
            Kind::InvalidJson,
            None,
            "EOF",
        ),
        (
            r#"{"query":"a","products":[]}x"#,
            Kind::InvalidJson,
            None,
            "trailing",
        ),
        (
            r#"{"query":"a","products":[{"id":1,"price":1e400}]}"#,
            Kind::InvalidJson,
            None,
            "out of range",
        ),
        (
            r#"{"query":"a","products":[{"id":1,"price":NaN}]}"#,
            Kind::InvalidJson,
            None,
            "expected value",
        ),
        (
            r#"{"query":"\ud800","products":[]}"#,
            Kind::InvalidJson,
            None,
            "hex escape",
        ),
    ];
    for (body, kind, path, message) in table {
        let error = parse(body).unwrap_err();
        assert_eq!(
            (error.kind(), error.path()),
            (*kind, *path),
            "{body}: {}",
            error.message()
        );
        assert!(
            error.message().contains(message),
            "{body}: {}",
            error.message()
        );
    }
    assert!(parse(&long("query_id", 200)).is_ok());
    assert!(RankRequest::parse(b"{\"query\":\"\xff\",\"products\":[]}", 3).is_err());
}

#[test]
fn a_query_has_an_end() {
    let body = |n: usize| format!(r#"{{"query":"{}","products":[]}}"#, "é".repeat(n));
    assert!(parse(&body(MAX_QUERY_CHARS)).is_ok());
    assert_eq!(
        parse(&body(MAX_QUERY_CHARS + 1)).unwrap_err().path(),
        Some("query")
    );
}

#[test]
fn deep_nesting_is_skipped_or_refused_on_a_small_stack() {
    let deep = |field: &str| {
        let (open, close) = ("[".repeat(100_000), "]".repeat(100_000));
        format!(r#"{{"query":"a","products":[{{"id":1,"{field}":{open}{close}}}]}}"#)
    };
    let thread = std::thread::Builder::new()
        .stack_size(128 << 10)
        .spawn(move || {
            assert!(parse(&deep("unknown")).is_ok());
            assert_eq!(
                parse(&deep("price")).unwrap_err().path(),
                Some("products[0].price")
            );
        });
    thread.unwrap().join().unwrap();
}

#[test]
fn a_long_quote_is_cut() {
    let body = format!(
        r#"{{"query":"a","products":[{{"id":1,"price":"{}"}}]}}"#,
        "é".repeat(5000)
    );
    assert!(parse(&body).unwrap_err().message().chars().count() <= 301);
}

proptest! {
    #[test]
    fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = RankRequest::parse(&bytes, 3);
    }

    #[test]
    fn a_cut_request_is_never_taken_for_a_whole_one(cut in 0usize..103) {
        let whole = r#"{"query":"shoes","user_id":4,"top_k":2,"products":[{"id":1,"title":"é \u00e9","price":1.5},{"id":"b"}]}"#;
        prop_assume!(cut < whole.len());
        let error = RankRequest::parse(&whole.as_bytes()[..cut], 3).unwrap_err();
        prop_assert_eq!(error.kind(), Kind::InvalidJson);
    }
}
