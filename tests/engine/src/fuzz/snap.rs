//! Bytes as a `.snap` without the hash at its end, behind a byte that says which run it replaces a snapshot of: it is refused,
//! or encoded again as it is, and it runs, and what it runs to is accepted.

use stepmark_snapshot::{FileKind, Prefix, snap};

use super::frames::held_to_its_word;
use crate::mutate::{forge, seal, small_subjects};

/// Bytes of the hash at the end.
const TRAILER: usize = 32;

pub(super) fn snap(data: &[u8]) {
    let Some((which, body)) = data.split_first() else { return };
    let bytes = seal(body.to_vec());
    let Ok(raw) = snap::decode(&bytes) else { return };
    assert!(forge(&raw) == bytes, "decoding and encoding changes an accepted file");
    let prefix =
        Prefix { file: FileKind::Snap, paused: raw.segment.paused, id: raw.segment.id, job_hash: raw.job.job_hash() };
    assert!(bytes.starts_with(&prefix.encode()), "the header of an accepted file says something else");
    held_to_its_word(*which, bytes);
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let without_trailer = |snap: Vec<u8>| snap[..snap.len() - TRAILER].to_vec();
    let subjects = small_subjects().iter().zip(0_u8..);
    subjects.map(|(subject, which)| [vec![which], without_trailer(forge(&subject.raw))].concat()).collect()
}
