//! Real requests, counted by a real ranker, that come to be unlike the first ones.

use std::{
    net::SocketAddr,
    process::Output,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, SystemTime},
};

use serde_json::{Value, json};

use crate::{
    client::ask_for,
    shop::{Shop, programs},
};

const PRODUCTS: u64 = 500;

/// Windows of a second in place of days, and a schedule without ticks.
fn manifest() -> String {
    Shop::text(20, "0")
        + "  drift: {referenceRequests: 600, minRequests: 300, windowSeconds: 1}\n---\n\
           apiVersion: searchop.io/v1alpha1\nkind: RetrainSchedule\nmetadata: {name: sooner}\n\
           spec: {modelRef: {name: small}, onDrift: {cooldownSeconds: 3600, maxPerWeek: 1}}\n"
}

/// Asks without a pause: for products of the catalogue, or for ones that nobody has seen.
struct Shoppers {
    shifted: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Shoppers {
    fn start(address: SocketAddr) -> Self {
        let (shifted, stop) = <(Arc<AtomicBool>, Arc<AtomicBool>)>::default();
        let (moved, over) = (Arc::clone(&shifted), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            let mut number = 0;
            while !over.load(Ordering::Relaxed) {
                number += 1;
                ask_for(address, body(number, moved.load(Ordering::Relaxed))).unwrap();
            }
        });
        Self {
            shifted,
            stop,
            thread,
        }
    }

    fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
    }
}

/// Ten products each, another ten each time. The shop has one new product every two days; those of
/// the middle are neither new nor about to go.
fn body(number: u64, shifted: bool) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let end = now.unwrap().as_secs() / 86_400 * PRODUCTS / 1000;
    let product = |place: u64| {
        let nth = (number * 10 + place) * 7919 % 300;
        match shifted {
            false => json!({"id": format!("p{:05}", end - 100 - nth)}),
            true => json!({"id": format!("new-{nth}"), "title": "unheard of", "price": 9999.0}),
        }
    };
    let products: Vec<Value> = (0..10).map(product).collect();
    json!({"query": "running shoes", "products": products}).to_string()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn requests_that_drift_ask_for_a_retrain_by_themselves() {
    let Some(programs) = programs() else { return };
    let mut shop = Shop::new(programs);
    shop.write_text(&manifest());
    shop.up();
    let drifted = |wanted: &'static str| {
        shop.until(wanted, || {
            (shop.condition("Drifted")["reason"] == wanted).then_some(())
        });
    };
    drifted("CollectingReference");
    let shoppers = Shoppers::start(shop.address());
    shop.until("a first window", || {
        shop.model()["status"]["drift"]["drift"]
            .as_object()
            .map(drop)
    });
    let model = shop.model();
    assert_eq!(shop.condition("Drifted")["status"], "False", "{model:#}");
    assert_eq!(model["status"]["history"].as_array().unwrap().len(), 1);

    shoppers.shifted.store(true, Ordering::Relaxed);
    drifted("FeaturesDrifted");
    let message = shop.condition("Drifted")["message"].to_string();
    assert!(
        message.contains("PSI") && message.contains("% of the gain"),
        "{message}"
    );
    let ended = shop.until("a run for drift", || {
        let model = shop.model();
        let entry = model["status"]["history"][0].clone();
        (entry["trigger"] == "Drift").then_some(entry)
    });
    let words = stdout(&shop.verb(&["status"]));
    assert!(
        words.contains("FeaturesDrifted") || ended["outcome"] == "Promoted",
        "{words}"
    );
    assert!(shop.log().contains("FeaturesDrifted"), "{}", shop.log());

    let schedule = || shop.schedule("sooner")["status"].clone();
    let recent = |status: &Value, outcome: &str| {
        let all = status["recent"].as_array().cloned().unwrap_or_default();
        all.iter()
            .any(|one| one["outcome"] == outcome && one["trigger"] == "Drift")
    };
    assert!(recent(&schedule(), "Requested"), "{:#}", schedule());
    // The data are those of before, so the same version serves, and requests stay as they are.
    if ended["outcome"] == "Unchanged" {
        shop.until("a window that asks for nothing", || {
            recent(&schedule(), "Cooldown").then_some(())
        });
        assert_eq!(shop.model()["status"]["run"]["version"], 2);
    }
    shoppers.stop();
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(shop.verb(&["down"]).status.code(), Some(0));
}
