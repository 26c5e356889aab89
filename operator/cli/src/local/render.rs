//! What people see: pure text from facts, with the same words as `kubectl get`.

use std::net::SocketAddr;

use comfy_table::{CellAlignment, Table, presets};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use searchop_api::{
    DriftFinding, DriftStatus, GateRule, GateStatus, Goal, HistoryEntry, RankingModel,
    RankingModelStatus, RuleStatus, ServedVersion, Serving, TablesRefresh, Verdict, conditions,
    figures::number,
};

use crate::{manifest::Ignored, terminal::Paint};

/// Rankers by metrics.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MetricTable {
    /// `NDCG@10`, `MRR@10`, ….
    pub metrics: Vec<String>,
    pub rows: Vec<MetricRow>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct MetricRow {
    pub ranker: String,
    /// One value a metric; `None` where it was not measured.
    pub values: Vec<Option<f64>>,
}

pub fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_header(header.to_vec());
    table
}

/// Rows without the blanks that a borderless table leaves at both ends.
pub fn text(table: &mut Table) -> String {
    for column in table.column_iter_mut() {
        column.set_padding((0, 3));
    }
    table
        .lines()
        .map(|line| format!("{}\n", line.trim_end()))
        .collect()
}

/// The table of a judged run; the candidate's row stands out.
pub fn metric_table(figures: &MetricTable, paint: Paint) -> String {
    let mut header = vec![""];
    header.extend(figures.metrics.iter().map(String::as_str));
    let mut table = table(&header);
    for row in &figures.rows {
        let value =
            |value: &Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.4}"));
        let mut cells = vec![row.ranker.clone()];
        cells.extend(row.values.iter().map(value));
        table.add_row(cells);
    }
    for index in 1..header.len() {
        if let Some(column) = table.column_mut(index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let text = text(&mut table);
    let lines = text.lines().enumerate().map(|(index, line)| match index {
        0 => paint.dim(line),
        1 => paint.bold(line),
        _ => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n") + "\n"
}

/// A gate rule as a sentence: `NDCG@10 better than BM25`.
pub fn rule_in_words(rule: &GateRule) -> String {
    let mut metric = format!("{}@{}", rule.metric, rule.k);
    if let Some(slice) = rule.slice {
        metric += &format!(" of {slice}");
    }
    if let Some(evidence) = rule.on {
        metric += &format!(" on {evidence}");
    }
    match (&rule.threshold, rule.against, rule.goal, &rule.margin) {
        (Some(threshold), ..) => format!("{metric} at least {threshold}"),
        (None, Some(against), Some(goal), Some(margin)) => {
            match (goal, per_cent(margin).as_str()) {
                (Goal::Superior, "0") => format!("{metric} better than {against}"),
                (Goal::Superior, margin) => {
                    format!("{metric} better than {against} by {margin} % or more")
                }
                (Goal::NotWorse, "0") => format!("{metric} not worse than {against}"),
                (Goal::NotWorse, margin) => {
                    format!("{metric} not worse than {against} by more than {margin} %")
                }
            }
        }
        _ => metric,
    }
}

/// A share as per cent without needless digits: `0.05` is `5`.
fn per_cent(share: &str) -> String {
    let value = share.parse::<f64>().unwrap_or(f64::NAN) * 100.0;
    let text = format!("{value:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Every rule in words with its verdict.
pub fn gate(gate: &GateStatus, rules: &[GateRule], paint: Paint) -> String {
    let verdict = verdict_in_words(gate.verdict);
    let headline = format!(
        "gate of v{}: {}",
        gate.version,
        colour(gate.verdict, verdict, paint)
    );
    let lines = gate
        .rules
        .iter()
        .map(|status| rule_line(status, rules, paint));
    format!("{headline}\n{}\n", lines.collect::<Vec<_>>().join("\n"))
}

fn rule_line(status: &RuleStatus, rules: &[GateRule], paint: Paint) -> String {
    let mark = match status.verdict {
        Verdict::Passed => "✓",
        Verdict::Skipped | Verdict::NotJudged => "-",
        Verdict::Inconclusive => "?",
        Verdict::Failed | Verdict::Error => "✗",
    };
    let rule = rules
        .iter()
        .find(|rule| rule.name == status.name)
        .map_or(String::new(), rule_in_words);
    let dry = if status.dry_run { " (dry run)" } else { "" };
    let message = paint.dim(&status.message);
    format!(
        "  {} {:<10} {rule}{dry}\n               {message}",
        colour(status.verdict, mark, paint),
        status.name
    )
}

pub fn verdict_in_words(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Passed => "passed",
        Verdict::Skipped => "nothing to compare with",
        Verdict::NotJudged => "not judged",
        Verdict::Inconclusive => "too few data to tell",
        Verdict::Failed => "failed",
        Verdict::Error => "cannot be judged",
    }
}

pub fn colour(verdict: Verdict, text: &str, paint: Paint) -> String {
    match verdict {
        Verdict::Passed => paint.green(text),
        Verdict::Skipped | Verdict::NotJudged => paint.dim(text),
        Verdict::Inconclusive => paint.yellow(text),
        Verdict::Failed | Verdict::Error => paint.red(text),
    }
}

/// Where the ranker answers.
pub fn url(address: SocketAddr, serving: &Serving) -> String {
    match serving.tls_secret_ref {
        Some(_) => format!("https://{address}"),
        None => format!("http://{address}"),
    }
}

/// How to ask, ready to paste.
pub fn curl(address: SocketAddr, serving: &Serving) -> String {
    let host = if address.ip().is_loopback() && address.is_ipv4() {
        format!("localhost:{}", address.port())
    } else {
        address.to_string()
    };
    let scheme = serving.tls_secret_ref.as_ref().map_or("", |_| "https://");
    let token = match serving.token_secret_ref {
        Some(_) => r#" -H "authorization: Bearer $TOKEN""#,
        None => "",
    };
    format!(
        "curl -s {scheme}{host}/rank -H 'content-type: application/json'{token} -d '{}'",
        r#"{"query":"running shoes","user_id":"u-1","products":[{"id":1,"title":"Nike Running Shoes","price":99.99,"category":"sports_outdoors"}]}"#
    )
}

/// What is set in the manifests and means nothing here.
pub fn ignored(ignored: &[Ignored], paint: Paint) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    for item in ignored {
        table.add_row([format!("  {}", item.what), item.instead.to_owned()]);
    }
    format!(
        "{}\n{}",
        paint.dim("only for clusters, ignored here:"),
        text(&mut table)
    )
}

/// The columns of `kubectl get rankingmodels`, then conditions, the newest refresh and history.
pub fn status(model: &RankingModel, now: Timestamp) -> String {
    let none = RankingModelStatus::default();
    let status = model.status.as_ref().unwrap_or(&none);
    let mut sections = vec![overview(model, now)];
    if !status.conditions.is_empty() {
        sections.push(condition_table(&status.conditions, now));
    }
    sections.extend(
        status
            .drift
            .as_ref()
            .and_then(|drift| drift_table(drift, now)),
    );
    if let Some(refresh) = &status.refresh {
        sections.push(refresh_table(refresh, now));
    }
    if !status.history.is_empty() {
        sections.push(history_table(&status.history, now));
    }
    sections.join("\n")
}

/// A column's header and what stands below it.
pub type Column = (&'static str, String);

/// The columns of `kubectl get rankingmodels`, but for the object's age.
pub fn columns(model: &RankingModel, now: Timestamp) -> Vec<Column> {
    let none = RankingModelStatus::default();
    let status = model.status.as_ref().unwrap_or(&none);
    let condition = |kind: &str| conditions::find(&status.conditions, kind);
    let state =
        |kind: &str| condition(kind).map_or(String::new(), |condition| condition.status.clone());
    let served = |cell: &dyn Fn(&ServedVersion) -> String| {
        status.served.as_ref().map_or(String::new(), cell)
    };
    let next = status.next_retrain_time.as_ref();
    let message = condition(conditions::READY).map(|condition| condition.message.clone());
    vec![
        ("NAME", model.metadata.name.clone().unwrap_or_default()),
        ("READY", state(conditions::READY)),
        ("SERVED", served(&|served| served.name.clone())),
        ("METRIC", served(&|served| served.headline_metric.clone())),
        (
            "DATA-AGE",
            served(&|served| age(served.trained_through_time.0, now)),
        ),
        (
            "TABLES-AGE",
            served(&|served| age(served.tables_time.0, now)),
        ),
        ("STALE", state(conditions::STALE)),
        (
            "NEXT",
            next.map_or(String::new(), |time| time.0.to_string()),
        ),
        ("MESSAGE", message.unwrap_or_default()),
    ]
}

fn overview(model: &RankingModel, now: Timestamp) -> String {
    let (header, row): (Vec<_>, Vec<_>) = columns(model, now).into_iter().unzip();
    let mut table = table(&header);
    table.add_row(row);
    text(&mut table)
}

fn condition_table(conditions: &[Condition], now: Timestamp) -> String {
    let mut table = table(&["CONDITION", "STATUS", "REASON", "AGE", "MESSAGE"]);
    for condition in conditions {
        table.add_row([
            condition.type_.clone(),
            condition.status.clone(),
            condition.reason.clone(),
            age(condition.last_transition_time.0, now),
            condition.message.clone(),
        ]);
    }
    text(&mut table)
}

/// What the served version's requests differ in; `None` before the first of them are known.
pub fn drift_table(drift: &DriftStatus, now: Timestamp) -> Option<String> {
    let mut table = table(&["DIFFERS", "FROM", "REQUESTS", "AGE", "GAIN", "FEATURES"]);
    let mut add = |what: &str, from: &str, found: &DriftFinding| {
        let share = number(&found.drifted_share).unwrap_or(f64::NAN) * 100.0;
        let features = found.features.iter().map(|of| {
            let psi = number(&of.psi).unwrap_or(f64::NAN);
            format!("{} (PSI {psi:.2})", of.name)
        });
        table.add_row([
            what.to_owned(),
            from.to_owned(),
            found.requests.to_string(),
            age(found.end_time.0, now),
            format!("{share:.0} %"),
            features.collect::<Vec<_>>().join(", "),
        ]);
    };
    let version = format!("v{}", drift.version);
    let first = format!("first requests of {version}");
    add(&first, "training (skew)", drift.skew.as_ref()?);
    if let Some(found) = &drift.drift {
        add(
            &format!("newest requests of {version}"),
            "its first (drift)",
            found,
        );
    }
    Some(text(&mut table))
}

/// The newest refresh of the tables.
fn refresh_table(refresh: &TablesRefresh, now: Timestamp) -> String {
    let mut table = table(&["TABLES-OF", "TRIGGER", "OUTCOME", "AGE", "MESSAGE"]);
    let since = refresh.completion_time.as_ref();
    table.add_row([
        format!("v{}", refresh.version),
        refresh.trigger.as_str().to_owned(),
        refresh
            .outcome
            .map_or(String::new(), |outcome| outcome.as_str().to_owned()),
        age(since.unwrap_or(&refresh.start_time).0, now),
        refresh.message.clone().unwrap_or_default(),
    ]);
    text(&mut table)
}

fn history_table(history: &[HistoryEntry], now: Timestamp) -> String {
    let mut table = table(&["VERSION", "TRIGGER", "OUTCOME", "METRIC", "AGE", "REASON"]);
    for entry in history {
        table.add_row([
            format!("v{}", entry.version),
            entry.trigger.as_str().to_owned(),
            entry.outcome.as_str().to_owned(),
            entry.headline_metric.clone().unwrap_or_default(),
            age(entry.completion_time.0, now),
            entry.reason.clone().unwrap_or_default(),
        ]);
    }
    text(&mut table)
}

/// An age as kubectl prints it: two digits at most, smaller units only where they matter.
pub fn age(since: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(since).as_secs().max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let two = |big: i64, unit: &str, small: i64, of: &str| match small {
        0 => format!("{big}{unit}"),
        _ => format!("{big}{unit}{small}{of}"),
    };
    match () {
        () if seconds < 120 => format!("{seconds}s"),
        () if minutes < 10 => two(minutes, "m", seconds % 60, "s"),
        () if minutes < 180 => format!("{minutes}m"),
        () if hours < 8 => two(hours, "h", minutes % 60, "m"),
        () if hours < 48 => format!("{hours}h"),
        () if days < 8 => two(days, "d", hours % 24, "h"),
        () if days < 730 => format!("{days}d"),
        () => two(days / 365, "y", days % 365, "d"),
    }
}

#[cfg(test)]
mod tests;
