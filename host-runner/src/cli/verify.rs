//! `verify`: is a chain what its program leads to.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::Value;
use stepmark_core::gas::Schedule;

use crate::cli::reply::Reply;
use crate::cli::words::program_and_place;
use crate::cli::{OutputArgs, print};
use crate::console::{Console, Verbosity};
use crate::flags::{BoundFlags, EngineFlags, FileFlags};
use crate::interrupt::on_ctrl_c;
use stepmark_runner::chain::ChainFiles;
use stepmark_runner::failure::{Failure, Result};
use stepmark_runner::foreign::{self, ForeignKind};
use stepmark_runner::job::rerun::{JobFiles, Rerun};
use stepmark_runner::named_output::{OutputKind, check_output_if_named, write_output};
use stepmark_runner::strict;
use stepmark_runner::terminal;
use stepmark_runner::verify::{self, Claim, Expected, SegmentExecutor, Step, Verdict, Verification, VerifyOptions};

/// Names that are shown of those that are not covered.
const MOST_NAMES: usize = 16;

/// What the chain is expected to claim.
#[derive(Clone, Debug, Default, clap::Args)]
struct ExpectedFlags {
    /// The BLAKE3 hash that the program must have
    #[arg(long, value_name = "HASH")]
    expect_program: Option<String>,
    /// The entry and arguments that it must have been called with, with a space between two
    #[arg(long, value_name = "TEXT")]
    expect_args: Option<String>,
    /// The result that it must have come to, as the claim shows it: values, "exit code N", or the message of the trap
    #[arg(long, value_name = "TEXT")]
    expect_result: Option<String>,
    /// The hash that the last snapshot must have
    #[arg(long, value_name = "HASH")]
    expect_head: Option<String>,
    /// What the chain must claim: an object with any of the members of "claim" that --json prints; of an object in it, any
    /// of its members
    #[arg(long, value_name = "FILE.json")]
    claim: Option<PathBuf>,
}

impl ExpectedFlags {
    fn read(&self) -> Result<Expected> {
        let mut beside = Vec::new();
        let members = self.claim.as_deref().map(|path| {
            let text = foreign::read(path, ForeignKind::Text)?;
            let wrong = |what: String| Failure::data(format!("{}: {what}", path.display()));
            match strict::parse(&text).map_err(|error| wrong(error.to_string()))? {
                Value::Object(mut object) => match object.remove("claim") {
                    Some(Value::Object(claim)) if !claim.is_empty() => {
                        beside.extend(object.into_iter().map(|(name, _)| name));
                        Ok(claim)
                    }
                    None if !object.is_empty() => Ok(object),
                    _ => Err(wrong("promises nothing: expected members of a claim".to_owned())),
                },
                _ => Err(wrong("expected a JSON object".to_owned())),
            }
        });
        let members = members.transpose()?.unwrap_or_default();
        Ok(Expected {
            program: self.expect_program.clone(),
            call: self.expect_args.clone(),
            result: self.expect_result.clone(),
            head: self.expect_head.clone(),
            members,
            beside,
        })
    }
}

/// Arguments of `verify`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct VerifyArgs {
    /// The program, where it is not found by its hash in DIR, beside DIR, in the working directory or where the run had it; and the directory of the
    /// chain
    #[arg(value_name = "[PROGRAM] DIR", required = true, num_args = 1..=2)]
    words: Vec<String>,
    /// The program, as another way to name it
    #[arg(long, value_name = "FILE")]
    program: Option<String>,
    #[command(flatten)]
    expected: ExpectedFlags,
    /// Take this snapshot on trust and start from it [default: 0, the start of the run]
    #[arg(long, value_name = "A", default_value_t = 0, hide_default_value = true)]
    from: u64,
    /// Stop at this snapshot [default: the end of the run]
    #[arg(long, value_name = "B")]
    to: Option<u64>,
    /// Workers [default: as many as there are processors]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: Option<u16>,
    #[command(flatten)]
    engine: EngineFlags,
    /// Execute with the module in this file, such as an older release's: the one that the chain's receipt names
    #[arg(long, value_name = "FILE.wasm", conflicts_with_all = ["engine", "tier"])]
    module: Option<PathBuf>,
    #[command(flatten)]
    bounds: BoundFlags,
    /// Compare the files that the program left behind, too: where they were delivered to
    #[arg(long, value_name = "DIR")]
    delivered: Option<PathBuf>,
    /// Write a page with all verdicts
    #[arg(short = 'o', long, value_name = "FILE.html")]
    report: Option<PathBuf>,
    #[command(flatten)]
    files: FileFlags,
    #[command(flatten)]
    output: VerdictArgs,
}

/// How much to say of a verdict, and in which form.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
struct VerdictArgs {
    /// Print one JSON object on standard output: the claim, the verdict and every segment; the words go to standard error
    #[arg(long)]
    json: bool,
    /// Print only what is wrong: nothing of a chain that is right
    #[arg(short, long, conflicts_with = "verbose")]
    quiet: bool,
    /// Print every segment, those that are right too, and the gas schedule
    #[arg(short, long)]
    verbose: bool,
}

impl From<VerdictArgs> for OutputArgs {
    fn from(VerdictArgs { json, quiet, verbose }: VerdictArgs) -> Self {
        Self { json, quiet, verbose }
    }
}

pub(super) fn execute(args: &VerifyArgs) -> Result<Reply> {
    let stop = on_ctrl_c();
    let expected = args.expected.read()?;
    // Before anything takes long.
    check_output_if_named(args.report.as_deref(), OutputKind::Page)?;
    let (program, dir) = program_and_place(&args.words, args.program.as_deref())?;
    let dir = Path::new(dir);
    let mut chain = ChainFiles::open(dir)?;
    chain.check_readable()?;
    let shown = dir.display().to_string();
    let Some(job) = chain.job.clone() else {
        return Err(chain.without_a_job());
    };
    chain.check_begins_by(args.from)?;
    let schedule = (job.schedule.name.clone(), stepmark_state::encoding::hex(&job.schedule.hash));
    let foreign = Schedule::builtin(&schedule.0).is_none();
    let claim = Claim::of(&chain, &job, args.to);
    expected.check(&claim, dir)?;
    let files = JobFiles::find(&job, program, &args.files.given()?, dir)?;
    let rerun = Rerun::new(job, &files, dir);
    let executor = match &args.module {
        Some(path) => SegmentExecutor::from_file(path, dir)?,
        None => SegmentExecutor::Own(args.engine.engine()),
    };
    let options = VerifyOptions {
        from: args.from,
        to: args.to,
        jobs: args.jobs.map_or_else(processors, usize::from),
        executor,
        delivered: args.delivered.clone(),
        bounds: args.bounds.bounds(),
    };
    let bar = progress_bar(&chain, &options, OutputArgs::from(args.output).verbosity());
    let found = verify::verify(&mut chain, &rerun, claim, &options, &stop, &mut |step| advance(&bar, step));
    bar.finish_and_clear();
    let found = found?;
    if let Some(path) = &args.report {
        write_output(path, OutputKind::Page, verify::html(&found, &shown, &options.executor).as_bytes())?;
    }
    let schedule = format!("schedule {:?} with BLAKE3 hash {}", schedule.0, schedule.1);
    say(&found, args, Some(schedule).filter(|_| foreign || args.output.verbose), &options.executor)?;
    let code = found.conclusion().exit_code();
    Ok(if args.output.json { Reply::object(code, found.object(&shown, &options.executor)) } else { code.into() })
}

fn processors() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Says what was found: one line each for what is wrong (with --verbose for every segment), and one in the end.
fn say(found: &Verification, args: &VerifyArgs, schedule: Option<String>, executor: &SegmentExecutor) -> Result<()> {
    let verbosity = OutputArgs::from(args.output).verbosity();
    let console = Console::new(verbosity, args.output.json);
    let line = |text: &str| -> Result<()> {
        if !args.output.json {
            return print(text);
        }
        console.note(text);
        Ok(())
    };
    if verbosity > Verbosity::Quiet {
        line("claim:")?;
        found.claim.lines().iter().try_for_each(|(name, text)| line(&format!("  {name:<9} {text}")))?;
    }
    found.faults.iter().try_for_each(|fault| line(&format!("fault: {fault}")))?;
    found.given_up.iter().try_for_each(|what| line(&format!("given up: {what}")))?;
    for checked in &found.segments {
        if checked.verdict == Verdict::Same && !args.output.verbose {
            continue;
        }
        let (from, to, name) = (checked.segment.from, checked.segment.target(), checked.verdict.name());
        let details = checked.verdict.details().join("; ");
        let colon = if details.is_empty() { "" } else { ": " };
        line(&format!("segment {from} -> {to}: {name}{colon}{details}"))?;
    }
    if verbosity == Verbosity::Quiet {
        return Ok(());
    }
    if !found.not_covered.is_empty() {
        line(&format!("not covered, and read by nothing: {}", listed(&found.not_covered)))?;
    }
    schedule.map_or(Ok(()), |schedule| line(&schedule))?;
    line(&found.proves(executor))?;
    let (same, all, faults) = (found.count("same"), found.segments.len(), found.faults.len());
    let seconds = found.time.as_secs_f64();
    let verdict = found.verdict();
    let faults = match faults {
        0 => "no fault of files".to_owned(),
        1 => "1 fault of files".to_owned(),
        _ => format!("{faults} faults of files"),
    };
    let workers = if found.jobs == 1 { "1 worker".to_owned() } else { format!("{} workers", found.jobs) };
    let what = if all == 0 { "no snapshot yet".to_owned() } else { format!("{same} of {all} segments are the same") };
    line(&format!("{verdict}: {what}, {faults}, {seconds:.1} s with {workers}"))
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
