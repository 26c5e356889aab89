//! `searchop-trainer`: trains, judges and publishes one version of a ranking model.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use searchop_contract::{CheckOutcome, FailureReason, JudgmentFormat, TrainingReport};
use searchop_evaluation::report::Figures;
use searchop_trainer::{
    check,
    data::judgments,
    error::TrainError,
    folder::Folder,
    job,
    outcome::Outcome,
    progress::{Progress, Stage},
    publish::Store,
    run::{self, Bench},
    shop::{self, GenerateArgs},
    termination, threads,
};

/// Trains, judges and publishes one version of a ranking model.
#[derive(Parser)]
#[command(version, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit status: 0 done, 2 bad job or command line, 3 bad data, 4 evaluation failed, \
5 storage refused, 10 storage unavailable (worth a retry), 101 crashed.";

#[derive(Subcommand)]
enum Command {
    /// Load, features, train, evaluate and publish, as the job says.
    Run(RunArgs),
    /// Look at the data without training: a JSON line a check; exit status 3 where one fails.
    Check(CheckArgs),
    /// Load the data and leave rows and tables in the work folder.
    Features(StageArgs),
    /// Train on the rows in the work folder.
    Train(StageArgs),
    /// Judge the model in the work folder on its held-out rows.
    Evaluate(StageArgs),
    /// Seal and store the model and the tables of the work folder.
    Publish(StageArgs),
    /// Check a file of grades and write it in another format.
    Judgments(JudgmentArgs),
    /// Write the catalogue and the click log of a made-up shop.
    Generate(GenerateArgs),
}

#[derive(clap::Args)]
struct RunArgs {
    /// The job as JSON; without it, the environment variable SEARCHOP_JOB.
    #[arg(long, value_name = "FILE")]
    job: Option<PathBuf>,
    /// Where the report goes; without it, /dev/termination-log where that exists.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Folder for intermediate files; without it, a temporary one.
    #[arg(long, value_name = "DIR")]
    work: Option<PathBuf>,
}

#[derive(clap::Args)]
struct CheckArgs {
    /// The job as JSON; without it, the environment variable SEARCHOP_JOB.
    #[arg(long, value_name = "FILE")]
    job: Option<PathBuf>,
}

#[derive(clap::Args)]
struct StageArgs {
    /// The job as JSON; without it, the environment variable SEARCHOP_JOB.
    #[arg(long, value_name = "FILE")]
    job: Option<PathBuf>,
    /// Folder in which each stage leaves what the next one reads.
    #[arg(long, value_name = "DIR")]
    work: PathBuf,
}

#[derive(clap::Args)]
struct JudgmentArgs {
    /// Quepid, TREC, SVMRank or Workbench.
    #[arg(long, value_name = "FORMAT", value_parser = judgment_format)]
    from: JudgmentFormat,
    /// As for --from.
    #[arg(long, value_name = "FORMAT", value_parser = judgment_format)]
    to: JudgmentFormat,
    /// Path, pattern or s3:// URI of what is read.
    uri: String,
    /// File that is written; TREC's queries go into the same name with the ending .tsv.
    out: PathBuf,
}

fn judgment_format(name: &str) -> Result<JudgmentFormat, String> {
    serde_json::from_value(name.into())
        .map_err(|_| format!("{name:?} is not Quepid, TREC, SVMRank or Workbench"))
}

fn main() -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    searchop_model::store::install_tls_provider();
    let code = match Cli::parse().command {
        Command::Run(args) => run(args),
        Command::Check(args) => check_data(&args),
        Command::Generate(args) => generate(&args),
        Command::Judgments(args) => convert(&args),
        Command::Features(args) => stage(&args, Stage::Features),
        Command::Train(args) => stage(&args, Stage::Train),
        Command::Evaluate(args) => stage(&args, Stage::Evaluate),
        Command::Publish(args) => stage(&args, Stage::Publish),
    };
    ExitCode::from(code)
}

fn run(args: RunArgs) -> u8 {
    let report_path = termination::report_path(args.report.clone());
    let (version, result) = match catch_unwind(AssertUnwindSafe(|| execute(&args))) {
        Ok(ended) => ended,
        Err(payload) => {
            let message = termination::panic_message(payload.as_ref());
            let report = termination::failed(0, FailureReason::TrainerCrashed, &message);
            return finish(report_path, &report, termination::PANICKED);
        }
    };
    let code = termination::exit_code(&result);
    let report = match result {
        Ok(outcome) => {
            print_table(&outcome.table);
            outcome.report
        }
        Err(error) => {
            eprintln!("error: {error}");
            termination::failed(version, error.reason(), &error.to_string())
        }
    };
    finish(report_path, &report, code)
}

/// The version of the job, 0 where there is none, and how it ended.
fn execute(args: &RunArgs) -> (u32, Result<Outcome, TrainError>) {
    let job = match job::read(args.job.as_deref()) {
        Ok(job) => job,
        Err(error) => return (0, Err(error)),
    };
    let result = threads::allowed()
        .map_err(|error| TrainError::config(error.to_string()))
        .and_then(|threads| {
            let (work, _guard) = work_folder(args.work.clone())?;
            run::run(&job, &work, threads, &Progress::stderr())
        });
    (job.version, result)
}

/// A temporary folder goes when its guard does.
fn work_folder(asked: Option<PathBuf>) -> Result<(PathBuf, Option<tempfile::TempDir>), TrainError> {
    let failed =
        |error: std::io::Error| TrainError::storage_unavailable(format!("no work folder: {error}"));
    match asked {
        Some(path) => {
            std::fs::create_dir_all(&path).map_err(failed)?;
            Ok((path, None))
        }
        None => {
            let guard = tempfile::tempdir().map_err(failed)?;
            Ok((guard.path().to_owned(), Some(guard)))
        }
    }
}

fn finish(path: Option<PathBuf>, report: &TrainingReport, code: u8) -> u8 {
    let Some(path) = path else { return code };
    match termination::write(&path, report) {
        Ok(()) => code,
        Err(error) => {
            eprintln!("error: {error}");
            if code == 0 {
                error.exit_code().code()
            } else {
                code
            }
        }
    }
}

fn check_data(args: &CheckArgs) -> u8 {
    let found = job::read(args.job.as_deref()).and_then(|job| {
        let (work, _guard) = work_folder(None)?;
        check::check(&job, &work)
    });
    let failed = match &found {
        Ok(checks) => {
            for check in checks {
                println!("{}", serde_json::to_string(check).expect("a check is JSON"));
            }
            checks
                .iter()
                .any(|check| check.outcome == CheckOutcome::Fail)
        }
        Err(error) => {
            eprintln!("error: {error}");
            false
        }
    };
    if failed {
        searchop_contract::ExitCode::BadData.code()
    } else {
        termination::exit_code(&found)
    }
}

fn stage(args: &StageArgs, stage: Stage) -> u8 {
    let result = by_hand(args, stage);
    if let Err(error) = &result {
        eprintln!("error: {error}");
    }
    termination::exit_code(&result)
}

/// One stage on a work folder.
fn by_hand(args: &StageArgs, stage: Stage) -> Result<(), TrainError> {
    let job = job::read(args.job.as_deref())?;
    let folder = Folder::open(&args.work)?;
    let bench = Bench {
        job: &job,
        work: &args.work,
        store: Store::open(&job)?,
        progress: &Progress::stderr(),
    };
    match stage {
        Stage::Load | Stage::Features => folder.save_prepared(&bench.features()?),
        Stage::Train => folder.save_trained(&bench.train(&folder.prepared()?, allowed_threads()?)?),
        Stage::Evaluate => {
            let judged = bench.evaluate(&folder.prepared()?, &folder.trained()?)?;
            print_table(&judged.lines());
            folder.save_judged(&judged)
        }
        Stage::Publish => {
            let prepared = folder.prepared()?;
            bench
                .publish(&prepared, &folder.trained()?, &folder.judged()?)
                .map(|_| ())
        }
        // Only a whole run makes it, for its report.
        Stage::OtherSeed => Ok(()),
    }
}

fn allowed_threads() -> Result<usize, TrainError> {
    threads::allowed().map_err(|error| TrainError::config(error.to_string()))
}

fn print_table(lines: &[Figures]) {
    if lines.is_empty() {
        return;
    }
    let figure = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.4}"));
    println!(
        "{:<12} {:>8} {:>8} {:>8} {:>9} {:>8}",
        "held out", "NDCG@10", "MRR@10", "MAP@10", "Recall@10", "ERR@10"
    );
    for line in lines {
        println!(
            "{:<12} {:>8} {:>8} {:>8} {:>9} {:>8}",
            line.ranker,
            figure(line.ndcg_at_10),
            figure(line.mrr_at_10),
            figure(line.map_at_10),
            figure(line.recall_at_10),
            figure(line.err_at_10)
        );
    }
}

fn convert(args: &JudgmentArgs) -> u8 {
    let result = judgments::convert((&args.uri, args.from), (&args.out, args.to));
    match &result {
        Ok(found) => println!("{found}"),
        Err(error) => eprintln!("error: {error}"),
    }
    termination::exit_code(&result)
}

fn generate(args: &GenerateArgs) -> u8 {
    let result = shop::generate(args);
    match &result {
        Ok(written) => println!(
            "{} products, {} events in {}",
            written.products,
            written.events,
            args.out.display()
        ),
        Err(error) => eprintln!("error: {error}"),
    }
    termination::exit_code(&result)
}
