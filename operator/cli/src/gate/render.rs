//! What people see of judgements: pure text from reports.

use searchop_api::{GateRule, GateStatus, Trigger};
use searchop_evaluation::report::{Comparison, EvaluationReport, Figures, QueryChange};
use searchop_lifecycle::gate::summary;

use crate::{
    local::render::{
        MetricRow, MetricTable, colour, gate, metric_table, table, text, verdict_in_words,
    },
    terminal::Paint,
};

/// Everything that was found out about a version, the verdict last.
pub fn explanation(
    report: &EvaluationReport,
    judged: Option<(GateStatus, &[GateRule])>,
    paint: Paint,
) -> String {
    let mut parts = vec![
        head(report),
        metric_table(&figures(report), paint),
        comparisons(&report.comparisons),
    ];
    if !report.slices.is_empty() {
        parts.push(slices(report));
    }
    for (title, changes) in [
        ("gained most", &report.changes.winners),
        ("lost most", &report.changes.losers),
    ] {
        if !changes.is_empty() {
            parts.push(queries(title, changes));
        }
    }
    parts.extend(judged.map(|(status, rules)| gate(&status, rules, paint)));
    parts.join("\n")
}

fn head(report: &EvaluationReport) -> String {
    let queries = report.measurements.first().map_or(0, |one| one.queries);
    let mut line = format!(
        "v{}: {queries} queries of {} to {}, judged on {}",
        report.version, report.from, report.to, report.evidence
    );
    if let Some(clicks) = report.clicks {
        line += &format!(
            "; {} of the clicks' weights are clipped, they say as much as {:.0} equal ones",
            percent(Some(clicks.clipped_share)).trim_start_matches('+'),
            clicks.effective_clicks
        );
    }
    line + "\n"
}

fn figures(report: &EvaluationReport) -> MetricTable {
    let row = |figures: &Figures| MetricRow {
        ranker: figures.ranker.clone(),
        values: vec![
            figures.ndcg_at_10,
            figures.mrr_at_10,
            figures.map_at_10,
            figures.recall_at_10,
            figures.err_at_10,
        ],
    };
    let names = ["NDCG@10", "MRR@10", "MAP@10", "Recall@10", "ERR@10"];
    MetricTable {
        metrics: names.map(str::to_owned).to_vec(),
        rows: report.rankers.iter().map(row).collect(),
    }
}

/// NDCG@10 of the candidate against each of the others.
fn comparisons(comparisons: &[Comparison]) -> String {
    let mut table = table(&[
        "NDCG@10 AGAINST",
        "GAIN",
        "AT LEAST",
        "AT MOST",
        "SEEN FROM",
        "WIN/TIE/LOSS",
        "WORST TENTH",
        "OVERLAP",
    ]);
    for one in comparisons {
        table.add_row([
            one.against.clone(),
            percent(one.difference),
            percent(one.low),
            percent(one.high),
            percent(one.smallest_gain),
            format!("{}/{}/{}", one.wins, one.ties, one.losses),
            number(one.worst_decile),
            number(one.rank_biased_overlap),
        ]);
    }
    text(&mut table)
}

fn slices(report: &EvaluationReport) -> String {
    let mut table = table(&["SLICE", "QUERIES", "CANDIDATE", "SERVED"]);
    for one in &report.slices {
        table.add_row([
            one.slice.to_string(),
            one.queries.to_string(),
            number(one.candidate),
            number(one.served),
        ]);
    }
    text(&mut table)
}

fn queries(title: &str, changes: &[QueryChange]) -> String {
    let mut table = table(&[title, "CANDIDATE", "BEFORE"]);
    for one in changes {
        table.add_row([
            one.query.clone(),
            number(Some(one.candidate)),
            number(Some(one.other)),
        ]);
    }
    text(&mut table)
}

/// A version under other rules.
pub struct Line {
    /// What became of it, where that is known.
    pub outcome: Option<&'static str>,
    pub trigger: Trigger,
    pub gate: GateStatus,
}

pub fn backtest(lines: &[Line], paint: Paint) -> String {
    let mut table = table(&["VERSION", "TRIGGER", "OUTCOME", "THESE RULES", "WHY"]);
    for line in lines {
        table.add_row([
            format!("v{}", line.gate.version),
            line.trigger.as_str().to_owned(),
            line.outcome.unwrap_or("-").to_owned(),
            colour(
                line.gate.verdict,
                verdict_in_words(line.gate.verdict),
                paint,
            ),
            summary(&line.gate),
        ]);
    }
    text(&mut table)
}

fn number(value: Option<f64>) -> String {
    value.map_or("-".to_owned(), |value| format!("{value:.3}"))
}

fn percent(share: Option<f64>) -> String {
    share.map_or("-".to_owned(), |share| format!("{:+.1} %", share * 100.0))
}
