//! One line for each run: who ran what, and what came of it.

use serde::Serialize;

use crate::metrics::json;

/// What a run leaves for the books. Everything in it is determined by the job and its gas limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditRecord {
    /// BLAKE3 of the program.
    pub program: String,
    /// Hash of the job: the program, its modules, entry, arguments, inputs, schedule, features and limits.
    pub job: String,
    /// Gas charged, less what was given back.
    pub gas_used: u64,
    /// `finished`, `exited`, `trapped` or `gas-limit`.
    pub outcome: String,
    /// The exit code, or that of a trap or of the gas limit.
    pub exit_code: u32,
    /// Snapshots written.
    pub snapshots: u64,
}

impl AuditRecord {
    /// One line of JSON, without the line's end.
    ///
    /// ```
    /// use node_sdk::{Next, Vm};
    ///
    /// let wasm = wat::parse_str(r#"(module (func (export "f") unreachable))"#).unwrap();
    /// let mut run = Vm::builder().module(wasm).start(Some("f"), &[], 100)?;
    /// let Next::Finished(outcome) = run.next()? else { panic!("a short run") };
    /// let line = outcome.audit.to_json();
    /// assert!(line.ends_with(r#""gas_used":1,"outcome":"trapped","exit_code":134,"snapshots":0}"#), "{line}");
    /// # Ok::<(), node_sdk::Error>(())
    /// ```
    pub fn to_json(&self) -> String {
        json(self)
    }
}
