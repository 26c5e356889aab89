//! How the program ends. Scripts rely on these numbers.

use std::process::ExitCode;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    Done = 0,
    Failed = 1,
    /// clap ends with the same number.
    Usage = 2,
    /// Manifest or data are not valid, or the gate said no.
    Refused = 3,
    TimedOut = 4,
    NotFound = 5,
    Forbidden = 6,
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// An error that ends the program.
pub trait Failure: std::error::Error {
    fn exit(&self) -> Exit;
}
