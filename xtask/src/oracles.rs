//! `cargo xtask oracles`: wasmtime's fuel, priced by our schedule, beside our gas, on random modules, the specification's
//! suites, sample and benchmark programs; and what wasmtime's debugger sees at random instructions beside our state.

use std::time::Instant;

use anyhow::{Context, Result, anyhow};
use node_tests::generate::program::random_program;
use node_tests::generate::smith_module;
use node_tests::oracles::gas::{Figures, GasOracle};
use node_tests::oracles::prices::distinct;
use node_tests::oracles::samples::{compare_benchmarks, compare_samples};
use node_tests::oracles::state::{self, StateOracle};
use node_tests::oracles::suite::{SuiteFigures, compare_suite};
use node_tests::panic_guard::caught;
use node_tests::spec::Suite;
use serde_json::json;
use stepmark_core::gas::Schedule;

use crate::evidence;

/// Bytes of host stack: wasmtime may take some for each call of the program.
const STACK: usize = 1 << 30;
/// Stops in each call: in most calls half of the instructions.
const STOPS_OF_A_CALL: u64 = 60;
/// Differences of states after which no further module is tried.
const MOST_DIFFERENCES: u64 = 20;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How many random modules, half of them of wasm-smith
    #[arg(long, default_value_t = 1_000)]
    modules: u64,
    /// How many stops at which states are compared, in as many random modules as that takes
    #[arg(long, default_value_t = 5_000)]
    stops: u64,
    /// The first seed
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Write the figures to this file
    #[arg(long)]
    json: Option<std::path::PathBuf>,
    /// Write the figure to docs/evidence.md
    #[arg(long)]
    evidence: bool,
}

/// A row of the table: what was compared, under which schedule.
struct Row {
    name: String,
    schedule: String,
    figures: Figures,
    differences: u64,
    /// What wasmtime does not take: modules, and calls of those.
    refused: (u64, u64),
}

/// Runs `work` on a stack that is large enough.
fn spawn<'s, T: Send + 's>(
    scope: &'s std::thread::Scope<'s, '_>,
    work: impl FnOnce() -> Result<T> + Send + 's,
) -> Result<std::thread::ScopedJoinHandle<'s, Result<T>>> {
    Ok(std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, work)?)
}

fn joined<T>(thread: std::thread::ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    thread.join().unwrap_or_else(|_| Err(anyhow!("an oracle panicked")))
}

pub(crate) fn run(args: &Args) -> Result<bool> {
    let start = Instant::now();
    let (rows, states) = std::thread::scope(|scope| -> Result<_> {
        let default = spawn(scope, || gas(args, &Schedule::default()))?;
        let others = spawn(scope, || Ok((gas(args, &distinct()?)?, states(args)?)))?;
        let mut rows = joined(default)?;
        let (more, states) = joined(others)?;
        rows.extend(more);
        Ok((rows, states))
    })?;
    let seconds = start.elapsed().as_secs();
    let table = table(&rows);
    print!("{table}");
    let mut all = Figures::default();
    rows.iter().for_each(|row| all.add(&row.figures));
    let differences = rows.iter().map(|row| row.differences).sum::<u64>() + states.1;
    let figure = figure(&all, &states.0, seconds, differences);
    if let Some(path) = &args.json {
        let figures = json!({ "gas": json(&rows), "state": state_json(&states.0), "differences": differences });
        std::fs::write(path, format!("{figures:#}\n")).with_context(|| path.display().to_string())?;
    }
    println!("{figure}");
    if args.evidence {
        evidence::record("Oracles from outside", &evidence::command_line(), &table, &figure)?;
    }
    Ok(differences == 0 && rows.iter().all(|row| row.figures.returned > 0) && states.0.stops >= args.stops)
}

fn figure(gas: &Figures, state: &state::Figures, seconds: u64, differences: u64) -> String {
    format!(
        "oracles: in {seconds} s, gas is fuel in {} modules ({} calls that returned and {} that trapped cost the same, {} that \
         trapped elsewhere no less, {} left out; {} gas, {} bytes, pages and elements); states are equal at {} stops in {} \
         modules ({} frames, {} values, {} MB of memories; {} instructions in {} calls, {} left out); {differences} differences",
        gas.modules,
        gas.returned,
        gas.trapped_exact,
        gas.trapped,
        gas.left_out,
        gas.gas,
        gas.counted,
        state.stops,
        state.modules,
        state.frames,
        state.values,
        state.bytes / 1_000_000,
        state.instructions,
        state.calls,
        state.left_out,
    )
}

fn state_json(figures: &state::Figures) -> serde_json::Value {
    json!({
        "modules": figures.modules, "calls": figures.calls, "instructions": figures.instructions, "stops": figures.stops,
        "frames": figures.frames, "values": figures.values, "bytes": figures.bytes, "left_out": figures.left_out,
    })
}

/// Everything under one schedule.
fn gas(args: &Args, schedule: &Schedule) -> Result<Vec<Row>> {
    let oracle = GasOracle::new(schedule)?;
    let name = schedule.name();
    let mut rows = vec![random(args, &oracle, name)?];
    for suite in Suite::ALL {
        rows.push(specification(compare_suite(&oracle, suite)?, suite, name));
    }
    rows.push(programs("sample programs", name, compare_samples(&oracle)));
    rows.push(programs("benchmark programs", name, compare_benchmarks(&oracle)));
    Ok(rows)
}

/// Random modules of both generators; a difference is printed with its seed.
fn random(args: &Args, oracle: &GasOracle, schedule: &str) -> Result<Row> {
    let mut row = Row::new("random modules", schedule);
    for seed in args.seed..args.seed + args.modules {
        let Some(module) = random_module(seed)? else { continue };
        match caught(|| oracle.compare(&module, seed, 3)) {
            Ok(figures) => row.figures.add(&figures),
            Err(error) => row.differs(&format!("seed {seed}: {error:#}")),
        }
    }
    Ok(row)
}

/// A module of one of the generators.
fn random_module(seed: u64) -> Result<Option<Vec<u8>>> {
    Ok(match seed % 2 {
        0 => Some(wat::parse_str(random_program(seed)).with_context(|| format!("seed {seed}"))?),
        _ => smith_module(seed, seed % 4 != 3),
    })
}

/// Compares states in random modules until there have been enough stops; and how many differences there were.
fn states(args: &Args) -> Result<(state::Figures, u64)> {
    let oracle = StateOracle::new()?;
    let (mut figures, mut differences) = (state::Figures::default(), 0);
    let mut seed = args.seed;
    while figures.stops < args.stops && differences < MOST_DIFFERENCES {
        if let Some(module) = random_module(seed)? {
            match caught(|| oracle.compare(&module, seed, STOPS_OF_A_CALL)) {
                Ok(one) => figures.add(&one),
                Err(error) => {
                    println!("state, seed {seed}: {error:#}");
                    differences += 1;
                }
            }
        }
        seed += 1;
    }
    Ok((figures, differences))
}

fn specification(figures: SuiteFigures, suite: Suite, schedule: &str) -> Row {
    let mut row = Row::new(&format!("suite {}", suite.name()), schedule);
    figures.differences.iter().for_each(|line| row.differs(line));
    row.refused = (figures.refused, figures.unknown);
    row.figures = figures.gas;
    row
}

fn programs(name: &str, schedule: &str, figures: Result<Figures>) -> Row {
    let mut row = Row::new(name, schedule);
    match figures {
        Ok(figures) => row.figures = figures,
        Err(error) => row.differs(&format!("{error:#}")),
    }
    row
}

impl Row {
    fn new(name: &str, schedule: &str) -> Self {
        let (name, schedule) = (name.to_owned(), schedule.to_owned());
        Self { name, schedule, figures: Figures::default(), differences: 0, refused: (0, 0) }
    }

    fn differs(&mut self, line: &str) {
        println!("{} under {}: {line}", self.name, self.schedule);
        self.differences += 1;
    }
}

fn table(rows: &[Row]) -> String {
    let mut text = String::from(
        "| what | schedule | modules | returned, equal | trapped, equal | trapped, not more | left out | refused by wasmtime: \
         modules, calls | gas for instructions | amounts | gas by the unit |\n\
         | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |\n",
    );
    for Row { name, schedule, figures: f, refused, .. } in rows {
        let by_unit: Vec<String> = f.by_unit.iter().map(|(row, gas)| format!("{row} {gas}")).collect();
        text.push_str(&format!(
            "| {name} | {schedule} | {} | {} | {} | {} | {} | {}, {} | {} | {} | {} |\n",
            f.modules,
            f.returned,
            f.trapped_exact,
            f.trapped,
            f.left_out,
            refused.0,
            refused.1,
            f.gas,
            f.counted,
            by_unit.join(", ")
        ));
    }
    text
}

fn json(rows: &[Row]) -> serde_json::Value {
    let row = |row: &Row| {
        let f = &row.figures;
        json!({
            "what": row.name, "schedule": row.schedule, "modules": f.modules, "returned": f.returned,
            "trapped_exact": f.trapped_exact, "trapped": f.trapped, "left_out": f.left_out, "gas": f.gas,
            "counted": f.counted, "by_unit": f.by_unit, "differences": row.differences,
            "refused_modules": row.refused.0, "refused_calls": row.refused.1,
        })
    };
    rows.iter().map(row).collect()
}
