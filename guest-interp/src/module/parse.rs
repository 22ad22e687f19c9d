//! Reads the sections of a module while wasmparser validates them.

use std::collections::{BTreeMap, BTreeSet};

use wasmparser::{
    AbstractHeapType, ConstExpr as WasmExpr, ElementItems, ElementKind, ExternalKind, HeapType, Name,
    NameSectionReader, Parser, Payload, RefType, TypeRef, ValidPayload, Validator,
};

use super::{
    ConstExpr, ConstOp, DataSegment, ElementMode, ElementSegment, Export, ExternKind, ExternType, Features, FuncType,
    GlobalType, Import, Module, SizeLimits, TableType, ValType,
};
use crate::code::Op;
use crate::code::binary::{Encoded, Reader};
use crate::error::Error;

impl Module {
    /// Decodes and validates `bytes`.
    ///
    /// # Errors
    /// A program error with the byte offset of the first fault; a feature that is off is named.
    pub fn parse(bytes: Vec<u8>, features: Features) -> Result<Module, Error> {
        let mut module = Module {
            bytes: Vec::new(),
            features,
            types: Vec::new(),
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
            start: None,
            elements: Vec::new(),
            data: Vec::new(),
            bodies: Vec::new(),
            name_section: None,
        };
        if bytes.starts_with(b"\0asm\x0d\0\x01\0") {
            return Err(Error::program(
                "this is a component, not a core module: extract its core module first (at offset 0x4)",
            ));
        }
        module.read(&bytes).map_err(|e| Error::program(format!("invalid module: {e}")))?;
        for (i, export) in module.exports.iter().enumerate() {
            module.export_index.insert(export.name.clone(), i);
        }
        module.bytes = bytes;
        Ok(module)
    }

    fn read(&mut self, bytes: &[u8]) -> wasmparser::Result<()> {
        let mut validator = Validator::new_with_features(self.features.0);
        let mut allocations = wasmparser::FuncValidatorAllocations::default();
        let mut parser = Parser::new(0);
        parser.set_features(self.features.0);
        for payload in parser.parse_all(bytes) {
            let payload = payload?;
            if let ValidPayload::Func(func, body) = validator.payload(&payload)? {
                let mut func = func.into_validator(allocations);
                func.validate(&body)?;
                allocations = func.into_allocations();
            }
            self.section(payload, bytes)?;
        }
        Ok(())
    }

    fn section(&mut self, payload: Payload<'_>, bytes: &[u8]) -> wasmparser::Result<()> {
        match payload {
            Payload::TypeSection(reader) => {
                for ty in reader.into_iter_err_on_gc_types() {
                    let ty = ty?;
                    self.types.push(FuncType { params: val_types(ty.params()), results: val_types(ty.results()) });
                }
            }
            Payload::ImportSection(reader) => {
                for import in reader.into_imports() {
                    self.import(import?)?;
                }
            }
            Payload::FunctionSection(reader) => {
                self.func_types.reserve_exact(reader.count() as usize);
                for ty in reader {
                    self.func_types.push(ty?);
                }
            }
            Payload::TableSection(reader) => {
                for table in reader {
                    let table = table?;
                    let init = match table.init {
                        wasmparser::TableInit::RefNull => None,
                        wasmparser::TableInit::Expr(expr) => Some(const_expr(&expr, bytes)),
                    };
                    self.tables.push((table_type(&table.ty), init));
                }
            }
            Payload::MemorySection(reader) => {
                for memory in reader {
                    self.memories.push(memory_limits(&memory?));
                }
            }
            Payload::GlobalSection(reader) => {
                self.globals.reserve_exact(reader.count() as usize);
                for global in reader {
                    let global = global?;
                    self.globals.push((global_type(&global.ty), Some(const_expr(&global.init_expr, bytes))));
                }
            }
            Payload::ExportSection(reader) => {
                self.exports.reserve_exact(reader.count() as usize);
                for export in reader {
                    let export = export?;
                    let kind = extern_kind(export.kind);
                    self.exports.push(Export { name: export.name.to_owned(), kind, index: export.index });
                }
            }
            Payload::StartSection { func, .. } => self.start = Some(func),
            Payload::ElementSection(reader) => {
                self.elements.reserve_exact(reader.count() as usize);
                for element in reader {
                    self.elements.push(element_segment(element?, bytes)?);
                }
            }
            Payload::DataSection(reader) => {
                self.data.reserve_exact(reader.count() as usize);
                for data in reader {
                    let data = data?;
                    let active = match data.kind {
                        wasmparser::DataKind::Passive => None,
                        wasmparser::DataKind::Active { memory_index, offset_expr } => {
                            Some((memory_index, const_expr(&offset_expr, bytes)))
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

    fn import(&mut self, import: wasmparser::Import<'_>) -> wasmparser::Result<()> {
        let ty = match import.ty {
            TypeRef::Func(index) => {
                self.func_types.push(index);
                self.imported_funcs += 1;
                ExternType::Func(self.types[index as usize].clone())
            }
            TypeRef::Table(ty) => {
                self.tables.push((table_type(&ty), None));
                self.imported_tables += 1;
                ExternType::Table(table_type(&ty))
            }
            TypeRef::Memory(ty) => {
                self.memories.push(memory_limits(&ty));
                self.imported_memories += 1;
                ExternType::Memory(memory_limits(&ty))
            }
            TypeRef::Global(ty) => {
                self.globals.push((global_type(&ty), None));
                self.imported_globals += 1;
                ExternType::Global(global_type(&ty))
            }
            TypeRef::Tag(_) | TypeRef::FuncExact(_) => unreachable!("BUG: validation refuses tags and exact functions"),
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

fn val_types(types: &[wasmparser::ValType]) -> Vec<ValType> {
    types.iter().map(|t| val_type(*t)).collect()
}

pub(crate) fn val_type(ty: wasmparser::ValType) -> ValType {
    match ty {
        wasmparser::ValType::I32 => ValType::I32,
        wasmparser::ValType::I64 => ValType::I64,
        wasmparser::ValType::F32 => ValType::F32,
        wasmparser::ValType::F64 => ValType::F64,
        wasmparser::ValType::Ref(r) => ref_type(r),
        wasmparser::ValType::V128 => unreachable!("BUG: validation refuses v128"),
    }
}

/// Inside a body an operand can have a narrower type than a declaration can name: `ref.func` gives one of a single type.
fn ref_type(ty: RefType) -> ValType {
    match ty.heap_type() {
        HeapType::Abstract { ty: AbstractHeapType::Extern | AbstractHeapType::NoExtern, .. } => ValType::ExternRef,
        _ => ValType::FuncRef,
    }
}

fn table_type(ty: &wasmparser::TableType) -> TableType {
    TableType { element: ref_type(ty.element_type), limits: SizeLimits { min: ty.initial, max: ty.maximum } }
}

fn memory_limits(ty: &wasmparser::MemoryType) -> SizeLimits {
    SizeLimits { min: ty.initial, max: ty.maximum }
}

fn global_type(ty: &wasmparser::GlobalType) -> GlobalType {
    GlobalType { value: val_type(ty.content_type), mutable: ty.mutable }
}

fn extern_kind(kind: ExternalKind) -> ExternKind {
    match kind {
        ExternalKind::Func => ExternKind::Func,
        ExternalKind::Table => ExternKind::Table,
        ExternalKind::Memory => ExternKind::Memory,
        ExternalKind::Global => ExternKind::Global,
        ExternalKind::Tag | ExternalKind::FuncExact => unreachable!("BUG: validation refuses tags and exact functions"),
    }
}

fn element_segment(element: wasmparser::Element<'_>, bytes: &[u8]) -> wasmparser::Result<ElementSegment> {
    let mode = match element.kind {
        ElementKind::Passive => ElementMode::Passive,
        ElementKind::Declared => ElementMode::Declared,
        ElementKind::Active { table_index, offset_expr } => {
            ElementMode::Active { table: table_index.unwrap_or(0), offset: const_expr(&offset_expr, bytes) }
        }
    };
    let mut items = Vec::new();
    let ty = match element.items {
        ElementItems::Functions(reader) => {
            for func in reader {
                items.push(Box::from([ConstOp::Func(func?)]));
            }
            ValType::FuncRef
        }
        ElementItems::Expressions(ty, reader) => {
            for expr in reader {
                items.push(const_expr(&expr?, bytes));
            }
            ref_type(ty)
        }
    };
    Ok(ElementSegment { mode, ty, items })
}

fn const_expr(expr: &WasmExpr<'_>, bytes: &[u8]) -> ConstExpr {
    let range = expr.get_binary_reader().range();
    let mut reader = Reader::new(&bytes[range]);
    let mut ops = Vec::new();
    while !reader.is_at_end() {
        let Encoded { op, imm, .. } = reader.instruction();
        ops.push(match op {
            Op::I32Const | Op::I64Const | Op::F32Const | Op::F64Const => ConstOp::Value(imm),
            Op::RefNull => ConstOp::Null,
            Op::RefFunc => ConstOp::Func(imm as u32),
            Op::GlobalGet => ConstOp::Global(imm as u32),
            Op::End => continue,
            binary => ConstOp::Binary(binary),
        });
    }
    ops.into()
}

/// Looks `func` up in the name section's bytes, which begin at `offset` of the module.
pub(super) fn func_name(section: &[u8], offset: usize, func: u32) -> Option<String> {
    let reader = NameSectionReader::new(wasmparser::BinaryReader::new(section, offset));
    for subsection in reader {
        let Ok(Name::Function(names)) = subsection else { continue };
        for naming in names {
            let naming = naming.ok()?;
            if naming.index == func {
                return Some(naming.name.to_owned());
            }
        }
    }
    None
}

/// Types of a function's locals and of its operands before an instruction; `None` for an operand whose type validation
/// leaves open.
pub(crate) type TypesAt = (Vec<Option<ValType>>, Vec<Option<ValType>>);

/// The types at offsets (byte offsets in the module) of functions, each function validated once for all of its offsets;
/// what is missing in the answer is no instruction. The answer holds as many types as there are locals and operands at
/// these places: the caller bounds them.
pub(crate) fn types_at(module: &Module, wanted: &BTreeMap<u32, BTreeSet<u32>>) -> BTreeMap<(u32, u32), TypesAt> {
    let mut found = BTreeMap::new();
    let mut validator = Validator::new_with_features(module.features.0);
    let mut parser = Parser::new(0);
    parser.set_features(module.features.0);
    let mut func = module.imported_funcs;
    for payload in parser.parse_all(&module.bytes) {
        let Ok(ValidPayload::Func(to_validate, body)) = payload.and_then(|payload| validator.payload(&payload)) else {
            continue;
        };
        if let Some(offsets) = wanted.get(&func) {
            let mut types_of = |offset, types| drop(found.insert((func, offset), types));
            // A valid module was wanted: an error leaves the rest out.
            let _ = types_in(to_validate, &body, module.features, offsets, &mut types_of);
        }
        func += 1;
    }
    found
}

fn types_in(
    func: wasmparser::FuncToValidate<wasmparser::ValidatorResources>,
    body: &wasmparser::FunctionBody<'_>,
    features: Features,
    offsets: &BTreeSet<u32>,
    found: &mut dyn FnMut(u32, TypesAt),
) -> wasmparser::Result<()> {
    let mut validator = func.into_validator(Default::default());
    let mut reader = body.get_binary_reader();
    validator.read_locals(&mut reader)?;
    reader.set_features(features.0);
    let mut left = offsets.len();
    while left > 0 && !reader.eof() {
        let at = reader.original_position();
        if let Some(offset) = u32::try_from(at).ok().filter(|at| offsets.contains(at)) {
            let locals = (0..validator.len_locals()).map(|i| validator.get_local_type(i).map(val_type));
            let height = validator.operand_stack_height() as usize;
            let operand = |depth| validator.get_operand_type(depth).flatten().map(val_type);
            found(offset, (locals.collect(), (0..height).rev().map(operand).collect()));
            left -= 1;
        }
        reader.visit_operator(&mut validator.visitor(at))??;
    }
    Ok(())
}
