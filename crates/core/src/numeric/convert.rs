//! Conversions between number types (WebAssembly 2.0, section 4.3.4).

use super::float::{f32_canonical, f64_canonical};
use stepmark_state::trap::Trap;

/// Keeps the low 32 bits.
#[inline(always)]
pub fn i32_wrap_i64(a: u64) -> u32 {
    a as u32
}

/// Sign-extends 32 bits to 64.
#[inline(always)]
pub fn i64_extend_i32_s(a: u32) -> u64 {
    i64::from(a as i32) as u64
}

/// Zero-extends 32 bits to 64.
#[inline(always)]
pub fn i64_extend_i32_u(a: u32) -> u64 {
    u64::from(a)
}

/// Rounds to single precision.
#[inline(always)]
pub fn f32_demote_f64(a: f64) -> f32 {
    f32_canonical(a as f32)
}

/// Widens to double precision.
#[inline(always)]
pub fn f64_promote_f32(a: f32) -> f64 {
    f64_canonical(f64::from(a))
}

/// The bits, unchanged: every reinterpretation is this, since slots hold bits.
#[inline(always)]
pub fn reinterpret(a: u64) -> u64 {
    a
}

/// Truncates toward zero (signed); traps on NaN and where the result does not fit.
#[inline(always)]
pub fn i32_trunc_f32_s(a: f32) -> Result<u32, Trap> {
    if a.is_nan() {
        Err(Trap::InvalidConversionToInteger)
    } else if (-2_147_483_648.0..2_147_483_648.0).contains(&a) {
        Ok(a as i32 as u32)
    } else {
        Err(Trap::IntegerOverflow)
    }
}

/// Truncates toward zero (signed), saturating; NaN gives 0.
#[inline(always)]
pub fn i32_trunc_sat_f32_s(a: f32) -> u32 {
    a as i32 as u32
}

/// Truncates toward zero; traps on NaN and where the result does not fit.
#[inline(always)]
pub fn i32_trunc_f32_u(a: f32) -> Result<u32, Trap> {
    if a.is_nan() {
        Err(Trap::InvalidConversionToInteger)
    } else if a > -1.0 && a < 4_294_967_296.0 {
        Ok(a as u32)
    } else {
        Err(Trap::IntegerOverflow)
    }
}

/// Truncates toward zero, saturating; NaN gives 0.
#[inline(always)]
pub fn i32_trunc_sat_f32_u(a: f32) -> u32 {
    a as u32
}

/// Truncates toward zero (signed); traps on NaN and where the result does not fit.
#[inline(always)]
pub fn i64_trunc_f32_s(a: f32) -> Result<u64, Trap> {
    if a.is_nan() {
        Err(Trap::InvalidConversionToInteger)
    } else if (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&a) {
        Ok(a as i64 as u64)
    } else {
        Err(Trap::IntegerOverflow)
    }
}

/// Truncates toward zero (signed), saturating; NaN gives 0.
#[inline(always)]
pub fn i64_trunc_sat_f32_s(a: f32) -> u64 {
    a as i64 as u64
}

/// Truncates toward zero; traps on NaN and where the result does not fit.
#[inline(always)]
pub fn i64_trunc_f32_u(a: f32) -> Result<u64, Trap> {
    if a.is_nan() {
        Err(Trap::InvalidConversionToInteger)
    } else if a > -1.0 && a < 18_446_744_073_709_551_616.0 {
        Ok(a as u64)
    } else {
        Err(Trap::IntegerOverflow)
    }
}

/// Truncates toward zero, saturating; NaN gives 0.
#[inline(always)]
pub fn i64_trunc_sat_f32_u(a: f32) -> u64 {
    a as u64
}

/// Truncates toward zero (signed); traps on NaN and where the result does not fit.
#[inline(always)]
pub fn i32_trunc_f64_s(a: f64) -> Result<u32, Trap> {
    if a.is_nan() {
        Err(Trap::InvalidConversionToInteger)
    } else if a > -2_147_483_649.0 && a < 2_147_483_648.0 {
        Ok(a as i32 as u32)
    } else {
        Err(Trap::IntegerOverflow)
    }
}

/// Truncates toward zero (signed), saturating; NaN gives 0.
#[inline(always)]
pub fn i32_trunc_sat_f64_s(a: f64) -> u32 {
    a as i32 as u32
}

/// Truncates toward zero; traps on NaN and where the result does not fit.
#[inline(always)]
pub fn i32_trunc_f64_u(a: f64) -> Result<u32, Trap> {
    if a.is_nan() {
        Err(Trap::InvalidConversionToInteger)
    } else if a > -1.0 && a < 4_294_967_296.0 {
        Ok(a as u32)
    } else {
        Err(Trap::IntegerOverflow)
    }
}

/// Truncates toward zero, saturating; NaN gives 0.
#[inline(always)]
pub fn i32_trunc_sat_f64_u(a: f64) -> u32 {
    a as u32
}

/// Truncates toward zero (signed); traps on NaN and where the result does not fit.
#[inline(always)]
pub fn i64_trunc_f64_s(a: f64) -> Result<u64, Trap> {
    if a.is_nan() {
        Err(Trap::InvalidConversionToInteger)
    } else if (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&a) {
        Ok(a as i64 as u64)
    } else {
        Err(Trap::IntegerOverflow)
    }
}

/// Truncates toward zero (signed), saturating; NaN gives 0.
#[inline(always)]
pub fn i64_trunc_sat_f64_s(a: f64) -> u64 {
    a as i64 as u64
}

/// Truncates toward zero; traps on NaN and where the result does not fit.
#[inline(always)]
pub fn i64_trunc_f64_u(a: f64) -> Result<u64, Trap> {
    if a.is_nan() {
        Err(Trap::InvalidConversionToInteger)
    } else if a > -1.0 && a < 18_446_744_073_709_551_616.0 {
        Ok(a as u64)
    } else {
        Err(Trap::IntegerOverflow)
    }
}

/// Truncates toward zero, saturating; NaN gives 0.
#[inline(always)]
pub fn i64_trunc_sat_f64_u(a: f64) -> u64 {
    a as u64
}

/// Converts a signed integer, rounding to nearest even.
#[inline(always)]
pub fn f32_convert_i32_s(a: u32) -> f32 {
    (a as i32) as f32
}

/// Converts an unsigned integer, rounding to nearest even.
#[inline(always)]
pub fn f32_convert_i32_u(a: u32) -> f32 {
    a as f32
}

/// Converts a signed integer, rounding to nearest even.
#[inline(always)]
pub fn f32_convert_i64_s(a: u64) -> f32 {
    (a as i64) as f32
}

/// Converts an unsigned integer, rounding to nearest even.
#[inline(always)]
pub fn f32_convert_i64_u(a: u64) -> f32 {
    a as f32
}

/// Converts a signed integer, rounding to nearest even.
#[inline(always)]
pub fn f64_convert_i32_s(a: u32) -> f64 {
    f64::from(a as i32)
}

/// Converts an unsigned integer, rounding to nearest even.
#[inline(always)]
pub fn f64_convert_i32_u(a: u32) -> f64 {
    f64::from(a)
}

/// Converts a signed integer, rounding to nearest even.
#[inline(always)]
pub fn f64_convert_i64_s(a: u64) -> f64 {
    (a as i64) as f64
}

/// Converts an unsigned integer, rounding to nearest even.
#[inline(always)]
pub fn f64_convert_i64_u(a: u64) -> f64 {
    a as f64
}
