//! The register tier: runs register code until something needs the driver, see
//! [`Exit`](crate::machine::tier::Exit). One loop, one match (`run`);
//! explicit frames, no recursion on the host's stack. It charges gas on taken edges only: `gas` is the exact remainder
//! less what the straight line ahead has been charged in advance.

mod code;
mod run;

pub(crate) use code::RegisterTier;

/// Whether the tier charges gas; a build without it exists only to measure what that costs.
const METERED: bool = !cfg!(feature = "measure-without-gas");
/// Whether the tier marks the pages that it writes; a build without it exists only to measure what that costs.
const TRACKED: bool = !cfg!(feature = "measure-without-dirty");
