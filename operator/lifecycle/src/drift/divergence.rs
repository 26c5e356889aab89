/// Population stability index beyond what chance adds, and Jensen–Shannon divergence in bits, of two
/// samples in the same bins; both 0 where one is empty.
///
/// Two samples of one distribution have an index of about (bins − 1)(1/n + 1/m), as its terms are
/// those of a chi-squared statistic; that is taken away, so that one limit fits all sizes.
pub fn divergence(before: &[u64], after: &[u64]) -> (f64, f64) {
    let filled = |(a, b): &(&u64, &u64)| **a > 0 || **b > 0;
    let bins: Vec<(&u64, &u64)> = before.iter().zip(after).filter(filled).collect();
    let sum = |counts: &[u64]| counts.iter().map(|count| *count as f64).sum::<f64>();
    let (n, m) = (sum(before), sum(after));
    if n == 0.0 || m == 0.0 {
        return (0.0, 0.0);
    }
    // Half a value in every bin, or one that was empty before would count without limit.
    let share = |count: u64, all: f64| (count as f64 + 0.5) / (all + 0.5 * bins.len() as f64);
    let (mut psi, mut jensen_shannon) = (0.0, 0.0);
    for (before, after) in &bins {
        let (p, q) = (share(**before, n), share(**after, m));
        let middle = (p + q) / 2.0;
        psi += (q - p) * (q / p).ln();
        jensen_shannon += (p * (p / middle).log2() + q * (q / middle).log2()) / 2.0;
    }
    let by_chance = (bins.len() as f64 - 1.0) * (1.0 / n + 1.0 / m);
    ((psi - by_chance).max(0.0), jensen_shannon.clamp(0.0, 1.0))
}
