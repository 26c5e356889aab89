use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
};

use http_body_util::{BodyExt, Full};
use hyper::{Request, body::Bytes};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde_json::Value;

/// The request of the README.
pub const BODY: &str = r#"{"query":"running shoes","user_id":"u-1","products":[{"id":1,"title":"Nike Running Shoes","price":99.99,"category":"sports_outdoors"}]}"#;

type Http = Client<hyper_util::client::legacy::connect::HttpConnector, Full<Bytes>>;

/// Nothing is tried twice: what fails is to be seen.
fn client(keep_alive: bool) -> Http {
    let idle = if keep_alive { usize::MAX } else { 0 };
    Client::builder(TokioExecutor::new())
        .retry_canceled_requests(false)
        .pool_max_idle_per_host(idle)
        .build_http()
}

async fn rank(client: &Http, address: SocketAddr, body: String) -> Result<Value, String> {
    let request = Request::post(format!("http://{address}/rank"))
        .header("content-type", "application/json")
        .body(Full::from(body))
        .unwrap();
    let response = client
        .request(request)
        .await
        .map_err(|error| format!("{error:?}"))?;
    let status = response.status();
    let body = response
        .into_body()
        .collect()
        .await
        .map_err(|error| error.to_string())?
        .to_bytes();
    match status.as_u16() {
        200 => serde_json::from_slice(&body).map_err(|error| error.to_string()),
        _ => Err(format!("{status}: {}", String::from_utf8_lossy(&body))),
    }
}

/// One request on a new connection.
pub fn ask(address: SocketAddr) -> Result<Value, String> {
    ask_for(address, BODY.to_owned())
}

/// The same with a body of the test's own.
pub fn ask_for(address: SocketAddr, body: String) -> Result<Value, String> {
    runtime().block_on(rank(&client(false), address, body))
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

/// What a client saw.
#[derive(Debug, Default)]
pub struct Seen {
    pub answers: u64,
    pub versions: BTreeSet<u64>,
    pub failures: Vec<String>,
}

/// Two clients that ask without a pause, one on one connection, one on a new connection each time.
pub struct Load {
    stop: Arc<AtomicBool>,
    answers: Arc<AtomicU64>,
    clients: Vec<JoinHandle<()>>,
    seen: Arc<Mutex<Seen>>,
}

impl Load {
    pub fn start(address: SocketAddr) -> Self {
        let (stop, answers, seen) =
            <(Arc<AtomicBool>, Arc<AtomicU64>, Arc<Mutex<Seen>>)>::default();
        let clients = [true, false].map(|keep_alive| {
            let (stop, answers, seen) =
                (Arc::clone(&stop), Arc::clone(&answers), Arc::clone(&seen));
            std::thread::spawn(move || {
                let client = client(keep_alive);
                runtime().block_on(async {
                    while !stop.load(Ordering::Relaxed) {
                        match rank(&client, address, BODY.to_owned()).await {
                            Ok(body) => {
                                seen.lock()
                                    .unwrap()
                                    .versions
                                    .insert(body["version"].as_u64().unwrap());
                                answers.fetch_add(1, Ordering::Relaxed);
                            }
                            Err(error) => {
                                let failure = format!("keep-alive {keep_alive}: {error}");
                                seen.lock().unwrap().failures.push(failure);
                            }
                        }
                        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
                    }
                });
            })
        });
        Self {
            stop,
            answers,
            clients: clients.into(),
            seen,
        }
    }

    pub fn stop(self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.join().unwrap();
        }
        let mut seen = std::mem::take(&mut *self.seen.lock().unwrap());
        seen.answers = self.answers.load(Ordering::Relaxed);
        seen
    }
}
