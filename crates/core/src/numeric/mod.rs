//! The meaning of every numeric operator, as pure functions shared by both engines and testable with no machine. Integers
//! are their unsigned bit patterns; a float operator takes floats and returns the one canonical NaN of the deterministic
//! profile of WebAssembly 3.0 wherever the specification lets it choose.

mod convert;
mod float;
mod int;
pub mod vector;

pub use convert::*;
pub use float::*;
pub use int::*;

/// A value as it lies in a stack slot of 64 bits. The upper half of a 32-bit value is always zero.
pub trait Slot: Copy {
    /// Reads a slot.
    fn from_slot(slot: u64) -> Self;
    /// Makes a slot.
    fn to_slot(self) -> u64;
}

impl Slot for u32 {
    #[inline(always)]
    fn from_slot(slot: u64) -> Self {
        slot as u32
    }
    #[inline(always)]
    fn to_slot(self) -> u64 {
        u64::from(self)
    }
}

impl Slot for u64 {
    #[inline(always)]
    fn from_slot(slot: u64) -> Self {
        slot
    }
    #[inline(always)]
    fn to_slot(self) -> u64 {
        self
    }
}

impl Slot for bool {
    #[inline(always)]
    fn from_slot(slot: u64) -> Self {
        slot != 0
    }
    #[inline(always)]
    fn to_slot(self) -> u64 {
        u64::from(self)
    }
}

impl Slot for f32 {
    #[inline(always)]
    fn from_slot(slot: u64) -> Self {
        f32::from_bits(slot as u32)
    }
    #[inline(always)]
    fn to_slot(self) -> u64 {
        u64::from(self.to_bits())
    }
}

impl Slot for f64 {
    #[inline(always)]
    fn from_slot(slot: u64) -> Self {
        f64::from_bits(slot)
    }
    #[inline(always)]
    fn to_slot(self) -> u64 {
        self.to_bits()
    }
}
