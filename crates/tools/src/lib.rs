//! For those who ask about a program or a run: where its gas goes, what a call costs at least, and what happens at which moment.
//! Nothing of this is in the portable module.

pub mod estimate;
pub mod lookouts;
pub mod moment;
pub mod profile;
pub mod scan;
