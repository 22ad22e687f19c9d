//! Conversions between integer and floating-point lanes (WebAssembly 3.0, sections 4.3.4 and 4.3.6), with the scalar
//! operators' meaning.

use super::{by_halves, high, join, low};
use crate::numeric::convert;

/// `f` of the two lanes of 32 bits.
#[inline(always)]
fn words(a: u64, f: impl Fn(u32) -> u32) -> u64 {
    u64::from(f(a as u32)) | (u64::from(f((a >> 32) as u32)) << 32)
}

by_halves! {
    unary {
        /// Truncates toward zero (signed), saturating; NaN gives 0.
        i32x4_trunc_sat_f32x4_s = |a| words(a, |x| convert::i32_trunc_sat_f32_s(f32::from_bits(x)));
        /// Truncates toward zero, saturating; NaN gives 0.
        i32x4_trunc_sat_f32x4_u = |a| words(a, |x| convert::i32_trunc_sat_f32_u(f32::from_bits(x)));
        /// Converts signed integers, rounding to nearest even.
        f32x4_convert_i32x4_s = |a| words(a, |x| convert::f32_convert_i32_s(x).to_bits());
        /// Converts unsigned integers, rounding to nearest even.
        f32x4_convert_i32x4_u = |a| words(a, |x| convert::f32_convert_i32_u(x).to_bits());
    }
}

/// `f` of the two lanes of f64 as the lower two lanes; the higher two are zero.
#[inline(always)]
fn shorten(a: u128, f: impl Fn(f64) -> u32) -> u128 {
    let lane = |bits: u64| u64::from(f(f64::from_bits(bits)));
    join(lane(low(a)) | (lane(high(a)) << 32), 0)
}

/// `f` of the lower two lanes of 32 bits.
#[inline(always)]
fn lengthen(a: u128, f: impl Fn(u32) -> f64) -> u128 {
    join(f(low(a) as u32).to_bits(), f((low(a) >> 32) as u32).to_bits())
}

/// Truncates toward zero (signed), saturating; NaN gives 0.
#[inline(always)]
pub fn i32x4_trunc_sat_f64x2_s_zero(a: u128) -> u128 {
    shorten(a, convert::i32_trunc_sat_f64_s)
}

/// Truncates toward zero, saturating; NaN gives 0.
#[inline(always)]
pub fn i32x4_trunc_sat_f64x2_u_zero(a: u128) -> u128 {
    shorten(a, convert::i32_trunc_sat_f64_u)
}

/// Rounds to single precision.
#[inline(always)]
pub fn f32x4_demote_f64x2_zero(a: u128) -> u128 {
    shorten(a, |x| convert::f32_demote_f64(x).to_bits())
}

/// Widens the lower two lanes to double precision.
#[inline(always)]
pub fn f64x2_promote_low_f32x4(a: u128) -> u128 {
    lengthen(a, |x| convert::f64_promote_f32(f32::from_bits(x)))
}

/// Converts the lower two lanes, signed integers.
#[inline(always)]
pub fn f64x2_convert_low_i32x4_s(a: u128) -> u128 {
    lengthen(a, convert::f64_convert_i32_s)
}

/// Converts the lower two lanes, unsigned integers.
#[inline(always)]
pub fn f64x2_convert_low_i32x4_u(a: u128) -> u128 {
    lengthen(a, convert::f64_convert_i32_u)
}
