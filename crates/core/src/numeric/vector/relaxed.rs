//! Relaxed vector operators, as the deterministic profile of WebAssembly 3.0 fixes them (section 4.3, "Relaxed
//! Operations", where every parameter is 0, and the definition of `vextbinop` there):
//! - `relaxed_swizzle` is `swizzle`, `relaxed_laneselect` is `bitselect`, `relaxed_min` and `relaxed_max` are `min` and
//!   `max`, `relaxed_q15mulr_s` is `q15mulr_sat_s`, `relaxed_trunc` is `trunc_sat`;
//! - `relaxed_madd` is **not** fused: the product is rounded, then the sum; `relaxed_nmadd` negates the first operand;
//! - `relaxed_dot` multiplies both operands as signed bytes and adds two products with saturation (which only four times
//!   -128 needs); `relaxed_dot_add` adds neighbouring lanes of that, and the third operand, modulo 2^32.

use super::float::{add32, zip32, zip64};
use super::{by_halves, high, join, low, swar};
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

/// [`f32x4_relaxed_madd`] of half a vector.
#[inline(always)]
fn madd32(a: u64, b: u64, c: u64) -> u64 {
    add32(zip32(a, b, float::f32_mul_any), c)
}

/// `a * b + c`, rounded twice.
#[inline(always)]
pub fn f32x4_relaxed_madd(a: u128, b: u128, c: u128) -> u128 {
    join(madd32(low(a), low(b), low(c)), madd32(high(a), high(b), high(c)))
}

/// `-a * b + c`, rounded twice.
#[inline(always)]
pub fn f32x4_relaxed_nmadd(a: u128, b: u128, c: u128) -> u128 {
    f32x4_relaxed_madd(super::f32x4_neg(a), b, c)
}

/// [`f64x2_relaxed_madd`] of half a vector.
#[inline(always)]
fn madd64(a: u64, b: u64, c: u64) -> u64 {
    zip64(zip64(a, b, float::f64_mul_any), c, float::f64_add)
}

/// `a * b + c`, rounded twice.
#[inline(always)]
pub fn f64x2_relaxed_madd(a: u128, b: u128, c: u128) -> u128 {
    join(madd64(low(a), low(b), low(c)), madd64(high(a), high(b), high(c)))
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
    binary(a, b) {
        /// Sums of two products of neighbouring lanes, signed, kept in range.
        i16x8_relaxed_dot_i8x16_i7x16_s = dot(a, b);
    }
}

/// Sums of four products of neighbouring lanes, signed, each two kept in the range of 16 bits, and of `c`.
#[inline(always)]
pub fn i32x4_relaxed_dot_i8x16_i7x16_add_s(a: u128, b: u128, c: u128) -> u128 {
    super::i32x4_add(super::i32x4_extadd_pairwise_i16x8_s(i16x8_relaxed_dot_i8x16_i7x16_s(a, b)), c)
}

#[cfg(test)]
mod tests {
    use super::super::check::{any_vector, lanes, signed, vector};
    use super::super::lane::splat;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_multiplication_and_addition_rounds_twice() {
        // Fused, the square of the distance to 1 would remain.
        let (near_one, one) = (0x3f80_0001u32, 0xbf80_0002u32);
        let [a, c] = [near_one, one].map(|bits| splat::<32>(bits.into()));
        assert_eq!(f32x4_relaxed_madd(a, a, c), 0);
        let (near_one, one) = (0x3ff0_0000_0000_0001, 0xbff0_0000_0000_0002);
        let [a, c] = [near_one, one].map(splat::<64>);
        assert_eq!(f64x2_relaxed_madd(a, a, c), 0);
    }

    #[test]
    fn the_negated_form_negates_the_product() {
        let [two, three, ten] = [2.0f32, 3.0, 10.0].map(|x| splat::<32>(x.to_bits().into()));
        assert_eq!(f32x4_relaxed_nmadd(two, three, ten), splat::<32>(4.0f32.to_bits().into()));
        let [two, three, ten] = [2.0f64, 3.0, 10.0].map(|x| splat::<64>(x.to_bits()));
        assert_eq!(f64x2_relaxed_nmadd(two, three, ten), splat::<64>(4.0f64.to_bits()));
    }

    #[test]
    fn any_nan_of_a_multiplication_and_addition_is_canonical() {
        let nan = splat::<32>(0xff80_0001);
        for [a, b, c] in [[nan, 0, 0], [0, nan, 0], [0, 0, nan]] {
            assert_eq!(f32x4_relaxed_madd(a, b, c), splat::<32>(float::F32_NAN.into()));
            assert_eq!(f32x4_relaxed_nmadd(a, b, c), splat::<32>(float::F32_NAN.into()));
        }
        let infinite = splat::<64>(f64::INFINITY.to_bits());
        assert_eq!(f64x2_relaxed_madd(infinite, 0, 0), splat::<64>(float::F64_NAN));
    }

    #[test]
    fn the_dot_product_of_the_smallest_bytes_is_kept_in_range() {
        let least = splat::<8>(0x80);
        assert_eq!(i16x8_relaxed_dot_i8x16_i7x16_s(least, least), splat::<16>(0x7fff));
        assert_eq!(i32x4_relaxed_dot_i8x16_i7x16_add_s(least, least, 0), splat::<32>(0xfffe));
    }

    #[test]
    fn the_other_choices_are_those_of_the_plain_operators() {
        assert_eq!(i8x16_relaxed_swizzle(u128::MAX, u128::MAX << 32 | 0x10_7f_80_00), 0xff);
        assert_eq!(i8x16_relaxed_laneselect(0xf0, 0x0f, 0x80), 0x8f);
        assert_eq!(i64x2_relaxed_laneselect(0xf0, 0x0f, 0x80), 0x8f);
        assert_eq!(i16x8_relaxed_q15mulr_s(0x8000, 0x8000), 0x7fff);
        assert_eq!(f32x4_relaxed_min(0, 0x8000_0000), 0x8000_0000);
        assert_eq!(i32x4_relaxed_trunc_f32x4_s(splat::<32>(0x7fc0_0000)), 0);
        assert_eq!(i32x4_relaxed_trunc_f64x2_u_zero(f64::INFINITY.to_bits().into()), 0xffff_ffff);
    }

    proptest! {
        #[test]
        fn a_dot_product_adds_products_of_signed_bytes(a in any_vector(), b in any_vector(), c in any_vector()) {
            let products: Vec<i128> =
                lanes(8, a).into_iter().zip(lanes(8, b)).map(|(x, y)| signed(8, x) * signed(8, y)).collect();
            let sums: Vec<i128> = products.chunks(2).map(|two| two.iter().sum::<i128>().min(0x7fff)).collect();
            prop_assert_eq!(i16x8_relaxed_dot_i8x16_i7x16_s(a, b), vector(16, sums.iter().copied()));
            let all = sums.chunks(2).zip(lanes(32, c)).map(|(two, c)| two.iter().sum::<i128>() + i128::from(c));
            prop_assert_eq!(i32x4_relaxed_dot_i8x16_i7x16_add_s(a, b, c), vector(32, all));
        }
    }
}
