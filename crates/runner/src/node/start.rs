//! The engines, from their names.

use crate::failure::Result;
use crate::node::engine::{Engine, ModuleSession};
use crate::node::native::NativeNode;
use crate::node::sandbox::WasmNode;

impl Engine {
    /// A node without a job.
    ///
    /// # Errors
    /// When the embedded wasm cannot be compiled or instantiated.
    pub fn start(self) -> Result<Box<dyn ModuleSession>> {
        Ok(match self {
            Self::Wasm(tier) => {
                let mut node = WasmNode::embedded()?;
                node.set_tier(tier)?;
                Box::new(node)
            }
            Self::Native => Box::new(NativeNode::new()),
        })
    }
}
