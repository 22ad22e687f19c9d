//! A WebAssembly execution node: it runs a program deterministically, charges gas for each instruction, and writes the
//! canonical state as a snapshot whenever the gas limit is reached. The same source builds natively and for
//! `wasm32-wasip1`; the same job gives the same bytes in both.

pub mod args;
pub mod blocks;
pub mod code;
pub mod error;
pub mod estimate;
mod exec;
pub mod files;
pub mod gas;
pub mod host;
pub mod job;
pub mod limits;
pub mod module;
pub mod numeric;
pub mod profile;
pub mod report;
mod room;
pub mod runtime;
pub mod selftest;
pub mod session;
pub mod shown;
pub mod snapshot;
mod step;
pub mod trap;
pub mod witness;
