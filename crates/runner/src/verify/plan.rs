//! What there is to verify, and who does which part.

use std::collections::BTreeMap;

use crate::chain::ChainFiles;
use crate::failure::{Failure, Result};
use crate::verify::VerifyOptions;

/// Gas that is executed in the time in which a byte of a `.bin` is restored, about: hashing dominates.
const GAS_PER_BYTE: u64 = 1;

/// Where the last segment of a run ends, by its own account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunEnd {
    /// It stopped at the gas limit: after the last snapshot nothing was executed.
    pub at_limit: bool,
    /// Gas limit of the last segment.
    pub limit: u64,
}

/// A segment: what is executed between two snapshots, or from the last one to the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedSegment {
    /// The snapshot before it, 0 for the start.
    pub from: u64,
    /// The snapshot after it; none for the end of the run.
    pub to: Option<u64>,
    /// Its gas limit.
    pub limit: u64,
    /// Gas that it claims to have used; of the last one not known.
    pub gas: u64,
    /// The run stopped at the limit with the snapshot before this segment: there is only the result to compare.
    pub at_limit: bool,
}

impl PlannedSegment {
    /// What it leads to, in words.
    pub fn target(&self) -> String {
        self.to.map_or_else(|| "the end".to_owned(), |id| id.to_string())
    }
}

/// The segments to be verified, in order.
pub(super) fn segments(chain: &ChainFiles, options: &VerifyOptions) -> Result<Vec<PlannedSegment>> {
    let last = chain.last();
    let (from, to) = (options.from, options.to.unwrap_or(last));
    if from > to || to > last {
        let what = format!("--from {from} --to {to}: the chain has snapshots 1 to {last} (0 is the start)");
        return Err(Failure::usage(what));
    }
    if options.to == Some(from) {
        return Err(Failure::usage(format!("--from {from} --to {from}: there is nothing between to execute")));
    }
    let step = |from: u64, to: u64| {
        let link = chain.links.get(&to);
        let limit = link.map_or(u64::MAX, |link| link.segment.limit);
        let gas = link.map_or(0, |link| link.segment.gas_used);
        PlannedSegment { from, to: Some(to), limit, gas, at_limit: false }
    };
    // A gap can be as wide as file names can be high: it is one segment, which leads to what is after it.
    let mut before = from;
    let mut segments = Vec::new();
    for id in chain.ids().into_iter().filter(|id| (from..to).contains(&id.saturating_sub(1))).chain([to]) {
        if id > before {
            segments.push(step(before, id));
            before = id;
        }
    }
    // Where nothing says how the run ended, nothing is claimed of it.
    if options.to.is_none() && chain.reports.are_there() {
        let end = end(chain);
        segments.push(PlannedSegment { from: last, to: None, limit: end.limit, gas: 0, at_limit: end.at_limit });
    }
    Ok(segments)
}

/// Gas that the segments to be verified claim to take, in a chain that claims so much `gas` at its end.
pub(super) fn claimed_gas(chain: &ChainFiles, gas: u64, options: &VerifyOptions) -> u64 {
    let total = |id: u64| chain.links.get(&id).map(|link| link.gas_total);
    let end = match options.to.and_then(total) {
        Some(end) => end,
        None => chain.links.values().map(|link| link.gas_total).fold(gas, u64::max),
    };
    end.saturating_sub(total(options.from).unwrap_or(0))
}

/// How the run ended, as its receipt says: a claim like everything else, which the execution has to bear out.
pub(super) fn end(chain: &ChainFiles) -> RunEnd {
    // One that cannot be read is a difference once the end is compared.
    let receipt = chain.reports.receipt();
    let at_limit = chain.last() > 0 && receipt["result"]["outcome"] == "gas-limit";
    let last = chain.links.get(&chain.last()).map_or(u64::MAX, |link| link.segment.limit);
    let limit = receipt["run"]["gas_limit"].as_u64().filter(|_| !at_limit);
    RunEnd { at_limit, limit: limit.unwrap_or(last) }
}

/// Shares the segments out among at most `jobs` workers, each a contiguous range, so that all take about the same time:
/// executing costs gas, and restoring the state before the first segment costs a pass over the `.bin` files up to there.
pub(super) fn shares(segments: &[PlannedSegment], chain: &ChainFiles, jobs: usize) -> Vec<Vec<PlannedSegment>> {
    let up_to: BTreeMap<u64, u64> = chain
        .links
        .iter()
        .scan(0u64, |sum, (id, link)| {
            *sum = sum.saturating_add(link.bin_bytes);
            Some((*id, *sum))
        })
        .collect();
    let restore = |id: u64| {
        let bytes = up_to.range(..=id).next_back().map_or(0, |(_, bytes)| *bytes);
        bytes.saturating_mul(GAS_PER_BYTE)
    };
    let base = chain.base.map_or(0, |(id, _)| id);
    // From a snapshot that was merged away nothing can start.
    let may_start = |segment: &PlannedSegment| segment.from == 0 || segment.from >= base;
    let split = |most: u64| {
        let mut shares: Vec<(u64, Vec<PlannedSegment>)> = Vec::new();
        for segment in segments {
            let cost = segment.gas.max(1);
            match shares.last_mut() {
                Some((sum, share)) if sum.saturating_add(cost) <= most || !may_start(segment) => {
                    *sum = sum.saturating_add(cost);
                    share.push(segment.clone());
                }
                _ => shares.push((restore(segment.from).saturating_add(cost), vec![segment.clone()])),
            }
        }
        shares
    };
    // The least bound that the workers can keep.
    let (mut low, mut high) = (1, u64::MAX);
    while low < high {
        let middle = low.midpoint(high);
        if split(middle).len() <= jobs.max(1) { high = middle } else { low = middle.saturating_add(1) }
    }
    split(high).into_iter().map(|(_, share)| share).collect()
}
