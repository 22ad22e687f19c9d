//! The contents of a file. From the first write on they are in pages of 4 KiB with a mark on each that may have changed. An
//! input file is copied page by page, as it is written: what was not written is still read from the input itself.

use super::pageset::PageSet;
use std::sync::Arc;
use stepmark_state::merkle::PageTree;
use stepmark_state::paged::Page;
use stepmark_state::pages::PAGE;

/// log2 of [`PAGE`].
pub(super) const PAGE_SHIFT: u32 = PAGE.trailing_zeros();
/// The bits of an offset that say where in its page it is.
const IN_PAGE: u64 = PAGE as u64 - 1;

/// What is read where nothing was written.
static ZERO: Page = [0; PAGE];

/// Where a page's bytes are.
#[derive(Clone, Debug)]
enum PageSlot {
    /// In the input that the file began as; zeros beyond its end.
    Base,
    /// Nowhere: all are zero.
    Zero,
    Own(Box<Page>),
}

/// Contents: those of an input, or pages. Pages never get fewer: a file that shrinks keeps zero pages, so that a snapshot
/// chain needs no memory of the sizes in between.
#[derive(Clone, Debug, Default)]
pub(in crate::wasi) struct Content {
    base: Arc<[u8]>,
    /// Whether the program has written here, so that there are pages.
    written: bool,
    slots: Vec<PageSlot>,
    /// One byte a page: 1 if it may have changed since the last snapshot.
    marks: Vec<u8>,
    /// The pages that are not [`PageSlot::Zero`]: what cutting a file looks at, so that it costs what was written.
    used: PageSet,
}

/// Pages that `length` bytes take.
pub(in crate::wasi) fn pages(length: u64) -> u64 {
    length.div_ceil(PAGE as u64)
}

/// The page of an offset, and the place in it.
fn position(at: u64) -> (usize, usize) {
    let page = usize::try_from(at >> PAGE_SHIFT).unwrap_or(usize::MAX);
    (page, usize::try_from(at & IN_PAGE).unwrap_or_default())
}

impl Content {
    /// What an input holds.
    pub(super) fn new(base: Arc<[u8]>) -> Self {
        Self { base, ..Self::default() }
    }

    /// Bytes of the input.
    pub(super) fn base_length(&self) -> u64 {
        self.base.len() as u64
    }

    /// Makes it at least `count` pages, the new ones zero.
    pub(super) fn grow(&mut self, count: u64) {
        if !self.written {
            self.written = true;
            self.slots = vec![PageSlot::Base; self.base.len().div_ceil(PAGE)];
            self.used = PageSet::below(self.slots.len());
        }
        let count = usize::try_from(count).unwrap_or(usize::MAX).max(self.slots.len());
        self.slots.resize(count, PageSlot::Zero);
        self.marks.resize(count, 0);
    }

    /// How many pages there are, once the program has written here.
    pub(super) fn held(&self) -> Option<u64> {
        self.written.then_some(self.slots.len() as u64)
    }

    /// Pages, written or not.
    pub(super) fn page_count(&self) -> usize {
        self.slots.len()
    }

    /// The marks of all pages.
    pub(super) fn marks(&mut self) -> &mut [u8] {
        &mut self.marks
    }

    /// Some of the `most` bytes from `at` on, all of which lie in the file: at least one, unless `most` is 0.
    pub(super) fn bytes(&self, at: u64, most: u64) -> &[u8] {
        if !self.written {
            let range = usize::try_from(at).ok().zip(usize::try_from(at.saturating_add(most)).ok());
            return range.and_then(|(start, end)| self.base.get(start..end)).unwrap_or_default();
        }
        let (index, within) = position(at);
        let page = match self.slots.get(index) {
            Some(PageSlot::Own(page)) => page.as_slice(),
            Some(PageSlot::Base) => self.base.chunks(PAGE).nth(index).unwrap_or_default(),
            _ => &ZERO,
        };
        let bytes = page.get(within..).filter(|rest| !rest.is_empty()).or_else(|| ZERO.get(within..));
        let bytes = bytes.unwrap_or_default();
        usize::try_from(most).ok().and_then(|most| bytes.get(..most)).unwrap_or(bytes)
    }

    /// The contents of page `index`.
    pub(super) fn page(&self, index: usize) -> Page {
        let mut page = ZERO;
        let start = (index as u64).saturating_mul(PAGE as u64);
        let mut rest = page.as_mut_slice();
        while !rest.is_empty() {
            let left = rest.len() as u64;
            let bytes = self.bytes(start.saturating_add((PAGE as u64).saturating_sub(left)), left);
            let Some((part, after)) = rest.split_at_mut_checked(bytes.len()) else { break };
            part.copy_from_slice(bytes);
            rest = after;
        }
        page
    }

    /// Replaces page `index`, unmarked.
    pub(super) fn set_page(&mut self, index: usize, page: &Page) {
        let Some(slot) = self.slots.get_mut(index) else { return };
        if *page == ZERO {
            *slot = PageSlot::Zero;
            self.used.remove(index);
        } else {
            *slot = PageSlot::Own(Box::new(*page));
            self.used.insert(index);
        }
    }

    /// Page `index` to be written to, marked.
    fn own(&mut self, index: usize) -> Option<&mut Page> {
        *self.marks.get_mut(index)? = 1;
        self.used.insert(index);
        if !matches!(self.slots.get(index), Some(PageSlot::Own(_))) {
            let page = Box::new(self.page(index));
            *self.slots.get_mut(index)? = PageSlot::Own(page);
        }
        match self.slots.get_mut(index) {
            Some(PageSlot::Own(page)) => Some(page),
            _ => None,
        }
    }

    /// Writes `bytes` at `at`; the pages are there already.
    pub(super) fn write(&mut self, mut at: u64, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (index, within) = position(at);
            let room = PAGE.saturating_sub(within).min(bytes.len());
            let (part, rest) = bytes.split_at(room);
            let place = self.own(index).and_then(|page| page.get_mut(within..)).and_then(|rest| rest.get_mut(..room));
            let Some(place) = place else { return };
            place.copy_from_slice(part);
            at = at.saturating_add(room as u64);
            bytes = rest;
        }
    }

    /// Sets every byte from `length` on to zero.
    pub(super) fn clear_from(&mut self, length: u64) {
        let (index, within) = position(length);
        if within > 0
            && !matches!(self.slots.get(index), Some(PageSlot::Zero) | None)
            && let Some(tail) = self.own(index).and_then(|page| page.get_mut(within..))
        {
            tail.fill(0);
        }
        let first = if within > 0 { index.saturating_add(1) } else { index };
        while let Some(page) = self.used.next(first) {
            self.used.remove(page);
            if let (Some(slot), Some(mark)) = (self.slots.get_mut(page), self.marks.get_mut(page)) {
                (*slot, *mark) = (PageSlot::Zero, 1);
            }
        }
    }

    /// Whether every byte from `length` on is zero.
    pub(super) fn is_zero_from(&self, length: u64) -> bool {
        let (index, within) = position(length);
        let tail_is_zero = |(number, _)| {
            let page = self.page(number);
            let from = if number == index { within } else { 0 };
            page.iter().skip(from).all(|byte| *byte == 0)
        };
        self.slots.iter().enumerate().skip(index).filter(|(_, slot)| !matches!(slot, PageSlot::Zero)).all(tail_is_zero)
    }

    /// The Merkle tree of the input that the file began as.
    pub(super) fn base_tree(&self) -> PageTree {
        let mut tree = PageTree::new();
        for (index, chunk) in (0u64..).zip(self.base.chunks(PAGE)) {
            let mut page = ZERO;
            if let Some(place) = page.get_mut(..chunk.len()) {
                place.copy_from_slice(chunk);
            }
            tree.update(index, &page);
        }
        tree
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(content: &Content, length: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        while (bytes.len() as u64) < length {
            let at = bytes.len() as u64;
            bytes.extend_from_slice(content.bytes(at, length - at));
        }
        bytes
    }

    #[test]
    fn only_the_pages_that_are_written_are_copied_and_marked() {
        let mut content = Content::new(Arc::from(vec![7; 5 * PAGE]));
        content.grow(5);
        content.write(PAGE as u64 * 2 - 1, &[1, 2]);
        let owned: Vec<bool> = content.slots.iter().map(|slot| matches!(slot, PageSlot::Own(_))).collect();
        assert_eq!(owned, [false, true, true, false, false]);
        assert_eq!(content.marks, [0, 1, 1, 0, 0]);
    }

    #[test]
    fn the_tree_of_the_input_knows_the_pages_that_were_not_written() {
        let mut content = Content::new(Arc::from(vec![7; PAGE + 1]));
        content.grow(2);
        let tree = content.base_tree();
        for index in 0..2 {
            assert_eq!(tree.leaf(index), stepmark_state::merkle::page_hash(&content.page(index as usize)));
        }
    }

    proptest! {
        #[test]
        fn contents_are_those_of_a_plain_vector(
            base in prop::collection::vec(any::<u8>(), 0..3 * PAGE),
            steps in prop::collection::vec((any::<bool>(), 0u64..5 * PAGE as u64, 1usize..2 * PAGE, 1u8..), 0..12),
        ) {
            let mut plain = base.clone();
            let mut content = Content::new(Arc::from(base));
            prop_assert_eq!(read(&content, plain.len() as u64), &plain[..]);
            content.grow(0);
            for (truncate, at, size, byte) in steps {
                let start = at as usize;
                if truncate {
                    plain.truncate(start);
                    content.clear_from(at);
                } else {
                    plain.resize(plain.len().max(start + size), 0);
                    plain[start..start + size].fill(byte);
                    content.grow(pages(plain.len() as u64));
                    content.write(at, &vec![byte; size]);
                }
                prop_assert_eq!(read(&content, plain.len() as u64), &plain[..]);
                prop_assert!(content.is_zero_from(plain.len() as u64));
                let last = plain.iter().rposition(|byte| *byte != 0);
                prop_assert!(last.is_none_or(|last| !content.is_zero_from(last as u64)));
            }
        }
    }
}
