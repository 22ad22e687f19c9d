//! What the runner says about a run in machine-readable form: the `runner` object of the receipt and the final object of
//! `--json`. Nothing here is deterministic; the node's own `result` object is, and is passed on untouched.

use std::time::Duration;

use serde_json::{Value, json};

use crate::drive::{Snapshot, Summary};
use crate::engine::Engine;
use crate::image;
use crate::sink;

/// What a receipt says about the runner.
#[derive(Clone, Copy, Debug)]
pub struct Runner {
    /// How the node ran.
    pub engine: Engine,
}

impl Runner {
    /// The object, with the time that the run took.
    fn object(self, time: Duration) -> Value {
        json!({
            "name": "stepmark",
            "version": image::VERSION,
            "engine": self.engine.to_string(),
            "wasmtime": image::WASMTIME_VERSION,
            "node_blake3": image::node_hash(),
            "wall_time_ms": milliseconds(time),
        })
    }
}

/// The receipt `text` of the node with a `runner` object added. The text before it stays as it is, byte for byte; a text
/// that does not end as a JSON object with members does is returned unchanged.
pub fn with_runner(text: &str, runner: &Runner, time: Duration) -> String {
    match text.trim_end().strip_suffix('}').map(str::trim_end) {
        Some(body) if !body.is_empty() && !body.ends_with(['{', ',']) => {
            let object = serde_json::to_string_pretty(&runner.object(time)).unwrap_or_default().replace('\n', "\n  ");
            format!("{body},\n  \"runner\": {object}\n}}\n")
        }
        _ => text.to_owned(),
    }
}

/// The final object of `--json` for a run.
pub fn run_object(summary: &Summary, output_dir: &str, runner: &Runner) -> Value {
    let mut lines = summary.result.lines();
    let status: Option<i64> = lines.next().and_then(|line| line.parse().ok());
    let highest: Option<u64> = lines.next().and_then(|line| line.parse().ok());
    let results: Vec<&str> = lines.next().map(|line| line.split(' ').collect()).unwrap_or_default();
    json!({
        "status": status,
        "exit_code": summary.exit_code,
        "results": results,
        "snapshot_id": highest,
        "snapshots": summary.snapshots.iter().map(snapshot_object).collect::<Vec<_>>(),
        "gas_used": summary.gas_used,
        "gas_total": summary.gas_total,
        "gas_limit": summary.gas_limit,
        "gas_stepped": summary.gas_stepped,
        "gas_per_second": whole(sink::rate(summary.gas_used, summary.time)),
        "total_execution_time_ns": u64::try_from(summary.time.as_nanos()).unwrap_or(u64::MAX),
        "interrupted": summary.interrupted(),
        "output_dir": output_dir,
        "result": summary.receipt.as_ref().and_then(|receipt| receipt.get("result")),
        "runner": runner.object(summary.time),
    })
}

fn snapshot_object(snapshot: &Snapshot) -> Value {
    let Snapshot { id, gas, snap_bytes, bin_bytes } = snapshot;
    json!({ "id": id, "gas": gas, "snap_bytes": snap_bytes, "bin_bytes": bin_bytes })
}

/// The trap that a receipt reports, in the specification's words.
pub fn trap_text(receipt: &Value) -> Option<String> {
    receipt.get("result")?.get("trap")?.get("message")?.as_str().map(str::to_owned)
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// A figure for people, without digits that mean nothing.
fn whole(rate: f64) -> u64 {
    rate as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUNNER: Runner = Runner { engine: Engine::Wasm };

    #[test]
    fn the_node_part_of_a_receipt_stays_byte_for_byte() {
        let text = "{\n  \"result\": {\"gas\": 18446744073709551615, \"x\": 1.50}\n}\n";
        let long = with_runner(text, &RUNNER, Duration::from_millis(12));
        assert!(long.starts_with("{\n  \"result\": {\"gas\": 18446744073709551615, \"x\": 1.50},\n  \"runner\": {"));
        let value: Value = serde_json::from_str(&long).expect("valid JSON");
        assert_eq!(value["runner"]["engine"], "wasm");
        assert_eq!(value["runner"]["wall_time_ms"], 12);
    }

    #[test]
    fn a_text_that_is_no_object_is_left_alone() {
        for text in ["", "[]", "{}", "null"] {
            assert_eq!(with_runner(text, &RUNNER, Duration::ZERO), text);
        }
    }

    #[test]
    fn the_final_object_repeats_the_lines_of_the_result() {
        let summary = Summary { result: "0\n10\n32835000 7\n".into(), gas_used: 5, ..Summary::default() };
        let object = run_object(&summary, "out", &RUNNER);
        assert_eq!(object["status"], 0);
        assert_eq!(object["snapshot_id"], 10);
        assert_eq!(object["results"], json!(["32835000", "7"]));
    }
}
