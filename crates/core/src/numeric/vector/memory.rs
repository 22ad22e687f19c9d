//! What loads and stores do besides reading and writing (WebAssembly 3.0, execution of "Vector Instructions"): the bytes
//! read come as a zero-extended `u64`, those to write leave as one.

use super::lane::{extract, replace, splat};
use super::widen::{widen_s, widen_u};

/// Lanes of 8 bits, sign-extended to twice that.
#[inline(always)]
pub fn v128_load8x8_s(bits: u64) -> u128 {
    widen_s::<8>(bits)
}

/// Lanes of 8 bits, zero-extended to twice that.
#[inline(always)]
pub fn v128_load8x8_u(bits: u64) -> u128 {
    widen_u::<8>(bits)
}

/// Lanes of 16 bits, sign-extended to twice that.
#[inline(always)]
pub fn v128_load16x4_s(bits: u64) -> u128 {
    widen_s::<16>(bits)
}

/// Lanes of 16 bits, zero-extended to twice that.
#[inline(always)]
pub fn v128_load16x4_u(bits: u64) -> u128 {
    widen_u::<16>(bits)
}

/// Lanes of 32 bits, sign-extended to twice that.
#[inline(always)]
pub fn v128_load32x2_s(bits: u64) -> u128 {
    widen_s::<32>(bits)
}

/// Lanes of 32 bits, zero-extended to twice that.
#[inline(always)]
pub fn v128_load32x2_u(bits: u64) -> u128 {
    widen_u::<32>(bits)
}

/// The 8 bits read in every lane.
#[inline(always)]
pub fn v128_load8_splat(bits: u64) -> u128 {
    splat::<8>(bits)
}

/// The 16 bits read in every lane.
#[inline(always)]
pub fn v128_load16_splat(bits: u64) -> u128 {
    splat::<16>(bits)
}

/// The 32 bits read in every lane.
#[inline(always)]
pub fn v128_load32_splat(bits: u64) -> u128 {
    splat::<32>(bits)
}

/// The 64 bits read in every lane.
#[inline(always)]
pub fn v128_load64_splat(bits: u64) -> u128 {
    splat::<64>(bits)
}

/// The 32 bits read in the lowest lane, zero in the others.
#[inline(always)]
pub fn v128_load32_zero(bits: u64) -> u128 {
    u128::from(bits)
}

/// The 64 bits read in the lowest lane, zero in the others.
#[inline(always)]
pub fn v128_load64_zero(bits: u64) -> u128 {
    u128::from(bits)
}

/// `a` with one lane replaced by the 8 bits read.
#[inline(always)]
pub fn v128_load8_lane(a: u128, bits: u64, lane: u8) -> u128 {
    replace::<8>(a, bits, lane)
}

/// The 8 bits of one lane, to write.
#[inline(always)]
pub fn v128_store8_lane(a: u128, lane: u8) -> u64 {
    extract::<8>(a, lane)
}

/// `a` with one lane replaced by the 16 bits read.
#[inline(always)]
pub fn v128_load16_lane(a: u128, bits: u64, lane: u8) -> u128 {
    replace::<16>(a, bits, lane)
}

/// The 16 bits of one lane, to write.
#[inline(always)]
pub fn v128_store16_lane(a: u128, lane: u8) -> u64 {
    extract::<16>(a, lane)
}

/// `a` with one lane replaced by the 32 bits read.
#[inline(always)]
pub fn v128_load32_lane(a: u128, bits: u64, lane: u8) -> u128 {
    replace::<32>(a, bits, lane)
}

/// The 32 bits of one lane, to write.
#[inline(always)]
pub fn v128_store32_lane(a: u128, lane: u8) -> u64 {
    extract::<32>(a, lane)
}

/// `a` with one lane replaced by the 64 bits read.
#[inline(always)]
pub fn v128_load64_lane(a: u128, bits: u64, lane: u8) -> u128 {
    replace::<64>(a, bits, lane)
}

/// The 64 bits of one lane, to write.
#[inline(always)]
pub fn v128_store64_lane(a: u128, lane: u8) -> u64 {
    extract::<64>(a, lane)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_extending_load_extends_every_lane() {
        assert_eq!(v128_load8x8_s(0xff00_0000_0000_0080), 0xffff_0000_0000_0000_0000_0000_0000_ff80);
        assert_eq!(v128_load8x8_u(0xff00_0000_0000_0080), 0x00ff_0000_0000_0000_0000_0000_0000_0080);
        assert_eq!(v128_load16x4_s(0x8000_0000_0000_0001), 0xffff_8000_0000_0000_0000_0000_0000_0001);
        assert_eq!(v128_load16x4_u(0x8000_0000_0000_0001), 0x0000_8000_0000_0000_0000_0000_0000_0001);
        assert_eq!(v128_load32x2_s(0x8000_0000_0000_0001), 0xffff_ffff_8000_0000_0000_0000_0000_0001);
        assert_eq!(v128_load32x2_u(0x8000_0000_0000_0001), 0x0000_0000_8000_0000_0000_0000_0000_0001);
    }

    #[test]
    fn a_splatting_load_fills_and_a_zeroing_one_clears() {
        assert_eq!(v128_load8_splat(0xab), u128::MAX / 0xff * 0xab);
        assert_eq!(v128_load16_splat(0x1234), u128::MAX / 0xffff * 0x1234);
        assert_eq!(v128_load32_splat(0x1234_5678), u128::MAX / 0xffff_ffff * 0x1234_5678);
        assert_eq!(v128_load64_splat(5), 5 << 64 | 5);
        assert_eq!((v128_load32_zero(0xffff_ffff), v128_load64_zero(u64::MAX)), (0xffff_ffff, u64::MAX.into()));
    }

    #[test]
    fn a_lane_stored_and_loaded_is_the_same() {
        let a = 0x0f0e_0d0c_0b0a_0908_0706_0504_0302_0100;
        assert_eq!(v128_store8_lane(a, 15), 0x0f);
        assert_eq!(v128_store16_lane(a, 4), 0x0908);
        assert_eq!(v128_store32_lane(a, 1), 0x0706_0504);
        assert_eq!(v128_store64_lane(a, 1), 0x0f0e_0d0c_0b0a_0908);
        assert_eq!(v128_load8_lane(a, 0xff, 0), a | 0xff);
        assert_eq!(v128_load16_lane(0, 0xffff, 7), 0xffff << 112);
        assert_eq!(v128_load32_lane(0, 0xffff_ffff, 2), 0xffff_ffff << 64);
        assert_eq!(v128_load64_lane(a, 7, 1), 7 << 64 | u128::from(a as u64));
    }
}
