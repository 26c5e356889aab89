use std::{
    fs,
    process::Command,
    time::{Duration, Instant},
};

use crate::{
    client::{Load, ask},
    shop::{Shop, programs},
};

fn version(shop: &Shop) -> Option<u64> {
    ask(shop.address()).ok()?["version"].as_u64()
}

fn answers_with(shop: &Shop, wanted: u64) {
    shop.until(&format!("answer of v{wanted}"), || {
        (version(shop)? == wanted).then_some(())
    });
}

fn outcome(shop: &Shop, version: u64) -> String {
    shop.until(&format!("outcome of v{version}"), || {
        let model = shop.model();
        let run = &model["status"]["run"];
        (run["version"] == version)
            .then(|| run["outcome"].as_str().map(str::to_owned))
            .flatten()
    })
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn trains_serves_changes_rejects_restarts_and_leaves_nothing() {
    let Some(programs) = programs() else { return };
    let mut shop = Shop::new(programs);
    shop.write(20, "0");
    shop.up();
    first_version(&shop);
    changed_spec_under_load(&shop);
    what_was_served_can_be_computed_again(&shop);
    two_versions_are_compared(&shop);
    invalid_edit(&shop);
    same_again(&shop);
    rejected_edit(&shop);
    refreshed_tables(&shop);
    at_rest(&shop);
    ranker_dies(&shop);
    restart_serves_without_training(&mut shop);
    killed_and_started_again(&mut shop);
    down(&mut shop);
}

fn first_version(shop: &Shop) {
    assert_eq!(outcome(shop, 1), "Promoted");
    let answer = ask(shop.address()).unwrap();
    assert_eq!(answer["model"], "small");
    assert!(
        answer["digest"].as_str().unwrap().starts_with("sha256:"),
        "{answer}"
    );
    assert_eq!(answer["products"].as_array().unwrap().len(), 1);
    for words in [
        "Promoted",
        "candidate v1",
        "NDCG@10",
        "BM25",
        "gate of v1: passed",
        "✓ floor",
        "curl -s localhost:",
    ] {
        shop.until(words, || shop.log().contains(words).then_some(()));
    }
    let log = shop.log();
    assert!(!log.contains('\x1b'), "colours without a terminal");
    let status = shop.verb(&["status"]);
    let table = text(&status.stdout);
    let header = table
        .lines()
        .next()
        .unwrap()
        .split_whitespace()
        .collect::<Vec<_>>();
    assert_eq!(
        header,
        [
            "NAME",
            "READY",
            "SERVED",
            "METRIC",
            "DATA-AGE",
            "TABLES-AGE",
            "STALE",
            "NEXT",
            "MESSAGE"
        ]
    );
    let row = table.lines().nth(1).unwrap();
    assert!(
        row.contains("small") && row.contains("True") && row.contains("v1"),
        "{table}"
    );
    for output in ["json", "yaml"] {
        let record = text(&shop.verb(&["status", "-o", output]).stdout);
        assert!(
            record.contains("searchop.io/v1alpha1") && record.contains("RankingModel"),
            "{record}"
        );
    }
}

fn changed_spec_under_load(shop: &Shop) {
    let load = Load::start(shop.address());
    shop.write(25, "0");
    assert_eq!(outcome(shop, 2), "Promoted");
    answers_with(shop, 2);
    // The old ranker is gone, too.
    std::thread::sleep(Duration::from_millis(500));
    let seen = load.stop();
    assert_eq!(
        seen.failures,
        Vec::<String>::new(),
        "of {} requests",
        seen.answers
    );
    assert_eq!(seen.versions.iter().copied().collect::<Vec<_>>(), [1, 2]);
    assert!(seen.answers > 100, "{}", seen.answers);
}

fn what_was_served_can_be_computed_again(shop: &Shop) {
    let replay = Command::new(env!("CARGO_BIN_EXE_searchop"))
        .arg("replay")
        .arg(shop.state().join("volumes/records/features"))
        .arg("--dir")
        .arg(shop.state())
        .output()
        .unwrap();
    assert_eq!(replay.status.code(), Some(0), "{}", text(&replay.stderr));
    let found = text(&replay.stdout);
    assert!(found.contains("rows: 100.000 % equal"), "{found}");
}

/// Both versions' tables are there: the older one served before.
fn two_versions_are_compared(shop: &Shop) {
    let diff = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_searchop"));
        command
            .arg("diff")
            .args(arguments)
            .arg("--dir")
            .arg(shop.state());
        command.output().unwrap()
    };
    let log = shop.state().join("volumes/records/features");
    let record = fs::read_dir(&log).unwrap().next().unwrap().unwrap().path();
    let record = fs::read_to_string(record).unwrap();
    let record: serde_json::Value = serde_json::from_str(record.lines().next().unwrap()).unwrap();
    let query = record["user_query"].as_str().unwrap();
    let id = record["candidates"][0]["id"].as_str().unwrap();
    let asked: [&[&str]; 2] = [&["--log", log.to_str().unwrap()], &["--ids", id]];
    for from in asked {
        let arguments = [&["v1", "v2", "--query", query, "-o", "json"], from].concat();
        let found = diff(&arguments);
        assert_eq!(found.status.code(), Some(0), "{}", text(&found.stderr));
        let found: serde_json::Value = serde_json::from_slice(&found.stdout).unwrap();
        for (side, version) in [("before", 1), ("after", 2)] {
            assert_eq!(found[side]["version"], version);
            assert_eq!(found["items"][0][side]["place"], 1, "{found}");
        }
    }
    let unknown = diff(&["v1", "v9", "--query", query, "--ids", id]);
    assert_eq!(unknown.status.code(), Some(5));
    let words = text(&unknown.stderr);
    assert!(
        words.contains("v9 is not known; known are v2, v1"),
        "{words}"
    );
}

fn invalid_edit(shop: &Shop) {
    let generation = shop.model()["metadata"]["generation"].clone();
    let valid = fs::read_to_string(shop.path().join("model.yaml")).unwrap();
    shop.write_text(&valid.replace("numIterations", "numIteration"));
    let message =
        "spec.training.parameters.numIteration: unknown field; did you mean \"numIterations\"?";
    shop.until("message", || shop.log().contains(message).then_some(()));
    assert_eq!(shop.model()["metadata"]["generation"], generation);
    shop.write_text(&valid);
}

fn same_again(shop: &Shop) {
    let retrain = shop.verb(&["retrain", "--wait", "--timeout", "60s"]);
    assert_eq!(retrain.status.code(), Some(0), "{}", text(&retrain.stderr));
    assert!(
        text(&retrain.stderr).contains("Unchanged"),
        "{}",
        text(&retrain.stderr)
    );
    assert_eq!(version(shop), Some(2));
}

fn rejected_edit(shop: &Shop) {
    shop.write(30, "1");
    assert_eq!(outcome(shop, 4), "Rejected");
    assert_eq!(version(shop), Some(2), "what serves keeps serving");
    shop.until("Ready=False", || {
        (shop.condition("Ready")["status"] == "False").then_some(())
    });
    assert_eq!(shop.condition("Serving")["status"], "True");
    for words in ["✗ floor", "NDCG@10 at least 1"] {
        shop.until(words, || shop.log().contains(words).then_some(()));
    }
    shop.write(25, "0");
    shop.until("Ready=True", || {
        (shop.condition("Ready")["status"] == "True").then_some(())
    });
}

/// The served model's tables, from data that are still those of this morning.
fn refreshed_tables(shop: &Shop) {
    let before = shop.model();
    let refresh = shop.verb(&["retrain", "--refresh-tables", "--wait", "--timeout", "60s"]);
    let words = text(&refresh.stderr);
    assert_eq!(refresh.status.code(), Some(0), "{words}\n{}", shop.log());
    let after = shop.model();
    let status = &after["status"];
    assert_eq!(status["refresh"]["version"], 2, "{status}");
    let outcome = status["refresh"]["outcome"].as_str().unwrap();
    // Around midnight a day may have been added.
    assert!(["Unchanged", "Refreshed"].contains(&outcome), "{status}");
    assert_eq!(
        status["served"]["digest"],
        before["status"]["served"]["digest"]
    );
    assert_eq!(
        status["run"], before["status"]["run"],
        "nothing was trained"
    );
}

/// Nothing to do means nothing written.
fn at_rest(shop: &Shop) {
    let written = || {
        fs::metadata(shop.state().join("model.json"))
            .unwrap()
            .modified()
            .unwrap()
    };
    let before = written();
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(written(), before, "{}", shop.log());
}

/// Whoever asks while there is no ranker waits for the next one.
fn ranker_dies(shop: &Shop) {
    let rankers = fs::read_dir(shop.state().join("children")).unwrap();
    let pids = rankers
        .map(|file| fs::read_to_string(file.unwrap().path()).unwrap())
        .collect::<Vec<_>>();
    let [pid] = &pids[..] else { panic!("{pids:?}") };
    assert!(
        Command::new("kill")
            .args(["-KILL", pid])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(ask(shop.address()).unwrap()["version"], 2);
    assert!(
        shop.log()
            .contains("the ranker of v2 ended, signal 9 (SIGKILL)"),
        "{}",
        shop.log()
    );
}

fn restart_serves_without_training(shop: &mut Shop) {
    shop.signal("-INT");
    assert_eq!(shop.ended().code(), Some(0), "{}", shop.log());
    assert_eq!(shop.processes(), Vec::<String>::new());
    let status = shop.verb(&["status"]);
    assert!(
        text(&status.stderr).contains("this is what was stored"),
        "{}",
        text(&status.stderr)
    );
    let retrain = shop.verb(&["retrain"]);
    assert_eq!(retrain.status.code(), Some(5), "{}", text(&retrain.stderr));
    let run = shop.model()["status"]["run"].clone();

    let begin = Instant::now();
    let address = shop.address();
    shop.up();
    shop.until("another address", || {
        (shop.address() != address).then_some(())
    });
    answers_with(shop, 2);
    let took = begin.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert_eq!(shop.model()["status"]["run"], run, "nothing was trained");
}

fn killed_and_started_again(shop: &mut Shop) {
    let address = shop.address();
    shop.signal("-KILL");
    shop.ended();
    assert_eq!(shop.processes().len(), 1, "the ranker outlives its parent");
    shop.up();
    shop.until("another address", || {
        (shop.address() != address).then_some(())
    });
    answers_with(shop, 2);
    assert!(
        shop.log().contains("of an earlier run that was killed"),
        "{}",
        shop.log()
    );
    let rankers = shop
        .processes()
        .iter()
        .filter(|process| process.contains("--metrics-listen"))
        .count();
    assert_eq!(rankers, 1, "{:?}", shop.processes());
}

fn down(shop: &mut Shop) {
    let down = shop.verb(&["down"]);
    assert_eq!(down.status.code(), Some(0), "{}", text(&down.stderr));
    assert_eq!(shop.ended().code(), Some(0));
    assert_eq!(shop.processes(), Vec::<String>::new());
}

#[test]
fn one_process_a_folder_and_130_before_anything_served() {
    let Some(programs) = programs() else { return };
    let mut shop = Shop::new(programs.clone());
    shop.write(2000, "0");
    shop.up();
    shop.until("a trainer", || {
        (!shop.processes().is_empty() && shop.log().contains("RunStarted")).then_some(())
    });
    let mut second = Shop::new(programs);
    fs::copy(
        shop.path().join("model.yaml"),
        second.path().join("model.yaml"),
    )
    .unwrap();
    std::os::unix::fs::symlink(shop.state(), second.state()).unwrap();
    second.up();
    assert_eq!(second.ended().code(), Some(1));
    assert!(
        second.log().contains("is in use by process"),
        "{}",
        second.log()
    );
    shop.signal("-INT");
    assert_eq!(shop.ended().code(), Some(130), "{}", shop.log());
    assert_eq!(shop.processes(), Vec::<String>::new());
    // The run goes on where it was: the same version.
    shop.up();
    shop.until("the trainer again", || {
        fs::read_dir(shop.state().join("children"))
            .ok()?
            .next()?
            .ok()
    });
    assert_eq!(shop.model()["status"]["run"]["version"], 1);
    shop.signal("-TERM");
    assert_eq!(shop.ended().code(), Some(0));
}

#[test]
fn a_damaged_version_never_answers_and_the_old_one_goes_on() {
    let Some(programs) = programs() else { return };
    let mut shop = Shop::new(programs);
    let model = shop.state().join("artifacts/models");
    shop.wrap_ranker(&format!(
        "[ $SEARCHOP_VERSION = 2 ] && echo >> {}/${{SEARCHOP_DIGEST#sha256:}}/model.bst",
        model.display()
    ));
    shop.write(20, "0");
    shop.up();
    answers_with(&shop, 1);
    let load = Load::start(shop.address());
    shop.write(25, "0");
    assert_eq!(outcome(&shop, 2), "Failed");
    assert_eq!(shop.model()["status"]["run"]["reason"], "RolloutFailed");
    let message = shop.condition("Ready")["message"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    assert!(message.contains("model.bst"), "{message}\n{}", shop.log());
    let seen = load.stop();
    assert_eq!(seen.failures, Vec::<String>::new());
    assert_eq!(seen.versions.into_iter().collect::<Vec<_>>(), [1]);
    assert_eq!(shop.verb(&["down"]).status.code(), Some(0));
}

#[test]
fn a_tick_that_was_missed_meanwhile_asks_at_the_next_start() {
    let Some(programs) = programs() else { return };
    let mut shop = Shop::new(programs);
    let schedule = "---\napiVersion: searchop.io/v1alpha1\nkind: RetrainSchedule\nmetadata: {name: often}\n\
                    spec: {modelRef: {name: small}, schedule: \"* * * * *\"}\n";
    shop.write_text(&(Shop::text(20, "0") + schedule));
    shop.up();
    assert_eq!(outcome(&shop, 1), "Promoted");
    shop.until("the next tick", || {
        shop.model()["status"]["nextRetrainTime"]
            .as_str()
            .map(str::to_owned)
    });
    assert_eq!(shop.verb(&["down"]).status.code(), Some(0));
    shop.ended();
    // As if it had been down for two minutes.
    let file = shop.state().join("schedules/often.json");
    let mut stored: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let anchor: jiff::Timestamp = stored["status"]["anchorTime"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    stored["status"]["anchorTime"] = (anchor - jiff::SignedDuration::from_secs(120))
        .to_string()
        .into();
    fs::write(&file, stored.to_string()).unwrap();
    shop.up();
    shop.until("a scheduled run", || {
        let model = shop.model();
        let history = model["status"]["history"].as_array()?.clone();
        history
            .iter()
            .any(|run| run["trigger"] == "Schedule" && run["outcome"] == "Unchanged")
            .then_some(())
    });
    let stored: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert_eq!(
        stored["status"]["recent"][0]["outcome"], "Requested",
        "{stored:#}"
    );
    assert_eq!(shop.verb(&["down"]).status.code(), Some(0));
}
