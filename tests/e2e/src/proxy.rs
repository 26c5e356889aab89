//! A proxy between the operator and the API server: it speaks for the operator's service account,
//! records each write and can kill the operator at one of them.

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::HeaderValue,
    response::Response,
};
use http_body_util::BodyExt;
use kube::Client;
use tokio::net::TcpListener;

/// One write that the operator sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    pub method: String,
    pub path: String,
    pub status: u16,
}

/// When the operator is killed, relative to the n-th write (from 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The write never reaches the API server.
    Before,
    /// The write is done, the operator never hears of it.
    After,
}

#[derive(Default)]
struct Inner {
    writes: Vec<Write>,
    fault: Option<(usize, Moment)>,
    kill: Option<Box<dyn Fn() + Send>>,
    counted: usize,
}

/// Handle on a running proxy.
#[derive(Clone)]
pub struct Proxy {
    inner: Arc<Mutex<Inner>>,
    client: Client,
    account: HeaderValue,
    pub port: u16,
}

impl Proxy {
    pub async fn start(client: Client, account: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let proxy = Self {
            inner: Arc::default(),
            client,
            account: account.parse().expect("an account's name fits a header"),
            port,
        };
        let app = Router::new().fallback(forward).with_state(proxy.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        proxy
    }

    /// Writes so far, the lease and events apart.
    pub fn writes(&self) -> Vec<Write> {
        self.inner.lock().unwrap().writes.clone()
    }

    /// Kills the operator at the `n`-th write from now, once.
    pub fn kill_at(&self, n: usize, moment: Moment) {
        let mut inner = self.inner.lock().unwrap();
        inner.counted = 0;
        inner.fault = Some((n, moment));
    }

    /// Whether the fault is still to come.
    pub fn armed(&self) -> bool {
        self.inner.lock().unwrap().fault.is_some()
    }

    pub(crate) fn set_kill(&self, kill: impl Fn() + Send + 'static) {
        self.inner.lock().unwrap().kill = Some(Box::new(kill));
    }

    /// Kills the operator if this is the moment.
    fn strike(&self, now: Moment) -> bool {
        let mut inner = self.inner.lock().unwrap();
        if now == Moment::Before {
            inner.counted += 1;
        }
        let hit = inner.fault == Some((inner.counted, now));
        if hit {
            inner.fault = None;
            if let Some(kill) = &inner.kill {
                kill();
            }
        }
        hit
    }
}

fn counts(request: &Request) -> bool {
    let writes = ["POST", "PUT", "PATCH", "DELETE"].contains(&request.method().as_str());
    let path = request.uri().path();
    writes && !path.contains("/leases") && !path.contains("/events")
}

async fn forward(State(proxy): State<Proxy>, request: Request) -> Response {
    let counted = counts(&request);
    let (method, path) = (
        request.method().to_string(),
        request.uri().path().to_owned(),
    );
    if counted && proxy.strike(Moment::Before) {
        return gone();
    }
    let (mut parts, body) = request.into_parts();
    parts.headers.remove("host");
    parts.headers.remove("authorization");
    parts
        .headers
        .insert("impersonate-user", proxy.account.clone());
    let Ok(bytes) = body
        .collect()
        .await
        .map(http_body_util::Collected::to_bytes)
    else {
        return gone();
    };
    let outgoing = axum::http::Request::from_parts(parts, kube::client::Body::from(bytes));
    let Ok(answer) = proxy.client.send(outgoing).await else {
        return gone();
    };
    if counted {
        let status = answer.status().as_u16();
        proxy.inner.lock().unwrap().writes.push(Write {
            method,
            path,
            status,
        });
        if proxy.strike(Moment::After) {
            return gone();
        }
    }
    answer.map(Body::new)
}

fn gone() -> Response {
    Response::builder()
        .status(502)
        .body(Body::empty())
        .expect("a valid response")
}
