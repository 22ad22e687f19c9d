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

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::module::ValType;
use crate::trap::Trap;

pub mod outside;
pub mod store;
pub mod wasi;

/// Type of a host function's parameter or result. Values travel as `u64` bit patterns; an `I32` is zero-extended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HostType {
    /// A 32-bit integer.
    I32,
    /// A 64-bit integer.
    I64,
    /// A 32-bit float.
    F32,
    /// A 64-bit float.
    F64,
}

impl HostType {
    /// The value type.
    pub fn val_type(self) -> ValType {
        match self {
            Self::I32 => ValType::I32,
            Self::I64 => ValType::I64,
            Self::F32 => ValType::F32,
            Self::F64 => ValType::F64,
        }
    }

    /// The type of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::I32, Self::I64, Self::F32, Self::F64].into_iter().find(|ty| ty.val_type().to_string() == name)
    }
}

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

/// A program's linear memory as host functions see it: bounds checked, and written only through `write`, so that the
/// embedder can track what changed.
pub trait GuestMemory {
    /// Size in bytes.
    fn size(&self) -> u64;
    /// The `len` bytes at `addr`, or `None` if any of them lies outside.
    fn read(&self, addr: u64, len: u64) -> Option<&[u8]>;
    /// Stores `bytes` at `addr`; `false`, and nothing changed, if any of them would lie outside.
    fn write(&mut self, addr: u64, bytes: &[u8]) -> bool;
}

/// Typed access on top of [`GuestMemory`], little-endian and unaligned like the program's own.
pub trait GuestMemoryExt: GuestMemory {
    /// Whether all of the `len` bytes at `addr` lie inside. Empty ranges may start at the end, not beyond it.
    fn contains(&self, addr: u64, len: u64) -> bool {
        addr.checked_add(len).is_some_and(|end| end <= self.size())
    }

    /// The `N` bytes at `addr`.
    fn read_array<const N: usize>(&self, addr: u64) -> Option<[u8; N]> {
        self.read(addr, u64::try_from(N).ok()?)?.try_into().ok()
    }

    /// The `u32` at `addr`.
    fn read_u32(&self, addr: u64) -> Option<u32> {
        self.read_array(addr).map(u32::from_le_bytes)
    }

    /// The `u64` at `addr`.
    fn read_u64(&self, addr: u64) -> Option<u64> {
        self.read_array(addr).map(u64::from_le_bytes)
    }

    /// Stores a `u32` at `addr`; `false` if it lies outside.
    fn write_u32(&mut self, addr: u64, value: u32) -> bool {
        self.write(addr, &value.to_le_bytes())
    }

    /// Stores a `u64` at `addr`; `false` if it lies outside.
    fn write_u64(&mut self, addr: u64, value: u64) -> bool {
        self.write(addr, &value.to_le_bytes())
    }
}

impl<T: GuestMemory + ?Sized> GuestMemoryExt for T {}

/// What a host call takes beyond what every call does, by measure: docs/gas.md says what each is for every call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Bytes moved between the program's memory and the host, an upper bound.
    pub bytes: u64,
    /// Names of paths, parents of directories and entries of listings that are walked; bytes that are looked at but not
    /// moved count as one for 16.
    pub steps: u64,
    /// Pages of 4 KiB by which a file gets longer.
    pub pages: u64,
}

impl Work {
    /// A call of constant cost.
    pub const NONE: Work = Work { bytes: 0, steps: 0, pages: 0 };

    /// Moving bytes and nothing else.
    pub fn moving(bytes: u64) -> Work {
        Work { bytes, ..Work::NONE }
    }
}

/// The proof that work has been charged, made where it is: whoever walks takes its steps from here.
#[derive(Debug)]
#[must_use]
pub struct Paid(Steps);

impl Paid {
    /// What has been charged.
    pub(crate) fn of(work: Work) -> Self {
        Self(Steps { taken: 0, most: work.steps })
    }

    /// The steps that a call may make.
    pub(crate) fn steps(&mut self) -> &mut Steps {
        &mut self.0
    }
}

/// Counts the steps of a walk: to know what it will cost, or against what has been paid.
#[derive(Debug)]
pub struct Steps {
    taken: u64,
    most: u64,
}

impl Steps {
    /// Counts only.
    pub(crate) fn counting() -> Self {
        Self { taken: 0, most: u64::MAX }
    }

    /// Makes so many steps.
    pub(crate) fn take(&mut self, steps: u64) {
        self.taken = self.taken.saturating_add(steps);
        assert!(self.taken <= self.most, "BUG: a host call takes {} steps, paid for {}", self.taken, self.most);
    }

    /// Steps made.
    pub(crate) fn taken(&self) -> u64 {
        self.taken
    }
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
    fn restore(&mut self, bytes: &[u8]) -> Result<(), Error>;
}

#[cfg(test)]
pub(crate) mod test_memory {
    use super::GuestMemory;
    use std::cell::Cell;

    /// A plain memory for tests, which counts the bytes that pass through it.
    #[derive(Clone)]
    pub(crate) struct VecMemory {
        pub(crate) bytes: Vec<u8>,
        pub(crate) moved: Cell<u64>,
    }

    impl VecMemory {
        pub(crate) fn new(size: usize) -> Self {
            Self { bytes: vec![0; size], moved: Cell::new(0) }
        }

        fn count(&self, len: u64) {
            self.moved.set(self.moved.get() + len);
        }
    }

    impl GuestMemory for VecMemory {
        fn size(&self) -> u64 {
            self.bytes.len() as u64
        }

        fn read(&self, addr: u64, len: u64) -> Option<&[u8]> {
            let end = addr.checked_add(len)?;
            let bytes = self.bytes.get(usize::try_from(addr).ok()?..usize::try_from(end).ok()?)?;
            self.count(len);
            Some(bytes)
        }

        fn write(&mut self, addr: u64, bytes: &[u8]) -> bool {
            let Ok(start) = usize::try_from(addr) else { return false };
            let Some(end) = start.checked_add(bytes.len()) else { return false };
            let Some(target) = self.bytes.get_mut(start..end) else { return false };
            target.copy_from_slice(bytes);
            self.count(bytes.len() as u64);
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use super::test_memory::VecMemory;
    use super::*;

    #[test]
    fn ranges_that_overflow_lie_outside() {
        let mut memory = VecMemory::new(8);
        assert!(memory.contains(8, 0) && memory.contains(0, 8));
        for (addr, len) in [(9, 0), (8, 1), (u64::MAX, 1), (1, u64::MAX), (u64::MAX, u64::MAX)] {
            assert!(!memory.contains(addr, len), "{addr} + {len}");
            assert_eq!(memory.read(addr, len), None, "{addr} + {len}");
        }
        assert!(!memory.write_u32(5, 1) && !memory.write_u64(1, 1) && !memory.write(u64::MAX, &[1]));
        assert_eq!(memory.bytes, [0; 8]);
    }

    #[test]
    fn integers_are_little_endian_and_need_no_alignment() {
        let mut memory = VecMemory::new(16);
        assert!(memory.write_u32(1, 0x0403_0201) && memory.write_u64(5, 0x0c0b_0a09_0807_0605));
        assert_eq!(memory.bytes, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0, 0, 0]);
        assert_eq!(memory.read_u32(1), Some(0x0403_0201));
        assert_eq!(memory.read_u64(5), Some(0x0c0b_0a09_0807_0605));
        assert_eq!(memory.read_u64(9), None);
    }

    #[test]
    fn return_values_keep_their_number_and_order() {
        assert_eq!(ReturnValues::none().as_slice(), [0u64; 0]);
        assert_eq!(ReturnValues::one(7).as_slice(), [7]);
        assert_eq!(ReturnValues::from_slice(&[1, 2, 3, 4]).unwrap().as_slice(), [1, 2, 3, 4]);
        assert_eq!(ReturnValues::from_slice(&[0; MAX_RESULTS + 1]), None);
    }
}
