//! Driving a node: hand over the files it asks for, run it slice by slice, write what it has ready, and stop cleanly when
//! the user wants it. The node decides what is in the files; this module decides when and how they reach the disk.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use stepmark_session::output_file::OutputFile;
use stepmark_session::report::{RunOutcome, RunResult};
use stepmark_session::spec::JobSpec;
use stepmark_snapshot::snap;

use crate::came_from;
use crate::chain::durable::{OutputDir, PAUSE_NOTE};
use crate::claimed_job::{self, ClaimedJob};
use crate::failure::{Failure, INTERRUPTED, IO, Result};
use crate::interrupt::Interrupt;
use crate::node::deliver;
use crate::node::driver::{Driver, Reached};
use crate::node::engine::ModuleSession;
use crate::node::external::Responder;
use crate::node::kept::KeptOutput;
use crate::node::output::Output;
use crate::node::receipt::{self, Runner};
use crate::node::sink::{self, Sink};
use crate::node::supply::Supply;

/// Longest receipt that is held in memory to add to it; a longer one is written as it is.
const RECEIPT_MAX: usize = 16 << 20;

/// Snapshots after which it is said, once, that there may be fewer.
const MANY: usize = 1_000;

/// What a run came to.
#[derive(Debug, Default)]
pub struct Summary {
    /// Exit code of the process.
    pub exit_code: i32,
    /// Gas that this run used; a resumed one counts from where it started.
    pub gas_used: u64,
    /// Gas of the program since its beginning.
    pub gas_total: u64,
    /// Gas limit of a segment.
    pub gas_limit: u64,
    /// Gas that the stepper ran, of `gas_used`.
    pub gas_stepped: u64,
    /// Time that the run took, without loading.
    pub time: Duration,
    /// The snapshots that were written, in order.
    pub snapshots: Vec<Snapshot>,
    /// What the run came to; none when it has not ended.
    pub result: Option<RunResult>,
    /// Contents of `receipt.json` as the module wrote it; none when the run was interrupted.
    pub receipt: Option<serde_json::Value>,
    /// Contents of `rwset.bin` of a run with a store whose files go nowhere.
    pub read_write_set: Option<Vec<u8>>,
    /// Recorded clock and random answers, when they were asked for.
    pub answers: Vec<u8>,
    /// The run was left as [`RunOptions::leave`] asks: its state is in the node and nowhere else.
    pub left: bool,
}

/// A snapshot that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Its id.
    pub id: u64,
    /// Gas of the program up to it.
    pub gas: u64,
    /// Bytes of its `.snap`.
    pub snap_bytes: u64,
    /// Bytes of its `.bin`.
    pub bin_bytes: u64,
}

/// How to run.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// What the receipt says about the runner.
    pub runner: Runner,
    /// The run starts from a pause in the output directory, which goes once it is overtaken.
    pub from_pause: bool,
    /// Keep the recorded answers.
    pub keep_answers: bool,
    /// Where the files go that the program leaves behind.
    pub deliver: Option<PathBuf>,
    /// Files that they may not replace: those of the job.
    pub kept: Vec<PathBuf>,
    /// Most bytes of the program's output that the receipt keeps.
    pub keep_output: u64,
    /// Stop without a pause on disk.
    pub leave: Option<Leave>,
}

/// When a run is left with its state in the node only, which is then frozen: when the user wants it to stop, or earlier.
#[derive(Clone, Copy, Debug, Default)]
pub struct Leave {
    /// Once the program has used so much gas since its beginning.
    pub after: Option<u64>,
}

/// Loads a job and gives the node every file that it asks for.
///
/// # Errors
/// The node's, exit code 74 for a file that cannot be read, 130 when the user stops it.
pub fn load(node: &mut dyn ModuleSession, job: &JobSpec, sink: &mut dyn Sink, stop: &Interrupt) -> Result<()> {
    load_supplied(node, job, Supply::default(), sink, stop)
}

/// As [`load`], with the files that `supply` has.
///
/// # Errors
/// As those of [`load`].
pub fn load_supplied(
    node: &mut dyn ModuleSession,
    job: &JobSpec,
    mut supply: Supply,
    sink: &mut dyn Sink,
    stop: &Interrupt,
) -> Result<()> {
    job.warnings.iter().for_each(|warning| sink.warning(warning));
    // Said here, whatever runs the job.
    let job = &JobSpec { warnings: Vec::new(), ..Supply::with_inputs_apart(job) };
    node.load(job)?;
    supply.modules_of(job);
    if let Some(resume) = &job.resume {
        supply.chain(resume.dir.as_str());
    }
    supply.feed(node, stop)?;
    forward_messages(node, sink)
}

/// Runs a loaded job to its end, to its limit, or until the user stops it, and writes its files.
///
/// # Errors
/// The node's, and exit code 74 for what cannot be written.
pub fn run(
    node: &mut dyn ModuleSession,
    out: &mut Output<'_>,
    sink: &mut dyn Sink,
    stop: &Interrupt,
    responder: &mut dyn Responder,
    options: RunOptions,
) -> Result<Summary> {
    if options.keep_answers {
        node.record_answers()?;
    }
    let gas_before = node.progress()?.gas_total;
    let job = out.dir().map_or(Ok(Value::Null), |_| described(node))?;
    let driver = Driver::new(node, responder, stop);
    let started = Instant::now();
    let kept = KeptOutput::new(options.keep_output);
    let summary = Summary::default();
    let mut run = RunUnderWay { driver, out, sink, stop, options, gas_before, started, summary, job, kept };
    let finished = run.until_the_end()?;
    if !finished && run.options.leave.is_none() {
        run.pause()?;
    }
    run.close(finished)
}

/// A run under way.
struct RunUnderWay<'a, 'b> {
    driver: Driver<'a>,
    out: &'a mut Output<'b>,
    sink: &'a mut dyn Sink,
    stop: &'a Interrupt,
    options: RunOptions,
    gas_before: u64,
    started: Instant,
    summary: Summary,
    /// The job, as the receipt has it.
    job: Value,
    /// What the program has written.
    kept: KeptOutput,
}

impl RunUnderWay<'_, '_> {
    /// Runs until the job is finished (true), or the user stops it or it is to be left (false).
    fn until_the_end(&mut self) -> Result<bool> {
        // Whoever froze a node may have left files in it.
        self.write_files()?;
        let until = self.options.leave.and_then(|leave| leave.after).unwrap_or(u64::MAX);
        loop {
            match self.advance(until)? {
                Reached::End => {
                    self.write_files()?;
                    self.deliver()?;
                    return Ok(true);
                }
                Reached::Snapshot(id) => self.snapshot(id)?,
                Reached::Gas | Reached::Interrupted => return Ok(false),
            }
        }
    }

    /// Runs to the next snapshot, to the end, or until the program has used `until` gas, and shows how far it has come.
    fn advance(&mut self, until: u64) -> Result<Reached> {
        let Self { driver, sink, options, gas_before, started, summary, kept, .. } = self;
        driver.run_until(until, &mut |node| {
            forward(node, *sink, options, summary, kept)?;
            let progress = node.progress()?;
            let used = progress.gas_total.saturating_sub(*gas_before);
            sink.progress(&progress, sink::rate(used, started.elapsed()));
            Ok(())
        })
    }

    /// Delivers the files that the program left behind, if somebody wants them.
    fn deliver(&mut self) -> Result<()> {
        let Some(directory) = &self.options.deliver else { return Ok(()) };
        let count = deliver::deliver(self.driver.node, directory, &self.options.kept, self.stop)?;
        self.sink.detail(&format!("{count} files delivered to {}", directory.display()));
        Ok(())
    }

    /// Writes the files of snapshot `id`.
    fn snapshot(&mut self, id: u64) -> Result<()> {
        // It has been paid for, whether anybody expected it or not.
        self.out.make()?;
        let mut snapshot = Snapshot { id, gas: self.driver.node.progress()?.gas_total, snap_bytes: 0, bin_bytes: 0 };
        for (file, size) in self.write_files()? {
            match file {
                OutputFile::Snap(_) => snapshot.snap_bytes = size,
                OutputFile::Bin(_) => snapshot.bin_bytes = size,
                OutputFile::Calls(_)
                | OutputFile::ReadWriteSet
                | OutputFile::ReadWriteSetText
                | OutputFile::Result
                | OutputFile::Receipt => {}
            }
        }
        let Snapshot { gas, snap_bytes, bin_bytes, .. } = snapshot;
        self.sink.detail(&format!("snapshot {id}: {gas} gas, .snap {snap_bytes} bytes, .bin {bin_bytes} bytes"));
        self.summary.snapshots.push(snapshot);
        if self.summary.snapshots.len() == MANY {
            let limit = self.driver.node.progress()?.gas_limit;
            self.sink.warning(&format!(
                "{MANY} snapshots were written, one each {limit} gas: a larger --gas-limit writes fewer files"
            ));
        }
        Ok(())
    }

    /// Writes the state outside the chain.
    fn pause(&mut self) -> Result<()> {
        self.options.from_pause = false;
        let made = self.out.make().and_then(|out| pause(self.driver.node, out, self.options.runner.refill));
        made.map_err(|failure| failure.caused_by("the run was stopped, and where it stood could not be kept"))
    }

    /// Writes every file that the node has ready, and returns them with their sizes.
    fn write_files(&mut self) -> Result<Vec<(OutputFile, u64)>> {
        let mut written = Vec::new();
        while let Some(file) = self.driver.node.next_file()? {
            let size = match (file, self.out.dir()) {
                (OutputFile::Receipt, _) => self.write_receipt(file)?,
                (_, Some(out)) => write_file(self.driver.node, out, file)?,
                (_, None) => self.keep_no_file(file)?,
            };
            written.push((file, size));
        }
        if let Some(out) = self.out.dir().filter(|_| self.options.from_pause && !written.is_empty()) {
            out.retire_pause()?;
            self.options.from_pause = false;
        }
        Ok(written)
    }

    /// Lets go of a file that nobody has asked for, but for what is to be committed to a store; its size.
    fn keep_no_file(&mut self, file: OutputFile) -> Result<u64> {
        if file != OutputFile::ReadWriteSet {
            self.driver.node.drop_file()?;
            return Ok(0);
        }
        let set = self.driver.node.take_all()?;
        let size = set.len() as u64;
        self.summary.read_write_set = Some(set);
        Ok(size)
    }

    /// Writes the receipt with what the runner says about itself; the node's `result` object stays as it is.
    fn write_receipt(&mut self, file: OutputFile) -> Result<u64> {
        let (text, rest) = self.read_text(RECEIPT_MAX)?;
        if rest {
            return self.write_text(file, &text, rest);
        }
        self.summary.receipt = serde_json::from_str(&text).ok();
        let of_run = self.summary.receipt.as_ref().map_or(&Value::Null, |receipt| &receipt["result"]);
        let output = self.kept.object(of_run);
        let members =
            [(claimed_job::JOB, Some(&self.job).filter(|job| job.is_object())), (receipt::OUTPUT, output.as_ref())];
        let members = members.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let text = members.fold(text, |text, (name, value)| receipt::with_member(&text, name, value));
        let RunOptions { runner, kept, .. } = &self.options;
        let folders = self.out.dir().map_or_else(Vec::new, |dir| came_from::folders(kept, dir.path()));
        let text = receipt::with_runner(&text, runner, &folders, self.started.elapsed());
        self.write_text(file, &text, rest)
    }

    /// The start of the file that is being taken, as text, and whether more of it follows.
    fn read_text(&mut self, most: usize) -> Result<(String, bool)> {
        let mut all = Vec::new();
        let mut chunk = Vec::new();
        loop {
            let more = self.driver.node.take_chunk(&mut chunk)?;
            all.append(&mut chunk);
            if !more || all.len() > most {
                let text = String::from_utf8(all);
                let text = text.map_err(|_| Failure::new(IO, "the module wrote a text that is not UTF-8"))?;
                return Ok((text, more));
            }
        }
    }

    /// Writes `text`, and with `rest` what follows it in the file that is being taken.
    fn write_text(&mut self, file: OutputFile, text: &str, rest: bool) -> Result<u64> {
        let Some(out) = self.out.dir() else {
            if rest {
                self.driver.node.drop_file()?;
            }
            return Ok(0);
        };
        let mut file = out.create(&file.to_string())?;
        file.write(text.as_bytes())?;
        let mut chunk = Vec::new();
        let mut more = rest;
        while more {
            more = self.driver.node.take_chunk(&mut chunk)?;
            file.write(&chunk)?;
        }
        file.commit()
    }

    /// The figures of the run.
    fn close(mut self, finished: bool) -> Result<Summary> {
        forward(self.driver.node, self.sink, &self.options, &mut self.summary, &mut self.kept)?;
        let progress = self.driver.node.progress()?;
        if finished {
            self.summary.result = self.driver.node.result()?;
        }
        self.summary.left = !finished && self.options.leave.is_some();
        self.summary.exit_code = match finished {
            true => self.driver.node.exit_code()?,
            false if self.summary.left && !self.stop.is_requested() => 0,
            false => INTERRUPTED,
        };
        self.summary.gas_total = progress.gas_total;
        self.summary.gas_used = progress.gas_total.saturating_sub(self.gas_before);
        self.summary.gas_limit = progress.gas_limit;
        self.summary.gas_stepped = progress.gas_stepped;
        self.summary.time = self.started.elapsed();
        Ok(self.summary)
    }
}

impl Summary {
    /// Whether the user stopped the run.
    pub fn interrupted(&self) -> bool {
        self.receipt.is_none() && self.exit_code == INTERRUPTED
    }

    /// Whether the run stopped at the gas limit.
    pub fn at_gas_limit(&self) -> bool {
        self.result.as_ref().is_some_and(|result| result.outcome == RunOutcome::GasLimit)
    }
}

/// Writes the state of a run outside its chain, and whether its gas is refilled where somebody knows.
///
/// # Errors
/// The node's, and exit code 74 for what cannot be written.
pub fn pause(node: &mut dyn ModuleSession, out: &OutputDir, refill: Option<bool>) -> Result<()> {
    node.encode_pause()?;
    // Nobody says so of a module that was thawed; but it has gone on beyond a snapshot.
    let has_refilled = node.progress()?.snapshot_id > node.start_id()?;
    let refill = refill.or(has_refilled.then_some(true));
    // An older `paused.snap` must not stand beside the new `paused.bin` at any moment.
    out.retire_pause()?;
    if let Some(refill) = refill {
        let mut file = out.create(PAUSE_NOTE)?;
        file.write(format!("{}\n", serde_json::json!({ "refill": refill })).as_bytes())?;
        file.commit()?;
    }
    while let Some(file) = node.next_file()? {
        write_file(node, out, file)?;
    }
    Ok(())
}

/// The job of a loaded run as its receipt has it: a state that is never written says it, before the first instruction.
///
/// # Errors
/// The module's.
pub fn described(node: &mut dyn ModuleSession) -> Result<Value> {
    node.encode_pause()?;
    let mut job = Value::Null;
    while let Some(file) = node.next_file()? {
        match file {
            OutputFile::Snap(_) => job = json!(ClaimedJob::of(&snap::decode(&node.take_all()?)?.job)),
            _ => node.drop_file()?,
        }
    }
    Ok(job)
}

/// Streams one of the node's files to disk and returns its size.
fn write_file(node: &mut dyn ModuleSession, out: &OutputDir, file: OutputFile) -> Result<u64> {
    let mut file = out.create(&file.to_string())?;
    let mut chunk = Vec::new();
    loop {
        let more = node.take_chunk(&mut chunk)?;
        file.write(&chunk)?;
        if !more {
            return file.commit();
        }
    }
}

/// Passes on what the program wrote and what the node says, and keeps recorded answers.
fn forward(
    node: &mut dyn ModuleSession,
    sink: &mut dyn Sink,
    options: &RunOptions,
    summary: &mut Summary,
    kept: &mut KeptOutput,
) -> Result<()> {
    for fd in [1, 2] {
        let bytes = node.take_output(fd)?;
        kept.add(fd, &bytes);
        sink.output(fd, &bytes)?;
    }
    if options.keep_answers {
        summary.answers.append(&mut node.take_answers()?);
    }
    forward_messages(node, sink)
}

fn forward_messages(node: &mut dyn ModuleSession, sink: &mut dyn Sink) -> Result<()> {
    while let Some(text) = node.take_message()? {
        sink.warning(&text);
    }
    Ok(())
}
