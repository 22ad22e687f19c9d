//! `bench`: how fast a program runs on this machine, in the node's two forms and directly on wasmtime. The engines take
//! turns, so that what else the machine does falls on all of them alike.

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

/// What is measured, in the order of the table.
const RUNNERS: [(&str, Option<Engine>); 4] = [
    ("Stepmark (wasm)", Some(Engine::Wasm(TierChoice::Register))),
    ("Stepmark (native)", Some(Engine::Native)),
    ("Stepmark (compiled)", Some(Engine::Wasm(TierChoice::Compiled))),
    ("wasmtime", None),
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
    is_metered: bool,
    runs: Vec<BenchRun>,
}

impl Measured {
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
    let mut all = RUNNERS.map(|(name, engine)| Measured { name, is_metered: engine.is_some(), runs: Vec::new() });
    for _ in 0..args.rounds {
        for (measured, (_, engine)) in all.iter_mut().zip(RUNNERS) {
            measured.runs.push(match engine {
                Some(engine) => run_node(engine, &job, &stop)?,
                None => run_reference(&job)?,
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

fn run_reference(job: &JobSpec) -> Result<BenchRun> {
    let job = reference::ReferenceJob::new(job);
    let began = Instant::now();
    let outcome = reference::run(job)?;
    let whole = began.elapsed();
    let values: Vec<String> = outcome.values.iter().map(ToString::to_string).collect();
    let text = format!("exit code {}, values ({})", outcome.end.exit_code(), values.join(" "));
    Ok(BenchRun { load: whole.saturating_sub(outcome.time), run: outcome.time, gas: 0, outcome: text })
}

/// A measurement of wrong results would be worth nothing.
fn same_outcome(all: &[Measured]) -> Result<()> {
    let runs: Vec<(&str, &BenchRun)> = all.iter().flat_map(|one| one.runs.iter().map(|run| (one.name, run))).collect();
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
        let gas_rate = if one.is_metered { rate(gas) } else { "-".to_owned() };
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
            "gas_per_second": one.is_metered.then(|| stepmark_runner::node::sink::rate(gas, run) as u64),
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
        Measured { name, is_metered: false, runs: runs.iter().map(run).collect() }
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
