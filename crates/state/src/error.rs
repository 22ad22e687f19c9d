//! Failures that are not the program's own. A [`Trap`](crate::trap::Trap) is the program's fault and a result of the
//! run; an [`JobError`] is our caller's fault (bad flags, bad program, bad snapshot) or the machine's (input and output).
//! Each says what, where and what was expected, and carries its exit code.

use std::fmt;

/// The kind of a failure, which decides the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The command line is wrong: exit code 2.
    Usage,
    /// The program is malformed, invalid, or uses a feature that is off: exit code 65.
    Program,
    /// An import is missing or has another type than wanted: exit code 65.
    Link,
    /// A snapshot or its chain is damaged, foreign or inconsistent: exit code 65.
    Snapshot,
    /// A file cannot be read or written: exit code 74.
    Io,
    /// A limit of the node itself (its own memory), never of the program: exit code 74.
    Resource,
}

impl ErrorKind {
    /// Exit code of the host runner for this kind.
    pub fn exit_code(self) -> i32 {
        match self {
            Self::Usage => 2,
            Self::Program | Self::Link | Self::Snapshot => 65,
            Self::Io | Self::Resource => 74,
        }
    }
}

/// A failure with its kind and a sentence for the user: lower case, no full stop, offset last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobError {
    kind: ErrorKind,
    message: String,
}

impl JobError {
    /// An error of `kind` that says `message`.
    #[cold]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// The command line is wrong.
    #[cold]
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Usage, message)
    }

    /// The program is malformed or invalid.
    #[cold]
    pub fn program(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Program, message)
    }

    /// An import cannot be satisfied.
    #[cold]
    pub fn link(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Link, message)
    }

    /// A snapshot is damaged, foreign or inconsistent.
    #[cold]
    pub fn snapshot(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Snapshot, message)
    }

    /// A file cannot be read or written.
    #[cold]
    pub fn io(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Io, message)
    }

    /// The node has run out of a resource of its own.
    #[cold]
    pub fn resource(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Resource, message)
    }

    /// What kind of failure this is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The sentence alone, without its kind.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Exit code of the host runner.
    pub fn exit_code(&self) -> i32 {
        self.kind.exit_code()
    }

    /// This error with `context` before its sentence ("frame 3: ...").
    #[must_use]
    pub fn context(mut self, context: impl fmt::Display) -> Self {
        self.message = format!("{context}: {}", self.message);
        self
    }
}

impl fmt::Display for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for JobError {}
