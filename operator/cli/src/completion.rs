//! What a shell offers when Tab is pressed: verbs and flags, and names of objects, which are asked of
//! the cluster while the person waits.

use std::{ffi::OsString, io, time::Duration};

use clap::CommandFactory;
use clap_complete::{
    CompletionCandidate,
    engine::complete,
    env::{Bash, EnvCompleter, Fish, Zsh},
};
use kube::{ResourceExt, api::ListParams};
use searchop_api::{RankingModel, RetrainSchedule};

use crate::{
    args::{Cli, Shell, Target},
    cluster::{Cluster, Namespaced},
};

/// The shells' scripts call the program with the shell's name in this variable.
pub const VARIABLE: &str = "COMPLETE";

/// Longer, and a person types the name instead.
const PATIENCE: Duration = Duration::from_secs(1);

/// kubectl asks a program of this name, beside `kubectl-searchop`, what to offer.
pub const KUBECTL_NAME: &str = "kubectl_complete-searchop";

/// Cobra's word for "no file names": the last line that kubectl reads.
const NO_FILES: &str = ":4";

/// The script that makes a shell ask this program.
pub fn script(shell: Shell) -> io::Result<()> {
    let shell: &dyn EnvCompleter = match shell {
        Shell::Bash => &Bash,
        Shell::Zsh => &Zsh,
        Shell::Fish => &Fish,
    };
    shell.write_registration(
        VARIABLE,
        "searchop",
        "searchop",
        "searchop",
        &mut io::stdout(),
    )
}

/// What kubectl may offer for the last of `words`, a line each.
pub fn for_kubectl(words: impl Iterator<Item = OsString>) -> io::Result<()> {
    let mut line: Vec<OsString> = vec!["searchop".into()];
    line.extend(words);
    let place = line.len() - 1;
    for candidate in complete(&mut Cli::command(), line, place, None)? {
        let value = candidate.get_value().to_string_lossy();
        match candidate.get_help() {
            Some(help) => println!("{value}\t{help}"),
            None => println!("{value}"),
        }
    }
    println!("{NO_FILES}");
    Ok(())
}

pub fn models() -> Vec<CompletionCandidate> {
    names::<RankingModel>()
}

pub fn schedules() -> Vec<CompletionCandidate> {
    names::<RetrainSchedule>()
}

/// Nothing where the cluster does not answer in time: a message would end up in the command line.
fn names<K: Namespaced>() -> Vec<CompletionCandidate> {
    let words = std::env::args().collect::<Vec<_>>();
    let target = target(&words);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let Ok(runtime) = runtime else {
        return Vec::new();
    };
    let asked = async {
        let cluster = Cluster::find(&target).await?;
        cluster.list::<K>(&ListParams::default()).await
    };
    let found = runtime.block_on(async { tokio::time::timeout(PATIENCE, asked).await });
    let objects = found.ok().and_then(Result::ok).unwrap_or_default();
    let candidate = |object: K| CompletionCandidate::new(object.name_any());
    objects.into_iter().map(candidate).collect()
}

/// The cluster that an unfinished command line names.
fn target(words: &[String]) -> Target {
    let value = |names: &[&str]| {
        let places = words.iter().enumerate();
        let mut found = places.filter_map(|(place, word)| match word.split_once('=') {
            Some((name, value)) if names.contains(&name) => Some(value.to_owned()),
            _ if names.contains(&word.as_str()) => words.get(place + 1).cloned(),
            _ => None,
        });
        found.next().filter(|value| !value.is_empty())
    };
    Target {
        namespace: value(&["-n", "--namespace"]),
        context: value(&["--context"]),
        kubeconfig: value(&["--kubeconfig"]).map(Into::into),
        as_user: value(&["--as"]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_offered_are_those_of_the_cluster_on_the_line() {
        let line = "searchop -- searchop suspend --context=prod -n shop --kubeconfig /k pro";
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let target = target(&words);
        assert_eq!(target.namespace.as_deref(), Some("shop"));
        assert_eq!(target.context.as_deref(), Some("prod"));
        assert_eq!(target.kubeconfig.as_deref(), Some("/k".as_ref()));
        assert_eq!(target.as_user, None);
    }
}
