//! Reads the sections of a module while wasmparser validates them.

use std::collections::{BTreeMap, BTreeSet};

use wasmparser::{
    AbstractHeapType, BinaryReaderError, CompositeInnerType, ConstExpr as WasmExpr, ElementItems, ElementKind,
    ExternalKind, Name, NameSectionReader, Parser, Payload, TypeRef, Validator, WasmFeatures, types::CoreTypeId,
};

use super::globals;
use super::validate::{BodyRules, ValidationWork, WIDE, validate_section};
use super::{
    ConstExpr, ConstOp, DataSegment, ElementMode, ElementSegment, Export, ExternKind, ExternType, Features, FuncType,
    GlobalType, HeapType, Import, Items, Module, RefType, SizeLimits, TableType, ValType,
};
use crate::module::binary::{Encoded, Reader};
use crate::op::Op;
use stepmark_state::error::JobError;

/// Bytes that a module may have beside its data and custom sections. Code and declarations take up to 64 times their bytes in
/// memory: more of them would not fit the memory that a 32-bit host of the machine has, while a 64-bit one could run them.
const MOST_STRUCTURE: usize = 48 << 20;

/// Bytes of a section that are neither data nor custom.
fn structure_bytes(payload: &Payload<'_>) -> usize {
    const CUSTOM: u8 = 0;
    const DATA: u8 = 11;
    payload.as_section().filter(|(id, _)| !matches!(*id, CUSTOM | DATA)).map_or(0, |(_, range)| range.len())
}

impl Module {
    /// Decodes and validates `bytes`.
    ///
    /// # Errors
    /// A program error with the byte offset of the first fault; a feature that is off is named.
    pub fn parse(bytes: Vec<u8>, features: Features) -> Result<Module, JobError> {
        let mut module = Module {
            bytes: Vec::new(),
            features,
            types: Vec::new(),
            type_groups: Vec::new(),
            imports: Vec::new(),
            exports: Vec::new(),
            export_index: Default::default(),
            func_types: Vec::new(),
            imported_funcs: 0,
            tables: Vec::new(),
            imported_tables: 0,
            memories: Vec::new(),
            imported_memories: 0,
            globals: Vec::new(),
            imported_globals: 0,
            tags: Vec::new(),
            hidden_vectors: BTreeSet::new(),
            imported_tags: 0,
            start: None,
            elements: Vec::new(),
            data: Vec::new(),
            bodies: Vec::new(),
            name_section: None,
        };
        if bytes.starts_with(b"\0asm\x0d\0\x01\0") {
            return Err(JobError::program(
                "this is a component, not a core module: extract its core module first (at offset 0x4)",
            ));
        }
        module.read(&bytes)?;
        for (i, export) in module.exports.iter().enumerate() {
            module.export_index.insert(export.name.clone(), i);
        }
        module.bytes = bytes;
        Ok(module)
    }

    fn read(&mut self, bytes: &[u8]) -> Result<(), JobError> {
        let (parser, mut validator) = of_sections(self.features);
        let mut allocations = wasmparser::FuncValidatorAllocations::default();
        let mut bodies = None;
        let mut work = ValidationWork::new(bytes.len());
        let mut structure = 0;
        for payload in parser.parse_all(bytes) {
            let payload = payload.map_err(malformed)?;
            structure += structure_bytes(&payload);
            if structure > MOST_STRUCTURE {
                return Err(JobError::program(format!(
                    "the module has more than {MOST_STRUCTURE} bytes beside its data and custom sections"
                )));
            }
            let (func, hidden) =
                validate_section(&mut validator, &payload, bytes, self.imported_globals, self.features)?;
            self.hidden_vectors.extend(hidden);
            if let Some((func, body)) = func {
                let bodies = bodies.get_or_insert_with(|| {
                    work.is_needed = self.has_wide_types();
                    BodyRules::new(self.features, self.hidden_vectors.clone())
                });
                allocations = bodies.validate(func, &body, allocations, &mut work)?;
            }
            self.section(payload, bytes)?;
            self.count_declarations(&mut work)?;
        }
        Ok(())
    }

    /// Whether it has a type that one instruction moves many values by.
    fn has_wide_types(&self) -> bool {
        self.types.iter().any(|ty| ty.params.len() + ty.results.len() > WIDE)
    }

    /// Counts the types of functions that were declared since the last call: each is looked through for its function.
    fn count_declarations(&self, work: &mut ValidationWork) -> Result<(), JobError> {
        for (index, ty) in self.func_types.iter().enumerate().skip(work.declared) {
            // An import keeps its type.
            let weight = if index < self.imported_funcs as usize { 8 } else { 1 };
            let ty = &self.types[*ty as usize];
            work.add(weight * (ty.params.len() + ty.results.len()), 0)?;
        }
        work.declared = self.func_types.len();
        Ok(())
    }

    fn section(&mut self, payload: Payload<'_>, bytes: &[u8]) -> Result<(), JobError> {
        match payload {
            Payload::TypeSection(reader) => {
                for group in reader {
                    self.type_group(group.map_err(malformed)?)?;
                }
            }
            Payload::ImportSection(reader) => {
                for import in reader.into_imports() {
                    self.import(import.map_err(malformed)?)?;
                }
            }
            Payload::FunctionSection(reader) => {
                self.func_types.reserve_exact(reader.count() as usize);
                for ty in reader {
                    self.func_types.push(ty.map_err(malformed)?);
                }
            }
            Payload::TableSection(reader) => {
                for table in reader {
                    let table = table.map_err(malformed)?;
                    let init = match table.init {
                        wasmparser::TableInit::RefNull => None,
                        wasmparser::TableInit::Expr(expr) => Some(self.scalar(&expr, bytes)?),
                    };
                    self.tables.push((table_type(&table.ty)?, init));
                }
            }
            Payload::MemorySection(reader) => {
                for memory in reader {
                    self.memories.push(memory_limits(&memory.map_err(malformed)?));
                }
            }
            Payload::GlobalSection(reader) => {
                self.globals.reserve_exact(reader.count() as usize);
                for global in globals::GlobalEntries::new(&reader, bytes)? {
                    let (ty, init) = global?;
                    let ty = global_type(&ty)?;
                    let init = self.constant(&bytes[init], ty.value)?;
                    self.globals.push((ty, Some(init)));
                }
            }
            Payload::TagSection(reader) => {
                for tag in reader {
                    self.tags.push(tag.map_err(malformed)?.func_type_idx);
                }
            }
            Payload::ExportSection(reader) => {
                self.exports.reserve_exact(reader.count() as usize);
                for export in reader {
                    let export = export.map_err(malformed)?;
                    let kind = extern_kind(export.kind);
                    self.exports.push(Export { name: export.name.to_owned(), kind, index: export.index });
                }
            }
            Payload::StartSection { func, .. } => self.start = Some(func),
            Payload::ElementSection(reader) => {
                self.elements.reserve_exact(reader.count() as usize);
                for element in reader {
                    let element = self.element_segment(element.map_err(malformed)?, bytes)?;
                    self.elements.push(element);
                }
            }
            Payload::DataSection(reader) => {
                self.data.reserve_exact(reader.count() as usize);
                for data in reader {
                    let data = data.map_err(malformed)?;
                    let active = match data.kind {
                        wasmparser::DataKind::Passive => None,
                        wasmparser::DataKind::Active { memory_index, offset_expr } => {
                            Some((memory_index, self.scalar(&offset_expr, bytes)?))
                        }
                    };
                    self.data.push(DataSegment { active, bytes: subrange(bytes, data.data) });
                }
            }
            Payload::CodeSectionEntry(body) => self.bodies.push(body.range()),
            Payload::CustomSection(custom) if custom.name() == "name" => {
                let start = custom.data_offset();
                self.name_section = Some(start..start + custom.data().len());
            }
            _ => {}
        }
        Ok(())
    }

    fn element_segment(&self, element: wasmparser::Element<'_>, bytes: &[u8]) -> Result<ElementSegment, JobError> {
        let mode = match element.kind {
            ElementKind::Passive => ElementMode::Passive,
            ElementKind::Declared => ElementMode::Declared,
            ElementKind::Active { table_index, offset_expr } => {
                ElementMode::Active { table: table_index.unwrap_or(0), offset: self.scalar(&offset_expr, bytes)? }
            }
        };
        let (items, ty) = match element.items {
            ElementItems::Functions(reader) => {
                let funcs: Result<Box<[u32]>, _> = reader.into_iter().collect();
                (Items::Funcs(funcs.map_err(malformed)?), RefType::FUNCREF)
            }
            ElementItems::Expressions(ty, reader) => {
                let exprs: Result<Box<[ConstExpr]>, JobError> =
                    reader.into_iter().map(|expr| self.scalar(&expr.map_err(malformed)?, bytes)).collect();
                (Items::Exprs(exprs?), ref_type(ty)?)
            }
        };
        Ok(ElementSegment { mode, ty, items })
    }

    /// A constant expression that gives no vector.
    fn scalar(&self, expr: &WasmExpr<'_>, bytes: &[u8]) -> Result<ConstExpr, JobError> {
        self.constant(&bytes[expr.get_binary_reader().range()], ValType::I32)
    }

    /// A constant expression of a type; what matters is only whether it is a vector's.
    fn constant(&self, expr: &[u8], ty: ValType) -> Result<ConstExpr, JobError> {
        let mut reader = Reader::new(expr);
        let mut ops = Vec::new();
        while !reader.is_at_end() {
            if !reader.is_at_known() {
                return Err(needs_gc("an instruction of a constant expression"));
            }
            let instruction = reader.instruction();
            let Encoded { op, imm, .. } = instruction;
            ops.push(match op {
                Op::I32Const | Op::I64Const | Op::F32Const | Op::F64Const => ConstOp::Value(imm.into()),
                Op::V128Const => ConstOp::Value(reader.vector(instruction)),
                Op::RefNull => ConstOp::Null,
                Op::RefFunc => ConstOp::Func(imm as u32),
                Op::GlobalGet => ConstOp::Global(imm as u32),
                Op::End => continue,
                binary => ConstOp::Binary(binary),
            });
        }
        // The validator does not know the types of hidden vectors.
        let hidden = |op: &ConstOp| matches!(op, ConstOp::Global(index) if self.hidden_vectors.contains(index));
        if ops.iter().any(hidden) && (ty != ValType::V128 || ops.len() > 1) {
            return Err(JobError::program(
                "invalid module: type mismatch: a constant expression takes a v128 for another type",
            ));
        }
        Ok(ops.into())
    }

    /// A recursion group: only function types, none of which is a subtype of another, need no garbage collection.
    fn type_group(&mut self, group: wasmparser::RecGroup) -> Result<(), JobError> {
        let mut size = 0;
        for ty in group.into_types() {
            let CompositeInnerType::Func(func) = &ty.composite_type.inner else {
                return Err(needs_gc("a type that is no plain function type"));
            };
            if !ty.is_final || ty.supertype_idx.is_some() {
                return Err(needs_gc("a type that is no plain function type"));
            }
            self.types.push(FuncType { params: val_types(func.params())?, results: val_types(func.results())? });
            size += 1;
        }
        self.type_groups.push(size);
        Ok(())
    }

    fn import(&mut self, import: wasmparser::Import<'_>) -> Result<(), JobError> {
        let ty = match import.ty {
            TypeRef::Func(index) => {
                self.func_types.push(index);
                self.imported_funcs += 1;
                ExternType::Func(self.types[index as usize].clone())
            }
            TypeRef::Table(ty) => {
                self.tables.push((table_type(&ty)?, None));
                self.imported_tables += 1;
                ExternType::Table(table_type(&ty)?)
            }
            TypeRef::Memory(ty) => {
                self.memories.push(memory_limits(&ty));
                self.imported_memories += 1;
                ExternType::Memory(memory_limits(&ty))
            }
            TypeRef::Global(ty) => {
                self.globals.push((global_type(&ty)?, None));
                self.imported_globals += 1;
                ExternType::Global(global_type(&ty)?)
            }
            TypeRef::Tag(ty) => {
                self.tags.push(ty.func_type_idx);
                self.imported_tags += 1;
                ExternType::Tag(self.types[ty.func_type_idx as usize].clone())
            }
            // Validation lets these pass whatever the features are.
            TypeRef::FuncExact(_) => {
                let what = "an import of a function of an exact type needs custom descriptors";
                return Err(JobError::program(format!(
                    "invalid module: {what}, a feature that Stepmark does not have"
                )));
            }
        };
        self.imports.push(Import { module: import.module.to_owned(), name: import.name.to_owned(), ty });
        Ok(())
    }
}

/// Where `part` lies in `whole`, of which it is a slice.
fn subrange(whole: &[u8], part: &[u8]) -> std::ops::Range<usize> {
    let start = part.as_ptr() as usize - whole.as_ptr() as usize;
    start..start + part.len()
}

/// What reads and validates the sections of a module. With typed references, WebAssembly 3.0 lets types be recursive and
/// constants depend on globals before them; wasmparser counts these among garbage collection, the rest of which is
/// refused section by section, and in bodies by their own features.
pub(super) fn of_sections(features: Features) -> (Parser, Validator) {
    let mut features = features.wasm;
    features.set(WasmFeatures::GC, features.contains(WasmFeatures::FUNCTION_REFERENCES));
    let mut parser = Parser::new(0);
    parser.set_features(features);
    (parser, Validator::new_with_features(features))
}

/// What wasmparser finds.
#[cold]
pub(super) fn malformed(error: BinaryReaderError) -> JobError {
    JobError::program(format!("invalid module: {error}"))
}

/// A fault that wasmparser does not find, in its words.
#[cold]
pub(super) fn invalid(message: &str, offset: usize) -> JobError {
    JobError::program(format!("invalid module: {message} (at offset {offset:#x})"))
}

/// Something that is in the language, but not in the node.
#[cold]
pub(super) fn needs_gc(what: &str) -> JobError {
    JobError::program(format!(
        "invalid module: {what} needs garbage collection (gc), a feature that Stepmark does not have"
    ))
}

fn val_types(types: &[wasmparser::ValType]) -> Result<Vec<ValType>, JobError> {
    types.iter().map(|t| val_type(*t)).collect()
}

fn val_type(ty: wasmparser::ValType) -> Result<ValType, JobError> {
    val_type_in(ty, &|_| unreachable!("BUG: sections name types by index"))
        .ok_or_else(|| needs_gc("the reference type of a declaration"))
}

/// `index_of` gives the index in the module of a type that the validator knows by an identifier of its own.
/// None for a type of garbage collection.
pub(super) fn val_type_in(ty: wasmparser::ValType, index_of: &dyn Fn(CoreTypeId) -> u32) -> Option<ValType> {
    Some(match ty {
        wasmparser::ValType::I32 => ValType::I32,
        wasmparser::ValType::I64 => ValType::I64,
        wasmparser::ValType::F32 => ValType::F32,
        wasmparser::ValType::F64 => ValType::F64,
        wasmparser::ValType::V128 => ValType::V128,
        wasmparser::ValType::Ref(ty) => ValType::Ref(ref_type_in(ty, index_of)?),
    })
}

fn ref_type(ty: wasmparser::RefType) -> Result<RefType, JobError> {
    match val_type(ty.into())? {
        ValType::Ref(ty) => Ok(ty),
        _ => unreachable!("BUG: a reference type"),
    }
}

fn ref_type_in(ty: wasmparser::RefType, index_of: &dyn Fn(CoreTypeId) -> u32) -> Option<RefType> {
    use wasmparser::{HeapType as WasmHeap, UnpackedIndex};
    let heap = match ty.heap_type() {
        WasmHeap::Abstract { ty, .. } => match ty {
            AbstractHeapType::Func => HeapType::Func,
            AbstractHeapType::NoFunc => HeapType::NoFunc,
            AbstractHeapType::Extern => HeapType::Extern,
            AbstractHeapType::NoExtern => HeapType::NoExtern,
            AbstractHeapType::Exn => HeapType::Exn,
            AbstractHeapType::NoExn => HeapType::NoExn,
            _ => return None,
        },
        WasmHeap::Concrete(UnpackedIndex::Module(index)) => HeapType::Type(index),
        WasmHeap::Concrete(UnpackedIndex::Id(id)) => HeapType::Type(index_of(id)),
        _ => return None,
    };
    Some(RefType { nullable: ty.is_nullable(), heap })
}

fn table_type(ty: &wasmparser::TableType) -> Result<TableType, JobError> {
    let limits = SizeLimits { is64: ty.table64, min: ty.initial, max: ty.maximum };
    Ok(TableType { element: ref_type(ty.element_type)?, limits })
}

fn memory_limits(ty: &wasmparser::MemoryType) -> SizeLimits {
    SizeLimits { is64: ty.memory64, min: ty.initial, max: ty.maximum }
}

fn global_type(ty: &wasmparser::GlobalType) -> Result<GlobalType, JobError> {
    Ok(GlobalType { value: val_type(ty.content_type)?, mutable: ty.mutable })
}

fn extern_kind(kind: ExternalKind) -> ExternKind {
    match kind {
        ExternalKind::Func => ExternKind::Func,
        ExternalKind::Table => ExternKind::Table,
        ExternalKind::Memory => ExternKind::Memory,
        ExternalKind::Global => ExternKind::Global,
        ExternalKind::Tag => ExternKind::Tag,
        ExternalKind::FuncExact => unreachable!("BUG: the reader refuses exports of exact functions"),
    }
}

/// Looks these functions up in the name section's bytes, which begin at `offset` of the module. The first name of a function
/// is its name; a section that is damaged has those before the damage.
pub(super) fn func_names(section: &[u8], offset: usize, mut wanted: BTreeSet<u32>) -> BTreeMap<u32, String> {
    let reader = NameSectionReader::new(wasmparser::BinaryReader::new(section, offset));
    let functions = reader.into_iter().filter_map(|subsection| match subsection {
        Ok(Name::Function(names)) => Some(names),
        _ => None,
    });
    let mut found = BTreeMap::new();
    for naming in functions.flatten() {
        let Ok(naming) = naming else { break };
        if wanted.remove(&naming.index) {
            found.insert(naming.index, naming.name.to_owned());
        }
        if wanted.is_empty() {
            break;
        }
    }
    found
}
