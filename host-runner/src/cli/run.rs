//! `run`: a program from the start or from a snapshot, through the node.

use std::path::{Path, PathBuf};

use clap::{Arg, Command};
use serde_json::json;
use stepmark_session::report::{ReturnedValue, RunOutcome, RunResult};
use stepmark_session::spec::{JobSpec, ResumeFrom, SnapshotName};
use stepmark_session::values::ValKind;
use stepmark_state::encoding::hex;

use crate::cli::reply::Reply;
use crate::cli::{OutputArgs, help, place, print, trapped};
use crate::console::{self, Console};
use crate::flags::{EngineFlags, JobFlags};
use crate::interrupt::on_ctrl_c;
use crate::kept;
use crate::piped;
use crate::units;
use stepmark_runner::ask::imports;
use stepmark_runner::chain::durable::{OutputDir, Replace, same_directory};
use stepmark_runner::chain::snapshot_ref::SnapshotRef;
use stepmark_runner::failure::{Failure, MISMATCH, Result};
use stepmark_runner::interrupt::Interrupt;
use stepmark_runner::node::drive::{self, RunOptions, Summary};
use stepmark_runner::node::embedded_module;
use stepmark_runner::node::engine::{CompiledWork, Engine, ModuleSession};
use stepmark_runner::node::kept::MOST_KEPT;
use stepmark_runner::node::output::Output;
use stepmark_runner::node::receipt::Runner;
use stepmark_runner::node::runner_report;
use stepmark_runner::node::sink::Sink;
use stepmark_runner::node::supply::Supply;
use stepmark_runner::reference::{self, Comparison};
use stepmark_runner::store::{ReadWriteSet, RunStore, decode_set, read_set};
use stepmark_runner::terminal::quoted;
use stepmark_runner::verify::{as_text, readable};

/// What compiled code has done, if there was any.
fn compiled_line(work: &CompiledWork, gas: u64) -> Option<String> {
    let CompiledWork { funcs, turns, left, .. } = work;
    let share = 100.0 * work.gas as f64 / gas.max(1) as f64;
    let seconds = work.compiling.as_secs_f64();
    (*funcs > 0).then(|| {
        let functions = if *funcs == 1 { "function" } else { "functions" };
        format!("compiled code: {funcs} {functions} in {seconds:.1} s, {share:.1} % of the gas in {turns} turns, {left} of which were left early")
    })
}

/// Arguments of `run`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    pub(super) job: JobFlags,
    #[command(flatten)]
    pub(super) engine: EngineFlags,
    /// Run the program on wasmtime too, fed with the same clock and random answers, and name what differs
    #[arg(long)]
    pub(super) check_reference: bool,
    /// Directory for the files that the program leaves behind, when it ends normally
    #[arg(long, value_name = "DIR")]
    pub(super) deliver: Option<PathBuf>,
    /// Replace snapshots of this job that are in the output directory already and that this run would write anew
    #[arg(long)]
    pub(super) overwrite: bool,
    /// Print integers that the entry returns without a sign
    #[arg(long, hide_short_help = true)]
    pub(super) unsigned: bool,
    /// Most bytes of the program's output that receipt.json keeps, both streams together: 0 keeps none
    #[arg(long, value_name = "BYTES", value_parser = output_bytes, default_value = "1MiB")]
    pub(super) keep_output: u64,
    /// The command was `resume`.
    #[arg(skip)]
    pub(super) is_resume: bool,
    #[command(flatten)]
    pub(super) output: OutputArgs,
    /// The program, the export to call (for a module without `_start`), and its arguments
    #[arg(value_name = "PROGRAM [ENTRY] [ARGS]", required = true, num_args = 1.., trailing_var_arg = true)]
    pub(super) words: Vec<String>,
}

/// A size that a receipt has room for.
fn output_bytes(text: &str) -> std::result::Result<u64, String> {
    let bytes = units::number(text)?;
    if bytes <= MOST_KEPT {
        Ok(bytes)
    } else {
        Err(format!("a receipt has room for at most {MOST_KEPT} bytes of output"))
    }
}

pub(super) fn execute(args: &RunArgs) -> Result<Reply> {
    hints(&args.words)?;
    if args.check_reference && args.job.snapshot_input.is_some() {
        let failure = Failure::usage("--check-reference needs a run from the start: the reference cannot resume");
        return Err(failure.help("leave --snapshot-input out"));
    }
    let (mut job, piped) = job(args)?;
    let contract = &args.job.config.contract;
    let mut store = RunStore::of(args.job.store(), args.job.config.contract.wait, &mut job)?;
    let stop = on_ctrl_c();
    let engine = args.engine.running_engine();
    let mut console = console_of(args, engine);
    if job.resume.is_none() && imports::any(&job, &["clock_time_get", "poll_oneoff"]) {
        console.watch_clock(job.clock_rate.unwrap_or(1));
    }
    if let Some(ResumeFrom { dir, id }) = &job.resume {
        SnapshotRef::new(dir, *id).start()?.iter().for_each(|what| console.note(what));
        if piped::is_left_unread(&job) {
            console.warning("standard input is not read: the run goes on with the one that it began with");
        }
    }
    let mut node = engine.start()?;
    load(node.as_mut(), &job, piped.as_deref(), &mut console, &stop)?;

    let (hash, is_wanted) = (node.job_hash()?, place::asks_for_files(&args.job));
    let path = place::directory(&job, &hash);
    let out = is_wanted.then(|| OutputDir::open(Path::new(&path))).transpose()?;
    let from_pause = out.as_ref().is_some_and(|out| starts_from_pause(&job, out.path()));
    if let Some(out) = &out {
        make_room(args, node.as_mut(), out, from_pause, &mut console)?;
        kept::keep(&job, piped.as_deref(), out.path())?;
    }
    let make = || place::for_state(&path, &hash, &job, piped.as_deref());
    let mut output = out.as_ref().map_or_else(|| Output::only_state(&make), Output::Into);
    let runner = Runner { engine, refill: Some(job.gas_refill) };
    let (keep_answers, deliver, kept) = (args.check_reference, args.deliver.clone(), place::files_of(&job));
    let keep_output = args.keep_output;
    let options = RunOptions { runner, from_pause, keep_answers, deliver, kept, keep_output, leave: None };
    let ran = drive::run(node.as_mut(), &mut output, &mut console, &stop, &mut store, options);
    console.finish();
    let summary = ran?;
    compiled_line(&node.compiled_work(), summary.gas_used).iter().for_each(|line| console.detail(line));
    drop(node);
    let set = store.database.as_ref().filter(|_| summary.exit_code == 0);
    let set = set.map(|_| read_and_written(&summary, Path::new(&path))).transpose()?;
    if let (Some(set), Some(store)) = (&set, store.database.filter(|_| !contract.no_commit)) {
        let version = store.commit(set)?;
        console.note(&format!("committed: the store is at version {version}"));
    }
    let contract_result = set.map(|set| set.result).filter(|result| !result.is_empty());
    let output = output.path();
    let closing = Closing { job: &job, piped, summary: &summary, runner, contract_result, output, path: &path };
    closing.say(args, console)
}

/// The console of a run, on which it says what it will be.
fn console_of(args: &RunArgs, engine: Engine) -> Console {
    let mut console = Console::new(args.output.verbosity(), args.output.json);
    if args.check_reference {
        console.keep_copies();
    }
    console.detail(&format!("module {} ({engine} engine, {} tier)", embedded_module::node_hash(), engine.tier()));
    misplaced(&args.words).iter().for_each(|what| console.note(what));
    console
}

/// What a run has read of its store and wants to write.
fn read_and_written(summary: &Summary, dir: &Path) -> Result<ReadWriteSet> {
    match &summary.read_write_set {
        Some(bytes) => decode_set(bytes, "the run's read and write set"),
        None => read_set(&dir.join("rwset.bin")),
    }
}

/// What a run came to.
struct Closing<'a> {
    job: &'a JobSpec,
    /// Its standard input, where that was piped in.
    piped: Option<Vec<u8>>,
    summary: &'a Summary,
    /// What ran it.
    runner: Runner,
    /// What its contract returned, if that is anything.
    contract_result: Option<Vec<u8>>,
    /// Where its files are.
    output: Option<String>,
    /// Where they would be.
    path: &'a str,
}

impl Closing<'_> {
    /// Says it, and compares the run with the reference where that is wanted.
    fn say(&self, args: &RunArgs, mut console: Console) -> Result<Reply> {
        let Self { job, summary, runner, .. } = *self;
        print_values(summary, args.unsigned, args.output)?;
        let printed = self.contract_result.iter().filter(|_| !args.output.json);
        printed.map(|result| readable(result)).try_for_each(|result| print(&result))?;
        let backtrace = trapped::backtrace(summary, Some(job));
        trapped::say(&backtrace, &console);
        let output_dir = self.output.as_deref();
        say_closing(summary, output_dir, &file_flags(args), &console);
        trapped::say_further(summary, self.path, args.job.keep_final, &file_flags(args), &console);
        let comparison = if args.check_reference { compare(self, &mut console)? } else { None };
        let mut object = runner_report::run_object(summary, output_dir, runner);
        object["backtrace"] = json!(backtrace);
        if let Some(result) = &self.contract_result {
            object["contract_result"] = json!({ "hex": hex(result), "text": as_text(result) });
        }
        if let Some(comparison) = &comparison {
            object["reference"] = comparison.object();
        }
        match comparison {
            Some(comparison) if !comparison.differences.is_empty() => Err(mismatch(&comparison).with_details(object)),
            _ if args.output.json => Ok(Reply::object(summary.exit_code, object)),
            _ => Ok(summary.exit_code.into()),
        }
    }
}

/// Refuses a program that is a directory, or is not there but nearly has a command's name.
fn hints(words: &[String]) -> Result<()> {
    if let Some(dir) = words.first().filter(|program| Path::new(program).is_dir()) {
        let failure = Failure::usage(format!("{dir}: is a directory, expected a program"));
        let dir = quoted(dir);
        return Err(failure.help(format!("a chain in it: stepmark verify {dir}, or: stepmark resume {dir}")));
    }
    let Some(program) = words.first().filter(|program| !Path::new(program).exists()) else { return Ok(()) };
    if program.is_empty() {
        return Err(Failure::usage("the program's name is empty").help("stepmark run PROGRAM [ENTRY] [ARGS]"));
    }
    let command = help::command();
    let names = command.get_subcommands().flat_map(|sub| std::iter::once(sub.get_name()).chain(sub.get_all_aliases()));
    let near = names.map(|name| (strsim::osa_distance(name, program), name)).min();
    match near {
        Some((0, name)) => {
            let failure = Failure::usage(format!("{name}: is a command, and its flags stand after it"));
            Err(failure.help(format!("say: stepmark {name} ... and then the flags")))
        }
        Some((distance @ 1..=2, name)) if distance * 3 <= name.len() => {
            let failure = Failure::usage(format!("{program}: there is no such program, and no such command"));
            Err(failure.help(format!("did you mean: stepmark {name}?")))
        }
        _ if program.chars().all(|letter| letter.is_ascii_lowercase()) => {
            let failure = Failure::usage(format!("{program}: no such file"));
            Err(failure.help("if a command was meant: stepmark --help names them"))
        }
        _ => Ok(()),
    }
}

/// A line for each of our flags that stands after the program, where it is the program's.
fn misplaced(words: &[String]) -> Vec<String> {
    let command = help::command();
    let flags: Vec<&str> =
        command.find_subcommand("run").into_iter().flat_map(Command::get_opts).filter_map(Arg::get_long).collect();
    let given = words.iter().skip(1).take_while(|word| *word != "--").filter_map(|word| word.strip_prefix("--"));
    let ours = given.map(|flag| flag.split('=').next().unwrap_or(flag)).filter(|flag| flags.contains(flag));
    let note =
        |flag| format!("note: --{flag} after the program is the program's; for Stepmark it stands before the program");
    let is_dashes = words.get(1).is_some_and(|word| word == "--");
    let dashes = is_dashes.then(|| "note: -- after the program is its first argument; none is needed there".to_owned());
    ours.map(note).chain(dashes).collect()
}

/// The job, and what was piped into the command as its standard input.
pub(super) fn job(args: &RunArgs) -> Result<(JobSpec, Option<Vec<u8>>)> {
    // What is wrong with the flags is said before anybody waits for a pipe.
    let mut job = args.job.job(&args.words)?;
    let piped = piped::read(&mut job)?;
    Ok((job, piped))
}

/// Loads a job with what was piped in.
pub(super) fn load(
    node: &mut dyn ModuleSession,
    job: &JobSpec,
    piped: Option<&[u8]>,
    console: &mut Console,
    stop: &Interrupt,
) -> Result<()> {
    let mut supply = Supply::default();
    piped.into_iter().for_each(|bytes| supply.bytes(piped::NAME, bytes));
    let loaded = drive::load_supplied(node, job, supply, console, stop);
    loaded.map_err(|failure| imports::explained(failure, job))
}

/// Makes the output directory ready for a loaded run, and says what becomes of what was there.
fn make_room(
    args: &RunArgs,
    node: &mut dyn ModuleSession,
    out: &OutputDir,
    from_pause: bool,
    console: &mut Console,
) -> Result<()> {
    let (job_hash, start_id) = (node.job_hash()?, node.start_id()?);
    if start_id == 0
        && let Some(place) = out.set_aside(&job_hash, &mut || drive::described(node))?
    {
        let (dir, place) = (out.path(), out.path().join(place));
        console.note(&format!("what another job left in {} is in {} now", dir.display(), place.display()));
    }
    let moves_aside = args.job.snapshot_input.is_some() && !args.is_resume;
    let done = out.prepare(&job_hash, start_id, from_pause, replace(args.overwrite, moves_aside))?;
    done.iter().for_each(|what| console.note(what));
    let goes_on_here = args.is_resume
        && args.job.snapshot_input.as_ref().is_some_and(|from| same_directory(Path::new(from), out.path()));
    if goes_on_here && !from_pause && !args.overwrite && !args.job.keep_final {
        out.check_not_ended()?;
    }
    Ok(())
}

/// What becomes of snapshots that are there already: a run by the module's own flags that goes on from another directory does
/// what those flags have always done, but loses nothing.
pub(super) fn replace(overwrite: bool, moves_aside: bool) -> Replace {
    match (overwrite, moves_aside) {
        (true, _) => Replace::Remove,
        (false, true) => Replace::MoveAside,
        (false, false) => Replace::Refuse,
    }
}

/// Whether the run starts from the pause in its own output directory.
pub(super) fn starts_from_pause(job: &JobSpec, out: &Path) -> bool {
    let from = job.resume.as_ref().filter(|from| from.id == SnapshotName::Paused);
    from.is_some_and(|from| same_directory(Path::new(&from.dir), out))
}

/// Runs the reference with what the module recorded. None when the run has no outcome to compare yet.
fn compare(closing: &Closing, console: &mut Console) -> Result<Option<Comparison>> {
    let summary = closing.summary;
    if summary.interrupted() || summary.at_gas_limit() {
        console.warning("nothing to compare with the reference: the program has not ended");
        return Ok(None);
    }
    let [stdout, stderr] = console.take_copies();
    let mut job = reference::ReferenceJob::new(closing.job);
    job.piped.clone_from(&closing.piped);
    job.answers = Some(summary.answers.clone());
    let expected = reference::run(job)?;
    let comparison = reference::compare(summary, &stdout, &stderr, &expected);
    if comparison.differences.is_empty() {
        console.note("reference: same outcome, values, output and exit code");
    }
    Ok(Some(comparison))
}

fn mismatch(comparison: &Comparison) -> Failure {
    let what = "Stepmark and the reference (wasmtime) differ";
    let failure = comparison.differences.iter().fold(Failure::new(MISMATCH, what), Failure::caused_by);
    let by_nature = |call: &String| format!("may differ between the two by nature: {call}");
    comparison.by_nature.iter().map(by_nature).fold(failure, Failure::caused_by)
}

/// Prints what the entry returned on standard output, a value a line; with `--json` the object says it.
pub(super) fn print_values(summary: &Summary, unsigned: bool, output: OutputArgs) -> Result<()> {
    let finished = summary.result.iter().filter(|result| result.outcome == RunOutcome::Finished && !output.json);
    let values = finished.flat_map(|result| &result.values);
    values.map(|value| if unsigned { value.to_string() } else { signed(value) }).try_for_each(|value| print(&value))
}

/// A value as most programs mean it: integers with their sign.
pub(super) fn signed(value: &ReturnedValue) -> String {
    let bits = value.bits;
    match value.kind {
        ValKind::I32 => u32::try_from(bits).map_or_else(|_| value.to_string(), |bits| bits.cast_signed().to_string()),
        ValKind::I64 => u64::try_from(bits).map_or_else(|_| value.to_string(), |bits| bits.cast_signed().to_string()),
        _ => value.to_string(),
    }
}

/// The flags that name the job's files to other commands; none where they find them, beside the directory or in the working
/// directory, by the name that the job has for them.
fn file_flags(args: &RunArgs) -> String {
    let program = args.words.first().filter(|program| program.contains(['/', '\\']));
    let inputs = &args.job.config.inputs;
    let flags = [
        ("--program", &program.cloned().into_iter().collect::<Vec<_>>()),
        ("--preload", &inputs.preload),
        ("--file", &inputs.file),
        ("--dir", &inputs.dir),
        ("--contract", &args.job.config.contract.contract),
    ];
    let flags = flags.iter().flat_map(|(flag, values)| values.iter().map(move |value| (flag, value)));
    flags.map(|(flag, value)| format!(" {flag} {}", quoted(value))).collect()
}

/// Says what the run came to, in a line or two. Where the state is that a run was stopped in, is said to whoever wants quiet too.
pub(super) fn say_closing(summary: &Summary, output_dir: Option<&str>, again: &str, console: &Console) {
    if let Some(dir) = output_dir.filter(|_| summary.interrupted()) {
        let resume = format!("go on with: stepmark resume {}{again}", quoted(dir));
        match to_be_done_before(dir) {
            None => console.insist(&format!("interrupted: the state is in {dir}; {resume}")),
            Some(first) => {
                console.insist(&format!("interrupted: the state is in {dir}"));
                console.insist(&format!("  first: {first}"));
                console.insist(&format!("  then {resume}"));
            }
        }
        return console.note(&format!("  {}", figures(summary)));
    }
    let outcome = summary.result.as_ref().map_or_else(|| "no result".to_owned(), outcome);
    console.note(&match output_dir {
        Some(dir) => format!("{outcome}, {}, results in {dir}", figures(summary)),
        None => format!("{outcome}, {}", gas_figures(summary)),
    });
    if let Some(dir) = output_dir.filter(|_| summary.at_gas_limit()) {
        let first = to_be_done_before(dir);
        if let Some(first) = &first {
            console.insist(&format!("  first: {first}"));
        }
        let then = if first.is_some() { "then " } else { "" };
        console.note(&format!("  {then}go on with: stepmark resume {}{again}", quoted(dir)));
    }
}

/// What is to be done before a run can go on in a directory that holds only the end of its chain.
fn to_be_done_before(dir: &str) -> Option<String> {
    let failure = SnapshotRef::parse(dir).and_then(|place| place.start()).err();
    failure.as_ref().and_then(Failure::help_text).map(str::to_owned)
}

/// How a run ended, in words.
fn outcome(result: &RunResult) -> String {
    let status = result.outcome.status();
    match &result.outcome {
        RunOutcome::GasLimit => "stopped at the gas limit".to_owned(),
        RunOutcome::Trapped(report) => {
            let detail = report.detail.as_ref().map_or_else(String::new, |detail| format!(": {detail}"));
            format!("status {status} ({}{detail})", report.trap.message())
        }
        RunOutcome::Finished | RunOutcome::Exited(_) => format!("status {status}"),
    }
}

pub(super) fn figures(summary: &Summary) -> String {
    let count = summary.snapshots.len();
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} snapshot{plural}, {}", gas_figures(summary))
}

fn gas_figures(summary: &Summary) -> String {
    let rate = console::per_second(stepmark_runner::node::sink::rate(summary.gas_used, summary.time));
    format!("{} gas, {rate}", console::amount(summary.gas_used))
}
