//! The node, however it runs: one job a round, driven by the calls of its session. Its time is that of the run, which
//! contains what the node does at the first call of each function (translation) and at the end (result, receipt).

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::reactor::Reactor;
use super::{Load, Loaded, Run};
use crate::program::{Answer, Program, Task};

/// The program's name in the node's arguments.
const PROGRAM: &str = "program.wasm";

/// A node: the calls of docs/guest-abi.md that a measurement needs.
pub trait Node {
    /// Starts a job from its arguments.
    fn load(&mut self, argv: &[String]) -> Result<()>;
    /// The next file that the job needs.
    fn want(&mut self) -> Result<Option<String>>;
    /// Gives that file.
    fn give(&mut self, bytes: &[u8]) -> Result<()>;
    /// Runs on; true when the job has finished.
    fn run(&mut self) -> Result<bool>;
    /// The first of the files that are ready.
    fn take_file(&mut self) -> Result<Vec<u8>>;
}

/// A program in a node.
pub struct Job<N> {
    node: N,
    wasm: Vec<u8>,
    task: Task,
}

impl<N: Node> Job<N> {
    /// `program`, to be run by `node`.
    pub fn new(node: N, program: &Program) -> Self {
        Self { node, wasm: program.wasm.clone(), task: program.task.clone() }
    }

    fn argv(&self) -> Vec<String> {
        match &self.task {
            Task::Call { n } => vec![PROGRAM.to_owned(), "run".to_owned(), n.to_string()],
        }
    }

    fn prepare(&mut self) -> Result<()> {
        let argv = self.argv();
        self.node.load(&argv)?;
        while let Some(path) = self.node.want()? {
            ensure!(path == PROGRAM, "the node wants {path}");
            self.node.give(&self.wasm)?;
        }
        Ok(())
    }

    fn run_to_the_end(&mut self) -> Result<Duration> {
        let start = Instant::now();
        while !self.node.run()? {}
        Ok(start.elapsed())
    }
}

impl<N: Node> Loaded for Job<N> {
    fn run(&mut self) -> Result<Run> {
        self.prepare()?;
        let time = self.run_to_the_end()?;
        let result = String::from_utf8(self.node.take_file()?)?;
        Ok(Run { time, answer: Answer::Value(value(&result)?) })
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
