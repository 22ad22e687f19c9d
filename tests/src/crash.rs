//! Crashes and faults: the node or its host stops, loses power, or is refused by the system at any moment, or finds things
//! in its directory that nobody should have put there. Afterwards the old or the new snapshot loads, and what was reported
//! as written is there.

pub mod disk;
pub mod host_faults;
pub mod job;
pub mod kill;
pub mod node;
pub mod node_faults;
#[cfg(unix)]
pub mod planted;
pub mod power;
pub mod process;
pub mod report;
