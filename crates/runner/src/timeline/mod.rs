//! Any moment of a run, forwards and backwards: a [`Timeline`] over a chain, or over a job from its start. It goes to a moment
//! from the nearest snapshot, or from a copy of the run that it keeps in memory, with the register tier; what has to be looked at
//! instruction by instruction is only the last stretch.
//!
//! Snapshots are taken as they are, as by whoever resumes from one; where a run passes from one to the next it must come by the
//! next one's hash.

mod checkpoints;
mod course;
mod history;
mod lines;
mod output;
mod playback;
mod search;
#[cfg(test)]
mod tests;
mod writes;

use std::collections::BTreeSet;

use stepmark_core::module::ExternKind;
use stepmark_session::report::RunOutcome;
use stepmark_snapshot::snap::RawSnapshot;
use stepmark_state::pages::{SPACE_MEMORY, SpaceId};

use self::checkpoints::Checkpoints;
use self::course::{Course, CourseEnd};
use self::playback::Playback;
use crate::chain::ChainFiles;
use crate::demangle::demangled;
use crate::failure::{Failure, Result};
use crate::job::rerun::Rerun;
use crate::state::StateView;

pub use self::lines::LineBreakpoint;
pub use stepmark_tools::lookouts::{Breakpoint, MemoryRange, MomentCondition, ValueChange, Watched};
pub use stepmark_tools::moment::Moment;

/// Bytes of copies of the run that a timeline keeps where nothing else is said: 512 MiB.
pub const CHECKPOINT_BYTES: u64 = 512 << 20;

/// Gas before a moment that is sought at which copies of the run are kept: who goes there goes back next.
const KEPT_BEFORE: [u64; 4] = [1 << 24, 1 << 20, 1 << 16, 1 << 12];

/// Where to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeekTarget {
    /// The last moment with at most so much gas in total.
    Gas(u64),
    /// This moment, or the last one before it.
    Moment(Moment),
    /// The snapshot of this id; 0 is the start of the run.
    Snapshot(u64),
    /// The end of what is recorded.
    End,
    /// Before the instruction that trapped.
    Trap,
}

/// Which way to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// With the run.
    Forward,
    /// Against it.
    Backward,
}

/// A run at one of its moments.
pub struct Timeline {
    course: Course,
    checkpoints: Checkpoints,
    here: Playback,
    /// The state here, once it was asked for.
    state: Option<Box<RawSnapshot>>,
    /// The end, once it is known.
    end: Option<Moment>,
}

impl Timeline {
    /// A timeline over a chain, at its beginning, that keeps at most `budget` bytes of copies of the run.
    ///
    /// # Errors
    /// Exit code 65 where files of the chain are missing or damaged, and those of resuming from its first snapshot.
    pub fn open(chain: &ChainFiles, rerun: &Rerun, budget: u64) -> Result<Self> {
        Self::new(Course::of_chain(chain, rerun)?, budget)
    }

    /// A timeline over a job from its start, whose segments have this gas limit.
    ///
    /// # Errors
    /// As those of starting the job.
    pub fn of_job(rerun: &Rerun, limit: u64, budget: u64) -> Result<Self> {
        Self::new(Course::of_job(rerun, limit)?, budget)
    }

    fn new(course: Course, budget: u64) -> Result<Self> {
        let mut here = course.open(0)?;
        here.go(course.begins(0))?;
        Ok(Self { course, checkpoints: Checkpoints::new(budget), here, state: None, end: None })
    }

    /// The moment that it is at.
    pub fn moment(&self) -> Moment {
        self.here.moment()
    }

    /// Whether the run has ended here.
    pub fn is_ended(&self) -> bool {
        self.here.is_ended()
    }

    /// Bytes of the copies of the run that it keeps.
    pub fn kept_bytes(&self) -> u64 {
        self.checkpoints.bytes()
    }

    /// Goes to a moment; which one that is. Where it fails it stays where it was.
    ///
    /// # Errors
    /// Exit code 2 for what is outside the chain, 65 where the chain does not lead there.
    pub fn seek(&mut self, to: SeekTarget) -> Result<Moment> {
        match to {
            SeekTarget::Gas(gas) => self.go_to(Moment::last_at_gas(gas)),
            SeekTarget::Moment(moment) => self.go_to(moment),
            SeekTarget::Snapshot(id) => self.go_to(self.snapshot(id)?),
            SeekTarget::End => self.go_to_end(),
            SeekTarget::Trap => self.go_to_trap(),
        }
    }

    fn snapshot(&self, id: u64) -> Result<Moment> {
        let start = self.course.starts().iter().find(|start| start.id == id);
        let gas = start.map(|start| start.gas).ok_or_else(|| {
            let what = format!("snapshot {id} is not one from which the run can be gone on with");
            Failure::usage(what)
        })?;
        Ok(if id == 0 { Moment::default() } else { Moment::last_at_gas(gas) })
    }

    fn go_to(&mut self, to: Moment) -> Result<Moment> {
        self.check_inside(to)?;
        let mut there = self.reach(to, &KEPT_BEFORE)?;
        if there.is_ended() && there.moment().gas < to.gas {
            self.end = Some(there.moment());
            return Err(self.beyond(to, there.moment().gas));
        }
        // Steps at a gas that is not quite reached are counted once it is known.
        if self.course.has_free_steps && there.moment().gas < to.gas {
            there = self.reach(Moment::last_at_gas(there.moment().gas), &[])?;
        }
        self.move_to(there);
        Ok(self.moment())
    }

    /// Checks that a moment is not after what is recorded, as far as that is known.
    fn check_inside(&self, to: Moment) -> Result<()> {
        let end = match self.course.end {
            CourseEnd::Gas(gas) => Some(gas),
            CourseEnd::Program => self.end.map(|end| end.gas),
        };
        match end {
            Some(end) if to.gas > end => Err(self.beyond(to, end)),
            _ => Ok(()),
        }
    }

    fn beyond(&self, to: Moment, end: u64) -> Failure {
        let what = match (self.course.end, self.course.starts().last()) {
            (CourseEnd::Program, _) => format!("the run, which ends at gas {end}"),
            (CourseEnd::Gas(_), Some(last)) if last.gas == end => {
                format!("the chain, which ends with snapshot {} at gas {end}", last.id)
            }
            (CourseEnd::Gas(_), _) => format!("the chain, which ends with a pause at gas {end}"),
        };
        Failure::usage(format!("gas {} is beyond {what}", to.gas))
    }

    fn go_to_end(&mut self) -> Result<Moment> {
        let to = match (self.course.end, self.end) {
            (CourseEnd::Gas(gas), _) => return self.go_to(Moment::last_at_gas(gas)),
            (CourseEnd::Program, Some(end)) => Moment::last_at_gas(end.gas),
            (CourseEnd::Program, None) => Moment::at_gas(u64::MAX),
        };
        let mut there = self.reach(to, &[])?;
        if !there.is_ended() {
            return Err(Failure::data("the program does not end where its receipt says so"));
        }
        if self.end.is_none() {
            // Once more, to leave copies of the run before its end.
            there = self.reach(Moment::last_at_gas(there.moment().gas), &KEPT_BEFORE)?;
        }
        self.end = Some(there.moment());
        self.move_to(there);
        Ok(self.moment())
    }

    fn go_to_trap(&mut self) -> Result<Moment> {
        let from = self.moment();
        self.go_to_end()?;
        if matches!(self.here.session()?.outcome(), Some(RunOutcome::Trapped(_))) {
            self.back(1)?;
            return Ok(self.moment());
        }
        self.go_to(from)?;
        Err(Failure::usage("the run did not end in a trap"))
    }

    /// The end of what is recorded; `here` stays where it is.
    fn end(&mut self) -> Result<Moment> {
        if let (CourseEnd::Program, None) = (self.course.end, self.end) {
            let from = self.moment();
            self.go_to_end()?;
            self.go_to(from)?;
        }
        Ok(match (self.course.end, self.end) {
            (CourseEnd::Gas(gas), _) => Moment::last_at_gas(gas),
            (CourseEnd::Program, end) => end.unwrap_or_default(),
        })
    }

    /// A run at `to`, which leaves copies of itself that far before it.
    fn reach(&mut self, to: Moment, kept_before: &[u64]) -> Result<Playback> {
        let segment = self.course.segment_to(to)?;
        let begins = self.course.begins(segment);
        let mut run = match self.checkpoints.nearest(begins, to, self.course.limit(segment))? {
            Some(run) => run,
            None => {
                let run = self.course.open(segment)?;
                self.checkpoints.keep(run.fork()?);
                run
            }
        };
        for before in kept_before {
            let at = to.gas.saturating_sub(*before);
            // Not twice in one place, and none where one is as near.
            if at > run.moment().gas.saturating_add(*before) {
                run.go(Moment::last_at_gas(at))?;
                self.checkpoints.keep(run.fork()?);
            }
        }
        run.go(to)?;
        Ok(run)
    }

    fn move_to(&mut self, there: Playback) {
        let before = std::mem::replace(&mut self.here, there);
        self.checkpoints.keep(before);
        self.state = None;
    }

    /// The state here, as a pause here would write it.
    ///
    /// # Errors
    /// When it is too large to be written.
    pub fn state(&mut self) -> Result<&RawSnapshot> {
        let state = match self.state.take() {
            Some(state) => state,
            None => Box::new(self.here.state()?),
        };
        Ok(self.state.insert(state))
    }

    /// What the state here says: frames with locals and operands, globals, tables, descriptors.
    ///
    /// # Errors
    /// As those of [`state`](Self::state).
    pub fn view(&mut self) -> Result<StateView> {
        self.state()?;
        let session = self.here.session()?;
        let state = self.state.as_ref().ok_or_else(|| Failure::data("there is no state"))?;
        Ok(StateView::new(state, session.machine(), session.wasi()))
    }

    /// The functions with this name, as a module, its source or its exports have it: instance and index, in their order.
    ///
    /// # Errors
    /// Exit code 65 where the run cannot be loaded.
    pub fn functions_named(&self, name: &str) -> Result<Vec<(u32, u32)>> {
        let mut found = BTreeSet::new();
        for (instance, linked) in (0..).zip(&self.here.machine()?.store.instances) {
            let module = &linked.module;
            let exported = module.export(name).filter(|export| export.kind == ExternKind::Func);
            found.extend(exported.map(|export| (instance, export.index)));
            let names = module.func_names(0..module.func_count());
            let of_name = names.iter().filter(|(_, own)| own.as_str() == name || demangled(own) == name);
            found.extend(of_name.map(|(function, _)| (instance, *function)));
        }
        Ok(found.into_iter().collect())
    }

    /// So many bytes of a memory here, by its number, from `start` on.
    ///
    /// # Errors
    /// Exit code 2 when there are no such bytes.
    pub fn memory(&mut self, memory: u32, start: u64, length: usize) -> Result<Vec<u8>> {
        let space = SpaceId::new(SPACE_MEMORY, memory);
        crate::state::check_range(self.state()?, space, start, length)?;
        let session = self.here.session_mut()?;
        Ok(crate::state::bytes_of(|page| session.page(space, page), start, length))
    }
}
