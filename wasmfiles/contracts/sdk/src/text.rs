//! Arguments as text: words between spaces, some of them numbers.

use alloc::vec::Vec;

/// The words of a text, one or more spaces between them.
pub fn words(text: &[u8]) -> Vec<&[u8]> {
    text.split(|byte| *byte == b' ').filter(|word| !word.is_empty()).collect()
}

/// The number that a word of decimal digits is, or `None` if it is anything else or too large.
pub fn number(word: &[u8]) -> Option<u64> {
    let mut digits = word.iter().map(|byte| char::from(*byte).to_digit(10));
    let first = u64::from(digits.next()??);
    digits.try_fold(first, |number, digit| number.checked_mul(10)?.checked_add(u64::from(digit?)))
}
