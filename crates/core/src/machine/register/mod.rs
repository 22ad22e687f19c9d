//! The fast engine: runs register code until something needs the driver, see [`Exit`]. One loop, one match (`run`);
//! explicit frames, no recursion on the host's stack. It charges gas on taken edges only: `gas` is the exact remainder
//! less what the straight line ahead has been charged in advance.

mod code;
mod run;

pub(crate) use code::Code;
pub(crate) use run::run;

use crate::gas::Schedule;
use crate::machine::{Frame, Store};

/// Does the engine charge gas; a build without it exists only to measure what that costs.
const METERED: bool = !cfg!(feature = "measure-without-gas");
/// Does the engine mark the pages that it writes; a build without it exists only to measure what that costs.
const TRACKED: bool = !cfg!(feature = "measure-without-dirty");

/// Why the fast engine stopped. The top frame's `resume` is stale where a position is given here.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Exit {
    /// Before the decoded instruction of this index in the top frame; `gas` is exact.
    Before(u32),
    /// At an entry of the top frame whose block cannot be paid; `gas` is exact again with the entry's cost.
    AtEntry(u32),
    /// At a call of the top frame, with `gas` exact but for the call's own cost, which has been charged.
    AtCall(CallIndex),
    /// The frame below was not left by this engine: go on there; `gas` is exact.
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

/// What the loop works on, beside its own counters.
pub(crate) struct Engine<'a> {
    pub(crate) store: &'a mut Store,
    pub(crate) code: &'a Code,
    pub(crate) schedule: &'a Schedule,
    pub(crate) stack: &'a mut [u64],
    pub(crate) frames: &'a mut Vec<Frame>,
    pub(crate) call_depth: usize,
    /// Uncharged steps left.
    pub(crate) steps: &'a mut u64,
}
