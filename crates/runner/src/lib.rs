//! How a portable module is driven natively: as wasm in wasmtime, with no imports, or the same library linked natively; chains on
//! disk, their verification, bisection and state; the database of a store; and wasmtime itself as a reference. It knows no command line
//! and no console.

// Tests make what strangers would have made, and look at what came of it.
#![cfg_attr(test, allow(clippy::disallowed_methods))]

pub mod archive;
pub mod ask;
pub mod bisect;
pub mod bounds;
mod came_from;
pub mod chain;
pub mod claimed_job;
pub mod compact;
pub mod demangle;
pub mod failure;
pub mod foreign;
pub mod interrupt;
pub mod job;
pub mod memory;
pub mod named_output;
pub mod node;
pub mod reference;
pub mod scratch;
pub mod state;
pub mod store;
pub mod strict;
pub mod terminal;
mod text;
pub mod this_machine;
pub mod timeline;
pub mod verify;
