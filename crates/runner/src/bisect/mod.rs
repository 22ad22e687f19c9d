//! Where two accounts of one run part: two chains, of which one may be false, down to the segment; two executors, down to
//! the instruction.

mod beside;
mod bundle;
mod chains;
mod executor;
mod executors;

pub use beside::{beside, differ_in_base};
pub use bundle::{Dispute, Recheck, recheck, write_chains, write_executors};
pub use chains::{Parting, Side, part};
pub use executor::{ALL_STEPS, ExecutorProcess, Position, ReachedState, reach, serve};
pub use executors::{Divergence, SegmentQuestion, diverge};
