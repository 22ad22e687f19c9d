//! The binary format of code that has been validated (specification, sections 5.2 and 5.4). Reading it again cannot fail,
//! so nothing here returns an error; that makes it several times faster, and smaller, than a reader of unknown bytes.

use super::Op;

const VALIDATED: &str = "BUG: the code was validated";

/// An instruction as it stands in the bytes. Immediates are those of [`super::Instr`], but for what only the surroundings
/// give: `block`, `loop`, `if` have the block type in `imm`, branches the depth, and `br_table` in `imm` the position of
/// its depths.
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

    /// How many locals a function body declares, of which the reader is at the beginning.
    pub(crate) fn declared_locals(&mut self) -> u32 {
        let groups = self.u32();
        let mut locals = 0;
        for _ in 0..groups {
            locals += self.u32();
            self.value_type();
        }
        locals
    }

    pub(crate) fn instruction(&mut self) -> Encoded {
        let code = self.byte();
        let op = if code == MISCELLANEOUS { self.miscellaneous() } else { SINGLE[usize::from(code)].expect(VALIDATED) };
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
        let mut reader = Reader { bytes: self.bytes, position: table.imm as usize };
        (0..=table.aux).map(move |_| reader.u32())
    }

    fn miscellaneous(&mut self) -> Op {
        *AFTER_FC.get(self.u32() as usize).expect(VALIDATED)
    }

    fn immediates(&mut self, op: Op) -> (u64, u32) {
        if op.is_memory_access() {
            return self.memory_argument();
        }
        match op {
            Op::LocalGet | Op::LocalSet | Op::LocalTee | Op::GlobalGet | Op::GlobalSet => (self.u32().into(), 0),
            Op::Br | Op::BrIf | Op::Call | Op::ReturnCall | Op::RefFunc | Op::DataDrop | Op::ElemDrop => {
                (self.u32().into(), 0)
            }
            Op::Block | Op::Loop | Op::If => (self.signed() as u64, 0),
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

    /// A value type; one of a reference to a type of its own is followed by that.
    fn value_type(&mut self) {
        if matches!(self.byte(), REF | REF_NULL) {
            self.signed();
        }
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

const TYPED_SELECT: u8 = 0x1c;
const MISCELLANEOUS: u8 = 0xfc;
const REF_NULL: u8 = 0x63;
const REF: u8 = 0x64;
/// In the alignment of a memory argument.
const HAS_MEMORY_INDEX: u32 = 1 << 6;

/// Instructions of one byte, by that byte.
const SINGLE: [Option<Op>; 256] = {
    use Op::*;
    let mut table = [None; 256];
    table = with(table, 0x00, &[Unreachable, Nop, Block, Loop, If, Else]);
    table = with(table, 0x0b, &[End, Br, BrIf, BrTable, Return]);
    table = with(table, 0x10, &[Call, CallIndirect, ReturnCall, ReturnCallIndirect]);
    table = with(table, 0x1a, &[Drop, Select, Select]);
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
    with(table, 0xd0, &[RefNull, RefIsNull, RefFunc])
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_instruction_but_one_has_one_encoding() {
        let all = SINGLE.iter().flatten().chain(&AFTER_FC);
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
