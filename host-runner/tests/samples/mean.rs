//! Traps in a function that was inlined into another one, with debug information. `mean.wasm` was built here by rustc 1.95.0:
//!
//! rustc --edition 2024 --crate-type cdylib --target wasm32-wasip1 -O -g -C symbol-mangling-version=v0 \
//!     -C link-arg=--no-entry --remap-path-prefix "$PWD=." mean.rs
#![no_std]

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}

struct Bin {
    count: u32,
}

impl Bin {
    #[inline(never)]
    fn mean(&self, sum: u32) -> u32 {
        divide(sum, self.count)
    }
}

#[inline(always)]
fn divide(dividend: u32, divisor: u32) -> u32 {
    if divisor == 0 {
        core::arch::wasm32::unreachable()
    }
    dividend / divisor
}

/// The mean of `sum` over `count`; none without any.
#[unsafe(no_mangle)]
pub extern "C" fn mean(sum: u32, count: u32) -> u32 {
    Bin { count }.mean(sum) + 1
}
