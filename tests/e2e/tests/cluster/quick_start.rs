//! The README's first five minutes.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use searchop_e2e::{
    children::all_gone,
    kubectl::kubectl_ok,
    load::{Asks, Load, REQUEST, rank},
    models::get,
    namespace::TestNamespace,
    pods, volumes,
    wait::eventually,
};

use crate::{MINUTES, install_operator};

const SAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/samples/");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_samples_give_a_ranker_that_answers_and_leave_nothing_when_deleted() {
    install_operator();
    let namespace = TestNamespace::create("quickstart").await;
    volumes::volume_for(&namespace, "searchop-models");
    let start = Instant::now();
    kubectl_ok(&["apply", "-n", &namespace.name, "-f", SAMPLES]);
    let ready = [
        "wait",
        "--for=condition=Ready",
        "rankingmodel/products",
        "--timeout=5m",
    ];
    kubectl_ok(&[&ready[..], &["-n", &namespace.name]].concat());
    println!(
        "figure e2e.apply_to_ready {:.1} s",
        start.elapsed().as_secs_f64()
    );
    let line = kubectl_ok(&["get", "rankingmodels", "-n", &namespace.name]);
    println!("{line}");
    assert!(line.contains("v1") && line.contains("NDCG@10 0."), "{line}");
    let status = get(&namespace, "products").await.status.unwrap();
    let next = status
        .next_retrain_time
        .unwrap()
        .0
        .to_zoned(jiff::tz::TimeZone::UTC);
    assert_eq!(
        (next.weekday(), next.hour(), next.minute()),
        (jiff::civil::Weekday::Sunday, 2, 0)
    );
    let served = status.served.unwrap();
    answers_from_a_pod(&namespace, &served.digest).await;
    answers_through_a_port_forward(&namespace, &served.digest).await;
    kubectl_ok(&[
        "delete",
        "rankingmodel/products",
        "retrainschedule/products-weekly",
        "-n",
        &namespace.name,
    ]);
    all_gone(&namespace, MINUTES).await;
    assert!(
        namespace
            .api::<PersistentVolumeClaim>()
            .get("searchop-models")
            .await
            .is_ok(),
        "artifacts stay"
    );
    namespace.delete().await;
}

async fn answers_from_a_pod(namespace: &TestNamespace, digest: &str) {
    pods::start_load(
        namespace,
        "ask",
        "products-rank",
        Load {
            clients: 1,
            pause: Duration::from_millis(20),
            length: Duration::from_secs(3),
            versions: 1,
            asks: Asks::Fields,
        },
    )
    .await;
    let seen = pods::seen(namespace, "ask", MINUTES).await;
    assert!(seen.failures.is_empty() && seen.answered > 10, "{seen:?}");
    assert_eq!(seen.digests.keys().collect::<Vec<_>>(), [digest]);
}

async fn answers_through_a_port_forward(namespace: &TestNamespace, digest: &str) {
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let program = std::env::var("KUBECTL").unwrap_or_else(|_| "kubectl".to_owned());
    let mut forward = std::process::Command::new(program)
        .args([
            "port-forward",
            "-n",
            &namespace.name,
            "service/products-rank",
            &format!("{port}:8080"),
        ])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let (status, body) = eventually(
        "an answer through the port-forward",
        Duration::from_secs(30),
        || async { rank(&format!("127.0.0.1:{port}"), REQUEST).await },
    )
    .await;
    forward.kill().unwrap();
    forward.wait().unwrap();
    assert_eq!(
        (status, body["digest"].as_str()),
        (200, Some(digest)),
        "{body}"
    );
    assert_eq!(body["products"][0]["id"], 1, "{body}");
}
