//! Host modules: functions that a program imports and that the node itself serves. The engine hands a call over as a
//! value (function id, argument bit patterns) and goes on with the answer; a host module sees the program only through
//! [`GuestMemory`], so it depends on no engine, and every byte it writes takes the same tracked path as the program's own
//! stores. A call is priced by [`HostModule::work`] before its first effect and does not run if it cannot be paid.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation
    )
)]

use stepmark_core::host::{GuestMemory, Paid, Work};
use stepmark_state::error::JobError;
use stepmark_state::host_type::HostType;
use stepmark_state::trap::Trap;

pub mod external;
pub mod stand_in;
pub mod store;
pub mod wasi;

/// A host function as the linker sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostFunc {
    /// Number of the function within its module. It lives as long as the process: a snapshot names functions by import.
    pub id: u32,
    /// Parameter types, in order.
    pub params: &'static [HostType],
    /// Result types, in order; at most [`MAX_RESULTS`].
    pub results: &'static [HostType],
}

/// Most results of a host function: enough for any interface in use, few enough to answer without an allocation.
pub const MAX_RESULTS: usize = 4;

/// The results of a host call, without an allocation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReturnValues {
    values: [u64; MAX_RESULTS],
    len: u8,
}

impl ReturnValues {
    /// No result.
    pub fn none() -> Self {
        Self::default()
    }

    /// One result.
    pub fn one(value: u64) -> Self {
        let mut values = [0; MAX_RESULTS];
        if let Some(first) = values.first_mut() {
            *first = value;
        }
        Self { values, len: 1 }
    }

    /// Several results; `None` if there are more than [`MAX_RESULTS`].
    pub fn from_slice(results: &[u64]) -> Option<Self> {
        let mut values = [0; MAX_RESULTS];
        values.get_mut(..results.len())?.copy_from_slice(results);
        Some(Self { values, len: u8::try_from(results.len()).ok()? })
    }

    /// The results, in order, as bit patterns.
    pub fn as_slice(&self) -> &[u64] {
        self.values.get(..usize::from(self.len)).unwrap_or_default()
    }
}

/// What a host call comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostOutcome {
    /// The program goes on with these results.
    Return(ReturnValues),
    /// The program ends with this exit code.
    Exit(u32),
    /// The program traps at the call.
    Trap(Trap),
}

/// A group of host functions with its own state. The state is part of the snapshot: two modules that were built from the
/// same job and have the same saved bytes answer every later call alike.
pub trait HostModule {
    /// The function imported as (`module`, `name`). Both must match exactly; `None` makes the linker report the name.
    fn resolve(&self, module: &str, name: &str) -> Option<HostFunc>;

    /// The work that this call will take beyond that of any call. It is decided before any effect, and charged.
    fn work(&self, id: u32, args: &[u64], memory: &dyn GuestMemory) -> Work;

    /// Performs the call, whose [`work`](Self::work) has been paid for. `gas_total` is the gas charged since the start of the run, this call included: the only clock
    /// there is. An `id` that [`resolve`](Self::resolve) never gave, or a wrong number of arguments, is a trap.
    fn call(&mut self, id: u32, args: &[u64], memory: &mut dyn GuestMemory, gas_total: u64, paid: Paid) -> HostOutcome;

    /// The state, canonical: equal states give equal bytes.
    fn save(&self) -> Vec<u8>;

    /// Replaces the state with a saved one.
    ///
    /// # Errors
    /// If the bytes are not exactly what [`save`](Self::save) writes for some state that this job can be in; the state
    /// is then unchanged.
    fn restore(&mut self, bytes: &[u8]) -> Result<(), JobError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn return_values_keep_their_number_and_order() {
        assert_eq!(ReturnValues::none().as_slice(), [0u64; 0]);
        assert_eq!(ReturnValues::one(7).as_slice(), [7]);
        assert_eq!(ReturnValues::from_slice(&[1, 2, 3, 4]).unwrap().as_slice(), [1, 2, 3, 4]);
        assert_eq!(ReturnValues::from_slice(&[0; MAX_RESULTS + 1]), None);
    }
}
