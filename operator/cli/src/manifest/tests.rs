use super::*;

const DATA: &str = "data: {synthetic: {}}, artifacts: {uri: pvc://c/p}";

fn model(spec: &str) -> String {
    format!(
        "apiVersion: searchop.io/v1alpha1\nkind: RankingModel\nmetadata: {{name: shop}}\nspec: {{{spec}}}\n"
    )
}

fn schedule(spec: &str) -> String {
    format!(
        "apiVersion: searchop.io/v1alpha1\nkind: RetrainSchedule\nmetadata: {{name: weekly}}\nspec: {{{spec}}}\n"
    )
}

fn parse_text(text: &str) -> Result<Manifests, ManifestError> {
    parse(&[Source {
        name: "m.yaml".to_owned(),
        text: text.to_owned(),
    }])
}

fn refused(text: &str) -> String {
    match parse_text(text) {
        Ok(found) => panic!("accepted: {found:?}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn what_a_cluster_refuses_is_refused_with_field_value_and_advice() {
    let shop =
        |path: &str, message: &str| format!("m.yaml: RankingModel \"shop\": {path}: {message}");
    let weekly = |path: &str, message: &str| {
        format!("m.yaml: RetrainSchedule \"weekly\": {path}: {message}")
    };
    let cases = [
        (
            model(&format!("{DATA}, trainin: {{}}")),
            shop("spec.trainin", "unknown field; did you mean \"training\"?"),
        ),
        (
            model(&format!("{DATA}, serving: {{autoscaling: {{minReplica: 3}}}}")),
            shop("spec.serving.autoscaling.minReplica", "unknown field; did you mean \"minReplicas\"?"),
        ),
        (
            model(&format!("{DATA}, serving: {{autoscaling: {{minReplicas: 5, maxReplicas: 2}}}}")),
            shop(
                "spec.serving.autoscaling",
                "minReplicas must not exceed maxReplicas; it is {\"maxReplicas\":2,\"minReplicas\":5}",
            ),
        ),
        (
            model(&format!("{DATA}, evaluation: {{gates: [{{name: floor, metric: NDCG, threshold: sixty}}]}}")),
            shop(
                "spec.evaluation.gates[0].threshold",
                "\"sixty\" does not match ^(0(\\.[0-9]{1,6})?|1(\\.0{1,6})?)$ (The metric must be at least this, a \
                 decimal in [0, 1])",
            ),
        ),
        (
            model(&format!("{DATA}, evaluation: {{gates: [{{name: floor, metric: NDCG, threshold: 0.6}}]}}")),
            shop("spec.evaluation.gates[0].threshold", "0.6 is not a text; put it in quotes: \"0.6\""),
        ),
        (
            model(&format!("{DATA}, evaluation: {{gates: [{{name: floor, metric: NDCG}}]}}")),
            shop(
                "spec.evaluation.gates[0]",
                "a gate needs exactly one of threshold and against; it is {\"metric\":\"NDCG\",\"name\":\"floor\"}",
            ),
        ),
        (
            model(&format!("{DATA}, evaluation: {{gates: [{{name: floor, metric: NDGC, threshold: \"0\"}}]}}")),
            shop(
                "spec.evaluation.gates[0].metric",
                "\"NDGC\" is not one of \"NDCG\", \"MRR\", \"MAP\", \"Recall\", \"ERR\"; did you mean \"NDCG\"?",
            ),
        ),
        (
            model("data: {synthetic: {products: 5}}, artifacts: {uri: pvc://c/p}"),
            shop("spec.data.synthetic.products", "5 is too small, the minimum is 20"),
        ),
        (
            model("artifacts: {uri: pvc://c/p}"),
            shop("spec.data", "required, but missing (Catalogue and click log to learn from)"),
        ),
        (
            model("data: {}, artifacts: {uri: pvc://c/p}"),
            shop("spec.data", "data needs exactly one of synthetic and sources; it is {}"),
        ),
        (
            schedule("modelRef: {name: shop}, schedule: 0 2 * * 0, timeZone: Mars/Olympus"),
            weekly(
                "spec.timeZone",
                "timeZone must be the IANA name of a time zone; it is \"Mars/Olympus\"",
            ),
        ),
        (
            schedule("modelRef: {name: shop}, schedule: 61 2 * * 0"),
            weekly(
                "spec.schedule",
                "minute must be *, 0-59, a range, a list, or one of these with a step; it is \"61 2 * * 0\"",
            ),
        ),
        (
            schedule("modelRef: {name: shop}, schedule: daily"),
            weekly("spec.schedule", "\"daily\" does not match"),
        ),
        (
            schedule("modelRef: {name: shop}, schedule: 0 2 * * 0, concurrencyPolicy: Allow"),
            weekly("spec.concurrencyPolicy", "\"Allow\" is not one of \"Forbid\", \"Replace\""),
        ),
        (
            model(DATA).replace("shop", "Shop"),
            "m.yaml: RankingModel \"Shop\": metadata.name must be at most 40 characters of a-z, 0-9 and '-', starting \
             with a letter"
                .to_owned(),
        ),
        (model(DATA).replace("name: shop", "nam: shop"), "m.yaml: RankingModel: metadata.nam: unknown field".to_owned()),
        (
            model(DATA).replace("v1alpha1", "v1"),
            shop("apiVersion", "\"searchop.io/v1\" is not known, write \"searchop.io/v1alpha1\""),
        ),
        (
            model(DATA).replace("RankingModel", "RankingModle"),
            "m.yaml: RankingModle \"shop\": kind: \"RankingModle\" is not known in searchop.io, possible are \
             \"RankingModel\", \"RetrainSchedule\""
                .to_owned(),
        ),
        ("kind: RankingModel\n".to_owned(), "m.yaml: RankingModel: apiVersion: required, but missing".to_owned()),
        ("a: [1\n".to_owned(), "m.yaml: is not readable YAML: ".to_owned()),
        ("# nothing\n".to_owned(), "m.yaml: holds no RankingModel; name the file that does with -f".to_owned()),
        (
            format!("{}---\n{}", model(DATA), model(DATA).replace("shop", "store")),
            "m.yaml: holds the RankingModels \"shop\", \"store\"; local mode runs one a folder; start each with its own \
             --dir and --listen"
                .to_owned(),
        ),
    ];
    for (text, wanted) in cases {
        let error = refused(&text);
        assert!(
            error.starts_with(&wanted),
            "\n got: {error}\nwant: {wanted}"
        );
    }
}

#[test]
fn every_problem_is_told_at_once() {
    let text = format!(
        "{}---\n{}",
        model("data: {synthetic: {products: 5}}, artefacts: {}"),
        schedule("modelRef: {name: shop}, schedule: 2")
    );
    insta::assert_snapshot!(refused(&text));
}

#[test]
fn a_file_of_several_documents_is_sorted_out() {
    let claim = "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: searchop-models}\nspec: {}\n";
    let text = format!(
        "---\n{claim}---\n{}---\n{}---\n",
        schedule("modelRef: {name: shop}, schedule: 0 2 * * 0"),
        model(DATA)
    );
    let found = parse_text(&text).unwrap();
    assert_eq!(found.model.metadata.name.as_deref(), Some("shop"));
    assert_eq!(found.schedules.len(), 1);
    let ignored: Vec<_> = found
        .ignored
        .iter()
        .map(|item| item.what.as_str())
        .collect();
    assert_eq!(
        ignored,
        [
            "PersistentVolumeClaim \"searchop-models\"",
            "spec.artifacts.uri"
        ]
    );
}

#[test]
fn what_means_nothing_here_is_listed_where_it_is_set() {
    let spec = "data: {sources: {catalog: {uri: s3://b/c.csv}, events: {uri: s3://b/e.csv}, credentialsSecretRef: {name: a}}}, \
                artifacts: {uri: s3://b/p, credentialsSecretRef: {name: w}, readerSecretRef: {name: r}}, \
                training: {resources: {requests: {cpu: 1}, limits: {cpu: 2, memory: 1Gi}}}, \
                serving: {replicas: 3, autoscaling: {mode: Fixed}, resources: {limits: {cpu: 1}}}";
    let text = model(spec).replace("{name: shop}", "{name: shop, namespace: search}");
    let found = parse_text(&text).unwrap();
    let ignored: Vec<_> = found
        .ignored
        .iter()
        .map(|item| item.what.as_str())
        .collect();
    assert_eq!(
        ignored,
        [
            "metadata.namespace",
            "spec.data.sources.credentialsSecretRef",
            "spec.training.resources.requests",
            "spec.training.resources.limits.memory",
            "spec.serving.autoscaling",
            "spec.serving.replicas",
            "spec.serving.resources",
            "spec.artifacts.uri",
            "spec.artifacts.credentialsSecretRef",
            "spec.artifacts.readerSecretRef",
        ]
    );
}

#[test]
fn the_samples_are_valid() {
    let samples = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/samples");
    let found = read(std::slice::from_ref(&samples)).unwrap();
    assert_eq!(found.model.metadata.name.as_deref(), Some("products"));
    assert_eq!(
        found.schedules[0].metadata.name.as_deref(),
        Some("products-weekly")
    );
    assert!(
        found
            .ignored
            .iter()
            .any(|item| item.what == "PersistentVolumeClaim \"searchop-models\"")
    );
    let found = read(&[samples.join("s3")]).unwrap();
    assert_eq!(found.model.metadata.name.as_deref(), Some("shop"));
}

#[test]
fn status_and_empty_keys_are_not_the_users_to_write() {
    let text = model(&format!("{DATA}, training: , evaluation: {{}}")) + "status: {served: 12}\n";
    let found = parse_text(&text).unwrap();
    assert_eq!(found.model.status, None);
    assert_eq!(found.model.spec.training, searchop_api::Training::default());
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let error = read(&["no/such.yaml".into()]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "read \"no/such.yaml\": No such file or directory (os error 2)"
    );
    assert_eq!(error.exit(), Exit::Usage);
    let empty = tempfile::tempdir().unwrap();
    let error = read(&[empty.path().to_owned()]).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("{:?} holds no .yaml, .yml or .json file", empty.path())
    );
}
