//! Crashes and faults: the node or its host stops, loses power, or is refused by the system at any moment, or finds things
//! in its directory that nobody should have put there. Afterwards the old or the new snapshot loads, and what was reported
//! as written is there.

pub mod disk;
pub mod job;
pub mod power;
