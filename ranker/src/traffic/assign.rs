//! Which version answers whom.
//!
//! The point of a unit (a user, most often) for a candidate is the first eight bytes, big-endian, of
//! `SHA-256("<model>/<version>/<unit>")` as a fraction of 2⁶⁴. Nothing else decides: every pod of
//! every release comes to the same answer, and so does whoever analyses clicks, in SQL if need be.
//! A candidate has the units below its weight, so one that has been given a unit keeps it as its
//! weight grows; and since its version is hashed, too, other users go first the next time.

use sha2::{Digest as _, Sha256};

/// What a candidate is to be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    pub version: u32,
    /// Percent.
    pub weight: u8,
}

/// The candidate that answers `unit`, as an index into `parts`; `None` for the served version. Each
/// later candidate draws from what those before it left.
pub fn assign(model: &str, parts: impl IntoIterator<Item = Part>, unit: &str) -> Option<usize> {
    let mut left = 100;
    for (index, part) in parts.into_iter().enumerate() {
        let weight = u64::from(part.weight);
        if weight > 0 && among(point(model, part.version, unit), left) < weight {
            return Some(index);
        }
        left -= weight.min(left);
    }
    None
}

/// Whether `unit` is in a sample of this percentage.
pub fn samples(model: &str, version: u32, percent: u8, unit: &str) -> bool {
    among(point(model, version, unit), 100) < u64::from(percent)
}

fn point(model: &str, version: u32, unit: &str) -> u64 {
    let mut hash = Sha256::new();
    for part in [model, "/", &version.to_string(), "/", unit] {
        hash.update(part);
    }
    let hash = hash.finalize();
    let first = hash.first_chunk().expect("a SHA-256 has 32 bytes");
    u64::from_be_bytes(*first)
}

/// The point among `count` equal parts.
fn among(point: u64, count: u64) -> u64 {
    ((u128::from(point) * u128::from(count)) >> 64) as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn one(weight: u8) -> [Part; 1] {
        [Part { version: 8, weight }]
    }

    /// What `hashlib.sha256` gives, so that nobody's users move with a release.
    #[test]
    fn points_are_those_that_anybody_can_compute() {
        for (model, version, unit, expected) in [
            ("products", 8, "u-1", POINTS[0]),
            ("products", 8, "u-2", POINTS[1]),
            ("products", 9, "u-1", POINTS[2]),
            ("m", 1, "", POINTS[3]),
            ("m", 1, "größe/ü", POINTS[4]),
        ] {
            assert_eq!(
                point(model, version, unit),
                expected,
                "{model}/{version}/{unit}"
            );
        }
    }

    const POINTS: [u64; 5] = [
        0x23b6_585c_fe1e_7a99,
        0xa821_523c_0595_889a,
        0xa38d_86e9_ac8e_22c0,
        0x1062_8824_639b_5130,
        0x3e0f_affd_e5f7_280b,
    ];

    #[test]
    fn a_part_of_the_whole_is_exact_at_its_edges() {
        for (point, part) in [
            (0, 0),
            (u64::MAX, 99),
            (u64::MAX / 100, 0),
            (u64::MAX / 100 + 1, 1),
        ] {
            assert_eq!(among(point, 100), part, "{point}");
        }
    }

    #[test]
    fn ten_thousand_users_are_shared_out_within_one_percent() {
        let shapes: [fn(u32) -> String; 4] = [
            |n| format!("u-{n}"),
            |n| n.to_string(),
            |n| {
                format!(
                    "{:032x}",
                    u128::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c834)
                )
            },
            |n| format!("shopper{n}@example.com"),
        ];
        for shape in shapes {
            for weight in [0, 1, 5, 10, 25, 50, 75, 90, 99, 100] {
                let given = (0..10_000)
                    .filter(|n| assign("products", one(weight), &shape(*n)).is_some())
                    .count();
                let percent = given as f64 / 100.0;
                assert!(
                    (percent - f64::from(weight)).abs() <= 1.0,
                    "{}: {percent} of {weight}",
                    shape(1)
                );
                assert!(![0, 100].contains(&weight) || percent == f64::from(weight));
            }
        }
    }

    #[test]
    fn several_candidates_have_their_weights_and_the_served_one_the_rest() {
        let parts = [(8, 20), (9, 0), (10, 50)].map(|(version, weight)| Part { version, weight });
        let mut counts = [0; 4];
        for user in 0..10_000 {
            let given = assign("products", parts, &user.to_string());
            counts[given.unwrap_or(3)] += 1;
        }
        for (count, expected) in counts.into_iter().zip([2000, 0, 5000, 3000i32]) {
            assert!((expected - count).abs() <= 100, "{counts:?}");
        }
        let all = [(8, 60), (9, 60)].map(|(version, weight)| Part { version, weight });
        assert!((0..1000).all(|user| assign("m", all, &user.to_string()).is_some()));
    }

    proptest! {
        #[test]
        fn whoever_is_with_the_candidate_stays_as_its_weight_grows(
            model in "[a-z][-a-z0-9]{0,38}", version in 1u32.., unit in ".{0,40}",
            less in 0u8..=100, more in 0u8..=100,
        ) {
            let given = |weight| assign(&model, [Part { version, weight }], &unit).is_some();
            let (less, more) = (less.min(more), less.max(more));
            prop_assert!(!given(less) || given(more));
            prop_assert_eq!(given(less), given(less));
            prop_assert_eq!(given(less), samples(&model, version, less, &unit));
            prop_assert!(given(100) && !given(0));
        }

        /// Any model and version, not only those of the table.
        #[test]
        fn any_model_shares_out_its_users(model in "[a-z][-a-z0-9]{0,38}", version in 1u32.., weight in 1u8..100) {
            let users = 2000;
            let given = (0..users)
                .filter(|user| assign(&model, [Part { version, weight }], &format!("u{user}")).is_some())
                .count() as f64;
            let share = f64::from(weight) / 100.0;
            let deviation = (f64::from(users) * share * (1.0 - share)).sqrt();
            prop_assert!((given - f64::from(users) * share).abs() <= 5.0 * deviation + 1.0, "{given}");
        }
    }
}
