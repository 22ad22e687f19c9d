//! What the fuzz targets of `fuzz/` are built on: the oracles that need nothing but the engine's library, and with the feature
//! `host` those of the host runner's library. The same file of them as in `lib.rs`.

pub use engine_tests::*;

#[cfg(feature = "host")]
pub mod fuzz_host;
