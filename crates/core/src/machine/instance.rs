//! A module at run time: which addresses of the store its indices stand for, and which segments it has dropped.

use std::sync::Arc;

use crate::module::{ExternKind, Module};

/// An instance. The addresses are those of the [`Store`](super::Store).
#[derive(Clone, Debug)]
pub struct Instance {
    /// The module.
    pub module: Arc<Module>,
    /// The name under which it was linked; empty for the main program.
    pub name: String,
    /// Function addresses by function index.
    pub funcs: Vec<u32>,
    /// Table addresses by table index.
    pub tables: Vec<u32>,
    /// Memory addresses by memory index.
    pub memories: Vec<u32>,
    /// Global addresses by global index: of its first slot.
    pub globals: Vec<u32>,
    /// Tag addresses by tag index.
    pub tags: Vec<u32>,
    /// Type numbers of the store by type index.
    pub types: Vec<u32>,
    /// Data segments dropped.
    pub dropped_data: Vec<bool>,
    /// Element segments dropped.
    pub dropped_elements: Vec<bool>,
}

impl Instance {
    /// The store address of an index of this kind.
    pub fn address(&self, kind: ExternKind, index: u32) -> u32 {
        let index = index as usize;
        match kind {
            ExternKind::Func => self.funcs[index],
            ExternKind::Table => self.tables[index],
            ExternKind::Memory => self.memories[index],
            ExternKind::Global => self.globals[index],
            ExternKind::Tag => self.tags[index],
        }
    }
}

/// The address of the function that a reference points to; `None` for null or a reference to nothing. It asks for the
/// instances alone, so that an engine that has the store's parts in hand can call it too.
#[inline]
pub(crate) fn func_of_ref(instances: &[Instance], reference: u64) -> Option<u32> {
    let packed = reference.checked_sub(1)?;
    instances.get((packed >> 32) as usize)?.funcs.get(packed as u32 as usize).copied()
}
