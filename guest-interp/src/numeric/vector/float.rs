//! Floating-point operators (WebAssembly 3.0, sections 4.3.3 and 4.3.6): every lane alike, with the scalar operators'
//! meaning. A lane that may be a NaN is the canonical one; `abs`, `neg`, `pmin` and `pmax` make no NaN: they change a sign
//! or pass an operand on as it is.

use super::{by_halves, swar};
use crate::numeric::float;

/// `f` of the two lanes of f32.
#[inline(always)]
fn map32(a: u64, f: impl Fn(f32) -> f32) -> u64 {
    let lane = |bits: u32| u64::from(f(f32::from_bits(bits)).to_bits());
    lane(a as u32) | (lane((a >> 32) as u32) << 32)
}

/// `f` of the two lanes of f32 of both.
#[inline(always)]
pub(super) fn zip32(a: u64, b: u64, f: impl Fn(f32, f32) -> f32) -> u64 {
    let lane = |a: u32, b: u32| u64::from(f(f32::from_bits(a), f32::from_bits(b)).to_bits());
    lane(a as u32, b as u32) | (lane((a >> 32) as u32, (b >> 32) as u32) << 32)
}

/// Mask of the lanes of f32 where `f`.
#[inline(always)]
fn mask32(a: u64, b: u64, f: impl Fn(f32, f32) -> bool) -> u64 {
    let lane = |a: u32, b: u32| swar::all_ones_if(f(f32::from_bits(a), f32::from_bits(b)));
    (lane(a as u32, b as u32) & 0xffff_ffff) | (lane((a >> 32) as u32, (b >> 32) as u32) << 32)
}

/// `f` of the lane of f64.
#[inline(always)]
fn map64(a: u64, f: impl Fn(f64) -> f64) -> u64 {
    f(f64::from_bits(a)).to_bits()
}

/// `f` of the lane of f64 of both.
#[inline(always)]
pub(super) fn zip64(a: u64, b: u64, f: impl Fn(f64, f64) -> f64) -> u64 {
    f(f64::from_bits(a), f64::from_bits(b)).to_bits()
}

/// Mask of the lane of f64 where `f`.
#[inline(always)]
fn mask64(a: u64, b: u64, f: impl Fn(f64, f64) -> bool) -> u64 {
    swar::all_ones_if(f(f64::from_bits(a), f64::from_bits(b)))
}

/// [`float::f32_min`], as a call: it is long.
#[inline(never)]
fn min32(a: f32, b: f32) -> f32 {
    float::f32_min(a, b)
}

/// [`float::f32_max`], as a call: it is long.
#[inline(never)]
fn max32(a: f32, b: f32) -> f32 {
    float::f32_max(a, b)
}

/// [`float::f64_min`], as a call: it is long.
#[inline(never)]
fn min64(a: f64, b: f64) -> f64 {
    float::f64_min(a, b)
}

/// [`float::f64_max`], as a call: it is long.
#[inline(never)]
fn max64(a: f64, b: f64) -> f64 {
    float::f64_max(a, b)
}

by_halves! {
    unary {
        /// Clears the sign bits.
        f32x4_abs = |a: u64| a & 0x7fff_ffff_7fff_ffff;
        /// Flips the sign bits.
        f32x4_neg = |a: u64| a ^ 0x8000_0000_8000_0000;
        /// Square root.
        f32x4_sqrt = |a| map32(a, float::f32_sqrt);
        /// Rounds up.
        f32x4_ceil = |a| map32(a, float::f32_ceil);
        /// Rounds down.
        f32x4_floor = |a| map32(a, float::f32_floor);
        /// Rounds toward zero.
        f32x4_trunc = |a| map32(a, float::f32_trunc);
        /// Rounds to nearest, ties to even.
        f32x4_nearest = |a| map32(a, float::f32_nearest);
    }
}

by_halves! {
    binary {
        /// Sum.
        f32x4_add = |a, b| zip32(a, b, float::f32_add);
        /// Difference.
        f32x4_sub = |a, b| zip32(a, b, float::f32_sub);
        /// Product.
        f32x4_mul = |a, b| zip32(a, b, float::f32_mul);
        /// Quotient.
        f32x4_div = |a, b| zip32(a, b, float::f32_div);
        /// Lesser value; -0 is less than +0, a NaN wins.
        f32x4_min = |a, b| zip32(a, b, min32);
        /// Greater value; +0 is greater than -0, a NaN wins.
        f32x4_max = |a, b| zip32(a, b, max32);
        /// `b` where `b < a`, else `a`, bit by bit: a NaN of `a` stays as it is, one of `b` is not seen.
        f32x4_pmin = |a, b| swar::select(mask32(b, a, float::f32_lt), b, a);
        /// `b` where `a < b`, else `a`, bit by bit: a NaN of `a` stays as it is, one of `b` is not seen.
        f32x4_pmax = |a, b| swar::select(mask32(a, b, float::f32_lt), b, a);
        /// Mask of `a == b`; false on NaN.
        f32x4_eq = |a, b| mask32(a, b, float::f32_eq);
        /// Mask of `a != b`; true on NaN.
        f32x4_ne = |a, b| mask32(a, b, float::f32_ne);
        /// Mask of `a < b`; false on NaN.
        f32x4_lt = |a, b| mask32(a, b, float::f32_lt);
        /// Mask of `a > b`; false on NaN.
        f32x4_gt = |a, b| mask32(a, b, float::f32_gt);
        /// Mask of `a <= b`; false on NaN.
        f32x4_le = |a, b| mask32(a, b, float::f32_le);
        /// Mask of `a >= b`; false on NaN.
        f32x4_ge = |a, b| mask32(a, b, float::f32_ge);
    }
}

by_halves! {
    unary {
        /// Clears the sign bits.
        f64x2_abs = |a: u64| a & 0x7fff_ffff_ffff_ffff;
        /// Flips the sign bits.
        f64x2_neg = |a: u64| a ^ 0x8000_0000_0000_0000;
        /// Square root.
        f64x2_sqrt = |a| map64(a, float::f64_sqrt);
        /// Rounds up.
        f64x2_ceil = |a| map64(a, float::f64_ceil);
        /// Rounds down.
        f64x2_floor = |a| map64(a, float::f64_floor);
        /// Rounds toward zero.
        f64x2_trunc = |a| map64(a, float::f64_trunc);
        /// Rounds to nearest, ties to even.
        f64x2_nearest = |a| map64(a, float::f64_nearest);
    }
}

by_halves! {
    binary {
        /// Sum.
        f64x2_add = |a, b| zip64(a, b, float::f64_add);
        /// Difference.
        f64x2_sub = |a, b| zip64(a, b, float::f64_sub);
        /// Product.
        f64x2_mul = |a, b| zip64(a, b, float::f64_mul);
        /// Quotient.
        f64x2_div = |a, b| zip64(a, b, float::f64_div);
        /// Lesser value; -0 is less than +0, a NaN wins.
        f64x2_min = |a, b| zip64(a, b, min64);
        /// Greater value; +0 is greater than -0, a NaN wins.
        f64x2_max = |a, b| zip64(a, b, max64);
        /// `b` where `b < a`, else `a`, bit by bit: a NaN of `a` stays as it is, one of `b` is not seen.
        f64x2_pmin = |a, b| swar::select(mask64(b, a, float::f64_lt), b, a);
        /// `b` where `a < b`, else `a`, bit by bit: a NaN of `a` stays as it is, one of `b` is not seen.
        f64x2_pmax = |a, b| swar::select(mask64(a, b, float::f64_lt), b, a);
        /// Mask of `a == b`; false on NaN.
        f64x2_eq = |a, b| mask64(a, b, float::f64_eq);
        /// Mask of `a != b`; true on NaN.
        f64x2_ne = |a, b| mask64(a, b, float::f64_ne);
        /// Mask of `a < b`; false on NaN.
        f64x2_lt = |a, b| mask64(a, b, float::f64_lt);
        /// Mask of `a > b`; false on NaN.
        f64x2_gt = |a, b| mask64(a, b, float::f64_gt);
        /// Mask of `a <= b`; false on NaN.
        f64x2_le = |a, b| mask64(a, b, float::f64_le);
        /// Mask of `a >= b`; false on NaN.
        f64x2_ge = |a, b| mask64(a, b, float::f64_ge);
    }
}
