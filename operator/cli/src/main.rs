//! `searchop`: the command line, with the local mode that needs no cluster.

mod args;
mod bundles;
mod cluster;
mod completion;
mod connect;
mod diff;
mod exit;
mod gate;
mod import;
mod local;
mod manifest;
mod records;
mod replay;
mod schedule;
mod schema;
mod terminal;
mod validate;
mod versions;

use std::{path::Path, process::ExitCode};

use clap::{CommandFactory, FromArgMatches, Parser};
use clap_complete::CompleteEnv;

use crate::{
    args::{Cli, Command, Local, Schedule},
    exit::{Exit, Failure},
    terminal::{Log, print_error},
};

/// kubectl finds plugins by this start of their names.
const PLUGIN: &str = "kubectl-";

fn main() -> ExitCode {
    let name = std::env::args_os().next().unwrap_or_default();
    let name = Path::new(&name).file_name().unwrap_or_default();
    if name == completion::KUBECTL_NAME {
        let offered = completion::for_kubectl(std::env::args_os().skip(1));
        return if offered.is_ok() {
            Exit::Done
        } else {
            Exit::Failed
        }
        .into();
    }
    CompleteEnv::with_factory(Cli::command)
        .var(completion::VARIABLE)
        .complete();
    let plugin = name.to_string_lossy().starts_with(PLUGIN);
    let cli = parse(plugin);
    let log = Log::new(cli.no_color, cli.quiet);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => runtime.block_on(run(&cli, log)).into(),
        Err(error) => {
            print_error(log.paint(), &error);
            Exit::Failed.into()
        }
    }
}

/// As a plugin it speaks of itself as people call it.
fn parse(plugin: bool) -> Cli {
    if !plugin {
        return Cli::parse();
    }
    let command = Cli::command()
        .name("kubectl searchop")
        .bin_name("kubectl searchop");
    let found = Cli::from_arg_matches(&command.get_matches());
    found.unwrap_or_else(|error| error.exit())
}

async fn run(cli: &Cli, log: Log) -> Exit {
    let result = match &cli.command {
        Command::Local(Local::Up(args)) => local::up(args, log).await,
        Command::Local(Local::Status(args)) => local::status(args, log),
        Command::Local(Local::Versions(args)) => {
            return ended(local::versions(args, log), log);
        }
        Command::Local(Local::Retrain(args)) => local::retrain(args, log),
        Command::Local(Local::Down(args)) => local::down(args, log),
        Command::Cluster(verb) => return ended(cluster::run(verb, log).await, log),
        Command::Schedule(Schedule::Next(args)) => return ended(schedule::next(args).await, log),
        Command::Schedule(verb) => return ended(cluster::schedule(verb, log).await, log),
        Command::Validate(args) => validate::validate(args, log),
        Command::Import(args) => return ended(import::import(args, log), log),
        Command::Connect(args) => {
            print!("{}", connect::script(args));
            Ok(Exit::Done)
        }
        Command::Gate(args) => return judged(args, log),
        Command::Diff(args) => return ended(diff::diff(args, log).await, log),
        Command::Replay(args) => return ended(replay::replay(args).await, log),
        Command::Completion { shell } => {
            if let Err(error) = completion::script(*shell) {
                print_error(log.paint(), &error);
                return Exit::Failed;
            }
            Ok(Exit::Done)
        }
        Command::Version => {
            println!("searchop {}", env!("CARGO_PKG_VERSION"));
            Ok(Exit::Done)
        }
    };
    ended(result, log)
}

/// The exit code, after saying what went wrong.
fn ended<E: Failure>(result: Result<Exit, E>, log: Log) -> Exit {
    result.unwrap_or_else(|error| {
        print_error(log.paint(), &error);
        error.exit()
    })
}

fn judged(args: &args::Gate, log: Log) -> Exit {
    let result = match args {
        args::Gate::Explain(args) => gate::explain(args, log),
        args::Gate::Backtest(args) => gate::backtest(args, log),
    };
    let printed = result.map(|text| {
        print!("{text}");
        Exit::Done
    });
    ended(printed, log)
}
