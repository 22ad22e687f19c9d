//! Instructions that both engines execute by one function, out of the fast engine's line: those on vectors, and the loads
//! and stores that are not of a first memory with 32-bit addresses.

use super::memory::{load, store};
use crate::code::{Body, Instr, Op, Shape, for_each_op, for_each_vector_op};
use crate::numeric::{Slot, vector as n};
use crate::trap::Trap;

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
    /// A constant, or the lanes of a shuffle.
    pub constant: u128,
}

/// A linear memory and its dirty marks; both empty where there is none.
pub(crate) struct MemoryParts<'a> {
    pub(crate) bytes: &'a mut [u8],
    pub(crate) dirty: &'a mut [u8],
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
            constant: if has_constant { body.vectors[instr.imm as usize] } else { 0 },
        })
    }
}

/// Up to eight bytes at `address + offset`, zero-extended.
fn load_bytes(memory: &MemoryParts<'_>, address: u64, offset: u64, bytes: u8) -> Result<u64, Trap> {
    let bytes_of = &*memory.bytes;
    Ok(match bytes {
        1 => load::<1>(bytes_of, address, offset)?[0].into(),
        2 => u16::from_le_bytes(load(bytes_of, address, offset)?).into(),
        4 => u32::from_le_bytes(load(bytes_of, address, offset)?).into(),
        _ => u64::from_le_bytes(load(bytes_of, address, offset)?),
    })
}

/// Writes the lowest bytes of `value` at `address + offset`.
fn store_bytes(memory: MemoryParts<'_>, address: u64, offset: u64, bytes: u8, value: u64) -> Result<(), Trap> {
    let MemoryParts { bytes: bytes_of, dirty } = memory;
    match bytes {
        1 => store(bytes_of, dirty, address, offset, [value as u8]),
        2 => store(bytes_of, dirty, address, offset, (value as u16).to_le_bytes()),
        4 => store(bytes_of, dirty, address, offset, (value as u32).to_le_bytes()),
        _ => store(bytes_of, dirty, address, offset, value.to_le_bytes()),
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
        /// Executes a load or store of a scalar; a store gives 0.
        fn scalar(what: &Outline, [address, value]: [u64; 2], memory: MemoryParts<'_>) -> Result<u64, Trap> {
            match what.op {
                $(Op::$ld => {
                    let bits = load_bytes(&memory, address, what.offset, size_of::<$ld_mem>() as u8)?;
                    Ok(Slot::to_slot(bits as $ld_mem as $ld_ext as $ld_val))
                })*
                $(Op::$st => store_bytes(memory, address, what.offset, size_of::<$st_mem>() as u8, value).map(|()| 0),)*
                _ => unreachable!("BUG: {} is not executed out of line", what.op.mnemonic()),
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
        /// Executes an instruction on its operands, each zero-extended; the result likewise, 0 where there is none.
        ///
        /// # Errors
        /// The trap of a memory access, with nothing changed.
        pub(crate) fn execute(what: &Outline, [a, b, c]: [u128; 3], memory: MemoryParts<'_>) -> Result<u128, Trap> {
            let address = a as u64;
            let bytes = |bytes| load_bytes(&memory, address, what.offset, bytes);
            Ok(match what.op {
                $(Op::$vu => n::$vu_fn(a),)*
                $(Op::$vb => n::$vb_fn(a, b),)*
                $(Op::$vt => n::$vt_fn(a, b, c),)*
                $(Op::$vs => n::$vs_fn(a, b as u32),)*
                $(Op::$vq => n::$vq_fn(a).into(),)*
                $(Op::$vp => n::$vp_fn(a as $vp_ty),)*
                $(Op::$ve => n::$ve_fn(a, what.lane).into(),)*
                $(Op::$vr => n::$vr_fn(a, b as $vr_ty, what.lane),)*
                $(Op::$vl => n::$vl_fn(bytes($vl_bytes)?),)*
                $(Op::$vll => n::$vll_fn(b, bytes($vll_bytes)?, what.lane),)*
                $(Op::$vsl => {
                    let lane = n::$vsl_fn(b, what.lane);
                    return store_bytes(memory, address, what.offset, $vsl_bytes, lane).map(|()| 0);
                })*
                Op::V128Const => what.constant,
                Op::I8x16Shuffle => n::i8x16_shuffle(a, b, what.constant),
                Op::V128Load => u128::from_le_bytes(load(memory.bytes, address, what.offset)?),
                Op::V128Store => {
                    store(memory.bytes, memory.dirty, address, what.offset, b.to_le_bytes())?;
                    0
                }
                _ => scalar(what, [address, b as u64], memory)?.into(),
            })
        }
    };
}
for_each_vector_op!(define_vector);
