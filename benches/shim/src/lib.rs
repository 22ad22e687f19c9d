//! What all engines share: how a program is driven, the WASI that it sees, and the fold of its memory that stands for a
//! result where it returns none. It is compiled into the runner and into the peers that are wasm themselves.

pub mod wasi;
mod wasmi;

use anyhow::Result;

/// An argument of an exported function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Number {
    /// Of type `i32`.
    I32(i32),
    /// Of type `i64`.
    I64(i64),
}

/// An instance of a program in an engine that is a library.
pub trait Instance {
    /// Calls an export with at most one argument. The bits of what it returns; nothing is 0.
    ///
    /// # Errors
    /// If there is no such export, or it traps. Leaving by `proc_exit` is no error.
    fn call(&mut self, export: &str, argument: Option<Number>) -> Result<u64>;

    /// [`fold`] of the exported memory.
    ///
    /// # Errors
    /// If there is none.
    fn memory_fold(&mut self) -> Result<u64>;

    /// What a command has left, once it has ended.
    fn output(&mut self) -> Result<wasi::Output>;
}

/// The factor of [`fold`]: odd, with bits in all places.
pub const FOLD_FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

/// A number that stands for the contents of a memory. Made so that a few instructions of WebAssembly can compute it too.
pub fn fold(memory: &[u8]) -> u64 {
    let words = memory.chunks_exact(8).map(|word| word.try_into().map_or(0, u64::from_le_bytes));
    words.fold(0, |fold: u64, word| (fold ^ word).wrapping_mul(FOLD_FACTOR).rotate_left(29))
}
