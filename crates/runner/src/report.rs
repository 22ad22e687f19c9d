//! What the runner says about a run in machine-readable form: the `runner` object of the receipt and the final object of
//! `--json`. Nothing here is deterministic; the node's own `result` object is, and is passed on untouched.

use serde_json::{Value, json};

use crate::drive::{Snapshot, Summary};
use crate::receipt::Runner;
use crate::sink;

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

/// A figure for people, without digits that mean nothing.
fn whole(rate: f64) -> u64 {
    rate as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Engine;

    const RUNNER: Runner = Runner { engine: Engine::Wasm };

    #[test]
    fn the_final_object_repeats_the_lines_of_the_result() {
        let summary = Summary { result: "0\n10\n32835000 7\n".into(), gas_used: 5, ..Summary::default() };
        let object = run_object(&summary, "out", &RUNNER);
        assert_eq!(object["status"], 0);
        assert_eq!(object["snapshot_id"], 10);
        assert_eq!(object["results"], json!(["32835000", "7"]));
    }
}
