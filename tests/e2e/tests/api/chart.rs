//! The chart: values that are wrong are refused, what is rendered is accepted by the server.

use searchop_e2e::{chart, install_crds, kubectl::kubectl_with_input};

fn template(values: &[&str]) -> Result<String, String> {
    let set: Vec<&str> = values.iter().flat_map(|value| ["--set", value]).collect();
    chart::template("default", &set)
}

#[test]
fn wrong_values_are_refused() {
    for (value, words) in [
        ("replicas=0", "replicas"),
        ("image.pullPolicy=Sometimes", "pullPolicy"),
        ("replica=2", "replica"),
    ] {
        let error = template(&[value]).expect_err(value);
        assert!(error.contains(words), "{value}: {error}");
    }
}

#[test]
fn crds_come_with_the_chart_and_stay_unless_told_otherwise() {
    let rendered = template(&[]).unwrap();
    assert_eq!(
        rendered.matches("kind: CustomResourceDefinition").count(),
        2
    );
    assert_eq!(rendered.matches("helm.sh/resource-policy: keep").count(), 2);
    assert!(
        !template(&["crds.keep=false"])
            .unwrap()
            .contains("resource-policy")
    );
    assert!(
        !template(&["crds.enabled=false"])
            .unwrap()
            .contains("kind: CustomResourceDefinition")
    );
}

#[test]
fn what_is_rendered_is_accepted_for_all_namespaces_and_for_one() {
    install_crds();
    for values in [
        &["crds.enabled=false"][..],
        &["crds.enabled=false", "watchNamespace=default"][..],
    ] {
        let rendered = template(values).unwrap();
        let output = kubectl_with_input(
            &["apply", "--dry-run=server", "--validate=strict", "-f", "-"],
            &rendered,
        );
        assert!(output.success, "{values:?}: {}", output.stderr);
    }
}
