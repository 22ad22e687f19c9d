//! A WebAssembly execution node: it runs a program deterministically, charges gas for each instruction, and writes the
//! canonical state as a snapshot whenever the gas limit is reached. The same source builds natively and for
//! `wasm32-wasip1`; the same job gives the same bytes in both.

pub mod error;
pub mod host;
pub mod limits;
pub mod trap;
