//! The files that a run makes, handed out in chunks: a `.bin` is produced while it is taken, so that it is never in memory
//! whole, and the `.snap` that commits to it comes after it.

use std::collections::{BTreeMap, BTreeSet};

use super::output_file::OutputFile;
use super::paged_state::PagedState;
use super::{Running, Session};
use crate::report::{FrameReport, Receipt, RunOutcome, StreamReport, TrapReport};
use crate::spec::SnapshotName;
use stepmark_hosts::{HostModule, external, store, wasi};
use stepmark_snapshot::bin::BinHeader;
use stepmark_snapshot::snap;
use stepmark_snapshot::spaces::{Delta, Spaces};
use stepmark_snapshot::{FileKind, Prefix};
use stepmark_state::canonical::{HostState, Phase, RunState, SegmentRecord, state_hash};
use stepmark_state::error::JobError;
use stepmark_state::paged::{dirty_marks, set_dirty_marks};
use stepmark_state::trap::Trap;

/// Bytes handed out at a time, at most.
pub(super) const CHUNK: usize = 64 << 10;

/// A file to be taken.
#[derive(Debug)]
pub(super) enum File {
    /// The pages that changed.
    Bin(Box<BinFile>),
    /// The state, written once the `.bin` before it is complete.
    Snap(SegmentRecord),
    /// Bytes that are ready.
    Ready { file: OutputFile, bytes: Vec<u8>, taken: usize },
}

#[derive(Debug)]
pub(super) struct BinFile {
    header: BinHeader,
    delta: Option<Delta>,
    /// Produced and not yet taken.
    bytes: Vec<u8>,
    /// For a paused snapshot: the trees as of this moment, apart from those of the chain.
    spaces: Option<Spaces>,
}

impl Session {
    /// The next file to take, which has its place in the output directory.
    pub fn next_file(&self) -> Option<OutputFile> {
        Some(match self.files.front()? {
            File::Bin(file) => OutputFile::Bin(self.snapshot_name(file.header.paused, file.header.id)),
            File::Snap(segment) => OutputFile::Snap(self.snapshot_name(segment.paused, segment.id)),
            File::Ready { file, .. } => *file,
        })
    }

    /// Replaces `out` by the next chunk of the [next file](Self::next_file); `false`, with nothing, at its end.
    ///
    /// # Errors
    /// A resource error if the state is too large for a `.snap`.
    pub fn take_chunk(&mut self, out: &mut Vec<u8>) -> Result<bool, JobError> {
        out.clear();
        let Some(next) = self.next_file() else { return Ok(false) };
        let Some(file) = self.files.pop_front() else { return Ok(false) };
        let Some(running) = self.running.as_deref_mut() else { return Ok(false) };
        match file {
            File::Bin(file) => self.take_bin(file, out),
            File::Snap(segment) => {
                let bytes = running.encode_snap(&segment)?;
                self.take_ready(next, bytes, 0, out);
            }
            File::Ready { bytes, taken, .. } => self.take_ready(next, bytes, taken, out),
        }
        Ok(!out.is_empty())
    }

    fn snapshot_name(&self, paused: bool, id: u64) -> SnapshotName {
        match (paused, self.running().is_some_and(|running| running.reported)) {
            (false, _) => SnapshotName::Number(id),
            (true, false) => SnapshotName::Paused,
            (true, true) => SnapshotName::Final,
        }
    }

    fn take_ready(&mut self, file: OutputFile, bytes: Vec<u8>, taken: usize, out: &mut Vec<u8>) {
        let end = bytes.len().min(taken + CHUNK);
        out.extend_from_slice(&bytes[taken..end]);
        // The file stays until the caller has seen its end.
        if taken < bytes.len() {
            self.files.push_front(File::Ready { file, bytes, taken: end });
        }
    }

    fn take_bin(&mut self, mut file: Box<BinFile>, out: &mut Vec<u8>) {
        let Some(running) = self.running.as_deref_mut() else { return };
        if let Some(mut delta) = file.delta.take() {
            if delta.produce(&running.contents(), &mut file.bytes) {
                file.delta = Some(delta);
            } else {
                let hash = delta.finish(&mut file.bytes);
                if let Some(File::Snap(segment)) = self.files.front_mut() {
                    segment.bin = hash;
                }
            }
        }
        let end = file.bytes.len().min(CHUNK);
        out.extend(file.bytes.drain(..end));
        if !out.is_empty() {
            self.files.push_front(File::Bin(file));
        } else if let (true, Some(spaces)) = (file.header.paused, file.spaces) {
            running.paused_spaces = Some(spaces);
        }
    }

    /// Makes the files of a snapshot ready to take.
    pub(super) fn begin_snapshot(&mut self, paused: bool) {
        let Some(running) = self.running.as_deref_mut() else { return };
        // Tables of exceptions are among the pages.
        running.machine.collect_exceptions();
        let mut bytes = Vec::new();
        let id = if paused { running.id } else { running.id + 1 };
        let calls = running.calls_file(paused, id);
        if !paused {
            running.replies.next_segment();
        }
        let header = BinHeader { base: false, paused, id, job_hash: running.job_hash, previous: running.previous_bin };
        let segment = SegmentRecord {
            id,
            paused,
            limit: running.limit,
            gas_used: running.segment_gas,
            previous_snap: running.previous_snap,
            bin: [0; 32],
        };
        let mut contents =
            PagedState { store: &mut running.machine.store, files: &mut running.wasi, log: &mut running.store };
        let (delta, spaces) = if paused {
            // The chain must not notice: the trees and the marks stay as they are.
            let mut spaces = running.spaces.clone();
            let marks = dirty_marks(&mut contents);
            let delta = Delta::new(&mut spaces, &mut contents, &header, &mut bytes);
            set_dirty_marks(&mut contents, &marks);
            (delta, Some(spaces))
        } else {
            // Embedders ask for the id as soon as they hear of the snapshot, before they take its files.
            running.id = id;
            (Delta::new(&mut running.spaces, &mut contents, &header, &mut bytes), None)
        };
        if let Some(bytes) = calls {
            let file = OutputFile::Calls(self.snapshot_name(paused, id));
            self.files.push_back(File::Ready { file, bytes, taken: 0 });
        }
        self.files.push_back(File::Bin(Box::new(BinFile { header, delta: Some(delta), bytes, spaces })));
        self.files.push_back(File::Snap(segment));
    }

    /// Stops here: makes `paused.bin` and `paused.snap` ready to take, outside the chain.
    ///
    /// # Errors
    /// A usage error if the run has ended, with all that it left behind hashed, or files wait to be taken.
    pub fn encode_pause(&mut self) -> Result<(), JobError> {
        let ended = self.running().is_none_or(|r| r.reported);
        if ended || !self.files.is_empty() {
            return Err(JobError::usage(
                "nothing to pause: the run has not begun, has ended, or has files waiting to be taken",
            ));
        }
        self.begin_snapshot(true);
        Ok(())
    }

    /// Makes `result.txt` and `receipt.json` ready to take, and before them what a run with a store or with functions of the
    /// embedder's leaves.
    pub(super) fn begin_report(&mut self) {
        let Some(running) = self.running.as_deref_mut() else { return };
        let mut reports = Vec::new();
        // After a stop at the limit the segment's answers are in the snapshot's file already.
        if running.outcome != Some(RunOutcome::GasLimit) {
            let id = running.id + 1;
            let calls = running.calls_file(false, id);
            reports.extend(calls.map(|bytes| (OutputFile::Calls(SnapshotName::Number(id)), bytes)));
        }
        if running.store.is_open() {
            let set = running.store.read_write_set(running.is_to_be_committed());
            reports.push((OutputFile::ReadWriteSet, set.encode()));
            reports.push((OutputFile::ReadWriteSetText, crate::report::rwset_json(&set).into_bytes()));
        }
        let receipt = running.receipt();
        reports.push((OutputFile::Result, receipt.result_text().into_bytes()));
        reports.push((OutputFile::Receipt, receipt.json().into_bytes()));
        self.files.extend(reports.into_iter().map(|(file, bytes)| File::Ready { file, bytes, taken: 0 }));
    }
}

impl Running {
    /// All paged contents.
    pub(super) fn contents(&mut self) -> PagedState<'_> {
        PagedState { store: &mut self.machine.store, files: &mut self.wasi, log: &mut self.store }
    }

    /// Whether the job lets anything come from outside.
    pub(super) fn asks_outside(&self) -> bool {
        self.store.is_open() || !self.job.functions.is_empty()
    }

    /// The answers of the segment so far, if the job has any.
    fn calls_file(&self, paused: bool, id: u64) -> Option<Vec<u8>> {
        let prefix = Prefix { file: FileKind::Calls, paused, id, job_hash: self.job_hash };
        self.asks_outside().then(|| self.replies.calls(&prefix))
    }

    /// Whether the program's writes to the store count: only if it has ended as it should.
    fn is_to_be_committed(&self) -> bool {
        matches!(self.outcome, Some(RunOutcome::Finished | RunOutcome::Exited(0)))
    }

    /// State of the host modules, by ascending name.
    fn host_states(&self) -> Vec<HostState> {
        let mut hosts = Vec::new();
        let mut add = |name: &str, bytes| hosts.push(HostState { name: name.to_owned(), bytes });
        if self.asks_outside() {
            add(external::MODULE, self.replies.save());
        }
        if self.store.is_open() {
            add(store::MODULE, self.store.save(self.machine.store.next_spaces));
        }
        add(wasi::MODULE, self.wasi.save());
        hosts
    }

    /// The canonical state as it is now. `spaces` are the trees that know every page.
    fn state(&mut self, paused: bool) -> RunState {
        let contents = PagedState { store: &mut self.machine.store, files: &mut self.wasi, log: &mut self.store };
        let spaces = match self.paused_spaces.take().filter(|_| paused) {
            Some(mut spaces) => spaces.states(&contents),
            None => self.spaces.states(&contents),
        };
        let exceptions = self.machine.exception_states();
        RunState {
            phase: self.phase,
            awaiting: self.asked.is_some(),
            frames: self.machine.frame_states(),
            results: self.results.clone(),
            exceptions,
            exception_slots: self.machine.store.exceptions.counted(),
            instances: self.machine.instance_states(),
            spaces,
            hosts: self.host_states(),
            gas_total: self.machine.gas_total(),
        }
    }

    fn encode_snap(&mut self, segment: &SegmentRecord) -> Result<Vec<u8>, JobError> {
        let state = self.state(segment.paused);
        let (bytes, hash) = snap::encode(&self.job, segment, &state)?;
        if !segment.paused {
            self.previous_snap = hash;
            self.previous_bin = segment.bin;
            self.segment_gas = 0;
        }
        Ok(bytes)
    }

    /// Gas charged since the start of the run, less what was given back.
    pub(super) fn gas_used(&self) -> u64 {
        self.machine.gas_total().saturating_sub(self.replies.refunded())
    }

    fn receipt(&mut self) -> Receipt {
        let stream = |wasi: &stepmark_hosts::wasi::Wasi, fd| {
            let hash = wasi.output_hash(fd);
            StreamReport { bytes: hash.map_or(0, |h| h.length()), hash: hash.map_or([0; 32], |h| h.hash()) }
        };
        self.machine.collect_exceptions();
        let Self { machine, wasi, store, spaces, .. } = self;
        spaces.update(&mut PagedState { store: &mut machine.store, files: wasi, log: store });
        let state = self.state(false);
        let (files, omitted_files) = self.left.take().map_or_else(Default::default, |left| (left.files, left.omitted));
        Receipt {
            outcome: self.outcome.clone().unwrap_or(RunOutcome::GasLimit),
            values: self.values(),
            gas_used: self.gas_used(),
            schedule_name: self.job.schedule.name.clone(),
            schedule_hash: self.job.schedule.hash,
            stdout: stream(&self.wasi, 1),
            stderr: stream(&self.wasi, 2),
            files,
            omitted_files,
            job_hash: self.job_hash,
            program_hash: self.job.program.hash,
            state_hash: state_hash(&state),
            last_snapshot: self.id,
            gas_limit: self.limit,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    /// A trap with its stack trace, innermost frame first.
    pub(super) fn trap_report(&mut self, trap: Trap) -> TrapReport {
        let mut frames = self.machine.frame_states();
        frames.reverse();
        frames.truncate(crate::report::MAX_BACKTRACE);
        let store = &self.machine.store;
        let mut funcs: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
        for frame in &frames {
            funcs.entry(frame.instance).or_default().insert(frame.func);
        }
        let names = |(instance, funcs)| (instance, store.instances[instance as usize].module.func_names(funcs));
        let names: BTreeMap<u32, BTreeMap<u32, String>> = funcs.into_iter().map(names).collect();
        let report = |f: &stepmark_state::canonical::FrameState| FrameReport {
            instance: f.instance,
            function: f.func,
            name: names[&f.instance].get(&f.func).cloned(),
            offset: f.offset,
        };
        self.phase = Phase::Trapped { trap };
        TrapReport { trap, detail: self.detail.take(), backtrace: frames.iter().map(report).collect() }
    }
}
