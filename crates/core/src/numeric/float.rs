//! Floating-point operators (WebAssembly 2.0, section 4.3.3). Operators that may produce a NaN produce the canonical one;
//! `neg`, `abs` and `copysign` work on bits and never change a payload.

/// Canonical NaN of f32.
pub const F32_NAN: u32 = 0x7fc0_0000;
/// Canonical NaN of f64.
pub const F64_NAN: u64 = 0x7ff8_0000_0000_0000;

/// The canonical NaN, from a call: of a constant the compiler makes a choice each time, of a call a branch never taken.
#[cold]
#[inline(never)]
fn f32_nan() -> f32 {
    f32::from_bits(std::hint::black_box(F32_NAN))
}

/// `x`, or the canonical NaN for any NaN.
#[inline(always)]
pub fn f32_canonical(x: f32) -> f32 {
    if x.is_nan() {
        return f32_nan();
    }
    x
}

/// Sum, with any NaN: for an operand of an operator that makes it the canonical one.
#[inline(always)]
pub fn f32_add_any(a: f32, b: f32) -> f32 {
    a + b
}

/// Difference, with any NaN: for an operand of an operator that makes it the canonical one.
#[inline(always)]
pub fn f32_sub_any(a: f32, b: f32) -> f32 {
    a - b
}

/// Product, with any NaN: for an operand of an operator that makes it the canonical one.
#[inline(always)]
pub fn f32_mul_any(a: f32, b: f32) -> f32 {
    a * b
}

/// Quotient, with any NaN: for an operand of an operator that makes it the canonical one.
#[inline(always)]
pub fn f32_div_any(a: f32, b: f32) -> f32 {
    a / b
}

/// Sum.
#[inline(always)]
pub fn f32_add(a: f32, b: f32) -> f32 {
    f32_canonical(f32_add_any(a, b))
}

/// Difference.
#[inline(always)]
pub fn f32_sub(a: f32, b: f32) -> f32 {
    f32_canonical(f32_sub_any(a, b))
}

/// Product.
#[inline(always)]
pub fn f32_mul(a: f32, b: f32) -> f32 {
    f32_canonical(f32_mul_any(a, b))
}

/// Quotient.
#[inline(always)]
pub fn f32_div(a: f32, b: f32) -> f32 {
    f32_canonical(f32_div_any(a, b))
}

/// Lesser value; -0 is less than +0, a NaN wins.
#[inline(always)]
pub fn f32_min(a: f32, b: f32) -> f32 {
    if a.is_nan() || b.is_nan() {
        f32::from_bits(F32_NAN)
    } else if a == b {
        f32::from_bits(a.to_bits() | b.to_bits())
    } else if a < b {
        a
    } else {
        b
    }
}

/// Greater value; +0 is greater than -0, a NaN wins.
#[inline(always)]
pub fn f32_max(a: f32, b: f32) -> f32 {
    if a.is_nan() || b.is_nan() {
        f32::from_bits(F32_NAN)
    } else if a == b {
        f32::from_bits(a.to_bits() & b.to_bits())
    } else if a > b {
        a
    } else {
        b
    }
}

/// Rounds up.
#[inline(always)]
pub fn f32_ceil(a: f32) -> f32 {
    f32_canonical(a.ceil())
}

/// Rounds down.
#[inline(always)]
pub fn f32_floor(a: f32) -> f32 {
    f32_canonical(a.floor())
}

/// Rounds toward zero.
#[inline(always)]
pub fn f32_trunc(a: f32) -> f32 {
    f32_canonical(a.trunc())
}

/// Rounds to nearest, ties to even.
#[inline(always)]
pub fn f32_nearest(a: f32) -> f32 {
    f32_canonical(a.round_ties_even())
}

/// Square root. The operand's bits decide: the compiler may turn "is the root a NaN" into "is the operand negative", and
/// then drops the choice, because on its target the bare root gives a NaN (not the canonical one) by itself.
#[inline(always)]
pub fn f32_sqrt(a: f32) -> f32 {
    let bits = a.to_bits();
    let no_root = bits > f32::INFINITY.to_bits() && bits != (-0.0f32).to_bits();
    if no_root { f32::from_bits(F32_NAN) } else { a.sqrt() }
}

/// Clears the sign bit.
#[inline(always)]
pub fn f32_abs(a: u32) -> u32 {
    a & !0x8000_0000
}

/// Flips the sign bit.
#[inline(always)]
pub fn f32_neg(a: u32) -> u32 {
    a ^ 0x8000_0000
}

/// Magnitude of `a`, sign of `b`.
#[inline(always)]
pub fn f32_copysign(a: u32, b: u32) -> u32 {
    (a & !0x8000_0000) | (b & 0x8000_0000)
}

/// Compares `a == b`; false on NaN but for `ne`.
#[inline(always)]
pub fn f32_eq(a: f32, b: f32) -> bool {
    a == b
}

/// Compares `a != b`; false on NaN but for `ne`.
#[inline(always)]
pub fn f32_ne(a: f32, b: f32) -> bool {
    a != b
}

/// Compares `a < b`; false on NaN but for `ne`.
#[inline(always)]
pub fn f32_lt(a: f32, b: f32) -> bool {
    a < b
}

/// Compares `a > b`; false on NaN but for `ne`.
#[inline(always)]
pub fn f32_gt(a: f32, b: f32) -> bool {
    a > b
}

/// Compares `a <= b`; false on NaN but for `ne`.
#[inline(always)]
pub fn f32_le(a: f32, b: f32) -> bool {
    a <= b
}

/// Compares `a >= b`; false on NaN but for `ne`.
#[inline(always)]
pub fn f32_ge(a: f32, b: f32) -> bool {
    a >= b
}

/// The canonical NaN, from a call: of a constant the compiler makes a choice each time, of a call a branch never taken.
#[cold]
#[inline(never)]
fn f64_nan() -> f64 {
    f64::from_bits(std::hint::black_box(F64_NAN))
}

/// `x`, or the canonical NaN for any NaN.
#[inline(always)]
pub fn f64_canonical(x: f64) -> f64 {
    if x.is_nan() {
        return f64_nan();
    }
    x
}

/// Sum, with any NaN: for an operand of an operator that makes it the canonical one.
#[inline(always)]
pub fn f64_add_any(a: f64, b: f64) -> f64 {
    a + b
}

/// Difference, with any NaN: for an operand of an operator that makes it the canonical one.
#[inline(always)]
pub fn f64_sub_any(a: f64, b: f64) -> f64 {
    a - b
}

/// Product, with any NaN: for an operand of an operator that makes it the canonical one.
#[inline(always)]
pub fn f64_mul_any(a: f64, b: f64) -> f64 {
    a * b
}

/// Quotient, with any NaN: for an operand of an operator that makes it the canonical one.
#[inline(always)]
pub fn f64_div_any(a: f64, b: f64) -> f64 {
    a / b
}

/// Sum.
#[inline(always)]
pub fn f64_add(a: f64, b: f64) -> f64 {
    f64_canonical(f64_add_any(a, b))
}

/// Difference.
#[inline(always)]
pub fn f64_sub(a: f64, b: f64) -> f64 {
    f64_canonical(f64_sub_any(a, b))
}

/// Product.
#[inline(always)]
pub fn f64_mul(a: f64, b: f64) -> f64 {
    f64_canonical(f64_mul_any(a, b))
}

/// Quotient.
#[inline(always)]
pub fn f64_div(a: f64, b: f64) -> f64 {
    f64_canonical(f64_div_any(a, b))
}

/// Lesser value; -0 is less than +0, a NaN wins.
#[inline(always)]
pub fn f64_min(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() {
        f64::from_bits(F64_NAN)
    } else if a == b {
        f64::from_bits(a.to_bits() | b.to_bits())
    } else if a < b {
        a
    } else {
        b
    }
}

/// Greater value; +0 is greater than -0, a NaN wins.
#[inline(always)]
pub fn f64_max(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() {
        f64::from_bits(F64_NAN)
    } else if a == b {
        f64::from_bits(a.to_bits() & b.to_bits())
    } else if a > b {
        a
    } else {
        b
    }
}

/// Rounds up.
#[inline(always)]
pub fn f64_ceil(a: f64) -> f64 {
    f64_canonical(a.ceil())
}

/// Rounds down.
#[inline(always)]
pub fn f64_floor(a: f64) -> f64 {
    f64_canonical(a.floor())
}

/// Rounds toward zero.
#[inline(always)]
pub fn f64_trunc(a: f64) -> f64 {
    f64_canonical(a.trunc())
}

/// Rounds to nearest, ties to even.
#[inline(always)]
pub fn f64_nearest(a: f64) -> f64 {
    f64_canonical(a.round_ties_even())
}

/// Square root; see [`f32_sqrt`].
#[inline(always)]
pub fn f64_sqrt(a: f64) -> f64 {
    let bits = a.to_bits();
    let no_root = bits > f64::INFINITY.to_bits() && bits != (-0.0f64).to_bits();
    if no_root { f64::from_bits(F64_NAN) } else { a.sqrt() }
}

/// Clears the sign bit.
#[inline(always)]
pub fn f64_abs(a: u64) -> u64 {
    a & !0x8000_0000_0000_0000
}

/// Flips the sign bit.
#[inline(always)]
pub fn f64_neg(a: u64) -> u64 {
    a ^ 0x8000_0000_0000_0000
}

/// Magnitude of `a`, sign of `b`.
#[inline(always)]
pub fn f64_copysign(a: u64, b: u64) -> u64 {
    (a & !0x8000_0000_0000_0000) | (b & 0x8000_0000_0000_0000)
}

/// Compares `a == b`; false on NaN but for `ne`.
#[inline(always)]
pub fn f64_eq(a: f64, b: f64) -> bool {
    a == b
}

/// Compares `a != b`; false on NaN but for `ne`.
#[inline(always)]
pub fn f64_ne(a: f64, b: f64) -> bool {
    a != b
}

/// Compares `a < b`; false on NaN but for `ne`.
#[inline(always)]
pub fn f64_lt(a: f64, b: f64) -> bool {
    a < b
}

/// Compares `a > b`; false on NaN but for `ne`.
#[inline(always)]
pub fn f64_gt(a: f64, b: f64) -> bool {
    a > b
}

/// Compares `a <= b`; false on NaN but for `ne`.
#[inline(always)]
pub fn f64_le(a: f64, b: f64) -> bool {
    a <= b
}

/// Compares `a >= b`; false on NaN but for `ne`.
#[inline(always)]
pub fn f64_ge(a: f64, b: f64) -> bool {
    a >= b
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_on_any_nan_gives_the_canonical_nan() {
        for bits in [0x7f80_0001u32, 0xffc0_0000, 0x7fff_ffff, 0xffff_ffff] {
            let nan = f32::from_bits(bits);
            for result in [
                f32_add(nan, 1.0),
                f32_mul(1.0, nan),
                f32_min(nan, 0.0),
                f32_max(0.0, nan),
                f32_sqrt(nan),
                f32_nearest(nan),
            ] {
                assert_eq!(result.to_bits(), F32_NAN, "from {bits:#x}");
            }
        }
        assert_eq!(f64_div(0.0, 0.0).to_bits(), F64_NAN);
        assert_eq!(f64_sqrt(-1.0).to_bits(), F64_NAN);
    }

    #[test]
    fn sign_operators_keep_the_payload_of_a_nan() {
        assert_eq!(f32_neg(0x7f80_0001), 0xff80_0001);
        assert_eq!(f64_abs(0xfff0_0000_0000_0001), 0x7ff0_0000_0000_0001);
        assert_eq!(f32_copysign(0x7fa0_0000, 0x8000_0000), 0xffa0_0000);
    }

    #[test]
    fn min_and_max_tell_the_zeros_apart() {
        assert_eq!(f32_min(0.0, -0.0).to_bits(), (-0.0f32).to_bits());
        assert_eq!(f64_max(-0.0, 0.0).to_bits(), 0.0f64.to_bits());
    }
}
