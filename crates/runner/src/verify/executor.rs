//! What executes segments: this command's own module, or one from a file, such as an older release's.

use std::path::Path;

use crate::failure::{Failure, Result};
use crate::foreign::{self, ForeignKind};
use crate::node::embedded_module;
use crate::node::engine::{Engine, ModuleSession, TierChoice};
use crate::node::sandbox::{NodeModule, WasmNode};
use crate::strict;

/// What executes segments.
#[derive(Clone, Debug)]
pub enum SegmentExecutor {
    /// The module that this command carries.
    Own(Engine),
    /// A module from a file, in wasmtime.
    File {
        /// Its machine code.
        module: NodeModule,
        /// BLAKE3 of its bytes, in hexadecimal.
        hash: String,
    },
}

impl SegmentExecutor {
    /// The module in the file `path`, for the chain in `dir`: where the chain's receipt names a module, that very one.
    ///
    /// # Errors
    /// Exit code 65 if it is not the module that the receipt names, or is no Stepmark module; 74 if it cannot be read.
    pub fn from_file(path: &Path, dir: &Path) -> Result<Self> {
        let shown = path.display();
        let bytes = foreign::read(path, ForeignKind::Module)?;
        let hash = blake3::hash(&bytes).to_hex().to_string();
        if let Some(named) = named_by_receipt(dir).filter(|named| *named != hash) {
            let failure =
                Failure::data(format!("{shown}: is not the module that the receipt of {} names", dir.display()));
            return Err(failure.caused_by(format!("its BLAKE3 hash is {hash}, expected {named}")));
        }
        let module = NodeModule::compile(&bytes).and_then(|module| WasmNode::new(&module).map(|_| module));
        let no_module =
            |error: Failure| Failure::data(format!("{shown}: is no Stepmark module")).caused_by(error.what());
        Ok(Self::File { module: module.map_err(no_module)?, hash })
    }

    /// A module without a job.
    ///
    /// # Errors
    /// When it cannot be compiled or instantiated.
    pub fn start(&self) -> Result<Box<dyn ModuleSession>> {
        match self {
            Self::Own(engine) => engine.start(),
            Self::File { module, .. } => Ok(Box::new(WasmNode::new(module)?)),
        }
    }

    /// BLAKE3 of the module, in hexadecimal.
    pub fn hash(&self) -> &str {
        match self {
            Self::Own(_) => embedded_module::node_hash(),
            Self::File { hash, .. } => hash,
        }
    }

    /// How it runs.
    pub fn engine(&self) -> Engine {
        match self {
            Self::Own(engine) => *engine,
            Self::File { .. } => Engine::Wasm(TierChoice::Register),
        }
    }
}

/// The module's hash in the receipt of the chain in `dir`. It is a claim: it decides nothing but which file is wanted.
fn named_by_receipt(dir: &Path) -> Option<String> {
    let text = foreign::read_within(dir, "receipt.json", ForeignKind::Text).ok()?;
    strict::parse(&text).ok()?["runner"]["node_blake3"].as_str().map(str::to_owned)
}
