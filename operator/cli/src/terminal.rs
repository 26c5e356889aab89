//! Colours and the progress log: people read it on stderr, results go to stdout.

use std::io::IsTerminal;

use jiff::Zoned;
use searchop_lifecycle::{Note, NoteType};

/// Colours text, or leaves it as it is.
#[derive(Clone, Copy, Debug)]
pub struct Paint {
    on: bool,
}

impl Paint {
    #[cfg(test)]
    pub const PLAIN: Self = Self { on: false };

    /// Colours only for a person at a terminal who did not ask for none (NO_COLOR, --no-color).
    pub fn new(stream: &impl IsTerminal, no_color: bool) -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        Self {
            on: stream.is_terminal() && !no_color && !refused && !dumb,
        }
    }

    fn wrap(self, code: &str, text: &str) -> String {
        if self.on {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    pub fn bold(self, text: &str) -> String {
        self.wrap("1", text)
    }

    pub fn dim(self, text: &str) -> String {
        self.wrap("2", text)
    }

    pub fn red(self, text: &str) -> String {
        self.wrap("31", text)
    }

    pub fn green(self, text: &str) -> String {
        self.wrap("32", text)
    }

    pub fn yellow(self, text: &str) -> String {
        self.wrap("33", text)
    }
}

/// What runs and what came of it, a line each, with the time of day.
#[derive(Clone, Copy, Debug)]
pub struct Log {
    paint: Paint,
    results: Paint,
    quiet: bool,
}

impl Log {
    pub fn new(no_color: bool, quiet: bool) -> Self {
        Self {
            paint: Paint::new(&std::io::stderr(), no_color),
            results: Paint::new(&std::io::stdout(), no_color),
            quiet,
        }
    }

    pub fn paint(&self) -> Paint {
        self.paint
    }

    /// Colours for what goes to stdout.
    pub fn results(&self) -> Paint {
        self.results
    }

    /// A person looks on: progress bars make sense.
    pub fn attended(&self) -> bool {
        let unattended = self.quiet || std::env::var_os("CI").is_some();
        std::io::stderr().is_terminal() && !unattended
    }

    /// The same words as a Kubernetes event.
    pub fn note(&self, note: &Note) {
        match note.kind {
            NoteType::Normal => self.info(note.reason, &note.message),
            NoteType::Warning => self.warn(note.reason, &note.message),
        }
    }

    pub fn info(&self, reason: &str, message: &str) {
        if !self.quiet {
            eprintln!("{}", self.line(&self.paint.green(&pad(reason)), message));
        }
    }

    pub fn warn(&self, reason: &str, message: &str) {
        eprintln!("{}", self.line(&self.paint.yellow(&pad(reason)), message));
    }

    /// Several lines as they are.
    pub fn block(&self, text: &str) {
        if !self.quiet {
            eprintln!("\n{}\n", text.trim_end());
        }
    }

    fn line(&self, reason: &str, message: &str) -> String {
        let time = self
            .paint
            .dim(&Zoned::now().strftime("%H:%M:%S").to_string());
        format!("{time}  {reason}  {message}")
    }
}

fn pad(reason: &str) -> String {
    format!("{reason:<18}")
}

/// `error: …`, for the last line of a command that failed.
pub fn print_error(paint: Paint, error: &dyn std::error::Error) {
    eprintln!("{} {error}", paint.red("error:"));
}
