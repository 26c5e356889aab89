//! Learned from people's grades of other queries.

use searchop_contract::BoostingParameters;
use searchop_trainer::{
    data::Window,
    lists,
    rows::{self, Catalog, RowList, Rows},
    slices::Slice,
    stage_a::DayCounts,
    traffic::Traffic,
};

use super::{
    data::World,
    folds::{FOLDS, split},
    model::{Model, values},
    table::{self, Figures, Graded},
};

const SPLIT_SEEDS: [u64; 3] = [42, 1, 2];
const TRAINING_SEEDS: [u32; 2] = [1, 2];
/// Any day: nothing was counted before it.
const DAY: i32 = 0;

/// A named figure.
pub type Figure = (&'static str, f64);

/// Prints the table and returns its figures.
pub fn measure(world: &World) -> Result<Vec<Figure>, String> {
    let catalog = Catalog::analyse(&world.products).map_err(|error| error.to_string())?;
    let rows = judged_rows(world, &catalog)?;
    let lists: Vec<&RowList> = rows.lists.iter().collect();
    let graded = graded(&rows, &lists);
    table::head("learned from grades, 5-fold over queries: mean of 3 splits and 2 seeds");
    let (random, bm25_title) = baselines(&rows, &lists, &graded);
    let list_free = cross_validated(&Questions::list_free(&rows), &graded)?;
    table::line("searchop, without CandidateList", list_free);
    let all = cross_validated(&Questions::of_lists(&rows, &catalog), &graded)?;
    table::line("searchop", all);
    Ok(vec![
        ("graded.ndcg10", all.ndcg),
        ("graded.ndcg10.bm25_title", bm25_title.ndcg),
        ("graded.ndcg10.random", random.ndcg),
        ("graded_listfree.ndcg10", list_free.ndcg),
        ("graded_listfree.ndcg10.bm25_title", bm25_title.ndcg),
        ("graded_listfree.ndcg10.random", random.ndcg),
    ])
}

/// Prints the rankings that need no model; returns the random one and BM25 over titles.
pub fn baselines(rows: &Rows, lists: &[&RowList], graded: &[Graded]) -> (Figures, Figures) {
    let by = |score: &dyn Fn(&RowList) -> Vec<f64>| {
        let scores: Vec<Vec<f64>> = lists.iter().map(|list| score(list)).collect();
        Figures::of(graded, &scores)
    };
    let by_feature = |feature| by(&|list| values(rows, list, feature));
    let random = by(&|list| vec![0.0; list.rows.len()]);
    let bm25_title = by_feature("title_bm25");
    table::line("random order", random);
    table::line("order of the ids", by(&by_place));
    table::line("popularity (rating count)", by_feature("rating_count_log"));
    table::line("BM25 of titles", bm25_title);
    table::line("BM25 of all text", by_feature("all_bm25"));
    (random, bm25_title)
}

fn by_place(list: &RowList) -> Vec<f64> {
    (0..list.rows.len()).map(|place| -(place as f64)).collect()
}

/// The judged products of every query, before anything was counted.
fn judged_rows(world: &World, catalog: &Catalog) -> Result<Rows, String> {
    let mut traffic = Traffic {
        items: world.products.iter().map(|one| one.id.clone()).collect(),
        known_items: world.products.len() as u32,
        queries: Vec::new(),
        keys: Vec::new(),
        events: Vec::new(),
        not_shown: Vec::new(),
        declared: Default::default(),
    };
    let place = (catalog.analyzer(), DAY);
    let (lists, _) = lists::judged(&world.judgments, &mut traffic, place);
    let counts = DayCounts::count(&traffic).map_err(|error| error.to_string())?;
    let window = Window {
        first_day: DAY,
        last_day: DAY,
    };
    Ok(rows::compute(catalog, &traffic, &lists, (&counts, window)).0)
}

/// The grades of lists.
pub fn graded(rows: &Rows, lists: &[&RowList]) -> Vec<Graded> {
    let grades = |list: &&RowList| Graded {
        grades: rows.candidates[list.rows.clone()]
            .iter()
            .map(|one| one.label)
            .collect(),
    };
    lists.iter().map(grades).collect()
}

/// The same lists to learn from and to be asked.
struct Questions {
    asked: Rows,
    /// By training seed.
    learned: Vec<(u32, Rows)>,
}

impl Questions {
    fn list_free(rows: &Rows) -> Self {
        let learned = TRAINING_SEEDS.map(|seed| (seed, rows.clone()));
        Self {
            asked: rows.clone(),
            learned: learned.into(),
        }
    }

    /// With the features of whole lists: a list is asked as a whole, and cut to be learned from, as
    /// in any training.
    fn of_lists(rows: &Rows, catalog: &Catalog) -> Self {
        let mut asked = rows.clone();
        catalog.fill_candidate_lists(&mut asked, 0);
        let cut = |seed| {
            let mut rows = rows.clone();
            for list in &mut rows.lists {
                list.slice = Slice::Train;
            }
            catalog.fill_candidate_lists(&mut rows, seed);
            (seed, rows)
        };
        Self {
            asked,
            learned: TRAINING_SEEDS.map(cut).into(),
        }
    }
}

fn cross_validated(questions: &Questions, graded: &[Graded]) -> Result<Figures, String> {
    let asked = &questions.asked;
    let mut figures = Vec::new();
    for split_seed in SPLIT_SEEDS {
        let folds = split(asked.lists.len(), split_seed);
        for (seed, rows) in &questions.learned {
            let parameters = BoostingParameters {
                seed: *seed,
                ..BoostingParameters::default()
            };
            let mut scores = vec![Vec::new(); asked.lists.len()];
            for fold in 0..FOLDS {
                let learned = rows.lists.iter().zip(&folds);
                let learned = learned.filter(|(_, of)| **of != fold).map(|(list, _)| list);
                let model = Model::train(&rows.groups_of(learned, None), &parameters)?;
                for (index, list) in asked.lists.iter().enumerate() {
                    if folds[index] == fold {
                        scores[index] = model.scores(asked, list);
                    }
                }
            }
            figures.push(Figures::of(graded, &scores));
            eprintln!(
                "split {split_seed}, seed {seed}: NDCG@10 {:.4}",
                figures[figures.len() - 1].ndcg
            );
        }
    }
    Ok(Figures::mean(&figures))
}
