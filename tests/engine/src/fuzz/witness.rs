//! Bytes as a witness without the hash at its end: what is accepted is encoded again as it is; and one of an honest
//! snapshot that is closed leads, as far as it is executed, to the honest bytes or to a refusal.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use guest_interp::error::Error;
use guest_interp::session::{Budget, Event, Session};
use guest_interp::witness::Witness;

use crate::mutate::{Subject, seal, small_subjects};
use crate::session::{Files, load, take_files, with};

/// Bytes of the hash at the end.
const TRAILER: usize = 32;
/// What a segment is run for at most: the honest ones need less.
const BUDGET: Budget = Budget { gas: 100_000, steps: 100_000 };

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

/// The files that executing a segment from its witness alone leads to.
fn executed(subject: &Subject, witness: &Witness) -> Result<Files, Error> {
    let mut session = Session::new(&subject.resume_argv())?;
    while let Some(path) = session.want()?.filter(|path| !path.ends_with(".bin")) {
        let snap = (path == subject.snap_path()).then_some(&witness.snap);
        let found = snap.or_else(|| subject.job.inputs.get(&path));
        if let Some(bytes) = found {
            session.give(bytes)?;
        }
        session.give_end(found.is_some())?;
    }
    let touched = session.give_witness(&witness.close()?)?;
    let files = segment(&mut session)?;
    touched.check()?;
    Ok(files)
}

/// Runs to the next snapshot.
fn segment(session: &mut Session) -> Result<Files, Error> {
    let event = session.run(BUDGET)?;
    if !matches!(event, Event::Snapshot(_)) {
        return Err(Error::usage(format!("{event:?}, expected a snapshot")));
    }
    let mut files = Files::new();
    take_files(session, &mut files)?;
    Ok(files)
}

fn resumed(subject: &Subject) -> Result<Session, Error> {
    load(&with(subject.job.inputs.clone(), &subject.files), &subject.resume_argv())
}

fn honest() -> &'static [Honest] {
    static HONEST: OnceLock<Vec<Honest>> = OnceLock::new();
    let segment_of = |subject| -> Result<Honest, Error> {
        let mut watched = resumed(subject)?;
        let touched = watched.watch_pages();
        let files = segment(&mut watched)?;
        let pages: BTreeSet<_> = touched.pages();
        let snap = subject.files[&subject.snap_path()].clone();
        let witness = resumed(subject)?.witness(snap, subject.raw.clone(), &pages)?;
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
