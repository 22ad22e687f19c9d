//! The table of fused instructions: pairs of instructions of which the second reads the result of the first and nothing
//! else does. Each row stands for one dispatch less where its pair runs. Rows are chosen by `cargo xtask ngrams` over the
//! benchmark programs; RATIONALE.md lists what the sections gained. Meaning comes from the two rows of the op table.

/// Calls `$mac!` with the rows of the op table and those of this one:
/// - `fused`: `(a first b) second c`;
/// - `fused_right`: `c second (a first b)`, where the order matters;
/// - `fused_imm`: `(a first imm) second c`;
/// - `fused_by_imm`: `(a first b) second imm`;
/// - `fused_imms`: `(a first imm) second imm`;
/// - `load_then`: `load(a + off) second c`; row: name, load, second, then the load's types and the second's function;
/// - `load_before`: `c second load(a + off)`;
/// - `load_plus_then`: `load((a + imm) + off) second c`, in the same columns;
/// - `then_store`: `store(a + off, x first y)`; row: name, first, store, the first's function, type in memory;
/// - `step`: `a = a + imm`, then a branch comparing `a` with a slot, or with an immediate; row: both names, the branches,
///   width, the functions.
macro_rules! for_each_inst {
    ($mac:ident) => {
        $crate::code::for_each_op! { append_fused $mac }
    };
}
pub(crate) use for_each_inst;

macro_rules! append_fused {
    ($mac:ident $($ops:tt)*) => {
        $mac! {
            $($ops)*
            fused {
                I32AddAdd I32Add I32Add i32_add i32_add;
                I32AddMul I32Add I32Mul i32_add i32_mul;
                I32MulAdd I32Mul I32Add i32_mul i32_add;
                I32AndAdd I32And I32Add i32_and i32_add;
                I32AndOr I32And I32Or i32_and i32_or;
                I32AndXor I32And I32Xor i32_and i32_xor;
                I32XorAnd I32Xor I32And i32_xor i32_and;
                I32XorXor I32Xor I32Xor i32_xor i32_xor;
                I32XorAdd I32Xor I32Add i32_xor i32_add;
                I32OrOr I32Or I32Or i32_or i32_or;
                I32SubAdd I32Sub I32Add i32_sub i32_add;
                I64AddAdd I64Add I64Add i64_add i64_add;
                I64AddXor I64Add I64Xor i64_add i64_xor;
                I64MulAdd I64Mul I64Add i64_mul i64_add;
                I64AndMul I64And I64Mul i64_and i64_mul;
                I64AndXor I64And I64Xor i64_and i64_xor;
                I64XorAnd I64Xor I64And i64_xor i64_and;
                I64XorXor I64Xor I64Xor i64_xor i64_xor;
                I64OrOr I64Or I64Or i64_or i64_or;
                F32AddAdd F32Add F32Add f32_add_any f32_add;
                F32AddMul F32Add F32Mul f32_add_any f32_mul;
                F32SubMul F32Sub F32Mul f32_sub_any f32_mul;
                F32MulAdd F32Mul F32Add f32_mul_any f32_add;
                F32MulMul F32Mul F32Mul f32_mul_any f32_mul;
                F32MulSub F32Mul F32Sub f32_mul_any f32_sub;
                F64AddAdd F64Add F64Add f64_add_any f64_add;
                F64AddMul F64Add F64Mul f64_add_any f64_mul;
                F64SubAdd F64Sub F64Add f64_sub_any f64_add;
                F64SubMul F64Sub F64Mul f64_sub_any f64_mul;
                F64MulAdd F64Mul F64Add f64_mul_any f64_add;
                F64MulMul F64Mul F64Mul f64_mul_any f64_mul;
                F64MulSub F64Mul F64Sub f64_mul_any f64_sub;
                F64DivMul F64Div F64Mul f64_div_any f64_mul;
            }
            fused_right {
                I32SubMul I32Mul I32Sub i32_mul i32_sub;
                F32SubTheMul F32Mul F32Sub f32_mul_any f32_sub;
                F64SubTheMul F64Mul F64Sub f64_mul_any f64_sub;
            }
            fused_imm {
                I32AddImmAdd I32AddImm I32Add i32_add i32_add;
                I32MulImmAdd I32MulImm I32Add i32_mul i32_add;
                I32AndImmAdd I32AndImm I32Add i32_and i32_add;
                I32ShlImmAdd I32ShlImm I32Add i32_shl i32_add;
                I32ShlImmOr I32ShlImm I32Or i32_shl i32_or;
                I32ShlImmXor I32ShlImm I32Xor i32_shl i32_xor;
                I32ShrUImmAdd I32ShrUImm I32Add i32_shr_u i32_add;
                I32ShrUImmOr I32ShrUImm I32Or i32_shr_u i32_or;
                I32ShrUImmXor I32ShrUImm I32Xor i32_shr_u i32_xor;
                I32RotlImmAdd I32RotlImm I32Add i32_rotl i32_add;
                I32RotlImmXor I32RotlImm I32Xor i32_rotl i32_xor;
                I64AddImmAdd I64AddImm I64Add i64_add i64_add;
                I64ShlImmAdd I64ShlImm I64Add i64_shl i64_add;
                I64ShlImmOr I64ShlImm I64Or i64_shl i64_or;
                I64ShlImmXor I64ShlImm I64Xor i64_shl i64_xor;
                I64ShrUImmAdd I64ShrUImm I64Add i64_shr_u i64_add;
                I64ShrUImmOr I64ShrUImm I64Or i64_shr_u i64_or;
                I64ShrUImmXor I64ShrUImm I64Xor i64_shr_u i64_xor;
                I64RotlImmAdd I64RotlImm I64Add i64_rotl i64_add;
                I64RotlImmXor I64RotlImm I64Xor i64_rotl i64_xor;
            }
            fused_by_imm {
                I32AddAddImm I32Add I32AddImm i32_add i32_add;
                I32AddAndImm I32Add I32AndImm i32_add i32_and;
                I32AddShrUImm I32Add I32ShrUImm i32_add i32_shr_u;
                I32SubAddImm I32Sub I32AddImm i32_sub i32_add;
                I32MulAddImm I32Mul I32AddImm i32_mul i32_add;
                I32MulShrUImm I32Mul I32ShrUImm i32_mul i32_shr_u;
                I32XorAndImm I32Xor I32AndImm i32_xor i32_and;
                I32XorRotlImm I32Xor I32RotlImm i32_xor i32_rotl;
                I64AddAddImm I64Add I64AddImm i64_add i64_add;
                I64MulShrUImm I64Mul I64ShrUImm i64_mul i64_shr_u;
                I64XorRotlImm I64Xor I64RotlImm i64_xor i64_rotl;
            }
            fused_imms {
                I32AddImmAndImm I32AddImm I32AndImm i32_add i32_and;
                I32MulImmAddImm I32MulImm I32AddImm i32_mul i32_add;
                I32AndImmShlImm I32AndImm I32ShlImm i32_and i32_shl;
                I32ShlImmAddImm I32ShlImm I32AddImm i32_shl i32_add;
                I32ShrUImmAndImm I32ShrUImm I32AndImm i32_shr_u i32_and;
                I32ShlImmShrSImm I32ShlImm I32ShrSImm i32_shl i32_shr_s;
                I64ShrUImmAndImm I64ShrUImm I64AndImm i64_shr_u i64_and;
            }
            load_then {
                I32LoadAdd I32Load I32Add u32 u32 u32 i32_add;
                I32LoadSub I32Load I32Sub u32 u32 u32 i32_sub;
                I32LoadMul I32Load I32Mul u32 u32 u32 i32_mul;
                I32LoadXor I32Load I32Xor u32 u32 u32 i32_xor;
                I32Load8UAdd I32Load8U I32Add u8 u32 u32 i32_add;
                I32Load8UXor I32Load8U I32Xor u8 u32 u32 i32_xor;
                I32Load8UEq I32Load8U I32Eq u8 u32 u32 i32_eq;
                I64LoadAdd I64Load I64Add u64 u64 u64 i64_add;
                I64LoadXor I64Load I64Xor u64 u64 u64 i64_xor;
                F32LoadAdd F32Load F32Add u32 u32 u32 f32_add;
                F32LoadSub F32Load F32Sub u32 u32 u32 f32_sub;
                F32LoadMul F32Load F32Mul u32 u32 u32 f32_mul;
                F64LoadAdd F64Load F64Add u64 u64 u64 f64_add;
                F64LoadSub F64Load F64Sub u64 u64 u64 f64_sub;
                F64LoadMul F64Load F64Mul u64 u64 u64 f64_mul;
            }
            load_before {
                I32SubLoad I32Load I32Sub u32 u32 u32 i32_sub;
                F32SubLoad F32Load F32Sub u32 u32 u32 f32_sub;
                F64SubLoad F64Load F64Sub u64 u64 u64 f64_sub;
                F64DivLoad F64Load F64Div u64 u64 u64 f64_div;
            }
            load_plus_then {
                I32LoadPlusAdd I32LoadPlus I32Add u32 u32 u32 i32_add;
                I32LoadPlusMul I32LoadPlus I32Mul u32 u32 u32 i32_mul;
                I32LoadPlusXor I32LoadPlus I32Xor u32 u32 u32 i32_xor;
                I32Load8UPlusEq I32Load8UPlus I32Eq u8 u32 u32 i32_eq;
                I32Load8UPlusXor I32Load8UPlus I32Xor u8 u32 u32 i32_xor;
                I64LoadPlusAdd I64LoadPlus I64Add u64 u64 u64 i64_add;
                I64LoadPlusXor I64LoadPlus I64Xor u64 u64 u64 i64_xor;
                F32LoadPlusAdd F32LoadPlus F32Add u32 u32 u32 f32_add;
                F32LoadPlusMul F32LoadPlus F32Mul u32 u32 u32 f32_mul;
                F64LoadPlusAdd F64LoadPlus F64Add u64 u64 u64 f64_add;
                F64LoadPlusMul F64LoadPlus F64Mul u64 u64 u64 f64_mul;
                F64LoadPlusSub F64LoadPlus F64Sub u64 u64 u64 f64_sub;
            }
            then_store {
                I32AddStore I32Add I32Store i32_add u32;
                I32SubStore I32Sub I32Store i32_sub u32;
                I32XorStore I32Xor I32Store i32_xor u32;
                I64AddStore I64Add I64Store i64_add u64;
                I64XorStore I64Xor I64Store i64_xor u64;
                F32AddStore F32Add F32Store f32_add u32;
                F32MulStore F32Mul F32Store f32_mul u32;
                F64AddStore F64Add F64Store f64_add u64;
                F64SubStore F64Sub F64Store f64_sub u64;
                F64MulStore F64Mul F64Store f64_mul u64;
            }
            step {
                StepI32Eq StepI32EqImm BrI32Eq BrI32EqImm I32AddImm i32_add i32_eq;
                StepI32Ne StepI32NeImm BrI32Ne BrI32NeImm I32AddImm i32_add i32_ne;
                StepI32LtS StepI32LtSImm BrI32LtS BrI32LtSImm I32AddImm i32_add i32_lt_s;
                StepI32LtU StepI32LtUImm BrI32LtU BrI32LtUImm I32AddImm i32_add i32_lt_u;
                StepI32GtS StepI32GtSImm BrI32GtS BrI32GtSImm I32AddImm i32_add i32_gt_s;
                StepI64Ne StepI64NeImm BrI64Ne BrI64NeImm I64AddImm i64_add i64_ne;
                StepI64LtS StepI64LtSImm BrI64LtS BrI64LtSImm I64AddImm i64_add i64_lt_s;
                StepI64LtU StepI64LtUImm BrI64LtU BrI64LtUImm I64AddImm i64_add i64_lt_u;
            }
        }
    };
}
pub(crate) use append_fused;
