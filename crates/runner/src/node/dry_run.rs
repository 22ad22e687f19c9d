//! Running a job only for what it comes to: every file that the node makes is thrown away, but the receipt and the
//! values are kept in memory.

use serde_json::Value;
use stepmark_session::output_file::OutputFile;
use stepmark_session::report::{RunOutcome, RunResult};

use crate::failure::{Failure, INTERRUPTED, IO, Result};
use crate::interrupt::Interrupt;
use crate::node::driver::{self, Driver, Reached};
use crate::node::engine::ModuleSession;
use crate::node::external::Responder;
use crate::node::sink::Sink;

/// What a run came to.
#[derive(Clone, Debug)]
pub struct DryRun {
    /// Gas that it took; a resumed one counts from where it started.
    pub gas: u64,
    /// Snapshots that it would have written.
    pub snapshots: u64,
    /// Exit code that it would have had.
    pub exit_code: i32,
    /// What it came to.
    pub result: RunResult,
    /// The `result` object of `receipt.json`.
    pub receipt: Value,
}

impl DryRun {
    /// How it ended, in words.
    pub fn outcome(&self) -> String {
        match &self.result.outcome {
            RunOutcome::Finished if self.result.values.is_empty() => "finished".to_owned(),
            RunOutcome::Finished => format!("finished, returned {}", self.result.printed_values().join(" ")),
            RunOutcome::Exited(_) => format!("exited with code {}", self.exit_code),
            RunOutcome::Trapped(report) => format!("trapped: {}", report.trap.message()),
            RunOutcome::GasLimit => "stopped at the gas limit".to_owned(),
        }
    }

    /// What the run came to, as members of a JSON object.
    pub fn object(&self) -> Value {
        serde_json::json!({
            "gas": self.gas,
            "snapshots": self.snapshots,
            "result": self.receipt,
        })
    }
}

/// Runs a loaded job to its end or to its gas limit; what the program writes goes to `output`, if anywhere.
///
/// # Errors
/// The node's; exit code 130 when the user stops it.
pub fn run(
    node: &mut dyn ModuleSession,
    responder: &mut dyn Responder,
    mut output: Option<&mut dyn Sink>,
    stop: &Interrupt,
) -> Result<DryRun> {
    let start = node.progress()?.gas_total;
    let mut snapshots = 0u64;
    let mut driver = Driver::new(node, responder, stop);
    loop {
        match driver.run_until(u64::MAX, &mut |node| forward(node, &mut output))? {
            Reached::End => break,
            Reached::Snapshot(_) => {
                snapshots = snapshots.saturating_add(1);
                driver::drop_files(driver.node)?;
            }
            Reached::Gas | Reached::Interrupted => {
                return Err(Failure::new(INTERRUPTED, "interrupted: nothing can be said of the whole run"));
            }
        }
    }
    let mut files = driver::take_files(node)?;
    forward(node, &mut output)?;
    let receipt = files.remove(&OutputFile::Receipt).unwrap_or_default();
    let mut receipt: Value = serde_json::from_slice(&receipt).unwrap_or_default();
    let receipt = receipt.get_mut("result").map(Value::take).unwrap_or_default();
    let gas = node.progress()?.gas_total.saturating_sub(start);
    let result = node.result()?.ok_or_else(|| Failure::new(IO, "the run has ended and come to nothing"))?;
    Ok(DryRun { gas, snapshots, exit_code: node.exit_code()?, result, receipt })
}

fn forward(node: &mut dyn ModuleSession, output: &mut Option<&mut dyn Sink>) -> Result<()> {
    match output {
        Some(sink) => [1, 2].into_iter().try_for_each(|fd| sink.output(fd, &node.take_output(fd)?)),
        None => node.drop_output(),
    }
}
