//! Integer operators (WebAssembly 2.0, section 4.3.2).

use stepmark_state::trap::Trap;

/// Sum, modulo 2^N.
#[inline(always)]
pub fn i32_add(a: u32, b: u32) -> u32 {
    a.wrapping_add(b)
}

/// Difference, modulo 2^N.
#[inline(always)]
pub fn i32_sub(a: u32, b: u32) -> u32 {
    a.wrapping_sub(b)
}

/// Product, modulo 2^N.
#[inline(always)]
pub fn i32_mul(a: u32, b: u32) -> u32 {
    a.wrapping_mul(b)
}

/// Bitwise and.
#[inline(always)]
pub fn i32_and(a: u32, b: u32) -> u32 {
    a & b
}

/// Bitwise or.
#[inline(always)]
pub fn i32_or(a: u32, b: u32) -> u32 {
    a | b
}

/// Bitwise exclusive or.
#[inline(always)]
pub fn i32_xor(a: u32, b: u32) -> u32 {
    a ^ b
}

/// Shift left by `b` modulo N.
#[inline(always)]
pub fn i32_shl(a: u32, b: u32) -> u32 {
    a.wrapping_shl(b)
}

/// Logical shift right by `b` modulo N.
#[inline(always)]
pub fn i32_shr_u(a: u32, b: u32) -> u32 {
    a.wrapping_shr(b)
}

/// Arithmetic shift right by `b` modulo N.
#[inline(always)]
pub fn i32_shr_s(a: u32, b: u32) -> u32 {
    (a as i32).wrapping_shr(b) as u32
}

/// Rotate left by `b` modulo N.
#[inline(always)]
pub fn i32_rotl(a: u32, b: u32) -> u32 {
    a.rotate_left(b % u32::BITS)
}

/// Rotate right by `b` modulo N.
#[inline(always)]
pub fn i32_rotr(a: u32, b: u32) -> u32 {
    a.rotate_right(b % u32::BITS)
}

/// Unsigned quotient.
#[inline(always)]
pub fn i32_div_u(a: u32, b: u32) -> Result<u32, Trap> {
    a.checked_div(b).ok_or(Trap::IntegerDivideByZero)
}

/// Unsigned remainder.
#[inline(always)]
pub fn i32_rem_u(a: u32, b: u32) -> Result<u32, Trap> {
    a.checked_rem(b).ok_or(Trap::IntegerDivideByZero)
}

/// Signed quotient; the smallest value by -1 overflows.
#[inline(always)]
pub fn i32_div_s(a: u32, b: u32) -> Result<u32, Trap> {
    if b == 0 {
        return Err(Trap::IntegerDivideByZero);
    }
    (a as i32).checked_div(b as i32).map(|q| q as u32).ok_or(Trap::IntegerOverflow)
}

/// Signed remainder; the smallest value by -1 gives 0.
#[inline(always)]
pub fn i32_rem_s(a: u32, b: u32) -> Result<u32, Trap> {
    if b == 0 {
        return Err(Trap::IntegerDivideByZero);
    }
    Ok((a as i32).wrapping_rem(b as i32) as u32)
}

/// 1 if the value is zero, else 0.
#[inline(always)]
pub fn i32_eqz(a: u32) -> bool {
    a == 0
}

/// Compares `a == b`.
#[inline(always)]
pub fn i32_eq(a: u32, b: u32) -> bool {
    a == b
}

/// Compares `a != b`.
#[inline(always)]
pub fn i32_ne(a: u32, b: u32) -> bool {
    a != b
}

/// Compares `a < b`, signed.
#[inline(always)]
pub fn i32_lt_s(a: u32, b: u32) -> bool {
    (a as i32) < (b as i32)
}

/// Compares `a < b`.
#[inline(always)]
pub fn i32_lt_u(a: u32, b: u32) -> bool {
    a < b
}

/// Compares `a > b`, signed.
#[inline(always)]
pub fn i32_gt_s(a: u32, b: u32) -> bool {
    (a as i32) > (b as i32)
}

/// Compares `a > b`.
#[inline(always)]
pub fn i32_gt_u(a: u32, b: u32) -> bool {
    a > b
}

/// Compares `a <= b`, signed.
#[inline(always)]
pub fn i32_le_s(a: u32, b: u32) -> bool {
    (a as i32) <= (b as i32)
}

/// Compares `a <= b`.
#[inline(always)]
pub fn i32_le_u(a: u32, b: u32) -> bool {
    a <= b
}

/// Compares `a >= b`, signed.
#[inline(always)]
pub fn i32_ge_s(a: u32, b: u32) -> bool {
    (a as i32) >= (b as i32)
}

/// Compares `a >= b`.
#[inline(always)]
pub fn i32_ge_u(a: u32, b: u32) -> bool {
    a >= b
}

/// Leading zero bits.
#[inline(always)]
pub fn i32_clz(a: u32) -> u32 {
    a.leading_zeros()
}

/// Trailing zero bits.
#[inline(always)]
pub fn i32_ctz(a: u32) -> u32 {
    a.trailing_zeros()
}

/// One bits.
#[inline(always)]
pub fn i32_popcnt(a: u32) -> u32 {
    a.count_ones()
}

/// Sign-extends the low 8 bits.
#[inline(always)]
pub fn i32_extend8_s(a: u32) -> u32 {
    a as i8 as i32 as u32
}

/// Sign-extends the low 16 bits.
#[inline(always)]
pub fn i32_extend16_s(a: u32) -> u32 {
    a as i16 as i32 as u32
}

/// Sum, modulo 2^N.
#[inline(always)]
pub fn i64_add(a: u64, b: u64) -> u64 {
    a.wrapping_add(b)
}

/// Difference, modulo 2^N.
#[inline(always)]
pub fn i64_sub(a: u64, b: u64) -> u64 {
    a.wrapping_sub(b)
}

/// Product, modulo 2^N.
#[inline(always)]
pub fn i64_mul(a: u64, b: u64) -> u64 {
    a.wrapping_mul(b)
}

/// Bitwise and.
#[inline(always)]
pub fn i64_and(a: u64, b: u64) -> u64 {
    a & b
}

/// Bitwise or.
#[inline(always)]
pub fn i64_or(a: u64, b: u64) -> u64 {
    a | b
}

/// Bitwise exclusive or.
#[inline(always)]
pub fn i64_xor(a: u64, b: u64) -> u64 {
    a ^ b
}

/// Shift left by `b` modulo N.
#[inline(always)]
pub fn i64_shl(a: u64, b: u64) -> u64 {
    a.wrapping_shl(b as u32)
}

/// Logical shift right by `b` modulo N.
#[inline(always)]
pub fn i64_shr_u(a: u64, b: u64) -> u64 {
    a.wrapping_shr(b as u32)
}

/// Arithmetic shift right by `b` modulo N.
#[inline(always)]
pub fn i64_shr_s(a: u64, b: u64) -> u64 {
    (a as i64).wrapping_shr(b as u32) as u64
}

/// Rotate left by `b` modulo N.
#[inline(always)]
pub fn i64_rotl(a: u64, b: u64) -> u64 {
    a.rotate_left((b % u64::from(u64::BITS)) as u32)
}

/// Rotate right by `b` modulo N.
#[inline(always)]
pub fn i64_rotr(a: u64, b: u64) -> u64 {
    a.rotate_right((b % u64::from(u64::BITS)) as u32)
}

/// Unsigned quotient.
#[inline(always)]
pub fn i64_div_u(a: u64, b: u64) -> Result<u64, Trap> {
    a.checked_div(b).ok_or(Trap::IntegerDivideByZero)
}

/// Unsigned remainder.
#[inline(always)]
pub fn i64_rem_u(a: u64, b: u64) -> Result<u64, Trap> {
    a.checked_rem(b).ok_or(Trap::IntegerDivideByZero)
}

/// Signed quotient; the smallest value by -1 overflows.
#[inline(always)]
pub fn i64_div_s(a: u64, b: u64) -> Result<u64, Trap> {
    if b == 0 {
        return Err(Trap::IntegerDivideByZero);
    }
    (a as i64).checked_div(b as i64).map(|q| q as u64).ok_or(Trap::IntegerOverflow)
}

/// Signed remainder; the smallest value by -1 gives 0.
#[inline(always)]
pub fn i64_rem_s(a: u64, b: u64) -> Result<u64, Trap> {
    if b == 0 {
        return Err(Trap::IntegerDivideByZero);
    }
    Ok((a as i64).wrapping_rem(b as i64) as u64)
}

/// 1 if the value is zero, else 0.
#[inline(always)]
pub fn i64_eqz(a: u64) -> bool {
    a == 0
}

/// Compares `a == b`.
#[inline(always)]
pub fn i64_eq(a: u64, b: u64) -> bool {
    a == b
}

/// Compares `a != b`.
#[inline(always)]
pub fn i64_ne(a: u64, b: u64) -> bool {
    a != b
}

/// Compares `a < b`, signed.
#[inline(always)]
pub fn i64_lt_s(a: u64, b: u64) -> bool {
    (a as i64) < (b as i64)
}

/// Compares `a < b`.
#[inline(always)]
pub fn i64_lt_u(a: u64, b: u64) -> bool {
    a < b
}

/// Compares `a > b`, signed.
#[inline(always)]
pub fn i64_gt_s(a: u64, b: u64) -> bool {
    (a as i64) > (b as i64)
}

/// Compares `a > b`.
#[inline(always)]
pub fn i64_gt_u(a: u64, b: u64) -> bool {
    a > b
}

/// Compares `a <= b`, signed.
#[inline(always)]
pub fn i64_le_s(a: u64, b: u64) -> bool {
    (a as i64) <= (b as i64)
}

/// Compares `a <= b`.
#[inline(always)]
pub fn i64_le_u(a: u64, b: u64) -> bool {
    a <= b
}

/// Compares `a >= b`, signed.
#[inline(always)]
pub fn i64_ge_s(a: u64, b: u64) -> bool {
    (a as i64) >= (b as i64)
}

/// Compares `a >= b`.
#[inline(always)]
pub fn i64_ge_u(a: u64, b: u64) -> bool {
    a >= b
}

/// Leading zero bits.
#[inline(always)]
pub fn i64_clz(a: u64) -> u64 {
    u64::from(a.leading_zeros())
}

/// Trailing zero bits.
#[inline(always)]
pub fn i64_ctz(a: u64) -> u64 {
    u64::from(a.trailing_zeros())
}

/// One bits.
#[inline(always)]
pub fn i64_popcnt(a: u64) -> u64 {
    u64::from(a.count_ones())
}

/// Sign-extends the low 8 bits.
#[inline(always)]
pub fn i64_extend8_s(a: u64) -> u64 {
    a as i8 as i64 as u64
}

/// Sign-extends the low 16 bits.
#[inline(always)]
pub fn i64_extend16_s(a: u64) -> u64 {
    a as i16 as i64 as u64
}

/// Sign-extends the low 32 bits.
#[inline(always)]
pub fn i64_extend32_s(a: u64) -> u64 {
    a as i32 as i64 as u64
}
