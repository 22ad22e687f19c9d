//! Operators between lanes of one width and of twice that (WebAssembly 3.0, section 4.3 "Numerics"): extensions,
//! extended sums and products, dot products, and narrowing.

use super::{high, join, low, map, swar, zip};

/// The lower lanes, sign-extended.
#[inline(always)]
pub fn i16x8_extend_low_i8x16_s(a: u128) -> u128 {
    widen_s::<8>(low(a))
}

/// The lower lanes, zero-extended.
#[inline(always)]
pub fn i16x8_extend_low_i8x16_u(a: u128) -> u128 {
    widen_u::<8>(low(a))
}

/// The higher lanes, sign-extended.
#[inline(always)]
pub fn i16x8_extend_high_i8x16_s(a: u128) -> u128 {
    widen_s::<8>(high(a))
}

/// The higher lanes, zero-extended.
#[inline(always)]
pub fn i16x8_extend_high_i8x16_u(a: u128) -> u128 {
    widen_u::<8>(high(a))
}

/// The lower lanes, sign-extended.
#[inline(always)]
pub fn i32x4_extend_low_i16x8_s(a: u128) -> u128 {
    widen_s::<16>(low(a))
}

/// The lower lanes, zero-extended.
#[inline(always)]
pub fn i32x4_extend_low_i16x8_u(a: u128) -> u128 {
    widen_u::<16>(low(a))
}

/// The higher lanes, sign-extended.
#[inline(always)]
pub fn i32x4_extend_high_i16x8_s(a: u128) -> u128 {
    widen_s::<16>(high(a))
}

/// The higher lanes, zero-extended.
#[inline(always)]
pub fn i32x4_extend_high_i16x8_u(a: u128) -> u128 {
    widen_u::<16>(high(a))
}

/// The lower lanes, sign-extended.
#[inline(always)]
pub fn i64x2_extend_low_i32x4_s(a: u128) -> u128 {
    widen_s::<32>(low(a))
}

/// The lower lanes, zero-extended.
#[inline(always)]
pub fn i64x2_extend_low_i32x4_u(a: u128) -> u128 {
    widen_u::<32>(low(a))
}

/// The higher lanes, sign-extended.
#[inline(always)]
pub fn i64x2_extend_high_i32x4_s(a: u128) -> u128 {
    widen_s::<32>(high(a))
}

/// The higher lanes, zero-extended.
#[inline(always)]
pub fn i64x2_extend_high_i32x4_u(a: u128) -> u128 {
    widen_u::<32>(high(a))
}

/// Lanes of `W` bits, half a vector, sign-extended.
#[inline(always)]
pub(super) fn widen_s<const W: u32>(half: u64) -> u128 {
    join(swar::widen_s::<W>(half as u32), swar::widen_s::<W>((half >> 32) as u32))
}

/// Lanes of `W` bits, half a vector, zero-extended.
#[inline(always)]
pub(super) fn widen_u<const W: u32>(half: u64) -> u128 {
    join(swar::widen_u::<W>(half as u32), swar::widen_u::<W>((half >> 32) as u32))
}

/// Whole products of the lower lanes, signed.
#[inline(always)]
pub fn i16x8_extmul_low_i8x16_s(a: u128, b: u128) -> u128 {
    zip(widen_s::<8>(low(a)), widen_s::<8>(low(b)), swar::mul::<16>)
}

/// Whole products of the lower lanes, unsigned.
#[inline(always)]
pub fn i16x8_extmul_low_i8x16_u(a: u128, b: u128) -> u128 {
    zip(widen_u::<8>(low(a)), widen_u::<8>(low(b)), swar::mul::<16>)
}

/// Whole products of the higher lanes, signed.
#[inline(always)]
pub fn i16x8_extmul_high_i8x16_s(a: u128, b: u128) -> u128 {
    zip(widen_s::<8>(high(a)), widen_s::<8>(high(b)), swar::mul::<16>)
}

/// Whole products of the higher lanes, unsigned.
#[inline(always)]
pub fn i16x8_extmul_high_i8x16_u(a: u128, b: u128) -> u128 {
    zip(widen_u::<8>(high(a)), widen_u::<8>(high(b)), swar::mul::<16>)
}

/// Whole products of the lower lanes, signed.
#[inline(always)]
pub fn i32x4_extmul_low_i16x8_s(a: u128, b: u128) -> u128 {
    zip(widen_s::<16>(low(a)), widen_s::<16>(low(b)), swar::mul::<32>)
}

/// Whole products of the lower lanes, unsigned.
#[inline(always)]
pub fn i32x4_extmul_low_i16x8_u(a: u128, b: u128) -> u128 {
    zip(widen_u::<16>(low(a)), widen_u::<16>(low(b)), swar::mul::<32>)
}

/// Whole products of the higher lanes, signed.
#[inline(always)]
pub fn i32x4_extmul_high_i16x8_s(a: u128, b: u128) -> u128 {
    zip(widen_s::<16>(high(a)), widen_s::<16>(high(b)), swar::mul::<32>)
}

/// Whole products of the higher lanes, unsigned.
#[inline(always)]
pub fn i32x4_extmul_high_i16x8_u(a: u128, b: u128) -> u128 {
    zip(widen_u::<16>(high(a)), widen_u::<16>(high(b)), swar::mul::<32>)
}

/// Whole products of the lower lanes, signed.
#[inline(always)]
pub fn i64x2_extmul_low_i32x4_s(a: u128, b: u128) -> u128 {
    zip(widen_s::<32>(low(a)), widen_s::<32>(low(b)), swar::mul::<64>)
}

/// Whole products of the lower lanes, unsigned.
#[inline(always)]
pub fn i64x2_extmul_low_i32x4_u(a: u128, b: u128) -> u128 {
    zip(widen_u::<32>(low(a)), widen_u::<32>(low(b)), swar::mul::<64>)
}

/// Whole products of the higher lanes, signed.
#[inline(always)]
pub fn i64x2_extmul_high_i32x4_s(a: u128, b: u128) -> u128 {
    zip(widen_s::<32>(high(a)), widen_s::<32>(high(b)), swar::mul::<64>)
}

/// Whole products of the higher lanes, unsigned.
#[inline(always)]
pub fn i64x2_extmul_high_i32x4_u(a: u128, b: u128) -> u128 {
    zip(widen_u::<32>(high(a)), widen_u::<32>(high(b)), swar::mul::<64>)
}

/// Whole sums of neighbouring lanes, signed.
#[inline(always)]
pub fn i16x8_extadd_pairwise_i8x16_s(a: u128) -> u128 {
    map(a, |a| swar::add::<16>(swar::even_s::<8>(a), swar::even_s::<8>(a >> 8)))
}

/// Whole sums of neighbouring lanes, unsigned.
#[inline(always)]
pub fn i16x8_extadd_pairwise_i8x16_u(a: u128) -> u128 {
    map(a, |a| swar::add::<16>(swar::even_u::<8>(a), swar::even_u::<8>(a >> 8)))
}

/// Whole sums of neighbouring lanes, signed.
#[inline(always)]
pub fn i32x4_extadd_pairwise_i16x8_s(a: u128) -> u128 {
    map(a, |a| swar::add::<32>(swar::even_s::<16>(a), swar::even_s::<16>(a >> 16)))
}

/// Whole sums of neighbouring lanes, unsigned.
#[inline(always)]
pub fn i32x4_extadd_pairwise_i16x8_u(a: u128) -> u128 {
    map(a, |a| swar::add::<32>(swar::even_u::<16>(a), swar::even_u::<16>(a >> 16)))
}

/// Sums of two products of neighbouring lanes, signed: modulo 2^32, which only four times the smallest value needs.
#[inline(always)]
pub fn i32x4_dot_i16x8_s(a: u128, b: u128) -> u128 {
    zip(a, b, |a, b| {
        let even = swar::mul::<32>(swar::even_s::<16>(a), swar::even_s::<16>(b));
        let odd = swar::mul::<32>(swar::even_s::<16>(a >> 16), swar::even_s::<16>(b >> 16));
        swar::add::<32>(even, odd)
    })
}

/// Products of fractions of 15 bits, rounded and kept in range.
#[inline(always)]
pub fn i16x8_q15mulr_sat_s(a: u128, b: u128) -> u128 {
    zip(a, b, q15mulr_sat)
}

/// [`i16x8_q15mulr_sat_s`] of half a vector. Only -1 by -1 is out of range.
#[inline(never)]
fn q15mulr_sat(a: u64, b: u64) -> u64 {
    let lane = |i: u32| {
        let product = i32::from((a >> i) as i16) * i32::from((b >> i) as i16);
        let rounded = ((product + 0x4000) >> 15).min(0x7fff);
        u64::from(rounded as u16) << i
    };
    lane(0) | lane(16) | lane(32) | lane(48)
}

/// Signed lanes of `2 * W` bits brought between `least` and `most` (each the same in every lane), then cut to `W`.
#[inline(always)]
fn narrow<const W: u32, const WIDE: u32>(a: u64, least: u64, most: u64) -> u64 {
    u64::from(swar::cut::<W>(swar::min_s::<WIDE>(swar::max_s::<WIDE>(a, least), most)))
}

/// Both vectors with `half` done to each half, which leaves 32 bits of it.
#[inline(always)]
fn pack(a: u128, b: u128, half: impl Fn(u64) -> u64) -> u128 {
    let both = |v: u128| half(low(v)) | (half(high(v)) << 32);
    join(both(a), both(b))
}

/// Lanes of `a`, then of `b`, signed, kept in the signed range of 8 bits.
#[inline(always)]
pub fn i8x16_narrow_i16x8_s(a: u128, b: u128) -> u128 {
    pack(a, b, |half| narrow::<8, 16>(half, 0xff80_ff80_ff80_ff80, 0x007f_007f_007f_007f))
}

/// Lanes of `a`, then of `b`, signed, kept in the unsigned range of 8 bits.
#[inline(always)]
pub fn i8x16_narrow_i16x8_u(a: u128, b: u128) -> u128 {
    pack(a, b, |half| narrow::<8, 16>(half, 0, 0x00ff_00ff_00ff_00ff))
}

/// Lanes of `a`, then of `b`, signed, kept in the signed range of 16 bits.
#[inline(always)]
pub fn i16x8_narrow_i32x4_s(a: u128, b: u128) -> u128 {
    pack(a, b, |half| narrow::<16, 32>(half, 0xffff_8000_ffff_8000, 0x0000_7fff_0000_7fff))
}

/// Lanes of `a`, then of `b`, signed, kept in the unsigned range of 16 bits.
#[inline(always)]
pub fn i16x8_narrow_i32x4_u(a: u128, b: u128) -> u128 {
    pack(a, b, |half| narrow::<16, 32>(half, 0, 0x0000_ffff_0000_ffff))
}

#[cfg(test)]
mod tests {
    use super::super::check::{Binary, Unary, any_vector, lanes, pairs, signed, vector};
    use super::*;
    use proptest::prelude::*;

    /// Lanes as signed or unsigned numbers.
    fn values(width: u32, is_signed: bool, a: u128) -> Vec<i128> {
        lanes(width, a).into_iter().map(|x| if is_signed { signed(width, x) } else { x.into() }).collect()
    }

    /// Narrow width, signed, extension of the lower and higher lanes, product of the same.
    type Widening = (u32, bool, [Unary; 2], [Binary; 2]);

    const WIDENING: [Widening; 6] = [
        (
            8,
            true,
            [i16x8_extend_low_i8x16_s, i16x8_extend_high_i8x16_s],
            [i16x8_extmul_low_i8x16_s, i16x8_extmul_high_i8x16_s],
        ),
        (
            8,
            false,
            [i16x8_extend_low_i8x16_u, i16x8_extend_high_i8x16_u],
            [i16x8_extmul_low_i8x16_u, i16x8_extmul_high_i8x16_u],
        ),
        (
            16,
            true,
            [i32x4_extend_low_i16x8_s, i32x4_extend_high_i16x8_s],
            [i32x4_extmul_low_i16x8_s, i32x4_extmul_high_i16x8_s],
        ),
        (
            16,
            false,
            [i32x4_extend_low_i16x8_u, i32x4_extend_high_i16x8_u],
            [i32x4_extmul_low_i16x8_u, i32x4_extmul_high_i16x8_u],
        ),
        (
            32,
            true,
            [i64x2_extend_low_i32x4_s, i64x2_extend_high_i32x4_s],
            [i64x2_extmul_low_i32x4_s, i64x2_extmul_high_i32x4_s],
        ),
        (
            32,
            false,
            [i64x2_extend_low_i32x4_u, i64x2_extend_high_i32x4_u],
            [i64x2_extmul_low_i32x4_u, i64x2_extmul_high_i32x4_u],
        ),
    ];

    proptest! {
        #[test]
        fn an_extension_keeps_the_value_of_each_lane(a in any_vector(), b in any_vector()) {
            for (width, is_signed, extend, extmul) in WIDENING {
                let (x, y) = (values(width, is_signed, a), values(width, is_signed, b));
                let half = x.len() / 2;
                for (i, lanes) in [0..half, half..x.len()].into_iter().enumerate() {
                    prop_assert_eq!(extend[i](a), vector(2 * width, x[lanes.clone()].iter().copied()));
                    let products = x[lanes.clone()].iter().zip(&y[lanes]).map(|(x, y)| x * y);
                    prop_assert_eq!(extmul[i](a, b), vector(2 * width, products));
                }
            }
        }

        #[test]
        fn pairwise_sums_are_whole(a in any_vector()) {
            let forms: [(u32, bool, Unary); 4] = [
                (8, true, i16x8_extadd_pairwise_i8x16_s),
                (8, false, i16x8_extadd_pairwise_i8x16_u),
                (16, true, i32x4_extadd_pairwise_i16x8_s),
                (16, false, i32x4_extadd_pairwise_i16x8_u),
            ];
            for (width, is_signed, form) in forms {
                let sums: Vec<i128> = values(width, is_signed, a).chunks(2).map(|two| two.iter().sum()).collect();
                prop_assert_eq!(form(a), vector(2 * width, sums));
            }
        }

        #[test]
        fn a_dot_product_adds_two_products(a in any_vector(), b in any_vector()) {
            let products: Vec<i128> =
                values(16, true, a).into_iter().zip(values(16, true, b)).map(|(x, y)| x * y).collect();
            prop_assert_eq!(i32x4_dot_i16x8_s(a, b), vector(32, products.chunks(2).map(|two| two.iter().sum())));
        }

        #[test]
        fn a_q15_product_is_rounded_and_kept_in_range(a in any_vector(), b in any_vector()) {
            let want = pairs(16, a, b, |x, y| ((signed(16, x) * signed(16, y) + 0x4000) >> 15).min(0x7fff));
            prop_assert_eq!(i16x8_q15mulr_sat_s(a, b), want);
        }

        #[test]
        fn narrowing_keeps_each_signed_value_in_range(a in any_vector(), b in any_vector()) {
            let forms: [(u32, i128, i128, Binary); 4] = [
                (8, -0x80, 0x7f, i8x16_narrow_i16x8_s),
                (8, 0, 0xff, i8x16_narrow_i16x8_u),
                (16, -0x8000, 0x7fff, i16x8_narrow_i32x4_s),
                (16, 0, 0xffff, i16x8_narrow_i32x4_u),
            ];
            for (width, least, most, form) in forms {
                let all = [values(2 * width, true, a), values(2 * width, true, b)].concat();
                prop_assert_eq!(form(a, b), vector(width, all.into_iter().map(|x| x.clamp(least, most))));
            }
        }
    }

    #[test]
    fn the_dot_product_of_the_smallest_values_wraps() {
        assert_eq!(i32x4_dot_i16x8_s(0x8000_8000, 0x8000_8000), 0x8000_0000);
    }

    #[test]
    fn minus_one_by_minus_one_is_the_greatest_q15_fraction() {
        assert_eq!(i16x8_q15mulr_sat_s(0x8000, 0x8000), 0x7fff);
    }
}
