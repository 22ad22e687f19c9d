//! Two chains of one job: the first snapshot where they part is found by its hash, and the segment before it is executed to
//! see which chain is right. A `.snap` names its predecessor's hash, so chains that part once stay apart: a binary search
//! finds the place.

use crate::chain::Chain;
use crate::engine::{Budget, Engine, Event, Node};
use crate::failure::{Failure, Result};
use crate::interrupt::Stop;
use crate::job_files::Rerun;
use crate::outside::{self, Replay};
use crate::place::Place;
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
    /// The same of B.
    pub b: Vec<Difference>,
}

/// Finds where two chains part; none if they are the same as far as the shorter one goes.
///
/// # Errors
/// Exit code 65 when they are of different jobs, or cannot be compared.
pub fn part(a: &Chain, b: &Chain, rerun: [&Rerun; 2], engine: Engine) -> Result<Option<Parting>> {
    if a.job != b.job {
        return Err(Failure::data("the chains are of different jobs: there is nothing to decide"));
    }
    let hash = |chain: &Chain, id: u64| -> Result<[u8; 32]> {
        let link = chain.links.get(&id).map(|link| link.hash);
        link.ok_or_else(|| Failure::data(format!("{}: {id}.snap is missing or damaged", chain.dir.display())))
    };
    let last = a.last().min(b.last());
    let mut questions = 0;
    // The same at `low`, different at `high`.
    let (mut low, mut high) = (0, last.saturating_add(1));
    while high.saturating_sub(low) > 1 {
        let middle = low.midpoint(high);
        questions += 1;
        if hash(a, middle)? == hash(b, middle)? { low = middle } else { high = middle }
    }
    if high > last {
        return Ok(None);
    }
    let limits = [a, b].map(|chain| chain.links.get(&high).map(|link| link.segment.limit));
    if limits[0] != limits[1] {
        let what = format!("segment {low} -> {high} ran under two gas limits, {limits:?}: both chains can be right");
        return Err(Failure::data(what));
    }
    let (snap, bin) = execute(rerun[0], low, limits[0].unwrap_or(u64::MAX), engine)?;
    let raw = guest_interp::snapshot::snap::decode(&snap)?;
    let is_right = |chain: &Chain| hash(chain, high).map(|hash| hash == raw.hash);
    let right = match (is_right(a)?, is_right(b)?) {
        (true, _) => Some(Side::A),
        (_, true) => Some(Side::B),
        _ => None,
    };
    let honest = Honest { snap: &snap, bin: &bin, low, high };
    let claims = |side, chain: &Chain, rerun: &Rerun| match right == Some(side) {
        true => Ok(Vec::new()),
        false => honest.against(chain, rerun),
    };
    let (of_a, of_b) = (claims(Side::A, a, rerun[0])?, claims(Side::B, b, rerun[1])?);
    Ok(Some(Parting { id: high, questions, right, snap_hash: raw.hash, a: of_a, b: of_b }))
}

/// Executes the segment after snapshot `id` of a chain; the `.snap` and `.bin` that it leads to.
pub(super) fn execute(rerun: &Rerun, id: u64, limit: u64, engine: Engine) -> Result<(Vec<u8>, Vec<u8>)> {
    let mut node = engine.start()?;
    let argv = rerun.from(id, limit, true);
    node.load(&argv)?;
    rerun.supply().feed(node.as_mut(), &Stop::new())?;
    let mut replay = Replay::new(rerun.dir());
    loop {
        match outside::run(node.as_mut(), Budget::UNLIMITED, &mut replay)? {
            Event::Snapshot(_) => return take_snapshot(node.as_mut()),
            Event::Finished => {
                return Err(Failure::data(format!(
                    "the program ends in the segment after snapshot {id}: neither chain is right"
                )));
            }
            Event::Paused | Event::Output | Event::Question => node.drop_output()?,
        }
    }
}

/// The `.snap` and `.bin` that a node has ready.
pub(super) fn take_snapshot(node: &mut dyn Node) -> Result<(Vec<u8>, Vec<u8>)> {
    let (mut snap, mut bin) = (Vec::new(), Vec::new());
    while let Some(name) = node.take_name()? {
        let mut all = node.take_all()?;
        if name.ends_with(".snap") {
            snap.append(&mut all);
        } else if name.ends_with(".bin") {
            bin.append(&mut all);
        }
    }
    Ok((snap, bin))
}

/// What an execution came to.
struct Honest<'a> {
    snap: &'a [u8],
    bin: &'a [u8],
    low: u64,
    high: u64,
}

impl Honest<'_> {
    /// How the state that a chain claims differs from this one.
    fn against(&self, chain: &Chain, rerun: &Rerun) -> Result<Vec<Difference>> {
        let mut honest = self.restore(chain, rerun)?;
        let claimed = Place::new(&chain.dir, self.high.to_string()).read();
        match claimed.and_then(|raw| LoadedState::restore(raw, rerun, &self.high.to_string())) {
            Ok(mut claimed) => {
                let mut found = differences(&mut honest, &mut claimed);
                if found.is_empty() {
                    let hashes = [&honest, &claimed].map(|state| guest_interp::snapshot::hex(&state.raw.hash));
                    let [left, right] = hashes;
                    found.push(Difference {
                        what: "hash of the .snap, the states being the same".to_owned(),
                        left,
                        right,
                    });
                }
                Ok(found)
            }
            Err(failure) => Ok(vec![Difference {
                what: format!("{}.snap", self.high),
                left: "a state".to_owned(),
                right: format!("is no state that the program can be in: {}", failure.what()),
            }]),
        }
    }

    /// The right state, restored beside the chain that the two have in common.
    fn restore(&self, chain: &Chain, rerun: &Rerun) -> Result<LoadedState> {
        let failed = |failure: Failure| {
            Failure::data(format!("{}: snapshot {} cannot be restored", chain.dir.display(), self.low))
                .caused_by(failure)
        };
        LoadedState::from_files(self.snap, self.bin, rerun, &self.high.to_string()).map_err(failed)
    }
}
