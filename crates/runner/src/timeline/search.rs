//! Searches along a run, in both directions: steps, breakpoints. A stretch near the moment is looked at first, and then longer
//! ones; each begins with a copy of the run that was taken there by the register tier.

use stepmark_tools::lookouts::{Breakpoint, BreakpointLookout, EveryMoment};
use stepmark_tools::moment::Moment;
use stepmark_tools::scan::{Lookout, ScanBounds};

use super::playback::Playback;
use super::{Direction, SeekTarget, Timeline};
use crate::failure::Result;

/// Gas of the first stretch that is looked at.
const FIRST_WINDOW: u64 = 1 << 12;
/// Gas of the longest stretch that is looked at at once.
const LAST_WINDOW: u64 = 1 << 22;

impl Timeline {
    /// Goes `count` moments on, fewer where the run ends; how many it went.
    ///
    /// # Errors
    /// Exit code 65 where the chain does not lead there.
    pub fn step(&mut self, count: u64) -> Result<u64> {
        self.walk(count, Direction::Forward)
    }

    /// Goes `count` moments back, fewer where the chain begins; how many it went.
    ///
    /// # Errors
    /// Exit code 65 where the chain does not lead there.
    pub fn back(&mut self, count: u64) -> Result<u64> {
        self.walk(count, Direction::Backward)
    }

    /// Goes to the next moment that is in no deeper call than this one; whether there is one.
    ///
    /// # Errors
    /// Exit code 65 where the chain does not lead there.
    pub fn step_over(&mut self) -> Result<bool> {
        let depth = self.here.machine()?.depth();
        self.run_to_depth(depth, Direction::Forward)
    }

    /// Goes to where the function that is under way has returned; whether it does.
    ///
    /// # Errors
    /// Exit code 65 where the chain does not lead there.
    pub fn step_out(&mut self) -> Result<bool> {
        match self.here.machine()?.depth().checked_sub(1).filter(|depth| *depth > 0) {
            Some(depth) => self.run_to_depth(depth, Direction::Forward),
            None => Ok(false),
        }
    }

    /// Goes back to the moment before that is in no deeper call than this one; whether there is one.
    ///
    /// # Errors
    /// Exit code 65 where the chain does not lead there.
    pub fn back_over(&mut self) -> Result<bool> {
        let depth = self.here.machine()?.depth();
        self.run_to_depth(depth, Direction::Backward)
    }

    fn run_to_depth(&mut self, depth: usize, direction: Direction) -> Result<bool> {
        let holds = move |machine: &mut stepmark_core::machine::Machine| (1..=depth).contains(&machine.depth());
        let breakpoint = Breakpoint::Condition(std::sync::Arc::new(holds));
        Ok(self.run_to(&breakpoint, direction)?.is_some())
    }

    /// Goes to the nearest moment in a direction at which a breakpoint is met; which one that is. It stays where it is if there
    /// is none.
    ///
    /// # Errors
    /// Exit code 65 where the chain does not lead there.
    pub fn run_to(&mut self, breakpoint: &Breakpoint, direction: Direction) -> Result<Option<Moment>> {
        let mut lookout = || BreakpointLookout::new(breakpoint.clone());
        match self.find(&mut lookout, 1, direction)?.first().copied() {
            Some(moment) => self.seek(SeekTarget::Moment(moment)).map(Some),
            None => Ok(None),
        }
    }

    fn walk(&mut self, count: u64, direction: Direction) -> Result<u64> {
        let wanted = usize::try_from(count).unwrap_or(usize::MAX);
        let found = self.find(&mut || EveryMoment, wanted, direction)?;
        if let Some(moment) = found.last() {
            self.seek(SeekTarget::Moment(*moment))?;
        }
        Ok(found.len() as u64)
    }

    /// The nearest moments in a direction that a lookout finds, nearest first, at most so many.
    fn find<L: Lookout + 'static>(
        &mut self,
        lookout: &mut dyn FnMut() -> L,
        wanted: usize,
        direction: Direction,
    ) -> Result<Vec<Moment>> {
        match direction {
            _ if wanted == 0 => Ok(Vec::new()),
            Direction::Forward => self.find_forward(lookout, wanted),
            Direction::Backward => self.find_backward(lookout, wanted),
        }
    }

    fn find_forward<L: Lookout + 'static>(
        &mut self,
        lookout: &mut dyn FnMut() -> L,
        wanted: usize,
    ) -> Result<Vec<Moment>> {
        let mut found: Vec<Moment> = Vec::new();
        let mut segment = self.course.segment_to(self.moment())?;
        let Some(mut run) = self.enter(self.here.fork()?, segment)? else { return Ok(found) };
        let mut window = FIRST_WINDOW;
        while !run.is_ended() {
            let ends = self.course.ends(segment);
            if ends.is_some_and(|gas| gas <= run.moment().gas) {
                segment += 1;
                match self.enter(run, segment)? {
                    Some(next) => run = next,
                    None => break,
                }
                continue;
            }
            let until = Moment::last_at_gas(run.moment().gas.saturating_add(window).min(ends.unwrap_or(u64::MAX)));
            let bounds = ScanBounds {
                after: run.after(),
                before: Moment { steps: u64::MAX, ..until },
                keep: wanted - found.len(),
                is_first: true,
            };
            found.extend(run.fork()?.scan(lookout(), bounds, until)?.found());
            if found.len() == wanted {
                break;
            }
            let from = run.moment();
            run.go(until)?;
            // An instruction that is dearer than a stretch fits a longer one.
            let is_stuck = run.moment() == from;
            window = if is_stuck { window.saturating_mul(4) } else { (window * 4).min(LAST_WINDOW) };
        }
        Ok(found)
    }

    /// The run that has come to the start of a segment goes on in it, or one that is opened there; none where there is none.
    pub(super) fn enter(&self, run: Playback, segment: usize) -> Result<Option<Playback>> {
        if segment >= self.course.starts().len() {
            return Ok(None);
        }
        if run.limit()? == self.course.limit(segment) {
            return Ok(Some(run));
        }
        self.course.open(segment).map(Some)
    }

    fn find_backward<L: Lookout + 'static>(
        &mut self,
        lookout: &mut dyn FnMut() -> L,
        wanted: usize,
    ) -> Result<Vec<Moment>> {
        let mut found: Vec<Moment> = Vec::new();
        let (mut before, mut window) = (self.moment(), FIRST_WINDOW);
        loop {
            let segment = self.course.segment_before(before);
            let begins = self.course.begins(segment);
            let from = Moment::last_at_gas(before.gas.saturating_sub(window)).max(begins);
            let is_whole = from == begins || from.gas == begins.gas;
            let run = if is_whole { self.course_start(segment)? } else { self.reach(from, &[])? };
            // The first moment of a chain has none before it.
            let after = run.after().filter(|_| segment > 0 || !is_whole);
            let bounds = ScanBounds { after, before, keep: wanted - found.len(), is_first: false };
            let scanned = run.fork()?.scan(lookout(), bounds, Moment::last_at_gas(before.gas))?.found();
            found.extend(scanned.into_iter().rev());
            let Some(after) = after.filter(|_| found.len() < wanted) else { return Ok(found) };
            // What is at the start of this stretch is the end of the one before.
            before = Moment { steps: after.steps + 1, ..after };
            window = if is_whole { FIRST_WINDOW } else { (window * 4).min(LAST_WINDOW) };
            self.checkpoints.keep(run);
        }
    }

    /// A run at the start of a segment, untouched.
    fn course_start(&mut self, segment: usize) -> Result<Playback> {
        let begins = self.course.begins(segment);
        if segment > 0
            && let Some(run) = self.checkpoints.nearest(begins, begins, self.course.limit(segment))?
        {
            return Ok(run);
        }
        self.course.open(segment)
    }
}
