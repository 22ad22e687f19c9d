//! Relaxed vector operators, as the deterministic profile of WebAssembly 3.0 fixes them (section 4.3.7 "Relaxed
//! Operations", where every parameter is 0, and the definition of `vextbinop` in section 4.3.6):
//! - `relaxed_swizzle` is `swizzle`, `relaxed_laneselect` is `bitselect`, `relaxed_min` and `relaxed_max` are `min` and
//!   `max`, `relaxed_q15mulr_s` is `q15mulr_sat_s`, `relaxed_trunc` is `trunc_sat`;
//! - `relaxed_madd` is **not** fused: the product is rounded, then the sum; `relaxed_nmadd` negates the first operand;
//! - `relaxed_dot` multiplies both operands as signed bytes and adds two products with saturation (which only four times
//!   -128 needs); `relaxed_dot_add` adds neighbouring lanes of that, and the third operand, modulo 2^32.

use super::float::{zip32, zip64};
use super::{by_halves, swar};
use crate::numeric::float;

pub use super::convert::{
    i32x4_trunc_sat_f32x4_s as i32x4_relaxed_trunc_f32x4_s, i32x4_trunc_sat_f32x4_u as i32x4_relaxed_trunc_f32x4_u,
    i32x4_trunc_sat_f64x2_s_zero as i32x4_relaxed_trunc_f64x2_s_zero,
    i32x4_trunc_sat_f64x2_u_zero as i32x4_relaxed_trunc_f64x2_u_zero,
};
pub use super::float::{
    f32x4_max as f32x4_relaxed_max, f32x4_min as f32x4_relaxed_min, f64x2_max as f64x2_relaxed_max,
    f64x2_min as f64x2_relaxed_min,
};
pub use super::int::{
    v128_bitselect as i8x16_relaxed_laneselect, v128_bitselect as i16x8_relaxed_laneselect,
    v128_bitselect as i32x4_relaxed_laneselect, v128_bitselect as i64x2_relaxed_laneselect,
};
pub use super::lane::i8x16_swizzle as i8x16_relaxed_swizzle;
pub use super::widen::i16x8_q15mulr_sat_s as i16x8_relaxed_q15mulr_s;

/// `a * b + c`, rounded twice.
#[inline(always)]
pub fn f32x4_relaxed_madd(a: u128, b: u128, c: u128) -> u128 {
    super::zip(super::zip(a, b, |a, b| zip32(a, b, float::f32_mul_any)), c, |a, b| zip32(a, b, float::f32_add))
}

/// `-a * b + c`, rounded twice.
#[inline(always)]
pub fn f32x4_relaxed_nmadd(a: u128, b: u128, c: u128) -> u128 {
    f32x4_relaxed_madd(super::f32x4_neg(a), b, c)
}

/// `a * b + c`, rounded twice.
#[inline(always)]
pub fn f64x2_relaxed_madd(a: u128, b: u128, c: u128) -> u128 {
    super::zip(super::zip(a, b, |a, b| zip64(a, b, float::f64_mul_any)), c, |a, b| zip64(a, b, float::f64_add))
}

/// `-a * b + c`, rounded twice.
#[inline(always)]
pub fn f64x2_relaxed_nmadd(a: u128, b: u128, c: u128) -> u128 {
    f64x2_relaxed_madd(super::f64x2_neg(a), b, c)
}

/// Sums of two products of neighbouring signed bytes, kept in the signed range of 16 bits.
#[inline(never)]
fn dot(a: u64, b: u64) -> u64 {
    let even = swar::mul::<16>(swar::even_s::<8>(a), swar::even_s::<8>(b));
    let odd = swar::mul::<16>(swar::even_s::<8>(a >> 8), swar::even_s::<8>(b >> 8));
    swar::add_sat_s::<16>(even, odd)
}

by_halves! {
    binary {
        /// Sums of two products of neighbouring lanes, signed, kept in range.
        i16x8_relaxed_dot_i8x16_i7x16_s = dot;
    }
}

/// Sums of four products of neighbouring lanes, signed, each two kept in the range of 16 bits, and of `c`.
#[inline(always)]
pub fn i32x4_relaxed_dot_i8x16_i7x16_add_s(a: u128, b: u128, c: u128) -> u128 {
    super::i32x4_add(super::i32x4_extadd_pairwise_i16x8_s(i16x8_relaxed_dot_i8x16_i7x16_s(a, b)), c)
}
