//! What people see of judgements: pure text from reports.

use searchop_api::{GateRule, GateStatus, Trigger};
use searchop_evaluation::report::{
    Comparison, Course, CurvePoint, EvaluationReport, Figures, OtherSeed, QueryChange, Search,
    Trial,
};
use searchop_lifecycle::gate::summary;

use crate::{
    local::render::{
        MetricRow, MetricTable, colour, gate, metric_table, table, text, verdict_in_words,
    },
    terminal::Paint,
};

/// Features that are named.
const FEATURES: usize = 10;
/// Points that are shown of a learning curve, besides the best.
const POINTS: usize = 8;

/// Everything that was found out about a version, the verdict last. `served` is the report of what it
/// was compared with.
pub fn explanation(
    report: &EvaluationReport,
    served: Option<&EvaluationReport>,
    judged: Option<(GateStatus, &[GateRule])>,
    paint: Paint,
) -> String {
    let mut parts = vec![
        head(report),
        metric_table(&figures(report), paint),
        comparisons(report),
    ];
    parts.extend(seeds(report, served));
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
    if let Some(course) = &report.course {
        parts.push(curve(course));
        parts.push(importance(course));
        parts.extend(course.tuning.as_ref().map(tuning));
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
fn comparisons(report: &EvaluationReport) -> String {
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
    let itself = report.other_seed.as_ref().map(|other| {
        let name = format!("itself, seed {}", other.seed);
        (name, &other.comparison)
    });
    let all = report
        .comparisons
        .iter()
        .map(|one| (one.against.clone(), one));
    for (against, one) in all.chain(itself) {
        table.add_row([
            against,
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

/// What chance changes, of this version's recipe and of the served one's.
fn seeds(report: &EvaluationReport, served: Option<&EvaluationReport>) -> Option<String> {
    let words = |of: &str, other: &OtherSeed| {
        let Comparison {
            difference,
            rank_biased_overlap,
            ..
        } = &other.comparison;
        format!(
            "two seeds of {of}: NDCG@10 {} apart, orders overlap by {} (trained again in {:.1} s)\n",
            percent(difference.map(f64::abs)).trim_start_matches('+'),
            number(*rank_biased_overlap),
            other.seconds
        )
    };
    let own = report
        .other_seed
        .as_ref()
        .map(|other| words("this recipe", other));
    let theirs = served.and_then(|served| {
        let name = format!("the served recipe (v{})", served.version);
        Some(words(&name, served.other_seed.as_ref()?))
    });
    let lines: String = own.into_iter().chain(theirs).collect();
    (!lines.is_empty()).then_some(lines)
}

/// What a search for parameters found.
fn tuning(search: &Search) -> String {
    let valid = |index: usize| number(search.trials.get(index).and_then(|one| one.valid));
    let trials = search.trials.len();
    let how = match search.out_of_time {
        true => format!("{trials} of {} trials, then time ran out", search.asked),
        false => format!("{trials} trials"),
    };
    let chosen = search.chosen;
    let Some(Trial { parameters, .. }) = search.trials.get(chosen) else {
        return String::new();
    };
    format!(
        "tuned: {how}; trial {} is the model: learningRate {}, numLeaves {}, minDataInLeaf {}, numIterations {}\n\
         NDCG@10 {} on the validation lists, {} with the parameters as declared\n",
        chosen + 1,
        parameters.learning_rate,
        parameters.num_leaves,
        parameters.min_data_in_leaf,
        parameters.num_iterations,
        valid(chosen),
        valid(0)
    )
}

/// From the first tree to the last, the best one marked.
fn curve(course: &Course) -> String {
    let mut table = table(&["TREES", "NDCG@10 TRAIN", "VALID"]);
    let points = &course.curve;
    let step = points.len().div_ceil(POINTS).max(1);
    let shown = |(index, point): &(usize, &CurvePoint)| {
        index % step == 0 || index + 1 == points.len() || point.tree == course.trees
    };
    for (_, point) in points.iter().enumerate().filter(shown) {
        let best = if point.tree == course.trees { " *" } else { "" };
        table.add_row([
            format!("{}{best}", point.tree),
            number(point.train),
            number(Some(point.valid)),
        ]);
    }
    text(&mut table) + "* kept\n"
}

fn importance(course: &Course) -> String {
    let mut table = table(&["FEATURE", "GAIN", "SPLITS"]);
    let (named, rest) = course
        .importance
        .split_at(course.importance.len().min(FEATURES));
    for one in named {
        table.add_row([
            one.feature.clone(),
            format!("{:.1} %", one.share * 100.0),
            one.splits.to_string(),
        ]);
    }
    if !rest.is_empty() {
        let share: f64 = rest.iter().map(|one| one.share).sum();
        let splits: u64 = rest.iter().map(|one| one.splits).sum();
        table.add_row([
            format!("{} others", rest.len()),
            format!("{:.1} %", share * 100.0),
            splits.to_string(),
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
