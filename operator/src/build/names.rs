use searchop_api::Serving;
use searchop_contract::names::RANK_PORT;

/// Name of the ranker's Deployment, Service, HorizontalPodAutoscaler and PodDisruptionBudget.
pub fn ranker_name(model: &str) -> String {
    format!("{model}-rank")
}

/// Name of the ConfigMap with who answers which part of the requests.
pub(super) fn traffic_name(model: &str) -> String {
    format!("{model}-traffic")
}

/// Name of the ConfigMap with what is known of a model's requests.
pub fn drift_name(model: &str) -> String {
    format!("{model}-drift")
}

/// Where requests go, inside the cluster.
pub fn ranker_url(model: &str, namespace: &str, serving: &Serving) -> String {
    let scheme = serving.tls_secret_ref.as_ref().map_or("http", |_| "https");
    format!(
        "{scheme}://{}.{namespace}.svc:{RANK_PORT}/rank",
        ranker_name(model)
    )
}
