//! What the engine is tested with without anything beside its library: random and changed programs, sessions inside one
//! process, the two tiers compared, the oracles of the fuzz targets. Other engines and the host runner are compared in
//! `tests/`; a change of the engine is tested here in a minute, and the fuzz targets of `fuzz/` are built on it.

pub mod engine_oracle;
pub mod fuzz;
pub mod generate;
pub mod mutate;
pub mod opcodes;
pub mod panic_guard;
pub mod programs;
pub mod session;
pub mod witness;
