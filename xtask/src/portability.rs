//! `cargo xtask portability`: the same jobs in every runtime that is here, and a table of what came out. The node's files
//! are the same in all of them, or the command fails; a runtime that is not here is named as skipped.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use host_runner::image::{self, NODE_WASM};
use node_tests::node_js;
use node_tests::places::{JOBS, Place};
use node_tests::runner::Ended;
use serde_json::json;

/// Digits of a hash in the table.
const SHOWN: usize = 16;
/// Runtimes that this command does not drive yet, by the name of their program.
const NOT_DRIVEN: [&str; 7] = ["wasmtime", "wasmer", "wasmedge", "wazero", "iwasm", "deno", "bun"];

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only jobs whose name contains this
    #[arg(long)]
    job: Option<String>,
    /// Write the table to this file
    #[arg(long)]
    json: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Result<bool> {
    let dir = tempfile::tempdir()?;
    let wasm = dir.path().join("guest-interp.wasm");
    std::fs::write(&wasm, NODE_WASM)?;
    let (places, skipped) = places();
    let wanted = |name: &str| args.job.as_ref().is_none_or(|part| name.contains(part.as_str()));
    let jobs: Vec<_> = JOBS.iter().filter(|job| wanted(job.name)).collect();
    ensure!(!jobs.is_empty(), "no such job");

    println!("{:<32}{:<26}{:<10}hash of all files and output", "job", "runtime", "snapshots");
    let (mut same, mut different, mut rows) = (0, 0, Vec::new());
    for job in &jobs {
        let mut first: Option<Ended> = None;
        for (place, runtime) in &places {
            let row = match job.run(*place, &wasm) {
                Ok(ended) => {
                    let hash = ended.portable_hash()?.to_hex();
                    // The first one is what the others are compared with.
                    let differences = first.as_ref().map_or(Ok(vec![]), |first| first.differences(&ended))?;
                    let verdict =
                        if differences.is_empty() { String::new() } else { format!(" differs: {differences:?}") };
                    match (&first, differences.is_empty()) {
                        (None, _) => {}
                        (_, true) => same += 1,
                        (_, false) => different += 1,
                    }
                    let (snapshots, shown) = (ended.snapshots(), hash.get(..SHOWN).unwrap_or_default());
                    println!("{:<32}{runtime:<26}{snapshots:<10}{shown}{verdict}", job.name);
                    first.get_or_insert(ended);
                    json!({ "hash": hash.as_str(), "snapshots": snapshots, "differences": differences })
                }
                Err(error) => {
                    different += 1;
                    println!("{:<32}{runtime:<26}failed: {error:#}", job.name);
                    json!({ "failed": format!("{error:#}") })
                }
            };
            let mut row = row;
            row["job"] = job.name.into();
            row["runtime"] = runtime.as_str().into();
            rows.push(row);
        }
    }
    for (runtime, reason) in &skipped {
        println!("skipped: {runtime}: {reason}");
    }
    let figure = format!(
        "portability: {} jobs in {} runtimes: {same} of {} comparisons the same; {} runtimes skipped",
        jobs.len(),
        places.len(),
        same + different,
        skipped.len()
    );
    if let Some(file) = &args.json {
        let object = json!({ "figure": figure, "node": image::node_hash(), "runs": rows, "skipped": skipped });
        std::fs::write(file, serde_json::to_string_pretty(&object)?).with_context(|| file.display().to_string())?;
    }
    println!("{figure}");
    Ok(different == 0 && same > 0)
}

/// The places that are here, with the runtime's version, and what is not, with the reason.
fn places() -> (Vec<(Place, String)>, BTreeMap<String, String>) {
    let (mut places, mut skipped) = (Vec::new(), BTreeMap::new());
    let node_js = node_js::version();
    for place in Place::ALL {
        match (&node_js, place) {
            (Ok(Some(version)), Place::NodeJsCommand) => places.push((place, format!("Node.js {version}, WASI"))),
            (Ok(Some(version)), Place::NodeJsExports) => places.push((place, format!("Node.js {version}, exports"))),
            (Ok(None), place) if place.needs_node_js() => {
                skipped.insert(place.name().to_owned(), format!("{}=1", node_js::LEAVE_OUT));
            }
            (Err(error), place) if place.needs_node_js() => {
                skipped.insert(place.name().to_owned(), format!("{error:#}"));
            }
            (_, Place::Wasmtime) => places.push((place, format!("wasmtime {}", image::WASMTIME_VERSION))),
            (_, place) => places.push((place, place.name().to_owned())),
        }
    }
    for program in NOT_DRIVEN {
        let reason = match Command::new(program).arg("--version").output() {
            Ok(_) => "it is here, but this command does not drive it yet",
            Err(_) => "not found in PATH",
        };
        skipped.insert(format!("{program} (program)"), reason.to_owned());
    }
    (places, skipped)
}
