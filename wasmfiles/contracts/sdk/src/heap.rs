//! The heap. Blocks have sizes that are powers of two; a block given back is kept in the list of its size and is the
//! next one of it to be given out, and when the list is empty a new one is cut from the end of memory, which grows by
//! what that needs. Nothing is moved or joined: contracts are short.
#![expect(unsafe_code, reason = "an allocator deals in pointers")]

use core::alloc::{GlobalAlloc, Layout};
use core::arch::wasm32::memory_grow;
use core::cell::Cell;
use core::ptr;

/// What every block is aligned to, and the smallest block: more than any type here asks for.
const ALIGN: usize = 16;

/// A page of WebAssembly.
const PAGE: usize = 64 * 1024;

/// One list for each size that an address space of 32 bits has.
const LISTS: usize = 32;

#[global_allocator]
static HEAP: Heap = Heap { free: [const { Cell::new(ptr::null_mut()) }; LISTS], next: Cell::new(0), end: Cell::new(0) };

struct Heap {
    /// By the logarithm of their size, the first of the free blocks; each begins with the address of the next one.
    free: [Cell<*mut u8>; LISTS],
    /// Where the next new block begins.
    next: Cell<usize>,
    /// Where the memory that new blocks are cut from ends.
    end: Cell<usize>,
}

// SAFETY: a contract has one thread.
unsafe impl Sync for Heap {}

/// The size of the block that a layout gets.
fn block_size(size: usize) -> usize {
    // A layout's size is at most isize::MAX, which the last power of two is larger than.
    size.max(ALIGN).next_power_of_two()
}

impl Heap {
    fn list(&self, block_size: usize) -> &Cell<*mut u8> {
        &self.free[block_size.trailing_zeros() as usize]
    }

    /// A new block, or null if memory does not grow.
    fn cut(&self, size: usize) -> *mut u8 {
        let room = self.end.get() - self.next.get();
        if room < size {
            let pages = (size - room).div_ceil(PAGE);
            // In pages; usize::MAX if it did not grow.
            let old = memory_grow::<0>(pages);
            let (Some(start), Some(bytes)) = (old.checked_mul(PAGE), pages.checked_mul(PAGE)) else {
                return ptr::null_mut();
            };
            let Some(end) = start.checked_add(bytes) else { return ptr::null_mut() };
            if start != self.end.get() {
                // The first time, or something else has grown memory since.
                self.next.set(start);
            }
            self.end.set(end);
            if end - self.next.get() < size {
                return self.cut(size);
            }
        }
        let block = self.next.get();
        self.next.set(block + size);
        ptr::with_exposed_provenance_mut(block)
    }
}

// SAFETY: a block is at least as large as its layout, aligned to ALIGN, and in no list while it is given out; the
// blocks that were cut do not overlap.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.align() > ALIGN {
            return ptr::null_mut();
        }
        let size = block_size(layout.size());
        let list = self.list(size);
        let block = list.get();
        if block.is_null() {
            return self.cut(size);
        }
        // SAFETY: a block in a list is not in use, and began with this address when `dealloc` put it there.
        list.set(unsafe { block.cast::<*mut u8>().read() });
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let list = self.list(block_size(layout.size()));
        // SAFETY: the caller gives back a block of this heap: it is aligned, larger than an address, and no longer in
        // use.
        unsafe { block.cast::<*mut u8>().write(list.get()) };
        list.set(block);
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if block_size(size) == block_size(layout.size()) {
            return block;
        }
        // SAFETY: the caller promises that `size`, rounded up to the alignment, is at most isize::MAX.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        // SAFETY: `size` is not zero, by the caller's promise.
        let new = unsafe { self.alloc(wanted) };
        if !new.is_null() {
            // SAFETY: both blocks are at least this long and, both being given out, apart; the old one is the caller's
            // to give back.
            unsafe {
                ptr::copy_nonoverlapping(block, new, layout.size().min(size));
                self.dealloc(block, layout);
            }
        }
        new
    }
}
