//! The seam between the machine and its tiers: who executes functions, and what the machine asks of them. The machine hands
//! a tier every stretch that is paid whole and begins at one of its entries, and steps through the rest itself, so a tier
//! need not have a form for everything: what it cannot do it leaves, with the state before the instruction.

use std::fmt;

use crate::code::{Body, EntryPoint, Environment, Location};
use crate::gas::Schedule;
use crate::machine::{Frame, Store};

use super::register::RegisterTier;

/// A tier by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TierKind {
    /// Register code in one loop: what runs programs.
    #[default]
    Register,
    /// One instruction at a time: what defines them, and what the others are tested against.
    Stepper,
}

impl TierKind {
    /// Every tier, the one that defines what programs do first.
    pub const ALL: [TierKind; 2] = [TierKind::Stepper, TierKind::Register];

    /// A tier of this kind that knows no function yet.
    pub(super) fn make(self) -> Box<dyn Tier> {
        match self {
            TierKind::Register => Box::new(RegisterTier::default()),
            TierKind::Stepper => Box::new(NoCode),
        }
    }
}

/// Why a tier stopped. The top frame's `resume` is stale where a position is given here.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Exit {
    /// Before the decoded instruction of this index in the top frame; `gas` is exact.
    Before(u32),
    /// At an entry of the top frame whose block cannot be paid; `gas` is exact again with the entry's cost.
    AtEntry(u32),
    /// At a call of the top frame, with `gas` exact but for the call's own cost, which has been charged.
    AtCall(CallIndex),
    /// The frame below was not left by this tier: go on there; `gas` is exact.
    Returned,
    /// The outermost function returned; `gas` is exact.
    Done,
    /// The instruction at this position traps or costs more than is left, and has changed nothing; the stepper finds out
    /// where and why.
    Stuck(u32),
}

/// How to find the decoded index of a call.
#[derive(Clone, Copy, Debug)]
pub(crate) enum CallIndex {
    /// One before the entry at this position.
    BeforeEntry(u32),
    /// This one.
    Index(u32),
}

/// The parts of a machine that a tier works on.
pub(crate) struct Parts<'a> {
    pub(crate) store: &'a mut Store,
    pub(crate) schedule: &'a Schedule,
    pub(crate) stack: &'a mut [u64],
    pub(crate) frames: &'a mut Vec<Frame>,
    pub(crate) call_depth: usize,
    /// Uncharged steps left.
    pub(crate) steps: &'a mut u64,
}

/// How much code a tier holds, to go back to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CodeMark(pub(super) usize, pub(super) usize);

/// Executes functions. Functions are named by their address in the store; a frame that a tier has left in its own form
/// (`Resume::Fast`) rests at one of its entries, by position.
pub(crate) trait Tier: Send + Sync {
    /// Returns which tier this is.
    fn kind(&self) -> TierKind;

    /// Copies the tier with its code, for a copy of the machine.
    fn copied(&self) -> Box<dyn Tier>;

    /// Takes note of functions that the store has gained.
    fn grow(&mut self, store: &Store);

    /// Returns whether [`prepare`](Self::prepare) was called for a function.
    fn is_prepared(&self, func: u32) -> bool;

    /// Makes a function's code if it has a form here.
    fn prepare(&mut self, func: u32, body: &Body, store: &Store, environment: &Environment<'_>);

    /// Returns whether a function has code.
    fn has_code(&self, func: u32) -> bool;

    /// Finds the entry before the instruction of this decoded index.
    fn entry_at_index(&self, func: u32, index: u32) -> Option<EntryPoint>;

    /// Finds the first entry at a position of the tier's own.
    fn entry_at_position(&self, func: u32, position: u32) -> Option<EntryPoint>;

    /// Runs from the top frame, which rests at an entry, with `gas` that has been charged for the block there.
    fn run(&self, parts: Parts<'_>, gas: &mut i64) -> Exit;

    /// Finds the instruction at a position where the tier got stuck, where its operands are, and what was charged too much.
    fn locate(&self, func: u32, position: u32, body: &Body, environment: &Environment<'_>) -> Location;

    /// Returns how much code there is.
    fn mark(&self) -> CodeMark;

    /// Forgets all functions but the first so many, and all code since the mark: none of the functions that stay.
    fn truncate(&mut self, funcs: usize, mark: CodeMark);
}

impl fmt::Debug for dyn Tier {
    /// Writes which tier it is, not its code: that would put the names of all instructions into the module.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind().fmt(f)
    }
}

impl Clone for Box<dyn Tier> {
    fn clone(&self) -> Self {
        self.copied()
    }
}

/// The stepper as a tier: no function has code, so the machine steps through all of them.
#[derive(Clone, Copy, Debug)]
struct NoCode;

impl Tier for NoCode {
    fn kind(&self) -> TierKind {
        TierKind::Stepper
    }

    fn copied(&self) -> Box<dyn Tier> {
        Box::new(*self)
    }

    fn grow(&mut self, _store: &Store) {}

    fn is_prepared(&self, _func: u32) -> bool {
        true
    }

    fn prepare(&mut self, _func: u32, _body: &Body, _store: &Store, _environment: &Environment<'_>) {}

    fn has_code(&self, _func: u32) -> bool {
        false
    }

    fn entry_at_index(&self, _func: u32, _index: u32) -> Option<EntryPoint> {
        None
    }

    fn entry_at_position(&self, _func: u32, _position: u32) -> Option<EntryPoint> {
        None
    }

    fn run(&self, _parts: Parts<'_>, _gas: &mut i64) -> Exit {
        unreachable!("BUG: there is no entry to run from")
    }

    fn locate(&self, _func: u32, _position: u32, _body: &Body, _environment: &Environment<'_>) -> Location {
        unreachable!("BUG: nothing runs that could get stuck")
    }

    fn mark(&self) -> CodeMark {
        CodeMark(0, 0)
    }

    fn truncate(&mut self, _funcs: usize, _mark: CodeMark) {}
}
