use std::{fmt, io::IsTerminal, net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};
use tracing_subscriber::EnvFilter;

use crate::{build::Images, operator};

/// Kubernetes operator for RankingModel and RetrainSchedule.
#[derive(Debug, Parser)]
#[command(name = "searchop-operator", version)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Watch and act until SIGTERM.
    Run(Box<RunArguments>),
    /// Print the custom resource definitions as YAML.
    Crd,
    /// Print the version.
    Version,
}

#[derive(Debug, Args)]
struct RunArguments {
    /// Image of the trainer's pods.
    #[arg(long, env = "SEARCHOP_TRAINER_IMAGE")]
    trainer_image: String,

    /// Image of the ranker's pods. A running version keeps the image that it was rolled out with.
    #[arg(long, env = "SEARCHOP_RANKER_IMAGE")]
    ranker_image: String,

    /// Pull policy of both; Kubernetes' default where absent.
    #[arg(long, env = "SEARCHOP_IMAGE_PULL_POLICY")]
    image_pull_policy: Option<PullPolicy>,

    /// Watch this namespace only; all where absent.
    #[arg(long, env = "SEARCHOP_NAMESPACE")]
    namespace: Option<String>,

    /// Namespace of the lease; the client's own where absent.
    #[arg(long, env = "SEARCHOP_LEASE_NAMESPACE")]
    lease_namespace: Option<String>,

    /// Name of the lease.
    #[arg(long, env = "SEARCHOP_LEASE_NAME", default_value = "searchop-operator")]
    lease_name: String,

    /// Act at once, without a lease: for one replica only.
    #[arg(long)]
    no_leader_election: bool,

    /// Name of this replica in the lease and in events; host name and process id where absent. A
    /// name that outlives a restart lets the restarted process go on without waiting for the lease.
    #[arg(long, env = "POD_NAME")]
    identity: Option<String>,

    /// Address of probes and metrics.
    #[arg(long, env = "SEARCHOP_METRICS_LISTEN", default_value = "0.0.0.0:8081")]
    metrics_listen: SocketAddr,

    /// Form of the log on standard error; its level follows RUST_LOG.
    #[arg(long, env = "SEARCHOP_LOG_FORMAT", value_enum, default_value_t)]
    log_format: LogFormat,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum PullPolicy {
    #[value(name = "Always")]
    Always,
    #[value(name = "IfNotPresent")]
    IfNotPresent,
    #[value(name = "Never")]
    Never,
}

impl fmt::Display for PullPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Always => "Always",
            Self::IfNotPresent => "IfNotPresent",
            Self::Never => "Never",
        })
    }
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum LogFormat {
    #[default]
    Json,
    Text,
}

impl Arguments {
    /// Does what the command line says.
    pub async fn execute(self) -> Result<(), Box<dyn std::error::Error>> {
        match self.command {
            Command::Run(arguments) => Ok(arguments.run().await?),
            Command::Crd => {
                for crd in searchop_api::crds() {
                    print!("---\n{}", searchop_api::to_yaml(&crd)?);
                }
                Ok(())
            }
            Command::Version => {
                println!("{}", env!("CARGO_PKG_VERSION"));
                Ok(())
            }
        }
    }
}

impl RunArguments {
    async fn run(self) -> Result<(), operator::RunError> {
        // Exhaustive: a new argument cannot be forgotten here.
        let Self {
            trainer_image,
            ranker_image,
            image_pull_policy,
            namespace,
            lease_namespace,
            lease_name,
            no_leader_election,
            identity,
            metrics_listen,
            log_format,
        } = self;
        log_format.start();
        let pull_policy = image_pull_policy.map(|policy| policy.to_string());
        let lease = operator::LeasePlace {
            namespace: lease_namespace,
            name: lease_name,
        };
        operator::run(operator::Settings {
            images: Images {
                trainer: trainer_image,
                ranker: ranker_image,
                pull_policy,
            },
            namespace: namespace.filter(|namespace| !namespace.is_empty()),
            lease: (!no_leader_election).then_some(lease),
            identity: identity
                .filter(|identity| !identity.is_empty())
                .unwrap_or_else(this_process),
            metrics_listen,
        })
        .await
    }
}

/// Host name and process id: differs between any two replicas.
fn this_process() -> String {
    let from_file = || std::fs::read_to_string(PathBuf::from("/proc/sys/kernel/hostname")).ok();
    let host = std::env::var("HOSTNAME")
        .ok()
        .or_else(from_file)
        .unwrap_or_else(|| "searchop".to_owned());
    format!("{}_{}", host.trim(), std::process::id())
}

impl LogFormat {
    fn start(self) {
        let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
        let log = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(std::io::stderr);
        match self {
            Self::Json => log
                .json()
                .flatten_event(true)
                .with_current_span(true)
                .with_span_list(false)
                .init(),
            Self::Text => log.with_ansi(std::io::stderr().is_terminal()).init(),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_wrong_pull_policy_is_named_with_the_right_ones() {
        let line = "searchop-operator run --trainer-image=t --ranker-image=r --image-pull-policy=Sometimes";
        let error = Arguments::try_parse_from(line.split(' '))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("Sometimes") && error.contains("IfNotPresent"),
            "{error}"
        );
    }
}
