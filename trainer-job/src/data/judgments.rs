//! Grades that people gave to (query, item): the truth that clicks only hint at.
//!
//! | format    | a grade is                                                                       |
//! |-----------|----------------------------------------------------------------------------------|
//! | Quepid    | a row with the columns `query`, `docid`, `rating`; without a rating it is left out |
//! | TREC      | a line `qid 0 docid grade`; files `*.tsv` hold `qid TAB query`                    |
//! | SVMRank   | a line `grade qid:1 # docid query`; features before the `#` are not read          |
//! | Workbench | JSON: `judgmentRatings[{query, ratings[{docId, rating}]}]`, alone, in a list or as the `_source` of search hits |

use std::{
    collections::{BTreeMap, HashMap},
    fmt, fs,
    io::BufRead,
    path::Path,
};

use searchop_contract::JudgmentFormat;
use serde_json::{Value, json};

use super::{
    Cell, Problems, SourceFile,
    cell::quoted,
    source::{self, Kind},
    table::{self, BadCell, Field},
};
use crate::{error::TrainError, metrics::MAX_LABEL};

/// A grade as the file has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgment {
    /// As it was typed.
    pub query: String,
    pub item: String,
    /// At least 0; the higher the better.
    pub rating: f64,
}

/// What [`read`] found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Judgments {
    /// Ordered by query and item, each pair once.
    pub all: Vec<Judgment>,
    /// Rows without a rating: pairs that nobody has judged yet.
    pub unrated: u64,
}

impl fmt::Display for Judgments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let queries = self.all.chunk_by(|a, b| a.query == b.query).count();
        let grades = self.all.len();
        write!(
            f,
            "{grades} grades of {queries} queries, {} without one",
            self.unrated
        )
    }
}

impl Judgments {
    /// Grades from 0 to [`MAX_LABEL`], in the order of `all`: the rounded ratings. Where one is
    /// higher, or where all are shares of 1, the highest becomes the best grade and the others
    /// follow in proportion.
    pub fn grades(&self) -> Vec<u8> {
        let best = f64::from(MAX_LABEL);
        let highest = self.all.iter().map(|one| one.rating).fold(0.0, f64::max);
        let shares = highest <= 1.0 && self.all.iter().any(|one| one.rating.fract() != 0.0);
        let scale = if highest > best || shares {
            best / highest
        } else {
            1.0
        };
        let grade = |one: &Judgment| (one.rating * scale).round().min(best) as u8;
        self.all.iter().map(grade).collect()
    }
}

/// Reads and checks all files.
pub fn read(files: &[SourceFile], format: JudgmentFormat) -> Result<Judgments, TrainError> {
    let mut found = Found::default();
    let (topics, grades): (Vec<&SourceFile>, Vec<&SourceFile>) = files
        .iter()
        .partition(|file| format == JudgmentFormat::TREC && file.name.contains(".tsv"));
    let mut names = HashMap::new();
    for file in topics {
        read_topics(file, &mut names, &mut found.problems)?;
    }
    for file in grades {
        match format {
            JudgmentFormat::Quepid => found.table(file)?,
            JudgmentFormat::TREC => found.lines(file, &|line| trec(line, &names))?,
            JudgmentFormat::SVMRank => found.lines(file, &svm_rank)?,
            JudgmentFormat::Workbench => found.workbench(file)?,
        }
    }
    found.finish(files)
}

#[derive(Default)]
struct Found {
    ratings: BTreeMap<(String, String), f64>,
    unrated: u64,
    problems: Problems,
}

impl Found {
    fn add(&mut self, judgment: Judgment) -> Result<(), String> {
        let Judgment {
            query,
            item,
            rating,
        } = judgment;
        if rating < 0.0 {
            return Err(format!("\"{rating}\" is below 0"));
        }
        let pair = format!("{} for {}", quoted(&item), quoted(&query));
        match self.ratings.insert((query, item), rating) {
            Some(before) if before != rating => {
                Err(format!("{pair} is rated {before} and {rating}"))
            }
            _ => Ok(()),
        }
    }

    fn table(&mut self, file: &SourceFile) -> Result<(), TrainError> {
        const FIELDS: [Field<'static>; 3] = [
            Field {
                name: "query",
                also: &["query_text"],
                required: true,
            },
            Field {
                name: "docid",
                also: &["doc_id", "docId", "product_id"],
                required: true,
            },
            Field {
                name: "rating",
                also: &["label", "grade"],
                required: true,
            },
        ];
        let mut problems = std::mem::take(&mut self.problems);
        table::read(file, &FIELDS, &mut problems, &mut |cells| self.row(cells))?;
        self.problems = problems;
        Ok(())
    }

    fn row(&mut self, cells: &[Cell<'_>]) -> Result<(), BadCell> {
        let bad = |field: usize| move |complaint: String| BadCell { field, complaint };
        let required = |field: usize| {
            let text = cells[field].text().map_err(bad(field))?;
            text.map(|text| text.into_owned())
                .ok_or_else(|| bad(field)("no value".to_owned()))
        };
        let (query, item) = (required(0)?, required(1)?);
        match cells[2].amount().map_err(bad(2))? {
            None => self.unrated += 1,
            Some(rating) => self
                .add(Judgment {
                    query,
                    item,
                    rating,
                })
                .map_err(bad(2))?,
        }
        Ok(())
    }

    fn lines(
        &mut self,
        file: &SourceFile,
        parse: &dyn Fn(&str) -> Result<Judgment, String>,
    ) -> Result<(), TrainError> {
        let mut problems = std::mem::take(&mut self.problems);
        each_line(file, &mut problems, &mut |line| self.add(parse(line)?))?;
        self.problems = problems;
        Ok(())
    }

    fn workbench(&mut self, file: &SourceFile) -> Result<(), TrainError> {
        let wrong = |what: String| TrainError::data(format!("{}: {what}", file.name));
        let document: Value =
            serde_json::from_reader(table::open_text(file)?).map_err(|error| {
                wrong(format!(
                    "not JSON from line {}, character {} on",
                    error.line(),
                    error.column()
                ))
            })?;
        let lists = rating_lists(&document, "");
        if lists.is_empty() {
            return Err(wrong("no \"judgmentRatings\"".to_owned()));
        }
        for (path, list) in lists {
            let queries = list
                .as_array()
                .ok_or_else(|| wrong(format!("{path}: not a list")))?;
            for (number, query) in queries.iter().enumerate() {
                self.workbench_query(file, &format!("{path}[{number}]"), query);
            }
        }
        Ok(())
    }

    fn workbench_query(&mut self, file: &SourceFile, path: &str, entry: &Value) {
        let problem = |path: &str, what: &str| format!("{}: {path}: {what}", file.name);
        let (Some(query), Some(ratings)) = (entry["query"].as_str(), entry["ratings"].as_array())
        else {
            self.problems
                .add(|| problem(path, "expected \"query\", a text, and \"ratings\", a list"));
            return;
        };
        for (number, rating) in ratings.iter().enumerate() {
            let judged = workbench_rating(query, rating).and_then(|judgment| self.add(judgment));
            if let Err(complaint) = judged {
                self.problems
                    .add(|| problem(&format!("{path}.ratings[{number}]"), &complaint));
            }
        }
    }

    fn finish(self, files: &[SourceFile]) -> Result<Judgments, TrainError> {
        self.problems.finish()?;
        if self.ratings.is_empty() {
            return Err(super::no_rows(files));
        }
        let judgment = |((query, item), rating)| Judgment {
            query,
            item,
            rating,
        };
        Ok(Judgments {
            all: self.ratings.into_iter().map(judgment).collect(),
            unrated: self.unrated,
        })
    }
}

/// Gives every line that says something to `sink`; what it complains of is a bad line.
fn each_line(
    file: &SourceFile,
    problems: &mut Problems,
    sink: &mut dyn FnMut(&str) -> Result<(), String>,
) -> Result<(), TrainError> {
    let mut text = table::open_text(file)?;
    let (mut line, mut number) = (Vec::new(), 0);
    loop {
        line.clear();
        let read = text
            .read_until(b'\n', &mut line)
            .map_err(|error| table::damaged(file, &error))?;
        if read == 0 {
            return Ok(());
        }
        number += 1;
        let result = match str::from_utf8(&line) {
            Err(_) => Err("not valid UTF-8".to_owned()),
            Ok(text) => match text.trim_start_matches('\u{feff}').trim() {
                "" => Ok(()),
                text => sink(text),
            },
        };
        if let Err(complaint) = result {
            problems.add(|| format!("{}: line {number}: {complaint}", file.name));
        }
    }
}

fn read_topics(
    file: &SourceFile,
    names: &mut HashMap<String, String>,
    problems: &mut Problems,
) -> Result<(), TrainError> {
    each_line(file, problems, &mut |line| {
        let (number, query) = line
            .split_once('\t')
            .ok_or("expected a qid, a tab and a query")?;
        match names.insert(number.trim().to_owned(), query.trim().to_owned()) {
            Some(before) if before != query.trim() => {
                Err(format!("qid {} is there twice", quoted(number)))
            }
            _ => Ok(()),
        }
    })
}

fn trec(line: &str, names: &HashMap<String, String>) -> Result<Judgment, String> {
    let values: Vec<&str> = line.split_whitespace().collect();
    let [number, _, item, rating] = values[..] else {
        return Err(format!(
            "{} values, expected 4: qid 0 docid grade",
            values.len()
        ));
    };
    let query = match names.get(number) {
        Some(query) => query,
        None if names.is_empty() => number,
        None => return Err(format!("no query for qid {}", quoted(number))),
    };
    // Some tracks grade spam below 0.
    let judgment = judgment(query, item, rating)?;
    Ok(Judgment {
        rating: judgment.rating.max(0.0),
        ..judgment
    })
}

fn svm_rank(line: &str) -> Result<Judgment, String> {
    const EXPECTED: &str = "expected a line such as \"3 qid:1 # docid query\"";
    let (values, comment) = line.split_once('#').ok_or(EXPECTED)?;
    let mut values = values.split_whitespace();
    let rating = values.next().ok_or(EXPECTED)?;
    values
        .next()
        .and_then(|value| value.strip_prefix("qid:"))
        .ok_or(EXPECTED)?;
    let (item, query) = comment
        .trim()
        .split_once(char::is_whitespace)
        .ok_or(EXPECTED)?;
    judgment(query.trim(), item, rating)
}

fn judgment(query: &str, item: &str, rating: &str) -> Result<Judgment, String> {
    let rating = Cell::Text(rating.into())
        .number()?
        .ok_or_else(|| format!("{} is not a grade", quoted(rating)))?;
    Ok(Judgment {
        query: query.to_owned(),
        item: item.to_owned(),
        rating,
    })
}

/// All `judgmentRatings` of a document with their paths: its own, or those of what it lists.
fn rating_lists<'v>(value: &'v Value, path: &str) -> Vec<(String, &'v Value)> {
    let inner = |name: &str| match path {
        "" => name.to_owned(),
        path => format!("{path}.{name}"),
    };
    if let Value::Array(items) = value {
        return (0..)
            .zip(items)
            .flat_map(|(number, item)| rating_lists(item, &format!("{path}[{number}]")))
            .collect();
    }
    if let Some(list) = value.get("judgmentRatings") {
        return vec![(inner("judgmentRatings"), list)];
    }
    ["hits", "_source"]
        .iter()
        .filter_map(|name| Some((name, value.get(name)?)))
        .flat_map(|(name, value)| rating_lists(value, &inner(name)))
        .collect()
}

fn workbench_rating(query: &str, rating: &Value) -> Result<Judgment, String> {
    let text = |name: &str| match &rating[name] {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        _ => Err(format!("no {name:?}")),
    };
    judgment(query, &text("docId")?, &text("rating")?)
}

/// Reads files of one format and writes them as one of another; returns what was read.
pub fn convert(
    (uri, from): (&str, JudgmentFormat),
    (out, to): (&Path, JudgmentFormat),
) -> Result<Judgments, TrainError> {
    let work = tempfile::tempdir().map_err(|error| {
        TrainError::storage_unavailable(format!("no work folder: {}", error.kind()))
    })?;
    let found = read(
        &source::resolve(Kind::Judgments(from), uri, work.path())?,
        from,
    )?;
    let write = |path: &Path, text: String| {
        fs::write(path, text).map_err(|error| {
            TrainError::storage_refused(format!("{path:?} cannot be written: {}", error.kind()))
        })
    };
    write(out, written(&found.all, to))?;
    if to == JudgmentFormat::TREC {
        write(&out.with_extension("tsv"), topics(&found.all))?;
    }
    Ok(found)
}

/// The text of a file in `format`. TREC's second file is that of [`topics`].
pub fn written(judgments: &[Judgment], format: JudgmentFormat) -> String {
    let numbers = numbers(judgments);
    let number = |one: &Judgment| numbers[one.query.as_str()];
    match format {
        JudgmentFormat::Quepid => csv_text(judgments),
        JudgmentFormat::TREC => each(judgments, |one| {
            format!("{} 0 {} {}", number(one), one.item, one.rating)
        }),
        JudgmentFormat::SVMRank => each(judgments, |one| {
            format!(
                "{} qid:{} # {} {}",
                one.rating,
                number(one),
                one.item,
                one.query
            )
        }),
        JudgmentFormat::Workbench => {
            let query = |ratings: &[Judgment]| {
                let rating = |one: &Judgment| json!({"docId": one.item, "rating": format!("{:.3}", one.rating)});
                json!({"query": ratings[0].query, "ratings": ratings.iter().map(rating).collect::<Vec<_>>()})
            };
            let queries: Vec<Value> = judgments
                .chunk_by(|a, b| a.query == b.query)
                .map(query)
                .collect();
            format!("{:#}\n", json!({"judgmentRatings": queries}))
        }
    }
}

/// The queries of TREC's qids, as `qid TAB query`.
pub fn topics(judgments: &[Judgment]) -> String {
    let mut all: Vec<(&str, usize)> = numbers(judgments).into_iter().collect();
    all.sort_unstable_by_key(|(_, number)| *number);
    all.iter()
        .map(|(query, number)| format!("{number}\t{query}\n"))
        .collect()
}

/// A number for each query, from 1 on.
fn numbers(judgments: &[Judgment]) -> HashMap<&str, usize> {
    judgments
        .chunk_by(|a, b| a.query == b.query)
        .map(|same| same[0].query.as_str())
        .zip(1..)
        .collect()
}

fn each(judgments: &[Judgment], line: impl Fn(&Judgment) -> String) -> String {
    judgments.iter().map(|one| line(one) + "\n").collect()
}

fn csv_text(judgments: &[Judgment]) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let mut row = |values: [&str; 3]| {
        writer
            .write_record(values)
            .expect("a vector takes what is written to it");
    };
    row(["query", "docid", "rating"]);
    for one in judgments {
        row([&one.query, &one.item, &one.rating.to_string()]);
    }
    let bytes = writer.into_inner().expect("a vector can be flushed");
    String::from_utf8(bytes).expect("texts were written")
}

#[cfg(test)]
mod tests;
