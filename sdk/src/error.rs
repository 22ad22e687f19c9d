//! What can go wrong, told apart by who has to do something about it: the caller named something that is not there, the
//! modules do not fit each other, the program trapped or ran out of gas, or the node failed.

use std::fmt;

use stepmark_session::report::TrapReport;
use stepmark_state::error::ErrorKind;

use crate::value::ValueType;

/// Types of a function's parameters and results.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Parameter types.
    pub params: Vec<ValueType>,
    /// Result types.
    pub results: Vec<ValueType>,
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {}", types(&self.params), types(&self.results))
    }
}

fn types(types: &[ValueType]) -> String {
    let names: Vec<&str> = types.iter().map(|ty| ty.name()).collect();
    format!("({})", names.join(", "))
}

/// Why something did not come to a result.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// No module is registered under this name.
    ModuleNotFound {
        /// The name that was asked for.
        name: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// The module exports no function of this name.
    FunctionNotFound {
        /// The module; none for the active one.
        module: Option<String>,
        /// The name that was asked for.
        name: String,
        /// Those that there are, with their types.
        known: String,
    },
    /// The arguments are not of the function's types.
    SignatureMismatch {
        /// The function.
        name: String,
        /// What the function takes.
        wanted: Vec<ValueType>,
        /// What was given.
        found: Vec<ValueType>,
    },
    /// An import is missing or has another type than wanted.
    Link(String),
    /// A module is malformed, invalid, or uses what is turned off.
    Module(String),
    /// The program trapped.
    Trap(TrapReport),
    /// The program asked to exit with this code, where it was expected to return.
    Exit(u32),
    /// The gas limit is used up.
    Gas {
        /// What was left: less than the next instruction costs.
        left: u64,
    },
    /// A snapshot, a record or another file of a chain is damaged, foreign or missing.
    Snapshot(String),
    /// What was asked for makes no sense.
    Usage(String),
    /// The node has run out of a resource of its own, or a file cannot be read or written.
    Node(String),
}

impl Error {
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::Usage(message.into())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ModuleNotFound { name, known } => {
                write!(f, "no module is called '{name}': there are {}", list(known))
            }
            Self::FunctionNotFound { module, name, known } => {
                let module = module.as_ref().map_or("the active module".to_owned(), |name| format!("module '{name}'"));
                write!(f, "{module} exports no function '{name}'; its exports:\n{known}")
            }
            Self::SignatureMismatch { name, wanted, found } => {
                write!(f, "{name}: the arguments are {}, wanted {}", types(found), types(wanted))
            }
            Self::Trap(report) => trap(report, f),
            Self::Exit(code) => write!(f, "the program exited with code {code}"),
            Self::Gas { left } => write!(f, "out of gas: {left} left do not pay for the next instruction"),
            Self::Link(message)
            | Self::Module(message)
            | Self::Snapshot(message)
            | Self::Usage(message)
            | Self::Node(message) => f.write_str(message),
        }
    }
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "none but the active one".to_owned() } else { names.join(", ") }
}

/// The trap, what a host function said, and the call stack, innermost first.
fn trap(report: &TrapReport, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "{}", report.trap)?;
    if let Some(detail) = &report.detail {
        write!(f, ": {detail}")?;
    }
    for frame in &report.backtrace {
        let name = frame.name.as_deref().unwrap_or("?");
        write!(f, "\n  at {name} (function {}, offset {:#x})", frame.function, frame.offset)?;
    }
    Ok(())
}

impl std::error::Error for Error {}

impl From<stepmark_state::error::JobError> for Error {
    fn from(error: stepmark_state::error::JobError) -> Self {
        let message = error.message().to_owned();
        match error.kind() {
            ErrorKind::Usage => Self::Usage(message),
            ErrorKind::Program => Self::Module(message),
            ErrorKind::Link => Self::Link(message),
            ErrorKind::Snapshot => Self::Snapshot(message),
            ErrorKind::Io | ErrorKind::Resource => Self::Node(message),
        }
    }
}
