//! Places at which compiled code can be left, and what a frame left there holds.

use crate::rules::Num;

/// Where an operand of a left frame is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperandPlace {
    /// In its own slot, with a value of this type.
    Slot(Num),
    /// So is this float, but if it is a NaN, the program has the canonical one.
    Made(Num),
    /// It is what the local of this slot holds.
    Local(u32),
    /// It is this bit pattern.
    Constant(u64),
}

/// A place at which a frame can be left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaveSite {
    /// The function, by its index in the program.
    pub func: u32,
    /// Byte offset in the program's module of the instruction at which it goes on: for a frame that waits for the one that it
    /// has called, the one after the call.
    pub offset: u32,
    /// Gas to be added to what the innermost frame has left: of the instructions that it had paid for and not executed.
    pub rest: i64,
    /// Its operands, lowest first; those of a frame that waits are the ones below the arguments of its call.
    pub operands: Vec<OperandPlace>,
}

/// What is known of a compiled function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompiledFunc {
    /// Types of the slots of its locals, parameters first. One without a type is of a local that compiled code leaves alone:
    /// it is zero.
    pub locals: Vec<Option<Num>>,
    /// By slot, whether it is a float that is never a NaN but the canonical one: compiled code relies on it.
    pub made: Vec<bool>,
    /// Whether a local goes to its slot of the frame whenever it is set, and not only when the frame is left.
    pub written_through: bool,
    /// How many of them are parameters; each has a type.
    pub params: u32,
    /// Types of its results.
    pub results: Vec<Num>,
    /// Bytes of its frames.
    pub frame: u32,
}
