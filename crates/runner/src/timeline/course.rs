//! The course of a run: where its segments begin, under which limits, where it ends; and runs from the beginning of any segment.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;
use stepmark_session::spec::{JobSpec, SnapshotName};
use stepmark_snapshot::bin::PageSink;
use stepmark_state::encoding::hex;
use stepmark_state::error::JobError;
use stepmark_state::pages::{SPACE_MEMORY, SpaceId};
use stepmark_tools::moment::{Moment, has_free_steps};

use super::playback::{Playback, SnapHashes};
use crate::chain::beginning::Beginning;
use crate::chain::snapshot_ref::SnapshotRef;
use crate::chain::{ChainFiles, read_bin};
use crate::failure::{Failure, Result};
use crate::foreign;
use crate::interrupt::Interrupt;
use crate::job::rerun::Rerun;
use crate::node::engine::ModuleSession;
use crate::node::external::RecordedReplies;
use crate::node::native::NativeNode;

/// Where a segment begins that can be executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentStart {
    /// The snapshot, 0 for the start of the job.
    pub(super) id: u64,
    /// Gas of the program up to it.
    pub(super) gas: u64,
    /// Gas limit from there on.
    limit: u64,
}

/// Where a run ends as far as it is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CourseEnd {
    /// After so much gas: with the last snapshot, or with a pause after it.
    Gas(u64),
    /// Where the program ends.
    Program,
}

/// The course of a run.
pub(super) struct Course {
    rerun: Rerun,
    /// Ascending, at least one.
    starts: Vec<SegmentStart>,
    pub(super) end: CourseEnd,
    hashes: SnapHashes,
    pub(super) has_free_steps: bool,
}

impl Course {
    /// The course of a job that is run from its start under this limit.
    ///
    /// # Errors
    /// As those of starting it.
    pub(super) fn of_job(rerun: &Rerun, limit: u64) -> Result<Self> {
        let starts = vec![SegmentStart { id: 0, gas: 0, limit }];
        Self::new(rerun, starts, CourseEnd::Program, SnapHashes::default())
    }

    /// The course of a chain.
    ///
    /// # Errors
    /// Exit code 65 where files of the chain are missing or damaged.
    pub(super) fn of_chain(chain: &ChainFiles, rerun: &Rerun) -> Result<Self> {
        chain.check_restorable()?;
        if let Some(fault) = chain.faults_from_its_beginning().next() {
            return Err(Failure::data(format!("{}: {fault}", chain.dir.display())));
        }
        let first = match chain.beginning {
            Beginning::Snapshot(first) => first,
            Beginning::Start | Beginning::Elsewhere(_) => 0,
        };
        let (end, tail) = course_end(chain, rerun);
        let after = |id: u64| chain.links.range(id.saturating_add(1)..).next().map(|(_, link)| link.segment.limit);
        let start = |id: u64, gas: u64| SegmentStart { id, gas, limit: after(id).unwrap_or(tail) };
        let is_restorable = |id: u64| id >= first && chain.base_id().is_none_or(|base| id >= base);
        let mut starts: Vec<SegmentStart> = if first == 0 { vec![start(0, 0)] } else { Vec::new() };
        let restorable = chain.links.iter().filter(|(id, _)| is_restorable(**id));
        starts.extend(restorable.map(|(id, link)| start(*id, link.gas_total)));
        let hashes = chain.links.iter().map(|(id, link)| (*id, link.hash)).collect();
        Self::new(rerun, starts, end, Arc::new(hashes))
    }

    fn new(rerun: &Rerun, starts: Vec<SegmentStart>, end: CourseEnd, hashes: SnapHashes) -> Result<Self> {
        let mut course = Self { rerun: rerun.clone(), starts, end, hashes, has_free_steps: false };
        // It is the job that says it, but only a machine has the schedule.
        course.has_free_steps = has_free_steps(course.open(0)?.machine()?.schedule());
        Ok(course)
    }

    /// The segments' starts, ascending.
    pub(super) fn starts(&self) -> &[SegmentStart] {
        &self.starts
    }

    /// A run at the start of segment `index`.
    ///
    /// # Errors
    /// As those of resuming from its snapshot.
    pub(super) fn open(&self, index: usize) -> Result<Playback> {
        let start = self.start(index);
        let mut node = NativeNode::new();
        let job = JobSpec { keep_final: true, ..self.rerun.from(start.id, start.limit, true) };
        node.load(&job)?;
        self.rerun.supply().feed(&mut node, &Interrupt::new())?;
        let replies = RecordedReplies::new(self.rerun.dir());
        let gas = (start.id > 0).then_some(start.gas);
        Ok(Playback::new(node, replies, self.hashes.clone(), self.has_free_steps, gas))
    }

    fn start(&self, index: usize) -> SegmentStart {
        self.starts.get(index).or(self.starts.last()).copied().unwrap_or(SegmentStart {
            id: 0,
            gas: 0,
            limit: u64::MAX,
        })
    }

    /// The moment at which segment `index` begins, as a run opened there has it.
    pub(super) fn begins(&self, index: usize) -> Moment {
        let gas = self.start(index).gas;
        if self.has_free_steps && index > 0 { Moment::last_at_gas(gas) } else { Moment::at_gas(gas) }
    }

    /// Gas limit of segment `index`.
    pub(super) fn limit(&self, index: usize) -> u64 {
        self.start(index).limit
    }

    /// Gas at which segment `index` ends; none where only the program's end ends it.
    pub(super) fn ends(&self, index: usize) -> Option<u64> {
        match (self.starts.get(index + 1), self.end) {
            (Some(next), _) => Some(next.gas),
            (None, CourseEnd::Gas(gas)) => Some(gas),
            (None, CourseEnd::Program) => None,
        }
    }

    /// The last segment from which a run can come to a moment.
    ///
    /// # Errors
    /// Exit code 2 when the chain begins after it.
    pub(super) fn segment_to(&self, moment: Moment) -> Result<usize> {
        let is_before = |index: &usize| self.begins(*index) <= moment;
        (0..self.starts.len()).rev().find(is_before).ok_or_else(|| {
            let SegmentStart { id, gas, .. } = self.start(0);
            Failure::usage(format!("{moment} is before the chain, which begins with snapshot {id} at gas {gas}"))
        })
    }

    /// The segment whose instructions were the last before a moment.
    pub(super) fn segment_before(&self, moment: Moment) -> usize {
        (0..self.starts.len()).rev().find(|index| self.start(*index).gas < moment.gas).unwrap_or(0)
    }

    /// Whether the segment after start `index` changed any of these pages of a memory, as its `.bin` says; where there is none,
    /// it may have.
    ///
    /// # Errors
    /// Exit code 65 for a `.bin` that is damaged, 74 for one that cannot be read.
    pub(super) fn may_change(&self, index: usize, pages: &MemoryPages) -> Result<bool> {
        let (Some(next), start) = (self.starts.get(index + 1), self.start(index)) else { return Ok(true) };
        let name = format!("{}.bin", next.id);
        if next.id != start.id + 1 || !foreign::is_there(self.rerun.dir(), &name) {
            return Ok(true);
        }
        let mut changed = ChangedPages::default();
        read_bin(self.rerun.dir(), &name, &mut changed)?;
        Ok(changed.0.range((pages.memory, *pages.pages.start())..=(pages.memory, *pages.pages.end())).next().is_some())
    }
}

/// Pages of a memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MemoryPages {
    /// The memory's number among the spaces.
    memory: u32,
    /// By their indices.
    pub(super) pages: std::ops::RangeInclusive<u64>,
}

impl MemoryPages {
    pub(super) fn new(memory: u32, pages: std::ops::RangeInclusive<u64>) -> Self {
        Self { memory, pages }
    }

    pub(super) fn space(&self) -> SpaceId {
        SpaceId::new(SPACE_MEMORY, self.memory)
    }
}

/// Pages of memories that a `.bin` has.
#[derive(Default)]
struct ChangedPages(BTreeSet<(u32, u64)>);

impl PageSink for ChangedPages {
    fn space(&mut self, _: u8, _: u32, _: u64) -> std::result::Result<(), JobError> {
        Ok(())
    }

    fn page(&mut self, kind: u8, index: u32, page: u64, _: &[u8; 4096]) -> std::result::Result<(), JobError> {
        if kind == SPACE_MEMORY {
            self.0.insert((index, page));
        }
        Ok(())
    }
}

/// Where a chain ends, and the limit after its last snapshot: the receipt says that the program has ended, or there is a pause,
/// or the last snapshot is the end.
fn course_end(chain: &ChainFiles, rerun: &Rerun) -> (CourseEnd, u64) {
    let last = chain.links.last_key_value();
    let last_id = last.map_or(0, |(id, _)| *id);
    let receipt = chain.reports.receipt();
    let (result, run) = (&receipt["result"], &receipt["run"]);
    let has_ended = matches!(result["outcome"].as_str(), Some("finished" | "exited" | "trapped"));
    let is_own = result["job_hash"].as_str() == Some(&*hex(&rerun.job().job_hash()));
    let number = |value: &Value| value.as_u64();
    if has_ended && is_own && number(&run["last_snapshot"]) == Some(last_id) {
        return (CourseEnd::Program, number(&run["gas_limit"]).unwrap_or(u64::MAX));
    }
    let pause = SnapshotRef::new(&chain.dir, SnapshotName::Paused);
    let is_there = foreign::is_there(&chain.dir, "paused.snap") && chain.aside_faults.is_empty();
    match is_there.then(|| pause.read().ok()).flatten().filter(|raw| raw.segment.id == last_id) {
        Some(raw) => (CourseEnd::Gas(raw.state.gas_total), raw.segment.limit),
        None => (CourseEnd::Gas(last.map_or(0, |(_, link)| link.gas_total)), u64::MAX),
    }
}
