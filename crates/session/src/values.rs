//! Values that cross the command line: the arguments of an export, read by the types of its parameters.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation
    )
)]

use serde::{Deserialize, Serialize};
use stepmark_state::error::JobError;

/// The type of a value that crosses the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ValKind {
    /// 32-bit integer.
    I32,
    /// 64-bit integer.
    I64,
    /// 32-bit float.
    F32,
    /// 64-bit float.
    F64,
    /// 128-bit vector.
    V128,
    /// A reference of any type.
    Ref,
}

impl ValKind {
    /// Its name in the text format.
    pub fn name(self) -> &'static str {
        match self {
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::V128 => "v128",
            Self::Ref => "ref",
        }
    }
}

/// The bit patterns of `args` as `params`, a vector's in two slots. Integers and vectors are decimal or hexadecimal (`0x`), negative or up to the greatest
/// unsigned value: -1 and 4294967295 are the same i32. Floats are decimal, `inf` or `nan`, the canonical NaN.
///
/// # Errors
/// Too few, too many, malformed or out of range; the message shows `signature`, the export with its type.
pub fn parse_values(params: &[ValKind], args: &[String], signature: &str) -> Result<Vec<u64>, JobError> {
    let mut slots = Vec::with_capacity(params.len());
    if params.len() != args.len() {
        return Err(JobError::usage(format!("{} arguments given, expected {}: {signature}", args.len(), params.len())));
    }
    for (index, (kind, text)) in params.iter().zip(args).enumerate() {
        let value = parse_value(*kind, text).map_err(|problem| {
            let number = index.saturating_add(1);
            JobError::usage(format!("argument {number}: '{text}' is {problem}: {signature}"))
        })?;
        slots.push(low_half(value));
        if *kind == ValKind::V128 {
            slots.push(low_half(value >> 64));
        }
    }
    Ok(slots)
}

#[expect(clippy::cast_possible_truncation, reason = "the other half is taken apart from it")]
fn low_half(value: u128) -> u64 {
    value as u64
}

fn parse_value(kind: ValKind, text: &str) -> Result<u128, String> {
    match kind {
        ValKind::I32 => parse_integer(text, 32),
        ValKind::I64 => parse_integer(text, 64),
        ValKind::V128 => parse_integer(text, 128),
        ValKind::F32 => parse_f32(text).map(u128::from),
        ValKind::F64 => parse_f64(text).map(u128::from),
        ValKind::Ref => Err("given for a reference, which no argument can be".to_owned()),
    }
}

fn parse_integer(text: &str, bits: u32) -> Result<u128, String> {
    let (negative, digits) = sign(text);
    let hex = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X"));
    let (digits, radix) = hex.map_or((digits, 10), |digits| (digits, 16));
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return Err("not an integer".to_owned());
    }
    let most = u128::MAX >> 128_u32.saturating_sub(bits);
    let least = (most >> 1).wrapping_add(1);
    let magnitude = u128::from_str_radix(digits, radix).ok();
    match magnitude.filter(|magnitude| *magnitude <= if negative { least } else { most }) {
        Some(magnitude) if negative => Ok(magnitude.wrapping_neg() & most),
        Some(magnitude) => Ok(magnitude),
        None => Err(format!("out of range of i{bits} (-{least} to {most})")),
    }
}

fn sign(text: &str) -> (bool, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    }
}

fn parse_f32(text: &str) -> Result<u64, String> {
    match special(text)? {
        Some((negative, Special::Nan)) => Ok(u64::from(0x7fc0_0000 | (u32::from(negative) << 31))),
        special => {
            let float: f32 = text.parse().map_err(|_| "not a number".to_owned())?;
            finite_or_asked(float.is_finite() || special.is_some(), "f32").map(|()| u64::from(float.to_bits()))
        }
    }
}

fn parse_f64(text: &str) -> Result<u64, String> {
    match special(text)? {
        Some((negative, Special::Nan)) => Ok(0x7ff8_0000_0000_0000 | (u64::from(negative) << 63)),
        special => {
            let float: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
            finite_or_asked(float.is_finite() || special.is_some(), "f64").map(|()| float.to_bits())
        }
    }
}

fn finite_or_asked(good: bool, name: &str) -> Result<(), String> {
    if good { Ok(()) } else { Err(format!("out of range of {name}")) }
}

enum Special {
    Nan,
    Infinity,
}

/// The words for what has no digits; any other text without digits is no number.
fn special(text: &str) -> Result<Option<(bool, Special)>, String> {
    let (negative, rest) = sign(text);
    match rest {
        "nan" => Ok(Some((negative, Special::Nan))),
        "inf" => Ok(Some((negative, Special::Infinity))),
        _ if rest.starts_with(|first: char| first.is_ascii_digit() || first == '.') => Ok(None),
        _ => Err("not a number".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn one(kind: ValKind, text: &str) -> Result<u64, String> {
        let values = parse_values(&[kind], &[text.to_owned()], "f");
        values.map(|values| values[0]).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn integers_are_signed_or_unsigned_decimal_or_hexadecimal() {
        use ValKind::{I32, I64};
        let table = [
            (I32, "0", 0),
            (I32, "-0", 0),
            (I32, "+7", 7),
            (I32, "-1", 0xffff_ffff),
            (I32, "4294967295", 0xffff_ffff),
            (I32, "0xFFFFffff", 0xffff_ffff),
            (I32, "-2147483648", 0x8000_0000),
            (I32, "-0x80000000", 0x8000_0000),
            (I64, "-1", u64::MAX),
            (I64, "18446744073709551615", u64::MAX),
            (I64, "-9223372036854775808", 1 << 63),
            (I64, "0Xff", 255),
        ];
        for (kind, text, bits) in table {
            assert_eq!(one(kind, text), Ok(bits), "{text}");
        }
        for text in ["4294967296", "-2147483649", "0x100000000", "99999999999999999999999"] {
            let expected = format!("argument 1: '{text}' is out of range of i32 (-2147483648 to 4294967295): f");
            assert_eq!(one(I32, text), Err(expected));
        }
        for text in ["18446744073709551616", "-9223372036854775809"] {
            assert!(one(I64, text).unwrap_err().contains("out of range of i64"), "{text}");
        }
        for text in ["", "-", "0x", "1.0", "1_000", "0b1", "--1", "-+1", " 1", "٣", "ff"] {
            assert_eq!(one(I32, text), Err(format!("argument 1: '{text}' is not an integer: f")));
        }
    }

    #[test]
    fn floats_are_decimal_or_the_two_words() {
        use ValKind::{F32, F64};
        let table = [
            (F32, "1.5", 0x3fc0_0000),
            (F32, "-0", 0x8000_0000),
            (F32, "nan", 0x7fc0_0000),
            (F32, "-nan", 0xffc0_0000),
            (F32, "-inf", 0xff80_0000),
            (F32, "0.1", 0x3dcc_cccd),
            (F64, "1e3", 1000f64.to_bits()),
            (F64, "+.5", 0.5f64.to_bits()),
            (F64, "nan", 0x7ff8_0000_0000_0000),
            (F64, "inf", f64::INFINITY.to_bits()),
            (F64, "1e-400", 0),
        ];
        for (kind, text, bits) in table {
            assert_eq!(one(kind, text), Ok(bits), "{text}");
        }
        assert_eq!(one(F32, "1e39"), Err("argument 1: '1e39' is out of range of f32: f".into()));
        assert_eq!(one(F64, "-1e309"), Err("argument 1: '-1e309' is out of range of f64: f".into()));
        for text in ["", "-", "0x1p3", "infinity", "NaN", "1e", "e1", ".", "1.0f"] {
            assert_eq!(one(F64, text), Err(format!("argument 1: '{text}' is not a number: f")));
        }
    }

    #[test]
    fn errors_show_the_signature() {
        let parse = |args: &[&str]| {
            let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
            parse_values(&[ValKind::I32, ValKind::Ref], &args, "add (i32 externref) -> i64").unwrap_err()
        };
        assert_eq!(parse(&["1"]).message(), "1 arguments given, expected 2: add (i32 externref) -> i64");
        assert_eq!(parse(&["1", "2", "3"]).message(), "3 arguments given, expected 2: add (i32 externref) -> i64");
        let reference =
            "argument 2: '2' is given for a reference, which no argument can be: add (i32 externref) -> i64";
        assert_eq!(parse(&["1", "2"]).message(), reference);
        assert_eq!(parse(&["1", "2"]).exit_code(), 2);
    }

    proptest! {
        #[test]
        fn any_integer_and_float_is_read_back(bits in any::<u64>()) {
            prop_assert_eq!(one(ValKind::I64, &bits.to_string()), Ok(bits));
            prop_assert_eq!(one(ValKind::I64, &(bits as i64).to_string()), Ok(bits));
            prop_assert_eq!(one(ValKind::I32, &(bits as i32).to_string()), Ok(u64::from(bits as u32)));
            let float = f64::from_bits(bits);
            if !float.is_nan() {
                prop_assert_eq!(one(ValKind::F64, &float.to_string()), Ok(bits));
            }
        }
    }
}
