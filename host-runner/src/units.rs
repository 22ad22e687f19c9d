//! Numbers as people type them: `10M`, `1_000_000`, `64MiB`, `1e9`, `1.5M`. The module reads plain numbers; what is none of these forms is
//! passed on as it is, for the module to say what is wrong with it.

/// Letters after a number: powers of 1000, and with an `i` powers of 1024. A `B` may follow.
const POWERS: [char; 5] = ['k', 'm', 'g', 't', 'p'];

/// The number that a text means, as plain digits; a text of another form as it is.
pub fn plain(text: &str) -> String {
    parse(text).map_or_else(|| text.to_owned(), |number| number.to_string())
}

/// The number that a text means.
///
/// # Errors
/// Of no such form, or beyond 64 bits: the forms that there are.
pub fn number(text: &str) -> Result<u64, String> {
    parse(text).ok_or_else(|| "expected a number such as 5000, 1_000_000, 10M, 64MiB, 1e9".to_owned())
}

/// The seconds that a text means: a number, or one with `s`, `m` for minutes, or `h`.
///
/// # Errors
/// Of no such form, or beyond 64 bits: the forms that there are.
pub fn seconds(text: &str) -> Result<u64, String> {
    let factor = |unit: &str| match unit {
        "" | "s" => Some(1),
        "m" | "min" => Some(60),
        "h" => Some(3600),
        _ => None,
    };
    let (digits, unit) = text.split_at(text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len()));
    let seconds = digits.parse::<u64>().ok().zip(factor(unit)).and_then(|(number, factor)| number.checked_mul(factor));
    seconds.ok_or_else(|| "expected a number of seconds, or one such as 90s, 5m, 2h".to_owned())
}

fn parse(text: &str) -> Option<u64> {
    let lower = text.to_ascii_lowercase();
    let is_of_number = |letter: char| letter.is_ascii_digit() || matches!(letter, '_' | '.');
    let digits_end = lower.find(|letter| !is_of_number(letter)).unwrap_or(lower.len());
    let (number, unit) = lower.split_at(digits_end);
    let factor = match unit.strip_prefix('e') {
        Some(power) => 10u64.checked_pow(power.parse().ok()?)?,
        None => factor(unit)?,
    };
    let Some((whole, part)) = number.split_once('.') else { return digits(number)?.checked_mul(factor) };
    if part.is_empty() || !part.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    // What stands behind the point must come to a whole number; zeros at its end say nothing.
    let part = part.trim_end_matches('0');
    let tenths = 10u128.checked_pow(u32::try_from(part.len()).ok()?)?;
    let part = format!("0{part}").parse::<u128>().ok()?.checked_mul(u128::from(factor))?;
    let part = (part % tenths == 0).then_some(part / tenths)?;
    digits(whole)?.checked_mul(factor)?.checked_add(u64::try_from(part).ok()?)
}

/// A number of digits, which underscores may part.
fn digits(text: &str) -> Option<u64> {
    let is_parted = !text.starts_with('_') && !text.ends_with('_');
    is_parted.then(|| text.replace('_', "").parse().ok()).flatten()
}

/// What a unit multiplies by.
fn factor(unit: &str) -> Option<u64> {
    let unit = unit.strip_suffix('b').unwrap_or(unit);
    let (letter, base) = match unit.strip_suffix('i') {
        Some(letter) => (letter, 1024u64),
        None => (unit, 1000),
    };
    if letter.is_empty() {
        return (base == 1000).then_some(1);
    }
    let power = POWERS.iter().position(|power| letter.chars().eq([*power]))?;
    base.checked_pow(u32::try_from(power).ok()? + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_people_type_them() {
        for (text, number) in [
            ("0", 0),
            ("5000", 5_000),
            ("1_000_000", 1_000_000),
            ("10M", 10_000_000),
            ("10m", 10_000_000),
            ("3k", 3_000),
            ("2G", 2_000_000_000),
            ("64MiB", 64 << 20),
            ("64Mi", 64 << 20),
            ("1KiB", 1_024),
            ("5MB", 5_000_000),
            ("12B", 12),
            ("1e9", 1_000_000_000),
            ("5E3", 5_000),
            ("1.5M", 1_500_000),
            ("62.75k", 62_750),
            ("0.5GiB", 1 << 29),
            ("1.25e2", 125),
            ("1.999999999T", 1_999_999_999_000),
            ("1.50000000000000000000M", 1_500_000),
            ("2.0", 2),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(super::number(text), Ok(number), "{text}");
            assert_eq!(plain(text), number.to_string(), "{text}");
        }
    }

    #[test]
    fn times_are_seconds_minutes_or_hours() {
        for (text, number) in [("0", 0), ("90", 90), ("90s", 90), ("5m", 300), ("5min", 300), ("2h", 7_200)] {
            assert_eq!(seconds(text), Ok(number), "{text}");
        }
        for text in ["", "s", "1.5m", "-1", "+1", "1 s", "1d", "18446744073709551615h"] {
            assert_eq!(
                seconds(text),
                Err("expected a number of seconds, or one such as 90s, 5m, 2h".to_owned()),
                "{text}"
            );
        }
    }

    #[test]
    fn other_texts_are_left_as_they_are() {
        for text in [
            "",
            "x",
            "0x10",
            "1x",
            "+1",
            "-1",
            "1.5",
            "1.0005k",
            "1.",
            ".5M",
            "1.5.5M",
            "1.5_0M",
            "1.5x",
            "_1",
            "1_",
            "1e",
            "1e20",
            "M",
            "iB",
            "1iB",
            "20E18",
            "99P9",
            "18446744073709551616",
        ] {
            assert_eq!(plain(text), text);
            assert!(number(text).is_err(), "{text}");
        }
    }
}
