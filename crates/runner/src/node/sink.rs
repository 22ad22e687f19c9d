//! Where a run says what it does: whoever shows it to people has a place of its own.

use std::time::Duration;

use crate::failure::Result;
use crate::node::engine::Progress;

/// Where a run's output and messages go.
pub trait Sink {
    /// Bytes that the program wrote to descriptor `fd` (1 or 2).
    ///
    /// # Errors
    /// Exit code 74 when they cannot be passed on.
    fn output(&mut self, fd: u32, bytes: &[u8]) -> Result<()>;

    /// A warning of the node.
    fn warning(&mut self, text: &str);

    /// A detail for those who asked for them.
    fn detail(&mut self, text: &str);

    /// Where the run stands, about twenty times a second.
    fn progress(&mut self, progress: &Progress, rate: f64);
}

/// Gas a second; 0 when no time has passed.
pub fn rate(gas: u64, time: Duration) -> f64 {
    // Figures for people: the 53 bits of a float are more than enough.
    let seconds = time.as_secs_f64();
    if seconds > 0.0 { gas as f64 / seconds } else { 0.0 }
}
