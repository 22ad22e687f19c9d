//! Types of the language, as plain data without any tie to the decoder.

use std::fmt;

use stepmark_state::host_type::HostType;

/// A value type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ValType {
    /// 32-bit integer.
    I32,
    /// 64-bit integer.
    I64,
    /// Single-precision float.
    F32,
    /// Double-precision float.
    F64,
    /// 128-bit vector.
    V128,
    /// A reference.
    Ref(RefType),
}

impl ValType {
    /// `funcref`.
    pub const FUNCREF: ValType = ValType::Ref(RefType::FUNCREF);
    /// `externref`.
    pub const EXTERNREF: ValType = ValType::Ref(RefType { nullable: true, heap: HeapType::Extern });

    /// Whether it is a reference type.
    pub fn is_ref(self) -> bool {
        matches!(self, Self::Ref(_))
    }

    /// How a value of it lies on the stack.
    pub fn kind(self) -> SlotKind {
        match self {
            Self::V128 => SlotKind::Vector,
            Self::Ref(RefType { heap: HeapType::Exn | HeapType::NoExn, .. }) => SlotKind::Exception,
            _ => SlotKind::Word,
        }
    }

    /// Stack slots of 64 bits that a value takes.
    pub fn slots(self) -> u32 {
        self.kind().slots()
    }

    /// The types of those slots; a vector's are two `i64`.
    pub(crate) fn slot_types(self) -> impl Iterator<Item = ValType> {
        let slot = if self == Self::V128 { Self::I64 } else { self };
        std::iter::repeat_n(slot, self.slots() as usize)
    }

    /// Whether a value of this type can stand where `wanted` is asked for (specification, section 3.3 "matching").
    pub fn matches(self, wanted: ValType) -> bool {
        match (self, wanted) {
            (Self::Ref(found), Self::Ref(wanted)) => found.matches(wanted),
            (found, wanted) => found == wanted,
        }
    }

    /// The type with other numbers for the types that it names.
    pub(crate) fn renumbered(self, number: &dyn Fn(u32) -> u32) -> ValType {
        match self {
            Self::Ref(RefType { nullable, heap: HeapType::Type(index) }) => {
                Self::Ref(RefType { nullable, heap: HeapType::Type(number(index)) })
            }
            other => other,
        }
    }
}

impl From<HostType> for ValType {
    fn from(ty: HostType) -> Self {
        match ty {
            HostType::I32 => Self::I32,
            HostType::I64 => Self::I64,
            HostType::F32 => Self::F32,
            HostType::F64 => Self::F64,
        }
    }
}

impl fmt::Display for ValType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::I32 => f.write_str("i32"),
            Self::I64 => f.write_str("i64"),
            Self::F32 => f.write_str("f32"),
            Self::F64 => f.write_str("f64"),
            Self::V128 => f.write_str("v128"),
            Self::Ref(ty) => ty.fmt(f),
        }
    }
}

/// How a value lies in the slots of the stack, as far as anyone must tell without its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotKind {
    /// One slot.
    Word,
    /// Two slots, the lower half first.
    Vector,
    /// One slot with a reference to an exception, whose number changes when unreachable ones are dropped.
    Exception,
}

impl SlotKind {
    /// Slots of 64 bits.
    pub fn slots(self) -> u32 {
        if self == Self::Vector { 2 } else { 1 }
    }
}

/// A reference type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RefType {
    /// Whether it may be null.
    pub nullable: bool,
    /// What it refers to.
    pub heap: HeapType,
}

impl RefType {
    /// `funcref`.
    pub const FUNCREF: RefType = RefType { nullable: true, heap: HeapType::Func };

    fn matches(self, wanted: RefType) -> bool {
        use HeapType as H;
        let heap = match (self.heap, wanted.heap) {
            (H::NoFunc | H::Type(_), H::Func) | (H::NoFunc, H::Type(_)) => true,
            (H::NoExtern, H::Extern) | (H::NoExn, H::Exn) => true,
            (found, wanted) => found == wanted,
        };
        heap && (wanted.nullable || !self.nullable)
    }
}

impl fmt::Display for RefType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (short, name) = match self.heap {
            HeapType::Func => ("funcref", "func"),
            HeapType::NoFunc => ("nullfuncref", "nofunc"),
            HeapType::Extern => ("externref", "extern"),
            HeapType::NoExtern => ("nullexternref", "noextern"),
            HeapType::Exn => ("exnref", "exn"),
            HeapType::NoExn => ("nullexnref", "noexn"),
            HeapType::Type(index) => {
                return write!(f, "(ref {}{index})", if self.nullable { "null " } else { "" });
            }
        };
        if self.nullable { f.write_str(short) } else { write!(f, "(ref {name})") }
    }
}

/// What a reference refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HeapType {
    /// Any function.
    Func,
    /// No function: only null.
    NoFunc,
    /// Something of the embedder's.
    Extern,
    /// Nothing of the embedder's: only null.
    NoExtern,
    /// An exception.
    Exn,
    /// No exception: only null.
    NoExn,
    /// A function of the type of this index in its module; of this number in a store.
    Type(u32),
}

/// A function type.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FuncType {
    /// Parameter types, in order.
    pub params: Vec<ValType>,
    /// Result types, in order.
    pub results: Vec<ValType>,
}

impl FuncType {
    /// Stack slots of the parameters.
    pub fn param_slots(&self) -> u32 {
        slots(&self.params)
    }

    /// Stack slots of the results.
    pub fn result_slots(&self) -> u32 {
        slots(&self.results)
    }

    /// The type with other numbers for the types that it names.
    pub(crate) fn renumbered(&self, number: &dyn Fn(u32) -> u32) -> FuncType {
        let list = |types: &[ValType]| types.iter().map(|ty| ty.renumbered(number)).collect();
        FuncType { params: list(&self.params), results: list(&self.results) }
    }
}

/// Stack slots of values of these types.
pub fn slots(types: &[ValType]) -> u32 {
    types.iter().map(|ty| ty.slots()).sum()
}

/// The kind of each slot of values of these types.
pub fn slot_kinds(types: &[ValType]) -> Vec<SlotKind> {
    types.iter().flat_map(|ty| std::iter::repeat_n(ty.kind(), ty.slots() as usize)).collect()
}

impl fmt::Display for FuncType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |types: &[ValType]| types.iter().map(ValType::to_string).collect::<Vec<_>>().join(", ");
        write!(f, "({}) -> ({})", list(&self.params), list(&self.results))
    }
}

/// Size limits of a memory (in pages) or table (in elements), and how wide its addresses are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SizeLimits {
    /// Whether its addresses are 64 bits wide, not 32.
    pub is64: bool,
    /// Size at the start.
    pub min: u64,
    /// Greatest size, if declared.
    pub max: Option<u64>,
}

impl fmt::Display for SizeLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = if self.is64 { "i64 " } else { "" };
        match self.max {
            Some(max) => write!(f, "{width}{}..{max}", self.min),
            None => write!(f, "{width}{}..", self.min),
        }
    }
}

/// A table type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableType {
    /// Type of its elements.
    pub element: RefType,
    /// Its size in elements.
    pub limits: SizeLimits,
}

/// A global type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GlobalType {
    /// Type of its value.
    pub value: ValType,
    /// Whether it may be set.
    pub mutable: bool,
}

/// The type of an import or export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExternType {
    /// A function.
    Func(FuncType),
    /// A table.
    Table(TableType),
    /// A memory, its size in pages of 64 KiB.
    Memory(SizeLimits),
    /// A global.
    Global(GlobalType),
    /// A tag of exceptions; its parameters are their payload.
    Tag(FuncType),
}

impl fmt::Display for ExternType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Func(t) => write!(f, "function {t}"),
            Self::Table(t) => write!(f, "table {} {}", t.limits, t.element),
            Self::Memory(t) => write!(f, "memory {t}"),
            Self::Tag(t) => write!(f, "tag {t}"),
            Self::Global(t) => write!(f, "global {}{}", if t.mutable { "mut " } else { "" }, t.value),
        }
    }
}

/// What an export or an index names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExternKind {
    /// A function.
    Func,
    /// A table.
    Table,
    /// A memory.
    Memory,
    /// A global.
    Global,
    /// A tag.
    Tag,
}

/// An import.
#[derive(Clone, Debug)]
pub struct Import {
    /// Name of the module wanted.
    pub module: String,
    /// Name of the export wanted.
    pub name: String,
    /// Its type.
    pub ty: ExternType,
}

/// An export.
#[derive(Clone, Debug)]
pub struct Export {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: ExternKind,
    /// Its index in the index space of its kind.
    pub index: u32,
}

/// One instruction of a constant expression.
#[derive(Clone, Copy, Debug)]
pub enum ConstOp {
    /// A constant, by bit pattern.
    Value(u128),
    /// The null reference.
    Null,
    /// A reference to the function of this index.
    Func(u32),
    /// The value of the global of this index.
    Global(u32),
    /// `i32.add`, `i32.sub`, `i32.mul`, `i64.add`, `i64.sub`, `i64.mul`.
    Binary(crate::op::Op),
}

/// A constant expression in order of evaluation. Boxed: some programs have tens of thousands, of one step each.
pub type ConstExpr = Box<[ConstOp]>;

/// A data segment.
#[derive(Clone, Debug)]
pub struct DataSegment {
    /// Memory index and offset expression, if active.
    pub active: Option<(u32, ConstExpr)>,
    /// Where its bytes lie in the module.
    pub bytes: std::ops::Range<usize>,
}

/// When an element segment is used.
#[derive(Clone, Debug)]
pub enum ElementMode {
    /// Written to a table at instantiation.
    Active {
        /// Table index.
        table: u32,
        /// Offset expression.
        offset: ConstExpr,
    },
    /// Used by `table.init`.
    Passive,
    /// Only declares functions for `ref.func`.
    Declared,
}

/// An element segment.
#[derive(Clone, Debug)]
pub struct ElementSegment {
    /// When it is used.
    pub mode: ElementMode,
    /// Type of its elements.
    pub ty: RefType,
    /// Its elements.
    pub items: Items,
}

/// The elements of a segment. Most are of functions by index, for which an expression each would be a hundred times the bytes
/// in the module.
#[derive(Clone, Debug)]
pub enum Items {
    /// References to the functions of these indices.
    Funcs(Box<[u32]>),
    /// One expression an element.
    Exprs(Box<[ConstExpr]>),
}

impl Items {
    /// How many there are.
    pub fn count(&self) -> usize {
        match self {
            Items::Funcs(funcs) => funcs.len(),
            Items::Exprs(exprs) => exprs.len(),
        }
    }
}
