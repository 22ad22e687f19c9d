//! Engines that are libraries: a compiled program makes instances, and an instance does a task.

use std::time::Instant;

use anyhow::Result;
use peers_shim::{Instance, Number};

use super::{Loaded, Run};
use crate::program::{Answer, SetupRun, Task};

type Instantiate = Box<dyn Fn() -> Result<Box<dyn Instance>>>;

/// A program in such an engine.
pub struct Library {
    instantiate: Instantiate,
    instance: Option<Box<dyn Instance>>,
    task: Task,
}

impl Library {
    /// A program of which `instantiate` makes instances.
    pub fn program(task: &Task, instantiate: impl Fn() -> Result<Box<dyn Instance>> + 'static) -> Box<dyn Loaded> {
        Box::new(Self { instantiate: Box::new(instantiate), instance: None, task: task.clone() })
    }
}

impl Loaded for Library {
    fn run(&mut self) -> Result<Run> {
        let mut instance = match self.instance.take() {
            Some(instance) => instance,
            None => (self.instantiate)()?,
        };
        let run = perform(&self.task, &mut *instance)?;
        // What has been called leaves the instance as it was.
        if matches!(self.task, Task::Call { .. }) {
            self.instance = Some(instance);
        }
        Ok(run)
    }
}

fn perform(task: &Task, instance: &mut dyn Instance) -> Result<Run> {
    let (export, argument) = match task {
        Task::Call { n } => ("run", Some(Number::I32(*n))),
        Task::SetupRun(SetupRun { argument, .. }) => ("run", Some(data(instance, *argument)?)),
        Task::Command { .. } => ("_start", None),
    };
    let start = Instant::now();
    let value = instance.call(export, argument)?;
    let time = start.elapsed();
    let answer = match task {
        Task::Call { .. } => Answer::Value(value),
        Task::SetupRun(SetupRun { output: true, .. }) => Answer::Value(instance.call("output", argument)?),
        Task::SetupRun(_) => Answer::Value(instance.memory_fold()?),
        Task::Command { .. } => task.answer(instance.output()?),
    };
    Ok(Run { time, answer })
}

/// Address of what `setup` has prepared.
fn data(instance: &mut dyn Instance, argument: Option<Number>) -> Result<Number> {
    Ok(Number::I32(instance.call("setup", argument)? as i32))
}
