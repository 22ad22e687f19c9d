//! Instructions that both engines execute by one function, out of the fast engine's line: those on vectors, and the loads
//! and stores of memories other than the first.

use super::Body;
use crate::op::{Instr, Op, Shape};

/// An instruction with its immediates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outline {
    /// The instruction.
    pub op: Op,
    /// How it takes its operands.
    pub(crate) shape: Shape,
    /// The lane of a vector that it names.
    pub lane: u8,
    /// Store address of the memory that it accesses, if it does.
    pub memory: Option<u32>,
    /// Offset of a memory access.
    pub offset: u64,
    /// Bytes that it accesses: 1, 2, 4, 8 or 16.
    pub bytes: u8,
    /// A constant, or the lanes of a shuffle.
    pub constant: u128,
}

impl Outline {
    /// The instruction in a body, if it is one of those; `memories` are the store addresses of the instance's.
    pub fn new(instr: &Instr, body: &Body, memories: &[u32]) -> Option<Self> {
        let shape = instr.op.shape()?;
        let is_access = instr.op.is_memory_access();
        let has_constant = matches!(instr.op, Op::V128Const | Op::I8x16Shuffle);
        Some(Self {
            op: instr.op,
            shape,
            lane: instr.lane(),
            memory: is_access.then(|| memories[instr.memory() as usize]),
            offset: if is_access { instr.imm } else { 0 },
            bytes: if is_access { instr.op.access_bytes() } else { 0 },
            constant: if has_constant { body.vectors[instr.imm as usize] } else { 0 },
        })
    }
}
