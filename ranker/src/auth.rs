//! Bearer tokens of clients.

use std::{fs, path::PathBuf, sync::RwLock};

use http::{HeaderMap, header::AUTHORIZATION};
use subtle::{Choice, ConstantTimeEq as _};

use crate::{
    error::{ApiError, Kind},
    watched::Reload,
};

/// The tokens that are accepted: one for each line of a file, so that an old and a new one can both
/// hold while clients change over.
pub struct Tokens {
    file: PathBuf,
    accepted: RwLock<Vec<String>>,
}

impl Tokens {
    /// Reads the file; it must hold a token.
    pub fn open(file: PathBuf) -> Result<Self, String> {
        let accepted = RwLock::new(read(&file)?);
        Ok(Self { file, accepted })
    }

    /// Whether a request may pass. Takes the same time whatever a token of the right length holds.
    pub fn check(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        let refuse = |message| Err(ApiError::new(Kind::Unauthorized, message));
        let Some(value) = headers.get(AUTHORIZATION) else {
            return refuse("a token is needed, send the header authorization: Bearer …");
        };
        let value = value.as_bytes();
        let Some((scheme, token)) = value.split_at_checked(b"Bearer ".len()) else {
            return refuse("the authorization is not Bearer …");
        };
        if !scheme.eq_ignore_ascii_case(b"Bearer ") {
            return refuse("the authorization is not Bearer …");
        }
        let accepted = self
            .accepted
            .read()
            .unwrap_or_else(|held| held.into_inner());
        let known = accepted.iter().fold(Choice::from(0), |known, accepted| {
            known | accepted.as_bytes().ct_eq(token)
        });
        if known.into() {
            Ok(())
        } else {
            refuse("the token is not accepted")
        }
    }
}

impl Reload for Tokens {
    const WHAT: &str = "tokens";

    fn reload(&self) -> Result<bool, String> {
        let tokens = read(&self.file)?;
        let mut accepted = self
            .accepted
            .write()
            .unwrap_or_else(|held| held.into_inner());
        let changed = *accepted != tokens;
        *accepted = tokens;
        Ok(changed)
    }
}

fn read(file: &PathBuf) -> Result<Vec<String>, String> {
    let shown = file.display();
    let text = fs::read_to_string(file).map_err(|error| format!("{shown}: {error}"))?;
    let tokens: Vec<String> = text
        .lines()
        .map(|line| line.trim().to_owned())
        .filter(|line| !line.is_empty())
        .collect();
    if tokens.is_empty() {
        return Err(format!("{shown}: holds no token, write one a line"));
    }
    Ok(tokens)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn exactly_the_tokens_of_the_file_pass() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("token");
        fs::write(&file, "\n").unwrap();
        assert!(
            Tokens::open(file.clone()).is_err_and(|problem| problem.contains("holds no token"))
        );
        fs::write(&file, "first-token\r\n second-token \n").unwrap();
        let tokens = Tokens::open(file.clone()).unwrap();
        let passes = |header: Option<&str>| {
            let mut headers = HeaderMap::new();
            if let Some(header) = header {
                headers.insert(AUTHORIZATION, HeaderValue::from_str(header).unwrap());
            }
            tokens.check(&headers).is_ok()
        };
        for (header, expected) in [
            (None, false),
            (Some(""), false),
            (Some("Bearer"), false),
            (Some("Bearer "), false),
            (Some("first-token"), false),
            (Some("Basic first-token"), false),
            (Some("Bearer first-toke"), false),
            (Some("Bearer first-token2"), false),
            (Some("Bearer First-token"), false),
            (Some("Bearer first-token"), true),
            (Some("bearer second-token"), true),
        ] {
            assert_eq!(passes(header), expected, "{header:?}");
        }

        fs::write(&file, "third").unwrap();
        assert_eq!(tokens.reload(), Ok(true));
        assert_eq!(tokens.reload(), Ok(false));
        assert!(passes(Some("Bearer third")) && !passes(Some("Bearer first-token")));
        fs::write(&file, "").unwrap();
        tokens.reload().unwrap_err();
        assert!(passes(Some("Bearer third")), "what was read before holds");
    }
}
