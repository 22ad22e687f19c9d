//! The part of the test harness that needs nothing but the node's library, as a crate of its own: the fuzz targets of
//! `fuzz/` are built with this, so that no other engine is compiled with them. The same files as in `lib.rs`.

pub mod agree;
pub mod caught;
pub mod fuzz;
#[cfg(feature = "host")]
pub mod fuzz_host;
pub mod generate;
pub mod mutate;
pub mod programs;
pub mod session;
