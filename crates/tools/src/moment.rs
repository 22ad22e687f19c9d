//! A moment of a run, exact to the instruction.

use std::fmt;

use serde::{Deserialize, Serialize};
use stepmark_core::code::Op;
use stepmark_core::gas::Schedule;

/// More uncharged transfers than any program makes between two units of gas, unless it never ends.
pub const ALL_STEPS: u64 = 1 << 30;

/// A moment of a run: before the instruction that would be charged, or would transfer control for nothing, next. Moments are
/// ordered as the run comes to them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Moment {
    /// Gas charged since the start of the run.
    pub gas: u64,
    /// Transfers of control since the last unit of gas, which the schedule lets a program make for nothing; 0 with the built-in
    /// schedules, which have none.
    pub steps: u64,
}

impl Moment {
    /// The first moment after so much gas.
    pub fn at_gas(gas: u64) -> Self {
        Self { gas, steps: 0 }
    }

    /// The last moment after so much gas.
    pub fn last_at_gas(gas: u64) -> Self {
        Self { gas, steps: ALL_STEPS }
    }
}

impl fmt::Display for Moment {
    /// `gas 12`, or `gas 12 and 3 steps`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.steps {
            0 => write!(f, "gas {}", self.gas),
            steps => write!(f, "gas {} and {steps} steps", self.gas),
        }
    }
}

/// Whether a program can transfer control for nothing under this schedule, so that one count of gas is several moments.
pub fn has_free_steps(schedule: &Schedule) -> bool {
    Op::ALL.iter().any(|op| schedule.is_uncharged_transfer(*op))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_come_by_gas_and_then_by_steps() {
        let mut moments = [Moment { gas: 2, steps: 0 }, Moment { gas: 1, steps: 3 }, Moment { gas: 1, steps: 0 }];
        moments.sort();
        assert_eq!(moments.map(|moment| moment.to_string()), ["gas 1", "gas 1 and 3 steps", "gas 2"]);
        assert!(Moment::last_at_gas(1) < Moment::at_gas(2));
    }

    #[test]
    fn only_schedules_with_free_branches_or_calls_have_free_steps() {
        assert!(!has_free_steps(&Schedule::default()));
        assert!(has_free_steps(&Schedule::parse("free", "*,1\nbr,0\n").unwrap()));
    }
}
