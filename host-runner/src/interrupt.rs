//! Ctrl-C, and the signals by which a system ends a process (SIGTERM, SIGHUP). The first one asks the run to stop at the next
//! slice and to write its state; the second one ends the process at once.

use stepmark_runner::failure::{Failure, INTERRUPTED, IO, Result};
use stepmark_runner::interrupt::Interrupt;

/// What Ctrl-C asks to stop, from now on; once a process.
///
/// # Errors
/// When the system refuses the handler.
pub fn on_ctrl_c() -> Result<Interrupt> {
    let stop = Interrupt::new();
    let asked = stop.clone();
    let handler = move || {
        if asked.request() {
            std::process::exit(INTERRUPTED);
        }
    };
    ctrlc::set_handler(handler).map_err(|error| Failure::new(IO, "Ctrl-C cannot be handled").caused_by(error))?;
    Ok(stop)
}
