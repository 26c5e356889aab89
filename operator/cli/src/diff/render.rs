//! What people see of two rankings.

use super::compare::{Diff, FeatureDiff, Head, ItemDiff, Part};
use crate::{
    cluster::short,
    local::render::{table, text},
    terminal::Paint,
};

/// Places that are shown, of either version.
const SHOWN: usize = 20;
/// Items that are explained where none is named.
const EXPLAINED: usize = 5;
/// Features that are named of each.
const FEATURES: usize = 6;

pub fn json(diff: &Diff) -> String {
    serde_json::to_string_pretty(diff).expect("what is compared is JSON")
}

pub fn page(diff: &Diff, wanted: &[String], paint: Paint) -> String {
    let mut parts = vec![head(diff), places(diff)];
    let explained = explained(diff, wanted);
    for item in explained {
        parts.push(reasons(diff, item, paint));
    }
    parts.join("\n")
}

fn head(diff: &Diff) -> String {
    let side = |head: &Head| {
        format!(
            "v{}: trees {}, tables {} through {}",
            head.version,
            short(head.digest.as_str()),
            short(head.tables_digest.as_str()),
            head.tables_time.strftime("%Y-%m-%d %H:%MZ")
        )
    };
    let moved = diff.items.iter().filter(|item| item.fell() != 0).count();
    let overlap = diff.overlap.unwrap_or(1.0);
    format!(
        "{:?}, {} candidates, {}\n{}\n{}\n{moved} stand elsewhere; the orders overlap by {overlap:.3} (rank-biased)\n",
        diff.query,
        diff.items.len(),
        diff.candidates,
        side(&diff.before),
        side(&diff.after)
    )
}

fn places(diff: &Diff) -> String {
    let (before, after) = (diff.before.version, diff.after.version);
    let header = [
        "ITEM".to_owned(),
        format!("PLACE v{before}"),
        format!("v{after}"),
        "MOVED".to_owned(),
        format!("SCORE v{before}"),
        format!("v{after}"),
        "LARGEST CHANGE".to_owned(),
    ];
    let mut table = table(&header.each_ref().map(String::as_str));
    let shown = |item: &&ItemDiff| item.before.place.min(item.after.place) <= SHOWN;
    for item in diff.items.iter().filter(shown) {
        let largest = item.features.first();
        table.add_row([
            item.id.clone(),
            item.before.place.to_string(),
            item.after.place.to_string(),
            moved(item.fell()),
            score(item.before.score, item.before.in_tables),
            score(item.after.score, item.after.in_tables),
            largest.map_or_else(String::new, |one| {
                format!("{} {}", one.feature, signed(one.change))
            }),
        ]);
    }
    let mut lines = text(&mut table);
    let hidden = diff.items.iter().filter(|item| !shown(item)).count();
    if hidden > 0 {
        lines +=
            &format!("{hidden} more stand below place {SHOWN} in both; -o json has them all\n");
    }
    let unknown = |item: &ItemDiff| !(item.before.in_tables && item.after.in_tables);
    if diff.items.iter().any(unknown) {
        lines += "* the version's tables do not know the item\n";
    }
    lines
}

fn moved(fell: i64) -> String {
    match fell {
        0 => "=".to_owned(),
        1.. => format!("down {fell}"),
        _ => format!("up {}", -fell),
    }
}

fn score(score: f64, in_tables: bool) -> String {
    format!("{score:.4}{}", if in_tables { "" } else { "*" })
}

/// Those that are asked for; else, of the places that are shown, those that moved the most.
fn explained<'a>(diff: &'a Diff, wanted: &[String]) -> Vec<&'a ItemDiff> {
    if !wanted.is_empty() {
        let items = diff.items.iter();
        return items.filter(|item| wanted.contains(&item.id)).collect();
    }
    let moved =
        |item: &&ItemDiff| item.fell() != 0 && item.before.place.min(item.after.place) <= SHOWN;
    let mut items: Vec<&ItemDiff> = diff.items.iter().filter(moved).collect();
    items.sort_by_key(|item| (std::cmp::Reverse(item.fell().abs()), item.after.place));
    items.truncate(EXPLAINED);
    items
}

/// Values and parts of the standing, feature by feature.
fn reasons(diff: &Diff, item: &ItemDiff, paint: Paint) -> String {
    let title = format!(
        "{}: place {} → {}, from {} to {} standard deviations from the mean of the list",
        item.id,
        item.before.place,
        item.after.place,
        signed(item.before.standing),
        signed(item.after.standing)
    );
    let (before, after) = (diff.before.version, diff.after.version);
    let header = [
        "FEATURE".to_owned(),
        format!("VALUE v{before}"),
        format!("v{after}"),
        format!("PART v{before}"),
        format!("v{after}"),
        "CHANGE".to_owned(),
    ];
    let mut table = table(&header.each_ref().map(String::as_str));
    let (named, rest) = item.features.split_at(item.features.len().min(FEATURES));
    for one in named {
        table.add_row(feature(one));
    }
    if !rest.is_empty() {
        let change: f64 = rest.iter().map(|one| one.change).sum();
        let mut row = vec![format!("{} others", rest.len())];
        row.resize(5, String::new());
        row.push(signed(change));
        table.add_row(row);
    }
    format!("{}\n{}", paint.bold(&title), text(&mut table))
}

fn feature(one: &FeatureDiff) -> Vec<String> {
    let absent = || "-".to_owned();
    let value = |part: Option<Part>| match part {
        None => absent(),
        Some(Part { value: None, .. }) => "missing".to_owned(),
        Some(Part {
            value: Some(value), ..
        }) => short_number(value),
    };
    let standing = |part: Option<Part>| part.map_or_else(absent, |part| signed(part.standing));
    vec![
        one.feature.clone(),
        value(one.before),
        value(one.after),
        standing(one.before),
        standing(one.after),
        signed(one.change),
    ]
}

/// Two decimals, and no negative nothing.
fn signed(value: f64) -> String {
    format!("{:+.2}", (value * 100.0).round() / 100.0 + 0.0)
}

/// Four digits that say something.
fn short_number(value: f32) -> String {
    match value.abs() {
        1000.0.. => format!("{value:.0}"),
        0.001.. => {
            let text = format!("{value:.4}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        0.0 => "0".to_owned(),
        _ => format!("{value:.3e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::compare::tests::diff, *};

    #[test]
    fn a_page_says_who_moved_and_why() {
        insta::assert_snapshot!(page(&diff(), &[], Paint::PLAIN));
    }

    #[test]
    fn what_is_named_is_explained_though_it_did_not_move() {
        let page = page(&diff(), &["c".to_owned()], Paint::PLAIN);
        assert!(
            page.contains("c: place 3 → 3") && !page.contains("a: place"),
            "{page}"
        );
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!([-0.004, 1.236].map(signed), ["+0.00", "+1.24"]);
        let numbers = [0.0, 1234.5, 0.25, 3.0, 0.000_123, -0.5].map(short_number);
        assert_eq!(numbers, ["0", "1234", "0.25", "3", "1.230e-4", "-0.5"]);
    }
}
