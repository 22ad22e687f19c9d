//! Conversions between integer and floating-point lanes (WebAssembly 3.0, section 4.3 "Numerics"), with the scalar
//! operators' meaning.

use super::{by_halves, high, join, low};
use crate::numeric::convert;

/// `f` of the two lanes of 32 bits.
#[inline(always)]
fn words(a: u64, f: impl Fn(u32) -> u32) -> u64 {
    u64::from(f(a as u32)) | (u64::from(f((a >> 32) as u32)) << 32)
}

by_halves! {
    unary(a) {
        /// Truncates toward zero (signed), saturating; NaN gives 0.
        i32x4_trunc_sat_f32x4_s = words(a, |x| convert::i32_trunc_sat_f32_s(f32::from_bits(x)));
        /// Truncates toward zero, saturating; NaN gives 0.
        i32x4_trunc_sat_f32x4_u = words(a, |x| convert::i32_trunc_sat_f32_u(f32::from_bits(x)));
        /// Converts signed integers, rounding to nearest even.
        f32x4_convert_i32x4_s = words(a, |x| convert::f32_convert_i32_s(x).to_bits());
        /// Converts unsigned integers, rounding to nearest even.
        f32x4_convert_i32x4_u = words(a, |x| convert::f32_convert_i32_u(x).to_bits());
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numeric::float::{F32_NAN, F64_NAN};

    /// A vector of these bits, lane 0 first.
    fn four(lanes: [u32; 4]) -> u128 {
        lanes.into_iter().rev().fold(0, |all, lane| all << 32 | u128::from(lane))
    }

    fn floats(lanes: [f32; 4]) -> u128 {
        four(lanes.map(f32::to_bits))
    }

    fn doubles(lanes: [f64; 2]) -> u128 {
        join(lanes[0].to_bits(), lanes[1].to_bits())
    }

    #[test]
    fn truncation_saturates_and_a_nan_gives_zero() {
        let a = floats([-1.5, f32::NAN, 4e9, f32::NEG_INFINITY]);
        assert_eq!(i32x4_trunc_sat_f32x4_s(a), four([-1i32 as u32, 0, 0x7fff_ffff, 0x8000_0000]));
        assert_eq!(i32x4_trunc_sat_f32x4_u(a), four([0, 0, 4_000_000_000, 0]));
        let a = doubles([-2_147_483_649.5, 4_294_967_295.9]);
        assert_eq!(i32x4_trunc_sat_f64x2_s_zero(a), four([0x8000_0000, 0x7fff_ffff, 0, 0]));
        assert_eq!(i32x4_trunc_sat_f64x2_u_zero(a), four([0, u32::MAX, 0, 0]));
    }

    #[test]
    fn integers_are_rounded_to_the_nearest_even_float() {
        let a = four([0x0100_0001, 0x0100_0003, u32::MAX, 0x8000_0000]);
        assert_eq!(f32x4_convert_i32x4_s(a), floats([16_777_216.0, 16_777_220.0, -1.0, -2_147_483_648.0]));
        assert_eq!(f32x4_convert_i32x4_u(a), floats([16_777_216.0, 16_777_220.0, 4_294_967_296.0, 2_147_483_648.0]));
        let a = four([u32::MAX, 0x8000_0000, 7, 7]);
        assert_eq!(f64x2_convert_low_i32x4_s(a), doubles([-1.0, -2_147_483_648.0]));
        assert_eq!(f64x2_convert_low_i32x4_u(a), doubles([4_294_967_295.0, 2_147_483_648.0]));
    }

    #[test]
    fn a_change_of_precision_makes_every_nan_canonical() {
        let signalling = f32::from_bits(0xff80_0001);
        let a = f64x2_promote_low_f32x4(floats([signalling, f32::MIN_POSITIVE, 1.0, 1.0]));
        assert_eq!(a, join(F64_NAN, f64::from(f32::MIN_POSITIVE).to_bits()));
        let a = doubles([f64::from_bits(0xfff0_0000_0000_0001), 1e300]);
        assert_eq!(f32x4_demote_f64x2_zero(a), four([F32_NAN, f32::INFINITY.to_bits(), 0, 0]));
    }
}
