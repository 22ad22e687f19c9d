//! `cargo xtask differential`: random modules on both engines at every budget, and on wasmtime and wasmi. A module is made
//! from its seed alone: `--seed N --modules 1` repeats one. One in eight has relaxed SIMD and runs on the node's engines only.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, anyhow};
use guest_interp::gas::Schedule;
use node_tests::agree::{self, Bounds, engines_agree};
use node_tests::caught::caught;
use node_tests::differential::{self, Differential};
use node_tests::generate::program::random_program;
use node_tests::generate::{random_schedule, relaxed_smith_module, smith_module};

/// Bytes of host stack of a worker.
const WORKER_STACK: usize = 1 << 30;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How many modules, half of them of wasm-smith
    #[arg(long, default_value_t = 20_000)]
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
    /// Write modules with a difference to this directory, by seed
    #[arg(long)]
    keep: Option<std::path::PathBuf>,
    /// Only the node's own two engines
    #[arg(long)]
    engines_only: bool,
    /// Only wasmtime and wasmi
    #[arg(long, conflicts_with = "engines_only")]
    others_only: bool,
}

/// Calls compared with other engines for each hundred modules: with fewer, next to nothing was compared.
const LEAST_CALLS: u64 = 200;
/// Modules for each in which wasmi alone may differ: more would be no mistake of its own.
const WASMI_ALONE: u64 = 2_000;
/// Modules after which a long run says how far it is.
const REPORT: u64 = 50_000;

#[derive(Default)]
struct Sums {
    engines: agree::Figures,
    others: differential::Figures,
    differences: Vec<String>,
}

pub(crate) fn run(args: &Args) -> Result<bool> {
    let start = Instant::now();
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
    let seconds = start.elapsed().as_secs_f64();
    all.differences.iter().take(20).for_each(|line| println!("{line}"));
    println!("engines: {:?}", all.engines);
    println!("others: {:?}", all.others);
    let enough = args.engines_only || all.others.calls * 100 >= args.modules * LEAST_CALLS;
    if !enough {
        println!("too few calls: at least {LEAST_CALLS} for 100 modules must be compared with other engines");
    }
    println!(
        "differential: {} modules from seed {} in {seconds:.0} s ({:.0} a second), {} calls, {} budgets on both engines, {} \
         calls on wasmtime, {} of them on wasmi, which differs alone in {} modules, {} differences",
        args.modules,
        args.seed,
        args.modules as f64 / seconds,
        all.engines.calls,
        all.engines.budgets,
        all.others.calls,
        all.others.calls - all.others.wasmtime_only,
        all.others.wasmi_alone,
        all.differences.len()
    );
    Ok(all.differences.is_empty() && enough && all.others.wasmi_alone * WASMI_ALONE <= args.modules)
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
        let done = seed - args.seed;
        if done > 0 && done.is_multiple_of(REPORT) {
            eprintln!("{done} modules, {} differences in this thread", sums.differences.len());
        }
        let relaxed = seed % 8 == 5;
        let module = match seed % 2 {
            0 => Some(wat::parse_str(random_program(seed)).with_context(|| format!("seed {seed}"))?),
            _ if relaxed => relaxed_smith_module(seed),
            _ => smith_module(seed, seed % 4 != 3),
        };
        let Some(module) = module else { continue };
        let mut note = |difference: anyhow::Error| {
            println!("seed {seed}: {difference:#}");
            sums.differences.push(format!("seed {seed}: {difference:#}"));
            let file = args.keep.as_ref().map(|dir| dir.join(format!("{seed}.wasm")));
            if let Some(Err(error)) = file.map(|file| std::fs::write(file, &module)) {
                eprintln!("seed {seed} is not kept: {error}");
            }
        };
        if !args.others_only {
            let schedule = match seed / 4 % 3 {
                0 => Schedule::default(),
                1 => Schedule::seed_ordinal(),
                _ => random_schedule(seed),
            };
            match caught(|| engines_agree(&module, &schedule, seed, bounds)) {
                Ok(figures) => sums.engines.add(&figures),
                Err(error) => note(error),
            }
        }
        if !args.engines_only && !relaxed {
            match caught(|| engines.compare(&module, seed, 4)) {
                Ok(figures) => sums.others.add(&figures),
                Err(error) => note(error),
            }
        }
    }
}
