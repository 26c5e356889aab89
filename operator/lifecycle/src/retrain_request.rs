//! The annotation that asks for a retrain, `searchop.io/retrain-requested`, and the one that asks for
//! a refresh of the tables, `searchop.io/refresh-requested`. Both have the same form:
//!
//! ```text
//! <Trigger>/<requester>[!replace]/<RFC 3339 time>
//! Manual/ada/2026-11-24T09:30:00Z
//! Schedule/products-weekly/2026-11-22T02:00:00Z
//! Schedule/products-weekly!replace/2026-11-22T02:00:00Z
//! Schedule/products-weekly!ifchanged/2026-11-22T02:00:00Z
//! Drift/products-weekly/2026-11-24T09:30:00Z
//! ```
//!
//! `Trigger` is `Schedule`, `Drift` or `Manual`. A requester has 1 to 128 of `A-Z a-z 0-9 . _ @ -`, so the
//! marks can never be part of one: `!replace` asks that a run under way is stopped, `!ifchanged` that
//! nothing is trained on the data that the served version knows; both in this order. A request is
//! acted on once: when its time is newer than that of the last one that was.

use std::{fmt, str::FromStr};

use jiff::{SignedDuration, Timestamp};
use searchop_api::Trigger;

/// Characters of an unreadable annotation that are kept in status and shown.
const MAX_CHARS: usize = 64;
const MAX_REQUESTER: usize = 128;
const REPLACE: &str = "!replace";
const IF_CHANGED: &str = "!ifchanged";

/// Clocks may differ by this much. A request from further ahead would outrank every later one.
const MAX_SKEW: SignedDuration = SignedDuration::from_mins(5);

/// Somebody asks for a retrain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetrainRequest {
    pub trigger: Trigger,
    /// Who asks.
    pub requester: String,
    /// Stop a run that is under way instead of waiting for its end.
    pub replace: bool,
    /// Train nothing where the data are those that the served version was trained on.
    pub if_data_changed: bool,
    pub time: Timestamp,
}

/// The text does not follow the grammar.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    #[error("{0:?} is not <Trigger>/<requester>/<time>")]
    Parts(String),
    #[error("trigger {0:?} is not Schedule, Drift or Manual")]
    Trigger(String),
    #[error("requester {0:?} is not 1 to 128 of A-Z a-z 0-9 . _ @ -")]
    Requester(String),
    #[error("time {0:?} is not RFC 3339, such as 2026-11-24T09:30:00Z")]
    Time(String),
    #[error("time {0} is in the future")]
    Future(Timestamp),
}

impl FromStr for RetrainRequest {
    type Err = RequestError;

    fn from_str(text: &str) -> Result<Self, RequestError> {
        let parts: Vec<&str> = text.splitn(4, '/').collect();
        let [trigger, requester, time] = parts[..] else {
            return Err(RequestError::Parts(cut(text)));
        };
        let trigger = match trigger {
            "Schedule" => Trigger::Schedule,
            "Manual" => Trigger::Manual,
            "Drift" => Trigger::Drift,
            other => return Err(RequestError::Trigger(cut(other))),
        };
        let (requester, if_data_changed) = marked(requester, IF_CHANGED);
        let (requester, replace) = marked(requester, REPLACE);
        let allowed = |c: u8| c.is_ascii_alphanumeric() || b"._@-".contains(&c);
        if requester.is_empty()
            || requester.len() > MAX_REQUESTER
            || !requester.bytes().all(allowed)
        {
            return Err(RequestError::Requester(cut(requester)));
        }
        let time = time.parse().map_err(|_| RequestError::Time(cut(time)))?;
        Ok(Self {
            trigger,
            requester: requester.to_owned(),
            replace,
            if_data_changed,
            time,
        })
    }
}

impl fmt::Display for RetrainRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = |set, mark| if set { mark } else { "" };
        let replace = mark(self.replace, REPLACE);
        let if_changed = mark(self.if_data_changed, IF_CHANGED);
        let (trigger, requester, time) = (self.trigger.as_str(), &self.requester, self.time);
        write!(f, "{trigger}/{requester}{replace}{if_changed}/{time}")
    }
}

fn marked<'t>(text: &'t str, mark: &str) -> (&'t str, bool) {
    text.strip_suffix(mark)
        .map_or((text, false), |plain| (plain, true))
}

/// What the annotation asks for, beyond what has been dealt with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Pending {
    Nothing,
    Request(RetrainRequest),
    Unreadable { text: String, error: RequestError },
}

/// An annotation, and which of its values were dealt with.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Asked<'a> {
    pub annotation: Option<&'a str>,
    /// The newest that was acted on.
    pub handled: Option<&'a str>,
    /// The newest that could not be read, cut.
    pub ignored: Option<&'a str>,
}

/// What is new about an annotation.
pub(crate) fn pending(asked: Asked, now: Timestamp) -> Pending {
    let Some(text) = asked.annotation else {
        return Pending::Nothing;
    };
    let kept = cut(text);
    if asked.ignored == Some(&kept) {
        return Pending::Nothing;
    }
    let handled = asked.handled.and_then(|text| text.parse().ok());
    match text.parse::<RetrainRequest>() {
        Ok(request) if request.time > now + MAX_SKEW => Pending::Unreadable {
            text: kept,
            error: RequestError::Future(request.time),
        },
        Ok(request) if handled.is_none_or(|last: RetrainRequest| request.time > last.time) => {
            Pending::Request(request)
        }
        Ok(_) => Pending::Nothing,
        Err(error) => Pending::Unreadable { text: kept, error },
    }
}

fn cut(text: &str) -> String {
    text.chars().take(MAX_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_cannot_be_read_says_which_part() {
        for (text, words) in [
            ("", "is not <Trigger>"),
            ("Manual/ada", "is not <Trigger>"),
            ("Manual/ada/2026-11-24T09:30:00Z/more", "is not <Trigger>"),
            (
                "SpecChange/ada/2026-11-24T09:30:00Z",
                "trigger \"SpecChange\"",
            ),
            ("Manual//2026-11-24T09:30:00Z", "requester \"\""),
            ("Manual/a b/2026-11-24T09:30:00Z", "requester \"a b\""),
            ("Manual/!replace/2026-11-24T09:30:00Z", "requester \"\""),
            ("Manual/ada/yesterday", "time \"yesterday\""),
            (
                "Manual/ada/2026-11-24T09:30:00",
                "time \"2026-11-24T09:30:00\"",
            ),
        ] {
            let error = text.parse::<RetrainRequest>().unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    fn asked(text: &str, known: Asked, now: Timestamp) -> Pending {
        let annotation = Some(text);
        pending(
            Asked {
                annotation,
                ..known
            },
            now,
        )
    }

    #[test]
    fn only_a_newer_request_counts_and_an_unreadable_one_counts_once() {
        let now: Timestamp = "2026-11-24T10:00:00Z".parse().unwrap();
        let known = Asked {
            annotation: None,
            handled: Some("Manual/ada/2026-11-24T09:00:00Z"),
            ignored: Some("nonsense"),
        };
        let ask = |text: &str| asked(text, known, now);
        assert_eq!(pending(known, now), Pending::Nothing);
        assert_eq!(ask("Manual/bob/2026-11-24T09:00:00Z"), Pending::Nothing);
        assert_eq!(ask("Manual/bob/2026-11-24T08:59:59Z"), Pending::Nothing);
        assert!(matches!(
            ask("Manual/bob/2026-11-24T09:00:01Z"),
            Pending::Request(_)
        ));
        assert!(matches!(
            ask("Manual/bob/2099-01-01T00:00:00Z"),
            Pending::Unreadable { .. }
        ));
        assert!(matches!(ask("other nonsense"), Pending::Unreadable { .. }));
        assert_eq!(ask("nonsense"), Pending::Nothing);
        let long = "x".repeat(5000);
        let Pending::Unreadable { text, .. } = ask(&long) else {
            panic!()
        };
        assert_eq!(text.len(), MAX_CHARS);
        let ignored = Some(&*text);
        assert_eq!(
            asked(&long, Asked { ignored, ..known }, now),
            Pending::Nothing
        );
    }

    proptest! {
        #[test]
        fn what_is_rendered_is_read_back(
            requester in "[A-Za-z0-9._@-]{1,128}", replace: bool, if_data_changed: bool, trigger in prop::sample::select(vec![Trigger::Manual, Trigger::Schedule, Trigger::Drift]), second in 0_i64..4_000_000_000,
        ) {
            let request = RetrainRequest {
                trigger,
                requester,
                replace,
                if_data_changed,
                time: Timestamp::from_second(second).unwrap(),
            };
            let text = request.to_string();
            prop_assert!(text.len() <= 256, "status.lastHandledRequest has room for 256");
            prop_assert_eq!(text.parse(), Ok(request));
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,400}") {
            let _ = text.parse::<RetrainRequest>();
        }
    }
}
