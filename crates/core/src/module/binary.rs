//! The binary format of code that has been validated (specification, sections 5.2 and 5.4). Reading it again cannot fail,
//! so nothing here returns an error; that makes it several times faster, and smaller, than a reader of unknown bytes.

use super::SlotKind;
use crate::op::{Op, for_each_vector_op};

const VALIDATED: &str = "BUG: the code was validated";

/// An instruction as it stands in the bytes. Immediates are those of [`Instr`](crate::op::Instr), but for what only the surroundings
/// give: locals have their index, `block`, `loop`, `if` and `try_table` the block type in `imm`, branches the depth; and of
/// what is long, the position is given: of the depths of `br_table` and a vector's 16 bytes in `imm`, of the clauses of
/// `try_table` in `aux`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Encoded {
    pub(crate) op: Op,
    pub(crate) imm: u64,
    pub(crate) aux: u32,
}

/// Reads instructions one after the other.
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    /// Bytes read so far.
    pub(crate) fn position(&self) -> usize {
        self.position
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.position == self.bytes.len()
    }

    /// The locals that a function body declares, of which the reader is at the beginning: how many, of which kind.
    pub(crate) fn declared_locals(&mut self) -> impl Iterator<Item = (u32, SlotKind)> {
        let groups = self.u32();
        (0..groups).map(|_| {
            let count = self.u32();
            (count, self.value_type())
        })
    }

    /// Whether the next instruction is one of the tables here: only of constant expressions validation does not say so.
    pub(crate) fn is_at_known(&self) -> bool {
        let next = self.bytes.get(self.position);
        next.is_some_and(|code| matches!(*code, MISCELLANEOUS | VECTOR) || SINGLE[usize::from(*code)].is_some())
    }

    pub(crate) fn instruction(&mut self) -> Encoded {
        let code = self.byte();
        let op = match code {
            MISCELLANEOUS => *AFTER_FC.get(self.u32() as usize).expect(VALIDATED),
            VECTOR => vector_op(self.u32()).expect(VALIDATED),
            _ => SINGLE[usize::from(code)].expect(VALIDATED),
        };
        if code == TYPED_SELECT {
            for _ in 0..self.u32() {
                self.value_type();
            }
        }
        let (imm, aux) = self.immediates(op);
        Encoded { op, imm, aux }
    }

    /// The depths of a `br_table`, the default last.
    pub(crate) fn depths(&self, table: Encoded) -> impl Iterator<Item = u32> + use<'a> {
        let mut reader = self.at(table.imm);
        (0..=table.aux).map(move |_| reader.u32())
    }

    /// The 16 bytes of a `v128.const` or `i8x16.shuffle`.
    pub(crate) fn vector(&self, instruction: Encoded) -> u128 {
        u128::from_le_bytes(self.at(instruction.imm).array())
    }

    /// The clauses of a `try_table`.
    pub(crate) fn clauses(&self, table: Encoded) -> impl ExactSizeIterator<Item = Clause> + use<'a> {
        let mut reader = self.at(table.aux.into());
        let count = reader.u32();
        (0..count).map(move |_| reader.clause())
    }

    fn at(&self, position: u64) -> Reader<'a> {
        Reader { bytes: self.bytes, position: position as usize }
    }

    fn clause(&mut self) -> Clause {
        let kind = self.byte();
        let tag = matches!(kind, CATCH | CATCH_REF).then(|| self.u32());
        Clause { tag, with_reference: matches!(kind, CATCH_REF | CATCH_ALL_REF), depth: self.u32() }
    }

    fn immediates(&mut self, op: Op) -> (u64, u32) {
        if op.is_memory_access() {
            let (offset, memory) = self.memory_argument();
            let lane = if op.is_lane_access() { u32::from(self.byte()) << LANE_SHIFT } else { 0 };
            return (offset, memory | lane);
        }
        if op.has_lane() {
            return (self.byte().into(), 0);
        }
        match op {
            Op::LocalGet | Op::LocalSet | Op::LocalTee | Op::GlobalGet | Op::GlobalSet => (self.u32().into(), 0),
            Op::Br | Op::BrIf | Op::BrOnNull | Op::BrOnNonNull => (self.u32().into(), 0),
            Op::Call | Op::ReturnCall | Op::CallRef | Op::ReturnCallRef | Op::RefFunc => (self.u32().into(), 0),
            Op::DataDrop | Op::ElemDrop | Op::Throw => (self.u32().into(), 0),
            Op::Block | Op::Loop | Op::If => (self.block_type(), 0),
            Op::TryTable => {
                let ty = self.block_type();
                let clauses = self.position as u32;
                for _ in 0..self.u32() {
                    self.clause();
                }
                (ty, clauses)
            }
            Op::V128Const | Op::I8x16Shuffle => {
                let bytes = self.position as u64;
                self.position += 16;
                (bytes, 0)
            }
            Op::BrTable => self.branch_table(),
            Op::I32Const => (u64::from(self.signed() as u32), 0),
            Op::I64Const => (self.signed() as u64, 0),
            Op::F32Const => (u32::from_le_bytes(self.array()).into(), 0),
            Op::F64Const => (u64::from_le_bytes(self.array()), 0),
            Op::RefNull => {
                self.signed();
                (0, 0)
            }
            Op::CallIndirect | Op::ReturnCallIndirect | Op::MemoryInit | Op::TableInit => {
                let first = self.u32();
                (first.into(), self.u32())
            }
            Op::MemoryCopy | Op::TableCopy => {
                let destination = self.u32();
                (self.u32().into(), destination)
            }
            Op::MemorySize | Op::MemoryGrow | Op::MemoryFill => (0, self.u32()),
            Op::TableGet | Op::TableSet | Op::TableSize | Op::TableGrow | Op::TableFill => (0, self.u32()),
            _ => (0, 0),
        }
    }

    /// Offset and memory.
    fn memory_argument(&mut self) -> (u64, u32) {
        let alignment = self.u32();
        let memory = if alignment & HAS_MEMORY_INDEX == 0 { 0 } else { self.u32() };
        (self.unsigned(), memory)
    }

    fn branch_table(&mut self) -> (u64, u32) {
        let count = self.u32();
        let first = self.position as u64;
        for _ in 0..=count {
            self.u32();
        }
        (first, count)
    }

    fn value_type(&mut self) -> SlotKind {
        kind_of(self.block_type().cast_signed())
    }

    /// An index of a type, or a negative number for none or one value type; see [`kind_of`].
    fn block_type(&mut self) -> u64 {
        let ty = self.signed();
        // A reference with its nullability spelt out is followed by what it refers to.
        let ty = if matches!(ty, REF | REF_NULL) { self.signed().min(FUNCREF) } else { ty };
        ty as u64
    }

    fn byte(&mut self) -> u8 {
        let byte = *self.bytes.get(self.position).expect(VALIDATED);
        self.position += 1;
        byte
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        let rest = self.bytes.get(self.position..).expect(VALIDATED);
        self.position += N;
        *rest.first_chunk().expect(VALIDATED)
    }

    fn u32(&mut self) -> u32 {
        self.unsigned() as u32
    }

    /// LEB128.
    fn unsigned(&mut self) -> u64 {
        let mut byte = self.byte();
        let mut value = u64::from(byte & 0x7f);
        let mut shift = 0;
        while byte & 0x80 != 0 {
            byte = self.byte();
            shift += 7;
            value |= u64::from(byte & 0x7f) << shift;
        }
        value
    }

    /// Signed LEB128.
    fn signed(&mut self) -> i64 {
        let mut value = 0;
        let mut shift = 0;
        loop {
            let byte = self.byte();
            value |= i64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                let unused = 64_u32.saturating_sub(shift);
                return value << unused >> unused;
            }
        }
    }
}

/// A clause of `try_table`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Clause {
    /// The tag that it catches; any if none.
    pub(crate) tag: Option<u32>,
    /// Whether the reference to the exception is among what the branch carries.
    pub(crate) with_reference: bool,
    /// How many blocks the branch leaves, counted outside of the `try_table`.
    pub(crate) depth: u32,
}

/// The instruction of this number after the prefix of vectors.
pub(crate) fn vector_op(number: u32) -> Option<Op> {
    AFTER_FD.get(number as usize).copied().flatten()
}

/// The kind of the value type that a block type (negative, not [`EMPTY`]) names.
pub(crate) fn kind_of(ty: i64) -> SlotKind {
    match ty {
        V128 => SlotKind::Vector,
        EXNREF => SlotKind::Exception,
        _ => SlotKind::Word,
    }
}

/// The block type without parameters and results.
pub(crate) const EMPTY: i64 = -64;
/// Where in the second immediate of an access to one lane of a vector the lane is; below it is the memory.
pub(crate) const LANE_SHIFT: u32 = 24;

const TYPED_SELECT: u8 = 0x1c;
const MISCELLANEOUS: u8 = 0xfc;
const VECTOR: u8 = 0xfd;
const CATCH: u8 = 0;
const CATCH_REF: u8 = 1;
const CATCH_ALL_REF: u8 = 3;
// Value types as the signed numbers that their bytes are.
const V128: i64 = -5;
const FUNCREF: i64 = -16;
const EXNREF: i64 = -23;
const REF: i64 = -28;
const REF_NULL: i64 = -29;
/// In the alignment of a memory argument.
const HAS_MEMORY_INDEX: u32 = 1 << 6;

/// Instructions of one byte, by that byte.
const SINGLE: [Option<Op>; 256] = {
    use Op::*;
    let mut table = [None; 256];
    table = with(table, 0x00, &[Unreachable, Nop, Block, Loop, If, Else]);
    table = with(table, 0x08, &[Throw]);
    table = with(table, 0x0a, &[ThrowRef]);
    table = with(table, 0x0b, &[End, Br, BrIf, BrTable, Return]);
    table = with(table, 0x10, &[Call, CallIndirect, ReturnCall, ReturnCallIndirect, CallRef, ReturnCallRef]);
    table = with(table, 0x1a, &[Drop, Select, Select]);
    table = with(table, 0x1f, &[TryTable]);
    table = with(table, 0x20, &[LocalGet, LocalSet, LocalTee, GlobalGet, GlobalSet, TableGet, TableSet]);
    table = with(table, 0x28, &[I32Load, I64Load, F32Load, F64Load]);
    table = with(table, 0x2c, &[I32Load8S, I32Load8U, I32Load16S, I32Load16U]);
    table = with(table, 0x30, &[I64Load8S, I64Load8U, I64Load16S, I64Load16U, I64Load32S, I64Load32U]);
    table = with(table, 0x36, &[I32Store, I64Store, F32Store, F64Store]);
    table = with(table, 0x3a, &[I32Store8, I32Store16, I64Store8, I64Store16, I64Store32]);
    table = with(table, 0x3f, &[MemorySize, MemoryGrow]);
    table = with(table, 0x41, &[I32Const, I64Const, F32Const, F64Const]);
    table = with(table, 0x45, &[I32Eqz, I32Eq, I32Ne, I32LtS, I32LtU, I32GtS, I32GtU, I32LeS, I32LeU, I32GeS, I32GeU]);
    table = with(table, 0x50, &[I64Eqz, I64Eq, I64Ne, I64LtS, I64LtU, I64GtS, I64GtU, I64LeS, I64LeU, I64GeS, I64GeU]);
    table = with(table, 0x5b, &[F32Eq, F32Ne, F32Lt, F32Gt, F32Le, F32Ge]);
    table = with(table, 0x61, &[F64Eq, F64Ne, F64Lt, F64Gt, F64Le, F64Ge]);
    table = with(table, 0x67, &[I32Clz, I32Ctz, I32Popcnt, I32Add, I32Sub, I32Mul, I32DivS, I32DivU, I32RemS, I32RemU]);
    table = with(table, 0x71, &[I32And, I32Or, I32Xor, I32Shl, I32ShrS, I32ShrU, I32Rotl, I32Rotr]);
    table = with(table, 0x79, &[I64Clz, I64Ctz, I64Popcnt, I64Add, I64Sub, I64Mul, I64DivS, I64DivU, I64RemS, I64RemU]);
    table = with(table, 0x83, &[I64And, I64Or, I64Xor, I64Shl, I64ShrS, I64ShrU, I64Rotl, I64Rotr]);
    table = with(table, 0x8b, &[F32Abs, F32Neg, F32Ceil, F32Floor, F32Trunc, F32Nearest, F32Sqrt]);
    table = with(table, 0x92, &[F32Add, F32Sub, F32Mul, F32Div, F32Min, F32Max, F32Copysign]);
    table = with(table, 0x99, &[F64Abs, F64Neg, F64Ceil, F64Floor, F64Trunc, F64Nearest, F64Sqrt]);
    table = with(table, 0xa0, &[F64Add, F64Sub, F64Mul, F64Div, F64Min, F64Max, F64Copysign]);
    table = with(table, 0xa7, &[I32WrapI64, I32TruncF32S, I32TruncF32U, I32TruncF64S, I32TruncF64U]);
    table = with(table, 0xac, &[I64ExtendI32S, I64ExtendI32U]);
    table = with(table, 0xae, &[I64TruncF32S, I64TruncF32U, I64TruncF64S, I64TruncF64U]);
    table = with(table, 0xb2, &[F32ConvertI32S, F32ConvertI32U, F32ConvertI64S, F32ConvertI64U, F32DemoteF64]);
    table = with(table, 0xb7, &[F64ConvertI32S, F64ConvertI32U, F64ConvertI64S, F64ConvertI64U, F64PromoteF32]);
    table = with(table, 0xbc, &[I32ReinterpretF32, I64ReinterpretF64, F32ReinterpretI32, F64ReinterpretI64]);
    table = with(table, 0xc0, &[I32Extend8S, I32Extend16S, I64Extend8S, I64Extend16S, I64Extend32S]);
    table = with(table, 0xd0, &[RefNull, RefIsNull, RefFunc]);
    with(table, 0xd4, &[RefAsNonNull, BrOnNull, BrOnNonNull])
};

/// Puts `ops` at `first` and on.
const fn with(mut table: [Option<Op>; 256], first: usize, ops: &[Op]) -> [Option<Op>; 256] {
    let mut i = 0;
    while i < ops.len() {
        table[first + i] = Some(ops[i]);
        i += 1;
    }
    table
}

/// Instructions of the prefix [`MISCELLANEOUS`], by the number that follows.
const AFTER_FC: [Op; 18] = {
    use Op::*;
    [
        I32TruncSatF32S,
        I32TruncSatF32U,
        I32TruncSatF64S,
        I32TruncSatF64U,
        I64TruncSatF32S,
        I64TruncSatF32U,
        I64TruncSatF64S,
        I64TruncSatF64U,
        MemoryInit,
        DataDrop,
        MemoryCopy,
        MemoryFill,
        TableInit,
        ElemDrop,
        TableCopy,
        TableGrow,
        TableSize,
        TableFill,
    ]
};

macro_rules! define_after_fd {
    ($($group:ident { $($op:ident $name:literal $code:literal $($name_or_type:ident)* $($bytes:literal)?;)* })*) => {
        /// Instructions of the prefix [`VECTOR`], by the number that follows.
        const AFTER_FD: [Option<Op>; 0x114] = {
            let mut table = [None; 0x114];
            $($(table[$code] = Some(Op::$op);)*)*
            table
        };
    };
}
for_each_vector_op!(define_after_fd);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_instruction_but_one_has_one_encoding() {
        let all = SINGLE.iter().flatten().chain(&AFTER_FC).chain(AFTER_FD.iter().flatten());
        for op in Op::ALL {
            let encodings = all.clone().filter(|found| *found == op).count();
            assert_eq!(encodings, if *op == Op::Select { 2 } else { 1 }, "{}", op.mnemonic());
        }
    }

    #[test]
    fn numbers_of_any_length_are_read() {
        let cases: [(&[u8], i64); 6] = [
            (&[0x7f], -1),
            (&[0xff, 0x00], 127),
            (&[0x80, 0x7f], -128),
            (&[0xff, 0xff, 0xff, 0xff, 0x07], 0x7fff_ffff),
            (&[0x80, 0x80, 0x80, 0x80, 0x78], -0x8000_0000),
            (&[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x7f], i64::MIN),
        ];
        for (bytes, expected) in cases {
            assert_eq!(Reader::new(bytes).signed(), expected, "{bytes:x?}");
        }
        assert_eq!(Reader::new(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]).unsigned(), u64::MAX);
        assert_eq!(Reader::new(&[0x80, 0x80, 0x00]).unsigned(), 0, "longer than need be");
    }
}
