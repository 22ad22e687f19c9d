//! `cargo xtask bombs`: modules that are made to be dear, loaded and run once in the node's wasm and natively. What each byte
//! of them costs is bounded, twice the module costs twice as much, and the outcome is the same in both places.

use anyhow::{Context, Result};
use node_tests::bombs::{BOMBS, Bomb, Nothing, Place, Row, nothing, row};
use serde_json::json;

use crate::evidence;

/// Most nanoseconds, and most bytes of memory, for a byte of a module.
const NANOSECONDS: f64 = 1000.0;
const MEMORY: f64 = 64.0;
/// Fixed allowances: for what does not depend on the module, and for what a busy machine adds.
const SLACK_NANOSECONDS: f64 = 30e6;
const SLACK_MEMORY: f64 = (8 << 20) as f64;
/// How many times as long twice the module may take, where it takes long enough to tell. Four times is quadratic. Types are
/// looked up in ordered maps: 2.6 times on an idle machine, 3.0 on a busy one, for the cache misses of larger maps.
const GROWTH: f64 = 3.4;

/// How often a bomb that is beyond a bound is measured again.
const AGAIN: u32 = 4;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only bombs whose name contains this
    #[arg(long, default_value = "")]
    only: String,
    /// So many times the size
    #[arg(long, default_value_t = 1)]
    times: usize,
    /// Write the figures to this file
    #[arg(long)]
    json: Option<std::path::PathBuf>,
    /// Write the table to docs/evidence.md
    #[arg(long)]
    evidence: bool,
}

pub(crate) fn run(args: &Args) -> Result<bool> {
    let mut table =
        "| bomb | bytes | wasm ns/byte | native ns/byte | wasm bytes/byte | native bytes/byte | twice as large |\n\
                     | --- | --: | --: | --: | --: | --: | --: |\n"
            .to_owned();
    print!("{table}");
    let nothing = [nothing(Place::Wasm)?, nothing(Place::Native)?];
    let (mut count, mut slowest, mut largest, mut failures, mut figures) = (0, 0.0_f64, 0.0_f64, 0, Vec::new());
    for bomb in BOMBS.iter().filter(|bomb| bomb.name.contains(&args.only)) {
        let mut bomb = *bomb;
        bomb.size *= args.times.max(1);
        let [wasm, native] = nothing.each_ref().map(|nothing| measured(&bomb, nothing).context(bomb.name));
        let (wasm, native) = (wasm?, native?);
        let line = format!(
            "| {} | {} | {:.0} | {:.0} | {:.1} | {:.1} | {:.1} |\n",
            bomb.name,
            wasm.bytes,
            wasm.nanoseconds,
            native.nanoseconds,
            wasm.memory,
            native.memory,
            wasm.growth.max(native.growth)
        );
        print!("{line}");
        table.push_str(&line);
        if wasm.outcome != native.outcome {
            println!("  the outcome differs: {} as wasm, {} natively", wasm.outcome, native.outcome);
            failures += 1;
        }
        for row in [&wasm, &native] {
            let bytes = row.bytes as f64;
            if !is_within_bounds(row) {
                println!("  beyond its bound: {row:?}");
                failures += 1;
            }
            // What the fixed allowance is for does not count as the module's.
            slowest = slowest.max((row.nanoseconds - SLACK_NANOSECONDS / bytes).max(0.0));
            largest = largest.max((row.memory - SLACK_MEMORY / bytes).max(0.0));
        }
        count += 1;
        figures.push(json!({ "bomb": bomb.name, "bytes": wasm.bytes, "wasm_ns": wasm.nanoseconds, "native_ns": native.nanoseconds,
            "wasm_memory": wasm.memory, "native_memory": native.memory, "outcome": wasm.outcome }));
    }
    if let Some(path) = &args.json {
        std::fs::write(path, format!("{:#}\n", json!(figures))).with_context(|| path.display().to_string())?;
    }
    let figure = format!(
        "bombs: {count} modules made to be dear, in the module and natively: at most {slowest:.0} ns and {largest:.0} bytes of \
         memory a byte beyond the fixed allowance, {failures} failures"
    );
    println!("{figure}");
    if args.evidence {
        evidence::record("Modules made to be dear", &evidence::command_line(), &table, &figure)?;
    }
    Ok(failures == 0 && count > 0)
}

/// What a bomb costs; measured again where that is beyond a bound, which a busy machine can do: what is really beyond stays so.
fn measured(bomb: &Bomb, nothing: &Nothing) -> Result<Row> {
    let mut found = row(bomb, nothing)?;
    for _ in 0..AGAIN {
        if is_within_bounds(&found) {
            break;
        }
        found = row(bomb, nothing)?;
    }
    Ok(found)
}

fn is_within_bounds(row: &Row) -> bool {
    let bytes = row.bytes as f64;
    let slow = row.nanoseconds * bytes > NANOSECONDS * bytes + SLACK_NANOSECONDS;
    let long_enough = row.nanoseconds * bytes > 4.0 * SLACK_NANOSECONDS;
    let too_much = row.memory * bytes > MEMORY * bytes + SLACK_MEMORY;
    !(slow || too_much || (long_enough && row.growth > GROWTH))
}
