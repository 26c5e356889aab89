use searchop_contract::AbortRule;

/// Whether a candidate still deserves requests. Old requests count less and less, so that a candidate
/// which was good for a day and then fails is caught as soon as one that fails from the start.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Trial {
    /// Halved now and then, as what follows.
    requests: f64,
    failures: f64,
}

impl Trial {
    /// Counts an answer. Whether the rule is broken: it already is where failures are too many for
    /// the least number of requests, whatever would come until then.
    pub fn count(&mut self, failed: bool, rule: &AbortRule) -> bool {
        let least = f64::from(rule.min_requests).max(1.0);
        if self.requests >= 2.0 * least {
            self.requests /= 2.0;
            self.failures /= 2.0;
        }
        self.requests += 1.0;
        self.failures += f64::from(u8::from(failed));
        let most = f64::from(rule.max_error_percent) * self.requests.max(least);
        failed && 100.0 * self.failures > most
    }

    /// Why a candidate whose last failure was `last` is stopped.
    pub fn reason(&self, rule: &AbortRule, last: &str) -> String {
        let (failures, most) = (self.failures.round(), rule.max_error_percent);
        let requests = self.requests.max(f64::from(rule.min_requests)).round();
        format!("{failures} of {requests} rankings failed, more than {most} %: {last}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first answer with which the rule is broken; failures are those numbers that `fails` says.
    fn broken(rule: (u32, u8), fails: impl Fn(u64) -> bool) -> Option<u64> {
        let rule = AbortRule {
            min_requests: rule.0,
            max_error_percent: rule.1,
        };
        let mut trial = Trial::default();
        (1..=100_000).find(|number| trial.count(fails(*number), &rule))
    }

    #[test]
    fn a_candidate_is_stopped_as_soon_as_the_rule_cannot_hold_any_more() {
        for (rule, fails, expected) in [
            ((100, 5), (|_| false) as fn(u64) -> bool, None),
            // 5 of 100 are allowed, the sixth is one too many.
            ((100, 5), |_| true, Some(6)),
            ((100, 5), |number| number > 40, Some(46)),
            ((100, 5), |number| number % 25 == 0, None),
            ((100, 5), |number| number % 10 == 0, Some(60)),
            ((1, 0), |_| true, Some(1)),
            ((0, 0), |number| number == 9, Some(9)),
            ((100, 0), |number| number == 9, Some(9)),
            ((1, 99), |number| number > 1, Some(8)),
            ((1, 100), |_| true, None),
        ] {
            assert_eq!(broken(rule, fails), expected, "{rule:?}");
        }
    }

    #[test]
    fn a_long_good_life_does_not_hide_a_sudden_failure() {
        let stopped = broken((100, 5), |number| number > 50_000).unwrap();
        assert!((50_006..50_020).contains(&stopped), "{stopped}");
    }

    #[test]
    fn the_reason_says_what_was_counted() {
        let rule = AbortRule {
            min_requests: 100,
            max_error_percent: 5,
        };
        let mut trial = Trial::default();
        while !trial.count(true, &rule) {}
        assert_eq!(
            trial.reason(&rule, "it panicked"),
            "6 of 100 rankings failed, more than 5 %: it panicked"
        );
    }
}
