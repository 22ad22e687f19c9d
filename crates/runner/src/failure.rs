//! Failures of the runner: what went wrong, its causes, what would help, and the exit code (table: docs/cli.md).

use std::fmt;
use std::io::{self, ErrorKind};
use std::path::Path;

use serde_json::Value;
use stepmark_state::shown::{Shown, ShownLines};

/// Exit code: the node and the reference (or two chains) differ.
pub const MISMATCH: i32 = 1;
/// Exit code: the command line is wrong.
pub const USAGE: i32 = 2;
/// Exit code: the program or a snapshot is bad.
pub const DATA: i32 = 65;
/// Exit code: a file cannot be read or written.
pub const IO: i32 = 74;
/// Exit code: the run stopped at its gas limit, and a snapshot was written.
pub const GAS_LIMIT: i32 = 75;
/// Exit code: what a run has read of a store is not so any more.
pub const CONFLICT: i32 = 76;
/// Exit code: a stranger's job may take more than whoever checks it allows.
pub const BEYOND: i32 = 77;
/// Exit code: Ctrl-C, or a signal that ends a process; the state was written as a pause.
pub const INTERRUPTED: i32 = 130;
/// Exit code: whoever read standard output has closed it, as `head` does.
pub const CLOSED: i32 = 141;
/// Exit code: the program trapped.
pub const TRAP: i32 = 134;

/// A failure with its exit code. Printed as `error: what`, then `  caused by: ...` and `  help: ...` lines. Names of others
/// are in it as they are; what is printed of them cannot begin a line or do anything to a terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    code: i32,
    what: String,
    causes: Vec<String>,
    help: Option<String>,
    /// What else `--json` says of it, an object.
    details: Option<Box<Value>>,
}

/// Result of what the runner does.
pub type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    /// A failure that ends the process with `code`.
    #[cold]
    pub fn new(code: i32, what: impl Into<String>) -> Self {
        Self { code, what: what.into(), causes: Vec::new(), help: None, details: None }
    }

    /// The command line is wrong (exit code 2).
    #[cold]
    pub fn usage(what: impl Into<String>) -> Self {
        Self::new(USAGE, what)
    }

    /// A program or snapshot is bad (exit code 65).
    #[cold]
    pub fn data(what: impl Into<String>) -> Self {
        Self::new(DATA, what)
    }

    /// A file cannot be read or written (exit code 74).
    #[cold]
    pub fn io(path: &Path, error: &io::Error) -> Self {
        Self::new(IO, format!("{}: {error}", path.display()))
    }

    /// What the command line names cannot be opened: it is not there (exit code 2), or cannot be read (74).
    #[cold]
    pub fn named(path: &Path, what: &str, error: &io::Error) -> Self {
        match error.kind() {
            ErrorKind::NotFound => Self::usage(format!("{}: no such {what}", path.display())),
            _ => Self::io(path, error),
        }
    }

    /// Adds what caused the failure; several calls go from the near cause to the far one.
    #[must_use]
    pub fn caused_by(mut self, cause: impl fmt::Display) -> Self {
        // Another failure brings its own causes.
        self.causes.extend(cause.to_string().lines().map(|line| line.trim().to_owned()));
        self
    }

    /// Adds what the user can do about it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The failure with `to` in the place of `from`, which is a name of ours that means nothing to who reads it.
    #[must_use]
    pub fn renamed(self, from: &Path, to: &Path) -> Self {
        let [from, to] = [from, to].map(|path| path.display().to_string());
        let renamed = |text: String| text.replace(&from, &to);
        let Self { code, what, causes, help, details } = self;
        let causes = causes.into_iter().map(renamed).collect();
        Self { code, what: renamed(what), causes, help: help.map(renamed), details }
    }

    /// Whether nobody wants to read that it happened.
    pub fn is_silent(&self) -> bool {
        self.code == CLOSED
    }

    /// Adds the members of an object, for programs that read what went wrong.
    #[must_use]
    pub fn with_details(mut self, details: Value) -> Self {
        self.details = Some(Box::new(details));
        self
    }

    /// Exit code of the process.
    pub fn code(&self) -> i32 {
        self.code
    }

    /// What went wrong, without causes and help.
    pub fn what(&self) -> &str {
        &self.what
    }

    /// What caused it, the near cause first.
    pub fn causes(&self) -> &[String] {
        &self.causes
    }

    /// What the user can do about it.
    pub fn help_text(&self) -> Option<&str> {
        self.help.as_deref()
    }

    /// The object that was added for programs.
    pub fn details(&self) -> Option<&Value> {
        self.details.as_deref()
    }

    /// A failure of wasmtime itself, with its chain of causes.
    #[cold]
    pub(crate) fn wasmtime(code: i32, what: impl Into<String>, error: &wasmtime::Error) -> Self {
        error.chain().fold(Self::new(code, what), |failure, cause| failure.caused_by(cause))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", ShownLines(&self.what))?;
        for cause in &self.causes {
            write!(f, "\n  caused by: {}", Shown(cause))?;
        }
        match &self.help {
            Some(help) => write!(f, "\n  help: {}", Shown(help)),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Failure {}

impl From<stepmark_state::error::JobError> for Failure {
    fn from(error: stepmark_state::error::JobError) -> Self {
        Self::new(error.exit_code(), error.message())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_prints_its_causes_and_its_help() {
        let failure = Failure::data("7.snap: damaged").caused_by("checksum differs").help("take an older snapshot");
        let text = "error: 7.snap: damaged\n  caused by: checksum differs\n  help: take an older snapshot";
        assert_eq!(failure.to_string(), text);
        assert_eq!(failure.code(), 65);
    }

    #[test]
    fn a_name_in_a_failure_begins_no_line_and_moves_no_cursor() {
        let failure = Failure::data("a\u{1b}[2J\nerror: b").caused_by("c\nd\u{7}").help("e\u{202e}");
        let text = "error: a\\u001b[2J\n  error: b\n  caused by: c\n  caused by: d\\u0007\n  help: e\\u202e";
        assert_eq!(failure.to_string(), text);
    }
}
