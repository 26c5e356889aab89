//! A shop in which what people want changes from day to day.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
};

use jiff::{SignedDuration, Timestamp};
use rand::{RngExt, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

pub const CATALOG: &str = "catalog.csv";

const QUERIES: usize = 40;
/// Items of each query; a list shows all of them.
const ITEMS_A_QUERY: usize = 25;
const ITEMS: usize = QUERIES * ITEMS_A_QUERY / 2;
const LISTS_A_DAY: usize = 500;
/// Of yesterday's fashion, so much is left today: half of it is gone in a week.
const REMAINS: f64 = 0.9;
/// The share of an item's appeal that is fashion, against what is always there.
const FASHION: f64 = 0.8;
/// The chance that a position is looked at falls with this power of it.
const LOOKED_AT: f64 = 0.7;

/// The world on one day.
pub struct World {
    /// Days since it began.
    pub day: i32,
    random: ChaCha8Rng,
    queries: Vec<(String, Vec<usize>)>,
    /// What an item is always worth, and what it is worth today.
    lasting: Vec<f64>,
    fashion: Vec<f64>,
}

impl World {
    pub fn new(seed: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let query = |number: usize, random: &mut ChaCha8Rng| {
            let mut items: Vec<usize> = (0..ITEMS).collect();
            items.shuffle(random);
            items.truncate(ITEMS_A_QUERY);
            (format!("thing{number}"), items)
        };
        Self {
            day: 0,
            queries: (0..QUERIES)
                .map(|number| query(number, &mut random))
                .collect(),
            lasting: (0..ITEMS).map(|_| normal(&mut random)).collect(),
            fashion: (0..ITEMS).map(|_| normal(&mut random)).collect(),
            random,
        }
    }

    /// The catalogue says nothing about what people want.
    pub fn write_catalog(folder: &Path) -> io::Result<()> {
        let mut file = BufWriter::new(File::create(folder.join(CATALOG))?);
        writeln!(file, "product_id,title,price")?;
        for item in 0..ITEMS {
            writeln!(file, "{},Article number {item},{}", id(item), 5 + item % 90)?;
        }
        file.flush()
    }

    /// Queries with their items.
    pub fn queries(&self) -> impl Iterator<Item = (&str, &[usize])> {
        self.queries.iter().map(|(text, items)| (&**text, &**items))
    }

    /// What people want today: the best tenth of a list is worth 3, the next tenths 2 and 1.
    pub fn grades(&self, items: &[usize]) -> Vec<u8> {
        let mut order: Vec<usize> = (0..items.len()).collect();
        order.sort_by(|a, b| self.appeal(items[*b]).total_cmp(&self.appeal(items[*a])));
        let mut grades = vec![0; items.len()];
        for (rank, place) in order.into_iter().enumerate() {
            grades[place] = 3_u8.saturating_sub((rank * 10 / items.len()) as u8);
        }
        grades
    }

    fn appeal(&self, item: usize) -> f64 {
        appeal(self.fashion[item], self.lasting[item])
    }

    /// Writes the clicks of today, and goes on to tomorrow.
    pub fn live_a_day(&mut self, folder: &Path, start: Timestamp) -> io::Result<()> {
        let path = folder.join(format!("day-{:04}.csv", self.day));
        let mut file = BufWriter::new(File::create(path)?);
        writeln!(
            file,
            "action_name,timestamp,query_id,user_query,client_id,object_id,position_ordinal"
        )?;
        for list in 0..LISTS_A_DAY {
            let query = self.random.random_range(0..QUERIES);
            let seconds = (list * 86_000 / LISTS_A_DAY) as i64;
            self.visit(
                (query, list),
                start + SignedDuration::from_secs(seconds),
                &mut file,
            )?;
        }
        for fashion in &mut self.fashion {
            let news = (1.0 - REMAINS * REMAINS).sqrt() * normal(&mut self.random);
            *fashion = REMAINS * *fashion + news;
        }
        self.day += 1;
        file.flush()
    }

    /// One list in random order, and what is clicked in it.
    fn visit(
        &mut self,
        (query, list): (usize, usize),
        time: Timestamp,
        file: &mut impl Write,
    ) -> io::Result<()> {
        let (text, items) = &self.queries[query];
        let mut shown = items.clone();
        shown.shuffle(&mut self.random);
        let day = self.day;
        let mut tell = |action: &str, time: Timestamp, item: usize, position: usize| {
            let (id, list) = (id(item), format!("l{day}-{list}"));
            writeln!(file, "{action},{time},{list},{text},{list},{id},{position}")
        };
        let mut clicked = Vec::new();
        for (place, item) in shown.iter().enumerate() {
            tell("impression", time, *item, place + 1)?;
            let looked = (place as f64 + 1.0).powf(-LOOKED_AT);
            let appeal = appeal(self.fashion[*item], self.lasting[*item]);
            let wanted = 0.5 / (1.0 + (1.5 - 1.5 * appeal).exp());
            if self.random.random::<f64>() < looked * wanted {
                clicked.push((*item, place + 1));
            }
        }
        for (number, (item, position)) in clicked.into_iter().enumerate() {
            let after = SignedDuration::from_secs(5 * (number as i64 + 1));
            tell("click", time + after, item, position)?;
        }
        Ok(())
    }
}

fn appeal(fashion: f64, lasting: f64) -> f64 {
    FASHION.sqrt() * fashion + (1.0 - FASHION).sqrt() * lasting
}

pub fn id(item: usize) -> String {
    format!("a{item:04}")
}

/// From the sum of twelve uniform numbers.
fn normal(random: &mut ChaCha8Rng) -> f64 {
    (0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0
}
