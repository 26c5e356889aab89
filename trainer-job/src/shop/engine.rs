//! The shop's search engine before there is a model: matching words, a little fame, a lot of
//! noise. It makes the order that is logged.

use std::collections::{HashMap, HashSet};

use super::{
    assortment::{Assortment, Item},
    draw::Draw,
    queries::Query,
    vocabulary::TOPS,
};

const NOISE: f64 = 1.5;

/// All items that are sold in a window, found by their top category.
pub struct Engine {
    pub items: Vec<Item>,
    words: Vec<HashSet<u32>>,
    vocabulary: HashMap<String, u32>,
    by_top: Vec<Vec<usize>>,
}

impl Engine {
    pub fn new(shop: Assortment, numbers: std::ops::Range<i64>) -> Self {
        let items: Vec<Item> = numbers.map(|number| shop.item(number)).collect();
        let mut vocabulary: HashMap<String, u32> = HashMap::new();
        let mut number = |word: &String| {
            let next = vocabulary.len() as u32;
            *vocabulary.entry(word.clone()).or_insert(next)
        };
        let words = items
            .iter()
            .map(|item| item.words.iter().map(&mut number).collect())
            .collect();
        let mut by_top = vec![Vec::new(); TOPS.len()];
        for (place, item) in items.iter().enumerate() {
            by_top[item.top()].push(place);
        }
        Self {
            items,
            words,
            vocabulary,
            by_top,
        }
    }

    /// The best `count` of the items numbered `sold`, best first, as places in `items`.
    pub fn search(
        &self,
        query: &Query,
        sold: &std::ops::Range<i64>,
        count: usize,
        draw: &mut Draw,
    ) -> Vec<usize> {
        let asked: Vec<(u32, f64)> = query
            .words
            .iter()
            .filter_map(|(word, weight)| Some((*self.vocabulary.get(word)?, *weight)))
            .collect();
        let on_sale = |place: &&usize| sold.contains(&self.items[**place].number);
        let mut found: Vec<(f64, usize)> = self.by_top[query.top()]
            .iter()
            .filter(on_sale)
            .map(|place| {
                (
                    self.score(query, &asked, *place) + NOISE * draw.normal(),
                    *place,
                )
            })
            .collect();
        found.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        found.truncate(count);
        found.into_iter().map(|(_, place)| place).collect()
    }

    fn score(&self, query: &Query, asked: &[(u32, f64)], place: usize) -> f64 {
        let item = &self.items[place];
        let matched: f64 = asked
            .iter()
            .filter(|(word, _)| self.words[place].contains(word))
            .map(|(_, weight)| weight)
            .sum();
        let neighbour = item.kind == query.intent.kind
            || item.kind().parent() == super::vocabulary::KINDS[query.intent.kind].parent();
        matched + if neighbour { 0.6 } else { 0.0 } + 0.25 * item.fame
            - 0.05 * item.words.len() as f64
    }
}
