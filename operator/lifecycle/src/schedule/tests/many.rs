//! A schedule that selects its models: turns, by hand and over random worlds.

use std::collections::BTreeSet;

use searchop_api::ModelSelector;

use super::*;

/// A schedule and what its requests set going.
struct World {
    seen: ObservedSchedule,
    asked: Vec<String>,
    notes: Vec<String>,
}

impl World {
    fn new(names: &str, parallelism: i32) -> Self {
        let mut seen = hourly("2026-11-24T09:30:00Z");
        seen.spec.model_ref = None;
        seen.spec.model_selector = Some(ModelSelector::default());
        seen.spec.parallelism = parallelism;
        // In no order, as a server may list them.
        seen.models = names.chars().rev().map(idle).collect();
        let mut world = Self {
            seen,
            asked: Vec::new(),
            notes: Vec::new(),
        };
        world.look("2026-11-24T09:30:00Z");
        world
    }

    /// Planned, requests written, status stored; what was asked this time.
    fn look(&mut self, now: &str) -> String {
        self.look_at(at(now), true)
    }

    fn look_at(&mut self, now: Timestamp, stored: bool) -> String {
        self.seen.now = now;
        let plan = plan_schedule(&self.seen);
        for asking in &plan.requests {
            let model = self.model(&asking.model);
            model.request = Some(asking.request.clone());
            model.at_work = true;
            self.asked.push(asking.model.clone());
        }
        if stored {
            self.seen.status = plan.status.clone();
            let again = plan_schedule(&self.seen);
            assert_eq!(
                (again.requests, again.notes),
                (vec![], vec![]),
                "no fixed point"
            );
            assert_eq!(again.status, plan.status, "no fixed point");
            self.notes
                .extend(plan.notes.into_iter().map(|note| note.message));
        }
        plan.requests
            .into_iter()
            .map(|asking| asking.model)
            .collect()
    }

    fn model(&mut self, name: &str) -> &mut ObservedModel {
        let mut models = self.seen.models.iter_mut();
        models.find(|model| model.name == name).unwrap()
    }

    /// Its run is under way.
    fn begins(&mut self, name: &str) {
        let model = self.model(name);
        model.last_handled = model.request.clone();
        (model.active, model.at_work) = (true, true);
    }

    /// Its run has ended.
    fn ends(&mut self, name: &str) {
        self.begins(name);
        let model = self.model(name);
        (model.active, model.at_work) = (false, false);
    }

    /// `Requested 2/1/0`: asked, skipped, waiting at the newest tick.
    fn newest(&self) -> String {
        told(&self.seen.status.recent[0])
    }
}

fn told(tick: &TickRecord) -> String {
    let count = |count: Option<i32>| count.map_or("-".to_owned(), |count| count.to_string());
    let [asked, skipped, waiting] = [tick.requested, tick.skipped, tick.waiting].map(count);
    format!("{} {asked}/{skipped}/{waiting}", tick.outcome)
}

fn idle(name: char) -> ObservedModel {
    ObservedModel {
        name: name.to_string(),
        ..ObservedModel::default()
    }
}

#[test]
fn models_are_asked_by_name_as_many_as_may_work_and_the_next_as_those_end() {
    let mut world = World::new("abcd", 2);
    assert_eq!(world.look("2026-11-24T10:00:00Z"), "ab");
    assert_eq!(world.newest(), "Requested 2/0/2");
    world.begins("a");
    world.begins("b");
    assert_eq!(world.look("2026-11-24T10:10:00Z"), "");
    world.ends("b");
    assert_eq!(world.look("2026-11-24T10:20:00Z"), "c");
    assert_eq!(world.newest(), "Requested 3/0/1");
    // On its way to serve: no trainer is needed for it.
    world.model("a").at_work = false;
    assert_eq!(world.look("2026-11-24T10:30:00Z"), "d");
    assert_eq!(world.newest(), "Requested 4/0/0");
    assert_eq!(world.seen.status.queue, None);
    assert_eq!(
        world.notes,
        [
            "asked a, b for the retrain of 2026-11-24T10:00:00Z",
            "asked c for the retrain of 2026-11-24T10:00:00Z",
            "asked d for the retrain of 2026-11-24T10:00:00Z",
        ]
    );
    let hour = "Schedule/hourly/2026-11-24T10:00:00Z";
    let requests = world
        .seen
        .models
        .iter()
        .map(|model| model.request.as_deref());
    assert!(requests.eq([Some(hour); 4]));
}

#[test]
fn a_tick_that_has_begun_goes_on_beyond_the_deadline_and_the_next_one_is_skipped() {
    let mut world = World::new("ab", 1);
    assert_eq!(world.look("2026-11-24T10:00:00Z"), "a");
    world.begins("a");
    assert_eq!(world.look("2026-11-24T11:00:00Z"), "");
    assert_eq!(world.newest(), "QueueActive -/-/-");
    world.ends("a");
    assert_eq!(world.look("2026-11-24T11:30:00Z"), "b");
    let recent: Vec<_> = world.seen.status.recent.iter().map(told).collect();
    assert_eq!(recent, ["QueueActive -/-/-", "Requested 2/0/0"]);
    assert_eq!(
        world.model("b").request.as_deref(),
        Some("Schedule/hourly/2026-11-24T10:00:00Z"),
        "the tick that it is asked for"
    );
    world.ends("b");
    assert_eq!(world.look("2026-11-24T12:00:00Z"), "a");
}

#[test]
fn a_look_that_ends_one_tick_and_begins_the_next_counts_what_it_asked() {
    let mut world = World::new("ab", 1);
    assert_eq!(world.look("2026-11-24T10:00:00Z"), "a");
    world.ends("a");
    assert_eq!(world.look("2026-11-24T11:00:00Z"), "b");
    let recent: Vec<_> = world.seen.status.recent.iter().map(told).collect();
    assert_eq!(recent, ["Waiting 0/0/2", "Requested 2/0/0"]);
    world.ends("b");
    assert_eq!(world.look("2026-11-24T11:10:00Z"), "a");
}

#[test]
fn with_replace_a_tick_starts_anew_and_stops_what_its_models_run() {
    let mut world = World::new("abc", 1);
    world.seen.spec.concurrency_policy = ConcurrencyPolicy::Replace;
    assert_eq!(world.look("2026-11-24T10:00:00Z"), "a");
    world.begins("a");
    assert_eq!(world.look("2026-11-24T11:00:00Z"), "a");
    assert_eq!(
        world.model("a").request.as_deref(),
        Some("Schedule/hourly!replace/2026-11-24T11:00:00Z")
    );
    let recent: Vec<_> = world.seen.status.recent.iter().map(told).collect();
    assert_eq!(recent, ["Requested 1/0/2", "Requested 1/2/0"]);
    assert!(
        world
            .notes
            .iter()
            .any(|note| note.ends_with("b (Replaced), c (Replaced)"))
    );
}

#[test]
fn a_model_whose_turn_has_come_and_that_cannot_be_asked_holds_nobody_up() {
    let mut world = World::new("abcd", 1);
    world.model("a").suspended = true;
    world.model("b").active = true;
    assert_eq!(world.look("2026-11-24T10:00:00Z"), "c");
    assert_eq!(world.newest(), "Requested 1/2/1");
    assert_eq!(
        world.notes[1],
        "not asked at 2026-11-24T10:00:00Z: a (ModelSuspended), b (RunActive)"
    );
    assert_eq!(world.seen.status.last_skip, None, "the tick asked");
}

#[test]
fn what_somebody_else_asked_counts_too() {
    let mut world = World::new("abc", 1);
    world.model("c").at_work = true;
    assert_eq!(world.look("2026-11-24T10:00:00Z"), "");
    assert_eq!(world.newest(), "Waiting 0/0/3");
    assert_eq!(world.seen.status.last_schedule_time, None);
    world.model("c").at_work = false;
    assert_eq!(world.look("2026-11-24T10:01:00Z"), "a");
}

#[test]
fn models_that_come_and_go_have_their_turn_or_none() {
    let mut world = World::new("bd", 1);
    assert_eq!(world.look("2026-11-24T10:00:00Z"), "b");
    world.seen.models.extend([idle('a'), idle('c')]);
    world.ends("b");
    assert_eq!(
        world.look("2026-11-24T10:05:00Z"),
        "c",
        "a is too late, c is not"
    );
    world.ends("c");
    world.seen.models.retain(|model| model.name != "d");
    assert_eq!(world.look("2026-11-24T10:10:00Z"), "");
    assert_eq!(world.newest(), "Requested 2/0/0");
    let mut world = World::new("", 1);
    assert_eq!(world.look("2026-11-24T10:00:00Z"), "");
    assert_eq!(world.newest(), "NoneSelected -/-/-");
    let plan = plan_schedule(&world.seen);
    assert_eq!(condition(&plan, SCHEDULED), ("False", "NoneSelected"));
}

#[test]
fn an_edit_a_suspension_and_a_blackout_end_what_waits() {
    type Change = fn(&mut RetrainScheduleSpec);
    let cases: [(Change, &str); 4] = [
        (|spec| spec.suspend = true, "Suspended"),
        (|spec| spec.schedule = Some("30 * * * *".into()), "Edited"),
        (
            |spec| {
                let selector = json!({"matchLabels": {"a": "b"}});
                spec.model_selector = Some(from_value(selector).unwrap());
            },
            "Edited",
        ),
        (
            |spec| {
                let sale = json!([{"startTime": "2026-11-24T10:02:00Z", "endTime": "2026-11-25T00:00:00Z"}]);
                spec.blackouts = from_value(sale).unwrap();
            },
            "Blackout",
        ),
    ];
    for (change, reason) in cases {
        let mut world = World::new("abc", 1);
        assert_eq!(world.look("2026-11-24T10:00:00Z"), "a");
        change(&mut world.seen.spec);
        assert_eq!(world.look("2026-11-24T10:05:00Z"), "", "{reason}");
        assert_eq!(world.newest(), "Requested 1/2/0", "{reason}");
        assert_eq!(world.seen.status.queue, None, "{reason}");
        let last = world.notes.last().unwrap();
        assert!(
            last.contains(&format!("b ({reason}), c ({reason})")),
            "{last}"
        );
    }
}

#[test]
fn a_crash_after_the_requests_asks_nobody_twice() {
    let mut world = World::new("abc", 2);
    assert_eq!(world.look_at(at("2026-11-24T10:00:00Z"), false), "ab");
    world.begins("a");
    assert_eq!(world.look("2026-11-24T10:00:09Z"), "");
    assert_eq!(world.newest(), "Requested 2/0/1");
    world.ends("a");
    assert_eq!(world.look("2026-11-24T10:05:00Z"), "c");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn never_more_at_work_than_allowed_and_each_model_once_a_tick(
        steps in prop::collection::vec((0_i64..2400, 0_usize..8, 0_u8..5, any::<bool>()), 1..60),
        parallelism in 1_i32..4,
    ) {
        let mut world = World::new("abcdefgh", parallelism);
        let mut now = world.seen.now;
        let mut asked = BTreeSet::new();
        for (seconds, which, what, stored) in steps {
            now += SignedDuration::from_secs(seconds);
            let name = world.seen.models[which].name.clone();
            match what {
                0 => world.model(&name).suspended ^= true,
                1 if world.model(&name).at_work => world.begins(&name),
                _ => world.ends(&name),
            }
            world.look_at(now, stored);
            for name in std::mem::take(&mut world.asked) {
                let request = world.model(&name).request.clone().unwrap();
                prop_assert!(asked.insert((name, request.clone())), "asked twice: {request}");
            }
            let at_work = world.seen.models.iter().filter(|model| model.at_work).count();
            prop_assert!(at_work <= usize::try_from(parallelism).unwrap(), "{at_work} at work");
        }
    }
}
