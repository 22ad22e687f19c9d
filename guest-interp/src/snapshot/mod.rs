//! The snapshot codec: plain data to bytes and back, by the rules of docs/snapshot-format.md. A snapshot is two files:
//! `{id}.snap` (everything but the paged contents, and hashes of all the rest) and `{id}.bin` (the 4 KiB pages that changed
//! since the predecessor). Nothing here knows the program or the engine: what comes out of a decoder is well-formed and
//! canonical, and still has to be checked against the program before anything may rely on it.
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

use crate::error::Error;

pub mod bin;
pub mod check;
pub mod merkle;
pub mod paged;
pub mod snap;
pub mod state;

/// Bytes in a page of a space, the unit of change tracking, of `.bin` records and of Merkle leaves.
pub const PAGE: usize = 4096;

/// Pages that a space can have: 2^36, so that a space is at most 2^48 bytes and its Merkle tree 36 levels high.
pub const MAX_PAGES: u64 = 1 << 36;

/// Version of both file formats, raised with every change of meaning; a reader refuses any other. 2: exceptions. 3: outside answers,
/// stores and contracts.
pub const VERSION: u32 = 3;

/// A linear memory: its bytes.
pub const SPACE_MEMORY: u8 = 1;
/// A table: each element as a little-endian u64 in the reference encoding of [`state`], 512 to a page.
pub const SPACE_TABLE: u8 = 2;
/// Contents of a file that the program has written to, by its number in the file system of the WASI host module.
pub const SPACE_FILE: u8 = 3;
/// What a run read from and wrote to the key-value store, in order: see [`store`](crate::host::store).
pub const SPACE_KEY_VALUE: u8 = 4;

/// The word for a kind of space in messages; `None` for a kind that no version of the format has.
pub fn space_name(kind: u8) -> Option<&'static str> {
    match kind {
        SPACE_MEMORY => Some("memory"),
        SPACE_TABLE => Some("table"),
        SPACE_FILE => Some("file"),
        SPACE_KEY_VALUE => Some("key-value store"),
        _ => None,
    }
}

/// First 8 bytes of a `.snap` file.
pub const SNAP_MAGIC: [u8; 8] = *b"GI-SNAP\n";
/// First 8 bytes of a `.bin` file.
pub const BIN_MAGIC: [u8; 8] = *b"GI-BIN\r\n";
/// First 8 bytes of a `base.bin` file.
pub const BASE_MAGIC: [u8; 8] = *b"GI-BASE\n";
/// First 8 bytes of a `.calls` file.
pub const CALLS_MAGIC: [u8; 8] = *b"GI-CALL\n";
/// Bytes of the prefix that both files open with.
pub const PREFIX_LEN: usize = 56;

/// Which file of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// `{id}.snap`
    Snap,
    /// `{id}.bin`
    Bin,
    /// `base.bin`: what `1.bin` to `{id}.bin` come to
    Base,
    /// `{id}.calls`: answers from outside in the segment up to `{id}`
    Calls,
}

/// What both files open with: enough to tell whose they are without reading on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    /// Which file this is.
    pub file: FileKind,
    /// Not a link of the chain: the state in the middle of the segment that follows snapshot `id`.
    pub paused: bool,
    /// Snapshot id, from 1; in a paused snapshot the id of its predecessor, 0 when there is none.
    pub id: u64,
    /// Hash of the job that the file belongs to.
    pub job_hash: [u8; 32],
}

impl Prefix {
    /// The 56 bytes.
    pub fn encode(&self) -> [u8; PREFIX_LEN] {
        let magic = match self.file {
            FileKind::Snap => SNAP_MAGIC,
            FileKind::Bin => BIN_MAGIC,
            FileKind::Base => BASE_MAGIC,
            FileKind::Calls => CALLS_MAGIC,
        };
        let mut bytes = [0; PREFIX_LEN];
        let fields: [&[u8]; 5] = [
            &magic,
            &VERSION.to_le_bytes(),
            &u32::from(self.paused).to_le_bytes(),
            &self.id.to_le_bytes(),
            &self.job_hash,
        ];
        for (to, from) in bytes.iter_mut().zip(fields.into_iter().flatten()) {
            *to = *from;
        }
        bytes
    }

    /// Reads the first bytes of either file; what follows the prefix is ignored.
    ///
    /// # Errors
    /// Too few bytes, an unknown magic, another version, a flag other than 0 and 1, id 0 outside a paused snapshot, or an
    /// id that none could follow.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let mut rest = bytes;
        let file = match take::<8>(&mut rest) {
            Some(SNAP_MAGIC) => FileKind::Snap,
            Some(BIN_MAGIC) => FileKind::Bin,
            Some(BASE_MAGIC) => FileKind::Base,
            Some(CALLS_MAGIC) => FileKind::Calls,
            Some(_) => return Err(Error::snapshot("no snapshot file: unknown magic at byte 0")),
            None => return Err(too_short(bytes)),
        };
        let version = take(&mut rest).map(u32::from_le_bytes).ok_or_else(|| too_short(bytes))?;
        if version != VERSION {
            return Err(Error::snapshot(format!("format version {version}, expected {VERSION} at byte 8")));
        }
        let paused = match take(&mut rest).map(u32::from_le_bytes).ok_or_else(|| too_short(bytes))? {
            0 => false,
            1 => true,
            flag => return Err(Error::snapshot(format!("paused flag {flag}, expected 0 or 1 at byte 12"))),
        };
        let id = take(&mut rest).map(u64::from_le_bytes).ok_or_else(|| too_short(bytes))?;
        if id == 0 && !paused {
            return Err(Error::snapshot("snapshot id 0, expected 1 or more at byte 16"));
        }
        if id == u64::MAX {
            return Err(Error::snapshot(format!("snapshot id {id}, which none could follow, at byte 16")));
        }
        let job_hash = take(&mut rest).ok_or_else(|| too_short(bytes))?;
        Ok(Self { file, paused, id, job_hash })
    }
}

#[cold]
fn too_short(bytes: &[u8]) -> Error {
    Error::snapshot(format!("cut short at byte {}, expected a prefix of {PREFIX_LEN} bytes", bytes.len()))
}

/// The next `N` bytes, removed from the front of `bytes`; `None` when there are fewer.
pub(crate) fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*first)
}

/// Are all bytes zero. By the word: all pages of a program come through here when it starts.
pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    let (words, rest) = bytes.as_chunks();
    words.iter().all(|word| u64::from_le_bytes(*word) == 0) && rest.iter().all(|byte| *byte == 0)
}

/// BLAKE3 in key derivation mode with context `domain` over the postcard encoding of `value`.
pub(crate) fn hash_encoded<T: Serialize>(domain: &str, value: &T) -> [u8; 32] {
    let hasher = BufWriter::with_capacity(PAGE, blake3::Hasher::new_derive_key(domain));
    let hasher = postcard::to_io(value, hasher).ok().and_then(|buffer| buffer.into_inner().ok());
    *hasher.unwrap_or_else(|| unreachable!("BUG: hashing has no way to fail")).finalize().as_bytes()
}

/// Deserialises a list of at most `MOST` items. A list takes more memory than its encoding, so a bound on the length of the
/// file alone would leave room for a small file that fills the machine.
pub(crate) fn bounded<'de, D, T, const MOST: usize>(deserializer: D) -> Result<Vec<T>, D::Error>
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

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix() -> Prefix {
        Prefix { file: FileKind::Snap, paused: false, id: 7, job_hash: [9; 32] }
    }

    #[test]
    fn prefixes_survive_the_round_trip() {
        for file in [FileKind::Snap, FileKind::Bin, FileKind::Base, FileKind::Calls] {
            for paused in [false, true] {
                let prefix = Prefix { file, paused, ..prefix() };
                assert_eq!(Prefix::decode(&prefix.encode()), Ok(prefix));
            }
        }
    }

    #[test]
    fn every_cut_of_a_prefix_is_refused() {
        let bytes = prefix().encode();
        for len in 0..PREFIX_LEN {
            let error = Prefix::decode(&bytes[..len]).unwrap_err();
            assert_eq!(error.message(), format!("cut short at byte {len}, expected a prefix of 56 bytes"));
        }
    }

    #[test]
    fn foreign_magic_version_flag_and_id_are_named() {
        let with = |at: usize, byte: u8| {
            let mut bytes = prefix().encode();
            bytes[at] = byte;
            Prefix::decode(&bytes).unwrap_err().message().to_owned()
        };
        assert_eq!(with(0, b'X'), "no snapshot file: unknown magic at byte 0");
        assert_eq!(with(8, 1), "format version 1, expected 3 at byte 8");
        assert_eq!(with(12, 2), "paused flag 2, expected 0 or 1 at byte 12");
        assert_eq!(with(16, 0), "snapshot id 0, expected 1 or more at byte 16");
        let last = Prefix { id: u64::MAX, ..prefix() };
        let expected = "snapshot id 18446744073709551615, which none could follow, at byte 16";
        assert_eq!(Prefix::decode(&last.encode()).unwrap_err().message(), expected);
    }

    #[test]
    fn hex_shows_all_digits() {
        let mut hash = [0; 32];
        hash[0] = 0x0a;
        hash[31] = 0xf0;
        assert!(hex(&hash).starts_with("0a00") && hex(&hash).ends_with("f0") && hex(&hash).len() == 64);
    }
}
