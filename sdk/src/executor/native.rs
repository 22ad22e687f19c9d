//! The node's own library, in this process.

use crate::error::Error;
use crate::executor::{Capabilities, Ended, Execution, Executor, ExecutorJob, check, no_job};
use crate::metrics::Metrics;
use crate::run::{End, Next, Outcome, Run};

/// The native executor: everything that the node can do.
#[derive(Default)]
pub struct NativeExecutor {
    run: Option<Run>,
    metrics: Metrics,
}

impl NativeExecutor {
    /// An executor without a job.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Executor for NativeExecutor {
    fn name(&self) -> &'static str {
        "native"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { metering: true, snapshots: true, host_functions: true }
    }

    fn initialise(&mut self, job: &ExecutorJob) -> Result<(), Error> {
        check(self.name(), self.capabilities(), job)?;
        let limit = job.gas_limit.unwrap_or(u64::MAX);
        self.run = Some(job.program.start(job.entry.as_deref(), &job.args, limit)?);
        Ok(())
    }

    fn execute(&mut self) -> Result<Execution, Error> {
        let mut run = self.run.take().ok_or_else(|| no_job("native"))?;
        let mut segments = Vec::new();
        let outcome = loop {
            match run.next()? {
                Next::Segment(segment) => segments.push(segment),
                Next::Finished(outcome) => break outcome,
                Next::Paused => {}
            }
        };
        self.metrics = run.metrics().clone();
        let values = outcome.values.iter().map(ToString::to_string).collect();
        Ok(Execution {
            ended: ended(&outcome)?,
            values,
            stdout: run.take_stdout(),
            stderr: run.take_stderr(),
            segments,
        })
    }

    fn metrics(&self) -> Metrics {
        self.metrics.clone()
    }

    fn shut_down(&mut self) -> Result<(), Error> {
        self.run = None;
        Ok(())
    }
}

fn ended(outcome: &Outcome) -> Result<Ended, Error> {
    match &outcome.end {
        End::Returned | End::Exited(0) => Ok(Ended::Returned),
        End::Exited(code) => Ok(Ended::Exited(code.cast_signed())),
        End::Trapped(report) => Ok(Ended::Trapped(report.trap)),
        End::GasLimit => Err(Error::Gas { left: 0 }),
    }
}
