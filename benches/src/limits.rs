//! Every limit, one below it, at it and one above it.

use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    Failure,
    figures::figure,
    fixture::Fixture,
    process::{RANKER_CPU, Service},
    requests,
};

const BODY: usize = 64 << 10;
const PRODUCTS: usize = 50;
const TIMEOUT: Duration = Duration::from_secs(1);
/// Fixed in the ranker.
const QUERY_CHARS: usize = 1000;
const QUERY_ID_CHARS: usize = 200;
const HEADERS: usize = 100;
const HEAD_BYTES: usize = 64 << 10;

/// A request, and the status that it must bring.
struct Case {
    what: String,
    request: Vec<u8>,
    status: u16,
}

pub fn run(fixture: &Fixture) -> Result<(), Failure> {
    let options = [
        format!("--max-body-bytes={BODY}"),
        format!("--max-candidates={PRODUCTS}"),
        format!("--request-timeout={}", TIMEOUT.as_secs()),
    ];
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let service = Service::ranker(fixture, Some(RANKER_CPU), &options)?;
    let (mut checked, mut wrong) = (0, 0);
    for case in cases() {
        let status = send(service.address, &case.request)?;
        checked += 1;
        if status != case.status {
            wrong += 1;
            println!("{}: {status} instead of {}", case.what, case.status);
        }
    }
    figure("limits.checked", f64::from(checked), "requests");
    figure("limits.wrong", f64::from(wrong), "requests");
    let begin = Instant::now();
    let request = requests::http(&[b' '; 100]);
    let status = send(service.address, &request[..request.len() - 1])?;
    if status != 408 {
        return Err(format!("a body that does not come is answered with {status}").into());
    }
    figure(
        "limits.timeout_ratio",
        begin.elapsed().as_secs_f64() / TIMEOUT.as_secs_f64(),
        "",
    );
    Ok(())
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |what: &str, limit: usize, above: u16, request: &dyn Fn(usize) -> Vec<u8>| {
        for (size, status) in [(limit - 1, 200), (limit, 200), (limit + 1, above)] {
            cases.push(Case {
                what: format!("{size} {what}"),
                request: request(size),
                status,
            });
        }
    };
    add("bytes of body", BODY, 413, &|size| {
        requests::http(&padded(size))
    });
    add("products", PRODUCTS, 413, &|size| {
        let products = vec![json!({"id": "1"}); size];
        requests::http(
            json!({"query": "shoes", "products": products})
                .to_string()
                .as_bytes(),
        )
    });
    add("characters of query", QUERY_CHARS, 422, &|size| {
        let query = "ü".repeat(size);
        requests::http(
            json!({"query": query, "products": []})
                .to_string()
                .as_bytes(),
        )
    });
    add("characters of query_id", QUERY_ID_CHARS, 422, &|size| {
        let body = json!({"query": "shoes", "query_id": "x".repeat(size), "products": []});
        requests::http(body.to_string().as_bytes())
    });
    add("headers", HEADERS, 431, &|size| {
        // Three are there already.
        let more: Vec<String> = (3..size)
            .map(|number| format!("x-{number}: y\r\n"))
            .collect();
        with_headers(&more.concat())
    });
    // The head's own limit is on the room for it, which holds a little more than the head.
    for (size, status) in [(HEAD_BYTES - 1024, 200), (HEAD_BYTES + 1024, 431)] {
        let rest = size - with_headers("x-long: \r\n").len();
        let request = with_headers(&format!("x-long: {}\r\n", "x".repeat(rest)));
        cases.push(Case {
            what: format!("{size} bytes of head"),
            request,
            status,
        });
    }
    cases
}

fn padded(size: usize) -> Vec<u8> {
    let mut body = br#"{"query":"shoes","products":[{"id":"1"}]}"#.to_vec();
    body.resize(size, b' ');
    body
}

fn with_headers(headers: &str) -> Vec<u8> {
    let request = requests::http(br#"{"query":"shoes","products":[]}"#);
    let text = String::from_utf8(request).expect("the request is text");
    text.replacen("host: ranker\r\n", &format!("host: ranker\r\n{headers}"), 1)
        .into_bytes()
}

fn send(address: SocketAddr, request: &[u8]) -> io::Result<u16> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(request)?;
    let mut start = [0; 12];
    stream.read_exact(&mut start)?;
    let status = std::str::from_utf8(&start[9..]).unwrap_or_default();
    status.parse().map_err(io::Error::other)
}
