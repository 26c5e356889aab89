//! A changed spec under load: no request fails, each answer names the old or the new version.

use std::time::Duration;

use searchop_api::Outcome;
use searchop_e2e::{
    kubectl::apply_ok,
    load::{Asks, Load},
    models::{await_condition, await_outcome, condition, get, merged, small_model},
    namespace::TestNamespace,
    pods, volumes,
};
use serde_json::json;

use crate::{MINUTES, install_operator};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_version_rolls_out_without_a_failed_request_and_a_refused_one_not_at_all() {
    install_operator();
    let namespace = TestNamespace::create("rollout").await;
    volumes::claim(&namespace, "models");
    let base = merged(
        small_model("products"),
        &json!({"spec": {"serving": {"replicas": 2}}}),
    );
    apply_ok(&namespace.name, &base);
    let model = await_condition(&namespace, "products", ("Ready", "True"), MINUTES).await;
    let old = model.status.unwrap().served.unwrap();
    pods::start_load(
        &namespace,
        "load",
        "products-rank",
        Load {
            clients: 1,
            pause: Duration::from_millis(5),
            length: Duration::from_secs(15),
            versions: 2,
            asks: Asks::Fields,
        },
    )
    .await;
    let changed = merged(
        base.clone(),
        &json!({"spec": {"training": {"parameters": {"numLeaves": 15}}}}),
    );
    apply_ok(&namespace.name, &changed);
    let (outcome, _) = await_outcome(&namespace, "products", 2, MINUTES).await;
    assert_eq!(outcome, Outcome::Promoted);
    let model = await_condition(&namespace, "products", ("Ready", "True"), MINUTES).await;
    let new = model.status.unwrap().served.unwrap();
    assert_ne!(old.digest, new.digest);
    let seen = pods::seen(&namespace, "load", MINUTES).await;
    println!("under load: {seen:?}");
    assert!(seen.failures.is_empty(), "{seen:?}");
    assert!(seen.answered > 1000, "{seen:?}");
    let mut expected = [old.digest, new.digest.clone()];
    expected.sort();
    assert_eq!(
        seen.digests.keys().cloned().collect::<Vec<_>>(),
        expected,
        "both versions answered, nothing else"
    );

    let strict = json!({"spec": {
        "training": {"parameters": {"numLeaves": 31}},
        "evaluation": {"gates": [{"name": "floor", "metric": "NDCG", "k": 10, "threshold": "0.999"}]}
    }});
    apply_ok(&namespace.name, &merged(base, &strict));
    let (outcome, status) = await_outcome(&namespace, "products", 3, MINUTES).await;
    assert_eq!(
        (outcome, status.served.unwrap().digest),
        (Outcome::Rejected, new.digest)
    );
    let model = get(&namespace, "products").await;
    let (ready, _, message) = condition(&model, "Ready").unwrap();
    println!("refused: {message}");
    assert_eq!(ready, "False");
    assert!(message.contains("0.999"), "{message}");
    namespace.delete().await;
}
