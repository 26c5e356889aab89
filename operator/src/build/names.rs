use searchop_contract::names::RANK_PORT;

/// Name of the ranker's Deployment, Service, HorizontalPodAutoscaler and PodDisruptionBudget.
pub fn ranker_name(model: &str) -> String {
    format!("{model}-rank")
}

/// Where requests go, inside the cluster.
pub fn ranker_url(model: &str, namespace: &str) -> String {
    format!(
        "http://{}.{namespace}.svc:{RANK_PORT}/rank",
        ranker_name(model)
    )
}
