//! Tables of references, tracked in pages of 4 KiB (512 elements of 8 bytes) like memory.

use super::memory::DIRTY_PAGE;
use crate::alloc;
use crate::module::TableType;
use stepmark_state::error::JobError;
use stepmark_state::trap::Trap;

/// Elements in a page of dirty tracking.
pub(crate) const PAGE_ELEMENTS: usize = DIRTY_PAGE / 8;

/// A table. An element is the bit pattern of a reference: see [`Store::func_ref`](super::Store::func_ref).
#[derive(Clone, Debug)]
pub struct Table {
    pub(crate) elements: Vec<u64>,
    pub(crate) dirty: Vec<u8>,
    ty: TableType,
    /// Its number among the spaces of tables.
    pub number: u32,
}

impl Table {
    /// A table of its least size, all elements `value`, with its number among the spaces of tables.
    ///
    /// # Errors
    /// A resource error if Stepmark cannot hold it.
    pub fn new(ty: TableType, value: u64, number: u32) -> Result<Table, JobError> {
        let mut table = Table { elements: Vec::new(), dirty: Vec::new(), ty, number };
        table.resize(ty.limits.min, value)?;
        Ok(table)
    }

    /// Declared type.
    pub fn ty(&self) -> TableType {
        self.ty
    }

    /// Number of elements.
    pub fn size(&self) -> u64 {
        self.elements.len() as u64
    }

    /// Puts the elements back to those of `start`.
    pub fn reset_to(&mut self, start: &Table) {
        self.elements.clone_from(&start.elements);
        self.dirty.clone_from(&start.dirty);
    }

    /// The elements.
    pub fn elements(&self) -> &[u64] {
        &self.elements
    }

    /// Greatest size that the declaration allows.
    pub fn max_size(&self) -> u64 {
        let most = if self.ty.limits.is64 { u64::MAX } else { u32::MAX.into() };
        self.ty.limits.max.unwrap_or(most).min(most)
    }

    /// Grows to `size`, new elements `value`. The caller has checked the limits.
    ///
    /// # Errors
    /// A resource error if Stepmark cannot hold it.
    pub(crate) fn resize(&mut self, size: u64, value: u64) -> Result<(), JobError> {
        let fault = || JobError::resource(format!("Stepmark cannot hold a table of {size} elements"));
        let size = usize::try_from(size).map_err(|_| fault())?;
        let old = self.elements.len();
        alloc::reserve(&mut self.elements, size.saturating_sub(old)).map_err(|_| fault())?;
        self.elements.resize(size, value);
        self.dirty.resize(size.div_ceil(PAGE_ELEMENTS), 0);
        self.mark(old..size);
        Ok(())
    }

    /// The element at `index`.
    pub fn get(&self, index: u64) -> Option<u64> {
        self.elements.get(usize::try_from(index).ok()?).copied()
    }

    /// Sets the element at `index`.
    ///
    /// # Errors
    /// [`Trap::TableOutOfBounds`].
    pub(crate) fn set(&mut self, index: u64, value: u64) -> Result<(), Trap> {
        let range = self.check(index, 1)?;
        self.fill(range, value);
        Ok(())
    }

    /// Bounds of a bulk operator, or its trap.
    pub(crate) fn check(&self, start: u64, length: u64) -> Result<std::ops::Range<usize>, Trap> {
        let end = start.checked_add(length).filter(|end| *end <= self.size()).ok_or(Trap::TableOutOfBounds)?;
        Ok(start as usize..end as usize)
    }

    /// Writes elements to a checked range of the same length.
    pub(crate) fn write(&mut self, range: std::ops::Range<usize>, values: &[u64]) {
        self.elements[range.clone()].copy_from_slice(values);
        self.mark(range);
    }

    /// Fills a checked range.
    pub(crate) fn fill(&mut self, range: std::ops::Range<usize>, value: u64) {
        self.elements[range.clone()].fill(value);
        self.mark(range);
    }

    /// Copies inside the table, both ranges checked and of one length.
    pub(crate) fn copy_within(&mut self, source: std::ops::Range<usize>, target: std::ops::Range<usize>) {
        self.elements.copy_within(source, target.start);
        self.mark(target);
    }

    fn mark(&mut self, range: std::ops::Range<usize>) {
        if !range.is_empty() {
            self.dirty[range.start / PAGE_ELEMENTS..=(range.end - 1) / PAGE_ELEMENTS].fill(1);
        }
    }
}
