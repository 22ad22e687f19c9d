//! Ctrl-C. The first one asks the run to stop at the next slice and to write its state; the second one ends the process
//! at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::failure::{Failure, INTERRUPTED, IO, Result};

/// Whether the user wants the run to stop. Copies share the answer.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// A wish that nobody has expressed yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Expresses the wish.
    pub fn request(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether it was expressed.
    pub fn is_requested(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// Listens to Ctrl-C from now on; once a process.
    ///
    /// # Errors
    /// When the system refuses the handler.
    pub fn on_ctrl_c(&self) -> Result<()> {
        let stop = self.clone();
        let handler = move || {
            if stop.0.swap(true, Ordering::SeqCst) {
                std::process::exit(INTERRUPTED);
            }
        };
        ctrlc::set_handler(handler).map_err(|error| Failure::new(IO, "Ctrl-C cannot be handled").caused_by(error))
    }
}
