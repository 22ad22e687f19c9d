//! From bytes to a [`Module`]: decoded and validated by wasmparser, whole and before anything runs, so that a bad program
//! is refused the same way wherever its fault lies. Function bodies stay where they are in the bytes and are decoded when
//! they are first needed.

pub(crate) mod binary;
mod globals;
mod parse;
mod types;
mod validate;

pub use types::*;
pub use validate::{TypesAt, types_at};

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use wasmparser::WasmFeatures;

use stepmark_state::error::JobError;
use stepmark_state::shown::Shown;

/// The language features of a job.
///
/// The default is WebAssembly 3.0 without garbage collection, which the node does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Features {
    pub(crate) wasm: WasmFeatures,
    unknown_imports: Option<bool>,
}

/// What the job calls the one thing among its features that is none of the language's: what becomes of imported functions
/// that nothing provides. It is last in the order of names, and not there at all where such a program is refused.
pub const UNKNOWN_IMPORTS: &str = "unknown-imports";

impl Default for Features {
    fn default() -> Self {
        Self { wasm: KNOWN.iter().fold(WasmFeatures::WASM1, |all, (_, flag)| all | *flag), unknown_imports: None }
    }
}

impl Features {
    /// WebAssembly 1.0 and nothing else.
    pub fn wasm1() -> Self {
        Self { wasm: WasmFeatures::WASM1, unknown_imports: None }
    }

    /// WebAssembly 2.0 and nothing else.
    pub fn wasm2() -> Self {
        Self { wasm: WasmFeatures::WASM2, unknown_imports: None }
    }

    /// Every feature that the node knows, by name, and whether it is on, in the order of names.
    pub fn list(self) -> Vec<(String, bool)> {
        let known = KNOWN.iter().map(|(name, flag)| (*name, self.wasm.contains(*flag)));
        let all = known.chain(self.unknown_imports.map(|zeros| (UNKNOWN_IMPORTS, zeros)));
        all.map(|(name, on)| (name.to_owned(), on)).collect()
    }

    /// Whether imported functions that nothing provides return zeros, or trap; none where they are an error.
    pub fn unknown_imports(self) -> Option<bool> {
        self.unknown_imports
    }

    /// Turns a feature on or off.
    ///
    /// # Errors
    /// A usage error with the names of all features, if it is none of them.
    pub fn set(&mut self, name: &str, on: bool) -> Result<(), JobError> {
        if name == UNKNOWN_IMPORTS {
            self.unknown_imports = Some(on);
            return Ok(());
        }
        let known = KNOWN.iter().find(|(known, _)| *known == name);
        let (_, flag) = known.ok_or_else(|| {
            let names: Vec<&str> = KNOWN.iter().map(|(name, _)| *name).collect();
            JobError::usage(format!("no feature is called '{name}': they are {}", names.join(", ")))
        })?;
        self.wasm.set(*flag, on);
        Ok(())
    }
}

/// What can be turned on and off, in the order of names.
const KNOWN: [(&str, WasmFeatures); 14] = [
    ("bulk-memory", WasmFeatures::BULK_MEMORY),
    ("exceptions", WasmFeatures::EXCEPTIONS),
    ("extended-const", WasmFeatures::EXTENDED_CONST),
    ("function-references", WasmFeatures::FUNCTION_REFERENCES),
    ("memory64", WasmFeatures::MEMORY64),
    ("multi-memory", WasmFeatures::MULTI_MEMORY),
    ("multi-value", WasmFeatures::MULTI_VALUE),
    ("mutable-global", WasmFeatures::MUTABLE_GLOBAL),
    ("reference-types", WasmFeatures::REFERENCE_TYPES),
    ("relaxed-simd", WasmFeatures::RELAXED_SIMD),
    ("saturating-float-to-int", WasmFeatures::SATURATING_FLOAT_TO_INT),
    ("sign-extension", WasmFeatures::SIGN_EXTENSION),
    ("simd", WasmFeatures::SIMD),
    ("tail-call", WasmFeatures::TAIL_CALL),
];

/// Who parses modules for a run: a cache knows some of them already.
pub trait Modules: Send + Sync {
    /// The module that `bytes` are under `features`.
    ///
    /// # Errors
    /// As [`Module::parse`].
    fn module(&self, bytes: Vec<u8>, features: Features) -> Result<std::sync::Arc<Module>, JobError>;
}

/// A decoded and validated module.
#[derive(Debug)]
pub struct Module {
    bytes: Vec<u8>,
    features: Features,
    types: Vec<FuncType>,
    type_groups: Vec<u32>,
    imports: Vec<Import>,
    exports: Vec<Export>,
    export_index: BTreeMap<String, usize>,
    func_types: Vec<u32>,
    imported_funcs: u32,
    tables: Vec<(TableType, Option<ConstExpr>)>,
    imported_tables: u32,
    memories: Vec<SizeLimits>,
    imported_memories: u32,
    globals: Vec<(GlobalType, Option<ConstExpr>)>,
    imported_globals: u32,
    tags: Vec<u32>,
    imported_tags: u32,
    /// Globals with a vector constant, which the validator does not see: see [`globals`].
    hidden_vectors: BTreeSet<u32>,
    start: Option<u32>,
    elements: Vec<ElementSegment>,
    data: Vec<DataSegment>,
    bodies: Vec<Range<usize>>,
    name_section: Option<Range<usize>>,
}

impl Module {
    /// The module's own bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// BLAKE3 of the bytes.
    pub fn hash(&self) -> [u8; 32] {
        *blake3::hash(&self.bytes).as_bytes()
    }

    /// The features it was validated under.
    pub fn features(&self) -> Features {
        self.features
    }

    /// Function types of the type section.
    pub fn types(&self) -> &[FuncType] {
        &self.types
    }

    /// How many of the types belong to each recursion group, in order.
    pub fn type_groups(&self) -> &[u32] {
        &self.type_groups
    }

    /// Imports, in order.
    pub fn imports(&self) -> &[Import] {
        &self.imports
    }

    /// Exports, in order.
    pub fn exports(&self) -> &[Export] {
        &self.exports
    }

    /// The export of this name.
    pub fn export(&self, name: &str) -> Option<&Export> {
        self.export_index.get(name).and_then(|&i| self.exports.get(i))
    }

    /// Number of functions, imported ones first.
    pub fn func_count(&self) -> u32 {
        self.func_types.len() as u32
    }

    /// Number of imported functions.
    pub fn imported_funcs(&self) -> u32 {
        self.imported_funcs
    }

    /// Type index of a function.
    pub fn func_type_index(&self, func: u32) -> u32 {
        self.func_types[func as usize]
    }

    /// Type of a function.
    pub fn func_type(&self, func: u32) -> &FuncType {
        &self.types[self.func_types[func as usize] as usize]
    }

    /// Tables, imported ones first; defined ones may carry an initial value.
    pub fn tables(&self) -> &[(TableType, Option<ConstExpr>)] {
        &self.tables
    }

    /// Number of imported tables.
    pub fn imported_tables(&self) -> u32 {
        self.imported_tables
    }

    /// Memories, imported ones first.
    pub fn memories(&self) -> &[SizeLimits] {
        &self.memories
    }

    /// Number of imported memories.
    pub fn imported_memories(&self) -> u32 {
        self.imported_memories
    }

    /// Globals, imported ones first; defined ones carry their initial value.
    pub fn globals(&self) -> &[(GlobalType, Option<ConstExpr>)] {
        &self.globals
    }

    /// Number of imported globals.
    pub fn imported_globals(&self) -> u32 {
        self.imported_globals
    }

    /// Type indices of the tags, imported ones first.
    pub fn tags(&self) -> &[u32] {
        &self.tags
    }

    /// Number of imported tags.
    pub fn imported_tags(&self) -> u32 {
        self.imported_tags
    }

    /// The start function.
    pub fn start(&self) -> Option<u32> {
        self.start
    }

    /// Element segments.
    pub fn elements(&self) -> &[ElementSegment] {
        &self.elements
    }

    /// Data segments.
    pub fn data(&self) -> &[DataSegment] {
        &self.data
    }

    /// The bytes of a data segment.
    pub fn data_bytes(&self, segment: u32) -> &[u8] {
        &self.bytes[self.data[segment as usize].bytes.clone()]
    }

    /// Where the body of a defined function lies in the bytes; `None` for an imported one.
    pub fn body(&self, func: u32) -> Option<Range<usize>> {
        self.bodies.get(func.checked_sub(self.imported_funcs)? as usize).cloned()
    }

    /// Bytes of all function bodies.
    pub fn code_size(&self) -> usize {
        self.bodies.iter().map(|body| body.len()).sum()
    }

    /// Type of the import or export of this kind and index.
    pub fn extern_type(&self, kind: ExternKind, index: u32) -> ExternType {
        let i = index as usize;
        match kind {
            ExternKind::Func => ExternType::Func(self.func_type(index).clone()),
            ExternKind::Table => ExternType::Table(self.tables[i].0),
            ExternKind::Memory => ExternType::Memory(self.memories[i]),
            ExternKind::Global => ExternType::Global(self.globals[i].0),
            ExternKind::Tag => ExternType::Tag(self.types[self.tags[i] as usize].clone()),
        }
    }

    /// Name of a function from the name section; `None` where there is none.
    pub fn func_name(&self, func: u32) -> Option<String> {
        self.func_names([func]).remove(&func)
    }

    /// Names of these functions from the name section, which is read once for all of them.
    pub fn func_names(&self, funcs: impl IntoIterator<Item = u32>) -> BTreeMap<u32, String> {
        let Some(range) = self.name_section.clone() else { return BTreeMap::new() };
        parse::func_names(&self.bytes[range.clone()], range.start, funcs.into_iter().collect())
    }

    /// Exported functions with their signatures, one a line, for error messages.
    pub fn export_signatures(&self) -> String {
        let lines = self.exports.iter().filter(|e| e.kind == ExternKind::Func);
        lines.map(|e| format!("  {} {}", Shown(&e.name), self.func_type(e.index))).collect::<Vec<_>>().join("\n")
    }
}
