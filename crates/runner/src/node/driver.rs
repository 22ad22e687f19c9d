//! The one loop over a module's session: it runs slice after slice, has answered what the run asks of the outside, looks up now
//! and then, and comes back where there are files to be taken. What runs to an exact place, as a search for a difference does,
//! uses [`external::run`] itself.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use stepmark_session::output_file::OutputFile;

use crate::bounds::Allowance;
use crate::failure::{Failure, INTERRUPTED, Result};
use crate::interrupt::Interrupt;
use crate::node::engine::{Budget, Event, ModuleSession};
use crate::node::external::{self, Responder};

/// Runs a loaded job.
pub struct Driver<'a> {
    /// What runs it.
    pub node: &'a mut dyn ModuleSession,
    responder: &'a mut dyn Responder,
    stop: &'a Interrupt,
    allowance: Allowance,
    slice: GasSlice,
}

/// Why a driver came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached {
    /// The run has ended: its reports are ready to be taken.
    End,
    /// The gas limit was reached: the files of this snapshot are ready to be taken.
    Snapshot(u64),
    /// The program has used the gas that it was to be stopped at, or a little more.
    Gas,
    /// The user wants the run to stop.
    Interrupted,
}

impl<'a> Driver<'a> {
    /// Drives `node`, with answers from `responder`, until somebody says stop.
    pub fn new(node: &'a mut dyn ModuleSession, responder: &'a mut dyn Responder, stop: &'a Interrupt) -> Self {
        node.heed(stop);
        Self { node, responder, stop, allowance: Allowance::default(), slice: GasSlice::first() }
    }

    /// Gives up, with exit code 77, where more is taken than this: gas, and instructions that cost none.
    #[must_use]
    pub fn within(self, allowance: &Allowance) -> Self {
        Self { allowance: allowance.clone(), ..self }
    }

    /// Runs to the next snapshot, to the end, or until the program has used `until` gas since its beginning. After every slice
    /// `after` may look, and takes what the program has written.
    ///
    /// # Errors
    /// The module's, and those of who answers and of `after`.
    pub fn run_until(
        &mut self,
        until: u64,
        after: &mut dyn FnMut(&mut dyn ModuleSession) -> Result<()>,
    ) -> Result<Reached> {
        // The next instruction may be dearer than the gas that is left.
        let mut beyond: u64 = 1;
        loop {
            let before = self.node.progress()?.gas_total;
            let Some(left) = until.checked_sub(before).filter(|gas| *gas > 0) else { return Ok(Reached::Gas) };
            if self.stop.is_requested() {
                return Ok(Reached::Interrupted);
            }
            let mut budget = self.slice.budget();
            budget.gas = budget.gas.min(left.saturating_mul(beyond));
            let began = Instant::now();
            let event = external::run(self.node, budget, self.responder)?;
            let took = began.elapsed();
            let used = self.node.progress()?.gas_total.saturating_sub(before);
            let moved = used > 0;
            self.allowance.spend_slice(used, budget.gas, budget.steps, event == Event::Paused)?;
            beyond = if moved { 1 } else { beyond.saturating_mul(2) };
            after(self.node)?;
            match event {
                Event::Finished => return Ok(Reached::End),
                Event::Snapshot(id) => return Ok(Reached::Snapshot(id)),
                Event::Paused => self.slice.adapt(took, moved),
                Event::Output | Event::Question => {}
            }
        }
    }

    /// Runs to the next snapshot or to the end.
    ///
    /// # Errors
    /// As [`run_until`](Self::run_until), and exit code 130 when the user stops the run.
    pub fn run(&mut self, after: &mut dyn FnMut(&mut dyn ModuleSession) -> Result<()>) -> Result<Ready> {
        match self.run_until(u64::MAX, after)? {
            Reached::End => Ok(Ready::Reports),
            Reached::Snapshot(id) => Ok(Ready::Snapshot(id)),
            Reached::Gas | Reached::Interrupted => Err(Failure::new(INTERRUPTED, "interrupted")),
        }
    }
}

/// The files that a run has ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ready {
    /// Those of its end.
    Reports,
    /// Those of this snapshot.
    Snapshot(u64),
}

/// Takes every file that is ready, each whole.
///
/// # Errors
/// When the engine fails.
pub fn take_files(node: &mut dyn ModuleSession) -> Result<BTreeMap<OutputFile, Vec<u8>>> {
    let mut files = BTreeMap::new();
    while let Some(file) = node.next_file()? {
        files.insert(file, node.take_all()?);
    }
    Ok(files)
}

/// Throws away every file that is ready.
///
/// # Errors
/// When the engine fails.
pub fn drop_files(node: &mut dyn ModuleSession) -> Result<()> {
    while node.next_file()?.is_some() {
        node.drop_file()?;
    }
    Ok(())
}

/// How much the node runs before the runner looks up: about as much as takes the blink of an eye, whatever the program,
/// so that progress and Ctrl-C work. Where a slice ends decides nothing about the result.
struct GasSlice {
    gas: u64,
}

impl GasSlice {
    /// What a slice should take.
    const TARGET: Duration = Duration::from_millis(50);
    /// Instructions that a schedule may make free, after which a slice ends all the same.
    const STEPS: u64 = 50_000_000;
    /// Gas of the first slice, and the least of any.
    const LEAST: u64 = 1_000_000;

    fn first() -> Self {
        Self { gas: Self::LEAST }
    }

    fn budget(&self) -> Budget {
        Budget { gas: self.gas, steps: Self::STEPS }
    }

    /// Doubles or halves towards the target. A slice in which nothing `moved` has met an instruction dearer than itself, however
    /// long it took to see that: only a larger one gets past it.
    fn adapt(&mut self, took: Duration, moved: bool) {
        if took < Self::TARGET / 2 || !moved {
            self.gas = self.gas.saturating_mul(2);
        } else if took > Self::TARGET * 2 {
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
        for took in [0, 30, 5_000].into_iter().cycle().take(64) {
            slice.adapt(Duration::from_millis(took), false);
        }
        assert_eq!(slice.gas, u64::MAX);
    }
}
