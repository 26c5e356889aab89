//! `searchop`: the command line, with the local mode that needs no cluster.

mod args;
mod connect;
mod exit;
mod local;
mod manifest;
mod schedule;
mod schema;
mod terminal;

use std::{io, process::ExitCode};

use clap::{CommandFactory, Parser};
use clap_complete::{Shell, generate};

use crate::{
    args::{Cli, Command, Local, Schedule},
    exit::Exit,
    terminal::{Log, print_error},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let log = Log::new(cli.no_color, cli.quiet);
    run(&cli, log).await.into()
}

async fn run(cli: &Cli, log: Log) -> Exit {
    let result = match &cli.command {
        Command::Local(Local::Up(args)) => local::up(args, log).await,
        Command::Local(Local::Status(args)) => local::status(args, log),
        Command::Local(Local::Retrain(args)) => local::retrain(args, log),
        Command::Local(Local::Down(args)) => local::down(args, log),
        Command::Schedule(Schedule::Next(args)) => {
            return schedule::next(args).unwrap_or_else(|error| {
                print_error(log.paint(), &error);
                error.exit()
            });
        }
        Command::Validate(args) => return validate(args, log),
        Command::Connect(args) => {
            print!("{}", connect::script(args));
            Ok(Exit::Done)
        }
        Command::Completion { shell } => {
            complete(*shell);
            Ok(Exit::Done)
        }
        Command::Version => {
            println!("searchop {}", env!("CARGO_PKG_VERSION"));
            Ok(Exit::Done)
        }
    };
    result.unwrap_or_else(|error| {
        print_error(log.paint(), &error);
        error.exit()
    })
}

fn validate(args: &args::Files, log: Log) -> Exit {
    match manifest::read(&args.filename) {
        Ok(found) => {
            let model = found.model.metadata.name.unwrap_or_default();
            log.info(
                "Valid",
                &format!(
                    "RankingModel {model:?} with {} schedules",
                    found.schedules.len()
                ),
            );
            Exit::Done
        }
        Err(error) => {
            print_error(log.paint(), &error);
            error.exit()
        }
    }
}

fn complete(shell: args::Shell) {
    let shell = match shell {
        args::Shell::Bash => Shell::Bash,
        args::Shell::Zsh => Shell::Zsh,
        args::Shell::Fish => Shell::Fish,
    };
    generate(shell, &mut Cli::command(), "searchop", &mut io::stdout());
}
