//! The test harness: the runner of the specification's test suite, and the oracles that compare engines. Tests in
//! `tests/` and the commands of xtask are thin callers of what is here.

pub mod agree;
pub mod differential;
pub mod generate;
pub mod opcodes;
pub mod programs;
pub use spec_suite as spec;
pub mod mutate;
pub mod session;
