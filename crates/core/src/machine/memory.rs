//! Linear memory, with the one path by which bytes change: every write, the program's and the host's, marks the 4 KiB
//! pages that it touches, so that a snapshot costs what changed.

use super::MemoryParts;
use super::watch::{Access, AccessObserver};
use crate::alloc;
use crate::host::GuestMemory;
use crate::module::SizeLimits;
use stepmark_state::error::JobError;
use stepmark_state::limits::WASM_PAGE;
use stepmark_state::trap::Trap;

/// Bytes in a page of dirty tracking, of `.bin` and of the Merkle tree.
pub const DIRTY_PAGE: usize = stepmark_state::pages::PAGE;
/// log2 of [`DIRTY_PAGE`].
pub const DIRTY_SHIFT: u32 = DIRTY_PAGE.trailing_zeros();

/// A linear memory.
#[derive(Clone, Debug)]
pub struct MemoryInstance {
    pub(crate) bytes: Vec<u8>,
    /// One byte a page of 4 KiB: 1 if it may have changed since the last snapshot.
    pub(crate) dirty: Vec<u8>,
    limits: SizeLimits,
    /// Its number among the spaces of memories.
    pub number: u32,
}

/// How an engine reads and writes linear memory; monomorphised, so that a recording or witness form costs the plain one
/// nothing.
pub trait LinearMemory {
    /// `N` bytes at `address + offset`.
    ///
    /// # Errors
    /// [`Trap::MemoryOutOfBounds`] if any of them is outside.
    fn load<const N: usize>(&mut self, address: u64, offset: u64) -> Result<[u8; N], Trap>;

    /// Writes `N` bytes at `address + offset`.
    ///
    /// # Errors
    /// [`Trap::MemoryOutOfBounds`], with nothing written.
    fn store<const N: usize>(&mut self, address: u64, offset: u64, bytes: [u8; N]) -> Result<(), Trap>;
}

impl MemoryInstance {
    /// A zeroed memory of its least size, with its number among the spaces of memories.
    ///
    /// # Errors
    /// A resource error if Stepmark cannot hold it.
    pub fn new(limits: SizeLimits, number: u32) -> Result<MemoryInstance, JobError> {
        let mut memory = MemoryInstance { bytes: Vec::new(), dirty: Vec::new(), limits, number };
        memory.resize(limits.min, limits.min)?;
        Ok(memory)
    }

    /// Size in pages of 64 KiB.
    pub fn pages(&self) -> u64 {
        self.bytes.len() as u64 / WASM_PAGE
    }

    /// Bytes and marks apart.
    pub(crate) fn parts(&mut self) -> MemoryParts<'_> {
        MemoryParts { bytes: &mut self.bytes, dirty: &mut self.dirty }
    }

    /// Declared limits.
    pub fn limits(&self) -> SizeLimits {
        self.limits
    }

    /// The contents.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Greatest size in pages that the declaration allows.
    pub fn max_pages(&self) -> u64 {
        let most = if self.limits.is64 { 1 << 48 } else { 1 << 16 };
        self.limits.max.unwrap_or(most).min(most)
    }

    /// Grows to `pages`, new bytes zero; it will never have more than `most`. The caller has checked the limits.
    ///
    /// # Errors
    /// A resource error if Stepmark cannot hold it: never a result that the program sees.
    pub(crate) fn resize(&mut self, pages: u64, most: u64) -> Result<(), JobError> {
        if pages == self.pages() {
            return Ok(());
        }
        let fault = || {
            JobError::resource(format!(
                "Stepmark cannot hold a memory of {pages} pages of 64 KiB, which --max-memory allows"
            ))
        };
        let length = pages.checked_mul(WASM_PAGE).and_then(|n| usize::try_from(n).ok()).ok_or_else(fault)?;
        let marks = (length / DIRTY_PAGE).saturating_sub(self.dirty.len());
        alloc::reserve(&mut self.dirty, marks).map_err(|_| fault())?;
        let most = usize::try_from(most.saturating_mul(WASM_PAGE)).unwrap_or(length);
        alloc::lengthen(&mut self.bytes, length, most).map_err(|_| fault())?;
        self.dirty.resize(length / DIRTY_PAGE, 0);
        Ok(())
    }

    /// Puts the contents back to those of `start`, of which this memory is a copy: only marked pages are copied.
    pub fn reset_to(&mut self, start: &MemoryInstance) {
        self.bytes.truncate(start.bytes.len());
        let pages = self.bytes.chunks_mut(DIRTY_PAGE).zip(start.bytes.chunks(DIRTY_PAGE));
        for ((to, from), _) in pages.zip(&self.dirty).filter(|(_, mark)| **mark != 0) {
            to.copy_from_slice(from);
        }
        self.dirty.clone_from(&start.dirty);
    }

    /// The slice `address .. address + length`, if it is inside.
    pub(crate) fn range(&self, address: u64, length: u64) -> Option<std::ops::Range<usize>> {
        let end = address.checked_add(length)?;
        (end <= self.bytes.len() as u64).then_some(address as usize..end as usize)
    }

    /// Marks the pages of a range that has been written.
    pub(crate) fn mark(&mut self, range: std::ops::Range<usize>) {
        if !range.is_empty() {
            let (first, last) = (range.start >> DIRTY_SHIFT, (range.end - 1) >> DIRTY_SHIFT);
            self.dirty[first..=last].fill(1);
        }
    }

    /// Bounds of a bulk operator, or its trap.
    pub(crate) fn check(&self, address: u64, length: u64) -> Result<std::ops::Range<usize>, Trap> {
        self.range(address, length).ok_or(Trap::MemoryOutOfBounds)
    }

    /// Fills a checked range.
    pub(crate) fn fill(&mut self, range: std::ops::Range<usize>, value: u8) {
        self.bytes[range.clone()].fill(value);
        self.mark(range);
    }

    /// Writes bytes to a checked range of the same length.
    pub(crate) fn write(&mut self, range: std::ops::Range<usize>, bytes: &[u8]) {
        self.bytes[range.clone()].copy_from_slice(bytes);
        self.mark(range);
    }

    /// Copies inside the memory, both ranges checked and of one length.
    pub(crate) fn copy_within(&mut self, source: std::ops::Range<usize>, target: std::ops::Range<usize>) {
        self.bytes.copy_within(source, target.start);
        self.mark(target);
    }
}

impl LinearMemory for MemoryInstance {
    #[inline]
    fn load<const N: usize>(&mut self, address: u64, offset: u64) -> Result<[u8; N], Trap> {
        load(&self.bytes, address, offset)
    }

    #[inline]
    fn store<const N: usize>(&mut self, address: u64, offset: u64, bytes: [u8; N]) -> Result<(), Trap> {
        store(&mut self.bytes, &mut self.dirty, address, offset, bytes)
    }
}

/// Reads `N` bytes; see [`LinearMemory::load`].
#[inline(always)]
pub(crate) fn load<const N: usize>(memory: &[u8], address: u64, offset: u64) -> Result<[u8; N], Trap> {
    let start = address.wrapping_add(offset);
    if start < offset {
        return Err(Trap::MemoryOutOfBounds);
    }
    let start = usize::try_from(start).map_err(|_| Trap::MemoryOutOfBounds)?;
    match memory.get(start..).and_then(|rest| rest.first_chunk::<N>()) {
        Some(bytes) => Ok(*bytes),
        None => Err(Trap::MemoryOutOfBounds),
    }
}

/// Writes `N` bytes and marks their pages; see [`LinearMemory::store`].
#[inline(always)]
pub(crate) fn store<const N: usize>(
    memory: &mut [u8],
    dirty: &mut [u8],
    address: u64,
    offset: u64,
    bytes: [u8; N],
) -> Result<(), Trap> {
    let start = address.wrapping_add(offset);
    if start < offset {
        return Err(Trap::MemoryOutOfBounds);
    }
    let start = usize::try_from(start).map_err(|_| Trap::MemoryOutOfBounds)?;
    match memory.get_mut(start..).and_then(|rest| rest.first_chunk_mut::<N>()) {
        Some(place) => *place = bytes,
        None => return Err(Trap::MemoryOutOfBounds),
    }
    dirty[start >> DIRTY_SHIFT] = 1;
    if N > 1 {
        dirty[(start + N - 1) >> DIRTY_SHIFT] = 1;
    }
    Ok(())
}

/// The checked view of a program's memory that host functions get; no memory reads as one of size 0.
#[derive(Debug)]
pub struct MemoryView<'a> {
    /// The memory; none for a program without one.
    pub memory: Option<&'a mut MemoryInstance>,
    /// Who is told of accesses, and the memory's store address.
    pub watch: Option<(&'a dyn AccessObserver, u32)>,
}

impl MemoryView<'_> {
    /// Checks that this may be touched.
    fn touch(&self, address: u64, length: u64) -> bool {
        self.watch.is_none_or(|(watch, memory)| watch.touch(Access { memory, address, length }).is_ok())
    }
}

impl GuestMemory for MemoryView<'_> {
    fn size(&self) -> u64 {
        self.memory.as_ref().map_or(0, |m| m.bytes.len() as u64)
    }

    fn read(&self, address: u64, length: u64) -> Option<&[u8]> {
        let memory = self.memory.as_ref()?;
        let range = memory.range(address, length)?;
        self.touch(address, length).then(|| &memory.bytes[range])
    }

    fn write(&mut self, address: u64, bytes: &[u8]) -> bool {
        let length = bytes.len() as u64;
        let Some(range) = self.memory.as_ref().and_then(|memory| memory.range(address, length)) else { return false };
        if !self.touch(address, length) {
            return false;
        }
        let Some(memory) = self.memory.as_mut() else { return false };
        memory.write(range, bytes);
        true
    }
}
