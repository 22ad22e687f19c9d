//! The test harness: the runner of the specification's test suite, and the oracles that compare engines. Tests in
//! `tests/` and the commands of xtask are thin callers of what is here.

pub mod allocations;
pub mod apps;
pub mod benchmarks;
pub mod bombs;
pub mod contracts;
pub mod crash;
pub mod determinism;
pub mod differential;
pub mod embedders;
pub mod footprint;
pub mod fuzz_host;
pub mod migration;
pub mod node_js;
pub mod omissions;
pub mod oracles;
pub mod price;
pub mod program_files;
pub mod reactor;
pub mod runner;
pub mod runtimes;
pub mod same_everywhere;
pub mod self_hosting;
pub mod serializability;
pub mod wasi_suite;

pub use engine_tests::{engine_oracle, fuzz, generate, mutate, opcodes, panic_guard, programs, session};
pub use spec_suite as spec;
