//! `searchop validate`: named checks of the manifests, and of the data they name.

use comfy_table::{Table, presets};
use searchop_contract::{Check, CheckOutcome};
use serde_json::json;

use crate::{
    args::{self, Report},
    exit::Exit,
    local::{LocalError, data_checks},
    manifest,
    terminal::{Log, Paint},
};

/// Prints all checks; refused where one fails.
pub fn validate(args: &args::Validate, log: Log) -> Result<Exit, LocalError> {
    let found = manifest::read(&args.files.filename)?;
    let name = found.model.metadata.name.as_deref().unwrap_or_default();
    let schedules = found.schedules.len();
    let manifests = format!("RankingModel {name:?} with {schedules} schedules");
    let mut checks = vec![Check::new("Manifests", CheckOutcome::Pass, manifests)];
    let trainer = args.trainer.as_deref();
    checks.extend(data_checks(&found.model, &args.folder.dir, trainer)?);
    match args.output {
        Report::Table => print!("{}", table(&checks, log.results())),
        Report::Json => println!("{:#}", json!({ "checks": checks })),
    }
    let failed = checks
        .iter()
        .any(|check| check.outcome == CheckOutcome::Fail);
    Ok(if failed { Exit::Refused } else { Exit::Done })
}

/// A row a check, with what matters in colour.
fn table(checks: &[Check], paint: Paint) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_header(["CHECK", "RESULT", "FOUND"]);
    for check in checks {
        table.add_row([&check.name, &check.outcome.to_string(), &check.message]);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 3));
    }
    let outcomes = checks.iter().map(|check| Some(check.outcome));
    let rows = std::iter::once(None).chain(outcomes);
    table
        .lines()
        .zip(rows)
        .map(|(line, outcome)| line_of(&line, outcome, paint))
        .collect()
}

fn line_of(line: &str, outcome: Option<CheckOutcome>, paint: Paint) -> String {
    let line = line.trim_end();
    let painted = match outcome {
        Some(CheckOutcome::Fail) => paint.red(line),
        Some(CheckOutcome::Warn) => paint.yellow(line),
        Some(CheckOutcome::Skip) => paint.dim(line),
        None => paint.bold(line),
        Some(CheckOutcome::Pass) => line.to_owned(),
    };
    format!("{painted}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_a_row_a_check() {
        let checks = [
            Check::new("Manifests", CheckOutcome::Pass, "RankingModel \"a\""),
            Check::new("ClicksPresent", CheckOutcome::Fail, "none"),
        ];
        assert_eq!(
            table(&checks, Paint::PLAIN),
            "CHECK           RESULT   FOUND\n\
             Manifests       PASS     RankingModel \"a\"\n\
             ClicksPresent   FAIL     none\n"
        );
    }
}
