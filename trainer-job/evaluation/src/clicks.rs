//! Weights for clicks. What is shown further down is looked at less, so that a click there stands
//! for more of them: for the inverse of the chance that its position was looked at (its
//! *propensity*). Weights are clipped, since one click at a position that hardly anybody sees must
//! not decide alone, and figures are self-normalised (Swaminathan & Joachims 2015): they are divided
//! by the weights they add up, not by the number of lists.

use searchop_contract::ClickWeights;

use crate::rounded;

/// No click stands for more than this many.
pub const LARGEST_WEIGHT: f64 = 10.0;

/// The weight of a candidate at a position that is looked at with this probability, relative to the
/// first one. Where that is not known, or makes no sense, the weight is 1.
pub fn weight(propensity: Option<f64>) -> f64 {
    match propensity {
        Some(p) if p.is_finite() && p > 0.0 => (1.0 / p).clamp(1.0, LARGEST_WEIGHT),
        _ => 1.0,
    }
}

/// How far the weights of the candidates with a positive label can be trusted. `None` without one.
pub fn counted(weights: &[f64], labels: &[u8]) -> Option<ClickWeights> {
    let positives = || {
        let pairs = weights.iter().zip(labels);
        pairs.filter(|(_, label)| **label > 0).map(|(w, _)| *w)
    };
    let clicks = positives().count();
    if clicks == 0 {
        return None;
    }
    let clipped = positives().filter(|&w| w >= LARGEST_WEIGHT).count();
    let (sum, squares) = positives().fold((0.0, 0.0), |(s, q), w| (s + w, q + w * w));
    Some(ClickWeights {
        clipped_share: rounded(clipped as f64 / clicks as f64)?,
        effective_clicks: ((sum * sum / squares) * 10.0).round() / 10.0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_inverse_and_bounded() {
        for (propensity, want) in [
            (Some(1.0), 1.0),
            (Some(0.25), 4.0),
            (Some(0.001), LARGEST_WEIGHT),
            (Some(2.0), 1.0),
            (Some(0.0), 1.0),
            (Some(f64::NAN), 1.0),
            (None, 1.0),
        ] {
            assert_eq!(weight(propensity), want, "{propensity:?}");
        }
    }

    #[test]
    fn only_what_was_clicked_is_counted() {
        let found = counted(&[1.0, 3.0, LARGEST_WEIGHT, 1.0], &[1, 2, 0, 1]).unwrap();
        assert_eq!(found.clipped_share, 0.0);
        assert_eq!(found.effective_clicks, 2.3, "25 / 11");
        let clipped = counted(&[1.0, LARGEST_WEIGHT], &[1, 1]).unwrap();
        assert_eq!(clipped.clipped_share, 0.5);
        assert_eq!(counted(&[1.0], &[0]), None);
    }
}
