//! Versions beside each other in the same pods, under load: one goes through the shadow and takes
//! over, one is aborted at its step, and a pin goes back; a good one is promoted and a bad one aborted
//! by what the pods report. No request fails.

use std::time::Duration;

use searchop_api::{Outcome, RankingModel};
use searchop_e2e::{
    kubectl::apply_ok,
    load::{Asks, Load},
    models::{await_condition, await_outcome, get, merged, small_model},
    namespace::TestNamespace,
    pods, volumes,
    wait::eventually,
};
use serde_json::{Value, json};

use crate::{MINUTES, install_operator};

fn leaves(base: &Value, leaves: i32, rollout: &Value) -> Value {
    let patch = json!({"spec": {
        "training": {"parameters": {"numLeaves": leaves}},
        "rollout": rollout
    }});
    merged(base.clone(), &patch)
}

fn served(model: &RankingModel) -> i32 {
    let served = model
        .status
        .as_ref()
        .and_then(|status| status.served.as_ref());
    served.expect("a version serves").version
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_good_canary_takes_over_an_aborted_one_goes_and_a_pin_goes_back() {
    install_operator();
    let namespace = TestNamespace::create("canary").await;
    volumes::claim(&namespace, "models");
    let base = merged(
        small_model("products"),
        &json!({"spec": {"serving": {"replicas": 2}}}),
    );
    apply_ok(&namespace.name, &base);
    await_condition(&namespace, "products", ("Ready", "True"), MINUTES).await;
    let load = Load {
        clients: 1,
        pause: Duration::from_millis(5),
        length: Duration::from_secs(40),
        versions: 2,
        asks: Asks::Fields,
    };
    pods::start_load(&namespace, "load", "products-rank", load).await;

    let shadow = json!({
        "strategy": "Canary",
        "steps": [{"weight": 0, "shadowPercent": 100, "holdSeconds": 2}],
        "analysis": {"minRequests": 50}
    });
    apply_ok(&namespace.name, &leaves(&base, 15, &shadow));
    let (outcome, status) = await_outcome(&namespace, "products", 2, MINUTES).await;
    assert_eq!(outcome, Outcome::Promoted);
    let canary = status.run.and_then(|run| run.canary);
    let overlap = canary.and_then(|canary| canary.shadow);
    println!("in the shadow: {overlap:?}");
    assert!(overlap.expect("a step in the shadow").requests >= 50);

    let step = json!({"strategy": "Canary", "steps": [{"weight": 50, "holdSeconds": 3600}]});
    apply_ok(&namespace.name, &leaves(&base, 31, &step));
    eventually("v3 is at its step", MINUTES, || async {
        let model = get(&namespace, "products").await;
        let run = model.status.and_then(|status| status.run);
        let canary = run.as_ref().and_then(|run| run.canary.as_ref());
        match canary.and_then(|canary| canary.start_time.as_ref()) {
            Some(_) => Ok(()),
            None => Err(format!("{run:?}")),
        }
    })
    .await;
    let aborted = merged(step, &json!({"abortedVersion": "v3"}));
    apply_ok(&namespace.name, &leaves(&base, 31, &aborted));
    let (outcome, _) = await_outcome(&namespace, "products", 3, MINUTES).await;
    assert_eq!(outcome, Outcome::Failed);

    for (pin, expected) in [(json!("v1"), 1), (Value::Null, 2)] {
        let rollout = json!({"pinnedVersion": pin});
        apply_ok(&namespace.name, &leaves(&base, 15, &rollout));
        let model = await_condition(&namespace, "products", ("Ready", "True"), MINUTES).await;
        assert_eq!(served(&model), expected, "pinned {pin}");
    }
    let seen = pods::seen(&namespace, "load", MINUTES).await;
    println!("under load: {seen:?}");
    assert!(seen.failures.is_empty(), "{seen:?}");
    namespace.delete().await;
}

/// A catalogue of another size has none of the products that are asked for: rankings of it know
/// nothing of them, which no gate on held-out queries can see.
fn shop_of(base: &Value, products: i32) -> Value {
    let patch = json!({"spec": {
        "data": {"synthetic": {"products": products}},
        "rollout": {
            "strategy": "Canary",
            "steps": [{"weight": 50, "holdSeconds": 5}],
            // A lookup of what is known takes longer.
            "analysis": {"minRequests": 200, "maxP99IncreasePercent": 1000}
        }
    }});
    merged(base.clone(), &patch)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn complaint_3_a_good_version_after_a_bad_one_is_promoted_and_a_bad_one_aborted_by_itself() {
    install_operator();
    let namespace = TestNamespace::create("verdicts").await;
    volumes::claim(&namespace, "models");
    let base = small_model("products");
    apply_ok(&namespace.name, &shop_of(&base, 600));
    await_condition(&namespace, "products", ("Ready", "True"), MINUTES).await;
    let load = Load {
        clients: 1,
        pause: Duration::from_millis(5),
        length: Duration::from_secs(120),
        versions: 2,
        asks: Asks::Ids,
    };
    pods::start_load(&namespace, "load", "products-rank", load).await;

    apply_ok(&namespace.name, &shop_of(&base, 500));
    let (outcome, status) = await_outcome(&namespace, "products", 2, MINUTES).await;
    assert_eq!(outcome, Outcome::Promoted, "{:?}", status.run);
    await_condition(&namespace, "products", ("Ready", "True"), MINUTES).await;

    apply_ok(&namespace.name, &shop_of(&base, 700));
    let (outcome, status) = await_outcome(&namespace, "products", 3, MINUTES).await;
    let ended = status.history.iter().find(|entry| entry.version == 3);
    println!("aborted: {ended:?}");
    assert_eq!(outcome, Outcome::Failed);
    let reason = ended.and_then(|entry| entry.reason.as_deref());
    assert_eq!(reason, Some("AnalysisFailed"));
    let run = status.run.clone().expect("the run is remembered");
    let words = run.message.unwrap_or_default();
    assert!(words.contains("missing"), "{words}");
    assert_eq!(served(&get(&namespace, "products").await), 2);

    let seen = pods::seen(&namespace, "load", MINUTES).await;
    println!("under load: {seen:?}");
    assert!(seen.failures.is_empty(), "{seen:?}");
    namespace.delete().await;
}
