//! Reads JSON from outside: every input is a value or an error that says where it is wrong, text is
//! borrowed from the body, and memory stays in proportion to what is accepted.

use std::{borrow::Cow, fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::error::Category;

use crate::error::{ApiError, Kind};

/// Reads a whole body by `shape`.
pub fn parse<'de, S>(body: &'de [u8], shape: S) -> Result<S::Value, ApiError>
where
    S: DeserializeSeed<'de> + Copy,
{
    read(body, shape).map_err(|error| {
        // Where it is wrong costs time to follow, so only bodies that are wrong pay for it.
        locate(body, shape).unwrap_or_else(|| unreadable(&error))
    })
}

fn read<'de, S: DeserializeSeed<'de>>(
    body: &'de [u8],
    shape: S,
) -> Result<S::Value, serde_json::Error> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let value = shape.deserialize(&mut json)?;
    json.end()?;
    Ok(value)
}

/// Reads `body` again and follows the path; `None` if the fault is not at a path.
fn locate<'de>(body: &'de [u8], shape: impl DeserializeSeed<'de>) -> Option<ApiError> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let mut track = serde_path_to_error::Track::new();
    let error = shape
        .deserialize(serde_path_to_error::Deserializer::new(
            &mut json, &mut track,
        ))
        .err()?;
    let path = track.path();
    let error = unreadable(&error);
    let at_the_root = path.iter().len() == 0;
    Some(if error.kind() == Kind::InvalidJson || at_the_root {
        error
    } else {
        error.at(path.to_string())
    })
}

fn unreadable(error: &serde_json::Error) -> ApiError {
    let kind = match error.classify() {
        Category::Data => Kind::InvalidRequest,
        Category::Syntax | Category::Eof | Category::Io => Kind::InvalidJson,
    };
    ApiError::new(kind, error.to_string())
}

/// Takes a field of an object; `null` counts as absent, and a field that is there twice is an error.
pub fn set<T, E: Error>(
    field: &mut Option<T>,
    name: &'static str,
    value: Option<T>,
) -> Result<(), E> {
    if field.is_some() {
        return Err(E::duplicate_field(name));
    }
    *field = value;
    Ok(())
}

/// Skips the value of a field that means nothing here.
pub fn skip<'de, A: MapAccess<'de>>(map: &mut A) -> Result<(), A::Error> {
    map.next_value::<IgnoredAny>().map(drop)
}

/// A string, borrowed where it has no escapes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text<'a>(pub Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_str(TextVisitor).map(Text)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

/// The first elements of a list, and how many there were.
#[derive(Clone, Debug, PartialEq)]
pub struct List<T> {
    pub kept: Vec<T>,
    pub count: usize,
}

/// Reads a list, or `null`, and keeps the first `keep` elements: a small body can hold millions of
/// empty ones, which must not become large in memory before they are refused.
pub struct Keep<T> {
    keep: usize,
    what: &'static str,
    element: PhantomData<T>,
}

impl<T> Keep<T> {
    /// `what` says what the list holds.
    pub fn first(keep: usize, what: &'static str) -> Self {
        Self {
            keep,
            what,
            element: PhantomData,
        }
    }
}

impl<'de, T: Deserialize<'de>> DeserializeSeed<'de> for Keep<T> {
    type Value = Option<List<T>>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Keep<T> {
    type Value = Option<List<T>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of {}", self.what)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut kept = Vec::new();
        while kept.len() < self.keep {
            match list.next_element()? {
                Some(element) => kept.push(element),
                None => {
                    let count = kept.len();
                    return Ok(Some(List { kept, count }));
                }
            }
        }
        let mut count = kept.len();
        while list.next_element::<IgnoredAny>()?.is_some() {
            count += 1;
        }
        Ok(Some(List { kept, count }))
    }
}
