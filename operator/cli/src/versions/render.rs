use jiff::{SignedDuration, Timestamp};

use super::timeline::{Stretch, Version};
use crate::{
    local::render::{age, table, text},
    terminal::Paint,
};

/// A row a version, newest first.
pub fn table_of(versions: &[Version]) -> String {
    let mut table = table(&[
        "VERSION",
        "SERVED",
        "UNTIL",
        "OUTCOME",
        "TRIGGER",
        "METRIC",
        "TRAINED ON",
        "WHY",
    ]);
    for version in versions {
        let mut stretches = version.served.iter().rev();
        let newest = stretches.next();
        table.add_row(row(version, newest));
        for older in stretches {
            let mut again = vec![String::new(); 8];
            [again[1], again[2]] = span(Some(older));
            table.add_row(again);
        }
    }
    text(&mut table)
}

fn row(version: &Version, served: Option<&Stretch>) -> Vec<String> {
    let [from, until] = span(served);
    vec![
        format!("v{}", version.version),
        from,
        until,
        or_dash(version.outcome.map(|outcome| outcome.as_str())),
        or_dash(version.trigger.map(|trigger| trigger.as_str())),
        or_dash(version.metric.as_deref()),
        trained_on(version),
        version.why.clone().unwrap_or_default(),
    ]
}

fn or_dash(text: Option<&str>) -> String {
    text.unwrap_or("-").to_owned()
}

/// From and until: `2026-11-22 02:14Z`, or `~2026-10-04` where only the day is known.
fn span(stretch: Option<&Stretch>) -> [String; 2] {
    let Some(stretch) = stretch else {
        return ["-".to_owned(), "-".to_owned()];
    };
    let time = |time: Timestamp| match stretch.about {
        true => time.strftime("~%Y-%m-%d").to_string(),
        false => time.strftime("%Y-%m-%d %H:%MZ").to_string(),
    };
    let until = stretch.until.map_or("now".to_owned(), time);
    [time(stretch.from), until]
}

fn trained_on(version: &Version) -> String {
    match (&version.trained_on, version.trained_through) {
        (Some(rows), _) => format!("{} to {}, {} rows", rows.from, rows.to, grouped(rows.rows)),
        (None, Some(through)) => {
            let within = through - SignedDuration::from_nanos(1);
            format!("days to {}", within.strftime("%Y-%m-%d"))
        }
        (None, None) => "-".to_owned(),
    }
}

/// `1,234,567`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// All about each version, for the few that served at one time.
pub fn pages(versions: &[Version], now: Timestamp, paint: Paint) -> String {
    let pages = versions.iter().map(|version| page(version, now, paint));
    pages.collect::<Vec<_>>().join("\n")
}

fn page(version: &Version, now: Timestamp, paint: Paint) -> String {
    let mut lines = Vec::new();
    for stretch in &version.served {
        let [from, until] = span(Some(stretch));
        let long = age(stretch.from, stretch.until.unwrap_or(now));
        lines.push(("served", format!("{from} to {until}, for {long}")));
    }
    let started = version.trigger.map(|trigger| trigger.as_str());
    let outcome = version.outcome.map(|outcome| outcome.as_str());
    let why: Vec<&str> = [started, outcome, version.why.as_deref()]
        .into_iter()
        .flatten()
        .collect();
    lines.push(("why", why.join("; ")));
    lines.push(("metric", or_dash(version.metric.as_deref())));
    lines.push(("trained on", trained_on(version)));
    if let Some(rows) = &version.trained_on {
        let (lists, queries) = (grouped(rows.lists), grouped(rows.queries));
        lines.push(("", format!("{lists} lists of {queries} queries")));
    }
    lines.push(("model", or_dash(version.digest.as_deref())));
    let mut page = paint.bold(&format!("v{}", version.version)) + "\n";
    for (title, line) in lines {
        page += format!("  {title:<11}{line}").trim_end();
        page.push('\n');
    }
    page
}
