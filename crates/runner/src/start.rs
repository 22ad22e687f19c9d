//! The engines, from their names.

use crate::engine::{Engine, ModuleSession};
use crate::failure::Result;
use crate::native::NativeNode;
use crate::sandbox::WasmNode;

impl Engine {
    /// A node without a job.
    ///
    /// # Errors
    /// When the embedded wasm cannot be compiled or instantiated.
    pub fn start(self) -> Result<Box<dyn ModuleSession>> {
        Ok(match self {
            Self::Wasm => Box::new(WasmNode::embedded()?),
            Self::Native => Box::new(NativeNode::new()),
        })
    }
}
