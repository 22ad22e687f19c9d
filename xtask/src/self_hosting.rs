//! `cargo xtask self-hosting`: the node runs the node, to the depth that is asked for; what the innermost one writes is
//! what it writes by itself, and what each level costs.

use std::path::PathBuf;

use anyhow::{Context, Result};
use node_tests::node_js;
use node_tests::self_hosting::{HOSTED, Hosted, Outer, differences, differences_by_receipt};
use serde_json::json;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How many nodes in each other: 2 or 3
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(2..=3))]
    depth: u32,
    /// Write the table to this file
    #[arg(long)]
    json: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Result<bool> {
    let with_node_js = node_js::version()?.is_some();
    let (mut good, mut rows, mut figures) = (true, Vec::new(), Vec::new());
    for hosted in HOSTED {
        let plain = hosted.plain()?;
        show(hosted.job, 1, &plain, &plain);
        for depth in 2..=args.depth {
            let dir = hosted.directory()?;
            let outer = hosted.run(depth, dir.path())?;
            show(hosted.job, depth, &outer, &plain);
            let mut wrong = inner_differences(depth, &plain, &outer)?;
            if depth == 2 {
                wrong.extend(hosted.check_chain(&outer, dir.path()).context("the outer chain")?);
                wrong.extend(if with_node_js { in_node_js(&hosted, &plain, &outer)? } else { vec![] });
            }
            for name in &wrong {
                println!("{} at depth {depth}: {name} differs", hosted.job);
            }
            good &= wrong.is_empty();
            figures.push(format!("{} at depth {depth} {:.0} times the gas", hosted.job, cost(&outer, &plain)));
            rows.push(json!({
                "job": hosted.job, "depth": depth, "gas": outer.gas, "seconds": outer.time.as_secs_f64(),
                "snapshots": outer.ended.snapshots(), "differences": wrong,
            }));
        }
    }
    let places = if with_node_js { "wasmtime and Node.js" } else { "wasmtime (Node.js left out)" };
    let verdict = if good { "all inner files the same" } else { "inner files DIFFER" };
    let figure = format!("self-hosting in {places}: {verdict}; {}", figures.join(", "));
    if let Some(file) = &args.json {
        let object = json!({ "figure": figure, "runs": rows });
        std::fs::write(file, serde_json::to_string_pretty(&object)?).with_context(|| file.display().to_string())?;
    }
    println!("{figure}");
    Ok(good)
}

/// Gas of the outermost node for one of the innermost.
fn cost(outer: &Outer, plain: &Outer) -> f64 {
    outer.gas as f64 / plain.gas as f64
}

fn show(job: &str, depth: u32, outer: &Outer, plain: &Outer) {
    println!(
        "{job} at depth {depth}: {:.3} M gas ({:.1} times), {} snapshots, {:.2} s",
        outer.gas as f64 / 1e6,
        cost(outer, plain),
        outer.ended.snapshots(),
        outer.time.as_secs_f64()
    );
}

/// What the innermost node has written otherwise than by itself; of the third one only hashes are left.
fn inner_differences(depth: u32, plain: &Outer, outer: &Outer) -> Result<Vec<String>> {
    if depth == 2 {
        return Ok(differences(&plain.ended, &outer.delivered));
    }
    let receipt = outer.delivered.get("out/receipt.json").context("the node in the middle left no receipt")?;
    differences_by_receipt(&plain.ended, receipt)
}

/// What differs when the outer node runs in Node.js.
fn in_node_js(hosted: &Hosted, plain: &Outer, outer: &Outer) -> Result<Vec<String>> {
    let there = hosted.in_node_js()?;
    let mut wrong = outer.ended.differences(&there)?;
    let receipt = there.files.get("receipt.json").context("no receipt from Node.js")?;
    wrong.extend(differences_by_receipt(&plain.ended, receipt)?);
    Ok(wrong.into_iter().map(|name| format!("{name} in Node.js")).collect())
}
