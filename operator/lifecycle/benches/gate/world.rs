//! Populations of query keys with a truth that is known exactly: a world is a draw from one.
//!
//! A query key has sessions (few or many, with a heavy tail), each a list of candidates. How much
//! each candidate is wanted is hidden; rankers see it through noise, part of which is the same in all
//! sessions of a key, so that sessions of one key are alike. What is clicked follows what is wanted
//! and, where that is asked for, how far down the served ranker showed it.

use searchop_contract::{ListSlice, Metric};
use searchop_evaluation::{
    clicks,
    held_out::{Asked, HeldOut, HeldOutList},
    statistics::{self, Share},
};

use crate::draw::Draw;

/// Candidates a list.
const CANDIDATES: usize = 12;
/// Sessions a query key at most.
const MOST_SESSIONS: usize = 40;
/// Keys with fewer sessions are the tail.
const HEAD_SESSIONS: usize = 3;
/// Query keys of a population.
const KEYS: usize = 20_000;
/// Share of a ranker's noise that all sessions of a key have in common: a design effect of about 2.
const ALIKE: f64 = 0.8;
/// Noise of the served ranker.
const SERVED: f64 = 1.0;
/// What is shown differs from the served ranker's order by this much.
const SHOWN: f64 = 0.5;

/// How a candidate comes to its scores.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Ranker {
    /// What is wanted, with noise of this size. The served ranker's is 1.
    Noisy(f64),
    /// One noise on a share of the keys, the other on the rest: few keys decide.
    Mixed { share: f64, there: f64, else_: f64 },
    /// One noise on keys with little traffic, another on the others.
    ByTraffic { tail: f64, head: f64 },
    /// Nothing to do with the query.
    Random,
    /// The same items first whatever is asked.
    Popularity,
    /// The order that was shown, as a model that learns from clicks as they are comes to like it.
    LikeShown,
}

/// What relevance is read from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Evidence {
    /// People's grades, one list a key.
    Grades,
    /// Clicks where every position is looked at.
    Clicks,
    /// Position p is looked at with probability 1 / p, and clicks are weighted by that.
    Debiased,
    /// The same, and clicks are taken as they are.
    Raw,
}

/// One query key: its lists, and what each ranker makes of them.
struct Key {
    lists: HeldOut,
    /// What people would say of the same candidates.
    grades: HeldOut,
    served: Vec<f64>,
    candidate: Vec<f64>,
}

/// Query keys that worlds are drawn from.
pub struct Population {
    keys: Vec<Key>,
    /// The candidate's relative gain over the whole of it, which is what a gate estimates.
    pub gain: f64,
    /// The same by grades, which nobody sees where there are clicks only.
    pub hidden_gain: f64,
}

/// A drawn world: `lists` with the scores of both rankers.
pub struct World {
    pub lists: HeldOut,
    pub served: Vec<f64>,
    pub candidate: Vec<f64>,
}

const NDCG: Asked = Asked {
    metric: Metric::NDCG,
    k: 10,
    slice: None,
};

impl Population {
    pub fn draw(evidence: Evidence, candidate: Ranker) -> Self {
        let keys = (0..KEYS as u64)
            .filter_map(|seed| Key::draw(seed, evidence, candidate))
            .collect();
        Self::of(keys)
    }

    fn of(keys: Vec<Key>) -> Self {
        Self {
            gain: gain(&keys, |key| &key.lists),
            hidden_gain: gain(&keys, |key| &key.grades),
            keys,
        }
    }

    /// The gain is exactly `gain`, as far as one key in 20,000 goes: some keys are ranked by the
    /// worse candidate, the others by the better one.
    pub fn with_gain(evidence: Evidence, (worse, better): (Ranker, Ranker), gain: f64) -> Self {
        let pairs = (0..KEYS as u64).filter_map(|seed| {
            let pair = [worse, better].map(|ranker| Key::draw(seed, evidence, ranker));
            let [worse, better] = pair;
            worse.zip(better)
        });
        let pairs: Vec<(Key, Key)> = pairs.collect();
        let shares: Vec<[f64; 3]> = pairs
            .iter()
            .map(|(worse, better)| {
                let of = |key: &Key, scores: &[f64]| share(&key.lists, scores).value;
                [
                    of(worse, &worse.candidate),
                    of(better, &better.candidate),
                    of(worse, &worse.served),
                ]
            })
            .collect();
        let served: f64 = shares.iter().map(|[.., served]| served).sum();
        let mut sum: f64 = shares.iter().map(|[_, better, _]| better).sum();
        // The cut at which the sum comes nearest to what is asked for.
        let wanted = served * (1.0 + gain);
        let (mut cut, mut nearest) = (0, (sum - wanted).abs());
        for (index, [worse, better, _]) in shares.iter().enumerate() {
            sum += worse - better;
            if (sum - wanted).abs() < nearest {
                (cut, nearest) = (index + 1, (sum - wanted).abs());
            }
        }
        let keys = pairs.into_iter().enumerate().map(
            |(index, (worse, better))| {
                if index < cut { worse } else { better }
            },
        );
        let population = Self::of(keys.collect());
        assert!(
            (population.gain - gain).abs() < 5e-4,
            "{worse:?} and {better:?} do not reach a gain of {gain}: {}",
            population.gain
        );
        population
    }

    /// So many keys, drawn with replacement.
    pub fn world(&self, keys: usize, seed: u64) -> World {
        let mut draw = Draw::new(seed);
        let mut world = World {
            lists: HeldOut::default(),
            served: Vec::new(),
            candidate: Vec::new(),
        };
        for number in 0..keys as u32 {
            let key = &self.keys[draw.below(self.keys.len())];
            let start = world.lists.labels.len();
            world
                .lists
                .lists
                .extend(key.lists.lists.iter().map(|list| HeldOutList {
                    key: number,
                    candidates: list.candidates.start + start..list.candidates.end + start,
                    slices: list.slices.clone(),
                }));
            world.lists.labels.extend(&key.lists.labels);
            world.lists.weights.extend(&key.lists.weights);
            world.served.extend(&key.served);
            world.candidate.extend(&key.candidate);
        }
        world
    }

    /// How much larger the variance of a mean over sessions is than if sessions were independent.
    pub fn design_effect(&self) -> f64 {
        let sessions = |key: &Key| -> Vec<f64> {
            let list = |list: &HeldOutList| {
                let rows = list.candidates.clone();
                let of = |scores: &[f64]| {
                    let labels = &key.lists.labels[rows.clone()];
                    searchop_evaluation::metrics::measure(Metric::NDCG, 10, scores, labels)
                };
                Some(of(&key.candidate[rows.clone()])? - of(&key.served[rows.clone()])?)
            };
            key.lists.lists.iter().filter_map(list).collect()
        };
        let all: Vec<Vec<f64>> = self.keys.iter().map(sessions).collect();
        let n = all.iter().map(Vec::len).sum::<usize>() as f64;
        let mean = all.iter().flatten().sum::<f64>() / n;
        let within = |key: &Vec<f64>| key.iter().map(|d| d - mean).sum::<f64>().powi(2);
        let clustered: f64 = all.iter().map(within).sum();
        clustered
            / all
                .iter()
                .flatten()
                .map(|d| (d - mean).powi(2))
                .sum::<f64>()
    }
}

/// What a key adds to NDCG@10; nothing where no list has a positive.
fn share(lists: &HeldOut, scores: &[f64]) -> Share {
    let nothing = Share {
        value: 0.0,
        best: 0.0,
    };
    let found = lists.by_query(scores, NDCG).shares;
    found.first().copied().unwrap_or(nothing)
}

fn gain(keys: &[Key], lists: impl Fn(&Key) -> &HeldOut) -> f64 {
    let of = |scores: fn(&Key) -> &Vec<f64>| -> Vec<Share> {
        keys.iter()
            .map(|key| share(lists(key), scores(key)))
            .collect()
    };
    let (candidate, served) = (of(|key| &key.candidate), of(|key| &key.served));
    let found = statistics::relative_difference(&candidate, &served, 0.95);
    found.map_or(f64::NAN, |estimate| estimate.value)
}

/// What all sessions of a key share.
struct Common {
    wanted: Vec<f64>,
    popular: Vec<f64>,
    /// Of the served ranker, of the candidate, of what is shown.
    noise: [Vec<f64>; 3],
    is_tail: bool,
    /// Places the key among those that a mixed ranker knows less of.
    place: f64,
}

fn normals(draw: &mut Draw) -> Vec<f64> {
    (0..CANDIDATES).map(|_| draw.normal()).collect()
}

impl Key {
    /// The same seed gives the same key, whatever ranks it. `None` where nobody clicked.
    fn draw(seed: u64, evidence: Evidence, ranker: Ranker) -> Option<Self> {
        let draw = &mut Draw::new(seed);
        let sessions = draw.traffic(MOST_SESSIONS);
        let common = Common {
            wanted: normals(draw),
            popular: normals(draw),
            noise: [normals(draw), normals(draw), normals(draw)],
            is_tail: sessions < HEAD_SESSIONS,
            place: draw.uniform(),
        };
        let sessions = if evidence == Evidence::Grades {
            1
        } else {
            sessions
        };
        let mut key = Self {
            lists: HeldOut::default(),
            grades: HeldOut::default(),
            served: Vec::new(),
            candidate: Vec::new(),
        };
        for _ in 0..sessions {
            key.session(&common, (evidence, ranker), draw);
        }
        (!key.lists.lists.is_empty()).then_some(key)
    }

    fn session(
        &mut self,
        common: &Common,
        (evidence, ranker): (Evidence, Ranker),
        draw: &mut Draw,
    ) {
        let own = [normals(draw), normals(draw), normals(draw)];
        let (some, rest) = (ALIKE.sqrt(), (1.0 - ALIKE).sqrt());
        let noise =
            |who: usize, index: usize| some * common.noise[who][index] + rest * own[who][index];
        let served: Vec<f64> = (0..CANDIDATES)
            .map(|index| common.wanted[index] + SERVED * noise(0, index))
            .collect();
        let shown: Vec<f64> = (0..CANDIDATES)
            .map(|index| served[index] + SHOWN * noise(2, index))
            .collect();
        let noisy = |size: f64| -> Vec<f64> {
            let one = |index| common.wanted[index] + size * noise(1, index);
            (0..CANDIDATES).map(one).collect()
        };
        let candidate = match ranker {
            Ranker::Noisy(size) => noisy(size),
            Ranker::Mixed { share, there, .. } if common.place < share => noisy(there),
            Ranker::Mixed { else_, .. } => noisy(else_),
            Ranker::ByTraffic { tail, .. } if common.is_tail => noisy(tail),
            Ranker::ByTraffic { head, .. } => noisy(head),
            Ranker::Random => (0..CANDIDATES).map(|index| noise(1, index)).collect(),
            Ranker::Popularity => common.popular.clone(),
            Ranker::LikeShown => shown.clone(),
        };
        let positions = positions(&shown);
        let grades: Vec<u8> = common.wanted.iter().map(|&wanted| grade(wanted)).collect();
        let labels: Vec<u8> = if evidence == Evidence::Grades {
            grades.clone()
        } else {
            let looked = |index: usize| match evidence {
                Evidence::Debiased | Evidence::Raw => 1.0 / positions[index] as f64,
                _ => 1.0,
            };
            (0..CANDIDATES)
                .map(|index| click(common.wanted[index], looked(index), draw))
                .collect()
        };
        if labels.iter().all(|&label| label == 0) {
            return;
        }
        let part = if common.is_tail {
            ListSlice::Tail
        } else {
            ListSlice::Head
        };
        for (lists, labels) in [(&mut self.lists, labels), (&mut self.grades, grades)] {
            let start = lists.labels.len();
            lists.lists.push(HeldOutList {
                key: 0,
                candidates: start..start + CANDIDATES,
                slices: vec![part],
            });
            lists.labels.extend(labels);
        }
        if evidence == Evidence::Debiased {
            let weight = |position: &usize| clicks::weight(Some(1.0 / *position as f64));
            self.lists.weights.extend(positions.iter().map(weight));
        }
        self.served.extend(served);
        self.candidate.extend(candidate);
    }
}

fn grade(wanted: f64) -> u8 {
    match wanted {
        w if w > 1.6 => 3,
        w if w > 0.9 => 2,
        w if w > 0.3 => 1,
        _ => 0,
    }
}

/// What is done with a candidate that is looked at with this probability.
fn click(wanted: f64, looked: f64, draw: &mut Draw) -> u8 {
    let attractive = 0.5 / (1.0 + (-2.5 * (wanted - 0.9)).exp());
    let (clicked, more) = (draw.uniform(), draw.uniform());
    match (clicked < looked * attractive, more) {
        (false, _) => 0,
        (true, more) if more < 0.15 => 3,
        (true, more) if more < 0.3 => 2,
        (true, _) => 1,
    }
}

/// From 1.
fn positions(scores: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    let mut positions = vec![0; scores.len()];
    for (place, &index) in order.iter().enumerate() {
        positions[index] = place + 1;
    }
    positions
}
