use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, Visitor},
};

/// An id in the type it came in, so that it goes back the same way. As a table key, a number is its
/// decimal digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Id<'a> {
    Text(Cow<'a, str>),
    Number(Digits),
}

/// An integer of 64 bits, with or without sign, as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digits {
    bytes: [u8; Self::LONGEST],
    length: u8,
}

impl Digits {
    /// Of `-9223372036854775808` and of `18446744073709551615`.
    const LONGEST: usize = 20;

    fn new(number: impl itoa::Integer) -> Self {
        let mut buffer = itoa::Buffer::new();
        let text = buffer.format(number).as_bytes();
        let mut bytes = [0; Self::LONGEST];
        bytes[..text.len()].copy_from_slice(text);
        Self {
            bytes,
            length: text.len() as u8,
        }
    }

    fn as_str(&self) -> &str {
        let digits = &self.bytes[..usize::from(self.length)];
        std::str::from_utf8(digits).expect("digits are ASCII")
    }
}

impl Id<'_> {
    /// What it is looked up by.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Number(digits) => digits.as_str(),
        }
    }
}

impl From<u64> for Id<'_> {
    fn from(number: u64) -> Self {
        Self::Number(Digits::new(number))
    }
}

impl From<i64> for Id<'_> {
    fn from(number: i64) -> Self {
        Self::Number(Digits::new(number))
    }
}

impl Serialize for Id<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let digits = match self {
            Self::Text(text) => return to.serialize_str(text),
            Self::Number(digits) => digits.as_str(),
        };
        match (digits.parse::<u64>(), digits.parse::<i64>()) {
            (Ok(number), _) => to.serialize_u64(number),
            (_, Ok(number)) => to.serialize_i64(number),
            _ => Err(serde::ser::Error::custom("an id is no integer of 64 bits")),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Id<'a> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_any(IdVisitor)
    }
}

impl JsonSchema for Id<'_> {
    fn schema_name() -> Cow<'static, str> {
        "AnswerId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "In the type it came in.",
            "anyOf": [{"type": "string"}, {"type": "integer"}],
        })
    }
}

struct IdVisitor;

impl<'de> Visitor<'de> for IdVisitor {
    type Value = Id<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or an integer of 64 bits")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Id<'de>, E> {
        Ok(Id::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Id<'de>, E> {
        Ok(Id::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Id<'de>, E> {
        Ok(number.into())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Id<'de>, E> {
        Ok(number.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_go_back_in_their_type_and_are_looked_up_by_their_text() {
        for (json, text) in [
            (r#""7""#, "7"),
            ("7", "7"),
            ("0", "0"),
            ("-7", "-7"),
            ("18446744073709551615", "18446744073709551615"),
            ("-9223372036854775808", "-9223372036854775808"),
            (r#""""#, ""),
            (r#""ü\n""#, "ü\n"),
        ] {
            let id: Id = serde_json::from_str(json).unwrap();
            assert_eq!(id.as_str(), text);
            assert_eq!(serde_json::to_string(&id).unwrap(), json);
        }
    }

    #[test]
    fn text_without_escapes_is_borrowed() {
        assert!(matches!(
            serde_json::from_str(r#""plain""#).unwrap(),
            Id::Text(Cow::Borrowed("plain"))
        ));
    }

    #[test]
    fn nothing_else_is_an_id() {
        for json in [
            "1.0",
            "-0.0",
            "1e3",
            "18446744073709551616",
            "true",
            "null",
            "[]",
            "{}",
        ] {
            let error = serde_json::from_str::<Id>(json).unwrap_err().to_string();
            assert!(error.contains("a string or an integer"), "{json}: {error}");
        }
    }
}
