use std::{
    env,
    fs::OpenOptions,
    io::{self, Write as _},
    process::ExitCode,
};

use clap::Parser as _;
use searchop_contract::{ExitCode as Code, names};
use searchop_ranker::{Settings, openapi, run, telemetry};
use tokio::runtime;
use tracing::error;

fn main() -> ExitCode {
    if env::args().nth(1).is_some_and(|first| first == "openapi") {
        // Whoever reads may stop in the middle.
        let _ = writeln!(io::stdout(), "{:#}", openapi());
        return ExitCode::SUCCESS;
    }
    let settings = match Settings::try_parse() {
        Ok(settings) => settings,
        Err(error) => {
            if error.use_stderr() {
                leave_message(&error.to_string());
            }
            error.exit()
        }
    };
    if let Err(error) = telemetry::init(settings.log_format, &settings.log) {
        return fail(
            &format!("cannot read the log filter {:?}: {error}", settings.log),
            Code::BadConfig.code(),
        );
    }
    // Rankings run on the runtime's threads; one more reads and refuses while all of them rank.
    let threads = settings.workers() + 1;
    let runtime = runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("cannot start threads: {error}"), 1),
    };
    let ended = runtime.block_on(run(settings));
    // What still runs belongs to requests whose time is over.
    runtime.shutdown_background();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error.to_string(), error.exit_code()),
    }
}

fn fail(message: &str, code: u8) -> ExitCode {
    error!("{message}");
    leave_message(message);
    ExitCode::from(code)
}

/// Kubernetes shows this in the pod's status. Elsewhere the file does not exist and none is made.
fn leave_message(message: &str) {
    if let Ok(mut file) = OpenOptions::new().write(true).open(names::REPORT_PATH) {
        let _ = file.write_all(message.as_bytes());
    }
}
