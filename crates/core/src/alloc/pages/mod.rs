//! Large blocks inside wasm: whole pages of 64 KiB, taken from the linear memory itself and not from the allocator of the C
//! library, which would have to write zeros into what the host gives zeroed. A program of 1 GiB that uses 1 MiB costs
//! 1 MiB, and a block at the end of the memory grows in place.
//!
//! Where there is no memory, who asked for it by `may_fail` is told so. Nobody else can go on, and the standard library
//! would call an import to say so: the node traps at once, and `exhausted` says what was asked for.
#![cfg_attr(target_family = "wasm", expect(unsafe_code, reason = "an allocator works on addresses"))]

#[cfg(target_family = "wasm")]
mod compare;
#[cfg(any(target_family = "wasm", test))]
mod runs;

#[cfg(target_family = "wasm")]
mod wasm {
    use std::alloc::{GlobalAlloc, Layout, System};
    use std::arch::wasm32;
    use std::cell::{Cell, RefCell};
    use std::mem::ManuallyDrop;

    use super::runs::{FreeRuns, PageRun, PageSource, Small};
    use stepmark_state::limits::WASM_PAGE;

    /// Bytes in a page.
    const PAGE: usize = WASM_PAGE as usize;
    /// Length from which a block is of whole pages.
    const LARGE: usize = 1 << 20;
    /// Pages that the linear memory may have (node-build tells the linker).
    const ALL: usize = 57_344;
    /// Those that large blocks may have: they leave 32 MiB to what is small, whose allocator has no error where there is no
    /// memory at all.
    const MOST: usize = ALL - 512;

    #[global_allocator]
    static BLOCKS: Blocks = Blocks {
        runs: RefCell::new(FreeRuns::new()),
        small: RefCell::new(Small::new()),
        may_fail: Cell::new(false),
        exhausted: Cell::new(0),
        last_words: Cell::new(None),
    };

    /// Large blocks by the page, all others by the C library.
    struct Blocks {
        runs: RefCell<FreeRuns>,
        /// What the C library's allocator gets.
        small: RefCell<Small>,
        /// Whether somebody asks who is told that there is no memory.
        may_fail: Cell<bool>,
        /// Bytes that somebody asked for who could not be told.
        exhausted: Cell<usize>,
        /// What is done then before the node traps.
        last_words: Cell<Option<fn(usize)>>,
    }

    // SAFETY: this target has one thread.
    unsafe impl Sync for Blocks {}

    /// The node's own linear memory, of which so many pages may be used.
    struct LinearMemory(usize);

    impl PageSource for LinearMemory {
        fn end(&self) -> usize {
            wasm32::memory_size(0)
        }

        fn grow(&mut self, pages: usize) -> bool {
            self.end() + pages <= self.0 && wasm32::memory_grow(0, pages) != usize::MAX
        }
    }

    /// Gives the C library's allocator its memory, in the stead of that library's own function, which traps where the
    /// allocator gives back the first part of what it wanted because there is no second: an allocation that fails would end
    /// the node without a word. Here the part stays unused and the allocation fails as any other.
    #[unsafe(no_mangle)]
    extern "C" fn sbrk(increment: isize) -> usize {
        const FAILED: usize = usize::MAX;
        let Ok(bytes) = usize::try_from(increment) else { return FAILED };
        let (mut small, mut runs) = (BLOCKS.small.borrow_mut(), BLOCKS.runs.borrow_mut());
        small.take(&mut runs, &mut LinearMemory(ALL), pages(bytes)).map_or(FAILED, |start| start * PAGE)
    }

    fn is_large(layout: Layout) -> bool {
        layout.size() >= LARGE && layout.align() <= PAGE
    }

    fn pages(bytes: usize) -> usize {
        bytes.div_ceil(PAGE)
    }

    impl Blocks {
        /// The block; or the end of the node, if there is none and nobody can be told.
        fn checked(&self, block: *mut u8, bytes: usize) -> *mut u8 {
            if block.is_null() && !self.may_fail.get() {
                self.exhausted.set(bytes.max(1));
                if let Some(say) = self.last_words.take() {
                    say(bytes);
                }
                wasm32::unreachable();
            }
            block
        }

        /// A block, of whose first so many bytes some may not be zero.
        fn take(&self, bytes: usize) -> Option<(*mut u8, usize)> {
            let taken = self.runs.borrow_mut().take(&mut LinearMemory(MOST), pages(bytes))?;
            Some((std::ptr::with_exposed_provenance_mut(taken.start * PAGE), (taken.fresh - taken.start) * PAGE))
        }

        fn give(&self, block: *mut u8, bytes: usize) {
            self.runs.borrow_mut().give(PageRun { start: block.addr() / PAGE, pages: pages(bytes) });
        }

        /// Makes a block longer where it is; how many bytes from its beginning may not be zero.
        fn extend(&self, block: *mut u8, old: usize, new: usize) -> Option<usize> {
            let (start, had) = (block.addr() / PAGE, pages(old));
            let more = pages(new) - had;
            if more == 0 {
                return Some(had * PAGE);
            }
            let fresh = self.runs.borrow_mut().extend(&mut LinearMemory(MOST), start + had, more)?;
            Some((fresh - start) * PAGE)
        }
    }

    // None is inlined: there are thousands of places that allocate.
    //
    // SAFETY: a block of either kind is known by its length, which its layout has in every call: large ones are whole pages
    // that `FreeRuns` hands out once until they are given back, the others are the system's.
    unsafe impl GlobalAlloc for Blocks {
        #[inline(never)]
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            let block = if is_large(layout) {
                self.take(layout.size()).map_or(std::ptr::null_mut(), |(block, _)| block)
            } else {
                // SAFETY: the caller's promise.
                unsafe { System.alloc(layout) }
            };
            self.checked(block, layout.size())
        }

        #[inline(never)]
        unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
            if !is_large(layout) {
                // SAFETY: the caller's promise.
                return self.checked(unsafe { System.alloc_zeroed(layout) }, layout.size());
            }
            let Some((block, dirty)) = self.take(layout.size()) else {
                return self.checked(std::ptr::null_mut(), layout.size());
            };
            // SAFETY: the block is that long, and nobody else's.
            unsafe { block.write_bytes(0, dirty.min(layout.size())) };
            block
        }

        #[inline(never)]
        unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
            if is_large(layout) {
                return self.give(block, layout.size());
            }
            // SAFETY: the caller's promise.
            unsafe { System.dealloc(block, layout) }
        }

        #[inline(never)]
        unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
            // SAFETY: the caller's promise: the size is not 0 and not too long for the alignment.
            let new = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
            match (is_large(layout), is_large(new)) {
                // SAFETY: the caller's promise.
                (false, false) => return self.checked(unsafe { System.realloc(block, layout, size) }, size),
                (true, true) if pages(size) < pages(layout.size()) => {
                    let kept = pages(size) * PAGE;
                    self.give(block.wrapping_add(kept), layout.size() - kept);
                    return block;
                }
                (true, true) if self.extend(block, layout.size(), size).is_some() => return block,
                _ => {}
            }
            // SAFETY: both blocks are as long as what is copied, and not the same.
            unsafe {
                let moved = self.alloc(new);
                if !moved.is_null() {
                    moved.copy_from_nonoverlapping(block, layout.size().min(size));
                    self.dealloc(block, layout);
                }
                moved
            }
        }
    }

    /// Asks for memory that may not be there.
    pub(crate) fn may_fail<T>(ask: impl FnOnce() -> T) -> T {
        let before = BLOCKS.may_fail.replace(true);
        let answer = ask();
        BLOCKS.may_fail.set(before);
        answer
    }

    /// Bytes that were asked for when there was no memory, which ended the node; 0 if that has not happened.
    pub fn exhausted() -> usize {
        BLOCKS.exhausted.get()
    }

    /// Lets `say` tell the user how many bytes were asked for when there was no memory. It must not allocate.
    pub fn set_last_words(say: fn(usize)) {
        BLOCKS.last_words.set(Some(say));
    }

    /// Makes a buffer `length` bytes long where it is, the new ones zero, of which those are not touched that the host gave
    /// just now. False, and nothing changed, if there are no free pages behind it.
    pub(crate) fn lengthen_in_place(buffer: &mut Vec<u8>, length: usize) -> bool {
        let (held, used, block) = (buffer.capacity(), buffer.len(), buffer.as_mut_ptr());
        // A slice has no more bytes than an `isize` counts.
        if held < LARGE || length <= held || isize::try_from(length).is_err() {
            return false;
        }
        let Some(dirty) = BLOCKS.extend(block, held, length) else { return false };
        // The block stays: the buffer that ends here does not give it back.
        let _kept = ManuallyDrop::new(std::mem::take(buffer));
        let block: *mut u8 = std::ptr::with_exposed_provenance_mut(block.expose_provenance());
        // SAFETY: the block is `length` bytes long now, of which all behind `dirty` are zero, and the new buffer names the
        // length by which it will be given back.
        *buffer = unsafe {
            block.add(used).write_bytes(0, dirty.min(length).saturating_sub(used));
            Vec::from_raw_parts(block, length, length)
        };
        true
    }
}

#[cfg(target_family = "wasm")]
pub use wasm::{exhausted, set_last_words};
#[cfg(target_family = "wasm")]
pub(crate) use wasm::{lengthen_in_place, may_fail};

#[cfg(not(target_family = "wasm"))]
mod native {
    use std::cell::Cell;

    thread_local! {
        static MAY_FAIL: Cell<bool> = const { Cell::new(false) };
    }

    /// Asks for memory that may not be there.
    pub(crate) fn may_fail<T>(ask: impl FnOnce() -> T) -> T {
        let before = MAY_FAIL.replace(true);
        let answer = ask();
        MAY_FAIL.set(before);
        answer
    }

    /// Whether this thread asks for memory that may not be there: a process whose allocator ends it where there is none must not
    /// do so then.
    pub fn is_told() -> bool {
        MAY_FAIL.get()
    }
}

#[cfg(not(target_family = "wasm"))]
pub use native::is_told;
#[cfg(not(target_family = "wasm"))]
pub(crate) use native::may_fail;

/// Natively the system's allocator does all this.
#[cfg(not(target_family = "wasm"))]
pub(crate) fn lengthen_in_place(_: &mut Vec<u8>, _: usize) -> bool {
    false
}
