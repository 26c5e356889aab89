//! The columns of a model: those of the preset, and behind them the features that its spec declares.
//! How a declared value is read, encoded and made up for where it is missing is decided here, for
//! training rows and for requests alike.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    fmt,
    sync::Arc,
};

use searchop_contract::{FeatureSource, FeatureType, MAX_DECLARED_FEATURES, ModelFeature};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error, Visitor},
};

use crate::features::{column, feature_names, features};

/// A value as it was said, before anybody knows what it is for.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Given<'a> {
    Missing,
    Flag(bool),
    Integer(i64),
    Number(f64),
    Text(Cow<'a, str>),
}

impl Given<'_> {
    pub fn into_owned(self) -> Given<'static> {
        match self {
            Self::Missing => Given::Missing,
            Self::Flag(flag) => Given::Flag(flag),
            Self::Integer(number) => Given::Integer(number),
            Self::Number(number) => Given::Number(number),
            Self::Text(text) => Given::Text(Cow::Owned(text.into_owned())),
        }
    }
}

/// As JSON would show it, cut where it is long.
impl fmt::Display for Given<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 40;
        match self {
            Self::Missing => f.write_str("null"),
            Self::Flag(flag) => flag.fmt(f),
            Self::Integer(number) => number.fmt(f),
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => {
                let mut shown: String = text.chars().take(SHOWN).collect();
                if text.chars().nth(SHOWN).is_some() {
                    shown.push('…');
                }
                write!(f, "{shown:?}")
            }
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Given<'a> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_any(GivenVisitor)
    }
}

/// Values by name, which outlive what they were read from.
pub(crate) fn owned<'de, D: Deserializer<'de>>(
    json: D,
) -> Result<BTreeMap<String, Given<'static>>, D::Error> {
    let given = BTreeMap::<String, Given>::deserialize(json)?;
    let given = given.into_iter();
    Ok(given
        .map(|(name, given)| (name, given.into_owned()))
        .collect())
}

struct GivenVisitor;

impl<'de> Visitor<'de> for GivenVisitor {
    type Value = Given<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, a string or null")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Given::Missing)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Self::Value, E> {
        Ok(Given::Flag(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Given::Integer(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(i64::try_from(number).map_or(Given::Number(number as f64), Given::Integer))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Given::Number(number))
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Given::Text(text.into()))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Given::Text(text.to_owned().into()))
    }
}

/// A value of a declared feature.
#[derive(Clone, Debug, PartialEq)]
pub enum Reading<'a> {
    Number(f32),
    /// Without white space around it, not empty.
    Category(Cow<'a, str>),
}

/// What was given, as a value of its type; `None` where nothing is there. The error says what is
/// wrong with it.
pub fn read<'a>(kind: FeatureType, given: &'a Given) -> Result<Option<Reading<'a>>, String> {
    let number = |value: f64| {
        let single = value as f32;
        match single.is_finite() {
            true => Ok(Some(Reading::Number(single))),
            false => Err(format!("{value} is out of the range of a 32-bit float")),
        }
    };
    let category = |text: Cow<'a, str>| Ok(Some(Reading::Category(text)));
    match (kind, given) {
        (_, Given::Missing) => Ok(None),
        (FeatureType::Number, Given::Integer(value)) => number(*value as f64),
        (FeatureType::Number, Given::Number(value)) => number(*value),
        (FeatureType::Number, Given::Flag(_) | Given::Text(_)) => {
            Err(format!("{given} is not a number"))
        }
        (FeatureType::Category, Given::Text(text)) => match text.trim() {
            "" => Ok(None),
            text => category(text.into()),
        },
        (FeatureType::Category, Given::Integer(_) | Given::Flag(_)) => {
            category(given.to_string().into())
        }
        (FeatureType::Category, Given::Number(_)) => Err(format!(
            "{given} is not a category: categories are strings or integers"
        )),
    }
}

/// The columns of one model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Schema {
    declared: Arc<[Declared]>,
}

/// A declared feature of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Declared {
    pub feature: ModelFeature,
    codes: HashMap<String, f32>,
    default: Option<f32>,
}

impl Schema {
    /// The error says which declared feature cannot be one, and why.
    pub fn new(declared: &[ModelFeature]) -> Result<Self, String> {
        if declared.len() > MAX_DECLARED_FEATURES {
            return Err(format!(
                "declares {} features, at most {MAX_DECLARED_FEATURES} are read",
                declared.len()
            ));
        }
        for (place, one) in declared.iter().enumerate() {
            let name = &one.feature.name;
            let earlier = &declared[..place];
            if column(name).is_some() || earlier.iter().any(|other| other.feature.name == *name) {
                return Err(format!("declares the feature {name:?} twice"));
            }
        }
        let declared = declared.iter().map(Declared::new);
        Ok(Self {
            declared: declared.collect::<Result<_, String>>()?,
        })
    }

    /// Values of a row.
    pub fn columns(&self) -> usize {
        features().len() + self.declared.len()
    }

    /// The features behind those of the preset, in column order.
    pub fn declared(&self) -> &[Declared] {
        &self.declared
    }

    /// The name of a column.
    pub fn name(&self, column: usize) -> &str {
        match features().get(column) {
            Some(feature) => feature.name,
            None => {
                &self.declared[column - features().len()]
                    .feature
                    .feature
                    .name
            }
        }
    }

    /// All names, in column order.
    pub fn names(&self) -> Vec<String> {
        let declared = self.declared.iter().map(|one| one.name().to_owned());
        feature_names().into_iter().chain(declared).collect()
    }

    /// The declared feature of this name, with its column.
    pub fn find(&self, name: &str) -> Option<(usize, &Declared)> {
        let mut columns = (features().len()..).zip(&*self.declared);
        columns.find(|(_, declared)| declared.name() == name)
    }

    /// Columns with values of the given ones that the model declares; the error is the name of one
    /// that has the wrong type, and what is wrong.
    pub fn encode<'g, 'v: 'g>(
        &self,
        given: impl IntoIterator<Item = (&'g str, &'g Given<'v>)>,
    ) -> Result<Vec<(usize, f32)>, (String, String)> {
        let mut values = Vec::new();
        for (name, given) in given {
            let Some((column, declared)) = self.find(name) else {
                continue;
            };
            let value = declared.read(given);
            let value = value.map_err(|problem| (name.to_owned(), problem))?;
            values.extend(value.map(|value| (column, value)));
        }
        Ok(values)
    }
}

impl Declared {
    fn new(feature: &ModelFeature) -> Result<Self, String> {
        let name = &feature.feature.name;
        let codes: HashMap<String, f32> = (feature.categories.iter())
            .enumerate()
            .map(|(code, text)| (text.clone(), code as f32))
            .collect();
        if codes.len() != feature.categories.len() {
            return Err(format!("has a category of {name:?} twice"));
        }
        let mut declared = Self {
            feature: feature.clone(),
            codes,
            default: None,
        };
        if let Some(text) = &feature.feature.default {
            let wrong = || format!("has {text:?} as the default of the number {name:?}");
            declared.default = match feature.feature.kind {
                FeatureType::Category => Some(declared.code(text)),
                FeatureType::Number => {
                    let number = text.parse().map_err(|_| wrong())?;
                    declared.read(&Given::Number(number)).map_err(|_| wrong())?
                }
            };
        }
        Ok(declared)
    }

    pub fn name(&self) -> &str {
        &self.feature.feature.name
    }

    pub fn source(&self) -> FeatureSource {
        self.feature.feature.source
    }

    pub fn is_required(&self) -> bool {
        self.feature.feature.required
    }

    /// What stands in where nothing is said; NaN for a category that the model does not know.
    pub fn default(&self) -> Option<f32> {
        self.default
    }

    /// The code of a category; NaN for one that the model does not know.
    pub fn code(&self, category: &str) -> f32 {
        self.codes.get(category).copied().unwrap_or(f32::NAN)
    }

    /// The value of the column; `None` where nothing is said, NaN for an unknown category. The error
    /// says what is wrong.
    pub fn read(&self, given: &Given) -> Result<Option<f32>, String> {
        Ok(
            read(self.feature.feature.kind, given)?.map(|reading| match reading {
                Reading::Number(value) => value,
                Reading::Category(text) => self.code(&text),
            }),
        )
    }
}

#[cfg(test)]
mod tests {
    use searchop_contract::{DeclaredFeature, PRESET_FEATURES};

    use super::*;

    fn feature(name: &str, kind: FeatureType, default: Option<&str>) -> ModelFeature {
        let categories: &[&str] = match kind {
            FeatureType::Category => &["winter", "3"],
            FeatureType::Number => &[],
        };
        ModelFeature {
            feature: DeclaredFeature {
                name: name.to_owned(),
                kind,
                unit: "none".to_owned(),
                source: FeatureSource::Product,
                field: None,
                default: default.map(str::to_owned),
                required: false,
            },
            categories: categories.iter().map(|text| (*text).to_owned()).collect(),
        }
    }

    #[test]
    fn the_contract_names_the_preset() {
        assert_eq!(feature_names(), PRESET_FEATURES);
    }

    #[test]
    fn values_are_read_by_their_type() {
        let number = feature("a", FeatureType::Number, None);
        let season = feature("b", FeatureType::Category, None);
        let schema = Schema::new(&[number, season]).unwrap();
        let read = |column: usize, json: &str| {
            let given: Given = serde_json::from_str(json).unwrap();
            schema.declared()[column].read(&given)
        };
        for (json, as_number, as_category) in [
            ("null", Ok(None), Ok(None)),
            ("3", Ok(Some(3.0)), Ok(Some(1.0))),
            ("-0.5", Ok(Some(-0.5)), Err("-0.5 is not a category")),
            ("\" winter \"", Err("is not a number"), Ok(Some(0.0))),
            ("\" \"", Err("is not a number"), Ok(None)),
            ("1e39", Err("out of the range"), Err("is not a category")),
            ("true", Err("true is not a number"), Ok(Some(f32::NAN))),
            ("\"summer\"", Err("is not a number"), Ok(Some(f32::NAN))),
            (
                "18446744073709551615",
                Ok(Some(1.8446744e19)),
                Err("is not a category"),
            ),
        ] {
            for (column, expected) in [(0, as_number), (1, as_category)] {
                let found = read(column, json);
                match (&found, expected) {
                    (Ok(found), Ok(expected)) => assert_eq!(
                        found.map(f32::to_bits),
                        expected.map(f32::to_bits),
                        "{json}"
                    ),
                    (Err(found), Err(expected)) => {
                        assert!(found.contains(expected), "{json}: {found}");
                    }
                    _ => panic!("{json}: {found:?}"),
                }
            }
        }
        assert!(serde_json::from_str::<Given>("[1]").is_err());
    }

    #[test]
    fn a_value_is_written_as_it_was_read() {
        for json in ["null", "true", "-3", "0.25", "\"a\\\"b\""] {
            let given: Given = serde_json::from_str(json).unwrap();
            assert_eq!(serde_json::to_string(&given).unwrap(), json);
        }
    }

    #[test]
    fn columns_follow_the_preset_and_impossible_ones_are_refused() {
        let number = |name: &str, default| feature(name, FeatureType::Number, default);
        let schema = Schema::new(&[
            number("a", Some("0.5")),
            feature("b", FeatureType::Category, Some("winter")),
            feature("c", FeatureType::Category, Some("summer")),
        ])
        .unwrap();
        let first = features().len();
        assert_eq!(schema.columns(), first + 3);
        assert_eq!(schema.names()[first..], ["a", "b", "c"]);
        assert_eq!((schema.name(0), schema.name(first)), ("query_terms", "a"));
        let defaults: Vec<u32> = (schema.declared().iter())
            .map(|declared| declared.default().unwrap().to_bits())
            .collect();
        assert_eq!(defaults, [0.5, 0.0, f32::NAN].map(f32::to_bits));
        let given = [("b", Given::Text("3".into())), ("else", Given::Flag(true))];
        let given = given.iter().map(|(name, given)| (*name, given));
        assert_eq!(schema.encode(given), Ok(vec![(first + 1, 1.0)]));

        let mut twice = feature("b", FeatureType::Category, None);
        twice.categories.push("3".to_owned());
        for (declared, why) in [
            (
                vec![number("a", None), number("a", None)],
                "declares the feature \"a\" twice",
            ),
            (
                vec![number("rating", None)],
                "declares the feature \"rating\" twice",
            ),
            (
                vec![number("a", Some("x"))],
                "has \"x\" as the default of the number \"a\"",
            ),
            (
                vec![number("a", Some("1e99"))],
                "as the default of the number",
            ),
            (vec![twice], "has a category of \"b\" twice"),
            (
                (0..33).map(|n| number(&format!("f{n}"), None)).collect(),
                "at most 32",
            ),
        ] {
            let found = Schema::new(&declared).unwrap_err();
            assert!(found.contains(why), "{found}");
        }
    }
}
