//! What the runner adds to the receipt of a run. Nothing of it is deterministic; the `result` object is passed on untouched.

use std::time::Duration;

use serde_json::{Value, json};

use crate::claimed_job;
use crate::node::embedded_module;
use crate::node::engine::Engine;

/// What a receipt says about the runner.
#[derive(Clone, Copy, Debug)]
pub struct Runner {
    /// How the node ran.
    pub engine: Engine,
    /// Whether the gas is refilled after a snapshot; none where nobody knows.
    pub refill: Option<bool>,
}

impl Runner {
    /// Its object.
    pub(crate) fn object(self) -> Value {
        let mut object = json!({
            "name": "stepmark",
            "version": embedded_module::VERSION,
            "engine": self.engine.to_string(),
            "tier": self.engine.tier().to_string(),
            "wasmtime": embedded_module::WASMTIME_VERSION,
            "node_blake3": embedded_module::node_hash(),
        });
        if let Some(refill) = self.refill {
            object["refill"] = refill.into();
        }
        object
    }
}

/// The parts of a receipt that are the same wherever the job runs.
pub(crate) const DETERMINISTIC: [&str; 2] = ["result", "run"];

/// All parts that a receipt has: the module's, what the runner says of itself, and the two that explain the others, the job and
/// the output itself.
pub(crate) const KNOWN: [&str; 6] = ["result", "run", "node", "runner", claimed_job::JOB, OUTPUT];
/// The bytes of standard output and standard error.
pub(crate) const OUTPUT: &str = "output";

/// The members in which two objects differ, and what each has, as JSON; all of one that is no object.
pub(crate) fn differing(left: &Value, right: &Value) -> Vec<(String, String, String)> {
    let none = serde_json::Map::new();
    let [a, b] = [left, right].map(|value| value.as_object().unwrap_or(&none));
    let names = a.keys().chain(b.keys().filter(|name| !a.contains_key(*name)));
    let show = |value: Option<&Value>| value.map_or_else(|| "nothing".to_owned(), Value::to_string);
    let differing = names.filter(|name| a.get(*name) != b.get(*name));
    differing.map(|name| (name.clone(), show(a.get(name)), show(b.get(name)))).collect()
}

/// What a receipt says of its job, whose snapshots say `known`: of a member that receipts have not always had, and of a job that it
/// does not say at all, it says what the snapshots say.
pub(crate) fn said_job(receipt: &Value, known: &Value) -> Value {
    let Some(said) = receipt.get(claimed_job::JOB) else { return known.clone() };
    let mut said = said.clone();
    if let Some(members) = said.as_object_mut() {
        let later = claimed_job::LATER.into_iter().filter_map(|name| Some((name, known.get(name)?)));
        for (name, value) in later {
            members.entry(name).or_insert_with(|| value.clone());
        }
    }
    said
}

/// The receipt `text` of the node with a `runner` object added, as by `with_member`; `folders` are those in which the job's files lay.
pub fn with_runner(text: &str, runner: &Runner, folders: &[String], time: Duration) -> String {
    let mut object = runner.object();
    object["wall_time_ms"] = milliseconds(time).into();
    if !folders.is_empty() {
        object["folders"] = folders.into();
    }
    with_member(text, "runner", &object)
}

/// The receipt `text` with a member added. The text before it stays as it is, byte for byte; a text that does not end as a JSON
/// object with members does is returned unchanged.
pub(crate) fn with_member(text: &str, name: &str, value: &Value) -> String {
    match text.trim_end().strip_suffix('}').map(str::trim_end) {
        Some(body) if !body.is_empty() && !body.ends_with(['{', ',']) => {
            let object = serde_json::to_string_pretty(value).unwrap_or_default().replace('\n', "\n  ");
            format!("{body},\n  \"{name}\": {object}\n}}\n")
        }
        _ => text.to_owned(),
    }
}

pub(crate) fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::engine::TierChoice;

    const RUNNER: Runner = Runner { engine: Engine::Wasm(TierChoice::Register), refill: None };

    #[test]
    fn the_node_part_of_a_receipt_stays_byte_for_byte() {
        let text = "{\n  \"result\": {\"gas\": 18446744073709551615, \"x\": 1.50}\n}\n";
        let long = with_runner(text, &RUNNER, &["../bin".to_owned()], Duration::from_millis(12));
        assert!(long.starts_with("{\n  \"result\": {\"gas\": 18446744073709551615, \"x\": 1.50},\n  \"runner\": {"));
        let value: Value = serde_json::from_str(&long).expect("valid JSON");
        assert_eq!(value["runner"]["engine"], "wasm");
        assert_eq!(value["runner"]["wall_time_ms"], 12);
        assert_eq!(value["runner"]["folders"], json!(["../bin"]));
    }

    #[test]
    fn a_job_that_does_not_say_what_older_receipts_did_not_is_the_same() {
        let known = json!({ "seed": 1, "preopens": ["/"] });
        for (receipt, said) in [
            (json!({}), known.clone()),
            (json!({ "job": { "seed": 1 } }), known.clone()),
            (json!({ "job": { "seed": 2 } }), json!({ "seed": 2, "preopens": ["/"] })),
            (json!({ "job": { "seed": 1, "preopens": [] } }), json!({ "seed": 1, "preopens": [] })),
            (json!({ "job": { "preopens": ["/"] } }), json!({ "preopens": ["/"] })),
        ] {
            assert_eq!(said_job(&receipt, &known), said);
        }
    }

    #[test]
    fn a_text_that_is_no_object_is_left_alone() {
        for text in ["", "[]", "{}", "null"] {
            assert_eq!(with_runner(text, &RUNNER, &[], Duration::ZERO), text);
        }
    }
}
