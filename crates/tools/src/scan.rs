//! Looking at every instruction of a run before it is executed, to find moments: a [`Scanner`] watches a session, keeps count
//! of the moment, and asks its [`Lookout`]. A scan is slow; what is far away is run over first and scanned last.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stepmark_core::machine::{Access, AccessObserver, Machine};
use stepmark_state::error::JobError;

use crate::moment::Moment;

/// Says which moments are looked for.
pub trait Lookout: Send {
    /// Looks at the machine before its next instruction, and tells `found` the moments, this one or an earlier one, that it
    /// now knows to be looked for. One moment may be looked at several times: before markers, and before a host call that waits.
    fn look(&mut self, moment: Moment, machine: &mut Machine, found: &mut dyn FnMut(Moment));

    /// Is told that a host function is about to read or write these bytes.
    fn touched(&mut self, _access: Access) {}

    /// Is told that the run has ended, and at which moment.
    fn ended(&mut self, _moment: Moment, _found: &mut dyn FnMut(Moment)) {}
}

/// Which of the moments that are looked for count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScanBounds {
    /// Only moments after this one count; all, if there is none.
    pub after: Option<Moment>,
    /// Only moments before this one count.
    pub before: Moment,
    /// How many of them are kept, the last ones.
    pub keep: usize,
    /// Whether the scan stops once so many have been found.
    pub is_first: bool,
}

impl ScanBounds {
    fn contain(&self, moment: Moment) -> bool {
        self.after.is_none_or(|after| moment > after) && moment < self.before
    }
}

/// Watches a run: give it to `Session::watch`.
pub struct Scanner<L>(Mutex<Scan<L>>);

struct Scan<L> {
    lookout: L,
    clock: MomentClock,
    hits: Hits,
}

/// The moments found, ascending.
struct Hits {
    bounds: ScanBounds,
    found: VecDeque<Moment>,
}

impl Hits {
    fn add(&mut self, moment: Moment) {
        let is_new = self.found.back().is_none_or(|last| *last < moment);
        if !is_new || !self.bounds.contain(moment) || self.is_enough() {
            return;
        }
        if self.found.len() == self.bounds.keep {
            self.found.pop_front();
        }
        self.found.push_back(moment);
    }

    fn is_enough(&self) -> bool {
        self.bounds.is_first && self.found.len() >= self.bounds.keep
    }
}

/// Counts moments along a run that is watched.
#[derive(Debug)]
struct MomentClock {
    now: Moment,
    /// Uncharged steps left at the last look.
    left: Option<u64>,
}

impl MomentClock {
    fn look(&mut self, machine: &Machine) -> Moment {
        let (gas, left) = (machine.gas_total(), machine.steps_left());
        if gas != self.now.gas {
            self.now = Moment::at_gas(gas);
        } else {
            // More are left where a new stretch has begun: that makes none.
            self.now.steps += self.left.map_or(0, |before| before.saturating_sub(left));
        }
        self.left = Some(left);
        self.now
    }
}

impl<L: Lookout> Scanner<L> {
    /// A scanner of a run that is at `now`.
    pub fn new(lookout: L, now: Moment, bounds: ScanBounds) -> Arc<Self> {
        let clock = MomentClock { now, left: None };
        let hits = Hits { bounds, found: VecDeque::new() };
        Arc::new(Self(Mutex::new(Scan { lookout, clock, hits })))
    }

    fn scan(&self) -> MutexGuard<'_, Scan<L>> {
        // A panic in the middle of a step leaves moments, not invariants.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether as many moments have been found as were wanted, so that the run was stopped with an error of no meaning.
    pub fn is_enough(&self) -> bool {
        self.scan().hits.is_enough()
    }

    /// Says that the run has ended, with its machine as it is then.
    pub fn ended(&self, machine: &Machine) {
        let Scan { lookout, clock, hits } = &mut *self.scan();
        lookout.ended(clock.look(machine), &mut |moment| hits.add(moment));
    }

    /// The moments that were found, ascending.
    pub fn found(&self) -> Vec<Moment> {
        self.scan().hits.found.iter().copied().collect()
    }

    /// What the lookout has to say.
    pub fn ask<T>(&self, question: impl FnOnce(&mut L) -> T) -> T {
        question(&mut self.scan().lookout)
    }
}

impl<L> fmt::Debug for Scanner<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scanner")
    }
}

impl<L: Lookout> AccessObserver for Scanner<L> {
    fn before_step(&self, machine: &mut Machine) -> Result<(), JobError> {
        let Scan { lookout, clock, hits } = &mut *self.scan();
        lookout.look(clock.look(machine), machine, &mut |moment| hits.add(moment));
        if hits.is_enough() { Err(JobError::usage("the scan has found what it looked for")) } else { Ok(()) }
    }

    fn touch(&self, access: Access) -> Result<(), JobError> {
        self.scan().lookout.touched(access);
        Ok(())
    }
}
