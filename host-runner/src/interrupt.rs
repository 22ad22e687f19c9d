//! Ctrl-C, and the signals by which a system ends a process (SIGTERM, SIGHUP). The first one asks the run to stop at the next
//! slice and to write its state; a later one ends the process at once. Who ends a process often signals twice: the process and
//! its group.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use stepmark_runner::failure::{Failure, INTERRUPTED, IO, Result};
use stepmark_runner::interrupt::Interrupt;
use stepmark_runner::{scratch, terminal};

/// Signals so soon after the first one are the same wish.
const SAME_WISH: Duration = Duration::from_secs(1);

/// What a signal asks to stop; none where a command has nothing to write first, and is ended at once.
static ASKED: Mutex<Option<Interrupt>> = Mutex::new(None);

/// Handles signals from now on; once a process. `say` is what a command says that is ended at once.
///
/// # Errors
/// When the system refuses the handler.
pub(crate) fn handle(say: impl Fn(&Failure) + Send + 'static) -> Result<()> {
    let mut first = None;
    let handler = move || {
        let since = first.get_or_insert_with(Instant::now).elapsed();
        let asked = ASKED.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match asked {
            None => say(&Failure::new(INTERRUPTED, "interrupted")),
            Some(asked) if asked.request() && since > SAME_WISH => {
                terminal::say("interrupted again: ended at once, without writing a state");
            }
            Some(_) => return,
        }
        scratch::remove_all();
        std::process::exit(INTERRUPTED);
    };
    ctrlc::set_handler(handler).map_err(|error| Failure::new(IO, "Ctrl-C cannot be handled").caused_by(error))
}

/// What Ctrl-C asks to stop, from now on.
pub(crate) fn on_ctrl_c() -> Interrupt {
    let stop = Interrupt::new();
    *ASKED.lock().unwrap_or_else(PoisonError::into_inner) = Some(stop.clone());
    stop
}
