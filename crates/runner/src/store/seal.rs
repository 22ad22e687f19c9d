//! Checksums of ours. Each entry carries one of its key, version and value; and the store carries the sum of all of them
//! and their number, which says that none is missing, twice or old. A sum can be kept up to date entry by entry. Both find
//! accidents, not a forger: who can write the file can write these too.

/// Bytes of the checksum of an entry.
pub(super) const SEAL: usize = 16;

/// The checksum of an entry.
pub(super) fn seal(key: &[u8], version: u64, value: &[u8]) -> [u8; SEAL] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(key.len() as u64).to_le_bytes()).update(key).update(&version.to_le_bytes()).update(value);
    hasher.finalize().as_bytes().first_chunk().copied().unwrap_or_default()
}

/// What an entry is kept as: its value and its checksum.
pub(super) fn sealed(key: &[u8], version: u64, value: &[u8]) -> Vec<u8> {
    [value, &seal(key, version, value)].concat()
}

/// The value of an entry that is kept so, if it is the one that was put there.
pub(super) fn unsealed<'a>(key: &[u8], version: u64, kept: &'a [u8]) -> Option<(&'a [u8], [u8; SEAL])> {
    let (value, found) = kept.split_last_chunk()?;
    (seal(key, version, value) == *found).then_some((value, *found))
}

/// The sum of the checksums of all entries, and how many they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sum {
    sum: u128,
    count: u64,
}

impl Sum {
    pub(super) fn add(&mut self, seal: [u8; SEAL]) {
        self.sum = self.sum.wrapping_add(u128::from_le_bytes(seal));
        self.count = self.count.wrapping_add(1);
    }

    pub(super) fn remove(&mut self, seal: [u8; SEAL]) {
        self.sum = self.sum.wrapping_sub(u128::from_le_bytes(seal));
        self.count = self.count.wrapping_sub(1);
    }

    /// As it is kept, with the store's version, under a checksum like that of an entry.
    pub(super) fn encode(self, version: u64) -> Vec<u8> {
        sealed(&[], version, &[&self.sum.to_le_bytes()[..], &self.count.to_le_bytes()].concat())
    }

    pub(super) fn decode(version: u64, kept: &[u8]) -> Option<Self> {
        let (fields, _) = unsealed(&[], version, kept)?;
        let (sum, count) = fields.split_first_chunk()?;
        Some(Self { sum: u128::from_le_bytes(*sum), count: u64::from_le_bytes(count.try_into().ok()?) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_known_by_its_key_its_version_and_its_value() {
        let kept = sealed(b"key", 7, b"value");
        assert_eq!(unsealed(b"key", 7, &kept).map(|found| found.0), Some(&b"value"[..]));
        assert_eq!(unsealed(b"kez", 7, &kept), None);
        assert_eq!(unsealed(b"key", 8, &kept), None);
        for bit in 0..kept.len() * 8 {
            let mut flipped = kept.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(unsealed(b"key", 7, &flipped), None, "bit {bit}");
        }
        assert_eq!(unsealed(b"key", 7, b"short"), None);
    }

    #[test]
    fn a_sum_says_that_an_entry_is_missing_twice_or_old() {
        let [a, b, old] = [seal(b"a", 1, b""), seal(b"b", 2, b""), seal(b"b", 1, b"")];
        let sum = |seals: &[[u8; SEAL]]| {
            let mut sum = Sum::default();
            seals.iter().for_each(|seal| sum.add(*seal));
            sum
        };
        let whole = sum(&[a, b]);
        for other in [sum(&[a]), sum(&[a, b, b]), sum(&[a, old]), sum(&[])] {
            assert_ne!(whole, other);
        }
        let mut changed = whole;
        changed.remove(b);
        changed.add(old);
        assert_eq!(changed, sum(&[old, a]));
        assert_eq!(Sum::decode(5, &whole.encode(5)), Some(whole));
        assert_eq!(Sum::decode(6, &whole.encode(5)), None);
    }
}
