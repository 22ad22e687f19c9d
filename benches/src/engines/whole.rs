//! Engines of which only whole runs can be timed, start and end included. A run that does next to nothing is timed beside
//! each run that counts, and the least of them is taken off.

use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;

use super::{Loaded, PROGRAM, Run};
use crate::program::{Program, Task};

/// The name of a command that does nothing, beside the program.
pub const NOTHING: &str = "nothing.wasm";
/// An n with which programs do next to nothing.
const LITTLE: i32 = 1;

/// Such an engine.
pub trait Whole {
    /// Runs `program`, a file in `folder`, from the start of the engine to its end.
    fn run(&self, folder: &TempDir, program: &str, task: &Task) -> Result<Run>;
}

/// A program in such an engine.
pub struct Net<W> {
    engine: W,
    folder: TempDir,
    task: Task,
    start: Option<Duration>,
}

impl<W: Whole> Net<W> {
    /// `program`, to be run by `engine`.
    pub fn new(engine: W, program: &Program) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join(PROGRAM), &program.wasm)?;
        let nothing = wat::parse_str(r#"(module (memory (export "memory") 1) (func (export "_start")))"#)?;
        std::fs::write(folder.path().join(NOTHING), nothing)?;
        Ok(Self { engine, folder, task: program.task.clone(), start: None })
    }

    /// Time of a run that does next to nothing.
    fn start(&self) -> Result<Duration> {
        let run = match &self.task {
            Task::Call { .. } => self.engine.run(&self.folder, PROGRAM, &Task::Call { n: LITTLE }),
            task => self.engine.run(&self.folder, NOTHING, task),
        };
        run.map(|run| run.time).context("a run with next to no work")
    }
}

impl<W: Whole> Loaded for Net<W> {
    fn run(&mut self) -> Result<Run> {
        let start = self.start()?;
        let least = self.start.map_or(start, |least| least.min(start));
        self.start = Some(least);
        let run = self.engine.run(&self.folder, PROGRAM, &self.task)?;
        Ok(Run { time: run.time.saturating_sub(least), ..run })
    }
}
