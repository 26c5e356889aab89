//! Is a candidate that answers part of the requests as sound as what serves?
//!
//! Nearly everything is a share over a limit: answers that failed, answers slower than the served
//! version's p99 and what may be added to it, values that were missing; scores are a matter of their
//! own. A share counts as over its limit where even its lower bound is, so that one failure among the
//! first few answers aborts nothing; where only the estimate is, more requests have to tell.

mod scores;

use searchop_api::Analysis;
use searchop_contract::{Buckets, Digest, TrafficReport, VersionTraffic};

use scores::Scores;

/// One-sided 99.9 %: it is looked at every few seconds, and each look is a chance to err.
const Z: f64 = 3.09;
/// Milliseconds that count as no difference, whatever their ratio.
const SAME_MS: f64 = 1.0;
const P99: f64 = 0.99;
/// More buckets than any ranker has.
const MAX_BUCKETS: usize = 512;

/// What the reports say about a candidate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    Continue,
    /// Nothing is wrong, and too little is known.
    Wait(String),
    Abort(String),
}

/// Counts of one version, summed over pods.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Tally {
    pub requests: u64,
    pub errors: u64,
    pub values: u64,
    pub missing: u64,
    pub latency: Option<Buckets>,
    pub scores: Option<Scores>,
    pub shadow_requests: u64,
    pub shadow_errors: u64,
    /// Sums over the requests in the shadow.
    pub overlap: f64,
    pub top10_change: f64,
    /// Why a pod took the version's weight away.
    pub aborted: Option<String>,
}

impl Tally {
    /// What the pods report of a model with its tables. Reports are untrusted: what means nothing is
    /// left out.
    pub fn of<'a>(
        reports: impl Iterator<Item = &'a TrafficReport>,
        (digest, tables): &(Digest, Digest),
    ) -> Self {
        let mut tally = Self::default();
        for report in reports {
            let own = |one: &&VersionTraffic| one.digest == *digest && one.tables_digest == *tables;
            if let Some(version) = report.versions.iter().find(own) {
                tally.add(version);
            }
        }
        tally
    }

    fn add(&mut self, version: &VersionTraffic) {
        let add = |sum: &mut u64, count: u64| *sum = sum.saturating_add(count);
        add(&mut self.requests, version.requests);
        add(&mut self.errors, version.errors.min(version.requests));
        add(&mut self.values, version.values);
        add(&mut self.missing, version.missing.min(version.values));
        if let Some(shadow) = &version.shadow {
            add(&mut self.shadow_requests, shadow.requests);
            add(&mut self.shadow_errors, shadow.errors.min(shadow.requests));
            let most = shadow.requests as f64;
            let sum = |sum: f64| {
                if sum.is_finite() {
                    sum.clamp(0.0, most)
                } else {
                    0.0
                }
            };
            self.overlap += sum(shadow.overlap_sum);
            self.top10_change += sum(shadow.top10_change_sum);
        }
        match (&mut self.scores, Scores::of(version)) {
            (Some(sum), Some(more)) => sum.add(&more),
            (none, more) => *none = none.take().or(more),
        }
        if is_histogram(&version.latency) {
            match &mut self.latency {
                None => self.latency = Some(version.latency.clone()),
                Some(sum) if sum.bounds == version.latency.bounds => {
                    let counts = sum.counts.iter_mut().zip(&version.latency.counts);
                    counts.for_each(|(sum, count)| add(sum, *count));
                }
                Some(_) => {}
            }
        }
        if self.aborted.is_none() {
            self.aborted.clone_from(&version.aborted);
        }
    }

    fn error_share(&self) -> f64 {
        share(self.errors, self.requests)
    }

    fn missing_share(&self) -> f64 {
        share(self.missing, self.values)
    }
}

fn is_histogram(buckets: &Buckets) -> bool {
    let bounds = &buckets.bounds;
    (1..=MAX_BUCKETS).contains(&bounds.len())
        && buckets.counts.len() == bounds.len() + 1
        && bounds
            .iter()
            .all(|bound| bound.is_finite() && *bound >= 0.0)
        && bounds.windows(2).all(|pair| pair[0] < pair[1])
}

/// Judges a version that answers requests.
pub(crate) fn analyse(rules: &Analysis, served: &Tally, candidate: &Tally) -> Finding {
    if let Some(words) = &candidate.aborted {
        let words: String = words.chars().take(200).collect();
        return Finding::Abort(format!("a pod gave it up: {words}"));
    }
    if candidate.requests < positive(rules.min_requests) {
        return Finding::Wait(format!(
            "{} requests are needed to judge it",
            rules.min_requests
        ));
    }
    let checks = [
        Some(errors(rules, served, candidate)),
        latency(rules, served, candidate),
        missing(rules, served, candidate),
    ];
    let shares = checks.iter().flatten().map(Check::finding);
    let limit = rules.max_score_shift.as_deref();
    let of = |limit| scores::scores(limit, served.scores.as_ref(), candidate.scores.as_ref());
    conclude(shares.chain(limit.map(of)))
}

/// Judges a version that ranks off the response path.
pub(crate) fn analyse_shadow(rules: &Analysis, candidate: &Tally) -> Finding {
    if candidate.shadow_requests < positive(rules.min_requests) {
        return Finding::Wait(format!(
            "{} requests in the shadow are needed to judge it",
            rules.min_requests
        ));
    }
    let check = Check {
        kind: "rankings in the shadow that failed",
        detail: String::new(),
        share: share(candidate.shadow_errors, candidate.shadow_requests),
        requests: candidate.shadow_requests,
        limit: percent(rules.max_error_percent),
    };
    check.finding()
}

fn conclude(findings: impl Iterator<Item = Finding>) -> Finding {
    let mut doubt = None;
    for finding in findings {
        match finding {
            Finding::Continue => {}
            Finding::Wait(words) => doubt = doubt.or(Some(words)),
            abort => return abort,
        }
    }
    doubt.map_or(Finding::Continue, Finding::Wait)
}

/// A share of the requests and the limit of it.
struct Check {
    kind: &'static str,
    /// More about it, in numbers.
    detail: String,
    share: f64,
    requests: u64,
    limit: f64,
}

impl Check {
    /// Requests were answered, and what is to be judged of them is not reported: no version passes
    /// on that.
    fn untold(kind: &'static str) -> Self {
        Self {
            kind,
            detail: String::new(),
            share: 1.0,
            requests: 0,
            limit: 0.0,
        }
    }

    fn finding(&self) -> Finding {
        let Self {
            kind,
            detail,
            share,
            requests,
            limit,
        } = self;
        if share <= limit {
            return Finding::Continue;
        }
        if lower_bound(*share, *requests as f64) > *limit {
            Finding::Abort(format!(
                "{:.1} % of {requests} requests: {kind}{detail}, {:.1} % are allowed",
                share * 100.0,
                limit * 100.0
            ))
        } else {
            // Without a number, or it would be news at every look.
            Finding::Wait(format!("too few requests to tell of {kind}"))
        }
    }
}

/// A served version that fails as often is no reason to keep it.
fn errors(rules: &Analysis, served: &Tally, candidate: &Tally) -> Check {
    Check {
        kind: "answers that failed",
        detail: String::new(),
        share: candidate.error_share(),
        requests: candidate.requests,
        limit: percent(rules.max_error_percent).max(served.error_share()),
    }
}

/// `None` where the served version has answered nothing to compare with.
fn latency(rules: &Analysis, served: &Tally, candidate: &Tally) -> Option<Check> {
    let base = quantile(served.latency.as_ref()?, P99)?;
    let limit = (base * (1.0 + percent(rules.max_p99_increase_percent))).max(base + SAME_MS);
    let Some(latency) = candidate.latency.as_ref().filter(|one| total(one) > 0) else {
        return Some(Check::untold("answers without a latency"));
    };
    let all = total(latency);
    let over = share_above(latency, limit);
    Some(Check {
        kind: "slow answers",
        detail: format!(
            ", slower than {limit:.1} ms where the served version's p99 is {base:.1} ms"
        ),
        share: over,
        requests: all,
        limit: 1.0 - P99,
    })
}

/// The values of one request go missing together, so requests are what is counted. `None` where the
/// served version has answered nothing to compare with.
fn missing(rules: &Analysis, served: &Tally, candidate: &Tally) -> Option<Check> {
    if candidate.values == 0 {
        return Some(Check::untold("answers without values"));
    }
    (served.values > 0).then(|| Check {
        kind: "values that were missing",
        detail: String::new(),
        share: candidate.missing_share(),
        requests: candidate.requests,
        limit: served.missing_share() + percent(rules.max_missing_increase_percent),
    })
}

fn total(buckets: &Buckets) -> u64 {
    buckets
        .counts
        .iter()
        .fold(0, |sum, count| sum.saturating_add(*count))
}

/// The value below which this share lies, read off linearly within its bucket; the greatest bound
/// where it lies beyond. `None` without counts.
fn quantile(buckets: &Buckets, share: f64) -> Option<f64> {
    let rank = total(buckets) as f64 * share;
    let mut below = 0.0;
    let mut low = 0.0;
    for (count, high) in buckets.counts.iter().zip(&buckets.bounds) {
        let count = *count as f64;
        if count > 0.0 && below + count >= rank {
            return Some(low + (high - low) * (rank - below).max(0.0) / count);
        }
        below += count;
        low = *high;
    }
    (total(buckets) > 0).then_some(low)
}

/// Share of the values above `limit`, likewise; what lies beyond the greatest bound is above it.
fn share_above(buckets: &Buckets, limit: f64) -> f64 {
    let mut above = 0.0;
    let mut low = 0.0;
    for (count, high) in buckets.counts.iter().zip(&buckets.bounds) {
        above += *count as f64 * ((high - limit) / (high - low)).clamp(0.0, 1.0);
        low = *high;
    }
    above += buckets.counts.last().map_or(0.0, |count| *count as f64);
    let all = total(buckets);
    if all == 0 { 0.0 } else { above / all as f64 }
}

/// Wilson's lower bound of a share that was seen in `n` requests.
fn lower_bound(share: f64, n: f64) -> f64 {
    if n <= 0.0 {
        return 0.0;
    }
    let z2 = Z * Z / n;
    let spread = Z * (share * (1.0 - share) / n + z2 / (4.0 * n)).sqrt();
    (share + z2 / 2.0 - spread) / (1.0 + z2)
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

fn percent(whole: i32) -> f64 {
    f64::from(whole) / 100.0
}

fn positive(count: i32) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use searchop_contract::ShadowTraffic;

    use super::*;

    /// Milliseconds.
    const BOUNDS: [f64; 5] = [1.0, 2.0, 4.0, 8.0, 16.0];

    fn version(requests: u64, errors: u64, counts: [u64; 6]) -> VersionTraffic {
        VersionTraffic {
            version: 6,
            digest: Digest::of(b"six"),
            tables_digest: Digest::of(b"tables"),
            weight: 5,
            aborted: None,
            requests,
            errors,
            values: requests.saturating_mul(100),
            missing: requests.saturating_mul(10),
            latency: Buckets {
                bounds: BOUNDS.to_vec(),
                counts: counts.to_vec(),
            },
            scores: None,
            training_scores: None,
            shadow: None,
        }
    }

    fn tally(version: VersionTraffic) -> Tally {
        let address = (version.digest.clone(), version.tables_digest.clone());
        let report = TrafficReport {
            revision: None,
            refused: None,
            versions: vec![version],
        };
        Tally::of([report].iter(), &address)
    }

    fn served() -> VersionTraffic {
        version(20_000, 0, [10_000, 9_900, 100, 0, 0, 0])
    }

    #[test]
    fn three_verdicts() {
        type Change = fn(&mut VersionTraffic);
        let table: [(&str, Change, &str); 16] = [
            ("as good", |_| {}, "continue"),
            (
                "too few requests",
                |one| one.requests = 499,
                "wait: 500 requests are needed",
            ),
            (
                "one failure in a thousand",
                |one| one.errors = 1,
                "continue",
            ),
            (
                "maybe more than 1 %",
                |one| one.errors = 12,
                "wait: too few requests to tell",
            ),
            (
                "surely more than 1 %",
                |one| one.errors = 40,
                "abort: 4.0 % of 1000 requests: answers that failed",
            ),
            ("all failed", |one| one.errors = 1000, "abort: 100.0 %"),
            (
                "faster",
                |one| one.latency.counts = vec![1000, 0, 0, 0, 0, 0],
                "continue",
            ),
            (
                "some are slower",
                |one| one.latency.counts = vec![490, 495, 0, 15, 0, 0],
                "wait: too few requests",
            ),
            (
                "slower",
                |one| one.latency.counts = vec![0, 0, 0, 1000, 0, 0],
                "abort: 100.0 % of 1000 requests: slow answers, slower than 3.0 ms",
            ),
            (
                "beyond the greatest bound",
                |one| one.latency.counts = vec![900, 0, 0, 0, 0, 100],
                "abort: 10.0 %",
            ),
            (
                "no latency at all",
                |one| one.latency.counts.clear(),
                "wait: too few requests to tell",
            ),
            (
                "no latency counted",
                |one| one.latency.counts = vec![0; 6],
                "wait: too few requests to tell",
            ),
            (
                "no values told",
                |one| one.values = 0,
                "wait: too few requests to tell",
            ),
            (
                "a few more values are missing",
                |one| one.missing = 14_000,
                "continue",
            ),
            (
                "many more values are missing",
                |one| one.missing = 30_000,
                "abort: 30.0 % of 1000 requests: values that were missing, 15.0 %",
            ),
            (
                "a pod gave it up",
                |one| one.aborted = Some("9 of 20 failed".into()),
                "abort: a pod gave it up: 9 of 20",
            ),
        ];
        for (situation, change, expected) in table {
            let mut candidate = version(1000, 0, [500, 495, 5, 0, 0, 0]);
            change(&mut candidate);
            let found = analyse(&Analysis::default(), &tally(served()), &tally(candidate));
            let words = match found {
                Finding::Continue => "continue".to_owned(),
                Finding::Wait(words) => format!("wait: {words}"),
                Finding::Abort(words) => format!("abort: {words}"),
            };
            assert!(words.starts_with(expected), "{situation}: {words}");
        }
    }

    #[test]
    fn scores_are_judged_where_there_is_a_limit() {
        let scored = |mut version: VersionTraffic, counts: [u64; 4]| {
            version.training_scores = Some(vec![2500; 4]);
            version.scores = Some(Buckets {
                bounds: vec![-1.0, 0.0, 1.0],
                counts: counts.to_vec(),
            });
            tally(version)
        };
        let candidate = version(1000, 0, [500, 495, 5, 0, 0, 0]);
        let served = scored(served(), [5000; 4]);
        let shifted = scored(candidate.clone(), [50, 150, 300, 500]);
        let mut rules = Analysis::default();
        assert_eq!(analyse(&rules, &served, &shifted), Finding::Continue);
        rules.max_score_shift = Some("0.25".into());
        assert!(matches!(
            analyse(&rules, &served, &shifted),
            Finding::Abort(_)
        ));
        let like = scored(candidate.clone(), [250; 4]);
        assert_eq!(analyse(&rules, &served, &like), Finding::Continue);
        let untold = tally(candidate);
        assert!(matches!(
            analyse(&rules, &served, &untold),
            Finding::Wait(_)
        ));
    }

    #[test]
    fn complaint_16_a_served_version_that_fails_does_not_fail_its_successor() {
        let mut failing = served();
        failing.errors = 2000;
        let mut candidate = version(1000, 0, [500, 495, 5, 0, 0, 0]);
        candidate.errors = 90;
        let found = analyse(&Analysis::default(), &tally(failing), &tally(candidate));
        assert_eq!(found, Finding::Continue);
    }

    #[test]
    fn a_version_that_serves_nothing_to_compare_with_is_judged_by_its_own_failures() {
        let idle = Tally::default();
        let candidate = |errors| tally(version(1000, errors, [500, 495, 5, 0, 0, 0]));
        let rules = Analysis::default();
        assert_eq!(analyse(&rules, &idle, &candidate(0)), Finding::Continue);
        let found = analyse(&rules, &idle, &candidate(100));
        assert!(matches!(found, Finding::Abort(_)), "{found:?}");
    }

    #[test]
    fn in_the_shadow_failures_count_and_overlap_is_summed() {
        let mut candidate = version(0, 0, [0; 6]);
        candidate.shadow = Some(ShadowTraffic {
            requests: 1000,
            errors: 2,
            overlap_sum: 910.0,
            top10_change_sum: f64::NAN,
        });
        let found = tally(candidate.clone());
        assert_eq!((found.overlap, found.top10_change), (910.0, 0.0));
        assert_eq!(
            analyse_shadow(&Analysis::default(), &found),
            Finding::Continue
        );
        let shadow = candidate.shadow.as_mut().unwrap();
        shadow.errors = 500;
        let found = analyse_shadow(&Analysis::default(), &tally(candidate));
        assert!(matches!(found, Finding::Abort(_)), "{found:?}");
    }

    #[test]
    fn nonsense_in_a_report_counts_for_nothing() {
        let mut wild = version(u64::MAX, u64::MAX, [u64::MAX; 6]);
        wild.values = 3;
        wild.missing = 9;
        wild.latency.bounds = vec![f64::NAN, 1.0, 0.5, 2.0, 3.0];
        let sum = {
            let report = TrafficReport {
                revision: None,
                refused: None,
                versions: vec![wild.clone()],
            };
            let address = (wild.digest.clone(), wild.tables_digest.clone());
            Tally::of([report.clone(), report].iter(), &address)
        };
        assert_eq!(
            (sum.requests, sum.missing, &sum.latency),
            (u64::MAX, 6, &None)
        );
    }

    #[test]
    fn quantiles_are_read_off_within_a_bucket() {
        let buckets = Buckets {
            bounds: BOUNDS.to_vec(),
            counts: vec![0, 100, 0, 0, 0, 0],
        };
        assert_eq!(quantile(&buckets, 0.5), Some(1.5));
        assert_eq!(share_above(&buckets, 1.5), 0.5);
        assert_eq!(share_above(&buckets, 0.0), 1.0);
        assert_eq!(share_above(&buckets, 2.0), 0.0);
        let beyond = Buckets {
            counts: vec![0, 0, 0, 0, 0, 7],
            ..buckets.clone()
        };
        assert_eq!(quantile(&beyond, 0.5), Some(16.0));
        let empty = Buckets {
            counts: vec![0; 6],
            ..buckets
        };
        assert_eq!(quantile(&empty, 0.5), None);
    }
}
