//! Programs: what each is started with, and what it must come to.

use std::fmt;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use peers_shim::Number;
use peers_shim::wasi::Output;
use serde::Deserialize;
use sha2::{Digest, Sha256};

/// A program to be measured.
pub struct Program {
    pub name: String,
    pub wasm: Vec<u8>,
    pub task: Task,
    /// What it must come to; without, the engines have to agree.
    pub answer: Option<Answer>,
}

/// How a program is started.
#[derive(Clone, Debug)]
pub enum Task {
    /// Its export `run` is called, and returns a number that depends on all the work.
    Call { n: i32 },
    /// Its export `setup` prepares data, `run` works on it: the form of wasmi's benchmark programs.
    SetupRun(SetupRun),
    /// It is a WASI command.
    Command {
        /// Its arguments, its name first.
        args: Vec<String>,
        /// Whether its output depends on its input alone, so that all engines must agree on it.
        checked: bool,
    },
}

/// What a program with `setup` and `run` needs.
#[derive(Clone, Debug)]
pub struct SetupRun {
    /// Argument of `setup`.
    pub argument: Option<Number>,
    /// Whether it exports `output`, which makes a number of what `run` has done; else its memory is folded.
    pub output: bool,
    /// A module for engines that call one export with numbers from outside: see [`crate::wrapper`].
    pub wrapper: Vec<u8>,
}

impl Task {
    /// Arguments of a command.
    pub fn args(&self) -> &[String] {
        match self {
            Self::Command { args, .. } => args,
            _ => &[],
        }
    }

    /// What a command's output counts for.
    pub fn answer(&self, output: Output) -> Answer {
        let checked = matches!(self, Self::Command { checked: true, .. });
        Answer::Output(Output { hash: if checked { output.hash } else { 0 }, ..output })
    }
}

/// What a run came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The returned value, or the fold of the memory.
    Value(u64),
    /// Of a command.
    Output(Output),
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(value) => write!(f, "{value}"),
            Self::Output(Output { hash, exit_code }) => write!(f, "output {hash:016x}, exit code {exit_code}"),
        }
    }
}

/// Where a folder lists our own programs.
pub const LIST: &str = "bench.toml";

/// The contents of that file.
#[derive(Deserialize)]
struct List {
    program: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    file: String,
    sha256: String,
    quick: Work,
    full: Work,
}

/// An amount of work and what it comes to.
#[derive(Deserialize)]
struct Work {
    n: i32,
    /// Decimal: a u64 does not fit TOML's integers.
    result: String,
}

/// The programs that [`LIST`] in `folder` names, with little work if `quick`.
///
/// # Errors
/// If the list or a file cannot be read, or a file is another one than the list says.
pub fn listed(folder: &Path, quick: bool) -> Result<Vec<Program>> {
    let path = folder.join(LIST);
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let list: List = toml::from_str(&text).with_context(|| path.display().to_string())?;
    list.program.into_iter().map(|entry| entry.read(folder, quick)).collect()
}

impl Entry {
    fn read(self, folder: &Path, quick: bool) -> Result<Program> {
        let path = folder.join(&self.file);
        let wasm = fs::read(&path).with_context(|| path.display().to_string())?;
        let hash: String = Sha256::digest(&wasm).iter().map(|byte| format!("{byte:02x}")).collect();
        ensure!(hash == self.sha256, "{}: sha256 is {hash}, {LIST} says {}", path.display(), self.sha256);
        let Work { n, result } = if quick { self.quick } else { self.full };
        let result = result.parse().with_context(|| format!("{}: result {result:?}", self.file))?;
        let name = self.file.trim_end_matches(".wasm").to_owned();
        Ok(Program { name, wasm, task: Task::Call { n }, answer: Some(Answer::Value(result)) })
    }
}
