//! What a run is doing: bars on a terminal, otherwise one JSON line a stage.

use std::{
    io::{IsTerminal, Write},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Map, Value};

/// Part of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Load,
    Features,
    Train,
    Evaluate,
    Publish,
    /// Another training, to see what a seed changes.
    OtherSeed,
}

impl Stage {
    pub fn name(self) -> &'static str {
        match self {
            Self::Load => "load",
            Self::Features => "features",
            Self::Train => "train",
            Self::Evaluate => "evaluate",
            Self::Publish => "publish",
            Self::OtherSeed => "otherSeed",
        }
    }
}

/// Tells on stderr what is happening.
pub struct Progress {
    terminal: bool,
    silent: bool,
}

/// A stage under way.
pub struct Running {
    stage: Stage,
    started: Instant,
    bar: ProgressBar,
    terminal: bool,
    silent: bool,
}

impl Progress {
    pub fn stderr() -> Self {
        Self {
            terminal: std::io::stderr().is_terminal(),
            silent: false,
        }
    }

    pub fn silent() -> Self {
        Self {
            terminal: false,
            silent: true,
        }
    }

    /// Begins a stage of `steps` steps, or of an unknown number.
    pub fn begin(&self, stage: Stage, steps: Option<u64>) -> Running {
        let bar = match steps {
            _ if !self.terminal => ProgressBar::hidden(),
            Some(steps) => {
                ProgressBar::new(steps).with_style(style("{prefix:>9} {bar:30} {pos}/{len} {msg}"))
            }
            None => ProgressBar::new_spinner().with_style(style("{prefix:>9} {spinner} {msg}")),
        };
        bar.set_prefix(stage.name());
        if self.terminal {
            bar.enable_steady_tick(Duration::from_millis(100));
        }
        Running {
            stage,
            started: Instant::now(),
            bar,
            terminal: self.terminal,
            silent: self.silent,
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the template is a constant")
}

impl Running {
    /// Says what the stage is at.
    pub fn at(&self, message: impl Into<String>) {
        self.bar.set_message(message.into());
    }

    /// One more step is done.
    pub fn step(&self, message: impl Into<String>) {
        self.bar.inc(1);
        self.at(message);
    }

    /// Ends the stage with what it counted.
    pub fn end(self, counts: Map<String, Value>) {
        self.bar.finish_and_clear();
        let seconds = self.started.elapsed().as_secs_f64();
        if self.silent {
            return;
        }
        let line = if self.terminal {
            let counts: Vec<String> = counts
                .iter()
                .map(|(name, value)| format!("{name} {value}"))
                .collect();
            format!(
                "{:>9}  {seconds:.1} s  {}",
                self.stage.name(),
                counts.join(", ")
            )
        } else {
            let mut line = Map::new();
            line.insert("stage".into(), self.stage.name().into());
            line.insert("seconds".into(), ((seconds * 1e3).round() / 1e3).into());
            line.extend(counts);
            Value::Object(line).to_string()
        };
        // A closed stderr is no reason to stop training.
        let _ = writeln!(std::io::stderr(), "{line}");
    }
}

/// Named counts for [`Running::end`].
pub fn counts<const N: usize>(values: [(&str, Value); N]) -> Map<String, Value> {
    values
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}
