//! Bytes as a witness without the hash at its end: what is accepted is encoded again as it is; and one of an honest
//! snapshot that is closed leads, as far as it is executed, to the honest bytes or to a refusal.

use std::sync::OnceLock;

use stepmark_snapshot::witness::Witness;
use stepmark_state::error::JobError;

use crate::mutate::{Subject, seal, small_subjects};
use crate::session::Files;
use crate::witness::{executed, made};

/// Bytes of the hash at the end.
const TRAILER: usize = 32;

/// The segment after a subject.
struct Honest {
    subject: &'static Subject,
    witness: Vec<u8>,
    /// The files that it leads to.
    files: Files,
}

pub(super) fn witness(data: &[u8]) {
    let bytes = seal(data.to_vec());
    let Ok(witness) = Witness::decode(&bytes) else { return };
    assert!(witness.encode() == bytes, "decoding and encoding changes an accepted file");
    let of_snapshot = |honest: &&Honest| honest.subject.files[&honest.subject.snap_path()] == witness.snap;
    let Some(honest) = honest().iter().find(of_snapshot) else { return };
    if let Ok(files) = executed(honest.subject, &witness) {
        assert!(files == honest.files, "{}: another end from the same snapshot", honest.subject.name);
    }
}

fn honest() -> &'static [Honest] {
    static HONEST: OnceLock<Vec<Honest>> = OnceLock::new();
    let segment_of = |subject| -> Result<Honest, JobError> {
        let (witness, files) = made(subject)?;
        assert_eq!(executed(subject, &witness).as_ref(), Ok(&files), "{}: the honest witness", subject.name);
        Ok(Honest { subject, witness: witness.encode(), files })
    };
    HONEST.get_or_init(|| {
        let alone = small_subjects().iter().filter(|subject| subject.alone && !subject.raw.segment.paused);
        alone.map(|subject| segment_of(subject).unwrap_or_else(|error| panic!("{}: {error}", subject.name))).collect()
    })
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    honest().iter().map(|honest| honest.witness[..honest.witness.len() - TRAILER].to_vec()).collect()
}
