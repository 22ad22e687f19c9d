//! The border between a machine and the functions that a host serves: the program's memory as they see it, and what a call
//! is paid for. Who serves them is not known here.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation
    )
)]

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
    pub fn of(work: Work) -> Self {
        Self(Steps { taken: 0, most: work.steps })
    }

    /// The steps that a call may make.
    pub fn steps(&mut self) -> &mut Steps {
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
    pub fn counting() -> Self {
        Self { taken: 0, most: u64::MAX }
    }

    /// Makes so many steps.
    pub fn take(&mut self, steps: u64) {
        self.taken = self.taken.saturating_add(steps);
        assert!(self.taken <= self.most, "BUG: a host call takes {} steps, paid for {}", self.taken, self.most);
    }

    /// Steps made.
    pub fn taken(&self) -> u64 {
        self.taken
    }
}

/// A plain memory, for tests of host functions.
pub mod test_memory {
    use super::GuestMemory;
    use std::cell::Cell;

    /// A plain memory for tests, which counts the bytes that pass through it.
    #[derive(Clone)]
    pub struct VecMemory {
        /// Its contents.
        pub bytes: Vec<u8>,
        /// Bytes that were read or written.
        pub moved: Cell<u64>,
    }

    impl VecMemory {
        /// So many zeros.
        pub fn new(size: usize) -> Self {
            Self { bytes: vec![0; size], moved: Cell::new(0) }
        }

        fn count(&self, len: u64) {
            self.moved.set(self.moved.get().saturating_add(len));
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
}
