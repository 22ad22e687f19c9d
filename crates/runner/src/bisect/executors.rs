//! Two executors of one segment: a binary search over gas, then over the steps in the last unit, finds the first instruction
//! that they do not agree on. A state that has ended stays what it is, so the end of the segment is as good a place to ask
//! for as any.

use crate::chain::snapshot_ref::SnapshotRef;
use crate::failure::Result;
use crate::foreign::{self, ForeignKind};
use crate::job::rerun::Rerun;
use crate::node::engine::Engine;
use crate::scratch::ScratchFolder;
use crate::state::{Difference, FrameView, FrameViews, LoadedState, differences};
use stepmark_session::spec::SnapshotName;

use super::executor::{ALL_STEPS, ExecutorProcess, Position, reach};

/// What is asked.
pub struct SegmentQuestion<'a> {
    /// The job and its chain.
    pub rerun: &'a Rerun,
    /// The snapshot that the segment starts from.
    pub place: &'a SnapshotRef,
    /// Gas of the segment.
    pub gas: u64,
    /// How the node runs that says in words what was found.
    pub engine: Engine,
}

/// The first instruction that two executors do not agree on.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Divergence {
    /// The last moment at which both have the same state.
    pub agreed: Position,
    /// The first at which they have not.
    pub parted: Position,
    /// Hash of the state that both have.
    pub agreed_hash: String,
    /// Hashes of the states after it.
    pub left_hash: String,
    /// The other one's.
    pub right_hash: String,
    /// Hash of the state after it by this node.
    pub own_hash: String,
    /// Where the program is, and the instruction.
    pub place: String,
    /// Its operands, topmost last.
    pub operands: Vec<String>,
    /// What each side made of it: how its state differs from this node's (on the left).
    pub left: Vec<Difference>,
    /// The other one's.
    pub right: Vec<Difference>,
    /// Questions that each side was asked.
    pub questions: u32,
}

/// Finds the first instruction that two executors do not agree on; none if they agree up to the end of the segment.
///
/// # Errors
/// What the executors say is wrong; exit code 65 when they do not agree on the start.
pub fn diverge(
    question: &SegmentQuestion<'_>,
    left: &mut ExecutorProcess,
    right: &mut ExecutorProcess,
) -> Result<Option<Divergence>> {
    let mut same =
        |position: Position| Ok::<bool, crate::failure::Failure>(left.hash(position)? == right.hash(position)?);
    let whole = |gas: u64| Position { gas, steps: ALL_STEPS };
    if same(whole(question.gas))? {
        return Ok(None);
    }
    let agreed_parted = if same(whole(0))? {
        let gas = first(question.gas, &mut |gas| Ok(!same(whole(gas))?))?;
        let at = |steps: u64| Position { gas, steps };
        if same(at(0))? {
            // Doubling first: most units of gas have few such steps.
            let mut most = 1;
            while most < ALL_STEPS && same(at(most))? {
                most = most.saturating_mul(2);
            }
            let steps = first(most, &mut |steps| Ok(!same(at(steps))?))?;
            (at(steps.saturating_sub(1)), at(steps))
        } else {
            (whole(gas.saturating_sub(1)), at(0))
        }
    } else {
        (Position { gas: 0, steps: 0 }, whole(0))
    };
    describe(question, left, right, agreed_parted).map(Some)
}

/// The least number from 1 to `most` for which `holds`, which it does for `most` and all from there on.
fn first(most: u64, holds: &mut dyn FnMut(u64) -> Result<bool>) -> Result<u64> {
    let (mut low, mut high) = (0, most);
    while high.saturating_sub(low) > 1 {
        let middle = low.midpoint(high);
        if holds(middle)? { high = middle } else { low = middle }
    }
    Ok(high)
}

/// Says in words what happens between two moments.
fn describe(
    question: &SegmentQuestion<'_>,
    left: &mut ExecutorProcess,
    right: &mut ExecutorProcess,
    (agreed, parted): (Position, Position),
) -> Result<Divergence> {
    let SegmentQuestion { rerun, place, engine, .. } = question;
    let before = reach(rerun, place.id, *engine, agreed)?;
    let after = reach(rerun, place.id, *engine, parted)?;
    let last = state(&before.snap, &before.bin, rerun)?;
    let mut own = state(&after.snap, &after.bin, rerun)?;
    let frames = &last.raw.state.frames;
    let views = FrameViews::new(last.session().machine(), frames);
    let view = frames.last().map(|frame| views.view(frame, true));
    let mut against = |executor: &mut ExecutorProcess| claimed(question, executor, parted, &mut own);
    let (of_left, of_right) = (against(left)?, against(right)?);
    Ok(Divergence {
        agreed,
        parted,
        agreed_hash: before.hash()?,
        left_hash: left.hash(parted)?.0,
        right_hash: right.hash(parted)?.0,
        own_hash: after.hash()?,
        place: view.as_ref().map_or_else(|| "before the first instruction".to_owned(), FrameView::place),
        operands: view.map(|view| view.operands).unwrap_or_default(),
        left: of_left,
        right: of_right,
        questions: left.questions.max(right.questions),
    })
}

/// How the state that an executor has at a position differs from ours.
fn claimed(
    question: &SegmentQuestion<'_>,
    executor: &mut ExecutorProcess,
    position: Position,
    own: &mut LoadedState,
) -> Result<Vec<Difference>> {
    let folder = ScratchFolder::create()?;
    let id = executor.state(position, folder.path())?;
    let read = |ending: &str, kind: ForeignKind| foreign::read_within(folder.path(), &format!("{id}.{ending}"), kind);
    match state(&read("snap", ForeignKind::Snap)?, &read("bin", ForeignKind::Bin)?, question.rerun) {
        Ok(mut theirs) => Ok(differences(own, &mut theirs)),
        Err(failure) => Ok(vec![Difference::of_files(
            "state".to_owned(),
            "a state".to_owned(),
            format!("is none that the program can be in: {}", failure.what()),
        )]),
    }
}

/// A state in the middle of the segment, or at its end.
fn state(snap: &[u8], bin: &[u8], rerun: &Rerun) -> Result<LoadedState> {
    LoadedState::from_files(snap, bin, rerun, SnapshotName::Final)
}
