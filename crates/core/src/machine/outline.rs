//! Instructions that both engines execute by one function, out of the fast engine's line: those on vectors, and the loads
//! and stores of memories other than the first.

use super::memory::{load, store};
use crate::code::Outline;
use crate::numeric::{Slot, vector as n};
use crate::op::{Op, for_each_op, for_each_vector_op};
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

macro_rules! define_scalar {
    (
        unary { $($un:ident $un_name:literal $un_fn:ident;)* }
        binary { $($bin:ident $bin_wide:ident $bin_name:literal $bin_fn:ident;)* }
        int_binary { $($ib:ident $ib_imm:ident $ib_wide:ident $ib_name:literal $ib_fn:ident;)* }
        int_compare { $($ic:ident $ic_imm:ident $ic_br:ident $ic_bri:ident $ic_not:ident $ic_noti:ident $ic_name:literal $ic_fn:ident;)* }
        float_compare { $($fc:ident $fc_br:ident $fc_not:ident $fc_name:literal $fc_fn:ident;)* }
        try_unary { $($tu:ident $tu_name:literal $tu_fn:ident;)* }
        try_int_binary { $($tb:ident $tb_imm:ident $tb_name:literal $tb_fn:ident;)* }
        load { $($ld:ident $ld_far:ident $ld_plus:ident $ld_at:ident $ld_name:literal $ld_mem:ident $ld_ext:ident $ld_val:ident;)* }
        store { $($st:ident $st_far:ident $st_imm:ident $st_plus:ident $st_at:ident $st_name:literal $st_mem:ident;)* }
        other { $($ot:ident $ot_name:literal;)* }
    ) => {
        /// What the load of a scalar makes of the bytes that it reads.
        fn scalar(op: Op, bits: u64) -> u64 {
            match op {
                $(Op::$ld => Slot::to_slot(bits as $ld_mem as $ld_ext as $ld_val),)*
                _ => unreachable!("BUG: {} is no load of a scalar", op.mnemonic()),
            }
        }
    };
}
for_each_op!(define_scalar);

macro_rules! define_vector {
    (
        vector_unary { $($vu:ident $vu_name:literal $vu_code:literal $vu_fn:ident;)* }
        vector_binary { $($vb:ident $vb_name:literal $vb_code:literal $vb_fn:ident;)* }
        vector_ternary { $($vt:ident $vt_name:literal $vt_code:literal $vt_fn:ident;)* }
        vector_shift { $($vs:ident $vs_name:literal $vs_code:literal $vs_fn:ident;)* }
        vector_test { $($vq:ident $vq_name:literal $vq_code:literal $vq_fn:ident;)* }
        vector_splat { $($vp:ident $vp_name:literal $vp_code:literal $vp_fn:ident $vp_ty:ident;)* }
        vector_extract { $($ve:ident $ve_name:literal $ve_code:literal $ve_fn:ident;)* }
        vector_replace { $($vr:ident $vr_name:literal $vr_code:literal $vr_fn:ident $vr_ty:ident;)* }
        vector_load { $($vl:ident $vl_name:literal $vl_code:literal $vl_fn:ident $vl_bytes:literal;)* }
        vector_load_lane { $($vll:ident $vll_name:literal $vll_code:literal $vll_fn:ident $vll_bytes:literal;)* }
        vector_store_lane { $($vsl:ident $vsl_name:literal $vsl_code:literal $vsl_fn:ident $vsl_bytes:literal;)* }
        vector_other { $($vo:ident $vo_name:literal $vo_code:literal;)* }
    ) => {
        /// Executes an instruction that accesses no memory on its operands, each zero-extended; the result likewise.
        pub(crate) fn compute(what: &Outline, a: u128, b: u128, c: u128) -> u128 {
            match what.op {
                $(Op::$vu => n::$vu_fn(a),)*
                $(Op::$vb => n::$vb_fn(a, b),)*
                $(Op::$vt => n::$vt_fn(a, b, c),)*
                $(Op::$vs => n::$vs_fn(a, b as u32),)*
                $(Op::$vq => n::$vq_fn(a).into(),)*
                $(Op::$vp => n::$vp_fn(a as $vp_ty),)*
                $(Op::$ve => n::$ve_fn(a, what.lane).into(),)*
                $(Op::$vr => n::$vr_fn(a, b as $vr_ty, what.lane),)*
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
                    $(Op::$vsl => n::$vsl_fn(value, what.lane).into(),)*
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
                $(Op::$vl => n::$vl_fn(bits as u64),)*
                $(Op::$vll => n::$vll_fn(value, bits as u64, what.lane),)*
                op => scalar(op, bits as u64).into(),
            })
        }
    };
}
for_each_vector_op!(define_vector);
