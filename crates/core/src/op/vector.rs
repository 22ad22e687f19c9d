//! The rows of the vector instructions (WebAssembly 3.0, binary format, "Vector Instructions"): the 236 of SIMD, whose
//! numbers after the prefix `0xfd` are below 0x100, and the 20 of relaxed SIMD, from 0x100. Adding one is adding a row.

/// Calls `$mac!` with all rows, grouped by shape. A row is variant, mnemonic, number after the prefix `0xfd`, and the
/// function of [`crate::numeric::vector`] that gives it its meaning:
/// - `vector_unary`, `vector_binary`, `vector_ternary`: vectors to a vector;
/// - `vector_shift`: vector and count to a vector; `vector_test`: vector to an i32;
/// - `vector_splat`, `vector_replace`: then the unsigned type of the scalar operand;
/// - `vector_extract`: vector and lane to a scalar;
/// - `vector_load`: then the bytes read; the function takes them as a zero-extended `u64`;
/// - `vector_load_lane`, `vector_store_lane`: then the bytes read or written;
/// - `vector_other`: without function: everything that an engine writes out by hand.
macro_rules! for_each_vector_op {
    ($mac:ident $($extra:tt)*) => {
        $mac! {
            $($extra)*
            vector_unary {
                V128Not "v128.not" 0x4d v128_not;
                F32x4DemoteF64x2Zero "f32x4.demote_f64x2_zero" 0x5e f32x4_demote_f64x2_zero;
                F64x2PromoteLowF32x4 "f64x2.promote_low_f32x4" 0x5f f64x2_promote_low_f32x4;
                I8x16Abs "i8x16.abs" 0x60 i8x16_abs;
                I8x16Neg "i8x16.neg" 0x61 i8x16_neg;
                I8x16Popcnt "i8x16.popcnt" 0x62 i8x16_popcnt;
                F32x4Ceil "f32x4.ceil" 0x67 f32x4_ceil;
                F32x4Floor "f32x4.floor" 0x68 f32x4_floor;
                F32x4Trunc "f32x4.trunc" 0x69 f32x4_trunc;
                F32x4Nearest "f32x4.nearest" 0x6a f32x4_nearest;
                F64x2Ceil "f64x2.ceil" 0x74 f64x2_ceil;
                F64x2Floor "f64x2.floor" 0x75 f64x2_floor;
                F64x2Trunc "f64x2.trunc" 0x7a f64x2_trunc;
                I16x8ExtaddPairwiseI8x16S "i16x8.extadd_pairwise_i8x16_s" 0x7c i16x8_extadd_pairwise_i8x16_s;
                I16x8ExtaddPairwiseI8x16U "i16x8.extadd_pairwise_i8x16_u" 0x7d i16x8_extadd_pairwise_i8x16_u;
                I32x4ExtaddPairwiseI16x8S "i32x4.extadd_pairwise_i16x8_s" 0x7e i32x4_extadd_pairwise_i16x8_s;
                I32x4ExtaddPairwiseI16x8U "i32x4.extadd_pairwise_i16x8_u" 0x7f i32x4_extadd_pairwise_i16x8_u;
                I16x8Abs "i16x8.abs" 0x80 i16x8_abs;
                I16x8Neg "i16x8.neg" 0x81 i16x8_neg;
                I16x8ExtendLowI8x16S "i16x8.extend_low_i8x16_s" 0x87 i16x8_extend_low_i8x16_s;
                I16x8ExtendHighI8x16S "i16x8.extend_high_i8x16_s" 0x88 i16x8_extend_high_i8x16_s;
                I16x8ExtendLowI8x16U "i16x8.extend_low_i8x16_u" 0x89 i16x8_extend_low_i8x16_u;
                I16x8ExtendHighI8x16U "i16x8.extend_high_i8x16_u" 0x8a i16x8_extend_high_i8x16_u;
                F64x2Nearest "f64x2.nearest" 0x94 f64x2_nearest;
                I32x4Abs "i32x4.abs" 0xa0 i32x4_abs;
                I32x4Neg "i32x4.neg" 0xa1 i32x4_neg;
                I32x4ExtendLowI16x8S "i32x4.extend_low_i16x8_s" 0xa7 i32x4_extend_low_i16x8_s;
                I32x4ExtendHighI16x8S "i32x4.extend_high_i16x8_s" 0xa8 i32x4_extend_high_i16x8_s;
                I32x4ExtendLowI16x8U "i32x4.extend_low_i16x8_u" 0xa9 i32x4_extend_low_i16x8_u;
                I32x4ExtendHighI16x8U "i32x4.extend_high_i16x8_u" 0xaa i32x4_extend_high_i16x8_u;
                I64x2Abs "i64x2.abs" 0xc0 i64x2_abs;
                I64x2Neg "i64x2.neg" 0xc1 i64x2_neg;
                I64x2ExtendLowI32x4S "i64x2.extend_low_i32x4_s" 0xc7 i64x2_extend_low_i32x4_s;
                I64x2ExtendHighI32x4S "i64x2.extend_high_i32x4_s" 0xc8 i64x2_extend_high_i32x4_s;
                I64x2ExtendLowI32x4U "i64x2.extend_low_i32x4_u" 0xc9 i64x2_extend_low_i32x4_u;
                I64x2ExtendHighI32x4U "i64x2.extend_high_i32x4_u" 0xca i64x2_extend_high_i32x4_u;
                F32x4Abs "f32x4.abs" 0xe0 f32x4_abs;
                F32x4Neg "f32x4.neg" 0xe1 f32x4_neg;
                F32x4Sqrt "f32x4.sqrt" 0xe3 f32x4_sqrt;
                F64x2Abs "f64x2.abs" 0xec f64x2_abs;
                F64x2Neg "f64x2.neg" 0xed f64x2_neg;
                F64x2Sqrt "f64x2.sqrt" 0xef f64x2_sqrt;
                I32x4TruncSatF32x4S "i32x4.trunc_sat_f32x4_s" 0xf8 i32x4_trunc_sat_f32x4_s;
                I32x4TruncSatF32x4U "i32x4.trunc_sat_f32x4_u" 0xf9 i32x4_trunc_sat_f32x4_u;
                F32x4ConvertI32x4S "f32x4.convert_i32x4_s" 0xfa f32x4_convert_i32x4_s;
                F32x4ConvertI32x4U "f32x4.convert_i32x4_u" 0xfb f32x4_convert_i32x4_u;
                I32x4TruncSatF64x2SZero "i32x4.trunc_sat_f64x2_s_zero" 0xfc i32x4_trunc_sat_f64x2_s_zero;
                I32x4TruncSatF64x2UZero "i32x4.trunc_sat_f64x2_u_zero" 0xfd i32x4_trunc_sat_f64x2_u_zero;
                F64x2ConvertLowI32x4S "f64x2.convert_low_i32x4_s" 0xfe f64x2_convert_low_i32x4_s;
                F64x2ConvertLowI32x4U "f64x2.convert_low_i32x4_u" 0xff f64x2_convert_low_i32x4_u;
                I32x4RelaxedTruncF32x4S "i32x4.relaxed_trunc_f32x4_s" 0x101 i32x4_relaxed_trunc_f32x4_s;
                I32x4RelaxedTruncF32x4U "i32x4.relaxed_trunc_f32x4_u" 0x102 i32x4_relaxed_trunc_f32x4_u;
                I32x4RelaxedTruncF64x2SZero "i32x4.relaxed_trunc_f64x2_s_zero" 0x103 i32x4_relaxed_trunc_f64x2_s_zero;
                I32x4RelaxedTruncF64x2UZero "i32x4.relaxed_trunc_f64x2_u_zero" 0x104 i32x4_relaxed_trunc_f64x2_u_zero;
            }
            vector_binary {
                I8x16Swizzle "i8x16.swizzle" 0x0e i8x16_swizzle;
                I8x16Eq "i8x16.eq" 0x23 i8x16_eq;
                I8x16Ne "i8x16.ne" 0x24 i8x16_ne;
                I8x16LtS "i8x16.lt_s" 0x25 i8x16_lt_s;
                I8x16LtU "i8x16.lt_u" 0x26 i8x16_lt_u;
                I8x16GtS "i8x16.gt_s" 0x27 i8x16_gt_s;
                I8x16GtU "i8x16.gt_u" 0x28 i8x16_gt_u;
                I8x16LeS "i8x16.le_s" 0x29 i8x16_le_s;
                I8x16LeU "i8x16.le_u" 0x2a i8x16_le_u;
                I8x16GeS "i8x16.ge_s" 0x2b i8x16_ge_s;
                I8x16GeU "i8x16.ge_u" 0x2c i8x16_ge_u;
                I16x8Eq "i16x8.eq" 0x2d i16x8_eq;
                I16x8Ne "i16x8.ne" 0x2e i16x8_ne;
                I16x8LtS "i16x8.lt_s" 0x2f i16x8_lt_s;
                I16x8LtU "i16x8.lt_u" 0x30 i16x8_lt_u;
                I16x8GtS "i16x8.gt_s" 0x31 i16x8_gt_s;
                I16x8GtU "i16x8.gt_u" 0x32 i16x8_gt_u;
                I16x8LeS "i16x8.le_s" 0x33 i16x8_le_s;
                I16x8LeU "i16x8.le_u" 0x34 i16x8_le_u;
                I16x8GeS "i16x8.ge_s" 0x35 i16x8_ge_s;
                I16x8GeU "i16x8.ge_u" 0x36 i16x8_ge_u;
                I32x4Eq "i32x4.eq" 0x37 i32x4_eq;
                I32x4Ne "i32x4.ne" 0x38 i32x4_ne;
                I32x4LtS "i32x4.lt_s" 0x39 i32x4_lt_s;
                I32x4LtU "i32x4.lt_u" 0x3a i32x4_lt_u;
                I32x4GtS "i32x4.gt_s" 0x3b i32x4_gt_s;
                I32x4GtU "i32x4.gt_u" 0x3c i32x4_gt_u;
                I32x4LeS "i32x4.le_s" 0x3d i32x4_le_s;
                I32x4LeU "i32x4.le_u" 0x3e i32x4_le_u;
                I32x4GeS "i32x4.ge_s" 0x3f i32x4_ge_s;
                I32x4GeU "i32x4.ge_u" 0x40 i32x4_ge_u;
                F32x4Eq "f32x4.eq" 0x41 f32x4_eq;
                F32x4Ne "f32x4.ne" 0x42 f32x4_ne;
                F32x4Lt "f32x4.lt" 0x43 f32x4_lt;
                F32x4Gt "f32x4.gt" 0x44 f32x4_gt;
                F32x4Le "f32x4.le" 0x45 f32x4_le;
                F32x4Ge "f32x4.ge" 0x46 f32x4_ge;
                F64x2Eq "f64x2.eq" 0x47 f64x2_eq;
                F64x2Ne "f64x2.ne" 0x48 f64x2_ne;
                F64x2Lt "f64x2.lt" 0x49 f64x2_lt;
                F64x2Gt "f64x2.gt" 0x4a f64x2_gt;
                F64x2Le "f64x2.le" 0x4b f64x2_le;
                F64x2Ge "f64x2.ge" 0x4c f64x2_ge;
                V128And "v128.and" 0x4e v128_and;
                V128Andnot "v128.andnot" 0x4f v128_andnot;
                V128Or "v128.or" 0x50 v128_or;
                V128Xor "v128.xor" 0x51 v128_xor;
                I8x16NarrowI16x8S "i8x16.narrow_i16x8_s" 0x65 i8x16_narrow_i16x8_s;
                I8x16NarrowI16x8U "i8x16.narrow_i16x8_u" 0x66 i8x16_narrow_i16x8_u;
                I8x16Add "i8x16.add" 0x6e i8x16_add;
                I8x16AddSatS "i8x16.add_sat_s" 0x6f i8x16_add_sat_s;
                I8x16AddSatU "i8x16.add_sat_u" 0x70 i8x16_add_sat_u;
                I8x16Sub "i8x16.sub" 0x71 i8x16_sub;
                I8x16SubSatS "i8x16.sub_sat_s" 0x72 i8x16_sub_sat_s;
                I8x16SubSatU "i8x16.sub_sat_u" 0x73 i8x16_sub_sat_u;
                I8x16MinS "i8x16.min_s" 0x76 i8x16_min_s;
                I8x16MinU "i8x16.min_u" 0x77 i8x16_min_u;
                I8x16MaxS "i8x16.max_s" 0x78 i8x16_max_s;
                I8x16MaxU "i8x16.max_u" 0x79 i8x16_max_u;
                I8x16AvgrU "i8x16.avgr_u" 0x7b i8x16_avgr_u;
                I16x8Q15mulrSatS "i16x8.q15mulr_sat_s" 0x82 i16x8_q15mulr_sat_s;
                I16x8NarrowI32x4S "i16x8.narrow_i32x4_s" 0x85 i16x8_narrow_i32x4_s;
                I16x8NarrowI32x4U "i16x8.narrow_i32x4_u" 0x86 i16x8_narrow_i32x4_u;
                I16x8Add "i16x8.add" 0x8e i16x8_add;
                I16x8AddSatS "i16x8.add_sat_s" 0x8f i16x8_add_sat_s;
                I16x8AddSatU "i16x8.add_sat_u" 0x90 i16x8_add_sat_u;
                I16x8Sub "i16x8.sub" 0x91 i16x8_sub;
                I16x8SubSatS "i16x8.sub_sat_s" 0x92 i16x8_sub_sat_s;
                I16x8SubSatU "i16x8.sub_sat_u" 0x93 i16x8_sub_sat_u;
                I16x8Mul "i16x8.mul" 0x95 i16x8_mul;
                I16x8MinS "i16x8.min_s" 0x96 i16x8_min_s;
                I16x8MinU "i16x8.min_u" 0x97 i16x8_min_u;
                I16x8MaxS "i16x8.max_s" 0x98 i16x8_max_s;
                I16x8MaxU "i16x8.max_u" 0x99 i16x8_max_u;
                I16x8AvgrU "i16x8.avgr_u" 0x9b i16x8_avgr_u;
                I16x8ExtmulLowI8x16S "i16x8.extmul_low_i8x16_s" 0x9c i16x8_extmul_low_i8x16_s;
                I16x8ExtmulHighI8x16S "i16x8.extmul_high_i8x16_s" 0x9d i16x8_extmul_high_i8x16_s;
                I16x8ExtmulLowI8x16U "i16x8.extmul_low_i8x16_u" 0x9e i16x8_extmul_low_i8x16_u;
                I16x8ExtmulHighI8x16U "i16x8.extmul_high_i8x16_u" 0x9f i16x8_extmul_high_i8x16_u;
                I32x4Add "i32x4.add" 0xae i32x4_add;
                I32x4Sub "i32x4.sub" 0xb1 i32x4_sub;
                I32x4Mul "i32x4.mul" 0xb5 i32x4_mul;
                I32x4MinS "i32x4.min_s" 0xb6 i32x4_min_s;
                I32x4MinU "i32x4.min_u" 0xb7 i32x4_min_u;
                I32x4MaxS "i32x4.max_s" 0xb8 i32x4_max_s;
                I32x4MaxU "i32x4.max_u" 0xb9 i32x4_max_u;
                I32x4DotI16x8S "i32x4.dot_i16x8_s" 0xba i32x4_dot_i16x8_s;
                I32x4ExtmulLowI16x8S "i32x4.extmul_low_i16x8_s" 0xbc i32x4_extmul_low_i16x8_s;
                I32x4ExtmulHighI16x8S "i32x4.extmul_high_i16x8_s" 0xbd i32x4_extmul_high_i16x8_s;
                I32x4ExtmulLowI16x8U "i32x4.extmul_low_i16x8_u" 0xbe i32x4_extmul_low_i16x8_u;
                I32x4ExtmulHighI16x8U "i32x4.extmul_high_i16x8_u" 0xbf i32x4_extmul_high_i16x8_u;
                I64x2Add "i64x2.add" 0xce i64x2_add;
                I64x2Sub "i64x2.sub" 0xd1 i64x2_sub;
                I64x2Mul "i64x2.mul" 0xd5 i64x2_mul;
                I64x2Eq "i64x2.eq" 0xd6 i64x2_eq;
                I64x2Ne "i64x2.ne" 0xd7 i64x2_ne;
                I64x2LtS "i64x2.lt_s" 0xd8 i64x2_lt_s;
                I64x2GtS "i64x2.gt_s" 0xd9 i64x2_gt_s;
                I64x2LeS "i64x2.le_s" 0xda i64x2_le_s;
                I64x2GeS "i64x2.ge_s" 0xdb i64x2_ge_s;
                I64x2ExtmulLowI32x4S "i64x2.extmul_low_i32x4_s" 0xdc i64x2_extmul_low_i32x4_s;
                I64x2ExtmulHighI32x4S "i64x2.extmul_high_i32x4_s" 0xdd i64x2_extmul_high_i32x4_s;
                I64x2ExtmulLowI32x4U "i64x2.extmul_low_i32x4_u" 0xde i64x2_extmul_low_i32x4_u;
                I64x2ExtmulHighI32x4U "i64x2.extmul_high_i32x4_u" 0xdf i64x2_extmul_high_i32x4_u;
                F32x4Add "f32x4.add" 0xe4 f32x4_add;
                F32x4Sub "f32x4.sub" 0xe5 f32x4_sub;
                F32x4Mul "f32x4.mul" 0xe6 f32x4_mul;
                F32x4Div "f32x4.div" 0xe7 f32x4_div;
                F32x4Min "f32x4.min" 0xe8 f32x4_min;
                F32x4Max "f32x4.max" 0xe9 f32x4_max;
                F32x4Pmin "f32x4.pmin" 0xea f32x4_pmin;
                F32x4Pmax "f32x4.pmax" 0xeb f32x4_pmax;
                F64x2Add "f64x2.add" 0xf0 f64x2_add;
                F64x2Sub "f64x2.sub" 0xf1 f64x2_sub;
                F64x2Mul "f64x2.mul" 0xf2 f64x2_mul;
                F64x2Div "f64x2.div" 0xf3 f64x2_div;
                F64x2Min "f64x2.min" 0xf4 f64x2_min;
                F64x2Max "f64x2.max" 0xf5 f64x2_max;
                F64x2Pmin "f64x2.pmin" 0xf6 f64x2_pmin;
                F64x2Pmax "f64x2.pmax" 0xf7 f64x2_pmax;
                I8x16RelaxedSwizzle "i8x16.relaxed_swizzle" 0x100 i8x16_relaxed_swizzle;
                F32x4RelaxedMin "f32x4.relaxed_min" 0x10d f32x4_relaxed_min;
                F32x4RelaxedMax "f32x4.relaxed_max" 0x10e f32x4_relaxed_max;
                F64x2RelaxedMin "f64x2.relaxed_min" 0x10f f64x2_relaxed_min;
                F64x2RelaxedMax "f64x2.relaxed_max" 0x110 f64x2_relaxed_max;
                I16x8RelaxedQ15mulrS "i16x8.relaxed_q15mulr_s" 0x111 i16x8_relaxed_q15mulr_s;
                I16x8RelaxedDotI8x16I7x16S "i16x8.relaxed_dot_i8x16_i7x16_s" 0x112 i16x8_relaxed_dot_i8x16_i7x16_s;
            }
            vector_ternary {
                V128Bitselect "v128.bitselect" 0x52 v128_bitselect;
                F32x4RelaxedMadd "f32x4.relaxed_madd" 0x105 f32x4_relaxed_madd;
                F32x4RelaxedNmadd "f32x4.relaxed_nmadd" 0x106 f32x4_relaxed_nmadd;
                F64x2RelaxedMadd "f64x2.relaxed_madd" 0x107 f64x2_relaxed_madd;
                F64x2RelaxedNmadd "f64x2.relaxed_nmadd" 0x108 f64x2_relaxed_nmadd;
                I8x16RelaxedLaneselect "i8x16.relaxed_laneselect" 0x109 i8x16_relaxed_laneselect;
                I16x8RelaxedLaneselect "i16x8.relaxed_laneselect" 0x10a i16x8_relaxed_laneselect;
                I32x4RelaxedLaneselect "i32x4.relaxed_laneselect" 0x10b i32x4_relaxed_laneselect;
                I64x2RelaxedLaneselect "i64x2.relaxed_laneselect" 0x10c i64x2_relaxed_laneselect;
                I32x4RelaxedDotI8x16I7x16AddS "i32x4.relaxed_dot_i8x16_i7x16_add_s" 0x113 i32x4_relaxed_dot_i8x16_i7x16_add_s;
            }
            vector_shift {
                I8x16Shl "i8x16.shl" 0x6b i8x16_shl;
                I8x16ShrS "i8x16.shr_s" 0x6c i8x16_shr_s;
                I8x16ShrU "i8x16.shr_u" 0x6d i8x16_shr_u;
                I16x8Shl "i16x8.shl" 0x8b i16x8_shl;
                I16x8ShrS "i16x8.shr_s" 0x8c i16x8_shr_s;
                I16x8ShrU "i16x8.shr_u" 0x8d i16x8_shr_u;
                I32x4Shl "i32x4.shl" 0xab i32x4_shl;
                I32x4ShrS "i32x4.shr_s" 0xac i32x4_shr_s;
                I32x4ShrU "i32x4.shr_u" 0xad i32x4_shr_u;
                I64x2Shl "i64x2.shl" 0xcb i64x2_shl;
                I64x2ShrS "i64x2.shr_s" 0xcc i64x2_shr_s;
                I64x2ShrU "i64x2.shr_u" 0xcd i64x2_shr_u;
            }
            vector_test {
                V128AnyTrue "v128.any_true" 0x53 v128_any_true;
                I8x16AllTrue "i8x16.all_true" 0x63 i8x16_all_true;
                I8x16Bitmask "i8x16.bitmask" 0x64 i8x16_bitmask;
                I16x8AllTrue "i16x8.all_true" 0x83 i16x8_all_true;
                I16x8Bitmask "i16x8.bitmask" 0x84 i16x8_bitmask;
                I32x4AllTrue "i32x4.all_true" 0xa3 i32x4_all_true;
                I32x4Bitmask "i32x4.bitmask" 0xa4 i32x4_bitmask;
                I64x2AllTrue "i64x2.all_true" 0xc3 i64x2_all_true;
                I64x2Bitmask "i64x2.bitmask" 0xc4 i64x2_bitmask;
            }
            vector_splat {
                I8x16Splat "i8x16.splat" 0x0f i8x16_splat u32;
                I16x8Splat "i16x8.splat" 0x10 i16x8_splat u32;
                I32x4Splat "i32x4.splat" 0x11 i32x4_splat u32;
                I64x2Splat "i64x2.splat" 0x12 i64x2_splat u64;
                F32x4Splat "f32x4.splat" 0x13 f32x4_splat u32;
                F64x2Splat "f64x2.splat" 0x14 f64x2_splat u64;
            }
            vector_extract {
                I8x16ExtractLaneS "i8x16.extract_lane_s" 0x15 i8x16_extract_lane_s;
                I8x16ExtractLaneU "i8x16.extract_lane_u" 0x16 i8x16_extract_lane_u;
                I16x8ExtractLaneS "i16x8.extract_lane_s" 0x18 i16x8_extract_lane_s;
                I16x8ExtractLaneU "i16x8.extract_lane_u" 0x19 i16x8_extract_lane_u;
                I32x4ExtractLane "i32x4.extract_lane" 0x1b i32x4_extract_lane;
                I64x2ExtractLane "i64x2.extract_lane" 0x1d i64x2_extract_lane;
                F32x4ExtractLane "f32x4.extract_lane" 0x1f f32x4_extract_lane;
                F64x2ExtractLane "f64x2.extract_lane" 0x21 f64x2_extract_lane;
            }
            vector_replace {
                I8x16ReplaceLane "i8x16.replace_lane" 0x17 i8x16_replace_lane u32;
                I16x8ReplaceLane "i16x8.replace_lane" 0x1a i16x8_replace_lane u32;
                I32x4ReplaceLane "i32x4.replace_lane" 0x1c i32x4_replace_lane u32;
                I64x2ReplaceLane "i64x2.replace_lane" 0x1e i64x2_replace_lane u64;
                F32x4ReplaceLane "f32x4.replace_lane" 0x20 f32x4_replace_lane u32;
                F64x2ReplaceLane "f64x2.replace_lane" 0x22 f64x2_replace_lane u64;
            }
            vector_load {
                V128Load8x8S "v128.load8x8_s" 0x01 v128_load8x8_s 8;
                V128Load8x8U "v128.load8x8_u" 0x02 v128_load8x8_u 8;
                V128Load16x4S "v128.load16x4_s" 0x03 v128_load16x4_s 8;
                V128Load16x4U "v128.load16x4_u" 0x04 v128_load16x4_u 8;
                V128Load32x2S "v128.load32x2_s" 0x05 v128_load32x2_s 8;
                V128Load32x2U "v128.load32x2_u" 0x06 v128_load32x2_u 8;
                V128Load8Splat "v128.load8_splat" 0x07 v128_load8_splat 1;
                V128Load16Splat "v128.load16_splat" 0x08 v128_load16_splat 2;
                V128Load32Splat "v128.load32_splat" 0x09 v128_load32_splat 4;
                V128Load64Splat "v128.load64_splat" 0x0a v128_load64_splat 8;
                V128Load32Zero "v128.load32_zero" 0x5c v128_load32_zero 4;
                V128Load64Zero "v128.load64_zero" 0x5d v128_load64_zero 8;
            }
            vector_load_lane {
                V128Load8Lane "v128.load8_lane" 0x54 v128_load8_lane 1;
                V128Load16Lane "v128.load16_lane" 0x55 v128_load16_lane 2;
                V128Load32Lane "v128.load32_lane" 0x56 v128_load32_lane 4;
                V128Load64Lane "v128.load64_lane" 0x57 v128_load64_lane 8;
            }
            vector_store_lane {
                V128Store8Lane "v128.store8_lane" 0x58 v128_store8_lane 1;
                V128Store16Lane "v128.store16_lane" 0x59 v128_store16_lane 2;
                V128Store32Lane "v128.store32_lane" 0x5a v128_store32_lane 4;
                V128Store64Lane "v128.store64_lane" 0x5b v128_store64_lane 8;
            }
            vector_other {
                V128Load "v128.load" 0x00;
                V128Store "v128.store" 0x0b;
                V128Const "v128.const" 0x0c;
                I8x16Shuffle "i8x16.shuffle" 0x0d;
            }
        }
    };
}
pub(crate) use for_each_vector_op;

#[cfg(test)]
mod tests {
    /// A row, without what only an engine needs.
    struct Row {
        variant: &'static str,
        group: &'static str,
        mnemonic: &'static str,
        number: u32,
    }

    macro_rules! rows {
        ($($group:ident { $($variant:ident $name:literal $number:literal $($function:ident $($type:ident)? $($bytes:literal)?)?;)* })*) => {
            const ROWS: &[Row] = &[$($(
                Row { variant: stringify!($variant), group: stringify!($group), mnemonic: $name, number: $number },
            )*)*];
        };
    }
    for_each_vector_op!(rows);

    /// The immediates of an instruction, in the text format.
    fn immediates(row: &Row) -> &'static str {
        match (row.group, row.mnemonic) {
            ("vector_extract" | "vector_replace" | "vector_load_lane" | "vector_store_lane", _) => "1",
            (_, "v128.const") => "i64x2 0 0",
            (_, "i8x16.shuffle") => "0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15",
            _ => "",
        }
    }

    #[test]
    fn there_are_236_vector_instructions_and_20_relaxed_ones() {
        let relaxed = ROWS.iter().filter(|row| row.number >= 0x100).count();
        assert_eq!((ROWS.len() - relaxed, relaxed), (236, 20));
        for row in ROWS {
            assert_eq!(row.number >= 0x100, row.mnemonic.contains("relaxed"), "{}", row.mnemonic);
        }
    }

    #[test]
    fn no_number_or_name_is_given_twice() {
        for column in [
            |row: &Row| row.number.to_string(),
            |row: &Row| row.mnemonic.to_string(),
            |row: &Row| row.variant.to_string(),
        ] {
            let all: std::collections::BTreeSet<_> = ROWS.iter().map(column).collect();
            assert_eq!(all.len(), ROWS.len());
        }
    }

    #[test]
    fn the_variant_is_the_mnemonic_in_camel_case() {
        for row in ROWS {
            let camel: String =
                row.mnemonic.split(['.', '_']).map(|part| part[..1].to_uppercase() + &part[1..]).collect();
            assert_eq!(camel, row.variant);
        }
    }

    #[test]
    fn an_assembler_gives_each_mnemonic_the_number_of_its_row() {
        for row in ROWS {
            let text = format!("(module (memory 1) (func {} {}))", row.mnemonic, immediates(row));
            let bytes = wat::parse_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
            let code = [0xfd, (row.number & 0x7f) as u8 | 0x80, (row.number >> 7) as u8];
            let code = if row.number < 0x80 { vec![0xfd, row.number as u8] } else { code.to_vec() };
            let body = bytes.iter().position(|&byte| byte == 0xfd).expect("the prefix");
            assert!(bytes[body..].starts_with(&code), "{} is {:x?}", row.mnemonic, &bytes[body..]);
        }
    }
}
