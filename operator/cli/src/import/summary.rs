//! What people see of an import: pure text from counts.

use comfy_table::{CellAlignment, Table, presets};

use super::{
    counts::{Actions, Counts},
    event::Action,
};

/// A table of what was joined, and a line for everything that was left out or put up with.
pub fn summary(counts: &Counts) -> String {
    let mut text = actions(counts);
    for (count, what) in remarks(counts) {
        if count > 0 {
            text += &format!("{count} {what}\n");
        }
    }
    text
}

fn actions(counts: &Counts) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_header(["", "READ", "JOINED", "ORPHANS"]);
    let lists = &counts.lists;
    let unused = lists.read - lists.written;
    table.add_row(row("lists", [lists.read, lists.written, unused]));
    for action in Action::ALL {
        let none = Actions::default();
        let actions = counts.actions.get(action.name()).unwrap_or(&none);
        let numbers = [actions.read, actions.joined, actions.orphans()];
        table.add_row(row(action.name(), numbers));
    }
    for (at, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 3));
        if at > 0 {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let lines = table.lines().map(|line| format!("{}\n", line.trim_end()));
    lines.collect()
}

fn row(name: &str, numbers: [u64; 3]) -> Vec<String> {
    let numbers = numbers.iter().map(u64::to_string);
    std::iter::once(name.to_owned()).chain(numbers).collect()
}

fn remarks(counts: &Counts) -> [(u64, &'static str); 14] {
    let orphans = |of: fn(&Actions) -> u64| counts.actions.values().map(of).sum();
    [
        (counts.impressions, "impressions written"),
        (
            counts.without_position,
            "of them without a position of their own: their order is taken",
        ),
        (
            counts.repeated_impressions,
            "impressions left out: their list had shown the item before",
        ),
        (
            counts.lists.without_query,
            "lists left out: no search before them, and no query of their own",
        ),
        (
            counts.lists.other_list,
            "lists left out: not named with --list",
        ),
        (
            counts.lists.refined,
            "lists left out: filtered or sorted by the shopper",
        ),
        (
            orphans(|one| one.not_shown),
            "actions left out: no list showed the item in the time before",
        ),
        (
            orphans(|one| one.unknown_list),
            "actions left out: the list they name is not there before them",
        ),
        (
            orphans(|one| one.no_list_named),
            "actions left out: they name no list",
        ),
        (
            orphans(|one| one.other_list),
            "actions left out: their list is",
        ),
        (
            counts.without_client,
            "events left out: they do not say whose they are",
        ),
        (counts.duplicates, "events left out: they are there twice"),
        (counts.bad_rows, "rows left out: they cannot be read"),
        (
            counts.times_without_offset,
            "times without offset, read as UTC",
        ),
    ]
}
