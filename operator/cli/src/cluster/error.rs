use kube::core::Status;

use crate::exit::{Exit, Failure};

/// Why a verb did not do what was asked of it.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    #[error("no cluster to ask: {0}; name a --kubeconfig, or work without one: \"searchop local\"")]
    NoCluster(String),
    #[error("{what} not found in namespace {namespace:?}{there}")]
    NotFound {
        what: String,
        namespace: String,
        /// What is there instead, as the rest of the sentence.
        there: String,
    },
    #[error("the cluster does not know {0}; install the chart first")]
    NotInstalled(String),
    #[error("{0}")]
    Forbidden(String),
    #[error("refused: {0}")]
    Refused(String),
    #[error("the API server cannot do it: {0}")]
    Api(String),
    #[error("no answer from the API server: {0}")]
    NoAnswer(String),
    #[error("no end after {0} s; what was asked for goes on")]
    TimedOut(u64),
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    Failed(String),
}

impl Failure for ClusterError {
    fn exit(&self) -> Exit {
        match self {
            Self::NotFound { .. } | Self::NotInstalled(_) => Exit::NotFound,
            Self::Forbidden(_) => Exit::Forbidden,
            Self::Refused(_) => Exit::Refused,
            Self::TimedOut(_) => Exit::TimedOut,
            Self::Usage(_) => Exit::Usage,
            Self::NoCluster(_) | Self::Api(_) | Self::NoAnswer(_) | Self::Failed(_) => Exit::Failed,
        }
    }
}

/// What a call was about, so that an error can say it.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// `rankingmodel`, ….
    pub kind: &'a str,
    pub name: &'a str,
    pub namespace: &'a str,
}

impl Asked<'_> {
    pub fn failed(self, error: kube::Error) -> ClusterError {
        match error {
            kube::Error::Api(status) => self.denied(&status),
            kube::Error::Auth(error) => ClusterError::NoCluster(error.to_string()),
            other => ClusterError::NoAnswer(innermost(&other)),
        }
    }

    fn denied(self, status: &Status) -> ClusterError {
        let message = status.message.clone();
        // A kind that is not served is answered without an object's name.
        let named = status
            .details
            .as_ref()
            .is_some_and(|found| !found.name.is_empty());
        match status.code {
            404 if named => ClusterError::NotFound {
                what: format!("{} {:?}", self.kind, self.name),
                namespace: self.namespace.to_owned(),
                there: String::new(),
            },
            404 => ClusterError::NotInstalled(format!("{}s", self.kind)),
            401 => ClusterError::Forbidden(format!("not logged in: {message}")),
            403 => ClusterError::Forbidden(message),
            400 | 409 | 422 => ClusterError::Refused(message),
            _ => ClusterError::Api(message),
        }
    }
}

/// The cause that says most: the client wraps it in the layers that it went through.
fn innermost(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.last().map_or_else(String::new, ToString::to_string)
}

#[cfg(test)]
mod tests {
    use kube::core::response::StatusDetails;

    use super::*;

    #[test]
    fn each_answer_has_its_exit_code() {
        let asked = Asked {
            kind: "rankingmodel",
            name: "products",
            namespace: "shop",
        };
        let answer = |code, name: &str| {
            let mut status = Status::failure("it says so", "Because").with_code(code);
            status.details = Some(StatusDetails {
                name: name.to_owned(),
                group: String::new(),
                kind: String::new(),
                uid: String::new(),
                causes: Vec::new(),
                retry_after_seconds: 0,
            });
            asked.failed(kube::Error::Api(status.boxed()))
        };
        for (code, name, exit, words) in [
            (
                404,
                "products",
                Exit::NotFound,
                "rankingmodel \"products\" not found in namespace \"shop\"",
            ),
            (
                404,
                "",
                Exit::NotFound,
                "the cluster does not know rankingmodels; install the chart first",
            ),
            (401, "", Exit::Forbidden, "not logged in: it says so"),
            (403, "products", Exit::Forbidden, "it says so"),
            (422, "products", Exit::Refused, "refused: it says so"),
            (
                500,
                "products",
                Exit::Failed,
                "the API server cannot do it: it says so",
            ),
        ] {
            let error = answer(code, name);
            assert_eq!((error.exit(), error.to_string().as_str()), (exit, words));
        }
    }
}
