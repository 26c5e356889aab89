//! Clients that never stop asking: some keep their connection, some open a fresh one each time.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::body::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

type Http = Client<HttpConnector, Full<Bytes>>;

/// The request that the README shows.
pub const REQUEST: &str = r#"{"query":"running shoes","user_id":"u-1","products":[{"id":1,"title":"Nike Running Shoes","price":99.99,"category":"sports_outdoors"}]}"#;

/// What the clients saw.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    pub answered: u64,
    /// What went wrong, how often.
    pub failures: BTreeMap<String, u64>,
    /// Answers by digest.
    pub digests: BTreeMap<String, u64>,
}

/// How long to wait for the versions that a load is to see.
const PATIENCE: Duration = Duration::from_secs(240);

/// How to ask.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// So many that keep their connection, and as many that do not.
    pub clients: usize,
    /// Of each client, between two requests.
    pub pause: Duration,
    /// How long, counted from when so many versions have answered.
    pub length: Duration,
    pub versions: usize,
    pub asks: Asks,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asks {
    /// A product with its fields, which any model can rank.
    Fields,
    /// Twenty products by their ids, those of the shop of `small_model`.
    Ids,
}

impl Asks {
    pub const ALL: [Self; 2] = [Self::Fields, Self::Ids];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fields => "fields",
            Self::Ids => "ids",
        }
    }

    /// Body of the request of one user.
    pub fn body(self, user: u64) -> String {
        match self {
            Self::Fields => REQUEST.to_owned(),
            Self::Ids => {
                let products: Vec<String> = listed(500, jiff::Timestamp::now()).take(20).collect();
                serde_json::json!({
                    "query": "running shoes", "user_id": format!("u-{user}"), "products": products
                })
                .to_string()
            }
        }
    }
}

/// Ids in the middle of the catalogue of a made-up shop of so many products. Its numbers go up with
/// the days, as products come and go.
fn listed(products: i64, now: jiff::Timestamp) -> impl Iterator<Item = String> {
    let day = now.as_second() / 86_400;
    let newest = (day + 1) * products / LIFETIME_DAYS;
    (newest - products / 2..newest).map(|number| format!("p{number:05}"))
}

/// Days for which the trainer's made-up shop lists a product.
const LIFETIME_DAYS: i64 = 1000;

/// Asks `authority` (`host:port`).
pub async fn run(authority: &str, load: Load) -> Seen {
    let seen = Arc::<Mutex<Seen>>::default();
    let patience = Instant::now() + PATIENCE;
    let end = Arc::<Mutex<Option<Instant>>>::default();
    let tasks = (0..load.clients * 2).map(|n| {
        let (seen, end, authority) = (seen.clone(), end.clone(), authority.to_owned());
        tokio::spawn(async move {
            let kept = client();
            let mut user = n as u64;
            while Instant::now() < end.lock().unwrap().unwrap_or(patience) {
                let http = if n % 2 == 0 { kept.clone() } else { client() };
                let body = load.asks.body(user);
                note(&seen, post(&http, &authority, &body).await);
                user += 1;
                if seen.lock().unwrap().digests.len() >= load.versions {
                    end.lock()
                        .unwrap()
                        .get_or_insert_with(|| Instant::now() + load.length);
                }
                tokio::time::sleep(load.pause).await;
            }
        })
    });
    futures::future::join_all(tasks).await;
    let seen = seen.lock().unwrap();
    seen.clone()
}

fn client() -> Http {
    // A request that the client repeats by itself would hide a failure.
    Client::builder(TokioExecutor::new())
        .retry_canceled_requests(false)
        .build_http()
}

fn note(seen: &Mutex<Seen>, answer: Result<(u16, Value), String>) {
    let mut seen = seen.lock().unwrap();
    match answer {
        Ok((200, body)) => {
            let digest = body["digest"].as_str().unwrap_or("none").to_owned();
            seen.answered += 1;
            *seen.digests.entry(digest).or_default() += 1;
        }
        Ok((status, body)) => *seen.failures.entry(format!("{status} {body}")).or_default() += 1,
        Err(error) => *seen.failures.entry(error).or_default() += 1,
    }
}

/// One `POST /rank` on a connection of its own.
pub async fn rank(authority: &str, body: &str) -> Result<(u16, Value), String> {
    post(&client(), authority, body).await
}

async fn post(http: &Http, authority: &str, body: &str) -> Result<(u16, Value), String> {
    let request = Request::post(format!("http://{authority}/rank"))
        .header("content-type", "application/json")
        .body(Full::new(Bytes::copy_from_slice(body.as_bytes())))
        .expect("a valid request");
    let exchange = async {
        let answer = http
            .request(request)
            .await
            .map_err(|error| format!("{error:?}"))?;
        let status = answer.status().as_u16();
        let bytes = answer
            .into_body()
            .collect()
            .await
            .map_err(|error| error.to_string())?
            .to_bytes();
        let value = serde_json::from_slice(&bytes)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned()));
        Ok((status, value))
    };
    tokio::time::timeout(Duration::from_secs(10), exchange)
        .await
        .map_err(|_| "no answer in 10 s".to_owned())?
}
