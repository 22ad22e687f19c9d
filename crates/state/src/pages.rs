//! Spaces and their pages: whatever a state holds in bulk is a space of 4 KiB pages, by kind and index.

use std::fmt;

/// Bytes in a page of a space, the unit of change tracking, of `.bin` records and of Merkle leaves.
pub const PAGE: usize = 4096;

/// Pages that a space can have: 2^36, so that a space is at most 2^48 bytes and its Merkle tree 36 levels high.
pub const MAX_PAGES: u64 = 1 << 36;

/// A linear memory: its bytes.
pub const SPACE_MEMORY: u8 = 1;
/// A table: each element as a little-endian u64 in the reference encoding of [`canonical`](crate::canonical), 512 to a page.
pub const SPACE_TABLE: u8 = 2;
/// Contents of a file that the program has written to, by its number in the file system of the WASI host module.
pub const SPACE_FILE: u8 = 3;
/// What a run read from and wrote to the key-value store, in order.
pub const SPACE_KEY_VALUE: u8 = 4;

/// A space: its kind, and its index among those of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SpaceId {
    /// What it holds.
    pub kind: u8,
    /// Its index.
    pub index: u32,
}

impl SpaceId {
    /// The space of this kind and index.
    pub const fn new(kind: u8, index: u32) -> Self {
        Self { kind, index }
    }
}

/// As messages have it: `memory 0`.
impl fmt::Display for SpaceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", space_name(self.kind).unwrap_or("space"), self.index)
    }
}

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
