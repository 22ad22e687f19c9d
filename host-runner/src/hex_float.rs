//! Hexadecimal floats on the command line, as the text format of WebAssembly has them (`0x1.8p3`): the module reads decimal ones,
//! which can say the same value.

use stepmark_runner::failure::{Failure, Result};

/// Whether a word is written so: digits after `0x` with a point, or a power of two after `p`.
pub fn is_one(word: &str) -> bool {
    let number = word.strip_prefix(['-', '+']).unwrap_or(word).strip_prefix("0x");
    number.is_some_and(|number| number.contains(['.', 'p', 'P']))
}

/// The shortest decimal word for the value of a word that is written so.
///
/// # Errors
/// Exit code 2 for what is no number, or no value that an f64 has.
pub fn in_decimal(word: &str) -> Result<String> {
    let (number, sign) = match word.strip_prefix('-') {
        Some(number) => (number, "-"),
        None => (word.strip_prefix('+').unwrap_or(word), ""),
    };
    let number = number.strip_prefix("0x").unwrap_or(number);
    let (digits, power) = number.split_once(['p', 'P']).unwrap_or((number, "0"));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let no_number = || Failure::usage(format!("argument '{word}': is not a number"));
    let all = [whole, fraction].concat();
    let power: i16 = power.parse().map_err(|_| no_number())?;
    if all.is_empty() || !all.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Err(no_number());
    }
    let inexact = || Failure::usage(format!("argument '{word}': is no value that an f64 has"));
    // Zeros at the end are only a greater power.
    let significant = all.trim_end_matches('0');
    let mantissa = match significant.trim_start_matches('0') {
        "" => return Ok(format!("{sign}0")),
        digits => u64::from_str_radix(digits, 16).map_err(|_| inexact())?,
    };
    let zeros = all.len() - significant.len();
    let places = i32::try_from(fraction.len()).unwrap_or(i32::MAX).saturating_mul(4);
    let zeros = i32::try_from(zeros).unwrap_or(i32::MAX).saturating_mul(4);
    let power = i32::from(power).saturating_sub(places).saturating_add(zeros);
    let float = scaled(mantissa, power).ok_or_else(inexact)?;
    Ok(format!("{sign}{float:e}"))
}

/// A mantissa times a power of two, if a float is exactly that.
fn scaled(mantissa: u64, power: i32) -> Option<f64> {
    // An odd mantissa of at most 53 bits is a float.
    let zeros = mantissa.trailing_zeros();
    let odd = mantissa >> zeros;
    let mut float = (odd < 1 << 53).then_some(odd as f64)?;
    let power = power.saturating_add(i32::try_from(zeros).unwrap_or(i32::MAX));
    let factor = if power < 0 { 0.5 } else { 2.0 };
    for _ in 0..power.unsigned_abs() {
        let scaled = float * factor;
        if scaled / factor != float {
            return None;
        }
        float = scaled;
    }
    Some(float)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_with_a_point_or_a_power_are_hexadecimal_floats() {
        for word in ["0x1.8p3", "-0x.8", "+0x1P2"] {
            assert!(is_one(word), "{word}");
        }
        for word in ["0x10", "1.5", "-1e3", "x0x1.p", ""] {
            assert!(!is_one(word), "{word}");
        }
    }

    #[test]
    fn a_value_is_said_exactly_or_refused() {
        let table = [
            ("0x1.8p3", 12.0),
            ("-0x.8", -0.5),
            ("0x1P+3", 8.0),
            ("-0x0.0", -0.0),
            ("0x1p-1074", f64::from_bits(1)),
            ("0x1000000000000000p-1134", f64::from_bits(1)),
            ("0x1.fffffffffffffp1023", f64::MAX),
            ("0x1.000000000000000000p0", 1.0),
        ];
        for (word, value) in table {
            let decimal = in_decimal(word).expect(word);
            assert_eq!(decimal.parse::<f64>().map(f64::to_bits), Ok(value.to_bits()), "{word}: {decimal}");
        }
        for word in ["0x1p1024", "0x1.00000000000001p0", "0x1p-1075", "0x1p32767"] {
            assert!(in_decimal(word).expect_err(word).what().contains("is no value that an f64 has"), "{word}");
        }
        for word in ["0x.", "0x1p", "0x1.g", "0x1p99999", "0x1.8.2", "0xp1"] {
            assert!(in_decimal(word).expect_err(word).what().contains("is not a number"), "{word}");
        }
    }
}
