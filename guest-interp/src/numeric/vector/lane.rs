//! Operators that move lanes (WebAssembly 3.0, sections 4.3.6 and 4.4.3): splat, extract, replace, swizzle, shuffle.
//! Validation keeps every immediate lane in range; one that is not is taken modulo the number of lanes.

use super::{high, join, low, swar};

/// The lane of `W` bits, zero-extended.
#[inline(always)]
pub(super) fn extract<const W: u32>(a: u128, lane: u8) -> u64 {
    let per_half = 64 / W;
    let half = if u32::from(lane) & per_half == 0 { low(a) } else { high(a) };
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

/// `x` in every lane of `W` bits.
#[inline(always)]
pub(super) fn splat<const W: u32>(x: u64) -> u128 {
    let half = swar::splat::<W>(x);
    join(half, half)
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
#[inline(never)]
fn pick(bytes: &[u8; 32], lanes: u64) -> u64 {
    let byte = |i: u32| u64::from(bytes[(lanes >> i) as usize & 31]) << i;
    (byte(0) | byte(8)) | (byte(16) | byte(24)) | (byte(32) | byte(40)) | (byte(48) | byte(56))
}
