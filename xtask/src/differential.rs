//! `cargo xtask differential`: random modules on both engines at every budget, and on wasmtime and wasmi, alone and linked. A
//! module is made from its seed alone: `--seed N --modules 1 --linked 0` repeats one, `--seed N --modules 0 --linked 1` linked
//! ones. One in eight of those that are alone has relaxed SIMD and runs on the node's engines only.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, anyhow};
use node_tests::differential::{self, ALONE, Differential};
use node_tests::engine_oracle::{self, Bounds, linked_engines_agree};
use node_tests::generate::linked::{Linked, random_linked};
use node_tests::generate::program::random_program;
use node_tests::generate::{random_schedule, relaxed_smith_module, smith_module};
use node_tests::panic_guard::caught;
use stepmark_core::gas::Schedule;
use stepmark_core::machine::TierKind;

/// Bytes of host stack of a worker.
const WORKER_STACK: usize = 1 << 30;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How many modules, half of them of wasm-smith
    #[arg(long, default_value_t = 20_000)]
    modules: u64,
    /// How many times two to four modules that are linked
    #[arg(long, default_value_t = 2_000)]
    linked: u64,
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

/// One job of a worker.
struct Case {
    seed: u64,
    name: String,
    modules: Linked,
    /// Whether it has relaxed SIMD.
    relaxed: bool,
}

impl Case {
    /// The case of this number; `None` where there is no module of its seed.
    fn new(args: &Args, number: u64) -> Result<Option<Self>> {
        if number >= args.modules {
            let seed = args.seed + number - args.modules;
            let name = format!("linked seed {seed}");
            return Ok(Some(Self { seed, name, modules: random_linked(seed), relaxed: false }));
        }
        let seed = args.seed + number;
        let relaxed = seed % 8 == 5;
        let module = match seed % 2 {
            0 => Some(wat::parse_str(random_program(seed)).with_context(|| format!("seed {seed}"))?),
            _ if relaxed => relaxed_smith_module(seed),
            _ => smith_module(seed, seed % 4 != 3),
        };
        let case =
            |bytes| Self { seed, name: format!("seed {seed}"), modules: vec![(ALONE.to_owned(), bytes)], relaxed };
        Ok(module.map(case))
    }

    /// Writes the modules to a directory, by seed.
    fn keep(&self, dir: &std::path::Path) {
        for (name, bytes) in &self.modules {
            if let Err(error) = std::fs::write(dir.join(format!("{}{name}.wasm", self.seed)), bytes) {
                eprintln!("{} is not kept: {error}", self.name);
            }
        }
    }
}

#[derive(Default)]
struct Sums {
    engines: engine_oracle::Figures,
    others: differential::Figures,
    differences: Vec<String>,
}

pub(crate) fn run(args: &Args) -> Result<bool> {
    let start = Instant::now();
    let next = AtomicU64::new(0);
    let sums: Vec<Result<Sums>> = std::thread::scope(|scope| {
        let work = || worker(args, &next);
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
    let cases = args.modules + args.linked;
    let enough = args.engines_only || all.others.calls * 100 >= cases * LEAST_CALLS;
    if !enough {
        println!("too few calls: at least {LEAST_CALLS} for 100 modules must be compared with other engines");
    }
    println!(
        "differential: {} modules and {} linked from seed {} in {seconds:.0} s ({:.0} a second), {} calls, {} budgets on both engines, {} \
         calls on wasmtime, {} of them on wasmi, which differs alone in {} modules, {} differences",
        args.modules,
        args.linked,
        args.seed,
        cases as f64 / seconds,
        all.engines.calls,
        all.engines.budgets,
        all.others.calls,
        all.others.calls - all.others.wasmtime_only,
        all.others.wasmi_alone,
        all.differences.len()
    );
    Ok(all.differences.is_empty() && enough && all.others.wasmi_alone * WASMI_ALONE <= args.modules)
}

fn worker(args: &Args, next: &AtomicU64) -> Result<Sums> {
    let engines = Differential::new()?;
    let mut sums = Sums::default();
    let bounds = Bounds { tier: TierKind::Register, gas: 20_000, steps: 3_000, stops: args.stops, calls: 1 };
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= args.modules + args.linked {
            return Ok(sums);
        }
        if number > 0 && number.is_multiple_of(REPORT) {
            eprintln!("{number} cases, {} differences in this thread", sums.differences.len());
        }
        let Some(case) = Case::new(args, number)? else { continue };
        let seed = case.seed;
        let mut note = |difference: anyhow::Error| {
            println!("{}: {difference:#}", case.name);
            sums.differences.push(format!("{}: {difference:#}", case.name));
            if let Some(dir) = &args.keep {
                case.keep(dir);
            }
        };
        if !args.others_only {
            let schedule = match seed / 4 % 3 {
                0 => Schedule::default(),
                1 => Schedule::seed_ordinal(),
                _ => random_schedule(seed),
            };
            match caught(|| linked_engines_agree(&case.modules, &schedule, seed, bounds)) {
                Ok(figures) => sums.engines.add(&figures),
                Err(error) => note(error),
            }
        }
        if !args.engines_only && !case.relaxed {
            match caught(|| engines.compare_linked(&case.modules, seed, 4)) {
                Ok(figures) => sums.others.add(&figures),
                Err(error) => note(error),
            }
        }
    }
}
