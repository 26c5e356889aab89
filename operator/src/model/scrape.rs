//! What ranker pods report of their traffic. What they say is untrusted: bounded in time and size,
//! and read as plain data.

use std::time::Duration;

use futures::future::join_all;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use k8s_openapi::api::core::v1::Pod;
use searchop_contract::{TrafficReport, names::METRICS_PORT};
use tokio::time::timeout;

/// A pod that takes longer says nothing.
const DEADLINE: Duration = Duration::from_secs(2);
/// Some fifty times what a ranker says of two versions.
const MAX_BYTES: usize = 128 * 1024;

type Asker = Client<HttpConnector, Empty<&'static [u8]>>;

/// One entry a pod; `None` where it gave no answer that can be read.
pub async fn traffic(pods: &[&Pod]) -> Vec<Option<TrafficReport>> {
    let asker: Asker = Client::builder(TokioExecutor::new()).build_http();
    let asker = &asker;
    let reports = pods.iter().map(|pod| async move {
        let ip = pod.status.as_ref()?.pod_ip.as_deref()?;
        let answer = timeout(DEADLINE, report(asker, ip, METRICS_PORT)).await;
        answer.ok().flatten()
    });
    join_all(reports).await
}

async fn report(asker: &Asker, ip: &str, port: u16) -> Option<TrafficReport> {
    // An address of IPv6 has colons of its own.
    let host = if ip.contains(':') {
        format!("[{ip}]")
    } else {
        ip.to_owned()
    };
    let request = Request::get(format!("http://{host}:{port}/traffic"))
        .body(Empty::new())
        .ok()?;
    let answer = asker.request(request).await.ok()?;
    if answer.status() != StatusCode::OK {
        return None;
    }
    let body = Limited::new(answer.into_body(), MAX_BYTES)
        .collect()
        .await
        .ok()?;
    serde_json::from_slice(&body.to_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use axum::{Router, http::StatusCode, routing::get};
    use searchop_contract::{Buckets, Digest, VersionTraffic};
    use serde_json::json;
    use tokio::net::TcpListener;

    use super::*;

    async fn ask(router: Router) -> Option<TrafficReport> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(axum::serve(listener, router).into_future());
        let asker: Asker = Client::builder(TokioExecutor::new()).build_http();
        report(&asker, "127.0.0.1", port).await
    }

    fn pod(ip: Option<&str>) -> Pod {
        serde_json::from_value(json!({"metadata": {"name": "a"}, "status": {"podIP": ip}})).unwrap()
    }

    #[tokio::test]
    async fn a_report_is_read_and_anything_else_is_none() {
        let report = TrafficReport {
            revision: Some("v6-1".into()),
            refused: None,
            versions: vec![VersionTraffic {
                version: 6,
                digest: Digest::of(b"six"),
                tables_digest: Digest::of(b"tables"),
                weight: 5,
                aborted: None,
                requests: 7,
                errors: 0,
                values: 70,
                missing: 1,
                latency: Buckets {
                    bounds: vec![1.0],
                    counts: vec![7, 0],
                },
                scores: None,
                shadow: None,
            }],
        };
        let text = serde_json::to_string(&report).unwrap();
        let say = |status: StatusCode, text: String| {
            Router::new().route("/traffic", get(move || async move { (status, text) }))
        };
        assert_eq!(ask(say(StatusCode::OK, text.clone())).await, Some(report));
        assert_eq!(ask(say(StatusCode::NOT_FOUND, text.clone())).await, None);
        assert_eq!(
            ask(say(StatusCode::OK, "{\"versions\": 7}".into())).await,
            None
        );
        let long = text + &" ".repeat(MAX_BYTES);
        assert_eq!(ask(say(StatusCode::OK, long)).await, None);
        assert_eq!(ask(Router::new()).await, None);
    }

    #[tokio::test]
    async fn a_pod_without_an_address_says_nothing() {
        assert_eq!(traffic(&[&pod(None)]).await, [None]);
    }
}
