//! `cargo xtask compiled`: random modules in compiled code and in the interpreter, wherever compiled code is left and entered: under every small
//! gas limit, under random ones, and in runs in which the two take turns. A module is made from its seed alone: `--seed N --modules 1`
//! repeats one.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, anyhow};
use compiled_tests::host::engine;
use compiled_tests::oracle::Figures;
use compiled_tests::subjects::{BOUNDS, compare_exports, linked, random_subject};
use node_tests::engine_oracle::LIMITS;
use serde_json::json;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How many modules, a third of them of wasm-smith, a third that access memory more than others
    #[arg(long, default_value_t = 1_000)]
    modules: u64,
    /// The first seed
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Threads
    #[arg(long, default_value_t = 2)]
    threads: u64,
    /// Write the figures to this file
    #[arg(long)]
    json: Option<PathBuf>,
}

/// Stops for each hundred modules: with fewer, next to nothing was compared.
const LEAST_STOPS: u64 = 2_000;

pub(crate) fn run(args: &Args) -> Result<bool> {
    let (start, next) = (Instant::now(), AtomicU64::new(0));
    let parts: Vec<Result<(Figures, Vec<String>)>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..args.threads.max(1)).map(|_| scope.spawn(|| worker(args, &next))).collect();
        threads.into_iter().map(|t| t.join().unwrap_or_else(|_| Err(anyhow!("a worker panicked")))).collect()
    });
    let (mut all, mut differences) = (Figures::default(), Vec::new());
    for part in parts {
        let (figures, mut found) = part?;
        all.add(&figures);
        differences.append(&mut found);
    }
    differences.iter().take(20).for_each(|line| println!("{line}"));
    let enough = all.stops * 100 >= args.modules * LEAST_STOPS;
    if !enough {
        println!("too few stops: at least {LEAST_STOPS} for 100 modules must be compared");
    }
    if let Some(path) = &args.json {
        let figures = json!({ "modules": args.modules, "seed": args.seed, "funcs": all.funcs, "not_compiled": all.not_compiled,
            "stops": all.stops, "frames": all.frames, "turns": all.turns, "gas": all.gas, "gas_compiled": all.gas_compiled,
            "differences": differences });
        std::fs::write(path, format!("{figures:#}\n")).with_context(|| path.display().to_string())?;
    }
    println!(
        "compiled: {} modules from seed {} in {:.0} s, {} functions compiled and {} not, {} stops, {} frames left, {} turns in runs, {} % of \
         the gas in compiled code, {} differences",
        args.modules,
        args.seed,
        start.elapsed().as_secs_f64(),
        all.funcs,
        all.not_compiled,
        all.stops,
        all.frames,
        all.turns,
        100 * all.gas_compiled / all.gas.max(1),
        differences.len()
    );
    Ok(enough && differences.is_empty())
}

fn worker(args: &Args, next: &AtomicU64) -> Result<(Figures, Vec<String>)> {
    let engine = engine(false)?;
    let (mut figures, mut differences) = (Figures::default(), Vec::new());
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= args.modules {
            return Ok((figures, differences));
        }
        let seed = args.seed + number;
        let Some((bytes, schedule)) = random_subject(seed)? else { continue };
        let Some(subject) = linked(&bytes, &schedule, LIMITS).with_context(|| format!("seed {seed}"))? else {
            continue;
        };
        match compare_exports(&engine, &subject, seed, BOUNDS) {
            Ok(one) => figures.add(&one),
            Err(error) => differences.push(format!("seed {seed}: {error:#}")),
        }
    }
}
