//! How a portable module is driven natively: as wasm in wasmtime, with no imports, or the same library linked natively; chains on
//! disk, their verification, bisection and state; the database of a store; and wasmtime itself as a reference. It knows no command line
//! and no console.

// Tests make what strangers would have made, and look at what came of it.
#![cfg_attr(test, allow(clippy::disallowed_methods))]

pub mod archive;
pub mod bisect;
pub mod cache;
pub mod chain;
pub mod deliver;
pub mod disk;
pub mod drive;
pub mod driver;
pub mod dry_run;
pub mod durable;
pub mod embedded_module;
pub mod engine;
pub mod estimate;
pub mod external;
pub mod failure;
pub mod fold;
pub mod foreign;
pub mod frozen;
pub mod interrupt;
pub mod memory;
pub mod native;
pub mod profile;
pub mod receipt;
pub mod reference;
pub mod report;
pub mod rerun;
pub mod sandbox;
pub(crate) mod search;
pub mod sink;
pub mod snapshot_ref;
mod start;
pub mod state;
pub mod store;
pub(crate) mod strict;
pub mod supply;
pub mod terminal;
pub mod verify;
pub mod witness;
