//! The comfortable way to use the node: a native program that gives it files, shows progress, survives crashes and
//! Ctrl-C, and compares it with wasmtime running the same program directly. The node itself is WebAssembly, embedded here
//! and run with no imports; `engine` drives it or the same library linked natively, through one trait.

// Tests make what strangers would have made, and look at what came of it.
#![cfg_attr(test, allow(clippy::disallowed_methods))]

pub mod archive;
pub mod bisect;
pub mod cache;
pub mod chain;
pub mod cli;
pub mod console;
pub mod deliver;
pub mod disk;
pub mod drive;
pub mod dry_run;
pub mod durable;
pub mod engine;
pub mod estimate;
pub mod failure;
pub mod flags;
pub mod fold;
pub mod foreign;
pub mod frozen;
pub mod image;
pub mod interrupt;
pub mod job_files;
pub mod memory;
pub mod native;
pub mod outside;
pub mod profile;
pub mod reference;
pub mod report;
pub mod sandbox;
pub(crate) mod search;
pub mod snapshot_ref;
pub mod state;
pub mod store;
pub(crate) mod strict;
pub mod supply;
pub mod terminal;
pub mod verify;
pub mod witness;
