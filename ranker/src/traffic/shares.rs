use std::{collections::HashSet, fs, io::Read as _, path::Path};

use searchop_contract::{AbortRule, Role, Share, Traffic};

use super::assign::{Part, assign};

/// Longest file that is read: far more than a few versions need.
const MAX_FILE_BYTES: u64 = 64 << 10;
/// Longest name of the shares, in bytes; every report repeats it.
const MAX_REVISION_BYTES: usize = 200;

/// Why shares are not followed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SharesError {
    #[error("{path}: {reason}")]
    Unreadable { path: String, reason: String },
    #[error("{0}")]
    Malformed(String),
    #[error("revision has {0} bytes, send 1 to {MAX_REVISION_BYTES}")]
    Revision(usize),
    #[error("version {version} is not loaded here, loaded are {loaded}")]
    NotLoaded { version: u32, loaded: String },
    #[error("version {version} cannot be served: {reason}")]
    CannotServe { version: u32, reason: String },
    #[error("version {0} has two shares")]
    Twice(u32),
    #[error("{0} versions are Served, name exactly one")]
    Served(usize),
    #[error("the weights add up to {0}, not to 100")]
    Weights(u32),
    #[error("{field} of version {version} is {percent}, a percentage is at most 100")]
    Percent {
        field: &'static str,
        version: u32,
        percent: u8,
    },
    #[error("version {0} is Served and cannot be in the shadow of itself")]
    ShadowOfItself(u32),
    #[error("abort.maxErrorPercent is {0}, a percentage is at most 100")]
    AbortPercent(u8),
}

/// What shares are checked against: a version that the process was told to load.
pub struct Known {
    pub version: u32,
    /// Why it cannot rank.
    pub refused: Option<String>,
}

/// Valid shares: who answers what part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shares {
    /// `None` for those of a process that has read no file.
    pub revision: Option<String>,
    /// Index of the served version.
    pub served: usize,
    pub candidates: Vec<Candidate>,
    pub abort: Option<AbortRule>,
}

/// What a version beside the served one is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Of the version.
    pub index: usize,
    pub version: u32,
    /// Percent of the users.
    pub weight: u8,
    /// Percent of the requests.
    pub shadow: u8,
}

impl Shares {
    /// Everything for the first version.
    pub fn of_the_first() -> Self {
        Self {
            revision: None,
            served: 0,
            candidates: Vec::new(),
            abort: None,
        }
    }

    /// The shares of a file's content, if they fit the versions that are there.
    pub fn new(traffic: Traffic, known: &[Known]) -> Result<Self, SharesError> {
        let bytes = traffic.revision.len();
        if !(1..=MAX_REVISION_BYTES).contains(&bytes) {
            return Err(SharesError::Revision(bytes));
        }
        if let Some(AbortRule {
            max_error_percent: percent @ 101..,
            ..
        }) = traffic.abort
        {
            return Err(SharesError::AbortPercent(percent));
        }
        let mut served = Vec::new();
        let mut candidates = Vec::new();
        let mut seen = HashSet::new();
        for share in &traffic.shares {
            if !seen.insert(share.version) {
                return Err(SharesError::Twice(share.version));
            }
            check_percentages(share)?;
            let index = find(share, known)?;
            match share.role {
                Role::Served => served.push(index),
                Role::Candidate => candidates.push(Candidate {
                    index,
                    version: share.version,
                    weight: share.weight,
                    shadow: share.shadow,
                }),
            }
        }
        let [served] = served[..] else {
            return Err(SharesError::Served(served.len()));
        };
        let sum = traffic.shares.iter().map(|share| u32::from(share.weight));
        match sum.sum() {
            100 => Ok(Self {
                revision: Some(traffic.revision),
                served,
                candidates,
                abort: traffic.abort,
            }),
            sum => Err(SharesError::Weights(sum)),
        }
    }

    /// The candidate that is to answer `unit`, unless it is the served version's.
    pub fn candidate(&self, model: &str, unit: &str) -> Option<&Candidate> {
        let parts = self.candidates.iter().map(|candidate| Part {
            version: candidate.version,
            weight: candidate.weight,
        });
        assign(model, parts, unit).map(|index| &self.candidates[index])
    }
}

fn check_percentages(share: &Share) -> Result<(), SharesError> {
    for (field, percent) in [("weight", share.weight), ("shadow", share.shadow)] {
        if percent > 100 {
            return Err(SharesError::Percent {
                field,
                version: share.version,
                percent,
            });
        }
    }
    if share.role == Role::Served && share.shadow > 0 {
        return Err(SharesError::ShadowOfItself(share.version));
    }
    Ok(())
}

fn find(share: &Share, known: &[Known]) -> Result<usize, SharesError> {
    let version = share.version;
    let index = known.iter().position(|known| known.version == version);
    let Some(index) = index else {
        let loaded = known.iter().map(|known| known.version.to_string());
        return Err(SharesError::NotLoaded {
            version,
            loaded: loaded.collect::<Vec<_>>().join(", "),
        });
    };
    match (&known[index].refused, share.role) {
        (Some(reason), Role::Served) => Err(SharesError::CannotServe {
            version,
            reason: reason.clone(),
        }),
        _ => Ok(index),
    }
}

/// What the file says; the shares in it are not checked yet.
pub fn read(path: &Path) -> Result<Traffic, SharesError> {
    let unreadable = |reason: String| SharesError::Unreadable {
        path: path.display().to_string(),
        reason,
    };
    let file = fs::File::open(path).map_err(|error| unreadable(error.to_string()))?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| unreadable(error.to_string()))?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        let reason = format!("has more than {MAX_FILE_BYTES} bytes");
        return Err(unreadable(reason));
    }
    serde_json::from_slice(&bytes).map_err(|error| SharesError::Malformed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Vec<Known> {
        let fine = |version| Known {
            version,
            refused: None,
        };
        let damaged = Known {
            version: 9,
            refused: Some("model.bst: cut off".to_owned()),
        };
        vec![fine(7), fine(8), damaged]
    }

    fn shares(json: &str) -> Result<Shares, String> {
        let traffic =
            serde_json::from_str::<Traffic>(json).map_err(|error| format!("json: {error}"))?;
        Shares::new(traffic, &known()).map_err(|error| error.to_string())
    }

    #[test]
    fn shares_name_one_served_version_and_its_candidates() {
        let json = r#"{"revision":"r","abort":{"minRequests":50,"maxErrorPercent":5},"shares":[
            {"version":8,"role":"Candidate","weight":10},{"version":7,"role":"Served","weight":90},
            {"version":9,"role":"Candidate","weight":0,"shadow":20}]}"#;
        let candidate = |index, version, weight, shadow| Candidate {
            index,
            version,
            weight,
            shadow,
        };
        let expected = Shares {
            revision: Some("r".to_owned()),
            served: 0,
            candidates: vec![candidate(1, 8, 10, 0), candidate(2, 9, 0, 20)],
            abort: Some(AbortRule {
                min_requests: 50,
                max_error_percent: 5,
            }),
        };
        assert_eq!(shares(json), Ok(expected));
        let promoted = r#"{"revision":"r","shares":[{"version":8,"role":"Served","weight":100}]}"#;
        assert_eq!(shares(promoted).unwrap().served, 1);
    }

    #[test]
    fn wrong_shares_are_refused_with_what_is_wrong() {
        let served = |weight| format!(r#"{{"version":7,"role":"Served","weight":{weight}}}"#);
        let candidate =
            |version, rest| format!(r#"{{"version":{version},"role":"Candidate",{rest}}}"#);
        let of = |shares: &[String]| {
            let shares = shares.join(",");
            format!(r#"{{"revision":"r","shares":[{shares}]}}"#)
        };
        for (json, says) in [
            (String::new(), "EOF"),
            ("{".to_owned(), "EOF"),
            ("[]".to_owned(), "invalid"),
            (r#"{"revision":"r"}"#.to_owned(), "missing field `shares`"),
            (
                r#"{"revision":"r","shares":[],"more":1}"#.to_owned(),
                "unknown field `more`",
            ),
            (of(&[]), "0 versions are Served"),
            (
                of(&[candidate(8, r#""weight":100"#)]),
                "0 versions are Served",
            ),
            (
                of(&[
                    served(50),
                    r#"{"version":8,"role":"Served","weight":50}"#.to_owned(),
                ]),
                "2 versions are Served",
            ),
            (of(&[served(99)]), "add up to 99"),
            (
                of(&[served(100), candidate(8, r#""weight":1"#)]),
                "add up to 101",
            ),
            (of(&[served(256)]), "invalid value: integer `256`"),
            (of(&[served(101)]), "weight of version 7 is 101"),
            (
                of(&[served(100), candidate(8, r#""weight":0,"shadow":101"#)]),
                "shadow of version 8 is 101",
            ),
            (
                of(&[r#"{"version":7,"role":"Served","weight":100,"shadow":1}"#.to_owned()]),
                "shadow of itself",
            ),
            (of(&[served(50), served(50)]), "version 7 has two shares"),
            (
                of(&[served(100), candidate(5, r#""weight":0"#)]),
                "version 5 is not loaded here, loaded are 7, 8, 9",
            ),
            (
                of(&[r#"{"version":9,"role":"Served","weight":100}"#.to_owned()]),
                "version 9 cannot be served: model.bst: cut off",
            ),
            (
                format!(r#"{{"revision":"","shares":[{}]}}"#, served(100)),
                "revision has 0 bytes",
            ),
            (
                format!(
                    r#"{{"revision":"r","abort":{{"minRequests":1,"maxErrorPercent":101}},"shares":[{}]}}"#,
                    served(100)
                ),
                "maxErrorPercent is 101",
            ),
        ] {
            let error = shares(&json).unwrap_err();
            assert!(error.contains(says), "{json}: {error}");
        }
    }

    #[test]
    fn a_file_is_read_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("traffic.json");
        let says = |text: &str| read(&path).unwrap_err().to_string().contains(text);
        assert!(says("traffic.json"));
        fs::write(&path, " ".repeat(70_000)).unwrap();
        assert!(says("more than 65536 bytes"));
        fs::write(&path, [0xff]).unwrap();
        assert!(says("line 1"));
    }
}
