//! Where the files of a run go: into a directory that is ready before the run begins; or, where nobody has asked for files,
//! nowhere, but for a state that would be lost.

use crate::chain::durable::OutputDir;
use crate::failure::Result;

/// Where the files of a run go.
pub enum Output<'a> {
    /// Into this directory.
    Into(&'a OutputDir),
    /// Nowhere, but for the state of a run that is stopped.
    OnlyState {
        /// Makes a directory for it.
        make: &'a dyn Fn() -> Result<OutputDir>,
        /// The directory, once it was made.
        made: Option<OutputDir>,
    },
}

impl<'a> Output<'a> {
    /// Nowhere, but for the state of a run that is stopped, which goes into the directory that `make` makes.
    pub fn only_state(make: &'a dyn Fn() -> Result<OutputDir>) -> Self {
        Self::OnlyState { make, made: None }
    }

    /// The directory, where there is one.
    pub fn dir(&self) -> Option<&OutputDir> {
        match self {
            Self::Into(dir) => Some(dir),
            Self::OnlyState { made, .. } => made.as_ref(),
        }
    }

    /// Its path, as messages have it.
    pub fn path(&self) -> Option<String> {
        self.dir().map(|dir| dir.path().display().to_string())
    }

    /// The directory, which is made where there is none.
    ///
    /// # Errors
    /// As those of [`OutputDir::open`].
    pub fn make(&mut self) -> Result<&OutputDir> {
        match self {
            Self::Into(dir) => Ok(dir),
            Self::OnlyState { make, made } => {
                let dir = made.take().map_or_else(make, Ok)?;
                Ok(made.insert(dir))
            }
        }
    }
}
