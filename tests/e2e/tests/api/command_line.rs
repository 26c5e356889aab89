//! The verbs of `searchop` against a real API server. No operator runs: each scenario writes the
//! status that one would have left, so all of them together take seconds.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::events::v1::Event;
use kube::api::{Patch, PatchParams, PostParams};
use searchop_api::{RankingModel, RetrainSchedule};
use searchop_contract::labels::RETRAIN_REQUESTED;
use searchop_e2e::{
    install_crds,
    kubectl::{apply_ok, kubectl_ok},
    models::{get, merged, small_model},
    namespace::TestNamespace,
    searchop::searchop,
};
use serde_json::{Value, json};

const DIGEST: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

async fn scene(scenario: &str) -> TestNamespace {
    install_crds();
    let namespace = TestNamespace::create(scenario).await;
    apply_ok(&namespace.name, &small_model("products"));
    namespace
}

/// Serves v2 since noon of the 22nd, v1 before that; v3 was rejected.
async fn write_status(namespace: &TestNamespace, name: &str, more: &Value) {
    let version = |number: i32, promoted: &str| {
        json!({
            "name": format!("v{number}"), "version": number, "digest": DIGEST, "tablesDigest": DIGEST,
            "trainHash": "h1:1", "headlineMetric": format!("NDCG@10 0.5{number}0"), "promotedTime": promoted,
            "trainedThroughTime": "2026-11-15T00:00:00Z", "tablesTime": "2026-11-15T00:00:00Z"
        })
    };
    let entry = |number: i32, outcome: &str, ended: &str| json!({"version": number, "trigger": "Schedule", "outcome": outcome, "completionTime": ended});
    let status = json!({
        "conditions": [{
            "type": "Ready", "status": "True", "reason": "Serving", "message": "v2 answers",
            "observedGeneration": 1, "lastTransitionTime": "2026-11-15T12:00:00Z"
        }],
        "served": version(2, "2026-11-22T12:00:00Z"),
        "previous": version(1, "2026-11-15T12:00:00Z"),
        "history": [
            entry(3, "Rejected", "2026-11-23T12:00:00Z"),
            entry(2, "Promoted", "2026-11-22T12:00:00Z"),
            entry(1, "Promoted", "2026-11-15T12:00:00Z"),
        ]
    });
    let patch = Patch::Merge(json!({"status": merged(status, more)}));
    let models = namespace.api::<RankingModel>();
    let written = models
        .patch_status(name, &PatchParams::default(), &patch)
        .await;
    written.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn get_prints_what_kubectl_prints_and_more() {
    let namespace = scene("cli-get").await;
    write_status(&namespace, "products", &json!({})).await;
    apply_ok(&namespace.name, &small_model("books"));
    let ours = searchop(&namespace.name, &["get"]);
    assert_eq!(ours.code, Some(0), "{ours:?}");
    let theirs = kubectl_ok(&["get", "rankingmodels", "-n", &namespace.name]);
    // Without the age of the object, which may turn in between.
    let words = |text: &str| -> Vec<String> {
        let line = text.lines().find(|line| line.starts_with("products"));
        let words = line.unwrap().split("  ").map(str::trim);
        let mut words: Vec<String> = words
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect();
        words.pop();
        words
    };
    assert_eq!(words(&ours.stdout), words(&theirs));
    let names = searchop(&namespace.name, &["get", "-o", "name"]);
    assert_eq!(
        names.stdout,
        "rankingmodel.searchop.io/books\nrankingmodel.searchop.io/products\n"
    );
    let whole = searchop(&namespace.name, &["get", "products", "-o", "json"]);
    let value: Value = serde_json::from_str(&whole.stdout).unwrap();
    assert_eq!(
        (&value["kind"], &value["status"]["served"]["version"]),
        (&json!("RankingModel"), &json!(2))
    );
    namespace.delete().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exit_codes_say_what_kind_of_no() {
    let namespace = scene("cli-codes").await;
    let name = &*namespace.name;
    for (args, code, words) in [
        (
            vec!["get", "nobody"],
            5,
            "rankingmodel \"nobody\" not found in namespace",
        ),
        (
            vec!["get", "products", "--as", "nobody"],
            6,
            "User \"nobody\" cannot get resource",
        ),
        (vec!["get", "--as", "nobody"], 6, "cannot list resource"),
        (
            vec!["get", "--kubeconfig", "/no/such/file"],
            1,
            "no cluster to ask: ",
        ),
        (
            vec!["get", "--context", "no-such"],
            1,
            "no cluster to ask: ",
        ),
        (vec!["get", "-o", "xml"], 2, "invalid value 'xml'"),
        (
            vec!["retrain", "products", "--requester", "a b"],
            2,
            "requester \"a b\"",
        ),
        (
            vec!["retrain", "products", "--wait", "--timeout", "1s"],
            4,
            "no end after 1 s",
        ),
        (
            vec!["versions", "products", "--on", "2026-11-20"],
            5,
            "nothing has served yet",
        ),
        (
            vec!["rank", "products", "shoes", "--ids", "p1"],
            5,
            "nothing serves yet",
        ),
        (vec!["logs", "products"], 5, "nothing was trained lately"),
        (vec!["schedule", "next"], 5, "retrainschedule not found"),
    ] {
        let printed = searchop(name, &args);
        assert_eq!(printed.code, Some(code), "{args:?}: {printed:?}");
        assert!(printed.stderr.contains(words), "{args:?}: {printed:?}");
        assert_eq!(
            printed.stdout.is_empty(),
            code != 4,
            "{args:?}: {printed:?}"
        );
    }
    namespace.delete().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_verb_writes_its_field_as_its_kubectl_line_does_and_a_dry_run_writes_nothing() {
    let namespace = scene("cli-suspend").await;
    let name = &*namespace.name;
    let suspended = async || get(&namespace, "products").await.spec.suspend;
    for dry in ["--dry-run", "--dry-run=client", "--dry-run=server"] {
        let printed = searchop(name, &["suspend", "products", dry]);
        assert_eq!(printed.code, Some(0), "{printed:?}");
        assert!(
            printed.stdout.contains("products suspended ("),
            "{printed:?}"
        );
        assert!(!suspended().await, "{dry} wrote");
    }
    let printed = searchop(name, &["suspend", "products"]);
    assert_eq!(
        printed.stdout,
        "rankingmodel.searchop.io/products suspended\n"
    );
    assert!(suspended().await);
    let model = get(&namespace, "products").await;
    let managers = model.metadata.managed_fields.unwrap();
    assert!(
        managers
            .iter()
            .any(|one| one.manager.as_deref() == Some("searchop-cli"))
    );
    // The line it printed undoes nothing and does the same again.
    let resumed = searchop(
        name,
        &["resume", "products", "--dry-run=server", "-o", "yaml"],
    );
    assert!(resumed.stdout.contains("suspend: false"), "{resumed:?}");
    shell(&same_as(&resumed.stderr));
    assert!(!suspended().await, "the kubectl line did not resume it");
    namespace.delete().await;
}

/// The kubectl line that a verb printed.
fn same_as(stderr: &str) -> String {
    let line = stderr.lines().find(|line| line.contains("SameAs")).unwrap();
    line[line.find("kubectl").unwrap()..].to_owned()
}

fn shell(line: &str) {
    let kubectl = std::env::var("KUBECTL").unwrap_or_else(|_| "kubectl".to_owned());
    let line = line.replacen("kubectl", &kubectl, 1);
    let output = std::process::Command::new("sh")
        .args(["-c", &line])
        .output()
        .unwrap();
    assert!(output.status.success(), "{line}: {output:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retrain_is_waited_for_and_its_outcome_is_the_exit_code() {
    let namespace = scene("cli-retrain").await;
    for (outcome, code) in [
        ("Promoted", 0),
        ("Unchanged", 0),
        ("Rejected", 3),
        ("Failed", 1),
    ] {
        let (name, operator) = (namespace.name.clone(), act_once(&namespace, outcome));
        let asked = tokio::task::spawn_blocking(move || {
            let line = [
                "retrain",
                "products",
                "--requester",
                "ada",
                "--wait",
                "--timeout",
                "30s",
            ];
            searchop(&name, &line)
        });
        operator.await;
        let printed = asked.await.unwrap();
        assert_eq!(printed.code, Some(code), "{outcome}: {printed:?}");
        assert!(
            printed.stderr.contains(&format!("{outcome}  ")),
            "{printed:?}"
        );
        assert!(printed.stderr.contains("it ended so"), "{printed:?}");
    }
    namespace.delete().await;
}

/// Does what an operator does with the next request that it has not seen: writes the run down, ended.
async fn act_once(namespace: &TestNamespace, outcome: &str) {
    let handled = async || {
        let model = get(namespace, "products").await;
        let asked = model
            .metadata
            .annotations
            .unwrap_or_default()
            .remove(RETRAIN_REQUESTED);
        let last = model.status.and_then(|status| status.last_handled_request);
        asked.filter(|asked| Some(asked) != last.as_ref())
    };
    let request = loop {
        if let Some(request) = handled().await {
            break request;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert!(request.starts_with("Manual/ada/"), "{request}");
    let run = json!({
        "version": 4, "trainHash": "h1:1", "trigger": "Manual", "requestToken": request,
        "asOfTime": "2026-11-24T12:00:00Z", "startTime": "2026-11-24T12:00:00Z", "outcome": outcome,
        "message": "it ended so"
    });
    write_status(
        namespace,
        "products",
        &json!({"run": run, "lastHandledRequest": request}),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn describe_shows_the_last_five_events_and_what_serves() {
    let namespace = scene("cli-describe").await;
    write_status(
        &namespace,
        "products",
        &json!({"url": "http://products-rank"}),
    )
    .await;
    let now = Timestamp::now();
    for (place, about) in ["products"; 6].into_iter().chain(["other"]).enumerate() {
        let event = json!({
            "metadata": {"name": format!("event-{place}"), "namespace": namespace.name},
            "regarding": {"kind": "RankingModel", "name": about, "namespace": namespace.name, "apiVersion": "searchop.io/v1alpha1"},
            "type": "Normal", "reason": format!("Reason{place}"), "note": "a note", "action": "Reconcile",
            "reportingController": "searchop.io/operator", "reportingInstance": "test",
            "eventTime": (now - jiff::SignedDuration::from_secs(100 - place as i64)).to_string()
        });
        let events = namespace.api::<Event>();
        let event = serde_json::from_value(event).unwrap();
        events.create(&PostParams::default(), &event).await.unwrap();
    }
    let page = searchop(&namespace.name, &["describe", "products"]);
    assert_eq!(page.code, Some(0), "{page:?}");
    for words in [
        "v2, since 2026-11-22 12:00Z",
        "Reason1 ",
        "Reason5 ",
        "http://products-rank",
    ] {
        assert!(
            page.stdout.contains(words),
            "no {words:?} in {}",
            page.stdout
        );
    }
    for words in ["Reason0 ", "Reason6 "] {
        assert!(!page.stdout.contains(words), "{words:?} in {}", page.stdout);
    }
    let all = searchop(&namespace.name, &["events", "products"]);
    assert!(
        all.stdout.contains("Reason0 ") && !all.stdout.contains("Reason6 "),
        "{all:?}"
    );
    let versions = searchop(
        &namespace.name,
        &["versions", "products", "--on", "2026-11-20"],
    );
    assert!(versions.stdout.starts_with("v1\n"), "{versions:?}");
    assert!(
        versions
            .stdout
            .contains("2026-11-15 12:00Z to 2026-11-22 12:00Z"),
        "{versions:?}"
    );
    let kept = searchop(&namespace.name, &["artifacts", "products"]);
    assert!(
        kept.stdout.starts_with("pvc://models/shop/products-"),
        "{kept:?}"
    );
    namespace.delete().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn schedules_are_listed_suspended_and_looked_ahead() {
    let namespace = scene("cli-schedule").await;
    let name = &*namespace.name;
    let schedule = json!({
        "apiVersion": "searchop.io/v1alpha1", "kind": "RetrainSchedule", "metadata": {"name": "weekly"},
        "spec": {"modelRef": {"name": "products"}, "schedule": "30 2 * * 0", "timeZone": "Europe/Berlin"}
    });
    apply_ok(name, &schedule);
    let next = [
        "schedule",
        "next",
        "weekly",
        "--from",
        "2027-03-20T00:00:00Z",
        "--count",
        "2",
    ];
    let coming = searchop(name, &next);
    assert!(
        coming.stdout.contains("Sun 2027-03-28 03:00 CEST"),
        "{coming:?}"
    );
    let suspended = searchop(name, &["schedule", "suspend", "weekly"]);
    assert_eq!(
        suspended.stdout,
        "retrainschedule.searchop.io/weekly suspended\n"
    );
    let found = namespace
        .api::<RetrainSchedule>()
        .get("weekly")
        .await
        .unwrap();
    assert!(found.spec.suspend);
    assert!(searchop(name, &next).stdout.contains("nothing: suspended"));
    let listed = searchop(name, &["schedule", "get", "-o", "wide"]);
    assert!(
        listed
            .stdout
            .contains("weekly   products   Retrain   30 2 * * 0   Europe/Berlin   true"),
        "{listed:?}"
    );
    let page = searchop(name, &["schedule", "describe", "weekly"]);
    assert!(page.stdout.contains("weekly asks products"), "{page:?}");
    namespace.delete().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promote_abort_and_rollback_name_the_version_that_is_meant() {
    let namespace = scene("cli-rollout").await;
    let name = &*namespace.name;
    write_status(&namespace, "products", &json!({})).await;
    let rollout = async || get(&namespace, "products").await.spec.rollout;
    let back = searchop(name, &["rollback", "products"]);
    let said = "rankingmodel.searchop.io/products rolled back to v1\n";
    assert_eq!(back.stdout, said, "{back:?}");
    assert_eq!(rollout().await.pinned_version.as_deref(), Some("v1"));
    let waiting = [
        "rollback",
        "products",
        "--version",
        "2",
        "--wait",
        "--timeout",
        "2s",
    ];
    let there = searchop(name, &waiting);
    assert_eq!(
        there.code,
        Some(4),
        "the status is older than the edit: {there:?}"
    );
    let undone = searchop(name, &["rollback", "products", "--undo"]);
    assert_eq!(undone.code, Some(0), "{undone:?}");
    assert_eq!(rollout().await.pinned_version, None);
    for (args, words) in [
        (
            vec!["rollback", "products", "--undo"],
            "no version is pinned",
        ),
        (
            vec!["rollback", "products", "--version", "3"],
            "there are v2, v1",
        ),
        (vec!["promote", "products"], "no version waits for approval"),
        (vec!["abort", "products"], "nothing is rolled out"),
    ] {
        let printed = searchop(name, &args);
        assert_eq!(printed.code, Some(3), "{args:?}: {printed:?}");
        assert!(printed.stderr.contains(words), "{args:?}: {printed:?}");
    }
    let history = json!([{"version": 4, "trigger": "Manual", "outcome": "AwaitingApproval", "completionTime": "2026-11-24T12:00:00Z"}]);
    write_status(&namespace, "products", &json!({"history": history})).await;
    let approved = searchop(name, &["promote", "products"]);
    assert_eq!(approved.code, Some(0), "{approved:?}");
    assert_eq!(rollout().await.approved_version.as_deref(), Some("v4"));
    let both = searchop(name, &["abort", "products"]);
    assert_eq!(both.code, Some(3), "{both:?}");
    assert!(
        both.stderr.contains("approved and aborted at once"),
        "{both:?}"
    );
    namespace.delete().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_names_of_the_cluster_are_offered_at_a_tab() {
    let namespace = scene("cli-names").await;
    apply_ok(&namespace.name, &small_model("books"));
    let line = [
        "--",
        "searchop",
        "-q",
        "describe",
        "--namespace",
        &namespace.name,
        "",
    ];
    let program = std::env::var("SEARCHOP_BIN").unwrap_or_else(|_| "searchop".to_owned());
    let output = std::process::Command::new(program)
        .args(line)
        .env("COMPLETE", "bash")
        .env("_CLAP_COMPLETE_INDEX", "5")
        .output()
        .unwrap();
    let offered = String::from_utf8(output.stdout).unwrap();
    for name in ["books", "products"] {
        assert!(offered.lines().any(|line| line == name), "{offered}");
    }
    namespace.delete().await;
}
