//! Validation of function bodies: by wasmparser, but for the instructions on vectors, which it is built without. Each of
//! these is shown to it as an indirect call of a function of its type; what is not a matter of types is checked here.

use std::cell::{Cell, OnceCell};
use std::collections::{BTreeMap, BTreeSet};

use wasmparser::{
    BinaryReader, BinaryReaderError, BlockType, CompositeInnerType, FrameKind, FrameStack, FuncToValidate, FuncType,
    FuncValidator, FuncValidatorAllocations, FunctionBody, GlobalType, HeapType, MemoryType, Payload, RefType, SubType,
    TableType, ValType as WasmType, ValidPayload, Validator, ValidatorResources, VisitOperator, WasmFeatures,
    WasmModuleResources, types::CoreTypeId,
};

use super::parse::{invalid, malformed, of_sections, val_type_in};
use super::{Features, Module, ValType, globals};
use crate::module::binary::vector_op;
use crate::op::Op;
use stepmark_state::error::JobError;

/// Prefix of vector instructions.
const VECTOR: u8 = 0xfd;
/// Codes of the instructions on locals.
const LOCAL_GET: u8 = 0x20;
const LOCAL_TEE: u8 = 0x22;
/// From this number after the prefix on, instructions are of relaxed SIMD.
const RELAXED: u32 = 0x100;
/// Index of the table that the calls go through, and of the first of the types: beyond what any module has.
const SHOWN: u32 = u32::MAX - 64;
/// In the alignment of a memory access: the memory's index follows.
const HAS_MEMORY_INDEX: u32 = 1 << 6;

/// A type of more parameters and results than this is wide. Without one, what instructions move is in proportion to their
/// bytes, and is not counted.
pub(super) const WIDE: usize = 16;
/// Values that the declarations and instructions of any module may name by wide types, and how many more for each byte of
/// it. One byte can name a type of 2,000 values, each of which is looked at: no program needs that all over.
const LEAST_WORK: u64 = 1_000_000;
const WORK_PER_BYTE: u64 = 32;

/// Operands that a function may have at once, and how many more for each byte of its body. An instruction that pushes one
/// value takes two bytes; one that calls a function of 1,000 results, or leaves such a block, pushes as many by as few.
const LEAST_OPERANDS: u32 = 65_536;
const OPERANDS_PER_BYTE: u32 = 2;

/// Values that declarations and instructions name by their types.
pub(super) struct ValidationWork {
    /// Whether there are types for which it matters.
    pub(super) is_needed: bool,
    /// Functions whose types have been counted.
    pub(super) declared: usize,
    left: u64,
    most: u64,
}

impl ValidationWork {
    /// For a module of so many bytes.
    pub(super) fn new(bytes: usize) -> Self {
        let most = LEAST_WORK + WORK_PER_BYTE * bytes as u64;
        ValidationWork { is_needed: false, declared: 0, left: most, most }
    }

    /// Counts values that are named at `offset`.
    ///
    /// # Errors
    /// A program error when there are too many.
    pub(super) fn add(&mut self, values: usize, offset: usize) -> Result<(), JobError> {
        let most = self.most;
        let beyond = || {
            JobError::program(format!(
                "the module's instructions and functions name too many values by their types: more than {most}, which is \
                 {LEAST_WORK} and {WORK_PER_BYTE} for each of its bytes (at offset {offset:#x})"
            ))
        };
        self.left = self.left.checked_sub(values as u64).ok_or_else(beyond)?;
        Ok(())
    }
}

/// What bodies of a module are validated with.
pub(super) struct BodyRules {
    features: WasmFeatures,
    hidden: BTreeSet<u32>,
    vectors: Vectors,
}

/// What vector instructions are shown as.
#[derive(Default)]
struct Vectors {
    /// Made for the first of them.
    signatures: OnceCell<Signatures>,
    /// Whether the types are there: a module's own calls must not find them.
    shown: Cell<bool>,
}

/// The function types that vector instructions are shown as.
struct Signatures {
    types: Vec<SubType>,
    /// By instruction, and by whether addresses have 64 bits: which of the types.
    of: BTreeMap<(Op, bool), u32>,
}

impl Signatures {
    fn new() -> Self {
        let (mut types, mut of) = (Vec::new(), BTreeMap::new());
        let mut numbers = BTreeMap::new();
        let vectors = Op::ALL.iter().filter(|op| op.is_vector());
        for (op, is64) in vectors.flat_map(|op| [(*op, false), (*op, true)]) {
            let (params, result) = signature(op, is64);
            let number = *numbers.entry(format!("{params:?} {result:?}")).or_insert_with(|| {
                types.push(SubType::func(FuncType::new(params, result), false));
                types.len() as u32 - 1
            });
            of.insert((op, is64), number);
        }
        Self { types, of }
    }
}

/// Types of the operands and the result.
fn signature(op: Op, is64: bool) -> (Vec<WasmType>, Option<WasmType>) {
    let shape = op.shape().expect("BUG: a vector instruction has a shape");
    let scalar = if op.is_memory_access() {
        if is64 { WasmType::I64 } else { WasmType::I32 }
    } else if op.has_lane() || op.mnemonic().ends_with(".splat") {
        match op.mnemonic().as_bytes() {
            [b'i', b'6', ..] => WasmType::I64,
            [b'f', b'3', ..] => WasmType::F32,
            [b'f', ..] => WasmType::F64,
            _ => WasmType::I32,
        }
    } else {
        WasmType::I32
    };
    let ty = |slots: u8| if slots == 2 { WasmType::V128 } else { scalar };
    let params = shape.operands.into_iter().filter(|slots| *slots > 0).map(ty).collect();
    (params, (shape.result > 0).then(|| ty(shape.result)))
}

/// What a module declares, with the types of vector instructions and the vectors that its globals hide.
struct Resources<'a> {
    module: ValidatorResources,
    hidden: &'a BTreeSet<u32>,
    vectors: &'a Vectors,
}

impl WasmModuleResources for Resources<'_> {
    fn table_at(&self, at: u32) -> Option<TableType> {
        if at == SHOWN && self.vectors.shown.get() {
            let element_type = RefType::FUNCREF;
            return Some(TableType { element_type, table64: false, initial: 0, maximum: None, shared: false });
        }
        self.module.table_at(at)
    }

    fn memory_at(&self, at: u32) -> Option<MemoryType> {
        self.module.memory_at(at)
    }

    fn tag_at(&self, at: u32) -> Option<&FuncType> {
        self.module.tag_at(at)
    }

    fn global_at(&self, at: u32) -> Option<GlobalType> {
        let ty = self.module.global_at(at)?;
        Some(if self.hidden.contains(&at) { GlobalType { content_type: WasmType::V128, ..ty } } else { ty })
    }

    fn sub_type_at(&self, at: u32) -> Option<&SubType> {
        if at >= SHOWN && self.vectors.shown.get() {
            return self.vectors.signatures.get()?.types.get((at - SHOWN) as usize);
        }
        self.module.sub_type_at(at)
    }

    fn sub_type_at_id(&self, id: CoreTypeId) -> &SubType {
        self.module.sub_type_at_id(id)
    }

    fn type_id_of_function(&self, at: u32) -> Option<CoreTypeId> {
        self.module.type_id_of_function(at)
    }

    fn type_index_of_function(&self, at: u32) -> Option<u32> {
        self.module.type_index_of_function(at)
    }

    fn element_type_at(&self, at: u32) -> Option<RefType> {
        self.module.element_type_at(at)
    }

    fn is_subtype(&self, a: WasmType, b: WasmType) -> bool {
        self.module.is_subtype(a, b)
    }

    fn is_shared(&self, ty: RefType) -> bool {
        self.module.is_shared(ty)
    }

    fn check_heap_type(&self, heap_type: &mut HeapType, offset: usize) -> wasmparser::Result<()> {
        self.module.check_heap_type(heap_type, offset)
    }

    fn top_type(&self, heap_type: &HeapType) -> HeapType {
        self.module.top_type(heap_type)
    }

    fn element_count(&self) -> u32 {
        self.module.element_count()
    }

    fn data_count(&self) -> Option<u32> {
        self.module.data_count()
    }

    fn is_function_referenced(&self, at: u32) -> bool {
        self.module.is_function_referenced(at)
    }

    fn has_function_exact_type(&self, at: u32) -> bool {
        self.module.has_function_exact_type(at)
    }
}

/// A function to validate, and its body.
pub(super) type FunctionToValidate<'a> = (FuncToValidate<ValidatorResources>, FunctionBody<'a>);

/// Validates a section, or gives the function whose body it is, and the globals that the validator sees without their
/// vectors.
///
/// # Errors
/// A program error with the offset of the first fault.
pub(super) fn validate_section<'a>(
    validator: &mut Validator,
    payload: &Payload<'a>,
    bytes: &[u8],
    imported_globals: u32,
    features: Features,
) -> Result<(Option<FunctionToValidate<'a>>, BTreeSet<u32>), JobError> {
    check_count(payload, bytes)?;
    let simd = features.wasm.contains(WasmFeatures::SIMD);
    if let Some((section, hidden)) = globals::without_vectors(payload, bytes, imported_globals, simd)? {
        validator.global_section(&section.reader()?).map_err(malformed)?;
        return Ok((None, hidden));
    }
    Ok(match validator.payload(payload).map_err(malformed)? {
        ValidPayload::Func(func, body) => (Some((func, body)), BTreeSet::new()),
        _ => (None, BTreeSet::new()),
    })
}

/// Refuses a section that says it has more entries than the module has bytes: the validator makes room for as many as it
/// is told.
fn check_count(payload: &Payload<'_>, bytes: &[u8]) -> Result<(), JobError> {
    let (count, range) = match payload {
        Payload::TypeSection(section) => (section.count(), section.range()),
        Payload::ImportSection(section) => (section.count(), section.range()),
        Payload::FunctionSection(section) => (section.count(), section.range()),
        Payload::TableSection(section) => (section.count(), section.range()),
        Payload::MemorySection(section) => (section.count(), section.range()),
        Payload::TagSection(section) => (section.count(), section.range()),
        Payload::GlobalSection(section) => (section.count(), section.range()),
        Payload::ExportSection(section) => (section.count(), section.range()),
        Payload::ElementSection(section) => (section.count(), section.range()),
        Payload::DataSection(section) => (section.count(), section.range()),
        _ => return Ok(()),
    };
    let fits = usize::try_from(count).is_ok_and(|count| count <= bytes.len());
    if fits { Ok(()) } else { Err(invalid("unexpected end-of-file", range.end)) }
}

/// The validator of those instructions that the node has. What it validates of others is then not in the node.
struct Supported<V>(V);

/// Why an instruction is refused.
enum Fault {
    Invalid(BinaryReaderError),
    /// It belongs to a proposal that the node does not have.
    Unsupported(&'static str),
}

impl<V: FrameStack> FrameStack for Supported<V> {
    fn current_frame(&self) -> Option<FrameKind> {
        self.0.current_frame()
    }
}

macro_rules! visit_supported {
    ($( @$proposal:ident $op:ident $({ $($arg:ident: $argty:ty),* })? => $visit:ident ($($ann:tt)*))*) => {
        $(
            fn $visit(&mut self $($(,$arg: $argty)*)?) -> Self::Output {
                $($(let _ = &$arg;)*)?
                visit_supported!(@one $proposal self.0.$visit($($($arg),*)?))
            }
        )*
    };
    (@one threads $visit:expr) => { Err(Fault::Unsupported("threads")) };
    (@one shared_everything_threads $visit:expr) => { Err(Fault::Unsupported("shared-everything-threads")) };
    (@one memory_control $visit:expr) => { Err(Fault::Unsupported("memory control")) };
    (@one gc $visit:expr) => { Err(Fault::Unsupported("gc")) };
    (@one legacy_exceptions $visit:expr) => { Err(Fault::Unsupported("legacy exceptions")) };
    (@one stack_switching $visit:expr) => { Err(Fault::Unsupported("stack switching")) };
    (@one wide_arithmetic $visit:expr) => { Err(Fault::Unsupported("wide arithmetic")) };
    (@one custom_descriptors $visit:expr) => { Err(Fault::Unsupported("custom descriptors operations")) };
    (@one $proposal:ident $visit:expr) => { $visit.map_err(Fault::Invalid) };
}

impl<'a, V: VisitOperator<'a, Output = wasmparser::Result<()>>> VisitOperator<'a> for Supported<V> {
    type Output = Result<(), Fault>;

    wasmparser::for_each_visit_operator!(visit_supported);
}

/// A body under validation.
struct ValidatedBody<'a, 'b> {
    validator: FuncValidator<Resources<'a>>,
    reader: BinaryReader<'b>,
    /// The body's bytes, and where they begin in the module.
    bytes: &'b [u8],
    start: usize,
    features: WasmFeatures,
    vectors: &'a Vectors,
    /// The locals, where they are defined as they are named.
    named: Option<NamedLocals>,
}

/// The locals of a function that declares many more than it has bytes: one by one they would take time and memory out of
/// proportion. The validator is told only of those that instructions name, in the order in which they do.
struct NamedLocals {
    /// Index behind each group, and the type of its locals.
    groups: Vec<(u32, WasmType)>,
    params: u32,
    /// The validator's indices of those that have been named.
    known: BTreeMap<u32, u32>,
}

impl NamedLocals {
    /// A body may declare so many locals for each of its bytes, and those that any may, and they are still defined at once.
    const AT_ONCE: usize = 8;
    const ALWAYS_AT_ONCE: usize = 256;

    /// The groups of a body with more; none of one whose locals the validator should read itself, to refuse them too.
    fn of(params: u32, body: &FunctionBody<'_>) -> Option<NamedLocals> {
        let mut reader = body.get_locals_reader().ok()?;
        let (mut groups, mut end) = (Vec::new(), params);
        for _ in 0..reader.get_count() {
            let (count, ty) = reader.read().ok()?;
            end = end.checked_add(count)?;
            groups.push((end, ty));
        }
        let at_once = Self::ALWAYS_AT_ONCE + Self::AT_ONCE * body.as_bytes().len();
        let many = (at_once..=MOST_LOCALS).contains(&(end as usize));
        many.then(|| NamedLocals { groups, params, known: BTreeMap::new() })
    }

    /// The type of a local that is declared.
    fn type_of(&self, local: u32) -> Option<WasmType> {
        let group = self.groups.partition_point(|(end, _)| *end <= local);
        self.groups.get(group).map(|(_, ty)| *ty)
    }
}

/// Locals that a function may have.
const MOST_LOCALS: usize = 50_000;

impl BodyRules {
    pub(super) fn new(features: Features, hidden: BTreeSet<u32>) -> Self {
        Self { features: features.wasm, hidden, vectors: Vectors::default() }
    }

    /// Validates a body; the allocations go on to the next.
    ///
    /// # Errors
    /// A program error with the offset of the first fault.
    pub(super) fn validate(
        &self,
        func: FuncToValidate<ValidatorResources>,
        body: &FunctionBody<'_>,
        allocations: FuncValidatorAllocations,
        work: &mut ValidationWork,
    ) -> Result<FuncValidatorAllocations, JobError> {
        let named = |params| NamedLocals::of(params, body);
        let mut body = self.begin(func, body, allocations, named)?;
        while !body.reader.eof() {
            if work.is_needed {
                work.add(body.width(), body.reader.original_position())?;
            }
            body.instruction()?;
            body.check_height()?;
        }
        let end = body.reader.original_position();
        body.reader.finish_expression(&body.validator.visitor(end)).map_err(malformed)?;
        Ok(body.validator.into_allocations())
    }

    /// The types before the instructions at these offsets.
    fn types_in(
        &self,
        func: FuncToValidate<ValidatorResources>,
        body: &FunctionBody<'_>,
        offsets: &BTreeSet<u32>,
        ids: &BTreeMap<CoreTypeId, u32>,
        found: &mut dyn FnMut(u32, TypesAt),
    ) -> Result<(), JobError> {
        let mut body = self.begin(func, body, FuncValidatorAllocations::default(), |_| None)?;
        let mut left = offsets.len();
        while left > 0 && !body.reader.eof() {
            let at = u32::try_from(body.reader.original_position()).ok();
            if let Some(offset) = at.filter(|at| offsets.contains(at)) {
                found(offset, body.types(ids));
                left -= 1;
            }
            body.instruction()?;
        }
        Ok(())
    }

    fn begin<'a, 'b>(
        &'a self,
        func: FuncToValidate<ValidatorResources>,
        body: &FunctionBody<'b>,
        allocations: FuncValidatorAllocations,
        named: impl FnOnce(u32) -> Option<NamedLocals>,
    ) -> Result<ValidatedBody<'a, 'b>, JobError> {
        let resources = Resources { module: func.resources, hidden: &self.hidden, vectors: &self.vectors };
        let func = FuncToValidate { resources, index: func.index, ty: func.ty, features: self.features };
        let mut validator = func.into_validator(allocations);
        let mut reader = body.get_binary_reader();
        let named = named(validator.len_locals());
        match &named {
            None => validator.read_locals(&mut reader).map_err(malformed)?,
            Some(named) => {
                // None of them yet, but each of their types must be one.
                for (_, ty) in &named.groups {
                    validator.define_locals(reader.original_position(), 0, *ty).map_err(malformed)?;
                }
                reader = body.get_binary_reader_for_operators().map_err(malformed)?;
            }
        }
        reader.set_features(self.features);
        let (bytes, start) = (body.as_bytes(), body.range().start);
        Ok(ValidatedBody { validator, reader, bytes, start, features: self.features, vectors: &self.vectors, named })
    }
}

impl ValidatedBody<'_, '_> {
    /// The types of locals and operands here.
    fn types(&self, ids: &BTreeMap<CoreTypeId, u32>) -> TypesAt {
        let val_type = |ty| val_type_in(ty, &|id| ids.get(&id).copied().unwrap_or(u32::MAX));
        let locals = 0..self.validator.len_locals();
        let locals = locals.map(|index| self.validator.get_local_type(index).and_then(val_type));
        let height = self.validator.operand_stack_height() as usize;
        let operand = |depth| self.validator.get_operand_type(depth).flatten().and_then(val_type);
        (slot_types(locals), slot_types((0..height).rev().map(operand)))
    }

    fn instruction(&mut self) -> Result<(), JobError> {
        let at = self.reader.original_position();
        match self.bytes.get(at - self.start) {
            Some(&VECTOR) => return self.vector(at),
            Some(&code @ LOCAL_GET..=LOCAL_TEE) if self.named.is_some() => return self.named_local(code, at),
            _ => {}
        }
        self.reader.visit_operator(&mut Supported(self.validator.visitor(at))).map_err(malformed)?.map_err(|fault| {
            match fault {
                Fault::Invalid(error) => malformed(error),
                Fault::Unsupported(proposal) => invalid(&format!("{proposal} support is not enabled"), at),
            }
        })
    }

    /// Refuses more operands than a body of this length may have at once.
    fn check_height(&self) -> Result<(), JobError> {
        let most = LEAST_OPERANDS.saturating_add(OPERANDS_PER_BYTE.saturating_mul(self.bytes.len() as u32));
        if self.validator.operand_stack_height() <= most {
            return Ok(());
        }
        Err(JobError::program(format!(
            "a function has too many operands: more than {most}, which is {LEAST_OPERANDS} and {OPERANDS_PER_BYTE} for each \
             byte of its body (at offset {:#x})",
            self.reader.original_position()
        )))
    }

    /// An instruction on a local of a function that declares many.
    #[cold]
    fn named_local(&mut self, code: u8, at: usize) -> Result<(), JobError> {
        self.reader.read_u8().map_err(malformed)?;
        let local = self.reader.read_var_u32().map_err(malformed)?;
        let known = self.known_local(local, at)?;
        let mut visitor = self.validator.visitor(at);
        let result = match code {
            LOCAL_GET => visitor.visit_local_get(known),
            LOCAL_TEE => visitor.visit_local_tee(known),
            _ => visitor.visit_local_set(known),
        };
        // The one message that names the local.
        let named = |error: &BinaryReaderError| error.message() == format!("uninitialized local: {known}");
        match result {
            Err(error) if named(&error) => Err(invalid(&format!("uninitialized local: {local}"), at)),
            other => Ok(other.map_err(malformed)?),
        }
    }

    /// The validator's index of a local, which it is told of now if it has not been.
    fn known_local(&mut self, local: u32, at: usize) -> Result<u32, JobError> {
        let Some(named) = &mut self.named else { return Ok(local) };
        if local < named.params {
            return Ok(local);
        }
        if let Some(known) = named.known.get(&local) {
            return Ok(*known);
        }
        let unknown = || invalid(&format!("unknown local {local}: local index out of bounds"), at);
        let ty = named.type_of(local).ok_or_else(unknown)?;
        let known = self.validator.len_locals();
        self.validator.define_locals(at, 1, ty).map_err(malformed)?;
        named.known.insert(local, known);
        Ok(known)
    }

    /// How many values the next instruction names by a type.
    fn width(&self) -> usize {
        let rest = self.bytes.get(self.reader.original_position() - self.start..);
        let Some((code, rest)) = rest.and_then(<[u8]>::split_first) else { return 0 };
        let mut reader = BinaryReader::new(rest, 0);
        let index = reader.clone().read_var_u32().unwrap_or(u32::MAX);
        match code {
            // `block`, `loop`, `if`, `try_table`: a type by its index, or a negative number.
            0x02..=0x04 | 0x1f => self.width_of(reader.read_var_s33().ok().and_then(|ty| u32::try_from(ty).ok())),
            // `throw`.
            0x08 => self.validator.resources().tag_at(index).map_or(0, |ty| ty.params().len()),
            // `br`, `br_if`, `br_on_null`, `br_on_non_null`.
            0x0c | 0x0d | 0xd5 | 0xd6 => self.width_of_label(index),
            0x0e => self.width_of_table(&mut reader).unwrap_or(0),
            // `return`.
            0x0f => self.width_of_label(self.validator.control_stack_height().saturating_sub(1)),
            // Calls: of a function, or of a type.
            0x10 | 0x12 => self.width_of(self.validator.resources().type_index_of_function(index)),
            0x11 | 0x13..=0x15 => self.width_of(Some(index)),
            _ => 0,
        }
    }

    fn width_of(&self, ty: Option<u32>) -> usize {
        let ty = ty.and_then(|ty| self.validator.resources().sub_type_at(ty)).map(|ty| &ty.composite_type.inner);
        match ty {
            Some(CompositeInnerType::Func(ty)) => ty.params().len() + ty.results().len(),
            _ => 0,
        }
    }

    fn width_of_label(&self, depth: u32) -> usize {
        match self.validator.get_control_frame(depth as usize).map(|frame| frame.block_type) {
            Some(BlockType::FuncType(ty)) => self.width_of(Some(ty)),
            _ => 0,
        }
    }

    fn width_of_table(&self, reader: &mut BinaryReader<'_>) -> Option<usize> {
        let mut width = 0_usize;
        for _ in 0..=reader.read_var_u32().ok()? {
            width = width.saturating_add(self.width_of_label(reader.read_var_u32().ok()?));
        }
        Some(width)
    }

    #[cold]
    #[inline(never)]
    fn vector(&mut self, at: usize) -> Result<(), JobError> {
        if self.validator.control_stack_height() == 0 {
            return Err(invalid("operators remaining after end of function body", at));
        }
        self.reader.read_u8().map_err(malformed)?;
        let code = self.reader.read_var_u32().map_err(malformed)?;
        let (feature, name) = match code {
            RELAXED.. => (WasmFeatures::RELAXED_SIMD, "relaxed SIMD"),
            _ => (WasmFeatures::SIMD, "SIMD"),
        };
        if !self.features.contains(feature | WasmFeatures::SIMD) {
            return Err(invalid(&format!("{name} support is not enabled"), at));
        }
        let op = vector_op(code).ok_or_else(|| invalid(&format!("unknown vector instruction {code:#x}"), at))?;
        let mut is64 = false;
        if op.is_memory_access() {
            is64 = self.access(op, at)?;
        }
        self.lanes(op, at)?;
        // An index that is not there is dropped again at once, by the call.
        self.validator.visitor(at).visit_i32_const(0).map_err(malformed)?;
        let ty = SHOWN + self.vectors.signatures.get_or_init(Signatures::new).of[&(op, is64)];
        self.vectors.shown.set(true);
        let result = self.validator.visitor(at).visit_call_indirect(ty, SHOWN);
        self.vectors.shown.set(false);
        result.map_err(malformed)
    }

    /// The immediates of a load or store; does its memory have 64-bit addresses.
    fn access(&mut self, op: Op, at: usize) -> Result<bool, JobError> {
        let mut alignment = self.reader.read_var_u32().map_err(malformed)?;
        let mut memory = 0;
        if self.features.contains(WasmFeatures::MULTI_MEMORY) && alignment & HAS_MEMORY_INDEX != 0 {
            alignment ^= HAS_MEMORY_INDEX;
            memory = self.reader.read_var_u32().map_err(malformed)?;
        }
        let most = if self.features.contains(WasmFeatures::MULTI_MEMORY) { 6 } else { 5 };
        if alignment >= 1 << most {
            return Err(invalid("malformed memop alignment: alignment too large", at));
        }
        let offset = if self.features.contains(WasmFeatures::MEMORY64) {
            self.reader.read_var_u64().map_err(malformed)?
        } else {
            self.reader.read_var_u32().map_err(malformed)?.into()
        };
        let ty = self.validator.resources().memory_at(memory);
        let ty = ty.ok_or_else(|| invalid(&format!("unknown memory {memory}"), at))?;
        if alignment > u32::from(op.vector_access_bytes()).ilog2() {
            return Err(invalid("invalid memop alignment: alignment must not be larger than natural", at));
        }
        if !ty.memory64 && u32::try_from(offset).is_err() {
            return Err(invalid("offset out of range: must be <= 2**32", at));
        }
        Ok(ty.memory64)
    }

    /// Immediates of lanes and of constants.
    fn lanes(&mut self, op: Op, at: usize) -> Result<(), JobError> {
        let (count, below) = match op {
            Op::V128Const => (16, None),
            Op::I8x16Shuffle => (16, Some(32)),
            _ if op.is_lane_access() => (1, Some(16 / op.vector_access_bytes())),
            _ if op.has_lane() => (1, lane_count(op)),
            _ => (0, None),
        };
        let lanes = self.reader.read_bytes(count).map_err(malformed)?;
        match below.and_then(|below| lanes.iter().find(|lane| **lane >= below)) {
            Some(lane) => Err(invalid(&format!("lane {lane} of {} is out of bounds", op.mnemonic()), at)),
            None => Ok(()),
        }
    }
}

/// How many lanes the vectors have that an instruction is named after.
fn lane_count(op: Op) -> Option<u8> {
    let shape = op.mnemonic().split('.').next()?;
    shape.split('x').nth(1)?.parse().ok()
}

/// Types of the slots of a function's locals and of its operands before an instruction, a vector's two slots as two
/// `i64`; `None` for an operand whose type validation leaves open.
pub type TypesAt = (Vec<Option<ValType>>, Vec<Option<ValType>>);

/// The types at offsets (byte offsets in the module) of functions, each function validated once for all of its offsets;
/// what is missing in the answer is no instruction. The answer holds as many types as there are locals and operands at
/// these places: the caller bounds them.
pub fn types_at(module: &Module, wanted: &BTreeMap<u32, BTreeSet<u32>>) -> BTreeMap<(u32, u32), TypesAt> {
    let mut found = BTreeMap::new();
    let (parser, mut validator) = of_sections(module.features);
    let bodies = BodyRules::new(module.features, module.hidden_vectors.clone());
    let mut func = module.imported_funcs;
    for payload in parser.parse_all(&module.bytes) {
        // A valid module was wanted: an error leaves the rest out.
        let Ok(payload) = payload else { break };
        let section =
            validate_section(&mut validator, &payload, &module.bytes, module.imported_globals, module.features);
        let Ok((Some((to_validate, body)), _)) = section else { continue };
        if let Some(offsets) = wanted.get(&func) {
            let mut types_of = |offset, types| drop(found.insert((func, offset), types));
            let ids = types_by_id(&validator);
            let _ = bodies.types_in(to_validate, &body, offsets, &ids, &mut types_of);
        }
        func += 1;
    }
    found
}

/// Indices of the module's types by the validator's own identifiers; of equal types any.
fn types_by_id(validator: &Validator) -> BTreeMap<CoreTypeId, u32> {
    let types = validator.types(0).expect("BUG: a module is being validated");
    (0..types.core_type_count_in_module()).map(|index| (types.core_type_at_in_module(index), index)).collect()
}

/// The types of the slots of values of these types.
fn slot_types(types: impl Iterator<Item = Option<ValType>>) -> Vec<Option<ValType>> {
    let mut slots = Vec::new();
    for ty in types {
        match ty {
            Some(ty) => slots.extend(ty.slot_types().map(Some)),
            None => slots.push(None),
        }
    }
    slots
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Module, String> {
        let bytes = wat::parse_str(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        Module::parse(bytes, Features::default()).map_err(|error| error.message().to_owned())
    }

    fn refusal(text: &str) -> String {
        parse(text).map(|_| "accepted".to_owned()).unwrap_or_else(|message| message)
    }

    #[test]
    fn code_that_a_32_bit_host_could_not_hold_is_refused_and_data_of_that_size_is_not() {
        let module = |section: u8, bytes: usize| {
            let mut module = b"\0asm\x01\0\0\0".to_vec();
            module.push(section);
            module.extend((0..5).map(|byte| (bytes >> (7 * byte)) as u8 & 0x7f | if byte < 4 { 0x80 } else { 0 }));
            module.resize(module.len() + bytes, 0);
            Module::parse(module, Features::default()).map(drop).map_err(|error| error.message().to_owned())
        };
        let (most, types) = (48 << 20, 1);
        let refused = module(types, most + 1).unwrap_err();
        assert_eq!(refused, "the module has more than 50331648 bytes beside its data and custom sections");
        // No types, and then bytes that belong to none.
        assert_ne!(module(types, most).unwrap_err(), refused);
        let custom = 0;
        assert_eq!(module(custom, most + 1), Ok(()));
    }

    #[test]
    fn operands_of_vector_instructions_are_checked_by_type() {
        let cases = [
            (
                "(func (param i32) local.get 0 i8x16.abs drop)",
                "type mismatch: expected v128, found i32 (at offset 0x1a)",
            ),
            ("(func i8x16.add drop)", "type mismatch: expected v128 but nothing on stack"),
            (
                "(func (param v128) local.get 0 i32x4.extract_lane 1 f32.abs drop)",
                "type mismatch: expected f32, found i32",
            ),
            ("(func (param f32) local.get 0 f64x2.splat drop)", "type mismatch: expected f64, found f32"),
            ("(memory i64 1) (func i32.const 0 v128.load drop)", "type mismatch: expected i64, found i32"),
            ("(func i32.const 0 v128.load drop)", "unknown memory 0"),
        ];
        for (body, expected) in cases {
            let found = refusal(&format!("(module {body})"));
            assert!(found.contains(expected), "{body}: {found}");
        }
    }

    #[test]
    fn unreachable_code_takes_vectors_of_any_origin() {
        assert!(parse("(module (func (result v128) unreachable i8x16.add v128.any_true drop i32x4.neg))").is_ok());
    }

    #[test]
    fn immediates_of_vector_instructions_are_checked() {
        // Each body is `v128.const 0`, then the bytes; `drop`s do not matter, since the fault comes first.
        let with = |code: &[u8]| {
            let mut body = vec![0, 0xfd, 0x0c];
            body.extend([0; 16]);
            body.extend(code);
            body.push(0x0b);
            let mut bytes = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x05\x03\x01\0\x01\x0a".to_vec();
            bytes.extend([body.len() as u8 + 2, 1, body.len() as u8]);
            bytes.extend(body);
            Module::parse(bytes, Features::default()).unwrap_err().message().to_owned()
        };
        assert!(with(&[0xfd, 0x15, 16]).contains("lane 16 of i8x16.extract_lane_s is out of bounds"));
        assert!(with(&[0xfd, 0x1d, 2]).contains("lane 2 of i64x2.extract_lane is out of bounds"));
        let mut shuffle = vec![0xfd, 0x0d];
        shuffle.extend([0; 15]);
        shuffle.push(32);
        assert!(with(&shuffle).contains("lane 32 of i8x16.shuffle is out of bounds"));
        assert!(with(&[0xfd, 0x54, 0, 0, 16]).contains("lane 16 of v128.load8_lane is out of bounds"));
        assert!(with(&[0xfd, 0x00, 5, 0]).contains("alignment must not be larger than natural"));
        assert!(with(&[0xfd, 0x9a, 0x01]).contains("unknown vector instruction 0x9a"));
        // After the end of the function.
        assert!(with(&[0x1a, 0x0b, 0xfd, 0x60]).contains("operators remaining after end of function body"));
    }

    #[test]
    fn calls_of_a_module_do_not_find_the_types_of_vector_instructions() {
        // `call_indirect` of type 2^32 - 64 through table 2^32 - 65 + 1.
        let mut bytes = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x0a\x10\x01\x0e\0\x41\0\x11".to_vec();
        bytes.extend([0xbf, 0xff, 0xff, 0xff, 0x0f, 0xbf, 0xff, 0xff, 0xff, 0x0f, 0x0b]);
        let error = Module::parse(bytes, Features::default()).unwrap_err();
        assert!(error.message().contains("unknown table 4294967231"), "{error}");
    }

    #[test]
    fn features_that_are_off_are_named() {
        let bytes = wat::parse_str("(module (func (param v128) local.get 0 i8x16.abs drop))").unwrap();
        let mut features = Features::default();
        features.set("simd", false).unwrap();
        let error = Module::parse(bytes, features).unwrap_err();
        assert!(error.message().contains("SIMD support is not enabled"), "{error}");
        let relaxed = "(module (func (param v128) local.get 0 local.get 0 i8x16.relaxed_swizzle drop))";
        let mut features = Features::default();
        features.set("relaxed-simd", false).unwrap();
        let error = Module::parse(wat::parse_str(relaxed).unwrap(), features).unwrap_err();
        assert!(error.message().contains("relaxed SIMD support is not enabled"), "{error}");
    }

    #[test]
    fn globals_may_start_as_vectors_and_as_copies_of_vectors() {
        let module = parse(
            "(module (import \"m\" \"g\" (global v128)) (global $a v128 (v128.const i64x2 1 2)) (global i32 (i32.const 7))
                (global (mut v128) (global.get $a)) (global v128 (global.get 0)) (global f64 (f64.const 1))
                (func (result v128) global.get 3 global.get $a i8x16.add))",
        );
        let module = module.unwrap();
        let types: Vec<String> = module.globals().iter().map(|(ty, _)| ty.value.to_string()).collect();
        assert_eq!(types, ["v128", "v128", "i32", "v128", "v128", "f64"]);
    }

    #[test]
    fn vectors_of_globals_are_no_other_constants() {
        let cases = [
            ("(global i32 (global.get 0))", "takes a v128 for another type"),
            ("(global i32 (i32.add (i32.const 1) (global.get 0)))", "takes a v128 for another type"),
            ("(memory 1) (data (offset (global.get 0)) \"x\")", "takes a v128 for another type"),
            ("(global v128 (i32.const 1))", "type mismatch: expected v128, found i32"),
            ("(func (result i32) global.get 0)", "type mismatch: expected i32, found v128"),
            (
                "(func i32.const 1 global.set 1) (global (mut v128) (global.get 0))",
                "type mismatch: expected v128, found i32",
            ),
        ];
        for (rest, expected) in cases {
            let found = refusal(&format!("(module (global v128 (v128.const i64x2 1 2)) {rest})"));
            assert!(found.contains(expected), "{rest}: {found}");
        }
    }
}
