//! `bench`: how fast a program runs on this machine, in each form of the node and directly on wasmtime, as the reference and by itself. The
//! engines take turns, so that what else the machine does falls on all of them alike.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use stepmark_session::spec::JobSpec;

use crate::cli::reply::Reply;
use crate::console::{self, Console, Verbosity};
use crate::flags::{ConfigFlags, JobFlags};
use crate::interrupt::on_ctrl_c;
use stepmark_runner::failure::{Failure, IO, MISMATCH, Result};
use stepmark_runner::interrupt::Interrupt;
use stepmark_runner::node::drive;
use stepmark_runner::node::driver::{self, Driver, Ready};
use stepmark_runner::node::engine::{Engine, TierChoice};
use stepmark_runner::node::external::Nobody;
use stepmark_runner::node::runner_report::nanoseconds;
use stepmark_runner::reference;
use stepmark_runner::terminal::print_lines;

/// A schedule by which gas counts executed instructions, without those that only structure code.
const ONE_EACH: &str = "*,1\nblock,0\nloop,0\nelse,0\nend,0\nnop,0\n";

/// Arguments of `bench`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct BenchArgs {
    #[command(flatten)]
    config: ConfigFlags,
    /// How often each engine runs the program
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Print one JSON object instead of the table
    #[arg(long)]
    json: bool,
    /// The program, the export to call (for a module without `_start`), and its arguments
    #[arg(value_name = "PROGRAM [ENTRY] [ARGS]", required = true, num_args = 1.., trailing_var_arg = true)]
    words: Vec<String>,
}

impl BenchArgs {
    fn job(&self, config: ConfigFlags) -> Result<JobSpec> {
        JobFlags { config, ..JobFlags::default() }.job(&self.words)
    }
}

/// What runs the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BenchEngine {
    Node(Engine),
    /// wasmtime, with every NaN the canonical one.
    Reference,
    /// wasmtime as it is. What it comes to is not compared: a NaN may have other bits.
    Plain,
}

/// What is measured, in the order of the table; ratios are over the last.
const ENGINES: [(&str, BenchEngine); 5] = [
    ("Stepmark (wasm)", BenchEngine::Node(Engine::Wasm(TierChoice::Register))),
    ("Stepmark (native)", BenchEngine::Node(Engine::Native)),
    ("Stepmark (compiled)", BenchEngine::Node(Engine::Wasm(TierChoice::Compiled))),
    ("wasmtime, same NaNs", BenchEngine::Reference),
    ("wasmtime", BenchEngine::Plain),
];

/// A run of the program.
struct BenchRun {
    /// Reading, validating and, on wasmtime, compiling.
    load: Duration,
    /// From the first instruction to the last.
    run: Duration,
    /// Gas, where the engine counts any.
    gas: u64,
    /// What the program came to, to be compared: exit code and returned values.
    outcome: String,
}

/// All runs on one engine.
struct Measured {
    name: &'static str,
    engine: BenchEngine,
    runs: Vec<BenchRun>,
}

impl Measured {
    fn is_metered(&self) -> bool {
        matches!(self.engine, BenchEngine::Node(_))
    }

    /// The shortest time: what the engine takes when nothing else disturbs it.
    fn shortest(&self, part: impl Fn(&BenchRun) -> Duration) -> Duration {
        self.runs.iter().map(part).min().unwrap_or_default()
    }

    fn median(&self) -> Duration {
        let mut times: Vec<Duration> = self.runs.iter().map(|run| run.run).collect();
        times.sort();
        times.get(times.len() / 2).copied().unwrap_or_default()
    }
}

pub(super) fn execute(args: &BenchArgs) -> Result<Reply> {
    let stop = on_ctrl_c();
    let instructions = count_instructions(args, &stop)?;
    let job = args.job(args.config.clone())?;
    let mut all = ENGINES.map(|(name, engine)| Measured { name, engine, runs: Vec::new() });
    for _ in 0..args.rounds {
        for measured in &mut all {
            measured.runs.push(match measured.engine {
                BenchEngine::Node(engine) => run_node(engine, &job, &stop)?,
                BenchEngine::Reference => run_reference(&job, true)?,
                BenchEngine::Plain => run_reference(&job, false)?,
            });
        }
    }
    same_outcome(&all)?;
    let gas = all[0].runs[0].gas;
    if args.json {
        return Ok(Reply::object(0, object(gas, instructions, &all)));
    }
    print_lines(&table(gas, instructions, &all))?;
    Ok(0.into())
}

/// Executed instructions: the gas of a run in which each costs 1.
fn count_instructions(args: &BenchArgs, stop: &Interrupt) -> Result<u64> {
    let file =
        tempfile::NamedTempFile::new().map_err(|error| Failure::new(IO, format!("a temporary file: {error}")))?;
    fs::write(file.path(), ONE_EACH).map_err(|error| Failure::io(file.path(), &error))?;
    let gas_schedule = Some(utf8(file.path())?.to_owned());
    let job = args.job(ConfigFlags { gas_schedule, ..args.config.clone() })?;
    Ok(run_node(Engine::Native, &job, stop)?.gas)
}

fn utf8(path: &Path) -> Result<&str> {
    path.to_str().ok_or_else(|| Failure::new(IO, format!("{}: the path is not UTF-8", path.display())))
}

/// Runs the job on the module to its end and throws away what it writes, but for the result.
fn run_node(engine: Engine, job: &JobSpec, stop: &Interrupt) -> Result<BenchRun> {
    let mut node = engine.start()?;
    let mut console = Console::new(Verbosity::Normal, true);
    let began = Instant::now();
    drive::load(node.as_mut(), job, &mut console, stop)?;
    let load = began.elapsed();
    let began = Instant::now();
    let mut nobody = Nobody;
    let mut driver = Driver::new(node.as_mut(), &mut nobody, stop);
    while let Ready::Snapshot(_) = driver.run(&mut |node| node.drop_output())? {
        driver::drop_files(driver.node)?;
    }
    // The program is compiled when it first runs.
    let compiling = node.compiled_work().compiling;
    let (load, run) = (load + compiling, began.elapsed().saturating_sub(compiling));
    let values = node.result()?.map(|result| result.printed_values()).unwrap_or_default().join(" ");
    let outcome = format!("exit code {}, values ({values})", node.exit_code()?);
    Ok(BenchRun { load, run, gas: node.progress()?.gas_total, outcome })
}

fn run_reference(job: &JobSpec, canonical_nans: bool) -> Result<BenchRun> {
    let job = reference::ReferenceJob { canonical_nans, ..reference::ReferenceJob::new(job) };
    let began = Instant::now();
    let outcome = reference::run(job)?;
    let whole = began.elapsed();
    let values: Vec<String> = outcome.values.iter().map(ToString::to_string).collect();
    let text = format!("exit code {}, values ({})", outcome.end.exit_code(), values.join(" "));
    Ok(BenchRun { load: whole.saturating_sub(outcome.time), run: outcome.time, gas: 0, outcome: text })
}

/// A measurement of wrong results would be worth nothing.
fn same_outcome(all: &[Measured]) -> Result<()> {
    let compared = all.iter().filter(|one| one.engine != BenchEngine::Plain);
    let runs: Vec<(&str, &BenchRun)> = compared.flat_map(|one| one.runs.iter().map(|run| (one.name, run))).collect();
    let (first_name, first) = runs[0];
    match runs.iter().find(|(_, run)| run.outcome != first.outcome) {
        Some((name, run)) => Err(Failure::new(MISMATCH, "the engines came to different results")
            .caused_by(format!("{first_name}: {}", first.outcome))
            .caused_by(format!("{name}: {}", run.outcome))
            .help("run --check-reference says what differs; a program that looks at the clock may well differ")),
        None => Ok(()),
    }
}

fn table(gas: u64, instructions: u64, all: &[Measured]) -> String {
    let mut lines = vec![
        format!(
            "{} instructions, {} gas, {}",
            console::amount(instructions),
            console::amount(gas),
            all[0].runs[0].outcome
        ),
        format!(
            "{:<19} {:>12} {:>12} {:>12} {:>10} {:>16} {:>16}",
            "", "load", "run", "median", "wasmtime x", "instructions/s", "gas/s"
        ),
    ];
    let plain = all.last().map_or(0.0, |plain| plain.shortest(|run| run.run).as_secs_f64());
    lines.extend(all.iter().map(|one| {
        let run = one.shortest(|run| run.run);
        let rate = |count| format!("{:.1} M", stepmark_runner::node::sink::rate(count, run) / 1e6);
        let gas_rate = if one.is_metered() { rate(gas) } else { "-".to_owned() };
        let (load, median) = (one.shortest(|run| run.load), one.median());
        let [load, time, median] = [load, run, median].map(|time| format!("{:.3} ms", time.as_secs_f64() * 1e3));
        let ratio = format!("{:.2}", run.as_secs_f64() / plain);
        let rate = rate(instructions);
        format!("{:<19} {load:>12} {time:>12} {median:>12} {ratio:>10} {rate:>16} {gas_rate:>16}", one.name)
    }));
    lines.join("\n")
}

fn object(gas: u64, instructions: u64, all: &[Measured]) -> Value {
    let engine = |one: &Measured| {
        let run = one.shortest(|run| run.run);
        // Rates for people: whole numbers are fine enough.
        json!({
            "engine": one.name,
            "load_ns": nanoseconds(one.shortest(|run| run.load)),
            "run_ns": nanoseconds(run),
            "run_median_ns": nanoseconds(one.median()),
            "instructions_per_second": stepmark_runner::node::sink::rate(instructions, run) as u64,
            "gas_per_second": one.is_metered().then(|| stepmark_runner::node::sink::rate(gas, run) as u64),
        })
    };
    json!({
        "instructions": instructions,
        "gas": gas,
        "outcome": all[0].runs[0].outcome,
        "rounds": all[0].runs.len(),
        "engines": all.iter().map(engine).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(name: &'static str, runs: &[(u64, &str)]) -> Measured {
        let run = |&(millis, outcome): &(u64, &str)| BenchRun {
            load: Duration::ZERO,
            run: Duration::from_millis(millis),
            gas: 0,
            outcome: outcome.to_owned(),
        };
        Measured { name, engine: BenchEngine::Reference, runs: runs.iter().map(run).collect() }
    }

    #[test]
    fn rates_follow_the_shortest_run() {
        let runs = [(30, "same"), (10, "same"), (20, "same")];
        let object = object(5, 1_000_000, &[measured("one", &runs)]);
        assert_eq!(object["engines"][0]["instructions_per_second"], 100_000_000);
        assert_eq!(object["engines"][0]["run_median_ns"], 20_000_000);
        assert_eq!(object["engines"][0]["gas_per_second"], Value::Null);
    }

    #[test]
    fn different_results_are_no_measurement() {
        let all =
            [measured("one", &[(1, "exit code 0, values (5)")]), measured("two", &[(1, "exit code 0, values (6)")])];
        let failure = same_outcome(&all).expect_err("they differ");
        assert_eq!(failure.code(), MISMATCH);
    }
}
