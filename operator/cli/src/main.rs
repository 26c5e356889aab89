//! `searchop`: the command line, with the local mode that needs no cluster.

mod args;
mod connect;
mod exit;
mod gate;
mod import;
mod local;
mod manifest;
mod replay;
mod schedule;
mod schema;
mod terminal;
mod validate;

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
        Command::Validate(args) => validate::validate(args, log),
        Command::Import(args) => return import(args, log),
        Command::Connect(args) => {
            print!("{}", connect::script(args));
            Ok(Exit::Done)
        }
        Command::Gate(args) => return judged(args, log),
        Command::Replay(args) => {
            return replay::replay(args).await.unwrap_or_else(|error| {
                print_error(log.paint(), &error);
                error.exit()
            });
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

fn import(args: &args::Import, log: Log) -> Exit {
    import::import(args, log).unwrap_or_else(|error| {
        print_error(log.paint(), &error);
        error.exit()
    })
}

fn judged(args: &args::Gate, log: Log) -> Exit {
    let result = match args {
        args::Gate::Explain(args) => gate::explain(args, log),
        args::Gate::Backtest(args) => gate::backtest(args, log),
    };
    match result {
        Ok(text) => {
            print!("{text}");
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
