//! Engines that are libraries: a compiled program makes instances, and an instance does a task.

use std::time::Instant;

use anyhow::Result;
use peers_shim::Instance;

use super::{Loaded, Run};
use crate::program::{Answer, Task};

type Instantiate = Box<dyn Fn() -> Result<Box<dyn Instance>>>;

/// A program in such an engine.
pub struct Library {
    instantiate: Instantiate,
    instance: Option<Box<dyn Instance>>,
    task: Task,
}

impl Library {
    /// A program of which `instantiate` makes instances.
    pub fn new(task: &Task, instantiate: impl Fn() -> Result<Box<dyn Instance>> + 'static) -> Box<dyn Loaded> {
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
    match task {
        Task::Call { n } => {
            let start = Instant::now();
            let value = instance.call("run", Some(*n))?;
            Ok(Run { time: start.elapsed(), answer: Answer::Value(value) })
        }
    }
}
