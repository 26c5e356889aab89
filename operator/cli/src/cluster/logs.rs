//! `searchop logs`: what a training run or the ranker pods print.

use futures::{AsyncBufReadExt, StreamExt, TryStreamExt, stream::select_all};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, ResourceExt,
    api::{ListParams, LogParams},
};
use searchop_api::RankingModel;
use searchop_contract::labels;

use super::{connection::Cluster, error::ClusterError};
use crate::{args, terminal::Log};

pub async fn logs(args: &args::Logs, log: Log) -> Result<(), ClusterError> {
    let cluster = Cluster::find(&args.model.target).await?;
    let model: RankingModel = cluster.get(&args.model.name).await?;
    let uid = model.uid().unwrap_or_default();
    let component = if args.ranker { "ranker" } else { "trainer" };
    let selector = format!(
        "{}={uid},{}={component}",
        labels::MODEL_UID,
        labels::COMPONENT
    );
    let mut pods: Vec<Pod> = cluster
        .list(&ListParams::default().labels(&selector))
        .await?;
    pods.sort_by_key(ResourceExt::creation_timestamp);
    if !args.ranker {
        pods = of_run(pods, args.version);
    }
    if pods.is_empty() {
        return Err(no_pod(&cluster, args));
    }
    let names: Vec<String> = pods.iter().map(ResourceExt::name_any).collect();
    log.info("Logs", &format!("of {}", names.join(", ")));
    print_all(&cluster, &names, args).await
}

/// The newest pod of the run of this version, or of the newest one.
fn of_run(mut pods: Vec<Pod>, version: Option<u32>) -> Vec<Pod> {
    let of = |pod: &Pod| pod.labels().get(labels::VERSION)?.parse::<u32>().ok();
    let wanted = version.or_else(|| pods.iter().filter_map(of).max());
    pods.retain(|pod| of(pod).is_some() && of(pod) == wanted);
    pods.pop().into_iter().collect()
}

fn no_pod(cluster: &Cluster, args: &args::Logs) -> ClusterError {
    let name = &args.model.name;
    let (what, there) = match (args.ranker, args.version) {
        (true, _) => (format!("a ranker pod of {name:?}"), "; nothing serves yet"),
        (false, Some(version)) => (
            format!("a trainer pod of {name:?} v{version}"),
            "; the Jobs of the last three runs are kept",
        ),
        (false, None) => (
            format!("a trainer pod of {name:?}"),
            "; nothing was trained lately",
        ),
    };
    ClusterError::NotFound {
        what,
        namespace: cluster.namespace.clone(),
        there: there.to_owned(),
    }
}

/// Lines of all pods as they come, with the pod's name before each where there are several.
async fn print_all(
    cluster: &Cluster,
    names: &[String],
    args: &args::Logs,
) -> Result<(), ClusterError> {
    let api: Api<Pod> = cluster.api();
    let parameters = LogParams {
        follow: args.follow,
        tail_lines: args.tail.map(i64::from),
        ..LogParams::default()
    };
    let mut streams = Vec::new();
    for name in names {
        let lines = cluster
            .call::<Pod, _>(name, api.log_stream(name, &parameters))
            .await?
            .lines();
        let prefix = match names.len() {
            1 => String::new(),
            _ => format!("[{name}] "),
        };
        streams.push(lines.map_ok(move |line| format!("{prefix}{line}")).boxed());
    }
    let mut lines = select_all(streams);
    while let Some(line) = lines.next().await {
        let line = line.map_err(|error| ClusterError::NoAnswer(error.to_string()))?;
        println!("{line}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json};

    use super::*;

    #[test]
    fn the_newest_pod_of_a_run_speaks_for_it() {
        let pod = |name: &str, version: &str| -> Pod {
            from_value(
                json!({"metadata": {"name": name, "labels": {"searchop.io/version": version}}}),
            )
            .unwrap()
        };
        // Oldest first, as they were made.
        let pods = || {
            vec![
                pod("v8-a", "8"),
                pod("v10-a", "10"),
                pod("v9-a", "9"),
                pod("v9-b", "9"),
            ]
        };
        let found = |version| -> Vec<String> {
            of_run(pods(), version)
                .iter()
                .map(ResourceExt::name_any)
                .collect()
        };
        assert_eq!(found(None), ["v10-a"]);
        assert_eq!(found(Some(9)), ["v9-b"]);
        assert_eq!(found(Some(7)), Vec::<String>::new());
    }
}
