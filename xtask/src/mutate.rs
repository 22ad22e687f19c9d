//! `cargo xtask mutate`: real snapshots with fields, bytes or pages changed and all hashes repaired, or modules with bytes
//! and sections changed. None may make the node panic, and what is accepted must mean what it says.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, anyhow, ensure};
use node_tests::mutate::module;
use node_tests::mutate::{Figures, case, subjects};
use serde_json::json;

use crate::evidence;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// What to change
    #[arg(long, default_value = "snapshot", value_parser = ["snapshot", "module"])]
    what: String,
    /// How many changes
    #[arg(long, default_value_t = 100_000)]
    cases: u64,
    /// Seed of the changes
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The first case, to repeat one that failed
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// Threads
    #[arg(long, default_value_t = 2)]
    threads: u64,
    /// Write modules with which something went wrong to this directory, by case
    #[arg(long)]
    keep: Option<std::path::PathBuf>,
    /// Write the figures to this file
    #[arg(long)]
    json: Option<std::path::PathBuf>,
    /// Write the figure to docs/evidence.md
    #[arg(long)]
    evidence: bool,
}

impl Args {
    /// Prints the last line, and writes it down where that is wanted.
    fn print(&self, figure: &str) -> Result<()> {
        println!("{figure}");
        let section = if self.what == "module" { "Changed modules" } else { "Changed snapshots" };
        if self.evidence { evidence::record(section, &evidence::command_line(), "", figure) } else { Ok(()) }
    }
}

/// Bytes by which the greatest resident size may grow: the decoded form of the largest change, several times over.
const MOST_MEMORY: u64 = 512 << 20;

pub(crate) fn run(args: &Args) -> Result<bool> {
    match args.what.as_str() {
        "module" => modules(args, args.cases),
        _ => snapshots(args, args.cases),
    }
}

/// Runs all cases in threads; what each of these counted.
fn in_threads<T: Default + Send>(args: &Args, cases: u64, case: impl Fn(u64, &mut T) + Sync) -> Result<Vec<T>> {
    let next = AtomicU64::new(args.first);
    let end = args.first.saturating_add(cases);
    // Panics are counted as failures; their traces would drown the figures.
    std::panic::set_hook(Box::new(|_| ()));
    let counts = std::thread::scope(|scope| {
        let work = || {
            let mut figures = T::default();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= end {
                    return figures;
                }
                case(number, &mut figures);
            }
        };
        let threads: Vec<_> = (0..args.threads.max(1)).map(|_| scope.spawn(work)).collect();
        threads.into_iter().map(|t| t.join().map_err(|_| anyhow!("a worker panicked"))).collect()
    });
    drop(std::panic::take_hook());
    counts
}

fn modules(args: &Args, cases: u64) -> Result<bool> {
    let samples = module::samples()?;
    let (before, start) = (peak(), std::time::Instant::now());
    let counts = in_threads(args, cases, |number, figures| module::case(&samples, args.seed, number, figures))?;
    let seconds = start.elapsed().as_secs_f64();
    let mut all = module::Figures::default();
    counts.into_iter().for_each(|one| all.add(one));
    let grown = peak().saturating_sub(before);
    ensure!(all.cases == cases, "{} cases were run, expected {cases}", all.cases);
    let failures = all.failures.len();
    if let Some(path) = &args.json {
        let figures = json!({
            "what": args.what, "seed": args.seed, "cases": cases, "wasm_mutate": all.wasm_mutate, "accepted": all.accepted,
            "ran": all.ran, "functions": all.functions, "failures": failures, "memory_grown": grown,
        });
        std::fs::write(path, format!("{figures:#}\n")).with_context(|| path.display().to_string())?;
    }
    for (number, failure) in all.failures.iter().take(20) {
        println!("case {number}: {failure}");
        if let Some(dir) = &args.keep {
            let (bytes, ..) = module::module_of(&samples, args.seed, *number);
            std::fs::write(dir.join(format!("{number}.wasm")), bytes).with_context(|| dir.display().to_string())?;
        }
    }
    args.print(&format!(
        "mutate: {cases} changed modules ({} by wasm-mutate) in {seconds:.0} s, {} accepted and {} functions translated, {} run \
         on both engines, longest {} ms, {failures} failures, peak memory grew by {} MiB",
        all.wasm_mutate,
        all.accepted,
        all.functions,
        all.ran,
        all.longest.as_millis(),
        grown >> 20
    ))?;
    Ok(failures == 0 && grown < MOST_MEMORY && all.accepted * 50 >= cases && all.ran * 100 >= cases)
}

fn snapshots(args: &Args, cases: u64) -> Result<bool> {
    let subjects = subjects();
    let before = peak();
    let mut all = Figures::default();
    let counts = in_threads(args, cases, |number, figures| case(&subjects, args.seed, number, figures))?;
    counts.into_iter().for_each(|one| all.add(one));
    let grown = peak().saturating_sub(before);
    ensure!(all.cases == cases, "{} cases were run, expected {cases}", all.cases);
    let good = all.failures.is_empty() && grown < MOST_MEMORY && all.accepted * 50 >= all.cases;
    if let Some(path) = &args.json {
        let figures = json!({
            "what": args.what, "seed": args.seed, "cases": all.cases, "fields": all.fields, "bytes": all.bytes,
            "pages": all.pages, "accepted": all.accepted, "failures": all.failures.len(), "memory_grown": grown,
        });
        std::fs::write(path, format!("{figures:#}\n")).with_context(|| path.display().to_string())?;
    }
    all.failures.iter().take(20).for_each(|line| println!("{line}"));
    args.print(&format!(
        "mutate: {} changed {}s ({} fields, {} bytes, {} pages), {} accepted, run and encoded again, {} failures, peak \
         memory grew by {} MiB",
        all.cases,
        args.what,
        all.fields,
        all.bytes,
        all.pages,
        all.accepted,
        all.failures.len(),
        grown >> 20
    ))?;
    Ok(good)
}

/// Greatest resident size of this process so far, in bytes; 0 where the system does not tell.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).map_or(0, |kib| kib << 10)
}
