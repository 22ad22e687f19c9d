//! The command `stepmark`: its command line and its console. What it does is in `stepmark_runner`.

// Tests make what strangers would have made, and look at what came of it.
#![cfg_attr(test, allow(clippy::disallowed_methods))]

pub mod cli;
pub mod console;
pub mod flags;
pub mod flame_graph;
pub mod hex_float;
pub mod interrupt;
pub mod kept;
pub mod piped;
pub mod program;
mod serve;
pub mod units;
