//! Between the trainer's numbers and the API's decimals.

use searchop_contract::{Measure, Measurement};

use crate::Figure;

/// The API has no floats. Six decimals hold every metric and difference to a ten-thousandth of a
/// per cent. The gate reads only these decimals, so judging again gives the same verdict.
const DECIMALS: usize = 6;

/// Differences beyond this are written as this, so that a figure has at most 15 characters.
const LARGEST: f64 = 9_999_999.0;

/// `number` as a decimal, `None` where it is not finite.
pub fn decimal(number: f64) -> Option<String> {
    number.is_finite().then(|| {
        let text = format!("{:.*}", DECIMALS, number.clamp(-LARGEST, LARGEST));
        if text == "-0.000000" {
            "0.000000".to_owned()
        } else {
            text
        }
    })
}

/// The number behind a decimal; `None` where the text is not a finite number.
pub fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

impl From<&Measurement> for Figure {
    fn from(measurement: &Measurement) -> Self {
        let text = |value: Option<f64>| value.and_then(decimal);
        Self {
            metric: measurement.measure.metric,
            k: i32::try_from(measurement.measure.k).unwrap_or(i32::MAX),
            against: measurement.measure.against,
            candidate: text(measurement.candidate),
            reference: text(measurement.reference),
            low: text(measurement.low),
            high: text(measurement.high),
            queries: i64::from(measurement.queries),
            holdout_overlap: measurement.holdout_overlap,
            on: measurement.measure.on,
            slice: measurement.measure.slice,
        }
    }
}

impl From<&Figure> for Measurement {
    /// What is not a number becomes `None`, which the gate reads as an error.
    fn from(figure: &Figure) -> Self {
        let value = |text: &Option<String>| text.as_deref().and_then(number);
        Self {
            measure: figure.measure(),
            candidate: value(&figure.candidate),
            reference: value(&figure.reference),
            low: value(&figure.low),
            high: value(&figure.high),
            queries: u32::try_from(figure.queries).unwrap_or_default(),
            holdout_overlap: figure.holdout_overlap,
        }
    }
}

impl Figure {
    /// What was measured.
    pub fn measure(&self) -> Measure {
        Measure {
            metric: self.metric,
            k: u32::try_from(self.k).unwrap_or_default(),
            against: self.against,
            on: self.on,
            slice: self.slice,
        }
    }
}

#[cfg(test)]
mod tests {
    use searchop_contract::{Evidence, ListSlice, Metric, Reference};

    use super::*;

    #[test]
    fn decimals_are_bounded_and_say_nothing_of_what_is_no_number() {
        for (number, text) in [
            (0.741_234_567, Some("0.741235")),
            (-0.000_000_1, Some("0.000000")),
            (1e300, Some("9999999.000000")),
            (-1e300, Some("-9999999.000000")),
            (f64::NAN, None),
            (f64::INFINITY, None),
        ] {
            assert_eq!(decimal(number).as_deref(), text, "{number}");
        }
        for text in ["", "NaN", "inf", "0,5", "high"] {
            assert_eq!(number(text), None, "{text}");
        }
    }

    #[test]
    fn a_figure_comes_back_as_the_measurement_it_was() {
        let measurement = Measurement {
            measure: Measure {
                on: Some(Evidence::Judgments),
                slice: Some(ListSlice::Tail),
                ..Measure::new(Metric::MRR, 10, Some(Reference::BestPromoted))
            },
            candidate: Some(0.741),
            reference: Some(0.703),
            low: Some(-0.021_5),
            high: None,
            queries: u32::MAX,
            holdout_overlap: true,
        };
        let figure = Figure::from(&measurement);
        assert_eq!(Measurement::from(&figure), measurement);
        assert_eq!(Figure::from(&Measurement::from(&figure)), figure);
    }
}
