//! What a contract imports from the node, as safe functions.
//!
//! A contract is a `cdylib` whose one function is named by [`entry!`]; it reads its arguments from [`contract`], and
//! keeps what it wants kept in the store, through [`store`] or through the functions here, which say the same in the
//! older interface. With this crate come a heap and a panic handler that traps. The interface itself is in the
//! `README.md` one directory up.
#![no_std]

extern crate alloc;

pub mod contract;
pub mod store;

mod heap;
mod imports;
mod parts;
mod storage;
mod text;

pub use storage::{debug, storage_delete, storage_read, storage_write};
pub use text::{number, words};

/// Exports a function without parameters and results as `invoke`, which the node calls.
#[macro_export]
macro_rules! entry {
    ($run:path) => {
        /// What the node calls.
        #[unsafe(no_mangle)]
        pub extern "C" fn invoke() {
            $run();
        }
    };
}

/// Says why on the debug output, and traps.
pub fn fail(why: &[u8]) -> ! {
    debug(why);
    core::arch::wasm32::unreachable()
}

#[panic_handler]
fn panicked(_: &core::panic::PanicInfo) -> ! {
    core::arch::wasm32::unreachable()
}
