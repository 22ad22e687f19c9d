//! Integer operators and the bitwise ones (WebAssembly 3.0, section 4.3 "Numerics"): every lane alike, modulo 2^N.

use super::{by_halves, high, low, swar};

by_halves! {
    unary(a) {
        /// Every bit flipped.
        v128_not = !a;
        /// Magnitude; that of the smallest value is itself.
        i8x16_abs = swar::abs::<8>(a);
        /// Opposite number.
        i8x16_neg = swar::neg::<8>(a);
        /// One bits of each lane.
        i8x16_popcnt = swar::popcnt(a);
        /// Magnitude; that of the smallest value is itself.
        i16x8_abs = swar::abs::<16>(a);
        /// Opposite number.
        i16x8_neg = swar::neg::<16>(a);
        /// Magnitude; that of the smallest value is itself.
        i32x4_abs = swar::abs::<32>(a);
        /// Opposite number.
        i32x4_neg = swar::neg::<32>(a);
        /// Magnitude; that of the smallest value is itself.
        i64x2_abs = swar::abs::<64>(a);
        /// Opposite number.
        i64x2_neg = swar::neg::<64>(a);
    }
}

by_halves! {
    binary(a, b) {
        /// Bitwise and.
        v128_and = a & b;
        /// The bits of `a` that are not in `b`.
        v128_andnot = a & !b;
        /// Bitwise or.
        v128_or = a | b;
        /// Bitwise exclusive or.
        v128_xor = a ^ b;
    }
}

by_halves! {
    binary(a, b) {
        /// Sum.
        i8x16_add = swar::add::<8>(a, b);
        /// Difference.
        i8x16_sub = swar::sub::<8>(a, b);
        /// Mask of `a == b`.
        i8x16_eq = swar::eq::<8>(a, b);
        /// Mask of `a != b`.
        i8x16_ne = !swar::eq::<8>(a, b);
        /// Mask of `a < b`, signed.
        i8x16_lt_s = swar::lt_s::<8>(a, b);
        /// Mask of `a < b`.
        i8x16_lt_u = swar::lt_u::<8>(a, b);
        /// Mask of `a > b`, signed.
        i8x16_gt_s = swar::lt_s::<8>(b, a);
        /// Mask of `a > b`.
        i8x16_gt_u = swar::lt_u::<8>(b, a);
        /// Mask of `a <= b`, signed.
        i8x16_le_s = !swar::lt_s::<8>(b, a);
        /// Mask of `a <= b`.
        i8x16_le_u = !swar::lt_u::<8>(b, a);
        /// Mask of `a >= b`, signed.
        i8x16_ge_s = !swar::lt_s::<8>(a, b);
        /// Mask of `a >= b`.
        i8x16_ge_u = !swar::lt_u::<8>(a, b);
        /// Lesser value, signed.
        i8x16_min_s = swar::min_s::<8>(a, b);
        /// Lesser value.
        i8x16_min_u = swar::min_u::<8>(a, b);
        /// Greater value, signed.
        i8x16_max_s = swar::max_s::<8>(a, b);
        /// Greater value.
        i8x16_max_u = swar::max_u::<8>(a, b);
        /// Sum, kept in the signed range.
        i8x16_add_sat_s = swar::add_sat_s::<8>(a, b);
        /// Sum, at most the greatest value.
        i8x16_add_sat_u = swar::add_sat_u::<8>(a, b);
        /// Difference, kept in the signed range.
        i8x16_sub_sat_s = swar::sub_sat_s::<8>(a, b);
        /// Difference, at least zero.
        i8x16_sub_sat_u = swar::sub_sat_u::<8>(a, b);
        /// Mean, rounded up.
        i8x16_avgr_u = swar::avgr_u::<8>(a, b);
    }
}

by_halves! {
    binary(a, b) {
        /// Sum.
        i16x8_add = swar::add::<16>(a, b);
        /// Difference.
        i16x8_sub = swar::sub::<16>(a, b);
        /// Product.
        i16x8_mul = swar::mul::<16>(a, b);
        /// Mask of `a == b`.
        i16x8_eq = swar::eq::<16>(a, b);
        /// Mask of `a != b`.
        i16x8_ne = !swar::eq::<16>(a, b);
        /// Mask of `a < b`, signed.
        i16x8_lt_s = swar::lt_s::<16>(a, b);
        /// Mask of `a < b`.
        i16x8_lt_u = swar::lt_u::<16>(a, b);
        /// Mask of `a > b`, signed.
        i16x8_gt_s = swar::lt_s::<16>(b, a);
        /// Mask of `a > b`.
        i16x8_gt_u = swar::lt_u::<16>(b, a);
        /// Mask of `a <= b`, signed.
        i16x8_le_s = !swar::lt_s::<16>(b, a);
        /// Mask of `a <= b`.
        i16x8_le_u = !swar::lt_u::<16>(b, a);
        /// Mask of `a >= b`, signed.
        i16x8_ge_s = !swar::lt_s::<16>(a, b);
        /// Mask of `a >= b`.
        i16x8_ge_u = !swar::lt_u::<16>(a, b);
        /// Lesser value, signed.
        i16x8_min_s = swar::min_s::<16>(a, b);
        /// Lesser value.
        i16x8_min_u = swar::min_u::<16>(a, b);
        /// Greater value, signed.
        i16x8_max_s = swar::max_s::<16>(a, b);
        /// Greater value.
        i16x8_max_u = swar::max_u::<16>(a, b);
        /// Sum, kept in the signed range.
        i16x8_add_sat_s = swar::add_sat_s::<16>(a, b);
        /// Sum, at most the greatest value.
        i16x8_add_sat_u = swar::add_sat_u::<16>(a, b);
        /// Difference, kept in the signed range.
        i16x8_sub_sat_s = swar::sub_sat_s::<16>(a, b);
        /// Difference, at least zero.
        i16x8_sub_sat_u = swar::sub_sat_u::<16>(a, b);
        /// Mean, rounded up.
        i16x8_avgr_u = swar::avgr_u::<16>(a, b);
    }
}

by_halves! {
    binary(a, b) {
        /// Sum.
        i32x4_add = swar::add::<32>(a, b);
        /// Difference.
        i32x4_sub = swar::sub::<32>(a, b);
        /// Product.
        i32x4_mul = swar::mul::<32>(a, b);
        /// Mask of `a == b`.
        i32x4_eq = swar::eq::<32>(a, b);
        /// Mask of `a != b`.
        i32x4_ne = !swar::eq::<32>(a, b);
        /// Mask of `a < b`, signed.
        i32x4_lt_s = swar::lt_s::<32>(a, b);
        /// Mask of `a < b`.
        i32x4_lt_u = swar::lt_u::<32>(a, b);
        /// Mask of `a > b`, signed.
        i32x4_gt_s = swar::lt_s::<32>(b, a);
        /// Mask of `a > b`.
        i32x4_gt_u = swar::lt_u::<32>(b, a);
        /// Mask of `a <= b`, signed.
        i32x4_le_s = !swar::lt_s::<32>(b, a);
        /// Mask of `a <= b`.
        i32x4_le_u = !swar::lt_u::<32>(b, a);
        /// Mask of `a >= b`, signed.
        i32x4_ge_s = !swar::lt_s::<32>(a, b);
        /// Mask of `a >= b`.
        i32x4_ge_u = !swar::lt_u::<32>(a, b);
        /// Lesser value, signed.
        i32x4_min_s = swar::min_s::<32>(a, b);
        /// Lesser value.
        i32x4_min_u = swar::min_u::<32>(a, b);
        /// Greater value, signed.
        i32x4_max_s = swar::max_s::<32>(a, b);
        /// Greater value.
        i32x4_max_u = swar::max_u::<32>(a, b);
    }
}

by_halves! {
    binary(a, b) {
        /// Sum.
        i64x2_add = swar::add::<64>(a, b);
        /// Difference.
        i64x2_sub = swar::sub::<64>(a, b);
        /// Product.
        i64x2_mul = swar::mul::<64>(a, b);
        /// Mask of `a == b`.
        i64x2_eq = swar::eq::<64>(a, b);
        /// Mask of `a != b`.
        i64x2_ne = !swar::eq::<64>(a, b);
        /// Mask of `a < b`, signed.
        i64x2_lt_s = swar::lt_s::<64>(a, b);
        /// Mask of `a > b`, signed.
        i64x2_gt_s = swar::lt_s::<64>(b, a);
        /// Mask of `a <= b`, signed.
        i64x2_le_s = !swar::lt_s::<64>(b, a);
        /// Mask of `a >= b`, signed.
        i64x2_ge_s = !swar::lt_s::<64>(a, b);
    }
}

by_halves! {
    shift(a, count) {
        /// Shift left by `count` modulo 8.
        i8x16_shl = swar::shl::<8>(a, count);
        /// Arithmetic shift right by `count` modulo 8.
        i8x16_shr_s = swar::shr_s::<8>(a, count);
        /// Logical shift right by `count` modulo 8.
        i8x16_shr_u = swar::shr_u::<8>(a, count);
        /// Shift left by `count` modulo 16.
        i16x8_shl = swar::shl::<16>(a, count);
        /// Arithmetic shift right by `count` modulo 16.
        i16x8_shr_s = swar::shr_s::<16>(a, count);
        /// Logical shift right by `count` modulo 16.
        i16x8_shr_u = swar::shr_u::<16>(a, count);
        /// Shift left by `count` modulo 32.
        i32x4_shl = swar::shl::<32>(a, count);
        /// Arithmetic shift right by `count` modulo 32.
        i32x4_shr_s = swar::shr_s::<32>(a, count);
        /// Logical shift right by `count` modulo 32.
        i32x4_shr_u = swar::shr_u::<32>(a, count);
        /// Shift left by `count` modulo 64.
        i64x2_shl = swar::shl::<64>(a, count);
        /// Arithmetic shift right by `count` modulo 64.
        i64x2_shr_s = swar::shr_s::<64>(a, count);
        /// Logical shift right by `count` modulo 64.
        i64x2_shr_u = swar::shr_u::<64>(a, count);
    }
}

/// The bits of `a` where those of `c` are set, else those of `b`.
#[inline(always)]
pub fn v128_bitselect(a: u128, b: u128, c: u128) -> u128 {
    b ^ ((a ^ b) & c)
}

/// 1 if any bit is set, else 0.
#[inline(always)]
pub fn v128_any_true(a: u128) -> u32 {
    u32::from(low(a) | high(a) != 0)
}

/// 1 if no lane is zero, else 0.
#[inline(always)]
pub fn i8x16_all_true(a: u128) -> u32 {
    u32::from(swar::all_true::<8>(low(a)) && swar::all_true::<8>(high(a)))
}

/// The highest bits of the lanes; that of lane 0 is the lowest bit.
#[inline(always)]
pub fn i8x16_bitmask(a: u128) -> u32 {
    swar::bitmask::<8>(low(a)) | (swar::bitmask::<8>(high(a)) << 8)
}

/// 1 if no lane is zero, else 0.
#[inline(always)]
pub fn i16x8_all_true(a: u128) -> u32 {
    u32::from(swar::all_true::<16>(low(a)) && swar::all_true::<16>(high(a)))
}

/// The highest bits of the lanes; that of lane 0 is the lowest bit.
#[inline(always)]
pub fn i16x8_bitmask(a: u128) -> u32 {
    swar::bitmask::<16>(low(a)) | (swar::bitmask::<16>(high(a)) << 4)
}

/// 1 if no lane is zero, else 0.
#[inline(always)]
pub fn i32x4_all_true(a: u128) -> u32 {
    u32::from(swar::all_true::<32>(low(a)) && swar::all_true::<32>(high(a)))
}

/// The highest bits of the lanes; that of lane 0 is the lowest bit.
#[inline(always)]
pub fn i32x4_bitmask(a: u128) -> u32 {
    swar::bitmask::<32>(low(a)) | (swar::bitmask::<32>(high(a)) << 2)
}

/// 1 if no lane is zero, else 0.
#[inline(always)]
pub fn i64x2_all_true(a: u128) -> u32 {
    u32::from(swar::all_true::<64>(low(a)) && swar::all_true::<64>(high(a)))
}

/// The highest bits of the lanes; that of lane 0 is the lowest bit.
#[inline(always)]
pub fn i64x2_bitmask(a: u128) -> u32 {
    swar::bitmask::<64>(low(a)) | (swar::bitmask::<64>(high(a)) << 1)
}

#[cfg(test)]
mod tests {
    use super::super::check::{Binary, Unary, any_vector, each, lanes, mask, pairs, signed};
    use super::*;
    use proptest::prelude::*;

    /// The operator at each width is `f` of the lanes, signed, with the width.
    fn agree_signed(a: u128, b: u128, forms: &[(u32, Binary)], f: impl Fn(u32, i128, i128) -> i128) {
        for &(width, form) in forms {
            let want = pairs(width, a, b, |x, y| f(width, signed(width, x), signed(width, y)));
            assert_eq!(form(a, b), want, "width {width} of {a:#034x} and {b:#034x}");
        }
    }

    /// The operator at each width is `f` of the lanes, unsigned, with the width.
    fn agree_unsigned(a: u128, b: u128, forms: &[(u32, Binary)], f: impl Fn(u32, i128, i128) -> i128) {
        for &(width, form) in forms {
            let want = pairs(width, a, b, |x, y| f(width, x.into(), y.into()));
            assert_eq!(form(a, b), want, "width {width} of {a:#034x} and {b:#034x}");
        }
    }

    /// The four widths of an operator, or those it has.
    macro_rules! forms {
        ($($width:literal $name:ident),*) => { &[$(($width, $name as Binary)),*] };
    }

    fn keep_signed(width: u32, x: i128) -> i128 {
        x.clamp(-1 << (width - 1), (1 << (width - 1)) - 1)
    }

    fn keep_unsigned(width: u32, x: i128) -> i128 {
        x.clamp(0, (1 << width) - 1)
    }

    proptest! {
        #[test]
        fn arithmetic_is_that_of_each_lane_modulo_its_size(a in any_vector(), b in any_vector()) {
            agree_signed(a, b, forms![8 i8x16_add, 16 i16x8_add, 32 i32x4_add, 64 i64x2_add], |_, x, y| x + y);
            agree_signed(a, b, forms![8 i8x16_sub, 16 i16x8_sub, 32 i32x4_sub, 64 i64x2_sub], |_, x, y| x - y);
            agree_signed(a, b, forms![16 i16x8_mul, 32 i32x4_mul, 64 i64x2_mul], |_, x, y| x * y);
            agree_signed(a, b, forms![8 i8x16_min_s, 16 i16x8_min_s, 32 i32x4_min_s], |_, x, y| x.min(y));
            agree_signed(a, b, forms![8 i8x16_max_s, 16 i16x8_max_s, 32 i32x4_max_s], |_, x, y| x.max(y));
            agree_unsigned(a, b, forms![8 i8x16_min_u, 16 i16x8_min_u, 32 i32x4_min_u], |_, x, y| x.min(y));
            agree_unsigned(a, b, forms![8 i8x16_max_u, 16 i16x8_max_u, 32 i32x4_max_u], |_, x, y| x.max(y));
            agree_unsigned(a, b, forms![8 i8x16_avgr_u, 16 i16x8_avgr_u], |_, x, y| (x + y + 1) / 2);
        }

        #[test]
        fn saturating_arithmetic_stops_at_the_ends_of_each_lane(a in any_vector(), b in any_vector()) {
            agree_signed(a, b, forms![8 i8x16_add_sat_s, 16 i16x8_add_sat_s], |w, x, y| keep_signed(w, x + y));
            agree_signed(a, b, forms![8 i8x16_sub_sat_s, 16 i16x8_sub_sat_s], |w, x, y| keep_signed(w, x - y));
            agree_unsigned(a, b, forms![8 i8x16_add_sat_u, 16 i16x8_add_sat_u], |w, x, y| keep_unsigned(w, x + y));
            agree_unsigned(a, b, forms![8 i8x16_sub_sat_u, 16 i16x8_sub_sat_u], |w, x, y| keep_unsigned(w, x - y));
        }

        #[test]
        fn comparisons_are_those_of_each_lane(a in any_vector(), b in any_vector(), same in any_vector()) {
            let b = (b & same) | (a & !same);
            agree_signed(a, b, forms![8 i8x16_eq, 16 i16x8_eq, 32 i32x4_eq, 64 i64x2_eq], |_, x, y| mask(x == y));
            agree_signed(a, b, forms![8 i8x16_ne, 16 i16x8_ne, 32 i32x4_ne, 64 i64x2_ne], |_, x, y| mask(x != y));
            agree_signed(a, b, forms![8 i8x16_lt_s, 16 i16x8_lt_s, 32 i32x4_lt_s, 64 i64x2_lt_s], |_, x, y| mask(x < y));
            agree_signed(a, b, forms![8 i8x16_gt_s, 16 i16x8_gt_s, 32 i32x4_gt_s, 64 i64x2_gt_s], |_, x, y| mask(x > y));
            agree_signed(a, b, forms![8 i8x16_le_s, 16 i16x8_le_s, 32 i32x4_le_s, 64 i64x2_le_s], |_, x, y| mask(x <= y));
            agree_signed(a, b, forms![8 i8x16_ge_s, 16 i16x8_ge_s, 32 i32x4_ge_s, 64 i64x2_ge_s], |_, x, y| mask(x >= y));
            agree_unsigned(a, b, forms![8 i8x16_lt_u, 16 i16x8_lt_u, 32 i32x4_lt_u], |_, x, y| mask(x < y));
            agree_unsigned(a, b, forms![8 i8x16_gt_u, 16 i16x8_gt_u, 32 i32x4_gt_u], |_, x, y| mask(x > y));
            agree_unsigned(a, b, forms![8 i8x16_le_u, 16 i16x8_le_u, 32 i32x4_le_u], |_, x, y| mask(x <= y));
            agree_unsigned(a, b, forms![8 i8x16_ge_u, 16 i16x8_ge_u, 32 i32x4_ge_u], |_, x, y| mask(x >= y));
        }

        #[test]
        fn a_shift_is_that_of_each_lane_by_the_count_modulo_its_size(a in any_vector(), count in any::<u32>()) {
            type Shift = fn(u128, u32) -> u128;
            let widths: [(u32, [Shift; 3]); 4] = [
                (8, [i8x16_shl, i8x16_shr_s, i8x16_shr_u]),
                (16, [i16x8_shl, i16x8_shr_s, i16x8_shr_u]),
                (32, [i32x4_shl, i32x4_shr_s, i32x4_shr_u]),
                (64, [i64x2_shl, i64x2_shr_s, i64x2_shr_u]),
            ];
            for (width, [shl, shr_s, shr_u]) in widths {
                for count in [0, width - 1, width, count] {
                    let n = count % width;
                    prop_assert_eq!(shl(a, count), each(width, a, |x| i128::from(x) << n));
                    prop_assert_eq!(shr_s(a, count), each(width, a, |x| signed(width, x) >> n));
                    prop_assert_eq!(shr_u(a, count), each(width, a, |x| i128::from(x) >> n));
                }
            }
        }

        #[test]
        fn operators_of_one_vector_are_those_of_each_lane(a in any_vector()) {
            let widths: [(u32, Unary, Unary); 4] = [
                (8, i8x16_abs, i8x16_neg),
                (16, i16x8_abs, i16x8_neg),
                (32, i32x4_abs, i32x4_neg),
                (64, i64x2_abs, i64x2_neg),
            ];
            for (width, abs, neg) in widths {
                prop_assert_eq!(abs(a), each(width, a, |x| signed(width, x).abs()));
                prop_assert_eq!(neg(a), each(width, a, |x| -signed(width, x)));
            }
            prop_assert_eq!(i8x16_popcnt(a), each(8, a, |x| x.count_ones().into()));
        }

        #[test]
        fn tests_look_at_every_lane(a in any_vector()) {
            type Test = fn(u128) -> u32;
            let widths: [(u32, Test, Test); 4] = [
                (8, i8x16_all_true, i8x16_bitmask),
                (16, i16x8_all_true, i16x8_bitmask),
                (32, i32x4_all_true, i32x4_bitmask),
                (64, i64x2_all_true, i64x2_bitmask),
            ];
            for (width, all_true, bitmask) in widths {
                let bits = lanes(width, a).into_iter().rev().fold(0, |bits, x| bits << 1 | (x >> (width - 1)) as u32);
                prop_assert_eq!(bitmask(a), bits);
                prop_assert_eq!(all_true(a), u32::from(lanes(width, a).into_iter().all(|x| x != 0)));
            }
            prop_assert_eq!(v128_any_true(a), u32::from(a != 0));
        }

        #[test]
        fn bitwise_operators_work_on_each_bit(a in any_vector(), b in any_vector(), c in any_vector()) {
            prop_assert_eq!(v128_andnot(a, b), a & !b);
            prop_assert_eq!(v128_bitselect(a, b, c), (a & c) | (b & !c));
            prop_assert_eq!((v128_and(a, b), v128_or(a, b), v128_xor(a, b), v128_not(a)), (a & b, a | b, a ^ b, !a));
        }
    }

    #[test]
    fn no_carry_leaves_its_lane() {
        assert_eq!(i8x16_add(0xff, 1), 0);
        assert_eq!(i16x8_sub(0, 1), 0xffff);
        assert_eq!(i32x4_add(0xffff_ffff, 1), 0);
        assert_eq!(i64x2_add(u64::MAX.into(), 1), 0);
    }

    #[test]
    fn the_smallest_value_is_its_own_opposite_and_magnitude() {
        let smallest = 0x80 << 120;
        assert_eq!((i8x16_abs(smallest), i8x16_neg(smallest)), (smallest, smallest));
        assert_eq!((i64x2_abs(smallest), i64x2_neg(smallest)), (smallest, smallest));
    }

    #[test]
    fn saturation_keeps_the_ends() {
        assert_eq!(i8x16_add_sat_s(0x7f80, 0x01ff), 0x7f80);
        assert_eq!(i8x16_sub_sat_s(0x7f80, 0xff01), 0x7f80);
        assert_eq!(i16x8_add_sat_u(0xffff, 0xffff), 0xffff);
        assert_eq!(i16x8_sub_sat_u(0, 0xffff), 0);
    }
}
