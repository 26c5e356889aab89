//! What shoppers ask for: a fixed population of queries with a long tail, and fresh ones.

use std::collections::HashSet;

use super::{
    assortment::{Assortment, Item, words},
    draw::{Draw, Purpose, cumulative, exp},
    vocabulary::{
        AUDIENCES, BRANDS, CHEAP_WORDS, COLOURS, KINDS, PREMIUM_WORDS, Style, TOPS, tier,
    },
};

/// What a shopper has in mind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    pub kind: usize,
    pub feature: Option<usize>,
    pub audience: Option<usize>,
    pub colour: Option<usize>,
    pub brand: Option<usize>,
    pub price: Option<PriceWish>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PriceWish {
    Cheap,
    Premium,
}

/// An intent and how it is put into words.
#[derive(Clone, Debug)]
pub struct Query {
    /// As typed.
    pub text: String,
    pub intent: Intent,
    /// Words as the search engine understands them, after its spelling correction, each with its
    /// weight.
    pub words: Vec<(String, f64)>,
}

impl Query {
    pub fn top(&self) -> usize {
        self.intent.kind % TOPS.len()
    }
}

impl Intent {
    /// How well an item is what was meant, in (0, 1], whoever asks.
    pub fn relevance(&self, item: &Item) -> f64 {
        let (wanted, found) = (&KINDS[self.kind], item.kind());
        let mut relevance = if item.kind == self.kind {
            1.0
        } else if found.parent() == wanted.parent() {
            0.25
        } else if item.kind % TOPS.len() == self.kind % TOPS.len() {
            0.08
        } else {
            0.02
        };
        let same_kind = item.kind == self.kind;
        let mut prefer = |asked: bool, fits: bool, otherwise: f64| {
            if asked && !fits {
                relevance *= otherwise;
            }
        };
        prefer(
            self.feature.is_some(),
            same_kind && self.feature == Some(item.feature),
            0.45,
        );
        prefer(
            self.audience.is_some() && item.audience.is_none(),
            false,
            0.7,
        );
        prefer(
            self.audience.is_some() && item.audience.is_some(),
            self.audience == item.audience,
            0.2,
        );
        prefer(self.colour.is_some(), self.colour == item.colour, 0.5);
        prefer(self.brand.is_some(), self.brand == Some(item.brand), 0.3);
        prefer(
            self.price == Some(PriceWish::Cheap),
            item.dearness < -0.1,
            0.45,
        );
        prefer(
            self.price == Some(PriceWish::Premium),
            tier(item.brand) > 0 || item.dearness > 0.3,
            0.45,
        );
        relevance
    }
}

/// The queries that are asked again and again, most frequent first.
pub struct Population {
    pub queries: Vec<Query>,
    all: Vec<f64>,
    /// Places and running weights of each top category's queries.
    by_top: Vec<(Vec<usize>, Vec<f64>)>,
}

impl Population {
    pub fn new(shop: Assortment) -> Self {
        let wanted = (shop.products as usize / 4).clamp(60, 2000);
        let mut ranked: Vec<(f64, Query)> = Vec::new();
        let mut texts = HashSet::new();
        for index in 0..20 * wanted as i64 {
            let mut draw = Draw::new(shop.seed, Purpose::Query, index);
            let misspelt = draw.chance(0.05);
            let query = compose(shop, &mut draw, misspelt);
            // By and large, frequent queries are short and spelt right.
            let words = query.text.split(' ').count() as f64 + if misspelt { 2.0 } else { 0.0 };
            let rank = words + draw.normal() + 0.03 * query.intent.kind as f64;
            if texts.insert(query.text.clone()) {
                ranked.push((rank, query));
            }
            if ranked.len() == wanted {
                break;
            }
        }
        ranked.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.text.cmp(&b.1.text)));
        let queries: Vec<Query> = ranked.into_iter().map(|(_, query)| query).collect();
        // Zipf's law with the flattened head that shops see.
        let weight = |place: usize| 1.0 / (place as f64 + 6.0);
        let by_top = (0..TOPS.len())
            .map(|top| {
                let places: Vec<usize> = (0..queries.len())
                    .filter(|place| queries[*place].top() == top)
                    .collect();
                let weights = cumulative(places.iter().map(|place| weight(*place)));
                (places, weights)
            })
            .collect();
        let all = cumulative((0..queries.len()).map(weight));
        Self {
            queries,
            all,
            by_top,
        }
    }

    pub fn any(&self, draw: &mut Draw) -> &Query {
        &self.queries[draw.weighted(&self.all)]
    }

    /// A query in a top category, or any where there is none.
    pub fn within(&self, top: usize, draw: &mut Draw) -> &Query {
        let (places, weights) = &self.by_top[top];
        if places.is_empty() {
            self.any(draw)
        } else {
            &self.queries[places[draw.weighted(weights)]]
        }
    }
}

/// A new query.
pub fn compose(shop: Assortment, draw: &mut Draw, misspelt: bool) -> Query {
    let kind = (draw.unit().sqrt() * draw.unit() * shop.kinds() as f64) as usize;
    let about = &KINDS[kind];
    let worn = about.style == Style::Worn;
    let coloured = matches!(about.style, Style::Worn | Style::Coloured);
    let intent = Intent {
        kind,
        feature: draw.chance(0.4).then(|| draw.below(about.features.len())),
        audience: (worn && draw.chance(0.4)).then(|| draw.below(AUDIENCES.len())),
        colour: (coloured && draw.chance(0.13)).then(|| draw.below(COLOURS.len())),
        brand: draw.chance(0.15).then(|| draw.below(BRANDS[0].len())),
        price: match draw.unit() {
            u if u < 0.06 => Some(PriceWish::Cheap),
            u if u < 0.1 => Some(PriceWish::Premium),
            _ => None,
        },
    };
    phrase(intent, draw, misspelt)
}

fn phrase(intent: Intent, draw: &mut Draw, misspelt: bool) -> Query {
    let about = &KINDS[intent.kind];
    let mut parts: Vec<(&str, f64)> = Vec::new();
    match intent.price {
        Some(PriceWish::Cheap) => parts.push((draw.pick(&CHEAP_WORDS), 0.0)),
        Some(PriceWish::Premium) => parts.push((draw.pick(&PREMIUM_WORDS), 0.0)),
        None => {}
    }
    parts.extend(
        intent
            .brand
            .map(|brand| (BRANDS[intent.kind % TOPS.len()][brand], 2.0)),
    );
    parts.extend(intent.colour.map(|colour| (COLOURS[colour], 1.0)));
    parts.extend(intent.feature.map(|feature| (about.features[feature], 1.4)));
    parts.push((about.noun, 2.2));
    parts.extend(intent.audience.map(|audience| (AUDIENCES[audience], 1.0)));

    let weighed = parts
        .iter()
        .flat_map(|(text, weight)| words(text).into_iter().map(move |word| (word, *weight)))
        .filter(|(_, weight)| *weight > 0.0)
        .collect();
    let mut text: String = parts
        .iter()
        .map(|(text, _)| text.to_lowercase())
        .collect::<Vec<_>>()
        .join(" ");
    if draw.chance(0.08) && text.ends_with('s') && intent.audience.is_none() {
        text.pop();
    }
    if misspelt {
        text = misspell(&text, draw);
    }
    Query {
        text,
        intent,
        words: weighed,
    }
}

/// One slip of the fingers in the longest word: a letter left out, doubled or swapped.
fn misspell(text: &str, draw: &mut Draw) -> String {
    let Some(word) = text
        .split(' ')
        .max_by_key(|word| word.len())
        .filter(|word| word.is_ascii() && word.len() > 3)
    else {
        return text.to_owned();
    };
    let mut letters = word.as_bytes().to_vec();
    let at = 1 + draw.below(letters.len() - 2);
    match draw.below(3) {
        0 => drop(letters.remove(at)),
        1 => letters.insert(at, letters[at]),
        _ => letters.swap(at, at + 1),
    }
    text.replacen(word, &String::from_utf8_lossy(&letters), 1)
}

/// A grade from 0 (not at all) to 3 (just right) for judges, who look at the product and not at
/// who asks.
pub fn grade(intent: &Intent, item: &Item) -> (u8, f64) {
    let relevance = intent.relevance(item) * (0.25 + 0.75 * item.appeal());
    let grade = match relevance {
        r if r >= 0.5 => 3,
        r if r >= 0.25 => 2,
        r if r >= 0.1 => 1,
        _ => 0,
    };
    (grade, relevance)
}

/// How much weight `dearness` has for a shopper of a price class: −1, 0 or 1.
pub fn price_taste(class: i32, dearness: f64) -> f64 {
    let miss = dearness - 0.5 * f64::from(class);
    exp(-0.8 * miss * miss)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHOP: Assortment = Assortment {
        seed: 42,
        products: 2000,
    };

    #[test]
    fn the_population_has_its_size_and_no_query_twice() {
        let population = Population::new(SHOP);
        assert_eq!(population.queries.len(), 500);
        let texts: HashSet<&str> = population
            .queries
            .iter()
            .map(|query| query.text.as_str())
            .collect();
        assert_eq!(texts.len(), 500);
        let words =
            |queries: &[Query]| queries.iter().map(|query| query.words.len()).sum::<usize>();
        assert!(words(&population.queries[..100]) < words(&population.queries[400..]));
    }

    #[test]
    fn a_slip_changes_one_word() {
        let mut draw = Draw::new(1, Purpose::Query, 0);
        for _ in 0..50 {
            let slip = misspell("trail running shoes", &mut draw);
            assert!(
                slip.starts_with("trail ") && slip.ends_with(" shoes"),
                "{slip}"
            );
        }
    }

    #[test]
    fn an_exact_match_is_more_relevant_than_its_neighbours() {
        let items: Vec<Item> = SHOP
            .listed(20_000)
            .map(|number| SHOP.item(number))
            .collect();
        let wanted = items.iter().find(|item| item.audience.is_some()).unwrap();
        let intent = Intent {
            kind: wanted.kind,
            feature: Some(wanted.feature),
            audience: wanted.audience,
            colour: wanted.colour,
            brand: Some(wanted.brand),
            price: None,
        };
        assert_eq!(intent.relevance(wanted), 1.0);
        let others = items.iter().filter(|item| item.kind != wanted.kind);
        assert!(
            others
                .map(|item| intent.relevance(item))
                .fold(0.0, f64::max)
                <= 0.25
        );
    }
}
