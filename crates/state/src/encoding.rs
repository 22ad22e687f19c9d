//! What every encoding of a state uses: hexadecimal, hashes of encoded values, bounded lists, ascending order.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation
    )
)]

use std::{fmt, io::BufWriter, marker::PhantomData};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error as _, SeqAccess, Visitor},
};

use crate::pages::PAGE;

/// The next `N` bytes, removed from the front of `bytes`; `None` when there are fewer.
pub fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*first)
}

/// Whether all bytes are zero. By the word: all pages of a program come through here when it starts.
pub fn is_zero(bytes: &[u8]) -> bool {
    let (words, rest) = bytes.as_chunks();
    words.iter().all(|word| u64::from_le_bytes(*word) == 0) && rest.iter().all(|byte| *byte == 0)
}

/// BLAKE3 in key derivation mode with context `domain` over the postcard encoding of `value`.
pub fn hash_encoded<T: Serialize>(domain: &str, value: &T) -> [u8; 32] {
    let hasher = BufWriter::with_capacity(PAGE, blake3::Hasher::new_derive_key(domain));
    let hasher = postcard::to_io(value, hasher).ok().and_then(|buffer| buffer.into_inner().ok());
    *hasher.unwrap_or_else(|| unreachable!("BUG: hashing has no way to fail")).finalize().as_bytes()
}

/// Deserialises a list of at most `MOST` items. A list takes more memory than its encoding, so a bound on the length of the
/// file alone would leave room for a small file that fills the machine.
pub fn bounded<'de, D, T, const MOST: usize>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct List<T, const MOST: usize>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>, const MOST: usize> Visitor<'de> for List<T, MOST> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a list of at most {MOST} items")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<T>, A::Error> {
            let mut list = Vec::new();
            while let Some(item) = items.next_element()? {
                if list.len() >= MOST {
                    return Err(A::Error::invalid_length(list.len().saturating_add(1), &self));
                }
                list.push(item);
            }
            Ok(list)
        }
    }

    deserializer.deserialize_seq(List::<T, MOST>(PhantomData))
}

/// Bytes as lower-case hexadecimal, the way hashes are shown to people.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len().saturating_mul(2)), |mut text, byte| {
        // writing to a String cannot fail
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The first item whose key is not above the one before it.
pub fn not_ascending<T, K: Ord + ?Sized>(items: &[T], key: impl Fn(&T) -> &K) -> Option<&T> {
    items.iter().zip(items.iter().skip(1)).find(|(before, after)| key(before) >= key(after)).map(|(_, after)| after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_shows_all_digits() {
        let mut hash = [0; 32];
        hash[0] = 0x0a;
        hash[31] = 0xf0;
        assert!(hex(&hash).starts_with("0a00") && hex(&hash).ends_with("f0") && hex(&hash).len() == 64);
    }
}
