//! One day of visits: lists shown, looked through from the top, clicked, bought from.

use super::{
    assortment::{Assortment, Item},
    draw::{Draw, Purpose, cumulative},
    engine::Engine,
    queries::{Population, Query, compose, price_taste},
    vocabulary::{BRANDS, TOPS},
};
use crate::data::{Action, DAY_MS};

/// A purchase comes at most this many days after its list.
pub const LATE_DAYS: i32 = 5;

const SHOPPERS: usize = 3000;
/// Share of lists from a robot.
const BOT_SHARE: f64 = 1.0 / 400.0;
/// Share of queries that are nobody else's.
const FRESH_SHARE: f64 = 0.15;
/// Visits by day of the week, Monday first; the mean is 1.
const WEEK: [f64; 7] = [0.96, 0.92, 0.93, 0.95, 0.99, 1.12, 1.13];
/// Visits by hour of the day.
const HOURS: [f64; 24] = [
    1.0, 0.6, 0.4, 0.3, 0.3, 0.5, 1.0, 2.0, 3.0, 3.8, 4.3, 4.6, 5.0, 4.6, 4.3, 4.4, 4.7, 5.2, 5.8,
    6.6, 7.2, 6.8, 4.9, 2.5,
];

/// An event before its names are spelled out.
#[derive(Clone, Debug, PartialEq)]
pub struct Visited {
    pub action: Action,
    pub time_ms: i64,
    pub list: u64,
    /// 1-based; 0 where the event does not say.
    pub position: i32,
    /// Place in the engine's items.
    pub item: usize,
}

/// One list with everything that followed from it.
pub struct Visit {
    pub client: String,
    pub query: Query,
    pub events: Vec<Visited>,
}

/// What someone likes.
#[derive(Clone, Copy, Debug)]
struct Shopper {
    /// −1 cheap, 0 usual, 1 premium.
    price_class: i32,
    top: usize,
    brand: usize,
}

/// Everything that a day is drawn from.
pub struct Visitors<'a> {
    shop: Assortment,
    engine: &'a Engine,
    queries: &'a Population,
    shoppers: Vec<Shopper>,
    hours: Vec<f64>,
    /// Events on a day of an average week.
    events_a_day: f64,
}

impl<'a> Visitors<'a> {
    pub fn new(
        shop: Assortment,
        engine: &'a Engine,
        queries: &'a Population,
        events_a_day: f64,
    ) -> Self {
        let shoppers = (0..SHOPPERS as i64)
            .map(|index| {
                let mut draw = Draw::new(shop.seed, Purpose::Shopper, index);
                Shopper {
                    price_class: draw.below(3) as i32 - 1,
                    top: draw.below(TOPS.len()),
                    brand: draw.below(BRANDS[0].len()),
                }
            })
            .collect();
        Self {
            shop,
            engine,
            queries,
            shoppers,
            hours: cumulative(HOURS),
            events_a_day,
        }
    }

    /// All visits that begin on a day, in the order in which they were drawn.
    pub fn day(&self, day: i32) -> Vec<Visit> {
        let mut draw = Draw::new(self.shop.seed, Purpose::Day, day.into());
        // 1970-01-01 was a Thursday.
        let weekday = (day + 3).rem_euclid(7) as usize;
        let wanted = self.events_a_day * WEEK[weekday];
        let sold = self.shop.sold(day);
        let (mut visits, mut events) = (Vec::new(), 0.0);
        while events < wanted {
            let visit = self.visit(day, &sold, &mut draw);
            let size = visit.events.len() as f64;
            // The last list may be too long; it counts as often as it fits.
            if size <= wanted - events || draw.chance((wanted - events) / size) || visits.is_empty()
            {
                visits.push(visit);
            }
            events += size;
        }
        visits
    }

    fn visit(&self, day: i32, sold: &std::ops::Range<i64>, draw: &mut Draw) -> Visit {
        let hour = draw.weighted(&self.hours) as i64;
        let time_ms = i64::from(day) * DAY_MS + hour * 3_600_000 + draw.below(3_600_000) as i64;
        let bot = draw.chance(BOT_SHARE);
        // Some come often, most seldom.
        let regular = (draw.unit() * draw.unit() * SHOPPERS as f64) as usize;
        let shopper = self.shoppers[regular];
        let query = if draw.chance(FRESH_SHARE) {
            let misspelt = draw.chance(0.2);
            compose(self.shop, draw, misspelt)
        } else if draw.chance(0.4) {
            self.queries.within(shopper.top, draw).clone()
        } else {
            self.queries.any(draw).clone()
        };
        let shown = if bot {
            50
        } else {
            10 + (41.0 * draw.unit() * draw.unit()) as usize
        };
        let places = self.engine.search(&query, sold, shown, draw);
        let mut list = ShownList {
            id: draw.bits(),
            time_ms,
            places,
            events: Vec::new(),
        };
        list.show(draw);
        if bot {
            list.crawl(draw);
            return Visit {
                client: format!("c-{:08x}", draw.bits() as u32),
                query,
                events: list.events,
            };
        }
        list.look_through(draw, |place| {
            self.wish(shopper, &query, &self.engine.items[place])
        });
        Visit {
            client: format!("c-{:08x}", client_id(self.shop.seed, regular)),
            query,
            events: list.events,
        }
    }

    /// Probability that a shopper who looks at an item clicks it.
    fn wish(&self, shopper: Shopper, query: &Query, item: &Item) -> f64 {
        let mut wish = query.intent.relevance(item)
            * item.appeal()
            * price_taste(shopper.price_class, item.dearness);
        if item.brand == shopper.brand {
            wish *= 1.4;
        }
        (1.2 * wish + 0.003).min(0.9)
    }
}

fn client_id(seed: u64, shopper: usize) -> u32 {
    Draw::new(seed, Purpose::ClientId, shopper as i64).bits() as u32
}

struct ShownList {
    id: u64,
    time_ms: i64,
    places: Vec<usize>,
    events: Vec<Visited>,
}

impl ShownList {
    fn push(&mut self, action: Action, time_ms: i64, place: usize, position: i32) {
        self.events.push(Visited {
            action,
            time_ms,
            list: self.id,
            position,
            item: self.places[place],
        });
    }

    fn show(&mut self, draw: &mut Draw) {
        // Some clients send the whole list twice.
        let times = if draw.chance(0.004) { 2 } else { 1 };
        for time in 0..times {
            for place in 0..self.places.len() {
                self.push(
                    Action::Impression,
                    self.time_ms + 40 * time,
                    place,
                    place as i32 + 1,
                );
            }
        }
    }

    /// A robot opens nearly everything within a minute.
    fn crawl(&mut self, draw: &mut Draw) {
        let mut time = self.time_ms;
        for place in 0..self.places.len() {
            time += draw.between(300.0, 1300.0) as i64;
            if draw.chance(0.95) {
                self.push(Action::Click, time, place, place as i32 + 1);
            }
        }
    }

    /// A shopper looks from the top, at each place less likely than at the one before, and may
    /// stop after a click.
    fn look_through(&mut self, draw: &mut Draw, wish: impl Fn(usize) -> f64) {
        let mut time = self.time_ms;
        for place in 0..self.places.len() {
            let looks = 1.0 / (1.0 + 0.2 * place as f64).sqrt();
            let wish = wish(self.places[place]);
            if !draw.chance(looks * wish) {
                continue;
            }
            time += draw.between(2_000.0, 30_000.0) as i64;
            let position = place as i32 + 1;
            self.push(Action::Click, time, place, position);
            if draw.chance(0.015) {
                self.push(
                    Action::Click,
                    time + draw.between(40.0, 600.0) as i64,
                    place,
                    position,
                );
            }
            let bought = self.after_click(draw, &mut time, place, wish);
            if bought || draw.chance(0.1) {
                break;
            }
        }
    }

    /// Cart and purchase; many shops do not say from which place of the list.
    fn after_click(&mut self, draw: &mut Draw, time: &mut i64, place: usize, wish: f64) -> bool {
        *time += draw.between(5_000.0, 90_000.0) as i64;
        if !draw.chance(0.1 + 0.35 * wish) {
            return false;
        }
        self.push(Action::Cart, *time, place, 0);
        if !draw.chance(0.45) {
            return false;
        }
        let late = draw.chance(0.2);
        let days = if late {
            1 + draw.below(LATE_DAYS as usize - 1) as i64
        } else {
            0
        };
        let minutes = draw.between(60_000.0, 1_200_000.0) as i64;
        self.push(Action::Purchase, *time + days * DAY_MS + minutes, place, 0);
        true
    }
}
