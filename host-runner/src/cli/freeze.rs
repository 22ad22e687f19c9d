//! `freeze`: run a program, and move the node that runs it into a file: its linear memory, with which it goes on in any
//! runtime (docs/migration.md).

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::cli::reply::Reply;
use crate::cli::{OutputArgs, place, run, trapped};
use crate::console::{Console, Verbosity};
use crate::interrupt::on_ctrl_c;
use crate::kept;
use crate::units;
use stepmark_runner::chain::durable::OutputDir;
use stepmark_runner::failure::{Failure, Result};
use stepmark_runner::interrupt::Interrupt;
use stepmark_runner::node::drive::{self, Leave, RunOptions, Summary};
use stepmark_runner::node::embedded_module;
use stepmark_runner::node::engine::{Engine, ModuleSession};
use stepmark_runner::node::external::Nobody;
use stepmark_runner::node::frozen;
use stepmark_runner::node::kept::KEPT;
use stepmark_runner::node::output::Output;
use stepmark_runner::node::receipt::Runner;
use stepmark_runner::node::runner_report;
use stepmark_runner::node::sandbox::WasmNode;
use stepmark_runner::node::sink::Sink;
use stepmark_runner::terminal::quoted;
use stepmark_session::spec::JobSpec;

/// Arguments of `freeze`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct FreezeArgs {
    /// Where to write the frozen module
    #[arg(id = "frozen", value_name = "FILE")]
    pub(super) file: PathBuf,
    /// Freeze once the program has used so much gas since its beginning [default: at Ctrl-C]
    #[arg(long, value_name = "GAS", value_parser = units::number)]
    pub(super) after: Option<u64>,
    #[command(flatten)]
    pub(super) run: run::RunArgs,
}

pub(super) fn execute(args: &FreezeArgs) -> Result<Reply> {
    let run = &args.run;
    refuse(run)?;
    frozen::check_place(&args.file)?;
    let (mut job, piped) = run::job(run)?;
    let stop = on_ctrl_c();
    let mut console = Console::new(run.output.verbosity(), run.output.json);
    if job.snapshot_output.is_none() {
        // Whoever thaws the module has no other name for the job's own directory.
        job.snapshot_output = Some(own_directory(&job, piped.as_deref(), &stop)?);
    }
    let mut node = WasmNode::embedded()?;
    node.set_tier(run.engine.engine().tier())?;
    run::load(&mut node, &job, piped.as_deref(), &mut console, &stop)?;
    let (hash, is_wanted) = (node.job_hash()?, place::asks_for_files(&run.job));
    let path = place::directory(&job, &hash);
    let out = is_wanted.then(|| OutputDir::open(Path::new(&path))).transpose()?;
    let from_pause = out.as_ref().is_some_and(|out| run::starts_from_pause(&job, out.path()));
    if let Some(out) = &out {
        let done = out.prepare(&hash, node.start_id()?, from_pause, run::replace(run.overwrite, false))?;
        done.iter().for_each(|what| console.note(what));
        kept::keep(&job, piped.as_deref(), out.path())?;
    }
    let make = || place::for_state(&path, &hash, &job, piped.as_deref());
    let out = out.as_ref().map_or_else(|| Output::only_state(&make), Output::Into);
    let to = Some(Freezing { file: &args.file, after: args.after });
    Moving {
        node,
        job: Some(&job),
        out,
        console,
        output: run.output,
        unsigned: run.unsigned,
        from_pause,
        refill: Some(job.gas_refill),
        deliver: run.deliver.clone(),
        to,
    }
    .go_on(&stop)
}

/// The directory of a job that names none: its hash is known once it was loaded, and what is frozen has to know it before.
fn own_directory(job: &JobSpec, piped: Option<&[u8]>, stop: &Interrupt) -> Result<String> {
    let mut node = Engine::Native.start()?;
    run::load(node.as_mut(), job, piped, &mut Console::new(Verbosity::Quiet, false), stop)?;
    Ok(place::directory(job, &node.job_hash()?))
}

/// Refuses what a frozen module could not go on with elsewhere.
fn refuse(run: &run::RunArgs) -> Result<()> {
    let contract = &run.job.config.contract;
    let (flag, why) = match () {
        () if run.engine.engine() == Engine::Native => {
            ("--engine native", "only a module that runs as wasm has a memory to move")
        }
        () if run.check_reference => ("--check-reference", "the reference does not stop in the middle"),
        () if contract.store.is_some() => ("--store", "nobody would answer for the store where the module is thawed"),
        () if !contract.contract.is_empty() => ("--contract", "nobody would answer for the store of the contracts"),
        () => return Ok(()),
    };
    Err(Failure::usage(format!("{flag} does not go with freeze: {why}"))
        .help("write a pause with Ctrl-C and use resume"))
}

/// Where and when a module is frozen.
#[derive(Clone, Copy)]
pub(super) struct Freezing<'a> {
    pub(super) file: &'a Path,
    pub(super) after: Option<u64>,
}

/// A module that is ready to run, here or on.
pub(super) struct Moving<'a> {
    pub(super) node: WasmNode,
    /// Its job; none of one that was thawed, which names no files.
    pub(super) job: Option<&'a JobSpec>,
    pub(super) out: Output<'a>,
    pub(super) console: Console,
    pub(super) output: OutputArgs,
    /// Print integers without a sign.
    pub(super) unsigned: bool,
    /// The run starts from the pause in its output directory.
    pub(super) from_pause: bool,
    /// Whether the gas is refilled; none where nobody knows.
    pub(super) refill: Option<bool>,
    pub(super) deliver: Option<PathBuf>,
    pub(super) to: Option<Freezing<'a>>,
}

impl Moving<'_> {
    /// Runs the module to the end, or until it is to be frozen, and freezes it then.
    pub(super) fn go_on(mut self, stop: &Interrupt) -> Result<Reply> {
        self.console.detail(&format!("module {} (wasm engine)", embedded_module::node_hash()));
        let runner = Runner { engine: Engine::Wasm(self.node.tier()), refill: self.refill };
        let leave = self.to.map(|to| Leave { after: to.after });
        let options = RunOptions {
            runner,
            from_pause: self.from_pause,
            keep_answers: false,
            deliver: self.deliver.clone(),
            kept: self.job.map_or_else(Vec::new, place::files_of),
            keep_output: KEPT,
            leave,
        };
        let ran = drive::run(&mut self.node, &mut self.out, &mut self.console, stop, &mut Nobody, options);
        self.console.finish();
        let summary = ran?;
        if summary.result.is_none() && !summary.left && !summary.interrupted() {
            return Err(Failure::data("the module ends without a result: it has no run, or one that had ended before"));
        }
        let frozen = match self.to {
            Some(to) if summary.left => Some(self.freeze(to.file, &summary).or_else(|failure| self.save(failure))?),
            Some(to) => {
                self.console.note(&format!("the run ended first: {} was not written", to.file.display()));
                None
            }
            None => None,
        };
        let output_dir = self.out.path();
        let backtrace = trapped::backtrace(&summary, self.job);
        if frozen.is_none() {
            run::print_values(&summary, self.unsigned, self.output)?;
            trapped::say(&backtrace, &self.console);
            run::say_closing(&summary, output_dir.as_deref(), "", &self.console);
        }
        if self.output.json {
            let mut object = runner_report::run_object(&summary, output_dir.as_deref(), runner);
            object["frozen"] = frozen.unwrap_or_default();
            object["backtrace"] = json!(backtrace);
            return Ok(Reply::object(summary.exit_code, object));
        }
        Ok(summary.exit_code.into())
    }

    /// Writes a pause in place of the file that could not be written.
    fn save(&mut self, failure: Failure) -> Result<Value> {
        let out = self.out.make()?;
        drive::pause(&mut self.node, out, self.refill)?;
        let shown = out.path().display().to_string();
        let resume = format!("stepmark resume {}", quoted(&shown));
        Err(failure.help(format!("the state is in {shown} all the same; go on with: {resume}")))
    }

    /// Writes the module's memory into `file`; what `--json` says about it.
    fn freeze(&self, file: &Path, summary: &Summary) -> Result<Value> {
        let memory = self.node.memory_image();
        let bytes = frozen::write(file, memory)?;
        let shown = file.display().to_string();
        self.console.note(&format!(
            "frozen: {shown}, {bytes} bytes of a memory of {}; go on with: stepmark thaw {}",
            memory.len(),
            quoted(&shown)
        ));
        let place = self.out.path().map_or_else(String::new, |path| format!(", in {path}"));
        self.console.note(&format!("  {}{place}", run::figures(summary)));
        Ok(json!({ "file": shown, "bytes": bytes, "memory_bytes": memory.len() }))
    }
}
