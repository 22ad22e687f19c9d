//! `cargo xtask differential`: random modules on both engines at every budget, and on wasmtime and wasmi.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, anyhow};
use guest_interp::gas::Schedule;
use node_tests::agree::{self, Bounds, engines_agree};
use node_tests::differential::{self, Differential};
use node_tests::generate::program::random_program;
use node_tests::generate::{random_schedule, smith_module};

/// Bytes of host stack of a worker.
const WORKER_STACK: usize = 1 << 30;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How many modules, half of them of wasm-smith
    #[arg(long, default_value_t = 1000)]
    modules: u64,
    /// The first seed
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Budgets that are compared one by one in each call
    #[arg(long, default_value_t = 60)]
    stops: u64,
    /// Threads
    #[arg(long, default_value_t = 2)]
    threads: u64,
    /// Only the node's own two engines
    #[arg(long)]
    engines_only: bool,
}

#[derive(Default)]
struct Sums {
    engines: agree::Figures,
    others: differential::Figures,
    differences: Vec<String>,
}

pub(crate) fn run(args: &Args) -> Result<bool> {
    let next = AtomicU64::new(args.seed);
    let end = args.seed + args.modules;
    let sums: Vec<Result<Sums>> = std::thread::scope(|scope| {
        let work = || worker(args, &next, end);
        // The other engines may take host stack for each call of the program.
        let thread = || std::thread::Builder::new().stack_size(WORKER_STACK).spawn_scoped(scope, work);
        let threads: Vec<_> = (0..args.threads.max(1)).map(|_| thread().expect("a thread")).collect();
        threads.into_iter().map(|t| t.join().unwrap_or_else(|_| Err(anyhow!("a worker panicked")))).collect()
    });
    let mut all = Sums::default();
    for one in sums {
        let one = one?;
        all.engines.add(&one.engines);
        all.others.add(&one.others);
        all.differences.extend(one.differences);
    }
    all.differences.iter().take(20).for_each(|line| println!("{line}"));
    println!("engines: {:?}", all.engines);
    println!("others: {:?}", all.others);
    println!(
        "differential: {} modules, {} calls, {} budgets on both engines, {} calls on wasmtime and wasmi, {} differences",
        args.modules,
        all.engines.calls,
        all.engines.budgets,
        all.others.calls,
        all.differences.len()
    );
    Ok(all.differences.is_empty())
}

fn worker(args: &Args, next: &AtomicU64, end: u64) -> Result<Sums> {
    let engines = Differential::new()?;
    let mut sums = Sums::default();
    let bounds = Bounds { gas: 20_000, steps: 3_000, stops: args.stops, calls: 1 };
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= end {
            return Ok(sums);
        }
        let floats = seed % 4 != 3;
        let module = match seed % 2 {
            0 => Some(wat::parse_str(random_program(seed)).with_context(|| format!("seed {seed}"))?),
            _ => smith_module(seed, floats),
        };
        let Some(module) = module else { continue };
        let schedule = match seed / 4 % 3 {
            0 => Schedule::default(),
            1 => Schedule::seed_ordinal(),
            _ => random_schedule(seed),
        };
        match engines_agree(&module, &schedule, seed, bounds) {
            Ok(figures) => sums.engines.add(&figures),
            Err(error) => sums.differences.push(format!("seed {seed}: {error:#}")),
        }
        if args.engines_only {
            continue;
        }
        match engines.compare(&module, seed, 2, floats) {
            Ok(figures) => sums.others.add(&figures),
            Err(error) => sums.differences.push(format!("seed {seed}: {error:#}")),
        }
    }
}
