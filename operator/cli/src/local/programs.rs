//! Where the trainer and the ranker are, and what they may take.

use std::{
    env,
    num::NonZeroUsize,
    path::{Path, PathBuf},
};

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use searchop_api::ContainerResources;

#[derive(Debug, thiserror::Error)]
pub enum MissingProgram {
    #[error(
        "{name:?} is not beside this program and not on PATH; install it, or name it with --{flag} FILE"
    )]
    Installed {
        name: &'static str,
        flag: &'static str,
    },
    #[error("{path:?} is not a file; name the program with --{flag} FILE")]
    Given { path: PathBuf, flag: &'static str },
}

pub fn trainer(given: Option<&Path>) -> Result<PathBuf, MissingProgram> {
    locate("searchop-trainer", "trainer", given)
}

pub fn ranker(given: Option<&Path>) -> Result<PathBuf, MissingProgram> {
    locate("searchop-ranker", "ranker", given)
}

fn locate(
    name: &'static str,
    flag: &'static str,
    given: Option<&Path>,
) -> Result<PathBuf, MissingProgram> {
    if let Some(path) = given {
        // A name without a slash would be looked up on PATH.
        let file = std::path::absolute(path).ok().filter(|file| file.is_file());
        return file.ok_or_else(|| MissingProgram::Given {
            path: path.to_owned(),
            flag,
        });
    }
    let beside = env::current_exe()
        .ok()
        .and_then(|program| Some(program.parent()?.to_owned()));
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = beside.into_iter().chain(env::split_paths(&path));
    folders
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
        .ok_or(MissingProgram::Installed { name, flag })
}

/// CPU for a child in thousandths of a core: its limit, but never more than there is, since
/// LightGBM with more threads than cores is many times slower.
pub fn cpu_millis(resources: &ContainerResources) -> u64 {
    let there = std::thread::available_parallelism().map_or(1, NonZeroUsize::get) as u64 * 1000;
    let limit = resources
        .limits
        .as_ref()
        .and_then(|limits| limits.cpu.as_ref());
    limit
        .and_then(parse_cpu)
        .map_or(there, |millis| millis.min(there))
}

fn parse_cpu(quantity: &IntOrString) -> Option<u64> {
    let cores = match quantity {
        IntOrString::Int(cores) => f64::from(*cores),
        IntOrString::String(text) => match text.strip_suffix('m') {
            Some(millis) => millis.parse::<f64>().ok()? / 1000.0,
            None => text.parse().ok()?,
        },
    };
    (cores > 0.0).then(|| (cores * 1000.0).round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_quantities_are_thousandths() {
        let text = |text: &str| parse_cpu(&IntOrString::String(text.to_owned()));
        assert_eq!(parse_cpu(&IntOrString::Int(2)), Some(2000));
        assert_eq!(text("500m"), Some(500));
        assert_eq!(text("1.5"), Some(1500));
        assert_eq!(text("0"), None);
        assert_eq!(text("2Gi"), None);
    }

    #[test]
    fn a_missing_program_says_how_to_name_it() {
        let error = locate("searchop-no-such", "trainer", None)
            .unwrap_err()
            .to_string();
        let wanted = "\"searchop-no-such\" is not beside this program and not on PATH; install it, or name it with --trainer FILE";
        assert_eq!(error, wanted);
    }
}
