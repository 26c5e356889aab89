use std::io;

use tracing_subscriber::{EnvFilter, filter::ParseError};

use crate::settings::LogFormat;

/// Sends log lines to stderr. Called once, by the program, before anything else is logged.
pub fn init(format: LogFormat, filter: &str) -> Result<(), ParseError> {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_new(filter)?)
        .with_writer(io::stderr);
    match format {
        LogFormat::Json => builder
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .init(),
        LogFormat::Text => builder
            .with_ansi(io::IsTerminal::is_terminal(&io::stderr()))
            .init(),
    }
    Ok(())
}
