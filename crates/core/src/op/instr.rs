//! An instruction of a decoded body.

use super::Op;

/// Slots that every branch and call may carry for its own cost: what compilers emit carries fewer.
pub const FREE_CARRIED: u32 = 16;

/// One instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instr {
    /// What it is.
    pub op: Op,
    /// Slots beyond the first [`FREE_CARRIED`] that it carries: a branch those of its target, a call its arguments and
    /// results. They are paid for whether a conditional branch is taken or not, so that the code alone tells the cost.
    pub carried: u16,
    /// Byte offset in the module.
    pub offset: u32,
    /// Operand slots on the frame's stack before it.
    pub height: u32,
    /// Second immediate: memory, table or count; see [`Body`](crate::code::Body).
    pub aux: u32,
    /// First immediate: bit pattern, index or offset; see [`Body`](crate::code::Body).
    pub imm: u64,
}
