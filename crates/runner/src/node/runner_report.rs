//! What the runner says about a run in machine-readable form: the `runner` object of the receipt and the final object of
//! `--json`. Nothing here is deterministic; the node's own `result` object is, and is passed on untouched.

use std::time::Duration;

use serde_json::{Value, json};

use crate::node::drive::{Snapshot, Summary};
use crate::node::receipt::Runner;
use crate::node::sink;

/// What the object of `--json` says of a run.
pub fn run_object(summary: &Summary, output_dir: Option<&str>, runner: Runner) -> Value {
    let result = summary.result.as_ref();
    json!({
        "output_dir": output_dir,
        "interrupted": summary.interrupted(),
        "last_snapshot": result.map(|result| result.last_snapshot),
        "snapshots": summary.snapshots.iter().map(snapshot_object).collect::<Vec<_>>(),
        "gas_used": summary.gas_used,
        "gas_total": summary.gas_total,
        "gas_limit": summary.gas_limit,
        "gas_stepped": summary.gas_stepped,
        "gas_per_second": whole(sink::rate(summary.gas_used, summary.time)),
        "time_ns": nanoseconds(summary.time),
        "result": summary.receipt.as_ref().and_then(|receipt| receipt.get("result")),
        "runner": runner.object(),
    })
}

fn snapshot_object(snapshot: &Snapshot) -> Value {
    let Snapshot { id, gas, snap_bytes, bin_bytes } = snapshot;
    json!({ "id": id, "gas": gas, "snap_bytes": snap_bytes, "bin_bytes": bin_bytes })
}

/// A time, as every object has it.
pub fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// A figure for people, without digits that mean nothing.
fn whole(rate: f64) -> u64 {
    rate as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::engine::{Engine, TierChoice};
    use stepmark_session::report::{RunOutcome, RunResult};

    #[test]
    fn the_object_of_a_run_says_what_came_of_it_once() {
        let receipt = json!({ "result": { "outcome": "finished", "exit_code": 0 }, "run": { "last_snapshot": 10 } });
        let result = RunResult { outcome: RunOutcome::Finished, values: Vec::new(), gas_used: 5, last_snapshot: 10 };
        let summary = Summary { result: Some(result), receipt: Some(receipt), gas_used: 5, ..Summary::default() };
        let object =
            run_object(&summary, Some("out"), Runner { engine: Engine::Wasm(TierChoice::Register), refill: None });
        assert_eq!(object["result"], json!({ "outcome": "finished", "exit_code": 0 }));
        assert_eq!((&object["last_snapshot"], &object["runner"]["engine"]), (&10.into(), &"wasm".into()));
        for once in ["status", "exit_code", "values"] {
            assert_eq!(object.get(once), None, "the command's object and the result say {once}");
        }
    }
}
