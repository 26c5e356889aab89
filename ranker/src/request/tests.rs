use std::{fs, path::Path, sync::LazyLock};

use proptest::prelude::*;
use searchop_model::item::ItemFields;

use super::*;

fn parse(body: &str) -> Result<RankRequest<'_>, ApiError> {
    RankRequest::parse(body.as_bytes(), 3)
}

fn rerank(body: &str) -> Result<RerankRequest<'_>, ApiError> {
    RerankRequest::parse(body.as_bytes(), 3)
}

fn ids<'a>(search: &'a Search) -> Vec<&'a str> {
    search
        .products
        .iter()
        .map(|product| product.id.as_str())
        .collect()
}

fn column(name: &str) -> usize {
    searchop_model::features::column(name).unwrap()
}

#[test]
fn a_document_of_a_shop_is_read_as_it_stands() {
    let request = parse(
        r#"{"query":"running shoes","user_id":"u-1","products":[
            {"id":1,"title":"Nike Running Shoes","price":99.99,"category":"sports_outdoors","tags":[["x"]]},
            {"id":"b","ratingCount":3,"added_time":9,"brand":null}],"session":{"a":1}}"#,
    )
    .unwrap();
    assert!(matches!(
        request.search.query,
        Cow::Borrowed("running shoes")
    ));
    assert_eq!(request.search.user_id.unwrap().as_str(), "u-1");
    assert_eq!(request.form, Form::Products);
    let [first, second] = request.search.products.try_into().unwrap();
    assert_eq!(first.id, 1u64.into());
    let fields = first.fields.unwrap();
    assert_eq!(fields.price, Some(99.99));
    assert_eq!(fields.category.as_deref(), Some("sports_outdoors"));
    let expected = ItemFields {
        rating_count: Some(3.0),
        added_time: Some(9),
        ..ItemFields::default()
    };
    assert_eq!(
        (second.id.as_str(), *second.fields.unwrap()),
        ("b", expected)
    );
}

#[test]
fn an_id_is_a_product_of_which_nothing_is_said() {
    let bare = parse(r#"{"query":"a","products":["x",7,{"id":-1}]}"#).unwrap();
    let objects = parse(r#"{"query":"a","products":[{"id":"x"},{"id":7},{"id":-1}]}"#).unwrap();
    assert_eq!(bare, objects);
    assert_eq!(ids(&bare.search), ["x", "7", "-1"]);
}

#[test]
fn features_are_given_by_name() {
    let request = parse(
        r#"{"query":"a","products":[{"id":1,"features":{"item_ctr_7d":0.5,"rating":null}},{"id":2,"features":null}]}"#,
    )
    .unwrap();
    let [first, second] = request.search.products.try_into().unwrap();
    assert_eq!(first.values[0], (column("item_ctr_7d"), 0.5));
    assert_eq!(first.values[1].0, column("rating"));
    assert!(first.values[1].1.is_nan());
    assert!(second.values.is_empty());
}

#[test]
fn columns_are_products_turned_on_their_side() {
    let columns = parse(
        r#"{"query":"a","columns":{"price":[9.5,null],"item_ctr_7d":[null,0.25],"title":["A",null],"addedTime":[5,6],"ratingCount":[1,2]},"ids":["x",2]}"#,
    )
    .unwrap();
    assert_eq!(columns.form, Form::Columns);
    let [first, second] = columns.search.products.try_into().unwrap();
    let expected = ItemFields {
        title: Some("A".into()),
        price: Some(9.5),
        rating_count: Some(1.0),
        added_time: Some(5),
        ..ItemFields::default()
    };
    assert_eq!((first.id.as_str(), *first.fields.unwrap()), ("x", expected));
    assert_eq!(second.id, 2u64.into());
    let fields = second.fields.unwrap();
    assert_eq!((fields.price, fields.added_time), (None, Some(6)));
    assert_eq!(second.values, [(column("item_ctr_7d"), 0.25)]);
    assert!(first.values[0].1.is_nan());
    assert_eq!(
        ids(&parse(r#"{"query":"a","ids":[]}"#).unwrap().search),
        [""; 0]
    );
}

#[test]
fn what_is_explained_is_among_the_products() {
    let request = parse(r#"{"query":"a","products":["x","y","z"],"explain":["z","x"]}"#).unwrap();
    assert_eq!(request.explain, [2, 0]);
}

#[test]
fn a_document_may_be_an_id_an_object_or_json_in_a_string() {
    let request = rerank(
        r#"{"model":7,"query":"a","top_n":2,"return_documents":true,"documents":["SKU1",{"id":"SKU2","price":"9.9","stock":""},"{\"text\":3,\"rating\":4,\"title\":\"A\"}"]}"#,
    )
    .unwrap();
    assert_eq!(request.dialect, Dialect::Documents);
    assert_eq!((request.top_n, request.return_documents), (Some(2), true));
    assert_eq!(ids(&request.search), ["SKU1", "SKU2", "3"]);
    let [_, second, third] = request.search.products.try_into().unwrap();
    let [second, third] = [second, third].map(|product| product.fields.unwrap());
    assert_eq!((second.price, second.stock), (Some(9.9), None));
    assert_eq!(
        (third.rating, third.title.as_deref()),
        (Some(4.0), Some("A"))
    );

    let texts = rerank(r#"{"query":"a","texts":[1,"b"],"raw_scores":true,"return_text":true,"truncate":true,"top_k":1}"#).unwrap();
    assert_eq!(texts.dialect, Dialect::Texts);
    assert!(texts.raw_scores && texts.return_documents);
    assert_eq!((texts.top_n, ids(&texts.search)), (Some(1), vec!["1", "b"]));
}

#[test]
fn null_and_absent_are_the_same() {
    let with_nulls = r#"{"query":"a","query_id":null,"user_id":null,"top_k":null,"ids":null,"columns":null,"explain":null,"products":[{"id":1,"price":null,"features":null}]}"#;
    assert_eq!(
        parse(with_nulls).unwrap(),
        parse(r#"{"query":"a","products":[{"id":1}]}"#).unwrap()
    );
    assert_eq!(
        rerank(r#"{"query":"a","texts":null,"documents":[1],"top_n":null,"raw_scores":null,"return_documents":null}"#).unwrap(),
        rerank(r#"{"query":"a","documents":[1]}"#).unwrap()
    );
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
        let _ = RerankRequest::parse(&bytes, 3);
    }

    #[test]
    fn a_cut_request_is_never_taken_for_a_whole_one(cut in 0usize..103) {
        let whole = r#"{"query":"shoes","user_id":4,"top_k":2,"products":[{"id":1,"title":"é \u00e9","price":1.5},{"id":"b"}]}"#;
        prop_assume!(cut < whole.len());
        let error = RankRequest::parse(&whole.as_bytes()[..cut], 3).unwrap_err();
        prop_assert_eq!(error.kind(), Kind::InvalidJson);
    }
}

/// What stands in place of a word of a body.
const WORDS: [&str; 22] = [
    "null",
    "true",
    "0",
    "-0",
    "-1",
    "1.5",
    "1e400",
    "-1e39",
    "9223372036854775808",
    "18446744073709551616",
    "NaN",
    "\"\"",
    "\"\\ud800\"",
    "\"\\u0000\"",
    "[]",
    "{}",
    "[[[[",
    "\"x\",",
    "\"query\"",
    "\"id\"",
    "\"features\"",
    "\"columns\"",
];
/// Longest message of an error, in characters.
const LONGEST_MESSAGE: usize = 1024;

/// Bodies by the names of their files; those that are to be accepted begin with `valid-`.
static BODIES: LazyLock<Vec<(String, Vec<u8>)>> = LazyLock::new(|| {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/requests");
    let mut bodies = Vec::new();
    for entry in fs::read_dir(corpus).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        bodies.push((name, fs::read(entry.path()).unwrap()));
    }
    bodies.sort();
    bodies
});

/// Whether a reader accepts the body; a refusal must be fit to be sent, and what is accepted must
/// be what it says.
fn survives(body: &[u8]) -> bool {
    const MOST: usize = 3;
    let ranked = RankRequest::parse(body, MOST);
    if let Ok(request) = &ranked {
        let products = request.search.products.len();
        assert!(request.explain.len() <= MAX_EXPLAINED);
        assert!(request.explain.iter().all(|index| *index < products));
        assert!(request.top_k != Some(0));
    }
    let reranked = RerankRequest::parse(body, MOST);
    let searches = [
        ranked.map(|request| request.search),
        reranked.map(|request| request.search),
    ];
    let mut accepted = false;
    for search in searches {
        match search {
            Ok(search) => {
                accepted = true;
                assert!(search.products.len() <= MOST);
                assert!(search.query.chars().count() <= MAX_QUERY_CHARS);
                for product in &search.products {
                    let width = searchop_model::features::features().len();
                    let mut values = product.values.iter();
                    assert!(values.all(|(column, value)| *column < width && !value.is_infinite()));
                }
            }
            Err(error) => {
                assert!(error.message().chars().count() <= LONGEST_MESSAGE);
                assert!(!error.message().is_empty());
            }
        }
    }
    accepted
}

#[test]
fn fuzz_corpus_of_requests_is_answered() {
    for (name, body) in &*BODIES {
        assert_eq!(survives(body), name.starts_with("valid-"), "{name}");
    }
    assert!(BODIES.len() >= 20, "{}", BODIES.len());
}

/// A change of a body: of a kind, at a place, with a number.
type Change = (u8, prop::sample::Index, u8);

fn apply((kind, at, number): &Change, bytes: &mut Vec<u8>) {
    if bytes.is_empty() {
        return;
    }
    let at = at.index(bytes.len());
    let is_end = |byte: &u8| b" \n,:[]{}".contains(byte);
    match kind % 7 {
        0 => bytes[at] = *number,
        1 => bytes.truncate(at),
        2 => drop(bytes.drain(at..(at + usize::from(*number)).min(bytes.len()))),
        3 => {
            let copied = bytes[at..(at + usize::from(*number)).min(bytes.len())].to_vec();
            drop(bytes.splice(at..at, copied));
        }
        _ => {
            let start = bytes[..at]
                .iter()
                .rposition(is_end)
                .map_or(0, |end| end + 1);
            let length = bytes[at..].iter().position(is_end);
            let end = length.map_or(bytes.len(), |length| at + length);
            let word = WORDS[usize::from(*number) % WORDS.len()];
            drop(bytes.splice(start..end, word.bytes()));
        }
    }
}

/// As many as `make fuzz` asks for; else what takes a second.
fn cases() -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok();
    ProptestConfig::with_cases(asked.and_then(|cases| cases.parse().ok()).unwrap_or(4000))
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn fuzz_requests(
        body in any::<prop::sample::Index>(),
        changes in prop::collection::vec(any::<Change>(), 1..5),
    ) {
        let (_, mut body) = body.get(&BODIES[..]).clone();
        for change in &changes {
            apply(change, &mut body);
        }
        survives(&body);
    }
}
