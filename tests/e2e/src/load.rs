//! Two clients that never stop asking: one keeps its connection, one opens a fresh one each time.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::body::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value;
use tokio::task::JoinHandle;

type Http = Client<HttpConnector, Full<Bytes>>;

/// The request that the README shows.
pub const REQUEST: &str = r#"{"query":"running shoes","user_id":"u-1","products":[{"id":1,"title":"Nike Running Shoes","price":99.99,"category":"sports_outdoors"}]}"#;

/// What the clients saw.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub answered: u64,
    /// What went wrong, how often.
    pub failures: BTreeMap<String, u64>,
    /// Answers by digest.
    pub digests: BTreeMap<String, u64>,
}

/// Running clients.
pub struct Load {
    seen: Arc<Mutex<Seen>>,
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    /// Starts both clients, each pausing this long between two requests.
    pub fn start(address: SocketAddr, pause: Duration) -> Self {
        let (seen, stop) = (Arc::<Mutex<Seen>>::default(), Arc::<AtomicBool>::default());
        let clients = [true, false].map(|keep_alive| {
            let (seen, stop) = (seen.clone(), stop.clone());
            tokio::spawn(async move {
                let kept = client();
                while !stop.load(Ordering::Relaxed) {
                    let fresh;
                    let http = if keep_alive {
                        &kept
                    } else {
                        fresh = client();
                        &fresh
                    };
                    note(&seen, post(http, address, REQUEST).await);
                    tokio::time::sleep(pause).await;
                }
            })
        });
        Self {
            seen,
            stop,
            clients: clients.into(),
        }
    }

    pub fn seen(&self) -> Seen {
        self.seen.lock().unwrap().clone()
    }

    /// Stops both clients and tells what they saw.
    pub async fn stop(self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients {
            let _ = client.await;
        }
        Arc::try_unwrap(self.seen).map_or_else(
            |seen| seen.lock().unwrap().clone(),
            |seen| seen.into_inner().unwrap(),
        )
    }
}

fn client() -> Http {
    Client::builder(TokioExecutor::new()).build_http()
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
pub async fn rank(address: SocketAddr, body: &str) -> Result<(u16, Value), String> {
    post(&client(), address, body).await
}

async fn post(http: &Http, address: SocketAddr, body: &str) -> Result<(u16, Value), String> {
    let request = Request::post(format!("http://{address}/rank"))
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
