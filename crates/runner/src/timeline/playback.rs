//! A run that is taken from moment to moment, and can be copied at any of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use stepmark_core::machine::Machine;
use stepmark_session::Session;
use stepmark_session::output_file::OutputFile;
use stepmark_snapshot::snap;
use stepmark_snapshot::snap::RawSnapshot;
use stepmark_state::pages::SpaceId;
use stepmark_tools::moment::{ALL_STEPS, Moment};
use stepmark_tools::scan::{Lookout, ScanBounds, Scanner};

use crate::failure::{Failure, Result};
use crate::node::engine::{Budget, Event, ModuleSession};
use crate::node::external::{RecordedReplies, Responder};
use crate::node::native::NativeNode;

/// Hashes of the snapshots that a run must come by, by id.
pub(super) type SnapHashes = Arc<BTreeMap<u64, [u8; 32]>>;

/// A run at a moment.
pub(super) struct Playback {
    node: NativeNode,
    replies: RecordedReplies,
    hashes: SnapHashes,
    has_free_steps: bool,
    moment: Moment,
    is_fresh: bool,
    /// It has come by a snapshot, or to the end, which clears the marks of pages.
    has_lost_marks: bool,
    /// The `.snap` of the end, once the run has ended.
    end: Option<Arc<[u8]>>,
}

impl Playback {
    /// A run whose files have all been given; `gas` is that of its snapshot, none at the start of the job.
    pub(super) fn new(
        node: NativeNode,
        replies: RecordedReplies,
        hashes: SnapHashes,
        has_free_steps: bool,
        gas: Option<u64>,
    ) -> Self {
        let mut new = Self {
            node,
            replies,
            hashes,
            has_free_steps,
            moment: Moment::default(),
            is_fresh: gas.is_none(),
            has_lost_marks: false,
            end: None,
        };
        new.moment = gas.map_or(new.moment, |gas| new.last_at(gas));
        new
    }

    /// The same moment once more.
    pub(super) fn fork(&self) -> Result<Self> {
        let node = self.node.copied().ok_or_else(|| Failure::data("a run with files to be taken cannot be copied"))?;
        let (replies, hashes) = (self.replies.clone(), self.hashes.clone());
        Ok(Self { node, replies, hashes, end: self.end.clone(), ..*self })
    }

    /// Where it is. Under a schedule with free steps this may be said as the last moment at its gas.
    pub(super) fn moment(&self) -> Moment {
        self.moment
    }

    /// Moments after this one are still to come; none at the untouched start of the run, before its first moment.
    pub(super) fn after(&self) -> Option<Moment> {
        (!self.is_fresh).then_some(self.moment)
    }

    /// Whether the run has ended.
    pub(super) fn is_ended(&self) -> bool {
        self.end.is_some()
    }

    /// Limit of the segment that it is in.
    pub(super) fn limit(&self) -> Result<u64> {
        Ok(self.session()?.progress().gas_limit)
    }

    /// Bytes that it takes, about.
    pub(super) fn bytes(&mut self) -> u64 {
        const REST: u64 = 1 << 20;
        self.node.session_mut().map_or(0, Session::paged_bytes).saturating_add(REST)
    }

    pub(super) fn session(&self) -> Result<&Session> {
        self.node.loaded().ok_or_else(no_run)
    }

    pub(super) fn session_mut(&mut self) -> Result<&mut Session> {
        self.node.session_mut().ok_or_else(no_run)
    }

    pub(super) fn machine(&self) -> Result<&Machine> {
        self.session()?.machine().ok_or_else(no_run)
    }

    fn gas(&self) -> Result<u64> {
        Ok(self.machine()?.gas_total())
    }

    fn last_at(&self, gas: u64) -> Moment {
        if self.has_free_steps { Moment::last_at_gas(gas) } else { Moment::at_gas(gas) }
    }

    /// Bytes that the program has written to descriptor `fd` (1 or 2).
    pub(super) fn written(&self, fd: u32) -> Result<u64> {
        let wasi = self.session()?.wasi().ok_or_else(no_run)?;
        Ok(wasi.output_hash(fd).map_or(0, |hash| hash.length()))
    }

    /// Clears all marks of pages; whether any of these may have been written to since the last time. Of no use for a run whose
    /// state is to be shown: its snapshots are not those of the chain any more.
    pub(super) fn take_marks(&mut self, space: SpaceId, pages: std::ops::RangeInclusive<u64>) -> Result<bool> {
        self.hashes = SnapHashes::default();
        let has_lost_marks = std::mem::take(&mut self.has_lost_marks);
        Ok(self.session_mut()?.take_marks(space, pages) || has_lost_marks)
    }

    /// Goes on to the last moment that is not after `to`, or to the end.
    ///
    /// # Errors
    /// The run does not lead to the snapshots of its chain, or an answer from outside is not recorded.
    pub(super) fn go(&mut self, to: Moment) -> Result<()> {
        if self.is_ended() {
            return Ok(());
        }
        self.is_fresh = false;
        if to.gas <= self.moment.gas {
            self.moment.steps += self.run(to.gas, to.steps.saturating_sub(self.moment.steps))?;
            return Ok(());
        }
        self.run(to.gas - 1, ALL_STEPS)?;
        let steps = self.run(to.gas, to.steps)?;
        let gas = self.gas()?;
        self.moment = if gas == to.gas { Moment { gas, steps } } else { self.last_at(gas) };
        Ok(())
    }

    /// Runs to so much gas in total and so many free steps; the free steps that it made.
    fn run(&mut self, gas_total: u64, steps: u64) -> Result<u64> {
        let mut left = steps;
        while !self.is_ended() {
            let gas = gas_total.saturating_sub(self.gas()?);
            // Once it has ended, what it leaves behind is hashed: that is no step of the program.
            let has_ended = self.node.result()?.is_some();
            let event = self.node.run(Budget { gas, steps: if has_ended { u64::MAX } else { left } })?;
            left = self.machine()?.steps_left().min(left);
            self.node.drop_output()?;
            match event {
                Event::Paused if self.node.result()?.is_none() => break,
                Event::Paused | Event::Output => {}
                Event::Question => {
                    let question = self.node.question()?.ok_or_else(no_run)?;
                    let answer = self.replies.answer(&question, &mut self.node)?;
                    self.node.answer(&answer)?;
                }
                Event::Snapshot(id) => {
                    self.has_lost_marks = true;
                    let hash = snap::decode(&take_snap(&mut self.node)?)?.hash;
                    if self.hashes.get(&id).is_some_and(|expected| *expected != hash) {
                        let what = format!("the segment before it does not lead to snapshot {id}");
                        return Err(Failure::data(what).help("stepmark verify says what is wrong with the chain"));
                    }
                }
                Event::Finished => {
                    self.has_lost_marks = true;
                    self.end = Some(take_snap(&mut self.node)?.into());
                }
            }
        }
        Ok(steps - left)
    }

    /// Looks at every instruction from here to `until`, which may be after the end. This run is of no use afterwards.
    ///
    /// # Errors
    /// As those of [`go`](Self::go).
    pub(super) fn scan<L: Lookout + 'static>(
        mut self,
        lookout: L,
        bounds: ScanBounds,
        until: Moment,
    ) -> Result<Arc<Scanner<L>>> {
        let scanner = Scanner::new(lookout, self.moment, bounds);
        if self.is_ended() {
            return Ok(scanner);
        }
        self.session_mut()?.watch(scanner.clone());
        match self.run(until.gas, ALL_STEPS) {
            Err(_) if scanner.is_enough() => return Ok(scanner),
            ran => ran?,
        };
        if self.is_ended() {
            scanner.ended(self.machine()?);
        }
        Ok(scanner)
    }

    /// The state as a pause here would write it; at the end as `--keep-final` does.
    ///
    /// # Errors
    /// When the state is too large to be written.
    pub(super) fn state(&self) -> Result<RawSnapshot> {
        if let Some(end) = &self.end {
            return Ok(snap::decode(end)?);
        }
        let mut copy = self.fork()?;
        copy.node.encode_pause()?;
        Ok(snap::decode(&take_snap(&mut copy.node)?)?)
    }
}

/// The `.snap` among the files that a run has ready; the others are thrown away.
fn take_snap(node: &mut NativeNode) -> Result<Vec<u8>> {
    let mut snap = Vec::new();
    while let Some(file) = node.next_file()? {
        match file {
            OutputFile::Snap(_) => snap = node.take_all()?,
            _ => node.drop_file()?,
        }
    }
    Ok(snap)
}

fn no_run() -> Failure {
    Failure::data("the run was not loaded")
}
