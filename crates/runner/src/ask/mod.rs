//! Questions about a program: where its gas goes, what a call costs at least, and a segment as a proof that stands alone.

pub mod estimate;
pub mod imports;
pub mod profile;
pub mod witness;
