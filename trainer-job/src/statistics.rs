//! Bounds on a mean and on a relative difference. The unit is the query: its lists are averaged
//! first, because lists of one query are alike and counting each of them would make every
//! difference look certain.

/// An estimate with one-sided bounds, each at the same confidence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    pub value: f64,
    /// `None` with fewer than two queries, where nothing is known about the spread.
    pub bounds: Option<Bounds>,
}

/// The value is above `low` with the asked confidence, and below `high` with the same.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    pub low: f64,
    pub high: f64,
}

/// Mean of one value a query. `None` without any query.
pub fn mean(values: &[f64], confidence: f64) -> Option<Estimate> {
    let value = average(values)?;
    let residuals: Vec<f64> = values.iter().map(|one| one - value).collect();
    Some(Estimate {
        value,
        bounds: bounds(value, &residuals, confidence),
    })
}

/// (mean candidate − mean reference) / mean reference, over the same queries in the same order.
/// The spread is that of a ratio: each query's difference less what its reference value explains.
/// `None` without a query or with a reference of zero, where relative has no meaning.
pub fn relative_difference(
    candidate: &[f64],
    reference: &[f64],
    confidence: f64,
) -> Option<Estimate> {
    assert_eq!(
        candidate.len(),
        reference.len(),
        "both are measured on the same queries"
    );
    let base = average(reference)?;
    if base <= 0.0 {
        return None;
    }
    let value = (average(candidate)? - base) / base;
    let residual = |(c, r): (&f64, &f64)| (c - r - value * r) / base;
    let residuals: Vec<f64> = candidate.iter().zip(reference).map(residual).collect();
    Some(Estimate {
        value,
        bounds: bounds(value, &residuals, confidence),
    })
}

fn average(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// `residuals` have mean zero.
fn bounds(value: f64, residuals: &[f64], confidence: f64) -> Option<Bounds> {
    if residuals.len() < 2 {
        return None;
    }
    let n = residuals.len() as f64;
    let variance = residuals.iter().map(|one| one * one).sum::<f64>() / (n - 1.0);
    let reach = t_quantile(confidence, n - 1.0) * (variance / n).sqrt();
    Some(Bounds {
        low: value - reach,
        high: value + reach,
    })
}

/// The value below which Student's t with `degrees` of freedom lies with probability `p`, for `p`
/// in (0, 1).
pub fn t_quantile(p: f64, degrees: f64) -> f64 {
    if p < 0.5 {
        return -t_quantile(1.0 - p, degrees);
    }
    let mut high = 1.0;
    while t_cdf(high, degrees) < p && high < 1e9 {
        high *= 2.0;
    }
    let mut low = 0.0;
    // 100 halvings of at most 1e9 leave less than an f64 can tell apart.
    for _ in 0..100 {
        let middle = (low + high) / 2.0;
        if t_cdf(middle, degrees) < p {
            low = middle
        } else {
            high = middle
        }
    }
    (low + high) / 2.0
}

/// For t ≥ 0.
fn t_cdf(t: f64, degrees: f64) -> f64 {
    let x = degrees / (degrees + t * t);
    1.0 - 0.5 * incomplete_beta(degrees / 2.0, 0.5, x)
}

/// Regularised incomplete beta function I_x(a, b), by its continued fraction.
fn incomplete_beta(a: f64, b: f64, x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return x.clamp(0.0, 1.0);
    }
    // The fraction converges fast only on this side; the other follows from the symmetry.
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - incomplete_beta(b, a, 1.0 - x);
    }
    let front = (ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (-x).ln_1p()).exp();
    front / a * beta_fraction(a, b, x)
}

/// Lentz's method.
fn beta_fraction(a: f64, b: f64, x: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let guard = |v: f64| if v.abs() < TINY { TINY } else { v };
    let mut c = 1.0;
    let mut d = 1.0 / guard(1.0 - (a + b) * x / (a + 1.0));
    let mut result = d;
    for step in 1..=500 {
        let m = f64::from(step);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        for term in [even, odd] {
            d = 1.0 / guard(1.0 + term * d);
            c = guard(1.0 + term / c);
            result *= c * d;
        }
        if (c * d - 1.0).abs() < 1e-15 {
            break;
        }
    }
    result
}

/// Logarithm of the gamma function for x > 0: Stirling's series, which is exact to 1e-15 beyond 10,
/// reached through Γ(x + 1) = x Γ(x).
fn ln_gamma(x: f64) -> f64 {
    let mut shift = 0.0;
    let mut z = x;
    while z < 10.0 {
        shift += z.ln();
        z += 1.0;
    }
    let inverse = 1.0 / (z * z);
    let series = (1.0 / 12.0
        - inverse
            * (1.0 / 360.0
                - inverse * (1.0 / 1260.0 - inverse * (1.0 / 1680.0 - inverse / 1188.0))))
        / z;
    (z - 0.5) * z.ln() - z + 0.5 * std::f64::consts::TAU.ln() + series - shift
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn quantiles_match_the_printed_tables() {
        for (p, degrees, want) in [
            (0.95, 1.0, 6.313_751_514_675_043),
            (0.975, 1.0, 12.706_204_736_174_7),
            (0.95, 2.0, 2.919_985_580_353_725),
            (0.95, 10.0, 1.812_461_122_811_676),
            (0.99, 29.0, 2.462_021_360_150_383),
            (0.975, 100.0, 1.983_971_518_449_634),
            (0.95, 1000.0, 1.646_378_817_285_46),
            (0.95, 1e6, 1.644_855),
        ] {
            let got = t_quantile(p, degrees);
            assert!(
                (got - want).abs() < 1e-6,
                "t({p}, {degrees}) = {got}, want {want}"
            );
            assert!((t_quantile(1.0 - p, degrees) + want).abs() < 1e-6);
        }
        assert!(t_quantile(0.5, 7.0).abs() < 1e-9);
    }

    #[test]
    fn gamma_is_the_factorial() {
        for (x, want) in [
            (1.0, 1.0),
            (5.0, 24.0),
            (11.0, 3_628_800.0),
            (0.5, std::f64::consts::PI.sqrt()),
        ] {
            assert!((ln_gamma(x) - f64::ln(want)).abs() < 1e-12, "{x}");
        }
    }

    #[test]
    fn one_query_has_a_value_and_no_bounds() {
        assert_eq!(
            mean(&[0.5], 0.95),
            Some(Estimate {
                value: 0.5,
                bounds: None
            })
        );
        assert_eq!(mean(&[], 0.95), None);
        let one = relative_difference(&[0.6], &[0.5], 0.95).unwrap();
        assert!((one.value - 0.2).abs() < 1e-12 && one.bounds.is_none());
        assert_eq!(relative_difference(&[0.6, 0.1], &[0.0, 0.0], 0.95), None);
    }

    #[test]
    fn a_hand_computed_bound() {
        // Mean 2, standard deviation 1, n 3: 2 ± t(0.95, 2) / √3.
        let bounds = mean(&[1.0, 2.0, 3.0], 0.95).unwrap().bounds.unwrap();
        assert!((bounds.low - (2.0 - 2.919_985_580 / 3_f64.sqrt())).abs() < 1e-6);
        assert!((bounds.high - (2.0 + 2.919_985_580 / 3_f64.sqrt())).abs() < 1e-6);
    }

    #[test]
    fn the_same_ranking_has_no_difference_and_no_doubt() {
        let values = [0.2, 0.9, 0.4];
        let same = relative_difference(&values, &values, 0.95).unwrap();
        assert_eq!(
            same,
            Estimate {
                value: 0.0,
                bounds: Some(Bounds {
                    low: 0.0,
                    high: 0.0
                })
            }
        );
    }

    /// Candidate = reference · 1.1 + noise: the one-sided bounds must miss about 5 % of the time.
    #[test]
    fn bounds_cover_as_often_as_they_say() {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let (mut below, mut above) = (0, 0);
        let rounds = 2_000;
        for _ in 0..rounds {
            let reference: Vec<f64> = (0..30).map(|_| rng.random_range(0.2..1.0)).collect();
            let candidate: Vec<f64> = reference
                .iter()
                .map(|r| r * 1.1 + rng.random_range(-0.2..0.2))
                .collect();
            let bounds = relative_difference(&candidate, &reference, 0.95)
                .unwrap()
                .bounds
                .unwrap();
            below += u32::from(bounds.high < 0.1);
            above += u32::from(bounds.low > 0.1);
        }
        for missed in [below, above] {
            let share = f64::from(missed) / f64::from(rounds);
            assert!((0.03..0.07).contains(&share), "missed {share}");
        }
    }
}
