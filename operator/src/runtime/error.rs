use std::time::Duration;

/// Why a reconcile stopped. Waiting is not among the reasons.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot {verb} {kind} {name:?}: {}", said(.source))]
    Api {
        verb: &'static str,
        kind: String,
        name: String,
        #[source]
        source: Box<kube::Error>,
    },
    #[error("cannot {verb} {kind} {name:?}: no answer within {} s", .after.as_secs())]
    Timeout {
        verb: &'static str,
        kind: String,
        name: String,
        after: Duration,
    },
    #[error(
        "{kind} {name:?} exists and does not belong to this RankingModel; delete it or give the model another name"
    )]
    NameConflict { kind: String, name: String },
    #[error("the spec cannot be handed to the trainer: {0}")]
    Spec(#[from] searchop_lifecycle::JobError),
    #[error("the object cannot be read: {0}")]
    Unreadable(String),
    #[error("the controller panicked: {0}")]
    Panicked(String),
}

/// What to do about an error; also the label of its metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The API server did not answer, or is busy. Soon again.
    Transient,
    /// Somebody else wrote first. At once again, from the newer state.
    Conflict,
    /// The API server said no: permission, quota, validation. Again, but not often.
    Denied,
    /// Only a change by the user helps; looked at again rarely, in case it is another object's.
    Invalid,
}

impl Class {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Transient => "transient",
            Self::Conflict => "conflict",
            Self::Denied => "denied",
            Self::Invalid => "invalid",
        }
    }
}

impl Error {
    pub fn class(&self) -> Class {
        match self {
            Self::Api { source, .. } => classify(source),
            Self::Timeout { .. } | Self::Panicked(_) => Class::Transient,
            Self::NameConflict { .. } | Self::Spec(_) | Self::Unreadable(_) => Class::Invalid,
        }
    }

    /// Reason word for conditions and events, where the user has to do something.
    pub fn obstacle(&self) -> Option<&'static str> {
        match self {
            Self::NameConflict { .. } => Some("NameConflict"),
            Self::Spec(_) => Some("SpecInvalid"),
            Self::Api { source, .. } => match &**source {
                kube::Error::Api(status) if status.message.contains("exceeded quota") => {
                    Some("QuotaExceeded")
                }
                kube::Error::Api(status) if status.code == 403 => Some("Forbidden"),
                kube::Error::Api(status) if status.code == 422 => Some("ChildInvalid"),
                _ => None,
            },
            Self::Timeout { .. } | Self::Unreadable(_) | Self::Panicked(_) => None,
        }
    }
}

fn classify(error: &kube::Error) -> Class {
    match error {
        kube::Error::Api(status) => match status.code {
            409 => Class::Conflict,
            // A namespace that is going away answers 403 or 404 until it is gone.
            400 | 401 | 403 | 404 | 405 | 413 | 415 | 422 => Class::Denied,
            _ => Class::Transient,
        },
        kube::Error::SerdeError(_) | kube::Error::BuildRequest(_) => Class::Denied,
        _ => Class::Transient,
    }
}

/// What the server said, without the debug form of the whole answer.
fn said(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if !status.message.is_empty() => status.message.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    fn answered(code: u16, message: &str) -> Error {
        let status = Status::failure(message, "Reason").with_code(code).boxed();
        Error::Api {
            verb: "create",
            kind: "Job".to_owned(),
            name: "a".to_owned(),
            source: Box::new(kube::Error::Api(status)),
        }
    }

    #[test]
    fn every_answer_has_a_class_and_where_people_must_act_a_reason() {
        let table = [
            (409, "changed", Class::Conflict, None),
            (403, "not allowed", Class::Denied, Some("Forbidden")),
            (
                403,
                "exceeded quota: jobs",
                Class::Denied,
                Some("QuotaExceeded"),
            ),
            (422, "is invalid", Class::Denied, Some("ChildInvalid")),
            (429, "too many", Class::Transient, None),
            (500, "etcd", Class::Transient, None),
            (503, "away", Class::Transient, None),
            (504, "late", Class::Transient, None),
        ];
        for (code, message, class, reason) in table {
            let error = answered(code, message);
            assert_eq!(
                (error.class(), error.obstacle()),
                (class, reason),
                "{code} {message}"
            );
        }
        assert_eq!(
            answered(403, "not allowed").to_string(),
            "cannot create Job \"a\": not allowed"
        );
    }
}
