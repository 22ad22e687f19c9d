//! Witnesses of segments: made from a chain, checked without one.

use std::path::Path;

use stepmark_session::output_file::OutputFile;
use stepmark_session::spec::SnapshotName;
use stepmark_snapshot::snap;
use stepmark_snapshot::witness::ClosedWitness;
use stepmark_state::canonical::state_hash;
use stepmark_state::encoding::hex;
use stepmark_state::pages::SPACE_MEMORY;

use crate::bounds::{Allowance, Bounds};
use crate::chain::durable::Name;
use crate::chain::snapshot_ref::SnapshotRef;
use crate::failure::{Failure, Result, USAGE};
use crate::foreign::ForeignKind;
use crate::interrupt::Interrupt;
use crate::job::rerun::{GivenFiles, JobFiles, Rerun};
use crate::node::driver::{self, Driver, Ready};
use crate::node::engine::ModuleSession;
use crate::node::external::Nobody;
use crate::node::native::NativeNode;
use crate::state::LoadedState;

/// A witness that was made.
pub struct MadeWitness {
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
pub fn make(place: &SnapshotRef, program: Option<&str>, files: &GivenFiles) -> Result<MadeWitness> {
    if !matches!(place.id, SnapshotName::Number(_)) {
        return Err(Failure::usage(format!("a witness starts from a snapshot of the chain, not from {}", place.id)));
    }
    let snap = place.read_bytes()?;
    let raw = place.decode(&snap)?;
    stepmark_snapshot::witness::refuse_answers(&raw.job)?;
    let files = JobFiles::find(&raw.job, program, files, &place.dir)?;
    let rerun = Rerun::new(raw.job.clone(), &files, &place.dir);
    let mut node = NativeNode::new();
    node.load(&rerun.from_snapshot(place.id, None, false))?;
    rerun.supply().feed(&mut node, &Interrupt::new())?;
    let session = node.session_mut().ok_or_else(|| Failure::data("the snapshot was not restored"))?;
    let touched = session.watch_pages();
    let (_, gas) = run_segment(&mut node, &Allowance::default())?;
    drop(node);
    let memory_pages =
        raw.state.spaces.iter().filter(|space| space.kind == SPACE_MEMORY).map(|space| space.pages).sum();
    let mut state = LoadedState::restore(raw.clone(), &rerun, place.id)?;
    let touched = touched.pages();
    let witness = state.session_mut().witness(snap, raw, &touched)?;
    let touched_pages = u64::try_from(touched.len()).unwrap_or(u64::MAX);
    Ok(MadeWitness { bytes: witness.encode(), touched_pages, memory_pages, gas })
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
/// Exit code 65 when the witness is not of this program, or the segment touches a page that is not there; 77 when the job may
/// take more than `bounds` allow, or the segment does.
pub fn check(witness: &ClosedWitness<'_>, files: &JobFiles, bounds: &Bounds) -> Result<CheckedSegment> {
    bounds.check_memory(&witness.snapshot().job)?;
    // Whatever the job asks for is in the witness: no flag of a user is wrong.
    let data = |failure: Failure| if failure.code() == USAGE { Failure::data(failure.what()) } else { failure };
    execute(witness, files, &bounds.begin(&witness.snapshot().job)).map_err(data)
}

fn execute(witness: &ClosedWitness<'_>, files: &JobFiles, allowance: &Allowance) -> Result<CheckedSegment> {
    let snapshot = witness.snapshot();
    let mut rerun = Rerun::new(snapshot.job.clone(), files, Path::new(""));
    let id = SnapshotName::Number(snapshot.segment.id);
    rerun.snap(id, witness.snap().to_vec());
    let mut node = NativeNode::new();
    node.load(&rerun.from_snapshot(id, None, false))?;
    rerun.supply().feed_until(&mut node, &Interrupt::new(), &|name| is_bin(name))?;
    let session = node.session_mut().ok_or_else(|| Failure::data("the snapshot was not restored"))?;
    let touched = session.give_witness(witness)?;
    if session.want()?.is_some() {
        return Err(Failure::data("the witness does not complete the snapshot"));
    }
    let (ready, gas) = run_segment(&mut node, allowance)?;
    touched.check()?;
    let mut left = driver::take_files(&mut node)?;
    let mut take = |file| left.remove(&file).ok_or_else(|| Failure::data(format!("no {file} was made")));
    let next = match ready {
        Ready::Snapshot(id) => {
            let snap = take(OutputFile::Snap(SnapshotName::Number(id)))?;
            let raw = snap::decode(&snap)?;
            Successor::Snapshot { id, hash: hex(&raw.hash), state_hash: hex(&state_hash(&raw.state)), snap }
        }
        Ready::Reports => {
            let result = String::from_utf8_lossy(&take(OutputFile::Result)?).into_owned();
            Successor::End { result, receipt: take(OutputFile::Receipt)? }
        }
    };
    Ok(CheckedSegment { next, gas })
}

/// Whether a name that the node asks for is that of a `.bin` of the chain, which a witness stands for: all else is of the job.
fn is_bin(name: &str) -> bool {
    name.strip_prefix("./").and_then(Name::kind_of) == Some(ForeignKind::Bin)
}

/// Runs to the next snapshot or to the end: what is ready then, and the gas that it took.
fn run_segment(node: &mut NativeNode, allowance: &Allowance) -> Result<(Ready, u64)> {
    let before = node.progress()?.gas_total;
    let stop = Interrupt::new();
    let ready = Driver::new(node, &mut Nobody, &stop).within(allowance).run(&mut |node| node.drop_output())?;
    Ok((ready, node.progress()?.gas_total.saturating_sub(before)))
}
