//! Two chains of one job: the first snapshot where they part is found by its hash, and the segment before it is executed to
//! see which chain is right. Honest chains that part once stay apart, as a `.snap` names its predecessor's hash; a forged one
//! need not, so every snapshot is compared until they part.

use stepmark_session::output_file::OutputFile;
use stepmark_session::spec::SnapshotName;

use crate::bounds::{Allowance, Bounds};
use crate::chain::ChainFiles;
use crate::chain::snapshot_ref::SnapshotRef;
use crate::failure::{BEYOND, Failure, Result};
use crate::foreign::{Foreign, ForeignKind};
use crate::interrupt::Interrupt;
use crate::job::rerun::Rerun;
use crate::node::driver::{self, Driver, Ready};
use crate::node::engine::{Engine, ModuleSession};
use crate::node::external::RecordedReplies;
use crate::state::{Difference, LoadedState, differences};

/// One of two chains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The first.
    A,
    /// The second.
    B,
}

/// Where two chains part.
#[derive(Debug)]
pub struct Parting {
    /// The first snapshot that differs.
    pub id: u64,
    /// Hashes that were compared to find it.
    pub questions: u32,
    /// The chain that is right; none if neither is.
    pub right: Option<Side>,
    /// Hash of the right `.snap`.
    pub snap_hash: [u8; 32],
    /// How the state that A claims differs from the right one (on the left), or why it cannot be restored.
    pub a: Vec<Difference>,
    /// What differs between the honest state and B's.
    pub b: Vec<Difference>,
}

/// Finds where two chains part; none if no snapshot that both have differs: what else they claim
/// [`beside`](super::beside()) compares.
///
/// # Errors
/// Exit code 65 when they are of different jobs, or cannot be compared; 77 when the segment that decides may take more than
/// `bounds` allow, or does.
pub fn part(
    a: &ChainFiles,
    b: &ChainFiles,
    rerun: [&Rerun; 2],
    engine: Engine,
    bounds: &Bounds,
) -> Result<Option<Parting>> {
    if a.job != b.job {
        return Err(Failure::data("the chains are of different jobs: there is nothing to decide"));
    }
    let mut questions = 0;
    let Some((low, high)) = first_difference(a, b, &mut questions)? else { return Ok(None) };
    let limits = [a, b].map(|chain| chain.links.get(&high).map(|link| link.segment.limit));
    if limits[0] != limits[1] {
        let shown = limits.map(|limit| limit.map_or("none".to_owned(), |limit| limit.to_string())).join(" and ");
        let what = format!("segment {low} -> {high} ran under two gas limits, {shown}: both chains can be right");
        return Err(Failure::data(what));
    }
    let limit = limits[0].unwrap_or(u64::MAX);
    bounds.check_gas(&format!("segment {low} -> {high} has a limit of"), limit)?;
    let allowance = bounds.begin(rerun[0].job());
    let of_a = Honest::execute(rerun[0], low, high, limit, engine, &allowance);
    // Each claim is held against what the outside answered it.
    let of_b = match answers(a, high)? == answers(b, high)? {
        true => of_a.clone(),
        false => Honest::execute(rerun[1], low, high, limit, engine, &bounds.begin(rerun[1].job())),
    };
    let snap_hash = match (&of_a, &of_b) {
        (Err(failure), Err(_)) => return Err(failure.clone()),
        // That it was given up decides nothing.
        (Err(failure), _) | (_, Err(failure)) if failure.code() == BEYOND => return Err(failure.clone()),
        (Ok(honest), _) | (_, Ok(honest)) => honest.hash,
    };
    let is_right = |chain: &ChainFiles, honest: &Result<Honest>| {
        let claimed = chain.links.get(&high).map(|link| link.hash);
        honest.as_ref().is_ok_and(|honest| claimed == Some(honest.hash))
    };
    let (right, snap_hash) = match (is_right(a, &of_a), is_right(b, &of_b)) {
        (true, true) => {
            let what = format!("the outside answered segment {low} -> {high} in two ways: both chains can be right");
            return Err(Failure::data(what));
        }
        (true, false) => (Some(Side::A), snap_hash),
        (false, true) => (Some(Side::B), of_b.as_ref().map_or(snap_hash, |honest| honest.hash)),
        (false, false) => (None, snap_hash),
    };
    let claims = |side, chain: &ChainFiles, rerun: &Rerun, honest: Result<Honest>| match honest {
        _ if right == Some(side) => Ok(Vec::new()),
        Ok(honest) => honest.against(chain, rerun),
        Err(failure) => Ok(vec![Difference::of_files(
            format!("{high}.calls"),
            "answers that the segment can be executed with".to_owned(),
            failure.what().to_owned(),
        )]),
    };
    let a = claims(Side::A, a, rerun[0], of_a)?;
    let b = claims(Side::B, b, rerun[1], of_b)?;
    Ok(Some(Parting { id: high, questions, right, snap_hash, a, b }))
}

/// The last snapshot that two chains share, 0 for the start, and the one after it; none if they are the same as far as the
/// shorter one goes.
fn first_difference(a: &ChainFiles, b: &ChainFiles, questions: &mut u32) -> Result<Option<(u64, u64)>> {
    let hash = |chain: &ChainFiles, id: u64| chain.links.get(&id).map(|link| link.hash);
    let last = a.last().min(b.last());
    for chain in [a, b] {
        if last > 0 && hash(chain, last).is_none() {
            let what = format!("{}: {last}.snap is missing or damaged", chain.dir.display());
            let faults = chain.faults.get(&last).into_iter().flatten();
            return Err(faults.fold(Failure::data(what), Failure::caused_by));
        }
    }
    let both: Vec<u64> = a.links.keys().filter(|id| b.links.contains_key(id)).copied().collect();
    let to = both.iter().position(|id| hash(a, *id) != hash(b, *id)).unwrap_or(both.len());
    *questions = u32::try_from(both.len().min(to.saturating_add(1))).unwrap_or(u32::MAX);
    let Some(high) = both.get(to).copied() else { return Ok(None) };
    let low = to.checked_sub(1).and_then(|before| both.get(before)).copied().unwrap_or(0);
    if low == 0 && high > 1 {
        let what = format!(
            "the chains differ at snapshot {high} already, the first that both have: where they part is before it"
        );
        return Err(Failure::data(what));
    }
    if high.saturating_sub(low) > 1 {
        let what = format!(
            "the chains are the same at snapshot {low} and differ at {high}, but a snapshot between is missing or damaged"
        );
        return Err(Failure::data(what));
    }
    Ok(Some((low, high)))
}

/// What the outside answered in the segment up to snapshot `id`, if the chain has it.
fn answers(chain: &ChainFiles, id: u64) -> Result<Option<Vec<u8>>> {
    Foreign::find_within(&chain.dir, &format!("{id}.calls"), ForeignKind::Calls)?.map(Foreign::bytes).transpose()
}

/// Executes the segment after snapshot `id` of a chain; the `.snap` and `.bin` that it leads to.
fn execute(rerun: &Rerun, id: u64, limit: u64, engine: Engine, allowance: &Allowance) -> Result<(Vec<u8>, Vec<u8>)> {
    let mut node = engine.start()?;
    node.load(&rerun.from(id, limit, true))?;
    rerun.supply().feed(node.as_mut(), &Interrupt::new())?;
    let mut replay = RecordedReplies::new(rerun.dir());
    let stop = Interrupt::new();
    let mut driver = Driver::new(node.as_mut(), &mut replay, &stop).within(allowance);
    let ready = driver.run(&mut |node| node.drop_output())?;
    match ready {
        Ready::Snapshot(_) => take_snapshot(node.as_mut()),
        Ready::Reports => {
            Err(Failure::data(format!("the program ends in the segment after snapshot {id}: neither chain is right")))
        }
    }
}

/// The `.snap` and `.bin` that a node has ready.
pub(super) fn take_snapshot(node: &mut dyn ModuleSession) -> Result<(Vec<u8>, Vec<u8>)> {
    let (mut snap, mut bin) = (Vec::new(), Vec::new());
    for (file, bytes) in driver::take_files(node)? {
        match file {
            OutputFile::Snap(_) => snap = bytes,
            OutputFile::Bin(_) => bin = bytes,
            OutputFile::Calls(_)
            | OutputFile::ReadWriteSet
            | OutputFile::ReadWriteSetText
            | OutputFile::Result
            | OutputFile::Receipt => {}
        }
    }
    Ok((snap, bin))
}

/// What an execution came to.
#[derive(Clone)]
struct Honest {
    snap: Vec<u8>,
    bin: Vec<u8>,
    hash: [u8; 32],
    low: u64,
    high: u64,
}

impl Honest {
    fn execute(rerun: &Rerun, low: u64, high: u64, limit: u64, engine: Engine, allowance: &Allowance) -> Result<Self> {
        let (snap, bin) = execute(rerun, low, limit, engine, allowance)?;
        let hash = stepmark_snapshot::snap::decode(&snap)?.hash;
        Ok(Self { snap, bin, hash, low, high })
    }

    /// How the state that a chain claims differs from this one.
    fn against(&self, chain: &ChainFiles, rerun: &Rerun) -> Result<Vec<Difference>> {
        let mut honest = self.restore(chain, rerun)?;
        let claimed = SnapshotRef::new(&chain.dir, SnapshotName::Number(self.high)).read();
        match claimed.and_then(|raw| LoadedState::restore(raw, rerun, SnapshotName::Number(self.high))) {
            Ok(mut claimed) => {
                let mut found = differences(&mut honest, &mut claimed);
                if found.is_empty() {
                    let hashes = [&honest, &claimed].map(|state| stepmark_state::encoding::hex(&state.raw.hash));
                    let [left, right] = hashes;
                    let what = "hash of the .snap, the states being the same".to_owned();
                    found.push(Difference::of_files(what, left, right));
                }
                Ok(found)
            }
            Err(failure) => {
                let claimed = format!("is no state that the program can be in: {}", failure.what());
                let what = format!("{}.snap", self.high);
                Ok(vec![Difference::of_files(what, "a state".to_owned(), claimed)])
            }
        }
    }

    /// The right state, restored beside the chain that the two have in common.
    fn restore(&self, chain: &ChainFiles, rerun: &Rerun) -> Result<LoadedState> {
        let failed = |failure: Failure| {
            Failure::data(format!("{}: snapshot {} cannot be restored", chain.dir.display(), self.low))
                .caused_by(failure)
        };
        LoadedState::from_files(&self.snap, &self.bin, rerun, SnapshotName::Number(self.high)).map_err(failed)
    }
}
