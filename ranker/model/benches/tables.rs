//! `make bench-tables`: one million made-up products in tables on disk, beside maps of owned values
//! as a program would plainly keep them.
#![allow(clippy::unwrap_used, reason = "a failed step fails the run")]

use std::{collections::HashMap, fmt::Write as _, fs, hint::black_box, path::Path, time::Instant};

use jiff::Timestamp;
use searchop_contract::{Digest, names};
use searchop_model::{
    bundle::features_of,
    counters::{Counters, ItemHistory, Totals},
    item::{Candidate, ItemFields, ItemNumbers},
    tables::{ItemRow, QueryItemRow, TableRows, Tables},
    text::Analyzer,
};

const QUERIES: usize = 20_000;
const PAIRS_OF_QUERY: usize = 50;
const CANDIDATES: usize = 100;
const OPENED: usize = 5;
const NOW: i64 = 1_700_000_000;

fn main() {
    let items = std::env::var("SEARCHOP_BENCH_ITEMS").map_or(1_000_000, |n| n.parse().unwrap());
    let shop = Shop::new(items);
    let dir = tempfile::tempdir().unwrap();
    let started = cpu_seconds();
    let tables = Tables::build(shop.rows()).unwrap();
    figure("tables.1m.build_cpu_s", cpu_seconds() - started, "s");
    let digest = tables.write(dir.path()).unwrap();
    drop(tables);

    let mut opened = Vec::new();
    let started = process_cpu_seconds();
    for _ in 0..OPENED {
        let started = Instant::now();
        drop(Tables::read(dir.path(), &digest).unwrap());
        opened.push(started.elapsed().as_secs_f64() * 1e3);
    }
    let cpu = (process_cpu_seconds() - started) * 1e3 / OPENED as f64;
    opened.sort_by(f64::total_cmp);
    figure("tables.1m.open_ms", opened[opened.len() / 2], "ms");
    figure("tables.1m.open_ms.fastest", opened[0], "ms");
    figure("tables.1m.open_ms.cpu_of_two_threads", cpu, "ms");
    let bytes = fs::read(dir.path().join(names::TEXTS_FILE)).unwrap();
    let started = cpu_seconds();
    black_box(Digest::of(&bytes));
    let per_second = bytes.len() as f64 / (cpu_seconds() - started) / 1e6;
    figure("tables.1m.sha256_mb_per_s", per_second, "MB/s");
    drop(bytes);
    let tables = Tables::read(dir.path(), &digest).unwrap().0;

    sizes(&shop, dir.path());
    lookups(&shop, &tables);
    rows(&shop, &tables);
}

fn figure(name: &str, value: f64, unit: &str) {
    println!("figure {name} {value:.3} {unit}");
}

/// Seconds that this thread has been running: unlike the clock's, they do not count what other
/// programs of the machine take.
fn cpu_seconds() -> f64 {
    let schedule = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    let nanos: f64 = schedule.split(' ').next().unwrap().parse().unwrap();
    nanos / 1e9
}

/// The same of all threads, in steps of 10 ms.
fn process_cpu_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    let ticks = |field: usize| fields[field].parse::<f64>().unwrap();
    (ticks(11) + ticks(12)) / 100.0
}

/// A small generator of numbers; the same each run.
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Small numbers often, as words are.
    fn rank(&mut self, end: usize) -> usize {
        ((end as f64).powf(self.unit()) - 1.0) as usize
    }
}

/// Products with the lengths of those of a large shop: 12 words of title, 100 of description.
struct Shop {
    items: Vec<ItemRow>,
    queries: Vec<String>,
}

const WORDS: usize = 300_000;
const BRANDS: usize = 20_000;
const CATEGORIES: usize = 2_000;

fn word(index: usize) -> String {
    const SYLLABLES: [&str; 16] = [
        "ba", "ce", "di", "fo", "gu", "ha", "ke", "li", "mo", "nu", "pa", "re", "si", "to", "vu",
        "za",
    ];
    let mut word = String::new();
    let mut left = index + 16;
    while left > 0 {
        word.push_str(SYLLABLES[left % 16]);
        left /= 16;
    }
    word
}

fn text(draw: &mut Draw, words: usize) -> String {
    let words: Vec<String> = (0..words).map(|_| word(draw.rank(WORDS))).collect();
    words.join(" ")
}

fn counters(draw: &mut Draw) -> Counters {
    let shown = draw.rank(2000) as u32;
    Counters {
        impressions: std::array::from_fn(|bucket| shown / (bucket as u32 + 1)),
        clicks: shown / 10,
        carts: shown / 50,
        purchases: shown / 200,
    }
}

impl Shop {
    fn new(items: usize) -> Self {
        let mut draw = Draw(42);
        let items = (0..items).map(|index| item(index, &mut draw)).collect();
        let mut shop = Self {
            items,
            queries: Vec::new(),
        };
        let analyzer = Analyzer::english();
        let query = |_| {
            let item = &shop.items[draw.below(shop.items.len())];
            let title: Vec<&str> = item.fields.title.as_ref().unwrap().split(' ').collect();
            let start = draw.below(title.len() - 3);
            let length = 1 + draw.below(3);
            analyzer.query_key(&title[start..start + length].join(" "))
        };
        let mut queries: Vec<String> = (0..QUERIES).map(query).collect();
        queries.sort();
        queries.dedup();
        shop.queries = queries;
        shop
    }

    fn rows(&self) -> TableRows {
        let mut draw = Draw(7);
        let mut query_items = Vec::new();
        for query in &self.queries {
            let mut items: Vec<usize> = (0..PAIRS_OF_QUERY)
                .map(|_| draw.below(self.items.len()))
                .collect();
            items.sort_unstable();
            items.dedup();
            query_items.extend(items.into_iter().map(|item| QueryItemRow {
                query: query.clone(),
                item: self.items[item].id.clone(),
                counters: counters(&mut draw),
            }));
        }
        TableRows {
            model: "bench".to_owned(),
            tables_time: Timestamp::from_second(NOW).unwrap(),
            items: self.items.clone(),
            query_items,
            totals: Totals {
                impressions: [1_000_000; 9],
                clicks: [50_000; 9],
                carts: 20_000,
                purchases: 5_000,
            },
        }
    }
}

fn item(index: usize, draw: &mut Draw) -> ItemRow {
    let words = 60 + draw.below(80);
    let category = draw.rank(CATEGORIES);
    ItemRow {
        id: format!("p{index:07}"),
        fields: ItemFields {
            title: Some(text(draw, 12)),
            description: Some(text(draw, words)),
            brand: Some(word(WORDS + draw.rank(BRANDS))),
            category: Some(format!("{}/{}", word(category % 40), word(category))),
            price: Some(1.0 + draw.rank(50_000) as f64 / 100.0),
            rating: Some(draw.below(50) as f64 / 10.0),
            stock: Some(draw.rank(500) as f64),
            added_time: Some(NOW - 86_400 * draw.below(2000) as i64),
            ..ItemFields::default()
        },
        history: ItemHistory {
            short: counters(draw),
            long: counters(draw),
        },
    }
}

/// What an item's numbers take as plain values: four floats, a time, two counters.
const NUMBER_BYTES: usize = 4 * 4 + 8 + 2 * size_of::<Counters>();

fn sizes(shop: &Shop, dir: &Path) {
    let items = shop.items.len() as f64;
    let bytes = |name| fs::metadata(dir.join(name)).unwrap().len() as f64;
    let ids: usize = shop.items.iter().map(|item| item.id.len()).sum();
    let plain = items * NUMBER_BYTES as f64 + ids as f64;
    figure(
        "tables.1m.number_overhead",
        bytes(names::ITEMS_FILE) / plain,
        "×",
    );
    let text = bytes(names::TEXTS_FILE) + bytes(names::LEXICON_FILE);
    figure("tables.1m.text_bytes_per_item", text / items, "B");

    let analyzer = Analyzer::english();
    let sample = &shop.items[..shop.items.len().min(10_000)];
    let held: usize = sample
        .iter()
        .map(|item| plain_text_bytes(&analyzer, &item.fields))
        .sum();
    let held = held as f64 / sample.len() as f64;
    figure("tables.1m.text_bytes_per_item.plain", held, "B");
}

/// What the same text takes as owned strings: the fields, the tokens of the title, the distinct terms
/// of title and of all text with their counts, and the title's character windows.
fn plain_text_bytes(analyzer: &Analyzer, fields: &ItemFields) -> usize {
    let texts = [
        &fields.title,
        &fields.description,
        &fields.brand,
        &fields.category,
    ];
    let texts = texts.map(|text| text.as_deref().unwrap_or_default());
    let tokens = texts.map(|text| analyzer.tokens(text));
    let string = |text: &str| size_of::<String>() + text.len();
    let counted = |mut terms: Vec<&String>| -> usize {
        terms.sort();
        terms.dedup();
        terms
            .iter()
            .map(|term| size_of::<(Box<str>, u32)>() + term.len())
            .sum()
    };
    let fields: usize = texts.into_iter().map(string).sum();
    let title: usize = tokens[0].iter().map(|token| string(token)).sum();
    fields
        + title
        + counted(tokens[0].iter().collect())
        + counted(tokens.iter().flatten().collect())
        + size_of::<u64>() * texts[0].len().saturating_sub(2)
}

/// Nanoseconds for each id.
fn nanos(ids: &[&str], rounds: usize, lookup: impl Fn(&str) -> u64) -> f64 {
    let started = cpu_seconds();
    let mut sum = 0u64;
    for _ in 0..rounds {
        for id in ids {
            sum = sum.wrapping_add(lookup(id));
        }
    }
    black_box(sum);
    (cpu_seconds() - started) * 1e9 / (ids.len() * rounds) as f64
}

fn lookups(shop: &Shop, tables: &Tables) {
    let plain: HashMap<String, (ItemNumbers, ItemHistory)> = shop
        .items
        .iter()
        .map(|item| (item.id.clone(), (item.fields.numbers(), item.history)))
        .collect();
    let mut draw = Draw(3);
    let mut ids = String::new();
    let count = shop.items.len().min(300_000);
    for _ in 0..count {
        write!(ids, "{} ", shop.items[draw.below(shop.items.len())].id).unwrap();
    }
    let cold: Vec<&str> = ids.split_whitespace().collect();
    let hot = &cold[..CANDIDATES];
    let value = |numbers: ItemNumbers, history: ItemHistory| {
        numbers.price.unwrap().to_bits() ^ history.long.shown() ^ history.short.shown()
    };
    let of_table = |id: &str| {
        let item = tables.item(id).unwrap();
        value(item.numbers(), item.history())
    };
    let of_text = |id: &str| {
        let text = tables.item(id).unwrap().text();
        text.title().unwrap().len() as u64
    };
    let of_map = |id: &str| {
        let (numbers, history) = plain[id];
        value(numbers, history)
    };
    for (name, ids, rounds) in [("cold", &cold[..], 1), ("hot", hot, 1000)] {
        let name = format!("tables.1m.lookup_{name}_ns");
        figure(&name, nanos(ids, rounds, of_table), "ns");
        figure(&format!("{name}.text"), nanos(ids, rounds, of_text), "ns");
        figure(
            &format!("{name}.hash_map"),
            nanos(ids, rounds, of_map),
            "ns",
        );
    }
}

/// Rows of candidates drawn from all items under real queries, on this one core.
fn rows(shop: &Shop, tables: &Tables) {
    let mut draw = Draw(5);
    let requests: Vec<(&str, Vec<&ItemRow>)> = (0..2000)
        .map(|_| {
            let item = |_| &shop.items[draw.below(shop.items.len())];
            let items = (0..CANDIDATES).map(item).collect();
            (&*shop.queries[draw.below(shop.queries.len())], items)
        })
        .collect();
    let per_second = |requests: &[(&str, Vec<&ItemRow>)], with_text: bool| {
        let started = cpu_seconds();
        for (query, items) in requests {
            let candidates: Vec<Candidate> = items
                .iter()
                .map(|item| match with_text {
                    false => Candidate {
                        id: &item.id,
                        ..Candidate::default()
                    },
                    true => Candidate {
                        id: "",
                        fields: &item.fields,
                        ..Candidate::default()
                    },
                })
                .collect();
            black_box(features_of(tables, query, NOW, &candidates));
        }
        (requests.len() * CANDIDATES) as f64 / (cpu_seconds() - started)
    };
    figure(
        "rows.pairs_per_second",
        per_second(&requests, false),
        "pairs/s",
    );
    let analysed = per_second(&requests[..50], true);
    figure("rows.pairs_per_second.text_in_request", analysed, "pairs/s");
}
