//! For those who ask about a program or a run: where its gas goes, and what a call costs at least. Nothing of this is in the
//! portable module.

pub mod estimate;
pub mod profile;
