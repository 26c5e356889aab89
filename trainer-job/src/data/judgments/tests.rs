use tempfile::TempDir;

use super::*;

fn read_texts(format: JudgmentFormat, files: &[(&str, &str)]) -> Result<Judgments, String> {
    let folder = TempDir::new().unwrap();
    let files: Vec<SourceFile> = files
        .iter()
        .map(|(name, text)| {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            SourceFile::of(Kind::Judgments(format), path).unwrap()
        })
        .collect();
    read(&files, format).map_err(|error| error.to_string())
}

fn sample() -> Vec<Judgment> {
    [
        ("red shoe", "a-1", 3.0),
        ("red shoe", "a-2", 0.0),
        ("say \"hat\", please", "b,1", 1.0),
    ]
    .map(|(query, item, rating)| Judgment {
        query: query.into(),
        item: item.into(),
        rating,
    })
    .to_vec()
}

#[test]
fn what_is_written_is_read_again() {
    for format in [
        JudgmentFormat::Quepid,
        JudgmentFormat::TREC,
        JudgmentFormat::SVMRank,
        JudgmentFormat::Workbench,
    ] {
        let (text, topics) = (written(&sample(), format), topics(&sample()));
        let name = match format {
            JudgmentFormat::Quepid => "judgments.csv",
            JudgmentFormat::Workbench => "judgments.json",
            _ => "judgments.txt",
        };
        let mut files = vec![(name, text.as_str())];
        if format == JudgmentFormat::TREC {
            files.push(("queries.tsv", &topics));
        }
        let found = read_texts(format, &files).unwrap();
        assert_eq!(found.all, sample(), "{format:?}");
        assert_eq!(found.unrated, 0);
    }
}

#[test]
fn what_others_write_is_read() {
    let one = |query: &str, item: &str, rating: f64| Judgment {
        query: query.into(),
        item: item.into(),
        rating,
    };
    let quepid = "query,docid,rating\r\nNike,1,3\r\nNike,2,\r\nnike,1,2.5\r\n";
    let found = read_texts(JudgmentFormat::Quepid, &[("export.csv", quepid)]).unwrap();
    assert_eq!(found.all, [one("Nike", "1", 3.0), one("nike", "1", 2.5)]);
    assert_eq!(found.unrated, 1);

    let qrels = "shoes 0 d1 2\n\nshoes  Q0  d2  -1\n";
    let found = read_texts(JudgmentFormat::TREC, &[("qrels", qrels)]).unwrap();
    assert_eq!(
        found.all,
        [one("shoes", "d1", 2.0), one("shoes", "d2", 0.0)]
    );

    let svm = "3 qid:7 1:0.5 2:1 #  d1   red  shoe\n";
    let found = read_texts(JudgmentFormat::SVMRank, &[("rank.txt", svm)]).unwrap();
    assert_eq!(found.all, [one("red  shoe", "d1", 3.0)]);

    let hits = r#"{"hits": {"hits": [{"_source": {"judgmentRatings": [
        {"query": "tv", "ratings": [{"docId": "x", "rating": "3.000"}, {"docId": 4, "rating": 1}]}]}}]}}"#;
    let found = read_texts(JudgmentFormat::Workbench, &[("hits.json", hits)]).unwrap();
    assert_eq!(found.all, [one("tv", "4", 1.0), one("tv", "x", 3.0)]);
}

#[test]
fn bad_files_are_refused_with_the_place_and_the_reason() {
    let head = "query,docid,rating\n";
    let cases = [
        (JudgmentFormat::Quepid, "j.csv", "", "j.csv is empty"),
        (
            JudgmentFormat::Quepid,
            "j.csv",
            head,
            "j.csv: no rows below the header",
        ),
        (
            JudgmentFormat::Quepid,
            "j.csv",
            "query;docid;rating\nshoes;1;3\n",
            "j.csv: column \"query\" is missing; found: \"query;docid;rating\"; \
             columns are separated by commas",
        ),
        (
            JudgmentFormat::Quepid,
            "j.csv",
            &format!("{head}shoes,1,good\nshoes,2,-1\n,3,1\nshoes,4,inf\n"),
            "j.csv: line 2, column \"rating\": \"good\" is not a number; \
             j.csv: line 3, column \"rating\": \"-1\" is below 0; \
             j.csv: line 4, column \"query\": no value; \
             j.csv: line 5, column \"rating\": \"inf\" is not a finite number; 4 bad rows in all",
        ),
        (
            JudgmentFormat::Quepid,
            "j.csv",
            &format!("{head}shoes,1,3\nshoes,1,3\nshoes,1,2\n"),
            "j.csv: line 4, column \"rating\": \"1\" for \"shoes\" is rated 3 and 2",
        ),
        (
            JudgmentFormat::TREC,
            "qrels.txt",
            "1 0 d1 2\n1 0 d2\n1 0 d3 high\n",
            "qrels.txt: line 2: 3 values, expected 4: qid 0 docid grade; \
             qrels.txt: line 3: \"high\" is not a number; 2 bad rows in all",
        ),
        (
            JudgmentFormat::SVMRank,
            "rank.txt",
            "3 1 # d1 shoe\n",
            "rank.txt: line 1: expected a line such as \"3 qid:1 # docid query\"",
        ),
        (
            JudgmentFormat::SVMRank,
            "rank.txt",
            "3 qid:1 # d1\n",
            "rank.txt: line 1: expected a line such as \"3 qid:1 # docid query\"",
        ),
        (
            JudgmentFormat::Workbench,
            "w.json",
            "{\"judgmentRatings\": [",
            "w.json: not JSON from line 1, character 21 on",
        ),
        (
            JudgmentFormat::Workbench,
            "w.json",
            "{}",
            "w.json: no \"judgmentRatings\"",
        ),
        (
            JudgmentFormat::Workbench,
            "w.json",
            r#"{"judgmentRatings": [{"query": "tv", "ratings": [{"docId": "x", "rating": "a"}, {"rating": 1}]}, {"query": 1}]}"#,
            "w.json: judgmentRatings[0].ratings[0]: \"a\" is not a number; \
             w.json: judgmentRatings[0].ratings[1]: no \"docId\"; \
             w.json: judgmentRatings[1]: expected \"query\", a text, and \"ratings\", a list; 3 bad rows in all",
        ),
    ];
    for (format, name, text, message) in cases {
        let error = read_texts(format, &[(name, text)]).unwrap_err();
        assert_eq!(error, message, "{text}");
    }
    let error = read_texts(
        JudgmentFormat::TREC,
        &[
            ("qrels.txt", "1 0 d 1\n2 0 d 1\n"),
            ("queries.tsv", "1\tshoes\n"),
        ],
    );
    assert_eq!(
        error.unwrap_err(),
        "qrels.txt: line 2: no query for qid \"2\""
    );
}

#[test]
fn ratings_become_grades_from_0_to_3() {
    let graded = |ratings: &[f64]| {
        let judgments = Judgments {
            all: ratings
                .iter()
                .map(|&rating| Judgment {
                    query: "q".into(),
                    item: "i".into(),
                    rating,
                })
                .collect(),
            unrated: 0,
        };
        judgments.grades()
    };
    assert_eq!(graded(&[0.0, 1.0, 2.0, 3.0]), [0, 1, 2, 3]);
    assert_eq!(graded(&[0.0, 1.0]), [0, 1], "grades of their own");
    assert_eq!(graded(&[2.5, 1.2]), [3, 1], "means of several raters");
    assert_eq!(graded(&[10.0, 5.0, 1.0]), [3, 2, 0], "0 to 10");
    assert_eq!(graded(&[0.8, 0.4, 0.1]), [3, 2, 0], "click models");
}
