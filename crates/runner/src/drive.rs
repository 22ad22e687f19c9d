//! Driving a node: hand over the files it asks for, run it slice by slice, write what it has ready, and stop cleanly when
//! the user wants it. The node decides what is in the files; this module decides when and how they reach the disk.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use stepmark_session::spec::JobSpec;

use crate::deliver;
use crate::durable::OutputDir;
use crate::engine::{Budget, Event, ModuleSession};
use crate::external::{self, Responder};
use crate::failure::{Failure, GAS_LIMIT, INTERRUPTED, IO, Result};
use crate::interrupt::Interrupt;
use crate::receipt::{self, Runner};
use crate::sink::{self, Sink};
use crate::supply::Supply;

/// Longest receipt that is held in memory to add to it; a longer one is written as it is.
const RECEIPT_MAX: usize = 16 << 20;

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
    /// Contents of `result.txt`; empty when the run was interrupted.
    pub result: String,
    /// Contents of `receipt.json` as the node wrote it; none when the run was interrupted.
    pub receipt: Option<serde_json::Value>,
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
    /// Stop without a pause on disk.
    pub leave: Option<Leave>,
}

/// When a run is left with its state in the node only, which is then frozen: when the user wants it to stop, or earlier.
#[derive(Clone, Copy, Debug, Default)]
pub struct Leave {
    /// Once the program has used so much gas since its beginning.
    pub after: Option<u64>,
}

impl Leave {
    /// The gas that is left until then, when the program has used `used`; none once it is time.
    fn remaining(self, used: u64) -> Option<u64> {
        self.after.map_or(Some(u64::MAX), |after| after.checked_sub(used).filter(|gas| *gas > 0))
    }
}

/// Loads a job and gives the node every file that it asks for.
///
/// # Errors
/// The node's, exit code 74 for a file that cannot be read, 130 when the user stops it.
pub fn load(node: &mut dyn ModuleSession, job: &JobSpec, sink: &mut dyn Sink, stop: &Interrupt) -> Result<()> {
    job.warnings.iter().for_each(|warning| sink.warning(warning));
    // Said here, whatever runs the job.
    let job = &JobSpec { warnings: Vec::new(), ..job.clone() };
    node.load(job)?;
    let mut supply = Supply::default();
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
    out: &OutputDir,
    sink: &mut dyn Sink,
    stop: &Interrupt,
    responder: &mut dyn Responder,
    options: RunOptions,
) -> Result<Summary> {
    if options.keep_answers {
        node.record_answers()?;
    }
    let gas_before = node.progress()?.gas_total;
    let started = Instant::now();
    let mut run = RunDriver { node, out, sink, responder, options, gas_before, started, summary: Summary::default() };
    let finished = run.until_the_end(stop)?;
    if !finished && run.options.leave.is_none() {
        run.pause()?;
    }
    run.close(finished, stop)
}

/// A run under way.
struct RunDriver<'a> {
    node: &'a mut dyn ModuleSession,
    out: &'a OutputDir,
    sink: &'a mut dyn Sink,
    responder: &'a mut dyn Responder,
    options: RunOptions,
    gas_before: u64,
    started: Instant,
    summary: Summary,
}

impl RunDriver<'_> {
    /// Runs slices until the job is finished (true), or the user stops it or it is to be left (false).
    fn until_the_end(&mut self, stop: &Interrupt) -> Result<bool> {
        // Whoever froze a node may have left files in it.
        self.write_files()?;
        let mut slice = GasSlice::first();
        let leave = self.options.leave.unwrap_or_default();
        // The next instruction may be dearer than the gas that is left until the run is to be left.
        let mut beyond: u64 = 1;
        loop {
            let gas_before = self.node.progress()?.gas_total;
            let Some(remaining) = leave.remaining(gas_before) else { return Ok(false) };
            if stop.is_requested() {
                return Ok(false);
            }
            let began = Instant::now();
            let mut budget = slice.budget();
            budget.gas = budget.gas.min(remaining.saturating_mul(beyond));
            let event = external::run(self.node, budget, self.responder)?;
            let took = began.elapsed();
            self.forward()?;
            let moved = self.node.progress()?.gas_total != gas_before;
            beyond = if moved { 1 } else { beyond.saturating_mul(2) };
            match event {
                Event::Finished => {
                    self.write_files()?;
                    self.deliver()?;
                    return Ok(true);
                }
                Event::Snapshot(id) => self.snapshot(id)?,
                Event::Paused => slice.adapt(took, moved),
                Event::Output | Event::Question => {}
            }
            let progress = self.node.progress()?;
            let used = progress.gas_total.saturating_sub(self.gas_before);
            self.sink.progress(&progress, sink::rate(used, self.started.elapsed()));
        }
    }

    /// Delivers the files that the program left behind, if somebody wants them.
    fn deliver(&mut self) -> Result<()> {
        let Some(directory) = &self.options.deliver else { return Ok(()) };
        let count = deliver::deliver(self.node, directory)?;
        self.sink.detail(&format!("{count} files delivered to {}", directory.display()));
        Ok(())
    }

    /// Writes the files of snapshot `id`.
    fn snapshot(&mut self, id: u64) -> Result<()> {
        let mut snapshot = Snapshot { id, gas: self.node.progress()?.gas_total, snap_bytes: 0, bin_bytes: 0 };
        for (name, size) in self.write_files()? {
            if name.ends_with(".snap") {
                snapshot.snap_bytes = size;
            } else if name.ends_with(".bin") {
                snapshot.bin_bytes = size;
            }
        }
        let Snapshot { gas, snap_bytes, bin_bytes, .. } = snapshot;
        self.sink.detail(&format!("snapshot {id}: {gas} gas, .snap {snap_bytes} bytes, .bin {bin_bytes} bytes"));
        self.summary.snapshots.push(snapshot);
        Ok(())
    }

    /// Writes the state outside the chain.
    fn pause(&mut self) -> Result<()> {
        self.options.from_pause = false;
        pause(self.node, self.out)
    }

    /// Writes every file that the node has ready, and returns their names and sizes.
    fn write_files(&mut self) -> Result<Vec<(String, u64)>> {
        let mut written = Vec::new();
        while let Some(name) = self.node.take_name()? {
            let size = match name.as_str() {
                "receipt.json" => self.write_receipt(&name)?,
                "result.txt" => self.write_result(&name)?,
                _ => write_file(self.node, self.out, &name)?,
            };
            written.push((name, size));
        }
        if self.options.from_pause && !written.is_empty() {
            self.out.retire_pause()?;
            self.options.from_pause = false;
        }
        Ok(written)
    }

    fn write_result(&mut self, name: &str) -> Result<u64> {
        let (text, rest) = self.read_text(RECEIPT_MAX)?;
        self.summary.result.clone_from(&text);
        self.write_text(name, &text, rest)
    }

    /// Writes the receipt with what the runner says about itself; the node's `result` object stays as it is.
    fn write_receipt(&mut self, name: &str) -> Result<u64> {
        let (text, rest) = self.read_text(RECEIPT_MAX)?;
        if rest {
            return self.write_text(name, &text, rest);
        }
        self.summary.receipt = serde_json::from_str(&text).ok();
        let text = receipt::with_runner(&text, &self.options.runner, self.started.elapsed());
        self.write_text(name, &text, rest)
    }

    /// The start of the file that is being taken, as text, and whether more of it follows.
    fn read_text(&mut self, most: usize) -> Result<(String, bool)> {
        let mut all = Vec::new();
        let mut chunk = Vec::new();
        loop {
            let more = self.node.take_chunk(&mut chunk)?;
            all.append(&mut chunk);
            if !more || all.len() > most {
                let text = String::from_utf8(all);
                let text = text.map_err(|_| Failure::new(IO, "the node wrote a text that is not UTF-8"))?;
                return Ok((text, more));
            }
        }
    }

    /// Writes `text`, and with `rest` what follows it in the file that is being taken.
    fn write_text(&mut self, name: &str, text: &str, rest: bool) -> Result<u64> {
        let mut file = self.out.create(name)?;
        file.write(text.as_bytes())?;
        let mut chunk = Vec::new();
        let mut more = rest;
        while more {
            more = self.node.take_chunk(&mut chunk)?;
            file.write(&chunk)?;
        }
        file.commit()
    }

    /// Passes on what the program wrote and what the node says.
    fn forward(&mut self) -> Result<()> {
        for fd in [1, 2] {
            let bytes = self.node.take_output(fd)?;
            self.sink.output(fd, &bytes)?;
        }
        if self.options.keep_answers {
            self.summary.answers.append(&mut self.node.take_answers()?);
        }
        forward_messages(self.node, self.sink)
    }

    /// The figures of the run.
    fn close(mut self, finished: bool, stop: &Interrupt) -> Result<Summary> {
        self.forward()?;
        let progress = self.node.progress()?;
        self.summary.left = !finished && self.options.leave.is_some();
        self.summary.exit_code = match finished {
            true => self.node.exit_code()?,
            false if self.summary.left && !stop.is_requested() => 0,
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
        self.exit_code == GAS_LIMIT && self.result.starts_with("134\n")
    }
}

/// Writes the state of a run outside its chain.
///
/// # Errors
/// The node's, and exit code 74 for what cannot be written.
pub fn pause(node: &mut dyn ModuleSession, out: &OutputDir) -> Result<()> {
    node.encode_pause()?;
    // An older `paused.snap` must not stand beside the new `paused.bin` at any moment.
    out.retire_pause()?;
    while let Some(name) = node.take_name()? {
        write_file(node, out, &name)?;
    }
    Ok(())
}

/// Streams one of the node's files to disk and returns its size.
fn write_file(node: &mut dyn ModuleSession, out: &OutputDir, name: &str) -> Result<u64> {
    let mut file = out.create(name)?;
    let mut chunk = Vec::new();
    loop {
        let more = node.take_chunk(&mut chunk)?;
        file.write(&chunk)?;
        if !more {
            return file.commit();
        }
    }
}

fn forward_messages(node: &mut dyn ModuleSession, sink: &mut dyn Sink) -> Result<()> {
    while let Some(text) = node.take_message()? {
        sink.warning(&text);
    }
    Ok(())
}

/// How much the node runs before the runner looks up: about as much as takes the blink of an eye, whatever the program,
/// so that progress and Ctrl-C work. Where a slice ends decides nothing about the result.
pub(crate) struct GasSlice {
    gas: u64,
}

impl GasSlice {
    /// What a slice should take.
    const TARGET: Duration = Duration::from_millis(50);
    /// Instructions that a schedule may make free, after which a slice ends all the same.
    const STEPS: u64 = 50_000_000;
    /// Gas of the first slice, and the least of any.
    const LEAST: u64 = 1_000_000;

    pub(crate) fn first() -> Self {
        Self { gas: Self::LEAST }
    }

    pub(crate) fn budget(&self) -> Budget {
        Budget { gas: self.gas, steps: Self::STEPS }
    }

    /// Doubles or halves towards the target. A slice that was over at once may also have met an instruction dearer than
    /// itself (`moved` is false), and doubling gets past that too.
    pub(crate) fn adapt(&mut self, took: Duration, moved: bool) {
        if took < Self::TARGET / 2 {
            self.gas = self.gas.saturating_mul(2);
        } else if took > Self::TARGET * 2 && moved {
            self.gas = (self.gas / 2).max(Self::LEAST);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_grow_until_they_take_the_target_and_shrink_when_longer() {
        let mut slice = GasSlice::first();
        slice.adapt(Duration::from_millis(1), true);
        assert_eq!(slice.gas, 2 * GasSlice::LEAST);
        slice.adapt(Duration::from_millis(50), true);
        assert_eq!(slice.gas, 2 * GasSlice::LEAST);
        slice.adapt(Duration::from_millis(500), true);
        slice.adapt(Duration::from_millis(500), true);
        assert_eq!(slice.gas, GasSlice::LEAST);
    }

    #[test]
    fn a_slice_that_an_instruction_does_not_fit_grows() {
        let mut slice = GasSlice::first();
        for _ in 0..64 {
            slice.adapt(Duration::ZERO, false);
        }
        assert_eq!(slice.gas, u64::MAX);
    }
}
