//! The one table of instructions. A row names an instruction, its mnemonic (which is also its key in a gas schedule) and,
//! for numeric ones, the pure function that gives it its meaning; the enums of both engines, their dispatch, the fused
//! forms and the printer are generated from the rows. Adding an instruction is adding a row. Vector instructions have a
//! table of their own, `vector`.

mod instr;
mod vector;

pub use instr::{FREE_CARRIED, Instr};
pub(crate) use vector::for_each_vector_op;

use stepmark_op_rules::op_rules;

/// Calls `$mac!` with all rows, grouped by shape:
/// - `unary`: variant, mnemonic, function of [`crate::numeric`];
/// - `try_unary`: the same, where the function may trap;
/// - `binary`: also the form whose right operand is a constant of 64 bits;
/// - `int_binary`: before that one also the form with an immediate of 16 bits; `try_int_binary`: only the latter;
/// - `int_compare`: variant, immediate form, fused branch, fused branch with immediate, then the two branches on the
///   opposite outcome;
/// - `float_compare`: variant, branch if true, branch if not true (not the opposite comparison: NaN);
/// - `load`: variant, far form (offset over 16 bits), the forms with address `a + imm` and `a + (b << k)`, mnemonic, type
///   in memory, type it is extended as, its unsigned type;
/// - `store`: variant, far form, the form whose value is an immediate, the two forms of address, mnemonic, type in memory;
/// - `other`: everything that each engine writes out by hand.
macro_rules! for_each_op {
    ($mac:ident $($extra:tt)*) => {
        $mac! {
            $($extra)*
            unary {
                I32Clz "i32.clz" i32_clz;
                I32Ctz "i32.ctz" i32_ctz;
                I32Popcnt "i32.popcnt" i32_popcnt;
                I32Extend8S "i32.extend8_s" i32_extend8_s;
                I32Extend16S "i32.extend16_s" i32_extend16_s;
                I32Eqz "i32.eqz" i32_eqz;
                I64Clz "i64.clz" i64_clz;
                I64Ctz "i64.ctz" i64_ctz;
                I64Popcnt "i64.popcnt" i64_popcnt;
                I64Extend8S "i64.extend8_s" i64_extend8_s;
                I64Extend16S "i64.extend16_s" i64_extend16_s;
                I64Extend32S "i64.extend32_s" i64_extend32_s;
                I64Eqz "i64.eqz" i64_eqz;
                F32Abs "f32.abs" f32_abs;
                F32Neg "f32.neg" f32_neg;
                F32Ceil "f32.ceil" f32_ceil;
                F32Floor "f32.floor" f32_floor;
                F32Trunc "f32.trunc" f32_trunc;
                F32Nearest "f32.nearest" f32_nearest;
                F32Sqrt "f32.sqrt" f32_sqrt;
                F64Abs "f64.abs" f64_abs;
                F64Neg "f64.neg" f64_neg;
                F64Ceil "f64.ceil" f64_ceil;
                F64Floor "f64.floor" f64_floor;
                F64Trunc "f64.trunc" f64_trunc;
                F64Nearest "f64.nearest" f64_nearest;
                F64Sqrt "f64.sqrt" f64_sqrt;
                I32WrapI64 "i32.wrap_i64" i32_wrap_i64;
                I64ExtendI32S "i64.extend_i32_s" i64_extend_i32_s;
                I64ExtendI32U "i64.extend_i32_u" i64_extend_i32_u;
                F32DemoteF64 "f32.demote_f64" f32_demote_f64;
                F64PromoteF32 "f64.promote_f32" f64_promote_f32;
                I32ReinterpretF32 "i32.reinterpret_f32" reinterpret;
                I64ReinterpretF64 "i64.reinterpret_f64" reinterpret;
                F32ReinterpretI32 "f32.reinterpret_i32" reinterpret;
                F64ReinterpretI64 "f64.reinterpret_i64" reinterpret;
                F32ConvertI32S "f32.convert_i32_s" f32_convert_i32_s;
                F32ConvertI32U "f32.convert_i32_u" f32_convert_i32_u;
                F32ConvertI64S "f32.convert_i64_s" f32_convert_i64_s;
                F32ConvertI64U "f32.convert_i64_u" f32_convert_i64_u;
                F64ConvertI32S "f64.convert_i32_s" f64_convert_i32_s;
                F64ConvertI32U "f64.convert_i32_u" f64_convert_i32_u;
                F64ConvertI64S "f64.convert_i64_s" f64_convert_i64_s;
                F64ConvertI64U "f64.convert_i64_u" f64_convert_i64_u;
                I32TruncSatF32S "i32.trunc_sat_f32_s" i32_trunc_sat_f32_s;
                I32TruncSatF32U "i32.trunc_sat_f32_u" i32_trunc_sat_f32_u;
                I32TruncSatF64S "i32.trunc_sat_f64_s" i32_trunc_sat_f64_s;
                I32TruncSatF64U "i32.trunc_sat_f64_u" i32_trunc_sat_f64_u;
                I64TruncSatF32S "i64.trunc_sat_f32_s" i64_trunc_sat_f32_s;
                I64TruncSatF32U "i64.trunc_sat_f32_u" i64_trunc_sat_f32_u;
                I64TruncSatF64S "i64.trunc_sat_f64_s" i64_trunc_sat_f64_s;
                I64TruncSatF64U "i64.trunc_sat_f64_u" i64_trunc_sat_f64_u;
            }
            binary {
                F32Add F32AddWide "f32.add" f32_add;
                F32Sub F32SubWide "f32.sub" f32_sub;
                F32Mul F32MulWide "f32.mul" f32_mul;
                F32Div F32DivWide "f32.div" f32_div;
                F32Min F32MinWide "f32.min" f32_min;
                F32Max F32MaxWide "f32.max" f32_max;
                F32Copysign F32CopysignWide "f32.copysign" f32_copysign;
                F64Add F64AddWide "f64.add" f64_add;
                F64Sub F64SubWide "f64.sub" f64_sub;
                F64Mul F64MulWide "f64.mul" f64_mul;
                F64Div F64DivWide "f64.div" f64_div;
                F64Min F64MinWide "f64.min" f64_min;
                F64Max F64MaxWide "f64.max" f64_max;
                F64Copysign F64CopysignWide "f64.copysign" f64_copysign;
            }
            int_binary {
                I32Add I32AddImm I32AddWide "i32.add" i32_add;
                I32Sub I32SubImm I32SubWide "i32.sub" i32_sub;
                I32Mul I32MulImm I32MulWide "i32.mul" i32_mul;
                I32And I32AndImm I32AndWide "i32.and" i32_and;
                I32Or I32OrImm I32OrWide "i32.or" i32_or;
                I32Xor I32XorImm I32XorWide "i32.xor" i32_xor;
                I32Shl I32ShlImm I32ShlWide "i32.shl" i32_shl;
                I32ShrS I32ShrSImm I32ShrSWide "i32.shr_s" i32_shr_s;
                I32ShrU I32ShrUImm I32ShrUWide "i32.shr_u" i32_shr_u;
                I32Rotl I32RotlImm I32RotlWide "i32.rotl" i32_rotl;
                I32Rotr I32RotrImm I32RotrWide "i32.rotr" i32_rotr;
                I64Add I64AddImm I64AddWide "i64.add" i64_add;
                I64Sub I64SubImm I64SubWide "i64.sub" i64_sub;
                I64Mul I64MulImm I64MulWide "i64.mul" i64_mul;
                I64And I64AndImm I64AndWide "i64.and" i64_and;
                I64Or I64OrImm I64OrWide "i64.or" i64_or;
                I64Xor I64XorImm I64XorWide "i64.xor" i64_xor;
                I64Shl I64ShlImm I64ShlWide "i64.shl" i64_shl;
                I64ShrS I64ShrSImm I64ShrSWide "i64.shr_s" i64_shr_s;
                I64ShrU I64ShrUImm I64ShrUWide "i64.shr_u" i64_shr_u;
                I64Rotl I64RotlImm I64RotlWide "i64.rotl" i64_rotl;
                I64Rotr I64RotrImm I64RotrWide "i64.rotr" i64_rotr;
            }
            int_compare {
                I32Eq I32EqImm BrI32Eq BrI32EqImm BrI32Ne BrI32NeImm "i32.eq" i32_eq;
                I32Ne I32NeImm BrI32Ne BrI32NeImm BrI32Eq BrI32EqImm "i32.ne" i32_ne;
                I32LtS I32LtSImm BrI32LtS BrI32LtSImm BrI32GeS BrI32GeSImm "i32.lt_s" i32_lt_s;
                I32GeS I32GeSImm BrI32GeS BrI32GeSImm BrI32LtS BrI32LtSImm "i32.ge_s" i32_ge_s;
                I32LtU I32LtUImm BrI32LtU BrI32LtUImm BrI32GeU BrI32GeUImm "i32.lt_u" i32_lt_u;
                I32GeU I32GeUImm BrI32GeU BrI32GeUImm BrI32LtU BrI32LtUImm "i32.ge_u" i32_ge_u;
                I32GtS I32GtSImm BrI32GtS BrI32GtSImm BrI32LeS BrI32LeSImm "i32.gt_s" i32_gt_s;
                I32LeS I32LeSImm BrI32LeS BrI32LeSImm BrI32GtS BrI32GtSImm "i32.le_s" i32_le_s;
                I32GtU I32GtUImm BrI32GtU BrI32GtUImm BrI32LeU BrI32LeUImm "i32.gt_u" i32_gt_u;
                I32LeU I32LeUImm BrI32LeU BrI32LeUImm BrI32GtU BrI32GtUImm "i32.le_u" i32_le_u;
                I64Eq I64EqImm BrI64Eq BrI64EqImm BrI64Ne BrI64NeImm "i64.eq" i64_eq;
                I64Ne I64NeImm BrI64Ne BrI64NeImm BrI64Eq BrI64EqImm "i64.ne" i64_ne;
                I64LtS I64LtSImm BrI64LtS BrI64LtSImm BrI64GeS BrI64GeSImm "i64.lt_s" i64_lt_s;
                I64GeS I64GeSImm BrI64GeS BrI64GeSImm BrI64LtS BrI64LtSImm "i64.ge_s" i64_ge_s;
                I64LtU I64LtUImm BrI64LtU BrI64LtUImm BrI64GeU BrI64GeUImm "i64.lt_u" i64_lt_u;
                I64GeU I64GeUImm BrI64GeU BrI64GeUImm BrI64LtU BrI64LtUImm "i64.ge_u" i64_ge_u;
                I64GtS I64GtSImm BrI64GtS BrI64GtSImm BrI64LeS BrI64LeSImm "i64.gt_s" i64_gt_s;
                I64LeS I64LeSImm BrI64LeS BrI64LeSImm BrI64GtS BrI64GtSImm "i64.le_s" i64_le_s;
                I64GtU I64GtUImm BrI64GtU BrI64GtUImm BrI64LeU BrI64LeUImm "i64.gt_u" i64_gt_u;
                I64LeU I64LeUImm BrI64LeU BrI64LeUImm BrI64GtU BrI64GtUImm "i64.le_u" i64_le_u;
            }
            float_compare {
                F32Eq BrF32Eq BrNotF32Eq "f32.eq" f32_eq;
                F32Ne BrF32Ne BrNotF32Ne "f32.ne" f32_ne;
                F32Lt BrF32Lt BrNotF32Lt "f32.lt" f32_lt;
                F32Gt BrF32Gt BrNotF32Gt "f32.gt" f32_gt;
                F32Le BrF32Le BrNotF32Le "f32.le" f32_le;
                F32Ge BrF32Ge BrNotF32Ge "f32.ge" f32_ge;
                F64Eq BrF64Eq BrNotF64Eq "f64.eq" f64_eq;
                F64Ne BrF64Ne BrNotF64Ne "f64.ne" f64_ne;
                F64Lt BrF64Lt BrNotF64Lt "f64.lt" f64_lt;
                F64Gt BrF64Gt BrNotF64Gt "f64.gt" f64_gt;
                F64Le BrF64Le BrNotF64Le "f64.le" f64_le;
                F64Ge BrF64Ge BrNotF64Ge "f64.ge" f64_ge;
            }
            try_unary {
                I32TruncF32S "i32.trunc_f32_s" i32_trunc_f32_s;
                I32TruncF32U "i32.trunc_f32_u" i32_trunc_f32_u;
                I32TruncF64S "i32.trunc_f64_s" i32_trunc_f64_s;
                I32TruncF64U "i32.trunc_f64_u" i32_trunc_f64_u;
                I64TruncF32S "i64.trunc_f32_s" i64_trunc_f32_s;
                I64TruncF32U "i64.trunc_f32_u" i64_trunc_f32_u;
                I64TruncF64S "i64.trunc_f64_s" i64_trunc_f64_s;
                I64TruncF64U "i64.trunc_f64_u" i64_trunc_f64_u;
            }
            try_int_binary {
                I32DivS I32DivSImm "i32.div_s" i32_div_s;
                I32DivU I32DivUImm "i32.div_u" i32_div_u;
                I32RemS I32RemSImm "i32.rem_s" i32_rem_s;
                I32RemU I32RemUImm "i32.rem_u" i32_rem_u;
                I64DivS I64DivSImm "i64.div_s" i64_div_s;
                I64DivU I64DivUImm "i64.div_u" i64_div_u;
                I64RemS I64RemSImm "i64.rem_s" i64_rem_s;
                I64RemU I64RemUImm "i64.rem_u" i64_rem_u;
            }
            load {
                I32Load I32LoadFar I32LoadPlus I32LoadAt "i32.load" u32 u32 u32;
                I64Load I64LoadFar I64LoadPlus I64LoadAt "i64.load" u64 u64 u64;
                F32Load F32LoadFar F32LoadPlus F32LoadAt "f32.load" u32 u32 u32;
                F64Load F64LoadFar F64LoadPlus F64LoadAt "f64.load" u64 u64 u64;
                I32Load8S I32Load8SFar I32Load8SPlus I32Load8SAt "i32.load8_s" i8 i32 u32;
                I32Load8U I32Load8UFar I32Load8UPlus I32Load8UAt "i32.load8_u" u8 u32 u32;
                I32Load16S I32Load16SFar I32Load16SPlus I32Load16SAt "i32.load16_s" i16 i32 u32;
                I32Load16U I32Load16UFar I32Load16UPlus I32Load16UAt "i32.load16_u" u16 u32 u32;
                I64Load8S I64Load8SFar I64Load8SPlus I64Load8SAt "i64.load8_s" i8 i64 u64;
                I64Load8U I64Load8UFar I64Load8UPlus I64Load8UAt "i64.load8_u" u8 u64 u64;
                I64Load16S I64Load16SFar I64Load16SPlus I64Load16SAt "i64.load16_s" i16 i64 u64;
                I64Load16U I64Load16UFar I64Load16UPlus I64Load16UAt "i64.load16_u" u16 u64 u64;
                I64Load32S I64Load32SFar I64Load32SPlus I64Load32SAt "i64.load32_s" i32 i64 u64;
                I64Load32U I64Load32UFar I64Load32UPlus I64Load32UAt "i64.load32_u" u32 u64 u64;
            }
            store {
                I32Store I32StoreFar I32StoreImm I32StorePlus I32StoreAt "i32.store" u32;
                I64Store I64StoreFar I64StoreImm I64StorePlus I64StoreAt "i64.store" u64;
                F32Store F32StoreFar F32StoreImm F32StorePlus F32StoreAt "f32.store" u32;
                F64Store F64StoreFar F64StoreImm F64StorePlus F64StoreAt "f64.store" u64;
                I32Store8 I32Store8Far I32Store8Imm I32Store8Plus I32Store8At "i32.store8" u8;
                I32Store16 I32Store16Far I32Store16Imm I32Store16Plus I32Store16At "i32.store16" u16;
                I64Store8 I64Store8Far I64Store8Imm I64Store8Plus I64Store8At "i64.store8" u8;
                I64Store16 I64Store16Far I64Store16Imm I64Store16Plus I64Store16At "i64.store16" u16;
                I64Store32 I64Store32Far I64Store32Imm I64Store32Plus I64Store32At "i64.store32" u32;
            }
            other {
                Unreachable "unreachable";
                Nop "nop";
                Block "block";
                Loop "loop";
                If "if";
                Else "else";
                End "end";
                Br "br";
                BrIf "br_if";
                BrTable "br_table";
                Return "return";
                Call "call";
                CallIndirect "call_indirect";
                ReturnCall "return_call";
                ReturnCallIndirect "return_call_indirect";
                Drop "drop";
                Select "select";
                LocalGet "local.get";
                LocalSet "local.set";
                LocalTee "local.tee";
                GlobalGet "global.get";
                GlobalSet "global.set";
                I32Const "i32.const";
                I64Const "i64.const";
                F32Const "f32.const";
                F64Const "f64.const";
                TryTable "try_table";
                Throw "throw";
                ThrowRef "throw_ref";
                CallRef "call_ref";
                ReturnCallRef "return_call_ref";
                BrOnNull "br_on_null";
                BrOnNonNull "br_on_non_null";
                RefAsNonNull "ref.as_non_null";
                RefNull "ref.null";
                RefIsNull "ref.is_null";
                RefFunc "ref.func";
                MemorySize "memory.size";
                MemoryGrow "memory.grow";
                MemoryFill "memory.fill";
                MemoryCopy "memory.copy";
                MemoryInit "memory.init";
                DataDrop "data.drop";
                TableGet "table.get";
                TableSet "table.set";
                TableSize "table.size";
                TableGrow "table.grow";
                TableFill "table.fill";
                TableCopy "table.copy";
                TableInit "table.init";
                ElemDrop "elem.drop";
            }
        }
    };
}
pub(crate) use for_each_op;

macro_rules! with_vectors {
    ($mac:ident $($ops:tt)*) => { for_each_vector_op! { $mac $($ops)* } };
}

op_rules! {
define_op(scalar vector) {
    /// An instruction of the source program, without its immediates.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
    #[repr(u16)]
    #[allow(missing_docs, reason = "each variant is the instruction of that name")]
    pub enum Op {
        $($unary,)* $($binary,)* $($int_binary,)* $($int_compare,)* $($float_compare,)* $($try_unary,)*
        $($try_int_binary,)* $($load,)* $($store,)* $($other,)*
        $($vector_unary,)* $($vector_binary,)* $($vector_ternary,)* $($vector_shift,)* $($vector_test,)*
        $($vector_splat,)* $($vector_extract,)* $($vector_replace,)* $($vector_load,)* $($vector_load_lane,)*
        $($vector_store_lane,)* $($vector_other,)*
    }

    impl Op {
        /// Every instruction, in the order of the table.
        pub const ALL: &'static [Op] = &[
            $(Op::$unary,)* $(Op::$binary,)* $(Op::$int_binary,)* $(Op::$int_compare,)*
            $(Op::$float_compare,)* $(Op::$try_unary,)* $(Op::$try_int_binary,)* $(Op::$load,)*
            $(Op::$store,)*
            $(Op::$other,)*
            $(Op::$vector_unary,)* $(Op::$vector_binary,)* $(Op::$vector_ternary,)* $(Op::$vector_shift,)*
            $(Op::$vector_test,)* $(Op::$vector_splat,)* $(Op::$vector_extract,)* $(Op::$vector_replace,)*
            $(Op::$vector_load,)* $(Op::$vector_load_lane,)* $(Op::$vector_store_lane,)* $(Op::$vector_other,)*
        ];

        /// The name in the text format.
        pub const fn mnemonic(self) -> &'static str {
            match self {
                $(Op::$unary => $unary_name,)* $(Op::$binary => $binary_name,)*
                $(Op::$int_binary => $int_binary_name,)* $(Op::$int_compare => $int_compare_name,)*
                $(Op::$float_compare => $float_compare_name,)* $(Op::$try_unary => $try_unary_name,)*
                $(Op::$try_int_binary => $try_int_binary_name,)* $(Op::$load => $load_name,)*
                $(Op::$store => $store_name,)* $(Op::$other => $other_name,)*
                $(Op::$vector_unary => $vector_unary_name,)* $(Op::$vector_binary => $vector_binary_name,)*
                $(Op::$vector_ternary => $vector_ternary_name,)* $(Op::$vector_shift => $vector_shift_name,)*
                $(Op::$vector_test => $vector_test_name,)* $(Op::$vector_splat => $vector_splat_name,)*
                $(Op::$vector_extract => $vector_extract_name,)*
                $(Op::$vector_replace => $vector_replace_name,)*
                $(Op::$vector_load => $vector_load_name,)*
                $(Op::$vector_load_lane => $vector_load_lane_name,)*
                $(Op::$vector_store_lane => $vector_store_lane_name,)*
                $(Op::$vector_other => $vector_other_name,)*
            }
        }

        /// Slots taken from and put on the operand stack, for instructions where the table alone tells.
        pub fn fixed_arity(self) -> Option<(u32, u32)> {
            match self {
                $(Op::$unary)|* | $(Op::$try_unary)|* | $(Op::$load)|* => Some((1, 1)),
                $(Op::$binary)|* | $(Op::$int_binary)|* | $(Op::$int_compare)|* | $(Op::$float_compare)|* |
                $(Op::$try_int_binary)|* => Some((2, 1)),
                $(Op::$store)|* => Some((2, 0)),
                _ => self.shape().map(|shape| (shape.operands.iter().map(|n| u32::from(*n)).sum(), shape.result.into())),
            }
        }

        /// The slots of each operand and of the result, of an instruction that can be executed out of line.
        pub(crate) fn shape(self) -> Option<Shape> {
            let (operands, result) = match self {
                $(Op::$load)|* => ([1, 0, 0], 1),
                $(Op::$store)|* => ([1, 1, 0], 0),
                $(Op::$vector_unary)|* => ([2, 0, 0], 2),
                $(Op::$vector_binary)|* | Op::I8x16Shuffle => ([2, 2, 0], 2),
                $(Op::$vector_ternary)|* => ([2, 2, 2], 2),
                $(Op::$vector_shift)|* | $(Op::$vector_replace)|* => ([2, 1, 0], 2),
                $(Op::$vector_test)|* | $(Op::$vector_extract)|* => ([2, 0, 0], 1),
                $(Op::$vector_splat)|* | $(Op::$vector_load)|* | Op::V128Load => ([1, 0, 0], 2),
                $(Op::$vector_load_lane)|* => ([1, 2, 0], 2),
                $(Op::$vector_store_lane)|* | Op::V128Store => ([1, 2, 0], 0),
                Op::V128Const => ([0, 0, 0], 2),
                _ => return None,
            };
            Some(Shape { operands, result })
        }

        /// Whether this is a load or a store (its immediate is an offset).
        pub fn is_memory_access(self) -> bool {
            self.is_lane_access()
                || matches!(self, $(Op::$load)|* | $(Op::$store)|* | $(Op::$vector_load)|* | Op::V128Load | Op::V128Store)
        }

        /// Whether this is a load or a store of one lane of a vector.
        pub(crate) fn is_lane_access(self) -> bool {
            matches!(self, $(Op::$vector_load_lane)|* | $(Op::$vector_store_lane)|*)
        }

        /// Whether its one immediate is a lane.
        pub(crate) fn has_lane(self) -> bool {
            matches!(self, $(Op::$vector_extract)|* | $(Op::$vector_replace)|*)
        }

        /// Bytes that a load or store accesses.
        pub(crate) fn access_bytes(self) -> u8 {
            match self {
                $(Self::$load => size_of::<$load_mem>() as u8,)*
                $(Self::$store => size_of::<$store_mem>() as u8,)*
                _ => self.vector_access_bytes(),
            }
        }

        /// Bytes that a load or store of a vector, or of a part of one, accesses; 0 for other instructions.
        pub(crate) fn vector_access_bytes(self) -> u8 {
            match self {
                $(Op::$vector_load => $vector_load_bytes,)*
                $(Op::$vector_load_lane => $vector_load_lane_bytes,)*
                $(Op::$vector_store_lane => $vector_store_lane_bytes,)*
                Op::V128Load | Op::V128Store => 16,
                _ => 0,
            }
        }

        /// Whether it is an instruction on vectors.
        pub const fn is_vector(self) -> bool {
            self as u16 > LAST_SCALAR as u16
        }
    }
}
}
for_each_op!(with_vectors define_op);

/// How an instruction takes its operands and gives its result: slots of each, 0 for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) operands: [u8; 3],
    pub(crate) result: u8,
}

/// The last row of the table of scalar instructions; the vectors' follow.
const LAST_SCALAR: Op = Op::ElemDrop;

/// By [`Op`]: does its name begin with `i32`.
const IS_I32: [bool; Op::ALL.len()] = {
    let mut is_i32 = [false; Op::ALL.len()];
    let mut i = 0;
    while i < Op::ALL.len() {
        is_i32[Op::ALL[i] as usize] = matches!(Op::ALL[i].mnemonic().as_bytes(), [b'i', b'3', b'2', ..]);
        i += 1;
    }
    is_i32
};

impl Op {
    /// Whether it is an instruction of i32, by its name: its operands (the value of a store, too) and immediates are.
    pub(crate) fn is_i32(self) -> bool {
        IS_I32[self as usize]
    }

    /// The instruction with this mnemonic.
    pub fn from_mnemonic(name: &str) -> Option<Op> {
        Op::ALL.iter().copied().find(|op| op.mnemonic() == name)
    }
}
