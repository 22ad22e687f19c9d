//! What the runner says about a run in machine-readable form: the `runner` object of the receipt and the final object of
//! `--json`. Nothing here is deterministic; the node's own `result` object is, and is passed on untouched.

use serde_json::{Value, json};
use stepmark_session::report::RunResult;

use crate::node::drive::{Snapshot, Summary};
use crate::node::receipt::Runner;
use crate::node::sink;

/// The final object of `--json` for a run.
pub fn run_object(summary: &Summary, output_dir: Option<&str>, runner: &Runner) -> Value {
    let result = summary.result.as_ref();
    json!({
        "status": result.map(|result| result.outcome.status()),
        "exit_code": summary.exit_code,
        "results": result.map(RunResult::printed_values).unwrap_or_default(),
        "snapshot_id": result.map(|result| result.last_snapshot),
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

/// A figure for people, without digits that mean nothing.
fn whole(rate: f64) -> u64 {
    rate as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::engine::Engine;
    use stepmark_session::report::{ReturnedValue, RunOutcome};
    use stepmark_session::values::ValKind;

    const RUNNER: Runner = Runner { engine: Engine::Wasm, refill: None };

    #[test]
    fn the_final_object_repeats_the_lines_of_the_result() {
        let value = |bits| ReturnedValue { kind: ValKind::I32, bits };
        let values = vec![value(32_835_000), value(7)];
        let result = RunResult { outcome: RunOutcome::Finished, values, gas_used: 5, last_snapshot: 10 };
        let summary = Summary { result: Some(result), gas_used: 5, ..Summary::default() };
        let object = run_object(&summary, Some("out"), &RUNNER);
        assert_eq!(object["status"], 0);
        assert_eq!(object["snapshot_id"], 10);
        assert_eq!(object["results"], json!(["32835000", "7"]));
    }
}
