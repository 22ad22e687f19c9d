//! Witnesses of segments: made from a chain, checked without one.

use std::collections::BTreeMap;
use std::path::Path;

use stepmark_session::spec::SnapshotName;
use stepmark_session::{Budget, Event, Session};
use stepmark_snapshot::snap;
use stepmark_snapshot::witness::ClosedWitness;
use stepmark_state::canonical::state_hash;
use stepmark_state::encoding::hex;
use stepmark_state::pages::SPACE_MEMORY;

use crate::engine::ModuleSession;
use crate::failure::{Failure, Result, USAGE};
use crate::interrupt::Interrupt;
use crate::native::NativeNode;
use crate::rerun::{GivenFiles, JobFiles, Rerun};
use crate::snapshot_ref::SnapshotRef;
use crate::state::LoadedState;

/// A witness that was made.
pub struct Made {
    /// The witness.
    pub bytes: Vec<u8>,
    /// Pages of memory that the segment touches.
    pub touched_pages: u64,
    /// Pages of memory that there are.
    pub memory_pages: u64,
    /// Gas of the segment.
    pub gas: u64,
}

/// Makes the witness of the segment that starts from a snapshot: executes it once to see what it touches.
///
/// # Errors
/// As those of resuming from it; exit code 2 for a pause or a state at the end.
pub fn make(place: &SnapshotRef, program: &str, files: &GivenFiles) -> Result<Made> {
    if !matches!(place.id, SnapshotName::Number(_)) {
        return Err(Failure::usage(format!("a witness starts from a snapshot of the chain, not from {}", place.id)));
    }
    let snap = place.read_bytes()?;
    let raw = place.decode(&snap)?;
    stepmark_snapshot::witness::refuse_answers(&raw.job)?;
    let files = JobFiles::find(&raw.job, Some(program), files, &place.dir)?;
    let rerun = Rerun::new(raw.job.clone(), &files, &place.dir);
    let mut recorded = LoadedState::restore(raw.clone(), &rerun, place.id)?;
    let session = recorded.session_mut();
    let touched = session.watch_pages();
    let before = session.progress().gas_total;
    segment(session)?;
    let gas = session.progress().gas_total.saturating_sub(before);
    drop(recorded);
    let memory_pages =
        raw.state.spaces.iter().filter(|space| space.kind == SPACE_MEMORY).map(|space| space.pages).sum();
    let mut state = LoadedState::restore(raw.clone(), &rerun, place.id)?;
    let touched = touched.pages();
    let witness = state.session_mut().witness(snap, raw, &touched)?;
    let touched_pages = u64::try_from(touched.len()).unwrap_or(u64::MAX);
    Ok(Made { bytes: witness.encode(), touched_pages, memory_pages, gas })
}

/// What a segment leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Successor {
    /// A snapshot.
    Snapshot {
        /// Its id.
        id: u64,
        /// Hash of the `.snap`.
        hash: String,
        /// Hash of the state.
        state_hash: String,
        /// The `.snap`.
        snap: Vec<u8>,
    },
    /// The end of the run.
    End {
        /// `result.txt`.
        result: String,
        /// `receipt.json`.
        receipt: Vec<u8>,
    },
}

/// A witness that was checked.
pub struct CheckedSegment {
    /// What the segment leads to.
    pub next: Successor,
    /// Gas of the segment.
    pub gas: u64,
}

/// Executes the segment of a witness from the witness alone.
///
/// # Errors
/// Exit code 65 when the witness is not of this program, or the segment touches a page that is not there.
pub fn check(witness: &ClosedWitness<'_>, files: &JobFiles) -> Result<CheckedSegment> {
    // Whatever the job asks for is in the witness: no flag of a user is wrong.
    let data = |failure: Failure| if failure.code() == USAGE { Failure::data(failure.what()) } else { failure };
    execute(witness, files).map_err(data)
}

fn execute(witness: &ClosedWitness<'_>, files: &JobFiles) -> Result<CheckedSegment> {
    let snapshot = witness.snapshot();
    let mut rerun = Rerun::new(snapshot.job.clone(), files, Path::new(""));
    let id = SnapshotName::Number(snapshot.segment.id);
    rerun.snap(id, witness.snap().to_vec());
    let mut node = NativeNode::new();
    node.load(&rerun.from_snapshot(id, None, false))?;
    rerun.supply().feed_until(&mut node, &Interrupt::new(), &|name| name.ends_with(".bin"))?;
    let mut session = node.into_session().ok_or_else(|| Failure::data("the snapshot was not restored"))?;
    let touched = session.give_witness(witness)?;
    if session.want()?.is_some() {
        return Err(Failure::data("the witness does not complete the snapshot"));
    }
    let before = session.progress().gas_total;
    let event = segment(&mut session)?;
    touched.check()?;
    let gas = session.progress().gas_total.saturating_sub(before);
    let mut left = taken(&mut session)?;
    let mut take = |name: &str| left.remove(name).ok_or_else(|| Failure::data(format!("no {name} was made")));
    let next = match event {
        Event::Snapshot(id) => {
            let snap = take(&format!("{id}.snap"))?;
            let raw = snap::decode(&snap)?;
            Successor::Snapshot { id, hash: hex(&raw.hash), state_hash: hex(&state_hash(&raw.state)), snap }
        }
        _ => {
            let result = String::from_utf8_lossy(&take("result.txt")?).into_owned();
            Successor::End { result, receipt: take("receipt.json")? }
        }
    };
    Ok(CheckedSegment { next, gas })
}

/// The files that wait to be taken, by name.
fn taken(session: &mut Session) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    let mut chunk = Vec::new();
    while let Some(name) = session.take_name() {
        let file: &mut Vec<u8> = files.entry(name).or_default();
        while session.take_chunk(&mut chunk)? {
            file.extend_from_slice(&chunk);
        }
    }
    Ok(files)
}

/// Runs to the next snapshot or to the end.
fn segment(session: &mut Session) -> Result<Event> {
    loop {
        let event = session.run(Budget::UNLIMITED)?;
        for fd in [1, 2] {
            session.take_output(fd);
        }
        match event {
            Event::Finished | Event::Snapshot(_) => return Ok(event),
            Event::Output => {}
            Event::Paused | Event::Question => {
                return Err(Failure::data("the segment waits for something that is not in the job"));
            }
        }
    }
}
