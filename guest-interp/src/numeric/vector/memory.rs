//! What loads and stores do besides reading and writing (WebAssembly 3.0, section 4.6.9): the bytes read come as a
//! zero-extended `u64`, those to write leave as one.

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
