//! What ranker pods report of their traffic and of the values in it. What they say is untrusted:
//! bounded in time and size, and read as plain data.

use std::time::Duration;

use futures::future::join_all;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use k8s_openapi::api::core::v1::Pod;
use searchop_contract::{HistogramReport, TrafficReport, names::METRICS_PORT};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

/// A pod that takes longer says nothing.
const DEADLINE: Duration = Duration::from_secs(2);
/// Some fifty times what a ranker says of the traffic of two versions.
const TRAFFIC_BYTES: usize = 128 * 1024;
/// Some twenty times what it says of the values of two versions.
const HISTOGRAM_BYTES: usize = 1024 * 1024;

type Asker = Client<HttpConnector, Empty<&'static [u8]>>;

/// One entry a pod; `None` where it gave no answer that can be read.
pub async fn traffic(pods: &[&Pod]) -> Vec<Option<TrafficReport>> {
    ask_all(pods, ("/traffic", TRAFFIC_BYTES)).await
}

/// The same about the values of features and scores.
pub async fn histograms(pods: &[&Pod]) -> Vec<Option<HistogramReport>> {
    ask_all(pods, ("/histograms", HISTOGRAM_BYTES)).await
}

/// A path, and how many bytes of an answer are read.
type Question = (&'static str, usize);

async fn ask_all<T: DeserializeOwned>(pods: &[&Pod], question: Question) -> Vec<Option<T>> {
    let asker: Asker = Client::builder(TokioExecutor::new()).build_http();
    let asker = &asker;
    let reports = pods.iter().map(|pod| async move {
        let ip = pod.status.as_ref()?.pod_ip.as_deref()?;
        let answer = timeout(DEADLINE, ask(asker, (ip, METRICS_PORT), question)).await;
        answer.ok().flatten()
    });
    join_all(reports).await
}

async fn ask<T: DeserializeOwned>(
    asker: &Asker,
    (ip, port): (&str, u16),
    (path, most): Question,
) -> Option<T> {
    // An address of IPv6 has colons of its own.
    let host = if ip.contains(':') {
        format!("[{ip}]")
    } else {
        ip.to_owned()
    };
    let request = Request::get(format!("http://{host}:{port}{path}"))
        .body(Empty::new())
        .ok()?;
    let answer = asker.request(request).await.ok()?;
    if answer.status() != StatusCode::OK {
        return None;
    }
    let body = Limited::new(answer.into_body(), most)
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

    async fn ask_one<T: DeserializeOwned>(router: Router, question: Question) -> Option<T> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(axum::serve(listener, router).into_future());
        let asker: Asker = Client::builder(TokioExecutor::new()).build_http();
        ask(&asker, ("127.0.0.1", port), question).await
    }

    fn pod(ip: Option<&str>) -> Pod {
        serde_json::from_value(json!({"metadata": {"name": "a"}, "status": {"podIP": ip}})).unwrap()
    }

    #[tokio::test]
    async fn a_report_is_read_and_anything_else_is_none() {
        let ask = |router| ask_one(router, ("/traffic", TRAFFIC_BYTES));
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
                training_scores: None,
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
        let long = text + &" ".repeat(TRAFFIC_BYTES);
        assert_eq!(ask(say(StatusCode::OK, long)).await, None);
        assert_eq!(ask(Router::new()).await, None);
    }

    #[tokio::test]
    async fn a_pod_without_an_address_says_nothing() {
        assert_eq!(traffic(&[&pod(None)]).await, [None]);
    }
}
