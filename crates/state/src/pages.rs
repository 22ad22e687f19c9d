//! Spaces and their pages: whatever a state holds in bulk is a space of 4 KiB pages, by kind and index.

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
