//! Operators that move lanes (WebAssembly 3.0, section 4.3 "Numerics"): splat, extract, replace, swizzle, shuffle.
//! Validation keeps every immediate lane in range; one that is not is taken modulo the number of lanes.

use super::{high, join, low, swar};

/// The lane of `W` bits, zero-extended. The half is chosen by a mask: of a condition the compiler makes a shift of 128
/// bits, which is a call.
#[inline(always)]
pub(super) fn extract<const W: u32>(a: u128, lane: u8) -> u64 {
    let per_half = 64 / W;
    let half = swar::select(swar::all_ones_if(u32::from(lane) & per_half != 0), high(a), low(a));
    (half >> (u32::from(lane) % per_half * W)) & (u64::MAX >> (64 - W))
}

/// `a` with the lane of `W` bits replaced by the low bits of `x`.
#[inline(always)]
pub(super) fn replace<const W: u32>(a: u128, x: u64, lane: u8) -> u128 {
    let per_half = 64 / W;
    let shift = u32::from(lane) % per_half * W;
    let mask = (u64::MAX >> (64 - W)) << shift;
    let new = x << shift;
    if u32::from(lane) & per_half == 0 {
        join(swar::select(mask, new, low(a)), high(a))
    } else {
        join(low(a), swar::select(mask, new, high(a)))
    }
}

/// `x` in every lane of `W` bits. The higher half is the lower one in a disguise (turned by a lane, or one bit set
/// and cleared): of the same value twice the compiler makes a product of 128 bits, which is a call.
#[inline(always)]
pub(super) fn splat<const W: u32>(x: u64) -> u128 {
    let half = swar::splat::<W>(x);
    let again = if W == 64 { (half | 1) - (!half & 1) } else { half.rotate_left(W) };
    join(half, again)
}

/// `x` in every lane.
#[inline(always)]
pub fn i8x16_splat(x: u32) -> u128 {
    splat::<8>(u64::from(x))
}

/// The lane, sign-extended.
#[inline(always)]
pub fn i8x16_extract_lane_s(a: u128, lane: u8) -> u32 {
    extract::<8>(a, lane) as i8 as u32
}

/// The lane, zero-extended.
#[inline(always)]
pub fn i8x16_extract_lane_u(a: u128, lane: u8) -> u32 {
    extract::<8>(a, lane) as u32
}

/// `a` with one lane replaced by `x`.
#[inline(always)]
pub fn i8x16_replace_lane(a: u128, x: u32, lane: u8) -> u128 {
    replace::<8>(a, u64::from(x), lane)
}

/// `x` in every lane.
#[inline(always)]
pub fn i16x8_splat(x: u32) -> u128 {
    splat::<16>(u64::from(x))
}

/// The lane, sign-extended.
#[inline(always)]
pub fn i16x8_extract_lane_s(a: u128, lane: u8) -> u32 {
    extract::<16>(a, lane) as i16 as u32
}

/// The lane, zero-extended.
#[inline(always)]
pub fn i16x8_extract_lane_u(a: u128, lane: u8) -> u32 {
    extract::<16>(a, lane) as u32
}

/// `a` with one lane replaced by `x`.
#[inline(always)]
pub fn i16x8_replace_lane(a: u128, x: u32, lane: u8) -> u128 {
    replace::<16>(a, u64::from(x), lane)
}

/// `x` in every lane.
#[inline(always)]
pub fn i32x4_splat(x: u32) -> u128 {
    splat::<32>(u64::from(x))
}

/// The lane.
#[inline(always)]
pub fn i32x4_extract_lane(a: u128, lane: u8) -> u32 {
    extract::<32>(a, lane) as u32
}

/// `a` with one lane replaced by `x`.
#[inline(always)]
pub fn i32x4_replace_lane(a: u128, x: u32, lane: u8) -> u128 {
    replace::<32>(a, u64::from(x), lane)
}

/// `x` in every lane.
#[inline(always)]
pub fn i64x2_splat(x: u64) -> u128 {
    splat::<64>(x)
}

/// The lane.
#[inline(always)]
pub fn i64x2_extract_lane(a: u128, lane: u8) -> u64 {
    extract::<64>(a, lane)
}

/// `a` with one lane replaced by `x`.
#[inline(always)]
pub fn i64x2_replace_lane(a: u128, x: u64, lane: u8) -> u128 {
    replace::<64>(a, x, lane)
}

/// `x` in every lane.
#[inline(always)]
pub fn f32x4_splat(x: u32) -> u128 {
    splat::<32>(u64::from(x))
}

/// The lane, as bits.
#[inline(always)]
pub fn f32x4_extract_lane(a: u128, lane: u8) -> u32 {
    extract::<32>(a, lane) as u32
}

/// `a` with one lane replaced by `x`.
#[inline(always)]
pub fn f32x4_replace_lane(a: u128, x: u32, lane: u8) -> u128 {
    replace::<32>(a, u64::from(x), lane)
}

/// `x` in every lane.
#[inline(always)]
pub fn f64x2_splat(x: u64) -> u128 {
    splat::<64>(x)
}

/// The lane, as bits.
#[inline(always)]
pub fn f64x2_extract_lane(a: u128, lane: u8) -> u64 {
    extract::<64>(a, lane)
}

/// `a` with one lane replaced by `x`.
#[inline(always)]
pub fn f64x2_replace_lane(a: u128, x: u64, lane: u8) -> u128 {
    replace::<64>(a, x, lane)
}

/// For each byte of `b` the byte of `a` with that number, or 0 from 16 on.
#[inline(always)]
pub fn i8x16_swizzle(a: u128, b: u128) -> u128 {
    let bytes = |half: u64| {
        let beyond = (((half >> 4) & 0x0f0f_0f0f_0f0f_0f0f) + 0x0f0f_0f0f_0f0f_0f0f) & 0x1010_1010_1010_1010;
        (half & 0x0f0f_0f0f_0f0f_0f0f) | beyond
    };
    i8x16_shuffle(a, 0, join(bytes(low(b)), bytes(high(b))))
}

/// For each byte of `lanes` the byte with that number of `a` and `b` side by side.
#[inline(always)]
pub fn i8x16_shuffle(a: u128, b: u128, lanes: u128) -> u128 {
    let mut bytes = [0; 32];
    bytes[..16].copy_from_slice(&a.to_le_bytes());
    bytes[16..].copy_from_slice(&b.to_le_bytes());
    join(pick(&bytes, low(lanes)), pick(&bytes, high(lanes)))
}

/// The bytes with the numbers in `lanes`.
#[inline(always)]
fn pick(bytes: &[u8; 32], lanes: u64) -> u64 {
    let byte = |i: u32| u64::from(bytes[(lanes >> i) as usize & 31]) << i;
    (byte(0) | byte(8)) | (byte(16) | byte(24)) | (byte(32) | byte(40)) | (byte(48) | byte(56))
}

#[cfg(test)]
mod tests {
    use super::super::check::{any_vector, lanes, signed, vector};
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_byte_number_out_of_range_gives_zero() {
        let a = 0x0f0e_0d0c_0b0a_0908_0706_0504_0302_01aa;
        assert_eq!(i8x16_swizzle(a, u128::MAX << 72 | 0xff_80_7f_20_1f_11_10_0f_00), 0x0f_aa);
    }

    #[test]
    fn a_shuffle_takes_bytes_from_either_vector() {
        let (a, b) = (0x0f0e_0d0c_0b0a_0908_0706_0504_0302_0100, 0x1f1e_1d1c_1b1a_1918_1716_1514_1312_1110);
        let lanes = 0x1f00_1e01_1d02_1c03_1b04_1a05_1906_1807;
        assert_eq!(i8x16_shuffle(a, b, lanes), lanes);
    }

    #[test]
    fn a_signed_lane_is_extended_from_its_own_size() {
        assert_eq!(i8x16_extract_lane_s(0x80 << 120, 15), 0xffff_ff80);
        assert_eq!(i16x8_extract_lane_s(0x8000 << 64, 4), 0xffff_8000);
        assert_eq!(i16x8_extract_lane_u(0x8000 << 64, 4), 0x8000);
    }

    #[test]
    fn a_scalar_is_cut_to_the_lane() {
        assert_eq!(i8x16_splat(0x1234_56ff), u128::MAX);
        assert_eq!(i16x8_replace_lane(0, 0xffff_0001, 7), 1 << 112);
    }

    proptest! {
        #[test]
        fn swizzle_and_shuffle_pick_bytes(a in any_vector(), b in any_vector(), c in any_vector()) {
            let (bytes, numbers) = (lanes(8, a), lanes(8, b));
            let picked = numbers.iter().map(|&i| bytes.get(i as usize).map_or(0, |&byte| byte.into()));
            prop_assert_eq!(i8x16_swizzle(a, b), vector(8, picked));
            let (both, c) = ([bytes, numbers].concat(), c & splat::<8>(31));
            let picked = lanes(8, c).into_iter().map(|i| both[i as usize].into());
            prop_assert_eq!(i8x16_shuffle(a, b, c), vector(8, picked));
        }

        #[test]
        fn a_lane_is_read_and_replaced_alone(a in any_vector(), x in any::<u64>(), lane in 0u8..16) {
            for width in [8, 16, 32, 64] {
                let lane = lane % (128 / width) as u8;
                let mut all = lanes(width, a);
                let (read, replaced) = match width {
                    8 => (u64::from(i8x16_extract_lane_u(a, lane)), i8x16_replace_lane(a, x as u32, lane)),
                    16 => (u64::from(i16x8_extract_lane_u(a, lane)), i16x8_replace_lane(a, x as u32, lane)),
                    32 => (u64::from(f32x4_extract_lane(a, lane)), i32x4_replace_lane(a, x as u32, lane)),
                    _ => (f64x2_extract_lane(a, lane), f64x2_replace_lane(a, x, lane)),
                };
                prop_assert_eq!(read, all[usize::from(lane)]);
                all[usize::from(lane)] = x;
                prop_assert_eq!(replaced, vector(width, all.into_iter().map(i128::from)));
            }
            let extended = signed(8, lanes(8, a)[usize::from(lane)]) as u32;
            prop_assert_eq!(i8x16_extract_lane_s(a, lane), extended);
        }

        #[test]
        fn a_splat_fills_every_lane(x in any::<u64>()) {
            let fill = |width: u32| vector(width, vec![i128::from(x); 16]);
            prop_assert_eq!((i8x16_splat(x as u32), i16x8_splat(x as u32)), (fill(8), fill(16)));
            prop_assert_eq!((i32x4_splat(x as u32), i64x2_splat(x)), (fill(32), fill(64)));
            prop_assert_eq!((f32x4_splat(x as u32), f64x2_splat(x)), (fill(32), fill(64)));
        }
    }
}
