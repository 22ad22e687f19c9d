//! Instructions that both engines execute by one function, out of the fast engine's line: those on vectors, and the loads
//! and stores of memories other than the first.

use super::memory::{load, store};
use crate::code::Outline;
use crate::numeric::{Slot, vector as n};
use crate::op::{Op, for_each_op, for_each_vector_op};
use stepmark_op_rules::op_rules;
use stepmark_state::trap::Trap;

/// A linear memory and its dirty marks.
pub(crate) struct MemoryParts<'a> {
    pub(crate) bytes: &'a mut [u8],
    pub(crate) dirty: &'a mut [u8],
}

/// The bytes at `address + offset`, zero-extended.
fn load_bytes(what: &Outline, address: u64, memory: &[u8]) -> Result<u128, Trap> {
    let offset = what.offset;
    Ok(match what.bytes {
        1 => load::<1>(memory, address, offset)?[0].into(),
        2 => u16::from_le_bytes(load(memory, address, offset)?).into(),
        4 => u32::from_le_bytes(load(memory, address, offset)?).into(),
        8 => u64::from_le_bytes(load(memory, address, offset)?).into(),
        _ => u128::from_le_bytes(load(memory, address, offset)?),
    })
}

/// Writes the lowest bytes of `value` at `address + offset`.
fn store_bytes(what: &Outline, address: u64, value: u128, memory: &mut [u8], dirty: &mut [u8]) -> Result<(), Trap> {
    let offset = what.offset;
    match what.bytes {
        1 => store(memory, dirty, address, offset, [value as u8]),
        2 => store(memory, dirty, address, offset, (value as u16).to_le_bytes()),
        4 => store(memory, dirty, address, offset, (value as u32).to_le_bytes()),
        8 => store(memory, dirty, address, offset, (value as u64).to_le_bytes()),
        _ => store(memory, dirty, address, offset, value.to_le_bytes()),
    }
}

op_rules! {
define_scalar(scalar) {
    /// What the load of a scalar makes of the bytes that it reads.
    fn scalar(op: Op, bits: u64) -> u64 {
        match op {
            $(Op::$load => Slot::to_slot(bits as $load_mem as $load_ext as $load_val),)*
            _ => unreachable!("BUG: {} is no load of a scalar", op.mnemonic()),
        }
    }
}
}
for_each_op!(define_scalar);

op_rules! {
define_vector(vector) {
    /// Executes an instruction that accesses no memory on its operands, each zero-extended; the result likewise.
    pub(crate) fn compute(what: &Outline, a: u128, b: u128, c: u128) -> u128 {
        match what.op {
            $(Op::$vector_unary => n::$vector_unary_fn(a),)*
            $(Op::$vector_binary => n::$vector_binary_fn(a, b),)*
            $(Op::$vector_ternary => n::$vector_ternary_fn(a, b, c),)*
            $(Op::$vector_shift => n::$vector_shift_fn(a, b as u32),)*
            $(Op::$vector_test => n::$vector_test_fn(a).into(),)*
            $(Op::$vector_splat => n::$vector_splat_fn(a as $vector_splat_ty),)*
            $(Op::$vector_extract => n::$vector_extract_fn(a, what.lane).into(),)*
            $(Op::$vector_replace => n::$vector_replace_fn(a, b as $vector_replace_ty, what.lane),)*
            Op::V128Const => what.constant,
            Op::I8x16Shuffle => n::i8x16_shuffle(a, b, what.constant),
            _ => unreachable!("BUG: {} is not executed out of line", what.op.mnemonic()),
        }
    }

    /// Executes a load or store; `value` is its second operand, zero-extended. A store gives 0.
    ///
    /// # Errors
    /// The trap of the access, with nothing changed.
    pub(crate) fn access(
        what: &Outline,
        address: u64,
        value: u128,
        memory: &mut [u8],
        dirty: &mut [u8],
    ) -> Result<u128, Trap> {
        if what.shape.result == 0 {
            let value = match what.op {
                $(Op::$vector_store_lane => n::$vector_store_lane_fn(value, what.lane).into(),)*
                _ => value,
            };
            return store_bytes(what, address, value, memory, dirty).map(|()| 0);
        }
        let bits = load_bytes(what, address, memory)?;
        if what.op == Op::V128Load {
            // By far the most frequent.
            return Ok(bits);
        }
        Ok(match what.op {
            $(Op::$vector_load => n::$vector_load_fn(bits as u64),)*
            $(Op::$vector_load_lane => n::$vector_load_lane_fn(value, bits as u64, what.lane),)*
            op => scalar(op, bits as u64).into(),
        })
    }
}
}
for_each_vector_op!(define_vector);
