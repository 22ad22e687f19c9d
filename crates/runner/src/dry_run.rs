//! Running a job only for what it comes to: every file that the node makes is thrown away, but the receipt and the
//! values are kept in memory.

use std::time::Instant;

use serde_json::Value;

use crate::drive::GasSlice;
use crate::engine::{Event, ModuleSession};
use crate::external::{self, Responder};
use crate::failure::{Failure, INTERRUPTED, Result};
use crate::interrupt::Interrupt;
use crate::report;
use crate::sink::Sink;

/// What a run came to.
#[derive(Clone, Debug)]
pub struct DryRun {
    /// Gas that it took; a resumed one counts from where it started.
    pub gas: u64,
    /// Snapshots that it would have written.
    pub snapshots: u64,
    /// Exit code that it would have had.
    pub exit_code: i32,
    /// Contents of `result.txt`.
    pub result: String,
    /// The `result` object of `receipt.json`.
    pub receipt: Value,
}

impl DryRun {
    /// How it ended, in words.
    pub fn outcome(&self) -> String {
        let values = self.result.lines().nth(2).map(|values| format!(", returned {values}")).unwrap_or_default();
        let wrapped = serde_json::json!({ "result": self.receipt });
        match self.receipt["outcome"].as_str() {
            Some("exited") => format!("exited with code {}", self.exit_code),
            Some("trapped") => format!("trapped: {}", report::trap_text(&wrapped).unwrap_or_default()),
            Some("gas-limit") => "stopped at the gas limit".to_owned(),
            Some(other) => format!("{other}{values}"),
            None => "unknown".to_owned(),
        }
    }

    /// The same as members of a JSON object.
    pub fn object(&self) -> Value {
        let values: Vec<&str> = self.result.lines().nth(2).map(|line| line.split(' ').collect()).unwrap_or_default();
        serde_json::json!({
            "gas": self.gas,
            "snapshots": self.snapshots,
            "exit_code": self.exit_code,
            "results": values,
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
    let mut slice = GasSlice::first();
    loop {
        if stop.is_requested() {
            return Err(Failure::new(INTERRUPTED, "interrupted: nothing can be said of the whole run"));
        }
        let before = node.progress()?.gas_total;
        let began = Instant::now();
        let event = external::run(node, slice.budget(), responder)?;
        forward(node, &mut output)?;
        match event {
            Event::Finished => break,
            Event::Snapshot(_) => {
                snapshots = snapshots.saturating_add(1);
                while node.take_name()?.is_some() {
                    node.drop_file()?;
                }
            }
            Event::Paused => slice.adapt(began.elapsed(), node.progress()?.gas_total != before),
            Event::Output | Event::Question => {}
        }
    }
    let (mut result, mut receipt) = (String::new(), Value::Null);
    while let Some(name) = node.take_name()? {
        match name.as_str() {
            "result.txt" => result = String::from_utf8_lossy(&node.take_all()?).into_owned(),
            "receipt.json" => receipt = serde_json::from_slice(&node.take_all()?).unwrap_or_default(),
            _ => node.drop_file()?,
        }
    }
    forward(node, &mut output)?;
    let receipt = receipt.get_mut("result").map(Value::take).unwrap_or_default();
    let gas = node.progress()?.gas_total.saturating_sub(start);
    Ok(DryRun { gas, snapshots, exit_code: node.exit_code()?, result, receipt })
}

fn forward(node: &mut dyn ModuleSession, output: &mut Option<&mut dyn Sink>) -> Result<()> {
    match output {
        Some(sink) => [1, 2].into_iter().try_for_each(|fd| sink.output(fd, &node.take_output(fd)?)),
        None => node.drop_output(),
    }
}
