//! Linking: an import is matched by exact module name, name and type, once, against host modules and the modules
//! registered under names.

use std::collections::BTreeMap;

use crate::module::{FuncType, Module};

/// The functions that the embedder offers to programs.
pub trait HostImports {
    /// Number and type of the host function with this exact name.
    fn resolve(&self, module: &str, name: &str) -> Option<(u32, FuncType)>;

    /// Number of the host function that stands in for an imported function that nothing provides, the module's import of this
    /// number.
    fn stand_in(&self, _module: &Module, _import: u32) -> Option<u32> {
        None
    }
}

/// An embedder that offers none.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoHost;

impl HostImports for NoHost {
    fn resolve(&self, _module: &str, _name: &str) -> Option<(u32, FuncType)> {
        None
    }
}

/// Which instance a module name stands for.
#[derive(Clone, Debug, Default)]
pub struct InstanceLinker {
    names: BTreeMap<String, u32>,
}

impl InstanceLinker {
    /// Registers an instance under a name; a later registration replaces an earlier one.
    pub fn register(&mut self, name: &str, instance: u32) {
        self.names.insert(name.to_owned(), instance);
    }

    /// The instance of this name.
    pub fn instance(&self, name: &str) -> Option<u32> {
        self.names.get(name).copied()
    }
}
