//! The words of the shop: real kinds of products, made-up brands.

/// How a title is put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// `Nimbra Aero 3 Trail Running Shoes Women, Blue`
    Worn,
    /// `Voltan Pulse 2 Wireless Headphones, Black`
    Coloured,
    /// `Ferrow Organic Ground Coffee, 500 g`
    Packed,
    /// `The Silent Harbour: Illustrated Crime Novel (Ondelle Press)`
    Book,
}

/// A kind of product.
#[derive(Debug)]
pub struct Kind {
    /// Path in the category tree, top first.
    pub path: &'static str,
    pub noun: &'static str,
    pub features: &'static [&'static str],
    /// Usual price.
    pub price: f64,
    pub style: Style,
}

impl Kind {
    /// The path without its last part.
    pub fn parent(&self) -> &'static str {
        self.path
            .rsplit_once('/')
            .map_or(self.path, |(parent, _)| parent)
    }
}

/// −1 cheap, 0 usual, 1 premium.
pub fn tier(brand: usize) -> i32 {
    [0, -1, 1, 0, -1, 0, 1, 0][brand % 8]
}

const fn kind(
    path: &'static str,
    noun: &'static str,
    features: &'static [&'static str],
    price: f64,
    style: Style,
) -> Kind {
    Kind {
        path,
        noun,
        features,
        price,
        style,
    }
}

use Style::{Book, Coloured, Packed, Worn};

/// Top categories; kind number n belongs to category n mod 10.
pub const TOPS: [&str; 10] = [
    "electronics",
    "home_kitchen",
    "fashion",
    "sports_outdoors",
    "beauty",
    "toys",
    "books",
    "grocery",
    "garden",
    "pet_supplies",
];

/// Brands of each top category; the place decides the tier, see [`tier`].
pub const BRANDS: [[&str; 8]; TOPS.len()] = [
    [
        "Voltan", "Pixara", "Auralis", "Kordex", "Teqmo", "Lumetra", "Zenivox", "Orbiton",
    ],
    [
        "Casavella",
        "Budgio",
        "Hearthen",
        "Mondella",
        "Plainly",
        "Stovara",
        "Argentine & Vale",
        "Kettlow",
    ],
    [
        "Marlowe Lane",
        "Basiq",
        "Ostrava Atelier",
        "Denmoor",
        "Tessaly",
        "Northfold",
        "Vionne",
        "Calderon",
    ],
    [
        "Nimbra",
        "Sportivo",
        "Altimara",
        "Trekona",
        "Runlo",
        "Peakfield",
        "Veltor",
        "Stridewell",
    ],
    [
        "Florelle",
        "Purio",
        "Maison Cyrene",
        "Dermelle",
        "Savonette",
        "Botanique Nine",
        "Lumiara",
        "Oleane",
    ],
    [
        "Brickaroo",
        "Funlo",
        "Waldmeister",
        "Pipkin",
        "Toyzo",
        "Puzzlewick",
        "Kinderforge",
        "Jollybox",
    ],
    [
        "Ondelle Press",
        "Pennyleaf",
        "Harrow & Finch",
        "Bluegate",
        "Quickread",
        "Lanternhouse",
        "Marchbank",
        "Tidewater",
    ],
    [
        "Ferrow",
        "Valuva",
        "Terra Nonna",
        "Millstone",
        "Daypack",
        "Greenharrow",
        "Alpenhof",
        "Bellacorte",
    ],
    [
        "Verdano",
        "Rootly",
        "Hortensis",
        "Greenspade",
        "Gardino",
        "Fieldmark",
        "Thornbury",
        "Mossandra",
    ],
    [
        "Pawlina",
        "Snoutly",
        "Royal Fjord",
        "Whiskerby",
        "Petzo",
        "Furnwell",
        "Nobelhund",
        "Tailwind",
    ],
];

pub const COLOURS: [&str; 8] = [
    "Black", "White", "Blue", "Red", "Green", "Grey", "Pink", "Yellow",
];
pub const AUDIENCES: [&str; 3] = ["Women", "Men", "Kids"];
pub const SIZES: [&str; 5] = [
    "Single",
    "Twin Pack",
    "Family Pack",
    "Value Pack",
    "Gift Set",
];
pub const SERIES: [&str; 12] = [
    "Aero", "Pulse", "Drift", "Nova", "Terra", "Flux", "Echo", "Summit", "Breeze", "Prime",
    "Vista", "Orion",
];
pub const ADJECTIVES: [&str; 10] = [
    "Silent", "Hidden", "Golden", "Last", "Northern", "Broken", "Distant", "Crimson", "Winter",
    "Burning",
];
pub const PLACES: [&str; 10] = [
    "Harbour",
    "Garden",
    "Lighthouse",
    "Orchard",
    "River",
    "Station",
    "Mountain",
    "Letter",
    "Island",
    "House",
];
pub const CHEAP_WORDS: [&str; 3] = ["cheap", "budget", "affordable"];
pub const PREMIUM_WORDS: [&str; 3] = ["premium", "luxury", "best"];

/// One kind of every top category after the other, so that a small shop has all categories too.
#[rustfmt::skip]
pub const KINDS: [Kind; 70] = [
    kind("electronics/audio/headphones", "Headphones", &["Wireless", "Noise Cancelling", "Foldable", "Gaming"], 79.0, Coloured),
    kind("home_kitchen/kitchen/kettles", "Electric Kettle", &["Stainless Steel", "Glass", "Gooseneck", "Cordless"], 39.0, Coloured),
    kind("fashion/tops/t_shirts", "T-Shirt", &["Cotton", "Oversized", "Striped", "Slim Fit"], 19.0, Worn),
    kind("sports_outdoors/running/shoes", "Running Shoes", &["Trail", "Road", "Lightweight", "Cushioned"], 95.0, Worn),
    kind("beauty/skin/face_cream", "Face Cream", &["Moisturizing", "Anti Ageing", "Vegan", "Fragrance Free"], 22.0, Packed),
    kind("toys/building/blocks", "Building Blocks", &["Wooden", "Magnetic", "Classic", "Jumbo"], 29.0, Coloured),
    kind("books/fiction/crime", "Crime Novel", &["Paperback", "Hardcover", "Illustrated", "Large Print"], 12.0, Book),
    kind("grocery/drinks/coffee", "Ground Coffee", &["Organic", "Decaf", "Dark Roast", "Fair Trade"], 8.5, Packed),
    kind("garden/tools/shears", "Pruning Shears", &["Bypass", "Ergonomic", "Telescopic", "Titanium"], 24.0, Coloured),
    kind("pet_supplies/dogs/food", "Dog Food", &["Grain Free", "Puppy", "Senior", "Chicken"], 27.0, Packed),
    kind("electronics/audio/speakers", "Bluetooth Speaker", &["Portable", "Waterproof", "Bass", "Mini"], 59.0, Coloured),
    kind("home_kitchen/kitchen/pans", "Frying Pan", &["Cast Iron", "Nonstick", "Ceramic", "Induction"], 35.0, Coloured),
    kind("fashion/trousers/jeans", "Jeans", &["Slim Fit", "High Waist", "Stretch", "Ripped"], 59.0, Worn),
    kind("sports_outdoors/running/jackets", "Running Jacket", &["Windproof", "Reflective", "Lightweight", "Hooded"], 75.0, Worn),
    kind("beauty/hair/shampoo", "Shampoo", &["Volume", "Anti Dandruff", "Vegan", "Colour Care"], 9.0, Packed),
    kind("toys/games/board_games", "Board Game", &["Family", "Strategy", "Cooperative", "Travel"], 32.0, Packed),
    kind("books/fiction/fantasy", "Fantasy Novel", &["Paperback", "Hardcover", "Illustrated", "Collector's"], 14.0, Book),
    kind("grocery/drinks/tea", "Green Tea", &["Organic", "Loose Leaf", "Jasmine", "Decaf"], 6.5, Packed),
    kind("garden/watering/hoses", "Garden Hose", &["Expandable", "Kink Free", "Heavy Duty", "Flat"], 34.0, Coloured),
    kind("pet_supplies/cats/litter", "Cat Litter", &["Clumping", "Silica", "Scented", "Organic"], 14.0, Packed),
    kind("electronics/computers/keyboards", "Mechanical Keyboard", &["Wireless", "Compact", "Backlit", "Silent"], 89.0, Coloured),
    kind("home_kitchen/bedding/pillows", "Pillow", &["Memory Foam", "Down", "Cooling", "Orthopedic"], 29.0, Coloured),
    kind("fashion/shoes/sneakers", "Sneakers", &["Leather", "Canvas", "High Top", "Platform"], 79.0, Worn),
    kind("sports_outdoors/fitness/yoga_mats", "Yoga Mat", &["Non Slip", "Thick", "Cork", "Foldable"], 28.0, Coloured),
    kind("beauty/makeup/lipstick", "Lipstick", &["Matte", "Glossy", "Long Lasting", "Vegan"], 13.0, Coloured),
    kind("toys/dolls/plush", "Plush Toy", &["Giant", "Musical", "Organic", "Weighted"], 21.0, Coloured),
    kind("books/nonfiction/cookbooks", "Cookbook", &["Vegetarian", "Baking", "Italian", "Illustrated"], 24.0, Book),
    kind("grocery/pantry/olive_oil", "Olive Oil", &["Extra Virgin", "Organic", "Cold Pressed", "Garlic"], 11.0, Packed),
    kind("garden/furniture/chairs", "Garden Chair", &["Folding", "Rattan", "Wooden", "Reclining"], 69.0, Coloured),
    kind("pet_supplies/dogs/leashes", "Dog Leash", &["Retractable", "Leather", "Reflective", "Hands Free"], 18.0, Coloured),
    kind("electronics/computers/mice", "Computer Mouse", &["Wireless", "Gaming", "Ergonomic", "Silent"], 35.0, Coloured),
    kind("home_kitchen/kitchen/knives", "Chef Knife", &["Damascus", "Stainless Steel", "Ceramic", "Forged"], 49.0, Coloured),
    kind("fashion/outerwear/jackets", "Winter Jacket", &["Down", "Waterproof", "Hooded", "Parka"], 129.0, Worn),
    kind("sports_outdoors/camping/tents", "Camping Tent", &["Waterproof", "Pop Up", "Family", "Lightweight"], 139.0, Coloured),
    kind("beauty/fragrance/perfume", "Perfume", &["Floral", "Woody", "Citrus", "Unisex"], 54.0, Packed),
    kind("toys/vehicles/cars", "Remote Control Car", &["Off Road", "Racing", "Waterproof", "Mini"], 45.0, Coloured),
    kind("books/children/picture_books", "Picture Book", &["Bedtime", "Rhyming", "Board", "Illustrated"], 11.0, Book),
    kind("grocery/snacks/chocolate", "Dark Chocolate", &["Organic", "Sea Salt", "Sugar Free", "Hazelnut"], 4.5, Packed),
    kind("garden/plants/pots", "Plant Pot", &["Terracotta", "Hanging", "Self Watering", "Ceramic"], 17.0, Coloured),
    kind("pet_supplies/cats/trees", "Cat Tree", &["Tall", "Wooden", "Compact", "Wall Mounted"], 64.0, Coloured),
    kind("electronics/phones/chargers", "Phone Charger", &["Fast", "Wireless", "Magnetic", "Travel"], 25.0, Coloured),
    kind("home_kitchen/cleaning/vacuums", "Vacuum Cleaner", &["Cordless", "Robot", "Bagless", "Handheld"], 189.0, Coloured),
    kind("fashion/accessories/backpacks", "Backpack", &["Leather", "Waterproof", "Laptop", "Canvas"], 65.0, Coloured),
    kind("sports_outdoors/camping/sleeping_bags", "Sleeping Bag", &["Down", "Lightweight", "Mummy", "Winter"], 85.0, Coloured),
    kind("beauty/skin/sunscreen", "Sunscreen", &["Mineral", "Waterproof", "Sensitive", "Tinted"], 16.0, Packed),
    kind("toys/puzzles/jigsaw", "Jigsaw Puzzle", &["Wooden", "Panorama", "Glow", "Family"], 18.0, Packed),
    kind("books/nonfiction/travel", "Travel Guide", &["Pocket", "Illustrated", "Updated", "Hiking"], 17.0, Book),
    kind("grocery/breakfast/muesli", "Muesli", &["Organic", "Crunchy", "Sugar Free", "Nut"], 5.5, Packed),
    kind("garden/grill/grills", "Charcoal Grill", &["Portable", "Kettle", "Stainless Steel", "Smoker"], 149.0, Coloured),
    kind("pet_supplies/dogs/beds", "Dog Bed", &["Orthopedic", "Washable", "Cooling", "Heated"], 42.0, Coloured),
    kind("electronics/tv/televisions", "Smart TV", &["OLED", "4K", "Curved", "Outdoor"], 599.0, Coloured),
    kind("home_kitchen/kitchen/coffee_makers", "Coffee Maker", &["Espresso", "Drip", "Portable", "Programmable"], 99.0, Coloured),
    kind("fashion/dresses/dresses", "Summer Dress", &["Floral", "Linen", "Maxi", "Wrap"], 49.0, Coloured),
    kind("sports_outdoors/cycling/helmets", "Bike Helmet", &["Lightweight", "Foldable", "Visor", "Urban"], 55.0, Worn),
    kind("beauty/hair/dryers", "Hair Dryer", &["Ionic", "Foldable", "Travel", "Quiet"], 45.0, Coloured),
    kind("toys/outdoor/scooters", "Kick Scooter", &["Foldable", "Light Up", "Adjustable", "Big Wheel"], 49.0, Coloured),
    kind("books/fiction/romance", "Romance Novel", &["Paperback", "Hardcover", "Historical", "Large Print"], 10.0, Book),
    kind("grocery/pantry/pasta", "Pasta", &["Whole Wheat", "Organic", "Gluten Free", "Egg"], 2.9, Packed),
    kind("garden/lighting/lights", "Solar Lights", &["String", "Path", "Motion Sensor", "Spot"], 27.0, Coloured),
    kind("pet_supplies/fish/aquariums", "Aquarium", &["Glass", "Starter", "Nano", "Panoramic"], 89.0, Coloured),
    kind("electronics/wearables/watches", "Smart Watch", &["GPS", "Waterproof", "Hybrid", "Slim"], 159.0, Coloured),
    kind("home_kitchen/lighting/lamps", "Desk Lamp", &["Dimmable", "Clip On", "Wireless", "Retro"], 33.0, Coloured),
    kind("fashion/accessories/sunglasses", "Sunglasses", &["Polarized", "Aviator", "Round", "Sport"], 45.0, Worn),
    kind("sports_outdoors/hiking/boots", "Hiking Boots", &["Waterproof", "Leather", "Lightweight", "Winter"], 119.0, Worn),
    kind("beauty/nails/polish", "Nail Polish", &["Gel", "Quick Dry", "Matte", "Glitter"], 7.5, Coloured),
    kind("toys/learning/science_kits", "Science Kit", &["Chemistry", "Space", "Electronics", "Crystal"], 34.0, Packed),
    kind("books/nonfiction/biographies", "Biography", &["Paperback", "Hardcover", "Illustrated", "Unabridged"], 18.0, Book),
    kind("grocery/sweet/honey", "Honey", &["Raw", "Organic", "Acacia", "Creamed"], 9.5, Packed),
    kind("garden/tools/mowers", "Lawn Mower", &["Cordless", "Robot", "Manual", "Petrol"], 259.0, Coloured),
    kind("pet_supplies/birds/cages", "Bird Cage", &["Large", "Portable", "Wooden", "Hanging"], 72.0, Coloured),
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn kinds_are_distinct_and_spread_over_all_categories() {
        let nouns: HashSet<&str> = KINDS.iter().map(|kind| kind.noun).collect();
        let paths: HashSet<&str> = KINDS.iter().map(|kind| kind.path).collect();
        assert_eq!((nouns.len(), paths.len()), (KINDS.len(), KINDS.len()));
        for (place, kind) in KINDS.iter().enumerate() {
            assert!(
                kind.path.starts_with(TOPS[place % TOPS.len()]),
                "{}",
                kind.path
            );
        }
    }
}
