//! What the process does when the system has no memory for it: it says so in one line and ends with the exit code of input
//! and output, as the node inside wasm does. Nothing is lost by it, since every file is written beside its place and renamed.
//! The standard library would end the process by a signal, which has the exit code of a trap.
#![allow(unsafe_code, reason = "an allocator works on addresses")]

use std::alloc::{GlobalAlloc, Layout};
use std::io::Write;

use stepmark_core::alloc::pages;

use crate::failure::IO;

/// An allocator that ends the process where another has no memory, but for who asks whether there is some.
#[derive(Clone, Copy, Debug)]
pub struct Bounded<A>(pub A);

impl<A> Bounded<A> {
    /// The block; or the end of the process, if there is none and nobody is told.
    fn checked(block: *mut u8, bytes: usize) -> *mut u8 {
        if block.is_null() && !pages::is_told() {
            exhausted(bytes);
        }
        block
    }
}

/// Says that there is no memory, without any, and ends the process. Nothing that runs at its end is waited for.
#[cold]
fn exhausted(bytes: usize) -> ! {
    let mut text = [0; 128];
    let mut rest = text.as_mut_slice();
    drop(writeln!(rest, "error: the process ran out of memory: it needs {bytes} bytes more in one piece"));
    let length = 128 - rest.len();
    #[cfg(unix)]
    {
        // SAFETY: nobody closes standard error before the process ends.
        let stderr = unsafe { std::os::fd::BorrowedFd::borrow_raw(2) };
        rustix::io::write(stderr, &text[..length]).ok();
    }
    #[cfg(not(unix))]
    drop(std::io::stderr().write_all(&text[..length]));
    std::process::exit(IO)
}

// SAFETY: every block is the inner allocator's, with the layout that it was asked for.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Bounded<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        Self::checked(unsafe { self.0.alloc(layout) }, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        Self::checked(unsafe { self.0.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { self.0.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's promise.
        Self::checked(unsafe { self.0.realloc(block, layout, size) }, size)
    }
}
