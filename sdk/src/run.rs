//! A run: one execution from an entry, or from a snapshot, to its end, segment by segment.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use stepmark_hosts::external::ExternalReply;
use stepmark_session::output_file::OutputFile;
use stepmark_session::report;
use stepmark_session::{Budget, Event, Session, SessionMode};
use stepmark_snapshot::bin::{BinReader, PageSink};
use stepmark_state::encoding::hex;
use stepmark_state::error;
use stepmark_state::pages::PAGE;
use stepmark_tools::profile::{ProfileLimits, Profiler};

use crate::audit::AuditRecord;
use crate::chain::{Chain, Segment, SnapshotId};
use crate::error::Error;
use crate::metrics::Metrics;
use crate::serve::Server;
use crate::setup::{EntryCall, Setup};
use crate::value::Value;

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The entry returned.
    Returned,
    /// The program asked to exit with this code.
    Exited(u32),
    /// The program trapped.
    Trapped(report::TrapReport),
    /// The gas limit was reached, and not refilled.
    GasLimit,
}

impl End {
    pub(crate) fn of(outcome: &report::RunOutcome) -> Self {
        match outcome {
            report::RunOutcome::Finished => Self::Returned,
            report::RunOutcome::Exited(code) => Self::Exited(*code),
            report::RunOutcome::Trapped(report) => Self::Trapped(report.clone()),
            report::RunOutcome::GasLimit => Self::GasLimit,
        }
    }
}

/// What a run came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// How it ended.
    pub end: End,
    /// What the entry returned; empty unless it did.
    pub values: Vec<Value>,
    /// Gas charged since the start of the run, less what was given back.
    pub gas_used: u64,
    /// Reports by name: `result.txt`, `receipt.json`, the read and write set, the last segment's record of answers.
    pub files: BTreeMap<String, Vec<u8>>,
    /// The line for the books.
    pub audit: AuditRecord,
}

/// What comes next in a run.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// The gas limit was reached: a snapshot. The run goes on with a new segment.
    Segment(Segment),
    /// The run has ended.
    Finished(Outcome),
    /// The budget of [`Run::advance`] is spent.
    Paused,
}

/// A run: see [`VmBuilder::start`](crate::VmBuilder::start).
pub struct Run {
    session: Session,
    server: Server,
    metrics: Metrics,
    /// Counts instructions, if that is wanted.
    profiler: Option<Arc<Profiler>>,
    output: [Vec<u8>; 2],
    first: u64,
    ended: bool,
}

impl Run {
    pub(crate) fn start(
        setup: &Setup,
        entry: &EntryCall,
        gas_limit: Option<u64>,
        from: Option<(&Chain, SnapshotId)>,
    ) -> Result<Self, Error> {
        let began = Instant::now();
        let mut options = setup.options(entry);
        options.gas_limit = gas_limit;
        options.gas_refill = true;
        options.resume = from.map(|(_, id)| id.resume());
        if from.is_some() {
            // A snapshot knows at which version its run found the store.
            options.store_version = None;
        }
        let session = setup.session(options, from.map(|(chain, _)| chain), SessionMode::Run)?;
        let mut run = Self::of(setup, session);
        run.metrics.times.setting_up = began.elapsed();
        Ok(run)
    }

    fn of(setup: &Setup, mut session: Session) -> Self {
        let wanted = session.machine().filter(|_| setup.config.counts_instructions());
        let profiler = wanted.map(|machine| Profiler::new(machine, ProfileLimits::default()));
        if let Some(profiler) = &profiler {
            session.watch(profiler.clone());
        }
        let (server, metrics, first) = (setup.server(), Metrics::default(), session.start_id());
        Self { session, server, metrics, profiler, output: [Vec::new(), Vec::new()], first, ended: false }
    }

    /// Ends at the gas limit instead of going on: for runs that nobody wants to go on with.
    pub(crate) fn start_once(setup: &Setup, entry: &EntryCall, gas_limit: u64) -> Result<Self, Error> {
        let mut options = setup.options(entry);
        options.gas_limit = Some(gas_limit);
        Ok(Self::of(setup, setup.session(options, None, SessionMode::Run)?))
    }

    /// Takes answers from a record from now on.
    pub(crate) fn answer_from(&mut self, answers: Vec<ExternalReply>) {
        self.server = Server::Record(answers.into());
    }

    /// Runs to the end of the segment, or of the run.
    ///
    /// # Errors
    /// The run has ended before; the limit does not pay for a single instruction; a host function's answer is
    /// impossible; or the node fails.
    #[expect(clippy::should_implement_trait, reason = "an iterator would go on after a failure")]
    pub fn next(&mut self) -> Result<Next, Error> {
        loop {
            match self.advance(u64::MAX)? {
                Next::Paused => {}
                next => return Ok(next),
            }
        }
    }

    /// Runs to the end of the segment, or of the run, for at most `gas` gas, after which [`Next::Paused`] says that nothing has happened yet.
    ///
    /// # Errors
    /// As those of [`next`](Self::next).
    pub fn advance(&mut self, gas: u64) -> Result<Next, Error> {
        if self.ended {
            return Err(Error::usage("the run has ended"));
        }
        let began = Instant::now();
        let next = self.run_on(gas);
        self.metrics.times.running += began.elapsed();
        self.metrics.gas_used = self.session.gas_used();
        next
    }

    fn run_on(&mut self, gas: u64) -> Result<Next, Error> {
        let start = self.session.progress().gas_total;
        loop {
            let used = self.session.progress().gas_total.saturating_sub(start);
            let event = self.session.run(Budget { gas: gas.saturating_sub(used), steps: u64::MAX })?;
            match event {
                Event::Question => self.serve()?,
                Event::Output => self.take_output(),
                Event::Paused => {
                    self.take_output();
                    return Ok(Next::Paused);
                }
                Event::Snapshot(id) => return self.segment(id, false).map(Next::Segment),
                Event::Finished => return self.finish().map(Next::Finished),
            }
        }
    }

    fn serve(&mut self) -> Result<(), Error> {
        let Some(question) = self.session.question().cloned() else { return Ok(()) };
        let answer = self.server.answer(&question, &mut self.session, &mut self.metrics)?;
        Ok(self.session.answer(answer)?)
    }

    fn take_output(&mut self) {
        for (fd, all) in (1..).zip(&mut self.output) {
            all.extend(self.session.take_output(fd));
        }
    }

    fn segment(&mut self, id: u64, paused: bool) -> Result<Segment, Error> {
        self.take_output();
        let gas = self.session.progress().segment_gas;
        let mut files = self.take_files()?;
        let segment = Segment::of(id, paused, gas, &mut files)?;
        if !paused {
            self.metrics.segments = self.metrics.segments.saturating_add(1);
            self.metrics.dirty_pages = self.metrics.dirty_pages.saturating_add(pages(&segment.bin)?);
        }
        Ok(segment)
    }

    fn take_files(&mut self) -> Result<BTreeMap<OutputFile, Vec<u8>>, Error> {
        let mut files = BTreeMap::new();
        let mut chunk = Vec::new();
        while let Some(file) = self.session.next_file() {
            let mut bytes = Vec::new();
            while self.session.take_chunk(&mut chunk)? {
                bytes.extend_from_slice(&chunk);
            }
            files.insert(file, bytes);
        }
        Ok(files)
    }

    fn finish(&mut self) -> Result<Outcome, Error> {
        self.ended = true;
        self.take_output();
        let files = self.take_files()?.into_iter().map(|(file, bytes)| (file.to_string(), bytes)).collect();
        self.metrics.segments = self.metrics.segments.saturating_add(1);
        let outcome = self.session.outcome().cloned().unwrap_or(report::RunOutcome::GasLimit);
        if let (Some(profiler), Some(machine)) = (&self.profiler, self.session.machine()) {
            let profile = profiler.finish(machine, outcome != report::RunOutcome::GasLimit);
            self.metrics.instructions = Some(profile.instructions);
        }
        let values = self.session.values().iter().map(Value::from_report).collect();
        let audit = self.audit(&outcome);
        Ok(Outcome { end: End::of(&outcome), values, gas_used: audit.gas_used, files, audit })
    }

    fn audit(&self, outcome: &report::RunOutcome) -> AuditRecord {
        let program = self.session.job().map_or([0; 32], |job| job.program.hash);
        AuditRecord {
            program: hex(&program),
            job: hex(&self.session.job_hash()),
            gas_used: self.session.gas_used(),
            outcome: outcome.name().to_owned(),
            exit_code: outcome.exit_code(),
            snapshots: self.session.progress().snapshot_id.saturating_sub(self.first),
        }
    }

    /// The state as it is now, outside the chain: whoever goes on from it finishes the segment with the same bytes.
    /// This run may go on too.
    ///
    /// # Errors
    /// The run has ended.
    pub fn pause(&mut self) -> Result<Segment, Error> {
        self.session.encode_pause()?;
        self.segment(self.session.progress().snapshot_id, true)
    }

    /// Hash of the job.
    pub fn job_hash(&self) -> [u8; 32] {
        self.session.job_hash()
    }

    /// Gas charged since the start of the run, less what was given back.
    pub fn gas_used(&self) -> u64 {
        self.session.gas_used()
    }

    /// Takes what the program has written to standard output.
    pub fn take_stdout(&mut self) -> Vec<u8> {
        let [stdout, _] = &mut self.output;
        std::mem::take(stdout)
    }

    /// Takes what the program has written to standard error.
    pub fn take_stderr(&mut self) -> Vec<u8> {
        let [_, stderr] = &mut self.output;
        std::mem::take(stderr)
    }

    /// The files that the program leaves behind, once it has ended normally: paths are the program's own. One of more
    /// than 4096 bytes stands for a file, or a directory of files, that no path can name.
    pub fn left_files(&mut self) -> Vec<(String, Vec<u8>)> {
        let (mut files, mut chunk) = (Vec::new(), Vec::new());
        while let Some(path) = self.session.deliver_name() {
            let mut bytes = Vec::new();
            while self.session.deliver_chunk(&mut chunk) {
                bytes.extend_from_slice(&chunk);
            }
            files.push((path, bytes));
        }
        files
    }

    /// What was counted since this run began or was resumed.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }
}

/// Counts pages.
struct Count(u64);

impl PageSink for Count {
    fn space(&mut self, _: u8, _: u32, pages: u64) -> Result<(), error::JobError> {
        self.0 = self.0.saturating_add(pages);
        Ok(())
    }

    fn page(&mut self, _: u8, _: u32, _: u64, _: &[u8; PAGE]) -> Result<(), error::JobError> {
        Ok(())
    }
}

/// Pages in a `.bin`.
pub(crate) fn pages(bin: &[u8]) -> Result<u64, Error> {
    let mut count = Count(0);
    BinReader::new().push(bin, &mut count)?;
    Ok(count.0)
}
