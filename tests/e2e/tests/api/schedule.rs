//! A schedule asks once a tick, and says what came of each.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use searchop_api::{Outcome, RetrainSchedule};
use searchop_e2e::{
    driver::{End, report},
    kubectl::{apply_ok, kubectl_ok},
    models::{await_condition, await_outcome, get, merged, small_model},
    wait::eventually,
};
use serde_json::json;

use crate::{SOON, Scene};

/// Longer than a minute: the tick that comes meanwhile must be skipped.
const SLOW: Duration = Duration::from_secs(70);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_minute_gives_one_retrain_a_tick_without_overlap_until_it_is_suspended() {
    let slow_since = Mutex::new(None);
    let scene = Scene::with("schedule", move |job| {
        if job.version == 2 {
            let since = *slow_since.lock().unwrap().get_or_insert_with(Instant::now);
            if since.elapsed() < SLOW {
                return End::StillRunning;
            }
        }
        let name = format!("v{}", job.version);
        End::Report(Box::new(report(job, &name, 0.7, 0.1)))
    })
    .await;
    let namespace = &scene.namespace;
    apply_ok(&namespace.name, &small_model("products"));
    await_condition(namespace, "products", ("Ready", "True"), SOON).await;
    let schedule = json!({
        "apiVersion": "searchop.io/v1alpha1",
        "kind": "RetrainSchedule",
        "metadata": {"name": "minutely"},
        "spec": {"modelRef": {"name": "products"}, "schedule": "* * * * *"}
    });
    apply_ok(&namespace.name, &schedule);
    for version in [2, 3] {
        let limit = SLOW + Duration::from_secs(75);
        let (outcome, status) = await_outcome(namespace, "products", version, limit).await;
        assert_eq!(outcome, Outcome::Promoted);
        assert_eq!(status.history[0].trigger.as_str(), "Schedule");
        assert!(status.next_retrain_time.is_some());
    }
    let schedules = namespace.api::<RetrainSchedule>();
    let status = schedules.get("minutely").await.unwrap().status.unwrap();
    let ticks: Vec<_> = status
        .recent
        .iter()
        .filter(|tick| tick.outcome == "Requested")
        .map(|tick| tick.time.0)
        .collect();
    assert!(ticks.len() >= 2, "{:?}", status.recent);
    assert!(
        ticks
            .windows(2)
            .all(|pair| pair[0].as_second() - pair[1].as_second() >= 60),
        "{ticks:?}"
    );
    let skipped = status.recent.iter().any(|tick| tick.outcome == "RunActive");
    assert!(
        skipped,
        "the tick during a run is not told: {:?}",
        status.recent
    );
    assert_eq!(scene.trainings(), 1 + ticks.len(), "one retrain a tick");
    kubectl_ok(&[
        "patch",
        "retrainschedule/minutely",
        "-n",
        &namespace.name,
        "--type=merge",
        "-p",
        r#"{"spec":{"suspend":true}}"#,
    ]);
    eventually("the next tick is gone", SOON, || async {
        let status = schedules.get("minutely").await.unwrap().status.unwrap();
        if status.next_schedule_time.is_none() {
            Ok(())
        } else {
            Err(format!("{:?}", status.next_schedule_time))
        }
    })
    .await;
    let before = scene.trainings();
    tokio::time::sleep(Duration::from_secs(65)).await;
    assert_eq!(scene.trainings(), before, "a suspended schedule asked");
    assert_eq!(
        get(namespace, "products")
            .await
            .status
            .unwrap()
            .next_retrain_time,
        None
    );
    scene.namespace.delete().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn models_with_a_label_are_asked_one_after_the_other() {
    let may_end = Arc::new(AtomicBool::new(false));
    let gate = may_end.clone();
    let scene = Scene::with("selector", move |job| {
        if job.version == 2 && !gate.load(Ordering::SeqCst) {
            return End::StillRunning;
        }
        let name = format!("v{}", job.version);
        End::Report(Box::new(report(job, &name, 0.7, 0.1)))
    })
    .await;
    let namespace = &scene.namespace;
    for (name, team) in [("alpha", "search"), ("beta", "search"), ("gamma", "ads")] {
        let labels = json!({"metadata": {"labels": {"team": team}}});
        apply_ok(&namespace.name, &merged(small_model(name), &labels));
    }
    for name in ["alpha", "beta", "gamma"] {
        await_condition(namespace, name, ("Ready", "True"), SOON).await;
    }
    // Far enough apart that the queue is done before the next tick.
    let minute = (jiff::Timestamp::now() + jiff::SignedDuration::from_secs(75))
        .strftime("%-M %-H * * *")
        .to_string();
    let schedule = json!({
        "apiVersion": "searchop.io/v1alpha1",
        "kind": "RetrainSchedule",
        "metadata": {"name": "all"},
        "spec": {
            "modelSelector": {"matchLabels": {"team": "search"}},
            "parallelism": 1,
            "schedule": minute
        }
    });
    apply_ok(&namespace.name, &schedule);
    let schedules = namespace.api::<RetrainSchedule>();
    let counts = |requested: i32, waiting: i32| {
        let schedules = schedules.clone();
        move || {
            let schedules = schedules.clone();
            async move {
                let status = schedules.get("all").await.unwrap().status;
                let recent = status.unwrap_or_default().recent;
                let counted = |tick: &searchop_api::TickRecord| {
                    (tick.requested, tick.waiting) == (Some(requested), Some(waiting))
                };
                match recent.first().is_some_and(counted) {
                    true => Ok(()),
                    false => Err(format!("{recent:?}")),
                }
            }
        }
    };
    let limit = Duration::from_secs(150);
    eventually("the first is asked", limit, counts(1, 1)).await;
    let version = |name: &'static str| async move {
        let status = get(namespace, name).await.status.unwrap_or_default();
        status.run.map(|run| run.version)
    };
    eventually("the first works", SOON, || async {
        match version("alpha").await {
            Some(2) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    assert_eq!(version("beta").await, Some(1), "its turn has not come");
    assert!(
        get(namespace, "beta")
            .await
            .status
            .unwrap()
            .next_retrain_time
            .is_some()
    );
    may_end.store(true, Ordering::SeqCst);
    eventually("the second is asked", SOON, counts(2, 0)).await;
    for name in ["alpha", "beta"] {
        let (outcome, status) = await_outcome(namespace, name, 2, SOON).await;
        assert_eq!(outcome, Outcome::Promoted);
        assert_eq!(status.history[0].trigger.as_str(), "Schedule");
    }
    let gamma = get(namespace, "gamma").await.status.unwrap();
    assert_eq!(
        (gamma.run.map(|run| run.version), gamma.next_retrain_time),
        (Some(1), None)
    );
    scene.namespace.delete().await;
}
