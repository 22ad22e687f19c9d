//! The node, however it runs: one job a round, driven by the calls of its session. Its time is that of the run, which
//! contains what the node does at the first call of each function (translation) and at the end (result, receipt).

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use peers_shim::wasi::Output;

use super::reactor::Reactor;
use super::{Load, Loaded, Run};
use crate::program::{Answer, Program, SetupRun, Task};

/// The program's name in the node's arguments, and that of the module that drives it.
pub const PROGRAM: &str = "program.wasm";
const WRAPPER: &str = "wrapper.wasm";
/// Exit code of the node when the program traps.
const TRAPPED: i32 = 134;

/// A node: what a measurement needs of docs/guest-abi.md.
pub trait Node {
    /// Starts a job from its arguments.
    fn load(&mut self, argv: &[String]) -> Result<()>;
    /// The next file that the job needs.
    fn want(&mut self) -> Result<Option<String>>;
    /// Gives that file.
    fn give(&mut self, bytes: &[u8]) -> Result<()>;
    /// Runs the job to its end.
    fn run(&mut self) -> Result<Duration>;
    /// What the program has written to standard output.
    fn take_stdout(&mut self) -> Result<Vec<u8>>;
    /// Exit code of the job.
    fn exit_code(&mut self) -> Result<i32>;
    /// The text of `result.txt`.
    fn take_result(&mut self) -> Result<String>;
}

/// A program in a node.
pub struct Job<N> {
    node: N,
    files: Vec<(&'static str, Vec<u8>)>,
    task: Task,
}

impl<N: Node> Job<N> {
    /// `program`, to be run by `node`.
    pub fn new(node: N, program: &Program) -> Self {
        Self { node, files: files(program), task: program.task.clone() }
    }

    /// Loads a job and runs it.
    fn time(&mut self, argv: &[&str]) -> Result<Duration> {
        let argv: Vec<String> = argv.iter().map(|&word| word.to_owned()).collect();
        self.node.load(&argv)?;
        while let Some(path) = self.node.want()? {
            let file = self.files.iter().find(|(name, _)| *name == path);
            self.node.give(&file.with_context(|| format!("the node wants {path}"))?.1)?;
        }
        let time = self.node.run()?;
        ensure!(self.node.exit_code()? != TRAPPED, "it trapped");
        Ok(time)
    }

    fn value(&mut self) -> Result<Answer> {
        Ok(Answer::Value(value(&self.node.take_result()?)?))
    }
}

/// The files of a program's jobs.
pub fn files(program: &Program) -> Vec<(&'static str, Vec<u8>)> {
    let mut files = vec![(PROGRAM, program.wasm.clone())];
    if let Task::SetupRun(SetupRun { wrapper, .. }) = &program.task {
        files.push((WRAPPER, wrapper.clone()));
    }
    files
}

impl<N: Node> Loaded for Job<N> {
    fn run(&mut self) -> Result<Run> {
        match self.task.clone() {
            Task::Call { n } => {
                let time = self.time(&[PROGRAM, "run", &n.to_string()])?;
                Ok(Run { time, answer: self.value()? })
            }
            Task::SetupRun(_) => {
                // A job begins with an empty memory, so the preparation is timed apart and taken off.
                let preload = format!("program={PROGRAM}");
                let setup = self.time(&["--preload", &preload, WRAPPER, "setup"])?;
                let whole = self.time(&["--preload", &preload, WRAPPER, "run"])?;
                Ok(Run { time: whole.saturating_sub(setup), answer: self.value()? })
            }
            Task::Command { args, .. } => {
                let argv: Vec<&str> = args.iter().map(String::as_str).collect();
                let time = self.time(&argv)?;
                let output = Output::new(self.node.exit_code()?, &self.node.take_stdout()?);
                Ok(Run { time, answer: self.task.answer(output) })
            }
        }
    }
}

/// The value in a `result.txt`: status, snapshots, values.
fn value(result: &str) -> Result<u64> {
    let lines: Vec<&str> = result.lines().collect();
    ensure!(lines.first() == Some(&"0"), "the program ended with status {:?}", lines.first());
    lines.get(2).context("no value")?.parse().context("the value is no number")
}

/// The node in the file `path`, in wasmtime as the host runner configures it.
pub fn in_wasmtime(path: &Path) -> Result<Load> {
    let module = Reactor::compile(path).with_context(|| path.display().to_string())?;
    Ok(Box::new(move |program| Ok(Box::new(Job::new(Reactor::new(&module)?, program)))))
}
