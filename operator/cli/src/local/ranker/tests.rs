//! What happens when rankers end, with a shell where the ranker goes. The real ranker takes part in
//! the integration tests.

use super::*;

fn target(version: i32) -> Target {
    let digest = |text: String| Digest::of(text.as_bytes());
    Target {
        version,
        digest: digest(format!("m{version}")),
        tables_digest: digest(format!("t{version}")),
        environment: Environment::new(),
    }
}

fn rankers(dir: &std::path::Path, program: &str) -> Rankers {
    let state = StateDir::at(dir).unwrap();
    drop(state.lock().unwrap());
    let door = FrontDoor::reserve(([127, 0, 0, 1], 0).into()).unwrap();
    Rankers::new(program.into(), "shop".to_owned(), state, door)
}

#[tokio::test]
async fn a_ranker_that_ends_again_and_again_is_stuck_with_its_last_words() {
    let dir = tempfile::tempdir().unwrap();
    // Refuses its options, as a ranker refuses a damaged artifact.
    let mut rankers = rankers(dir.path(), "/bin/ls");
    assert_eq!(rankers.observe(), ObservedServing::default());
    rankers.serve(target(1));
    let begin = Instant::now();
    let mut news = Vec::new();
    while rankers.observe().stuck.is_none() {
        assert!(begin.elapsed() < Duration::from_secs(20), "{news:?}");
        news.extend(rankers.poll().unwrap());
        std::thread::sleep(Duration::from_millis(5));
    }
    let seen = rankers.observe();
    assert_eq!((seen.settled, seen.ready_pods), (false, 0));
    assert_eq!(
        seen.target,
        Some((target(1).digest, target(1).tables_digest))
    );
    let stuck = seen.stuck.unwrap();
    assert!(
        stuck.starts_with("the ranker of v1 ended 4 times, exit code 2: "),
        "{stuck}"
    );
    assert_eq!(news.len(), 4);
    assert!(news[0].ends_with("; starting it again"), "{news:?}");
    assert!(
        begin.elapsed() > Duration::from_secs(3),
        "each time after a longer pause"
    );
}

#[tokio::test]
async fn another_target_takes_the_place_of_one_that_never_answered() {
    let dir = tempfile::tempdir().unwrap();
    let mut rankers = rankers(dir.path(), "/bin/ls");
    rankers.serve(target(1));
    rankers.serve(target(1));
    assert_eq!(rankers.started, 0, "starting is up to poll");
    rankers.poll().unwrap();
    rankers.serve(target(2));
    assert_eq!(
        rankers.observe().target,
        Some((target(2).digest, target(2).tables_digest))
    );
    rankers.stop();
    let begin = Instant::now();
    while !rankers.stopped() {
        assert!(begin.elapsed() < Duration::from_secs(5));
    }
    assert_eq!(rankers.observe(), ObservedServing::default());
}

#[tokio::test]
async fn a_crash_long_after_the_start_is_no_failed_rollout() {
    let long_ago = Instant::now()
        .checked_sub(READY_DEADLINE + Duration::from_secs(1))
        .unwrap();
    for ready in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let mut rankers = rankers(dir.path(), "/bin/ls");
        rankers.serve(target(1));
        rankers.poll().unwrap();
        let slot = rankers.next.as_mut().unwrap();
        slot.since = long_ago;
        slot.process.as_mut().unwrap().ready = ready;
        let begin = Instant::now();
        while rankers.next.as_ref().unwrap().process.is_some() {
            assert!(begin.elapsed() < Duration::from_secs(20));
            let slot = rankers.next.as_mut().unwrap();
            let running = slot.process.as_mut().unwrap();
            if running.process.ended().is_some() {
                rankers.poll().unwrap();
            }
        }
        assert_eq!(rankers.observe().stuck.is_none(), ready);
    }
}
