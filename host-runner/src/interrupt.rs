//! Ctrl-C, and the signals by which a system ends a process (SIGTERM, SIGHUP). The first one asks the run to stop at the next
//! slice and to write its state; a later one ends the process at once. Who ends a process often signals twice: the process and
//! its group.

use std::time::{Duration, Instant};

use stepmark_runner::failure::{Failure, INTERRUPTED, IO, Result};
use stepmark_runner::interrupt::Interrupt;
use stepmark_runner::terminal;

/// Signals so soon after the first one are the same wish.
const SAME_WISH: Duration = Duration::from_secs(1);

/// What Ctrl-C asks to stop, from now on; once a process.
///
/// # Errors
/// When the system refuses the handler.
pub fn on_ctrl_c() -> Result<Interrupt> {
    let stop = Interrupt::new();
    let asked = stop.clone();
    let mut first = None;
    let handler = move || {
        let since = first.get_or_insert_with(Instant::now).elapsed();
        if asked.request() && since > SAME_WISH {
            terminal::say("interrupted again: ended at once, without writing a state");
            std::process::exit(INTERRUPTED);
        }
    };
    ctrlc::set_handler(handler).map_err(|error| Failure::new(IO, "Ctrl-C cannot be handled").caused_by(error))?;
    Ok(stop)
}
