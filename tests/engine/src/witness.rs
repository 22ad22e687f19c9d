//! Witnesses of the segments after snapshots, made and executed in one process.

use std::collections::BTreeSet;

use stepmark_session::{Budget, Event, Session};
use stepmark_snapshot::snap::RawSnapshot;
use stepmark_snapshot::witness::Witness;
use stepmark_state::error::JobError;

use crate::mutate::Subject;
use crate::session::{Files, load, take_files, with};

/// What a segment is run for at most: the honest ones need less.
const BUDGET: Budget = Budget { gas: 100_000, steps: 100_000 };

/// The files that executing a segment from its witness alone leads to. The files of the job come from the subject.
///
/// # Errors
/// The witness is not closed or does not fit the program, or the segment touches what is not there.
pub fn executed(subject: &Subject, witness: &Witness) -> Result<Files, JobError> {
    let closed = witness.close()?;
    let mut session = guest_interp::args::session(&subject.resume_argv())?;
    while let Some(path) = session.want()?.filter(|path| !path.ends_with(".bin")) {
        let snap = (path == subject.snap_path()).then_some(closed.snap());
        let found = snap.or_else(|| subject.job.inputs.get(&path).map(Vec::as_slice));
        if let Some(bytes) = found {
            session.give(bytes)?;
        }
        session.give_end(found.is_some())?;
    }
    let touched = session.give_witness(&closed)?;
    let files = segment(&mut session)?;
    touched.check()?;
    Ok(files)
}

/// The witness of the segment after a subject, and the files that the segment leads to.
///
/// # Errors
/// The job has no witness.
pub fn made(subject: &Subject) -> Result<(Witness, Files), JobError> {
    let mut watched = resumed(subject)?;
    let touched = watched.watch_pages();
    let files = segment(&mut watched)?;
    let pages = touched.pages();
    Ok((witness_of(subject, subject.raw.clone(), &pages)?, files))
}

/// The witness from a subject with these pages of memories (memory and page).
///
/// # Errors
/// The job has no witness.
pub fn witness_of(subject: &Subject, raw: RawSnapshot, pages: &BTreeSet<(u32, u64)>) -> Result<Witness, JobError> {
    resumed(subject)?.witness(subject.files[&subject.snap_path()].clone(), raw, pages)
}

/// The session that goes on from a subject.
///
/// # Errors
/// The subject does not load.
pub fn resumed(subject: &Subject) -> Result<Session, JobError> {
    load(&with(subject.job.inputs.clone(), &subject.files), &subject.resume_argv())
}

/// Runs to the next snapshot.
fn segment(session: &mut Session) -> Result<Files, JobError> {
    let event = session.run(BUDGET)?;
    if !matches!(event, Event::Snapshot(_)) {
        return Err(JobError::usage(format!("{event:?}, expected a snapshot")));
    }
    let mut files = Files::new();
    take_files(session, &mut files)?;
    Ok(files)
}
