//! The products of the shop. Product number n is drawn from (seed, n) alone and enters the shop on
//! a fixed day, so a shop of 2,000 products gains two a day and drops the two oldest.

use searchop_model::item::ItemFields;

use super::{
    draw::{Draw, Purpose, exp, logistic},
    vocabulary::{
        ADJECTIVES, AUDIENCES, BRANDS, COLOURS, KINDS, Kind, PLACES, SERIES, SIZES, Style, TOPS,
        tier,
    },
};
use crate::data::Product;

/// Days from a product's first day to its last.
const LIFETIME_DAYS: i64 = 1000;
/// Days at the end of it on which a product is sold out and no longer shown. A window of this
/// length has only events of products that are in the catalogue.
const SOLD_OUT_DAYS: i64 = 60;
/// The first day on which the shop is full.
pub const OPENING_DAY: i32 = LIFETIME_DAYS as i32;

/// A product with what only the shop knows about it.
#[derive(Clone, Debug)]
pub struct Item {
    pub number: i64,
    pub id: String,
    pub kind: usize,
    pub brand: usize,
    pub feature: usize,
    pub audience: Option<usize>,
    pub colour: Option<usize>,
    pub title: String,
    /// Lower-case words of the title.
    pub words: Vec<String>,
    description: Option<String>,
    pub price: f64,
    /// Price against what is usual for its kind, as a logarithm.
    pub dearness: f64,
    /// How good it is; standard normal, apart from the brand's share.
    pub quality: f64,
    /// How known it is, as a logarithm.
    pub fame: f64,
    ratings_a_day: f64,
    stock: f64,
}

impl Item {
    pub fn top(&self) -> usize {
        self.kind % TOPS.len()
    }

    pub fn kind(&self) -> &'static Kind {
        &KINDS[self.kind]
    }

    /// How much shoppers who want such a thing want this one, in (0, 1): good and not too dear.
    pub fn appeal(&self) -> f64 {
        logistic(2.0 * self.quality - 1.5 * self.dearness - 1.5)
    }
}

/// How many products the shop has and had, and how they come and go.
#[derive(Clone, Copy, Debug)]
pub struct Assortment {
    pub seed: u64,
    pub products: u32,
}

impl Assortment {
    /// Kinds of products: about 14 products each, all categories from the start.
    pub fn kinds(self) -> usize {
        (self.products as usize / 14).clamp(TOPS.len(), KINDS.len())
    }

    /// Numbers of the products in the catalogue at the end of a day.
    pub fn listed(self, day: i32) -> std::ops::Range<i64> {
        let end = i64::from(day + 1) * i64::from(self.products) / LIFETIME_DAYS;
        end - i64::from(self.products)..end
    }

    /// Numbers of those that are sold on that day.
    pub fn sold(self, day: i32) -> std::ops::Range<i64> {
        let listed = self.listed(day);
        let sold_out = i64::from(self.products) * SOLD_OUT_DAYS / LIFETIME_DAYS;
        listed.start + sold_out..listed.end
    }

    /// The day on which a product is first sold.
    fn first_day(self, number: i64) -> i64 {
        ((number + 1) * LIFETIME_DAYS - 1) / i64::from(self.products)
    }

    pub fn item(self, number: i64) -> Item {
        let mut draw = Draw::new(self.seed, Purpose::Product, number);
        let kinds = self.kinds();
        // Every kind gets its share; the rest goes to the popular ones at the front.
        let kind = if draw.chance(0.7) {
            number.rem_euclid(kinds as i64) as usize
        } else {
            (draw.unit() * draw.unit() * kinds as f64) as usize
        };
        let about = &KINDS[kind];
        let brand = draw.below(BRANDS[0].len());
        let tier = f64::from(tier(brand));
        let feature = draw.below(about.features.len());
        let audience =
            (about.style == Style::Worn && draw.chance(0.85)).then(|| draw.below(AUDIENCES.len()));
        let coloured = matches!(about.style, Style::Worn | Style::Coloured);
        let colour = coloured.then(|| draw.below(COLOURS.len()));
        let quality = 0.35 * tier + draw.normal();
        let dearness = 0.45 * tier + 0.3 * draw.normal();
        let fame = 0.4 * quality - 0.2 * dearness + 0.8 * draw.normal();
        let parts = Parts {
            kind: about,
            brand: BRANDS[kind % TOPS.len()][brand],
            feature,
            audience,
            colour,
        };
        let title = parts.title(&mut draw);
        let description = (!draw.chance(0.03)).then(|| parts.description(&mut draw));
        Item {
            number,
            id: format!("p{number:05}"),
            kind,
            brand,
            feature,
            audience,
            colour,
            words: words(&title),
            title,
            description,
            price: (about.price * exp(dearness)).ceil().max(1.0)
                - if draw.chance(0.7) { 0.01 } else { 0.05 },
            dearness,
            quality,
            fame,
            ratings_a_day: 0.12 * exp(fame + 0.4 * draw.normal()),
            stock: if draw.chance(0.03) {
                0.0
            } else {
                exp(3.0 + draw.normal()).floor()
            },
        }
    }

    /// What the catalogue says about an item at the end of a day.
    pub fn product(self, item: &Item, day: i32) -> Product {
        let mut draw = Draw::new(self.seed, Purpose::Listing, item.number);
        let first_day = self.first_day(item.number);
        let age = (i64::from(day) - first_day).max(0) as f64;
        let rating_count = (item.ratings_a_day * age).floor();
        // The mean of few ratings says little.
        let spread = 0.15 + 0.8 / (1.0 + rating_count).sqrt();
        let rating = (3.9 + 0.45 * item.quality + spread * draw.normal()).clamp(1.0, 5.0);
        let sold = self.sold(day).contains(&item.number);
        Product {
            id: item.id.clone(),
            fields: ItemFields {
                title: Some(item.title.clone()),
                description: item.description.clone(),
                brand: Some(BRANDS[item.top()][item.brand].to_owned()),
                category: Some(item.kind().path.to_owned()),
                price: Some(item.price),
                rating: (rating_count > 0.0).then(|| (rating * 10.0).round() / 10.0),
                rating_count: Some(rating_count),
                stock: Some(if sold { item.stock } else { 0.0 }),
                added_time: Some(first_day * 86_400),
                ..ItemFields::default()
            },
        }
    }
}

/// Lower-case words of a text.
pub fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric() && c != '-' && c != '\'')
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}

struct Parts {
    kind: &'static Kind,
    brand: &'static str,
    feature: usize,
    audience: Option<usize>,
    colour: Option<usize>,
}

impl Parts {
    fn title(&self, draw: &mut Draw) -> String {
        let (brand, noun, feature) = (self.brand, self.kind.noun, self.kind.features[self.feature]);
        let series = match draw.chance(0.5) {
            true => format!(" {} {}", draw.pick(&SERIES), 1 + draw.below(9)),
            false => String::new(),
        };
        let colour = self
            .colour
            .map_or(String::new(), |colour| format!(", {}", COLOURS[colour]));
        match self.kind.style {
            Style::Worn => {
                let audience = self.audience.map_or(String::new(), |audience| {
                    format!(" {}", AUDIENCES[audience])
                });
                format!("{brand}{series} {feature} {noun}{audience}{colour}")
            }
            Style::Coloured => format!("{brand}{series} {feature} {noun}{colour}"),
            Style::Packed => format!("{brand} {feature} {noun}, {}", draw.pick(&SIZES)),
            Style::Book => {
                format!(
                    "The {} {}: {feature} {noun} ({brand})",
                    draw.pick(&ADJECTIVES),
                    draw.pick(&PLACES)
                )
            }
        }
    }

    /// Two or three sentences; the second often names a feature that the product is only similar in.
    fn description(&self, draw: &mut Draw) -> String {
        let noun = self.kind.noun.to_lowercase();
        let feature = self.kind.features[self.feature].to_lowercase();
        let other = draw.pick(self.kind.features).to_lowercase();
        let area = self
            .kind
            .parent()
            .rsplit('/')
            .next()
            .unwrap_or_default()
            .replace('_', " ");
        let first = match draw.below(3) {
            0 => format!("{feature} {noun} for everyday use."),
            1 => format!("{noun} made to last, {feature} by design."),
            _ => format!("{} brings you this {feature} {noun}.", self.brand),
        };
        let second = match draw.below(3) {
            0 => format!(" Everything you need for {area}."),
            1 => format!(" Goes well with our {other} range."),
            _ => format!(" A favourite in {area}, easy to care for."),
        };
        let third = match self.audience {
            Some(audience) => format!(" Fits {}.", AUDIENCES[audience].to_lowercase()),
            None => String::new(),
        };
        let mut text = first + &second + &third;
        text[..1].make_ascii_uppercase();
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHOP: Assortment = Assortment {
        seed: 42,
        products: 2000,
    };

    #[test]
    fn the_shop_keeps_its_size_while_products_come_and_go() {
        for products in [20, 200, 2000, 12_345] {
            let shop = Assortment { seed: 1, products };
            for day in [OPENING_DAY, 20_000, 20_001] {
                let listed = shop.listed(day);
                assert_eq!(listed.end - listed.start, i64::from(products));
                for number in [listed.start, listed.end - 1] {
                    let age = i64::from(day) - shop.first_day(number);
                    assert!(
                        (0..=LIFETIME_DAYS).contains(&age),
                        "{products} {day} {number} {age}"
                    );
                }
                // What was sold a sold-out period ago is still listed.
                assert!(shop.sold(day - SOLD_OUT_DAYS as i32).start >= listed.start - 1);
            }
        }
    }

    #[test]
    fn words_of_titles() {
        assert_eq!(
            words("Nimbra Aero 3 Trail T-Shirt Women, Blue"),
            ["nimbra", "aero", "3", "trail", "t-shirt", "women", "blue"]
        );
    }

    #[test]
    fn prices_and_ratings_are_plausible() {
        let day = 20_000;
        let (mut rated, mut dear, mut cheap) = (0, Vec::new(), Vec::new());
        for number in SHOP.listed(day) {
            let item = SHOP.item(number);
            let fields = SHOP.product(&item, day).fields;
            assert!(fields.price.unwrap() >= 0.9, "{item:?}");
            assert!(
                fields
                    .rating
                    .is_none_or(|rating| (1.0..=5.0).contains(&rating))
            );
            assert_eq!(fields.rating.is_some(), fields.rating_count.unwrap() > 0.0);
            rated += usize::from(fields.rating.is_some());
            match tier(item.brand) {
                1 => dear.push(item.price / item.kind().price),
                -1 => cheap.push(item.price / item.kind().price),
                _ => {}
            }
        }
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        assert!(mean(&dear) > 1.8 * mean(&cheap));
        assert!((1700..1999).contains(&rated), "{rated}");
    }
}
