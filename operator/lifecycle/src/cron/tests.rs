mod oracle;

use super::*;
use crate::{ObservedModel, ObservedSchedule, plan_schedule, testing::at};

fn cron(text: &str) -> Cron {
    text.parse()
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap()
}

/// The first ticks after an instant.
fn ticks(text: &str, zone_name: &str, after: &str, count: usize) -> Vec<String> {
    let (cron, zone) = (cron(text), zone(zone_name));
    std::iter::successors(cron.next_after(&zone, after.parse().unwrap()), |tick| {
        cron.next_after(&zone, *tick)
    })
    .take(count)
    .map(|tick| tick.to_string())
    .collect()
}

#[test]
fn what_cannot_be_read_names_the_field() {
    for (text, words) in [
        ("", "five fields"),
        ("* * * *", "five fields"),
        ("* * * * * *", "five fields"),
        ("*  * * * *", "five fields"),
        ("@reboot", "five fields"),
        ("60 * * * *", "minute \"60\" is not *, a value of 0-59"),
        ("-1 * * * *", "minute \"-1\""),
        ("+1 * * * *", "minute \"+1\""),
        ("5/10 * * * *", "minute \"5/10\""),
        ("*/0 * * * *", "minute \"*/0\""),
        ("*/100 * * * *", "minute \"*/100\""),
        ("1,,2 * * * *", "minute \"\""),
        ("* 24 * * *", "hour \"24\""),
        ("* * 0 * *", "day of month \"0\""),
        ("* * 32 * *", "day of month \"32\""),
        ("* * * 13 *", "month \"13\""),
        ("* * * foo *", "month \"foo\""),
        ("* * * * 8", "day of week \"8\""),
        ("* * * * L", "day of week \"L\""),
        ("5-2 * * * *", "minute \"5-2\" ends before it starts"),
        (
            "* * * * sat-sun",
            "day of week \"sat-sun\" ends before it starts",
        ),
    ] {
        let error = text.parse::<Cron>().unwrap_err().to_string();
        assert!(error.contains(words), "{text}: {error}");
    }
}

#[test]
fn names_ranges_lists_and_steps() {
    assert_eq!(cron("0 2 * * 0"), cron("00 02 * * 7"));
    assert_eq!(cron("0 2 * JAN,feb SUN"), cron("0 2 * 1-2 0"));
    assert_eq!(cron("*/20 * * * *"), cron("0,20,40 * * * *"));
    assert_eq!(cron("10-50/20 * * * *"), cron("10,30,50 * * * *"));
    assert_eq!(cron("0 0 * * 5-7"), cron("0 0 * * 0,5,6"));
    assert_eq!(cron("0 0 * * mon-fri"), cron("0 0 * * 1-5"));
}

#[test]
fn plain_days() {
    assert_eq!(
        ticks("0 2 * * 0", "UTC", "2026-11-24T09:30:00Z", 2),
        ["2026-11-29T02:00:00Z", "2026-12-06T02:00:00Z"]
    );
    // A tick is not its own successor, and a fraction of a minute changes nothing.
    assert_eq!(
        ticks("* * * * *", "UTC", "2026-11-24T09:30:00Z", 1),
        ["2026-11-24T09:31:00Z"]
    );
    assert_eq!(
        ticks("* * * * *", "UTC", "2026-11-24T09:30:59.5Z", 1),
        ["2026-11-24T09:31:00Z"]
    );
    // Both day fields restricted: either is enough.
    assert_eq!(
        ticks("0 0 13 * fri", "UTC", "2026-11-01T00:00:00Z", 3),
        [
            "2026-11-06T00:00:00Z",
            "2026-11-13T00:00:00Z",
            "2026-11-20T00:00:00Z"
        ]
    );
    // A field that starts with * does not restrict: both must fit.
    assert_eq!(
        ticks("0 0 */2 * fri", "UTC", "2026-11-01T00:00:00Z", 2),
        ["2026-11-13T00:00:00Z", "2026-11-27T00:00:00Z"]
    );
    assert_eq!(
        ticks("0 0 29 2 *", "UTC", "2096-03-01T00:00:00Z", 1),
        ["2104-02-29T00:00:00Z"],
        "2100 is no leap year"
    );
    assert_eq!(
        ticks("0 0 30 2 *", "UTC", "2026-11-01T00:00:00Z", 1),
        [""; 0]
    );
    assert_eq!(
        cron("0 0 31 4,6 *").newest_until(&TimeZone::UTC, at("2026-11-01T00:00:00Z")),
        None
    );
}

#[test]
fn a_skipped_local_time_happens_after_the_jump() {
    // Berlin, 2027-03-28: 02:00 → 03:00.
    assert_eq!(
        ticks("30 2 * * *", "Europe/Berlin", "2027-03-27T12:00:00Z", 2),
        ["2027-03-28T01:00:00Z", "2027-03-29T00:30:00Z"]
    );
    assert_eq!(
        ticks("*/30 1-3 * * *", "Europe/Berlin", "2027-03-28T00:00:00Z", 4),
        [
            "2027-03-28T00:30:00Z",
            "2027-03-28T01:00:00Z",
            "2027-03-28T01:30:00Z",
            "2027-03-28T23:00:00Z"
        ]
    );
    // Lord Howe jumps by half an hour: 02:00 → 02:30.
    assert_eq!(
        ticks(
            "15 2 * * *",
            "Australia/Lord_Howe",
            "2026-10-03T00:00:00Z",
            1
        ),
        ["2026-10-03T15:30:00Z"]
    );
    // Apia left out a whole day.
    assert_eq!(
        ticks("0 12 30 12 *", "Pacific/Apia", "2011-12-01T00:00:00Z", 1),
        ["2011-12-30T10:00:00Z"]
    );
}

#[test]
fn complaint_7_a_repeated_local_time_happens_once_the_first_time() {
    // Berlin, 2026-10-25: 03:00 → 02:00.
    assert_eq!(
        ticks("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 2),
        ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]
    );
    // From within the repeated hour, all of it has happened.
    assert_eq!(
        ticks("*/30 2 * * *", "Europe/Berlin", "2026-10-25T01:10:00Z", 1),
        ["2026-10-26T01:00:00Z"]
    );
    let newest = cron("* * * * *").newest_until(&zone("Europe/Berlin"), at("2026-10-25T01:10:00Z"));
    assert_eq!(newest, Some(at("2026-10-25T00:59:00Z")));
}

#[test]
fn the_newest_tick_is_found_over_years_in_which_there_was_none() {
    let zone = zone("Europe/Berlin");
    let newest = |text: &str, now: &str| cron(text).newest_until(&zone, at(now));
    let leap_day = newest("0 0 29 2 *", "2104-02-28T22:59:59Z");
    assert_eq!(leap_day, Some(at("2096-02-28T23:00:00Z")), "2100 has none");
    assert_eq!(newest("0 0 30 2 *", "2036-11-24T09:30:00Z"), None);
}

#[test]
fn an_oracle_that_walks_the_minutes_agrees() {
    let mut random = oracle::Random(0x5eed_1234_5678_9abc);
    let zones = oracle::zones();
    for _ in 0..800 {
        let case = oracle::Case::draw(&mut random, &zones);
        case.compare(&mut random)
            .unwrap_or_else(|error| panic!("{error}"));
    }
}
