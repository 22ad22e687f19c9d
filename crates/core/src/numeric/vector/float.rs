//! Floating-point operators (WebAssembly 3.0, section 4.3 "Numerics"): every lane alike, with the scalar operators'
//! meaning. A lane that may be a NaN is the canonical one; `abs`, `neg`, `pmin` and `pmax` make no NaN: they change a
//! sign or pass an operand on as it is.

use super::{by_halves, swar};
use crate::numeric::float;

/// `a` with the canonical NaN in the lanes of f32 that are any NaN: one test for both lanes, seldom true.
#[inline(always)]
fn canonical32(a: u64) -> u64 {
    let nan = ((a & 0x7fff_ffff_7fff_ffff) + 0x007f_ffff_007f_ffff) & 0x8000_0000_8000_0000;
    if nan == 0 { a } else { replace_nan32(a, nan) }
}

/// `a` with the canonical NaN in the lanes of f32 whose highest bit is set in `nan`.
#[cold]
#[inline(never)]
fn replace_nan32(a: u64, nan: u64) -> u64 {
    swar::select(swar::spread::<32>(nan), swar::splat::<32>(float::F32_NAN.into()), a)
}

/// `f` of the two lanes of f32.
#[inline(always)]
fn map32(a: u64, f: impl Fn(f32) -> f32) -> u64 {
    let low = f(f32::from_bits(a as u32));
    let high = f(f32::from_bits((a >> 32) as u32));
    u64::from(low.to_bits()) | (u64::from(high.to_bits()) << 32)
}

/// `f` of the two lanes of f32 of both.
#[inline(always)]
pub(super) fn zip32(a: u64, b: u64, f: impl Fn(f32, f32) -> f32) -> u64 {
    let low = f(f32::from_bits(a as u32), f32::from_bits(b as u32));
    let high = f(f32::from_bits((a >> 32) as u32), f32::from_bits((b >> 32) as u32));
    u64::from(low.to_bits()) | (u64::from(high.to_bits()) << 32)
}

/// Sums of the two lanes of f32.
#[inline(always)]
pub(super) fn add32(a: u64, b: u64) -> u64 {
    canonical32(zip32(a, b, float::f32_add_any))
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

/// [`float::f32_min`], with the ordinary cases first.
#[inline(always)]
fn min32(a: f32, b: f32) -> f32 {
    if a < b {
        a
    } else if b < a {
        b
    } else {
        min_same32(a, b)
    }
}

/// [`float::f32_min`] of equal operands or NaNs.
#[cold]
#[inline(never)]
fn min_same32(a: f32, b: f32) -> f32 {
    float::f32_min(a, b)
}

/// [`float::f32_max`], with the ordinary cases first.
#[inline(always)]
fn max32(a: f32, b: f32) -> f32 {
    if a > b {
        a
    } else if b > a {
        b
    } else {
        max_same32(a, b)
    }
}

/// [`float::f32_max`] of equal operands or NaNs.
#[cold]
#[inline(never)]
fn max_same32(a: f32, b: f32) -> f32 {
    float::f32_max(a, b)
}

/// [`float::f64_min`], with the ordinary cases first.
#[inline(always)]
fn min64(a: f64, b: f64) -> f64 {
    if a < b {
        a
    } else if b < a {
        b
    } else {
        min_same64(a, b)
    }
}

/// [`float::f64_min`] of equal operands or NaNs.
#[cold]
#[inline(never)]
fn min_same64(a: f64, b: f64) -> f64 {
    float::f64_min(a, b)
}

/// [`float::f64_max`], with the ordinary cases first.
#[inline(always)]
fn max64(a: f64, b: f64) -> f64 {
    if a > b {
        a
    } else if b > a {
        b
    } else {
        max_same64(a, b)
    }
}

/// [`float::f64_max`] of equal operands or NaNs.
#[cold]
#[inline(never)]
fn max_same64(a: f64, b: f64) -> f64 {
    float::f64_max(a, b)
}

by_halves! {
    unary(a) {
        /// Clears the sign bits.
        f32x4_abs = a & 0x7fff_ffff_7fff_ffff;
        /// Flips the sign bits.
        f32x4_neg = a ^ 0x8000_0000_8000_0000;
        /// Square root.
        f32x4_sqrt = map32(a, float::f32_sqrt);
        /// Rounds up.
        f32x4_ceil = canonical32(map32(a, f32::ceil));
        /// Rounds down.
        f32x4_floor = canonical32(map32(a, f32::floor));
        /// Rounds toward zero.
        f32x4_trunc = canonical32(map32(a, f32::trunc));
        /// Rounds to nearest, ties to even.
        f32x4_nearest = canonical32(map32(a, f32::round_ties_even));
    }
}

by_halves! {
    binary(a, b) {
        /// Sum.
        f32x4_add = add32(a, b);
        /// Difference.
        f32x4_sub = canonical32(zip32(a, b, float::f32_sub_any));
        /// Product.
        f32x4_mul = canonical32(zip32(a, b, float::f32_mul_any));
        /// Quotient.
        f32x4_div = canonical32(zip32(a, b, float::f32_div_any));
        /// Lesser value; -0 is less than +0, a NaN wins.
        f32x4_min = zip32(a, b, min32);
        /// Greater value; +0 is greater than -0, a NaN wins.
        f32x4_max = zip32(a, b, max32);
        /// `b` where `b < a`, else `a`, bit by bit: a NaN of `a` stays as it is, one of `b` is not seen.
        f32x4_pmin = swar::select(mask32(b, a, float::f32_lt), b, a);
        /// `b` where `a < b`, else `a`, bit by bit: a NaN of `a` stays as it is, one of `b` is not seen.
        f32x4_pmax = swar::select(mask32(a, b, float::f32_lt), b, a);
        /// Mask of `a == b`; false on NaN.
        f32x4_eq = mask32(a, b, float::f32_eq);
        /// Mask of `a != b`; true on NaN.
        f32x4_ne = mask32(a, b, float::f32_ne);
        /// Mask of `a < b`; false on NaN.
        f32x4_lt = mask32(a, b, float::f32_lt);
        /// Mask of `a > b`; false on NaN.
        f32x4_gt = mask32(a, b, float::f32_gt);
        /// Mask of `a <= b`; false on NaN.
        f32x4_le = mask32(a, b, float::f32_le);
        /// Mask of `a >= b`; false on NaN.
        f32x4_ge = mask32(a, b, float::f32_ge);
    }
}

by_halves! {
    unary(a) {
        /// Clears the sign bits.
        f64x2_abs = a & 0x7fff_ffff_ffff_ffff;
        /// Flips the sign bits.
        f64x2_neg = a ^ 0x8000_0000_0000_0000;
        /// Square root.
        f64x2_sqrt = map64(a, float::f64_sqrt);
        /// Rounds up.
        f64x2_ceil = map64(a, float::f64_ceil);
        /// Rounds down.
        f64x2_floor = map64(a, float::f64_floor);
        /// Rounds toward zero.
        f64x2_trunc = map64(a, float::f64_trunc);
        /// Rounds to nearest, ties to even.
        f64x2_nearest = map64(a, float::f64_nearest);
    }
}

by_halves! {
    binary(a, b) {
        /// Sum.
        f64x2_add = zip64(a, b, float::f64_add);
        /// Difference.
        f64x2_sub = zip64(a, b, float::f64_sub);
        /// Product.
        f64x2_mul = zip64(a, b, float::f64_mul);
        /// Quotient.
        f64x2_div = zip64(a, b, float::f64_div);
        /// Lesser value; -0 is less than +0, a NaN wins.
        f64x2_min = zip64(a, b, min64);
        /// Greater value; +0 is greater than -0, a NaN wins.
        f64x2_max = zip64(a, b, max64);
        /// `b` where `b < a`, else `a`, bit by bit: a NaN of `a` stays as it is, one of `b` is not seen.
        f64x2_pmin = swar::select(mask64(b, a, float::f64_lt), b, a);
        /// `b` where `a < b`, else `a`, bit by bit: a NaN of `a` stays as it is, one of `b` is not seen.
        f64x2_pmax = swar::select(mask64(a, b, float::f64_lt), b, a);
        /// Mask of `a == b`; false on NaN.
        f64x2_eq = mask64(a, b, float::f64_eq);
        /// Mask of `a != b`; true on NaN.
        f64x2_ne = mask64(a, b, float::f64_ne);
        /// Mask of `a < b`; false on NaN.
        f64x2_lt = mask64(a, b, float::f64_lt);
        /// Mask of `a > b`; false on NaN.
        f64x2_gt = mask64(a, b, float::f64_gt);
        /// Mask of `a <= b`; false on NaN.
        f64x2_le = mask64(a, b, float::f64_le);
        /// Mask of `a >= b`; false on NaN.
        f64x2_ge = mask64(a, b, float::f64_ge);
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{Binary, Unary, each, lanes, mask, pairs};
    use super::*;
    use proptest::prelude::*;

    const NAN32: u128 = float::F32_NAN as u128;
    const NAN64: u128 = float::F64_NAN as u128;

    /// Bit patterns of f32 where something special happens.
    const EDGES32: [u32; 20] = [
        0,
        0x8000_0000,
        0x7f80_0000,
        0xff80_0000,
        0x7fc0_0000,
        0xffc0_0000,
        0x7f80_0001,
        0xffff_ffff,
        0x3f80_0000,
        0xbf80_0000,
        0x3f00_0000,
        0xbf00_0000,
        0x4020_0000,
        0x4b00_0001,
        1,
        0x8000_0001,
        0x0080_0000,
        0x7f7f_ffff,
        0xff7f_ffff,
        0x4f00_0000,
    ];

    /// Two vectors of special and of random floats of `width` bits; those of 64 are the special ones of 32, widened.
    fn floats(width: u32) -> impl Strategy<Value = (u128, u128)> {
        let lane = prop_oneof![
            prop::sample::select(&EDGES32[..]).prop_map(move |bits| {
                let nan = if bits & 0x7f80_0000 == 0x7f80_0000 { u64::from(bits & 0x7f_ffff) } else { 0 };
                let wide = f64::from(f32::from_bits(bits)).to_bits() | nan;
                if width == 32 { u64::from(bits) } else { wide }
            }),
            any::<u64>(),
        ];
        prop::collection::vec(lane, 8).prop_map(move |all| {
            let vector = |half: &[u64]| super::super::check::vector(width, half.iter().map(|&x| i128::from(x)));
            (vector(&all[..4]), vector(&all[4..]))
        })
    }

    type Of32 = fn(f32) -> f32;
    type Is32 = fn(f32, f32) -> bool;
    type Of64 = fn(f64) -> f64;
    type Is64 = fn(f64, f64) -> bool;

    fn of32(x: u64) -> f32 {
        f32::from_bits(x as u32)
    }

    fn of64(x: u64) -> f64 {
        f64::from_bits(x)
    }

    proptest! {
        #[test]
        fn each_f32_lane_is_what_the_scalar_operator_gives((a, b) in floats(32)) {
            type Of = fn(f32, f32) -> f32;
            let forms: [(Binary, Of); 6] = [
                (f32x4_add, float::f32_add),
                (f32x4_sub, float::f32_sub),
                (f32x4_mul, float::f32_mul),
                (f32x4_div, float::f32_div),
                (f32x4_min, float::f32_min),
                (f32x4_max, float::f32_max),
            ];
            for (form, of) in forms {
                prop_assert_eq!(form(a, b), pairs(32, a, b, |x, y| of(of32(x), of32(y)).to_bits().into()));
            }
            let forms: [(Unary, Of32); 5] = [
                (f32x4_sqrt, float::f32_sqrt),
                (f32x4_ceil, float::f32_ceil),
                (f32x4_floor, float::f32_floor),
                (f32x4_trunc, float::f32_trunc),
                (f32x4_nearest, float::f32_nearest),
            ];
            for (form, of) in forms {
                prop_assert_eq!(form(a), each(32, a, |x| of(of32(x)).to_bits().into()));
            }
            let forms: [(Binary, Is32); 6] = [
                (f32x4_eq, float::f32_eq),
                (f32x4_ne, float::f32_ne),
                (f32x4_lt, float::f32_lt),
                (f32x4_gt, float::f32_gt),
                (f32x4_le, float::f32_le),
                (f32x4_ge, float::f32_ge),
            ];
            for (form, of) in forms {
                prop_assert_eq!(form(a, b), pairs(32, a, b, |x, y| mask(of(of32(x), of32(y)))));
            }
            prop_assert_eq!(f32x4_pmin(a, b), pairs(32, a, b, |x, y| if of32(y) < of32(x) { y } else { x }.into()));
            prop_assert_eq!(f32x4_pmax(a, b), pairs(32, a, b, |x, y| if of32(x) < of32(y) { y } else { x }.into()));
        }

        #[test]
        fn each_f64_lane_is_what_the_scalar_operator_gives((a, b) in floats(64)) {
            type Of = fn(f64, f64) -> f64;
            let forms: [(Binary, Of); 6] = [
                (f64x2_add, float::f64_add),
                (f64x2_sub, float::f64_sub),
                (f64x2_mul, float::f64_mul),
                (f64x2_div, float::f64_div),
                (f64x2_min, float::f64_min),
                (f64x2_max, float::f64_max),
            ];
            for (form, of) in forms {
                prop_assert_eq!(form(a, b), pairs(64, a, b, |x, y| of(of64(x), of64(y)).to_bits().into()));
            }
            let forms: [(Unary, Of64); 5] = [
                (f64x2_sqrt, float::f64_sqrt),
                (f64x2_ceil, float::f64_ceil),
                (f64x2_floor, float::f64_floor),
                (f64x2_trunc, float::f64_trunc),
                (f64x2_nearest, float::f64_nearest),
            ];
            for (form, of) in forms {
                prop_assert_eq!(form(a), each(64, a, |x| of(of64(x)).to_bits().into()));
            }
            let forms: [(Binary, Is64); 6] = [
                (f64x2_eq, float::f64_eq),
                (f64x2_ne, float::f64_ne),
                (f64x2_lt, float::f64_lt),
                (f64x2_gt, float::f64_gt),
                (f64x2_le, float::f64_le),
                (f64x2_ge, float::f64_ge),
            ];
            for (form, of) in forms {
                prop_assert_eq!(form(a, b), pairs(64, a, b, |x, y| mask(of(of64(x), of64(y)))));
            }
            prop_assert_eq!(f64x2_pmin(a, b), pairs(64, a, b, |x, y| if of64(y) < of64(x) { y } else { x }.into()));
            prop_assert_eq!(f64x2_pmax(a, b), pairs(64, a, b, |x, y| if of64(x) < of64(y) { y } else { x }.into()));
        }
    }

    #[test]
    fn a_nan_of_any_payload_becomes_the_canonical_one_in_its_lane_alone() {
        let a = 0xffff_ffff_3f80_0000_7f80_0001_3f80_0000u128;
        let sum = 0x4000_0000u128;
        assert_eq!(f32x4_add(a, a), sum | NAN32 << 32 | sum << 64 | NAN32 << 96);
        assert_eq!(f32x4_min(a, 0), NAN32 << 32 | NAN32 << 96);
        assert_eq!(f64x2_mul(0xfff0_0000_0000_0001 << 64, 0), NAN64 << 64);
        assert_eq!(f64x2_sqrt(0xbff0_0000_0000_0000), NAN64);
    }

    #[test]
    fn sign_operators_and_selections_keep_the_payload_of_a_nan() {
        let nan = 0xffa0_0000_7f80_0001u128;
        assert_eq!(f32x4_neg(nan) as u64, 0x7fa0_0000_ff80_0001);
        assert_eq!(f32x4_abs(nan), 0x7fa0_0000_7f80_0001);
        assert_eq!((f32x4_pmin(nan, 0), f32x4_pmax(nan, 0)), (nan, nan));
        assert_eq!((f32x4_pmin(0, nan), f32x4_pmax(0, nan)), (0, 0));
        assert_eq!(f64x2_neg(0x7ff0_0000_0000_0001) as u64, 0xfff0_0000_0000_0001);
    }

    #[test]
    fn min_tells_the_zeros_apart_and_pmin_does_not() {
        let (plus, minus) = (0, 0x8000_0000);
        assert_eq!((f32x4_min(plus, minus), f32x4_max(minus, plus)), (minus, plus));
        assert_eq!((f32x4_pmin(plus, minus), f32x4_pmax(minus, plus)), (plus, minus));
    }

    #[test]
    fn lanes_are_four_and_two() {
        assert_eq!(lanes(32, f32x4_abs(u128::MAX)), [0x7fff_ffff; 4]);
        assert_eq!(lanes(64, f64x2_abs(u128::MAX)), [0x7fff_ffff_ffff_ffff; 2]);
    }
}
