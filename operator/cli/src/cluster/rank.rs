//! `searchop rank`: asks a ready ranker pod through the API server, as `kubectl port-forward` does,
//! so that it works wherever kubectl does.

use std::{
    io::Read,
    time::{Duration, Instant},
};

use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Response, StatusCode,
    body::{Bytes, Incoming},
    client::conn::http1::handshake,
    header::{AUTHORIZATION, CONTENT_TYPE, HOST},
};
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::{
    Api, ResourceExt,
    api::{ListParams, Portforwarder},
};
use searchop_api::RankingModel;
use searchop_contract::names::RANK_PORT;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{connection::Cluster, error::ClusterError, list::short};
use crate::{
    args,
    local::render::{table, text},
    terminal::Log,
};

const DEADLINE: Duration = Duration::from_secs(30);

pub async fn rank(args: &args::Rank, log: Log) -> Result<(), ClusterError> {
    let body = body(args)?;
    let cluster = Cluster::find(&args.target).await?;
    let model: RankingModel = cluster.get(&args.name).await?;
    let service = format!("{}-rank", args.name);
    if model.spec.serving.tls_secret_ref.is_some() {
        let namespace = &cluster.namespace;
        return Err(ClusterError::Usage(format!(
            "{:?} answers HTTPS only, and its certificate names no forwarded port; ask it with \
             \"kubectl port-forward -n {namespace} service/{service} 8443:{RANK_PORT}\" and \"curl --resolve\"",
            args.name
        )));
    }
    let pod = ready_pod(&cluster, &service).await?;
    log.info("Asks", &format!("pod {pod} of service {service}"));
    let begin = Instant::now();
    let answered = tokio::time::timeout(DEADLINE, ask(&cluster, &pod, args, body)).await;
    let (status, answer) = answered.map_err(|_| ClusterError::TimedOut(DEADLINE.as_secs()))??;
    let took = begin.elapsed();
    if status != StatusCode::OK {
        return Err(no_ranking(status, &answer));
    }
    match args.output {
        args::Report::Json => println!("{}", String::from_utf8_lossy(&answer).trim_end()),
        args::Report::Table => {
            let answer = serde_json::from_slice(&answer)
                .map_err(|error| ClusterError::Failed(format!("read the answer: {error}")))?;
            print!("{}", ranking(&answer));
            log.info(
                "Answered",
                &format!("after {} ms, the way included", took.as_millis()),
            );
        }
    }
    Ok(())
}

/// The request of the command line, or of the file as it is.
fn body(args: &args::Rank) -> Result<Bytes, ClusterError> {
    let Some(file) = &args.file else {
        let mut request = json!({"query": args.query, "products": args.ids});
        if let Some(user) = &args.user {
            request["user_id"] = json!(user);
        }
        return Ok(Bytes::from(request.to_string()));
    };
    let mut text = Vec::new();
    let read = match file.to_str() {
        Some("-") => std::io::stdin().read_to_end(&mut text),
        _ => std::fs::File::open(file).and_then(|mut opened| opened.read_to_end(&mut text)),
    };
    read.map_err(|error| ClusterError::Usage(format!("read {file:?}: {error}")))?;
    match serde_json::from_slice::<Value>(&text) {
        Ok(_) => Ok(Bytes::from(text)),
        Err(error) => Err(ClusterError::Usage(format!(
            "{file:?} is not JSON: {error}"
        ))),
    }
}

/// The newest ready pod that the Service sends requests to.
async fn ready_pod(cluster: &Cluster, service: &str) -> Result<String, ClusterError> {
    let nobody = |what: String, there: &str| ClusterError::NotFound {
        what,
        namespace: cluster.namespace.clone(),
        there: there.to_owned(),
    };
    let found: Service = match cluster.get(service).await {
        Err(ClusterError::NotFound { .. }) => {
            let what = format!("service {service:?}");
            return Err(nobody(
                what,
                "; nothing serves yet, see \"searchop describe\"",
            ));
        }
        other => other?,
    };
    let selector = found
        .spec
        .and_then(|spec| spec.selector)
        .unwrap_or_default();
    let labels: Vec<String> = selector
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let selected = ListParams::default().labels(&labels.join(","));
    let mut pods: Vec<Pod> = cluster.list(&selected).await?;
    pods.retain(is_ready);
    pods.sort_by_key(ResourceExt::creation_timestamp);
    let newest = pods.pop().map(|pod| pod.name_any());
    newest.ok_or_else(|| nobody(format!("a ready pod of service {service:?}"), ""))
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod
        .status
        .as_ref()
        .and_then(|status| status.conditions.as_ref());
    let ready = |conditions: &Vec<_>| {
        let mut all = conditions.iter();
        all.any(|one: &k8s_openapi::api::core::v1::PodCondition| {
            one.type_ == "Ready" && one.status == "True"
        })
    };
    pod.metadata.deletion_timestamp.is_none() && conditions.is_some_and(ready)
}

async fn ask(
    cluster: &Cluster,
    pod: &str,
    args: &args::Rank,
    body: Bytes,
) -> Result<(StatusCode, Bytes), ClusterError> {
    let api: Api<Pod> = cluster.api();
    let forwarded = api.portforward(pod, &[RANK_PORT]);
    let mut forwarder = cluster.call::<Pod, _>(pod, forwarded).await?;
    let mut request = Request::post("/rank")
        .header(HOST, format!("{}-rank", args.name))
        .header(CONTENT_TYPE, "application/json");
    if let Some(token) = &args.token {
        request = request.header(AUTHORIZATION, format!("Bearer {token}"));
    }
    let request = request
        .body(Full::new(body))
        .map_err(|error| ClusterError::Usage(format!("--token: {error}")))?;
    let refused = forwarder.take_error(RANK_PORT);
    let response = match exchange(&mut forwarder, request).await {
        Ok(response) => response,
        Err(error) => {
            // The node says why it could not reach the port, if it gets to it.
            let reason = match refused {
                Some(refused) => tokio::time::timeout(Duration::from_secs(1), refused).await,
                None => Ok(None),
            };
            let reason = reason.ok().flatten().unwrap_or_else(|| error.to_string());
            return Err(ClusterError::Failed(format!(
                "pod {pod:?}: {}",
                reason.trim()
            )));
        }
    };
    let status = response.status();
    let read = response.into_body().collect().await;
    let answer = read.map_err(|error| ClusterError::NoAnswer(error.to_string()))?;
    Ok((status, answer.to_bytes()))
}

async fn exchange(
    forwarder: &mut Portforwarder,
    request: Request<Full<Bytes>>,
) -> hyper::Result<Response<Incoming>> {
    let stream = forwarder
        .take_stream(RANK_PORT)
        .expect("the port was asked for and is taken once");
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    sender.send_request(request).await
}

fn no_ranking(status: StatusCode, answer: &[u8]) -> ClusterError {
    let said = String::from_utf8_lossy(answer);
    let message = format!("the ranker answered {status}: {}", said.trim());
    match status.as_u16() {
        401 | 403 => ClusterError::Forbidden(message),
        400..=499 => ClusterError::Refused(message),
        _ => ClusterError::Failed(message),
    }
}

/// What is shown of an answer.
#[derive(Debug, Deserialize)]
struct Answer {
    model: String,
    version: u32,
    digest: String,
    #[serde(default)]
    products: Vec<Ranked>,
    /// In the order of the ids, where the request asked in columns.
    #[serde(default)]
    scores: Vec<f64>,
}

#[derive(Debug, Deserialize)]
struct Ranked {
    /// Text or number.
    id: Value,
    score: f64,
    #[serde(default)]
    rule: Option<String>,
}

/// The order, best first.
fn ranking(answer: &Answer) -> String {
    let head = format!(
        "{} v{}, {}\n\n",
        answer.model,
        answer.version,
        short(&answer.digest)
    );
    let mut table = table(&["PLACE", "ID", "SCORE", "RULE"]);
    for (place, one) in answer.products.iter().enumerate() {
        let id = one
            .id
            .as_str()
            .map_or_else(|| one.id.to_string(), str::to_owned);
        table.add_row([
            (place + 1).to_string(),
            id,
            format!("{:.4}", one.score),
            one.rule.clone().unwrap_or_default(),
        ]);
    }
    let mut scores: Vec<(usize, f64)> = answer.scores.iter().copied().enumerate().collect();
    scores.sort_by(|a, b| b.1.total_cmp(&a.1));
    for (place, (index, score)) in scores.iter().enumerate() {
        let id = format!("number {} of the request", index + 1);
        table.add_row([
            (place + 1).to_string(),
            id,
            format!("{score:.4}"),
            String::new(),
        ]);
    }
    head + &text(&mut table)
}

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json};

    use super::*;

    #[test]
    fn a_ranking_is_a_table_with_what_ranked_above_it() {
        let answer = from_value(json!({
            "query_id": "q", "model": "products", "version": 7, "digest": format!("sha256:{}", "a".repeat(64)),
            "tables_digest": "sha256:b",
            "products": [{"id": "p40002", "score": -1.052_727}, {"id": 17, "score": -1.25, "rule": "in-stock"}]
        }))
        .unwrap();
        assert_eq!(
            ranking(&answer),
            "products v7, sha256:aaaaaaaa\n\n\
             PLACE   ID       SCORE     RULE\n\
             1       p40002   -1.0527\n\
             2       17       -1.2500   in-stock\n"
        );
    }

    #[test]
    fn scores_of_columns_are_put_in_order() {
        let answer = from_value(json!({
            "model": "products", "version": 7, "digest": "sha256:a", "scores": [0.25, 0.75]
        }))
        .unwrap();
        let text = ranking(&answer);
        assert!(
            text.contains("1       number 2 of the request   0.7500\n"),
            "{text}"
        );
    }

    #[test]
    fn a_pod_that_ends_is_not_asked() {
        let pod = |metadata: Value, ready: &str| -> Pod {
            from_value(json!({
                "metadata": metadata,
                "status": {"conditions": [{"type": "Ready", "status": ready}]}
            }))
            .unwrap()
        };
        assert!(is_ready(&pod(json!({}), "True")));
        assert!(!is_ready(&pod(json!({}), "False")));
        assert!(!is_ready(&pod(
            json!({"deletionTimestamp": "2026-11-24T12:00:00Z"}),
            "True"
        )));
    }
}
