//! `cargo xtask footprint`: what the node takes of the machine. An instance of it and a small program loaded, with the
//! compiled node in the cache; and in every runtime that is here the greatest resident memory of programs of 1 GiB that
//! write to 1 MiB of it, beside that of a small one.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use node_tests::footprint::{PROGRAMS, argv, directory};
use node_tests::runtimes::{self, Runtime};
use node_tests::{programs, runner};
use serde_json::{Value, json};
use stepmark_runner::node::embedded_module::NODE_WASM;
use stepmark_runner::node::sandbox::{NodeModule, WasmNode};

use crate::portability::places;

/// Longest time for an instance with fib loaded.
const START: Duration = Duration::from_millis(20);
/// Times that it is measured; the shortest counts, since whatever else the machine does only adds.
const STARTS: usize = 41;
/// Most bytes that a program of 1 GiB takes more that writes to 1 MiB: that, the node's marks and trees of pages, and what a
/// JavaScript engine leaves behind each time that a memory grows.
const MOST: u64 = 24 << 20;
/// A runtime in which it takes so much more has taken memory that nobody used.
const LAZY: u64 = 256 << 20;
/// Runtimes that must keep to that; others are shown. They take memory from the system as it is used.
const HELD: [&str; 2] = ["wasmtime, Cranelift", "Node.js"];

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Directory that tests/runtimes/get.sh filled
    #[arg(long)]
    runtimes: Option<PathBuf>,
    /// Write the table to this file
    #[arg(long)]
    json: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Result<bool> {
    let start = start()?;
    println!("an instance from the cache, fib loaded: {:.1} ms, at most {} ms", millis(start), START.as_millis());

    let (places, _kept) = places(args.runtimes.as_deref())?;
    let (here, _) = runtimes::found(&places);
    let dir = directory()?;
    println!(
        "{:<28}{}   MiB more than a small program",
        "runtime",
        PROGRAMS.map(|name| format!("{name:<22}")).concat()
    );
    let (mut held, mut rows) = (0, Vec::new());
    for runtime in here.iter().filter(|runtime| !runtime.slow) {
        let is_held = HELD.contains(&runtime.name);
        let peaks = match peaks(runtime, dir.path()) {
            Ok(Some(peaks)) => peaks,
            Ok(None) => continue,
            Err(error) if is_held => return Err(error.context(runtime.name)),
            Err(error) => {
                println!("{:<28}cannot: {error:#}", runtime.name);
                continue;
            }
        };
        let shown: String = peaks.iter().map(|peak| format!("{:<22}", format!("{:.1}", mib(*peak)))).collect();
        let [small, large @ ..] = peaks;
        let most = large.into_iter().max().unwrap_or(0).saturating_sub(small);
        println!(
            "{:<28}{shown}   {:.1}{}",
            runtime.name,
            mib(most),
            if most < LAZY { "" } else { " (takes all of it)" }
        );
        held += usize::from(is_held && most <= MOST);
        rows.push(json!({ "runtime": runtime.name, "version": runtime.version, "peaks": peaks, "more": most }));
    }
    let figure = format!(
        "footprint: an instance with fib loaded {:.1} ms; at most {} MiB more for 1 GiB of which 1 MiB is used: {held} of {} ({})",
        millis(start),
        MOST >> 20,
        HELD.len(),
        HELD.join("; ")
    );
    write(args, &figure, rows, start)?;
    println!("{figure}");
    Ok(start <= START && held == HELD.len())
}

fn write(args: &Args, figure: &str, rows: Vec<Value>, start: Duration) -> Result<()> {
    let Some(file) = &args.json else { return Ok(()) };
    let object = json!({ "figure": figure, "start_ms": millis(start), "runtimes": rows });
    fs::write(file, serde_json::to_string_pretty(&object)?).with_context(|| file.display().to_string())
}

/// Time for the compiled node from the cache, an instance of it, and fib ready to run.
fn start() -> Result<Duration> {
    let dir = tempfile::tempdir()?;
    fs::write(dir.path().join("fib32.wasm"), programs::bytes("fib32.wasm")?)?;
    let argv = ["fib32.wasm", "fib", "1"].map(str::to_owned);
    let mut times = Vec::new();
    for _ in 0..STARTS {
        let before = Instant::now();
        let mut node = WasmNode::new(&NodeModule::compile(NODE_WASM)?)?;
        runner::load(&mut node, &argv, dir.path())?;
        times.push(before.elapsed());
    }
    times.into_iter().min().context("no rounds")
}

/// Greatest resident memory of each program; none where the system does not tell.
fn peaks(runtime: &Runtime, dir: &Path) -> Result<Option<[u64; 4]>> {
    runtime.prepare()?;
    let mut peaks = [0; 4];
    for (peak, program) in peaks.iter_mut().zip(PROGRAMS) {
        let ended = runtime.run(dir, &argv(program), "out")?;
        let result = ended.files.get("result.txt").map(|text| String::from_utf8_lossy(text).into_owned());
        ensure!(result.is_some(), "{program}: {}", String::from_utf8_lossy(&ended.stderr));
        let Some(bytes) = runtime.peak(dir, &argv(program))? else { return Ok(None) };
        *peak = bytes;
    }
    Ok(Some(peaks))
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
