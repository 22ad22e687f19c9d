//! Types of the language, as plain data without any tie to the decoder.

use std::fmt;

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
    /// Nullable reference to a function.
    FuncRef,
    /// Nullable reference to something of the embedder's.
    ExternRef,
}

impl ValType {
    /// Name in the text format.
    pub fn name(self) -> &'static str {
        match self {
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::FuncRef => "funcref",
            Self::ExternRef => "externref",
        }
    }

    /// Is it a reference type.
    pub fn is_ref(self) -> bool {
        matches!(self, Self::FuncRef | Self::ExternRef)
    }
}

impl fmt::Display for ValType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A function type.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FuncType {
    /// Parameter types, in order.
    pub params: Vec<ValType>,
    /// Result types, in order.
    pub results: Vec<ValType>,
}

impl fmt::Display for FuncType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |types: &[ValType]| types.iter().map(|t| t.name()).collect::<Vec<_>>().join(", ");
        write!(f, "({}) -> ({})", list(&self.params), list(&self.results))
    }
}

/// Size limits of a memory (in pages) or table (in elements).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SizeLimits {
    /// Size at the start.
    pub min: u64,
    /// Greatest size, if declared.
    pub max: Option<u64>,
}

impl fmt::Display for SizeLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.max {
            Some(max) => write!(f, "{}..{max}", self.min),
            None => write!(f, "{}..", self.min),
        }
    }
}

/// A table type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableType {
    /// Type of its elements, a reference type.
    pub element: ValType,
    /// Its size in elements.
    pub limits: SizeLimits,
}

/// A global type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GlobalType {
    /// Type of its value.
    pub value: ValType,
    /// May it be set.
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
}

impl fmt::Display for ExternType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Func(t) => write!(f, "function {t}"),
            Self::Table(t) => write!(f, "table {} {}", t.limits, t.element),
            Self::Memory(t) => write!(f, "memory {t}"),
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
    Value(u64),
    /// The null reference.
    Null,
    /// A reference to the function of this index.
    Func(u32),
    /// The value of the global of this index.
    Global(u32),
    /// `i32.add`, `i32.sub`, `i32.mul`, `i64.add`, `i64.sub`, `i64.mul`.
    Binary(crate::code::Op),
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
    pub ty: ValType,
    /// One expression an element.
    pub items: Vec<ConstExpr>,
}
