//! `verify`: is a chain what its program leads to.

use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use stepmark_core::gas::Schedule;

use crate::cli::{OutputArgs, print};
use crate::console::{Console, Verbosity};
use crate::flags::{FileFlags, engines};
use crate::interrupt::on_ctrl_c;
use stepmark_runner::chain::ChainFiles;
use stepmark_runner::chain::durable;
use stepmark_runner::failure::{Failure, MISMATCH, Result};
use stepmark_runner::job::rerun::{JobFiles, Rerun};
use stepmark_runner::node::engine::Engine;
use stepmark_runner::terminal;
use stepmark_runner::verify::{self, SegmentExecutor, Step, Verdict, Verification, VerifyOptions};

/// Names that are shown of those that are not covered.
const MOST_NAMES: usize = 16;

/// Arguments of `verify`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct VerifyArgs {
    /// The program
    program: String,
    /// Directory of the chain
    #[arg(value_name = "DIR")]
    chain: PathBuf,
    /// Take this snapshot on trust and start from it [default: 0, the start of the run]
    #[arg(long, value_name = "A", default_value_t = 0)]
    from: u64,
    /// Stop at this snapshot [default: the end of the run]
    #[arg(long, value_name = "B")]
    to: Option<u64>,
    /// Workers [default: as many as there are processors]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: Option<u16>,
    /// How the module runs: as wasm in wasmtime, or the same code natively
    #[arg(long, value_parser = engines(), default_value = "wasm")]
    engine: Engine,
    /// Execute with the module in this file, such as an older release's: the one that the chain's receipt names
    #[arg(long, value_name = "FILE.wasm", conflicts_with = "engine")]
    module: Option<PathBuf>,
    /// Compare the files that the program left behind, too: where they were delivered to
    #[arg(long, value_name = "DIR")]
    delivered: Option<PathBuf>,
    /// Write a page with all verdicts
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
    #[command(flatten)]
    files: FileFlags,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) fn execute(args: &VerifyArgs) -> Result<i32> {
    let stop = on_ctrl_c()?;
    let mut chain = ChainFiles::open(&args.chain)?;
    let shown = args.chain.display().to_string();
    let Some(job) = chain.job.clone() else {
        let failure = Failure::data(format!("{shown}: holds no snapshot that can be read"));
        let failure = chain.faults.values().flatten().fold(failure, Failure::caused_by);
        return Err(failure.help("a run without snapshots is verified by running it again"));
    };
    let schedule = (job.schedule.name.clone(), stepmark_state::encoding::hex(&job.schedule.hash));
    let foreign = Schedule::builtin(&schedule.0).is_none();
    let files = JobFiles::find(&job, Some(&args.program), &args.files.given()?, &args.chain)?;
    let rerun = Rerun::new(job, &files, &args.chain);
    let executor = match &args.module {
        Some(path) => SegmentExecutor::from_file(path, &args.chain)?,
        None => SegmentExecutor::Own(args.engine),
    };
    let options = VerifyOptions {
        from: args.from,
        to: args.to,
        jobs: args.jobs.map_or_else(processors, usize::from),
        executor,
        delivered: args.delivered.clone(),
    };
    let bar = progress_bar(&chain, &options, args.output.verbosity());
    let found = verify::verify(&mut chain, &rerun, &options, &stop, &mut |step| advance(&bar, step));
    bar.finish_and_clear();
    let found = found?;
    if let Some(path) = &args.report {
        durable::replace(path, verify::html(&found, &shown, &options.executor).as_bytes())?;
    }
    if args.output.json {
        let mut object = found.object(&shown, &options.executor);
        object["schedule"] = serde_json::json!({ "name": schedule.0, "hash": schedule.1 });
        print(&object.to_string())?;
    }
    let schedule = format!("schedule {:?} with BLAKE3 hash {}", schedule.0, schedule.1);
    say(&found, args, Some(schedule).filter(|_| foreign || args.output.verbose))?;
    Ok(if found.is_right() { 0 } else { MISMATCH })
}

fn processors() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Says what was found: one line each for what is wrong (with --verbose for every segment), and one in the end.
fn say(found: &Verification, args: &VerifyArgs, schedule: Option<String>) -> Result<()> {
    let console = Console::new(args.output.verbosity(), args.output.json);
    let line = |text: &str| -> Result<()> {
        if !args.output.json {
            return print(text);
        }
        console.note(text);
        Ok(())
    };
    for fault in &found.faults {
        line(&format!("fault: {fault}"))?;
    }
    for checked in &found.segments {
        if checked.verdict == Verdict::Same && !args.output.verbose {
            continue;
        }
        let (from, to, name) = (checked.segment.from, checked.segment.target(), checked.verdict.name());
        let details = checked.verdict.details().join("; ");
        let colon = if details.is_empty() { "" } else { ": " };
        line(&format!("segment {from} -> {to}: {name}{colon}{details}"))?;
    }
    if args.output.verbosity() == Verbosity::Quiet {
        return Ok(());
    }
    if !found.not_covered.is_empty() {
        line(&format!("not covered, and read by nothing: {}", listed(&found.not_covered)))?;
    }
    schedule.map_or(Ok(()), |schedule| line(&schedule))?;
    let trust = match found.from {
        0 => String::new(),
        id => format!(" (snapshot {id} is taken on trust)"),
    };
    let (same, all, faults) = (found.count("same"), found.segments.len(), found.faults.len());
    let seconds = found.time.as_secs_f64();
    let verdict = if found.is_right() { "right" } else { "NOT right" };
    let workers = if found.jobs == 1 { "1 worker".to_owned() } else { format!("{} workers", found.jobs) };
    line(&format!(
        "{verdict}: {same} of {all} segments are the same, {faults} faults of files, {seconds:.1} s with {workers}{trust}"
    ))
}

/// The first of many names.
fn listed(names: &[String]) -> String {
    let mut shown: Vec<String> = names.iter().take(MOST_NAMES).map(|name| format!("{name:?}")).collect();
    if let Some(more) = names.len().checked_sub(MOST_NAMES).filter(|more| *more > 0) {
        shown.push(format!("and {more} more"));
    }
    shown.join(", ")
}

/// A bar over the gas of all segments.
fn progress_bar(chain: &ChainFiles, options: &VerifyOptions, verbosity: Verbosity) -> ProgressBar {
    let visible = verbosity > Verbosity::Quiet && terminal::is_watched();
    let target = if visible { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let to = options.to.unwrap_or(u64::MAX);
    let gas = chain.links.iter().filter(|(id, _)| options.from < **id && **id <= to);
    let gas = gas.map(|(_, link)| link.segment.gas_used).fold(0, u64::saturating_add);
    let bar = ProgressBar::with_draw_target(Some(gas), target);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {percent}% {msg} [{elapsed}, {eta} left]") {
        bar.set_style(style);
    }
    bar.set_message("checking hashes");
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

fn advance(bar: &ProgressBar, step: Step) {
    match step {
        Step::Hashed(bytes) => bar.set_message(format!("checked a .bin of {bytes} bytes")),
        Step::Executed(gas) => {
            bar.set_message("executing");
            bar.inc(gas);
        }
    }
}
