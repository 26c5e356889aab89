use std::io::{self, Write};

use serde_json::ser::Formatter;

/// Writes each `f32` in its shortest form with a decimal point: clients cast a score to a
/// floating-point type by the look of it, and fail on `1` or `1e-7`.
pub struct WithPoint;

impl Formatter for WithPoint {
    fn write_f32<W: ?Sized + Write>(&mut self, to: &mut W, value: f32) -> io::Result<()> {
        // At most `-1.1754944e-38`.
        let mut text = [0; 24];
        let mut rest = &mut text[..];
        write!(rest, "{value:?}")?;
        let length = 24 - rest.len();
        let text = &text[..length];
        match text.iter().position(|byte| *byte == b'e') {
            Some(exponent) if !text.contains(&b'.') => {
                to.write_all(&text[..exponent])?;
                to.write_all(b".0")?;
                to.write_all(&text[exponent..])
            }
            _ => to.write_all(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::Serialize as _;

    use super::*;

    #[test]
    fn every_score_has_a_point_and_is_read_back_the_same() {
        for (value, text) in [
            (0.0, "0.0"),
            (1.0, "1.0"),
            (0.5, "0.5"),
            (0.98, "0.98"),
            (1e-7, "1.0e-7"),
            (f32::MIN_POSITIVE, "1.1754944e-38"),
            (0.333_333_34, "0.33333334"),
        ] {
            let mut json = Vec::new();
            let mut writer = serde_json::Serializer::with_formatter(&mut json, WithPoint);
            value.serialize(&mut writer).unwrap();
            assert_eq!(std::str::from_utf8(&json).unwrap(), text);
            assert_eq!(serde_json::from_slice::<f32>(&json).unwrap(), value);
        }
    }
}
