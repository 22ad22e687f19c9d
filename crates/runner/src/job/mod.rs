//! The job of a chain, made again from its snapshots and from files that are given or found.

pub mod rerun;
pub mod search;
