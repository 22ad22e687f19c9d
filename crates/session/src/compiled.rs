//! Turns with compiled code that the embedder has made: see [`Machine::compile`](stepmark_core::machine::Machine::compile).

use super::{Event, Running, Session};
use stepmark_core::machine::Machine;
use stepmark_state::error::JobError;

/// Why [`Session::run_or_enter`] came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// As [`Session::run`] does.
    Event(Event),
    /// Compiled code of this instance can go on: its workspace says where. What it has come to is told by
    /// [`Session::entered`], before anything else.
    Enter(u32),
}

/// What compiled code has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entered<'a> {
    /// It does not go on there.
    Not,
    /// Its function has returned, with its results in the workspace from this word on.
    Returned(usize),
    /// It has left these frames, as [`Machine::compiled_left`] has them.
    Left(&'a [u64]),
}

impl Session {
    fn machine_mut(&mut self) -> Result<&mut Machine, JobError> {
        let running = self.running.as_deref_mut();
        Ok(&mut running.ok_or_else(|| JobError::usage("the run has not begun: files are still wanted"))?.machine)
    }

    /// Gets a workspace ready for compiled code of an instance; what its maker is told.
    ///
    /// # Errors
    /// As [`Machine::compile`].
    pub fn compile(&mut self, instance: u32, words: usize) -> Result<Vec<u64>, JobError> {
        self.machine_mut()?.compile(instance, words)
    }

    /// Hands functions over, as [`Machine::hand_over`] does.
    ///
    /// # Errors
    /// A usage error if the run has not begun.
    pub fn hand_over(&mut self, instance: u32, words: &[u64]) -> Result<(), JobError> {
        self.machine_mut()?.hand_over(instance, words);
        Ok(())
    }

    /// Says what compiled code has come to, and how much gas it has left of what there was.
    ///
    /// # Errors
    /// A usage error if the run has not begun; as [`Machine::compiled_left`].
    pub fn entered(&mut self, entered: Entered<'_>, gas_left: u64) -> Result<(), JobError> {
        let machine = self.machine_mut()?;
        match entered {
            Entered::Not => machine.not_entered(),
            Entered::Returned(at) => machine.compiled_returned(at, gas_left),
            Entered::Left(frames) => machine.compiled_left(frames, gas_left)?,
        }
        if let Some(running) = self.running.as_deref_mut() {
            Running::account(running);
        }
        Ok(())
    }
}
