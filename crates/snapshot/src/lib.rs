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

use stepmark_state::encoding::take;
use stepmark_state::error::JobError;

pub mod bin;
pub mod job;
pub mod snap;
pub mod spaces;
pub mod witness;

/// Version of both file formats, raised with every change of meaning; a reader refuses any other. 2: exceptions. 3: outside answers,
/// stores and contracts.
pub const VERSION: u32 = 3;

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
    pub fn decode(bytes: &[u8]) -> Result<Self, JobError> {
        let mut rest = bytes;
        let file = match take::<8>(&mut rest) {
            Some(SNAP_MAGIC) => FileKind::Snap,
            Some(BIN_MAGIC) => FileKind::Bin,
            Some(BASE_MAGIC) => FileKind::Base,
            Some(CALLS_MAGIC) => FileKind::Calls,
            Some(_) => return Err(JobError::snapshot("no snapshot file: unknown magic at byte 0")),
            None => return Err(too_short(bytes)),
        };
        let version = take(&mut rest).map(u32::from_le_bytes).ok_or_else(|| too_short(bytes))?;
        if version != VERSION {
            return Err(JobError::snapshot(format!("format version {version}, expected {VERSION} at byte 8")));
        }
        let paused = match take(&mut rest).map(u32::from_le_bytes).ok_or_else(|| too_short(bytes))? {
            0 => false,
            1 => true,
            flag => return Err(JobError::snapshot(format!("paused flag {flag}, expected 0 or 1 at byte 12"))),
        };
        let id = take(&mut rest).map(u64::from_le_bytes).ok_or_else(|| too_short(bytes))?;
        if id == 0 && !paused {
            return Err(JobError::snapshot("snapshot id 0, expected 1 or more at byte 16"));
        }
        if id == u64::MAX {
            return Err(JobError::snapshot(format!("snapshot id {id}, which none could follow, at byte 16")));
        }
        let job_hash = take(&mut rest).ok_or_else(|| too_short(bytes))?;
        Ok(Self { file, paused, id, job_hash })
    }
}

#[cold]
fn too_short(bytes: &[u8]) -> JobError {
    JobError::snapshot(format!("cut short at byte {}, expected a prefix of {PREFIX_LEN} bytes", bytes.len()))
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
}
