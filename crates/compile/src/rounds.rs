//! What is seen to at the head of an innermost loop for many of its rounds at once: addresses that a round moves by the same distance as
//! every other, or not at all. Whether so many rounds are over, gas tells: each costs something at least. So a round compares its gas
//! with a limit, as it does anyway, and its accesses are neither tested nor marked.

use std::collections::BTreeMap;

use stepmark_core::machine::{DIRTY_SHIFT, MARK_REACH};

use crate::values::{Based, Pending, Sums, ZERO};

/// The most rounds that are seen to at once, and the fewest for which it is worth it.
const MOST_ROUNDS: u64 = 1024;
const LEAST_ROUNDS: u64 = 4;
/// Addresses that are seen to at the head of one loop: it takes time and code for each.
const MOST_ADDRESSES: usize = 16;
/// Tests and marks that it must save in each round: a loop may have few.
const LEAST_SAVED: u32 = 3;
/// Bytes from the first that is marked on whose pages are then marked for certain.
const MARKED: u64 = ((MARK_REACH as u64) << DIRTY_SHIFT) + 1;
/// The most bytes that may be accessed from an address on, and that it may move in the fewest rounds.
const WIDEST: u64 = 1 << 16;
const FARTHEST: u64 = 1 << 16;

/// By how much a round moves an address at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RoundStep {
    /// By so many bytes, upwards or down.
    Bytes(i32),
    /// Upwards by what this local holds.
    Local(u32),
}

/// Bytes from a distance of an address on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AccessSpan {
    pub(crate) low: i64,
    pub(crate) high: i64,
}

impl AccessSpan {
    pub(crate) fn bytes(self) -> u64 {
        (self.high - self.low) as u64
    }

    fn with(self, other: AccessSpan) -> AccessSpan {
        AccessSpan { low: self.low.min(other.low), high: self.high.max(other.high) }
    }
}

/// An address that is a local, or the sum of two of which a round changes one at most, with what is accessed around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Strided {
    pub(crate) local: u32,
    pub(crate) added: Option<u32>,
    pub(crate) step: RoundStep,
    pub(crate) accessed: AccessSpan,
    /// What is stored, if its pages are marked for all rounds.
    pub(crate) stored: Option<AccessSpan>,
}

impl Strided {
    /// Bytes that the address may move after the first round, for the sake of marks; nothing if it may go as far as the memory does.
    pub(crate) fn marked_room(&self) -> Option<u64> {
        self.stored.map(|stored| MARKED.saturating_sub(stored.bytes()))
    }

    /// Rounds that can be seen to at once.
    fn most_rounds(&self) -> u64 {
        match self.step {
            RoundStep::Bytes(0) | RoundStep::Local(_) => MOST_ROUNDS,
            RoundStep::Bytes(step) => 1 + self.marked_room().unwrap_or(FARTHEST) / u64::from(step.unsigned_abs()),
        }
    }
}

/// What is seen to at the head of a loop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rounds {
    pub(crate) addresses: Vec<Strided>,
    /// The most rounds at once.
    pub(crate) most: u64,
    /// What a round costs at least.
    pub(crate) cost: i64,
}

/// An innermost loop while it is walked through.
pub(crate) struct RoundsSeen {
    /// Index of the loop.
    pub(crate) opener: u32,
    /// Constructs that are open in the loop itself.
    pub(crate) depth: usize,
    /// What locals hold at its head.
    heads: Vec<Option<Based>>,
    /// By base, a local that holds it there, and the distance.
    holders: BTreeMap<u32, (u32, u32)>,
    /// By slot, to what a local is set: nothing if it is set twice.
    set: BTreeMap<u32, Option<Based>>,
    /// What every round accesses before it can branch.
    accesses: Vec<Pending>,
    branches: bool,
}

impl RoundsSeen {
    pub(crate) fn new(opener: u32, depth: usize, heads: &[Option<Based>]) -> RoundsSeen {
        let mut holders = BTreeMap::new();
        for (slot, value) in (0..).zip(heads) {
            if let Some(Based { base, distance }) = value {
                holders.entry(*base).or_insert((slot, *distance));
            }
        }
        let (heads, set, accesses) = (heads.to_vec(), BTreeMap::new(), Vec::new());
        RoundsSeen { opener, depth, heads, holders, set, accesses, branches: false }
    }

    pub(crate) fn set(&mut self, slot: u32, value: Based) {
        self.set.entry(slot).and_modify(|before| *before = None).or_insert(Some(value));
    }

    /// A round may branch from here on: what comes behind it may never access.
    pub(crate) fn branch(&mut self) {
        self.branches = true;
    }

    pub(crate) fn access(&mut self, access: Pending) {
        if !self.branches {
            self.accesses.push(access);
        }
    }

    /// What can be seen to at its head if a round costs so much at least.
    pub(crate) fn rounds(&self, sums: &Sums, cost: i64) -> Option<Rounds> {
        let mut addresses: Vec<Strided> = Vec::new();
        for access in &self.accesses {
            let Some(found) = self.strided(access, sums) else { continue };
            let is_same = |other: &Strided| (other.local, other.added) == (found.local, found.added);
            match addresses.iter().position(is_same) {
                Some(place) => join(&mut addresses[place], &found),
                None if addresses.len() < MOST_ADDRESSES => addresses.push(found),
                None => {}
            }
        }
        for address in &mut addresses {
            // A mark stands for pages above it.
            let is_downwards = matches!(address.step, RoundStep::Bytes(step) if step < 0);
            address.stored = address.stored.filter(|stored| !is_downwards && stored.bytes() <= MARKED / 2);
        }
        addresses.retain(|address| address.accessed.bytes() <= WIDEST && address.most_rounds() >= LEAST_ROUNDS);
        let saved: u32 = addresses.iter().map(|address| if address.stored.is_some() { 2 } else { 1 }).sum();
        let most = addresses.iter().map(Strided::most_rounds).min()?.min(MOST_ROUNDS);
        (saved >= LEAST_SAVED).then_some(Rounds { addresses, most, cost })
    }

    fn strided(&self, access: &Pending, sums: &Sums) -> Option<Strided> {
        let Based { base, distance } = access.address;
        let (local, added, held) = match self.holders.get(&base) {
            Some((local, held)) => (*local, None, *held),
            None => {
                let (first, second) = sums.get(&base)?;
                let ((first, held), (second, more)) = (self.holders.get(first)?, self.holders.get(second)?);
                // The one that a round changes comes first.
                let (local, added) = if self.set.contains_key(second) { (second, first) } else { (first, second) };
                (*local, Some(*added), held.wrapping_add(*more))
            }
        };
        if base == ZERO || added.is_some_and(|added| self.set.contains_key(&added)) {
            return None;
        }
        let low = i64::from(distance.wrapping_sub(held).cast_signed());
        let first = low + i64::from(access.offset);
        let last = first + i64::from(access.bytes);
        let stored = access.stores.then_some(AccessSpan { low: first, high: last });
        Some(Strided { local, added, step: self.step(local, sums)?, accessed: AccessSpan { low, high: last }, stored })
    }

    /// By how much a round moves what a local holds.
    fn step(&self, slot: u32, sums: &Sums) -> Option<RoundStep> {
        let Some(set) = self.set.get(&slot) else { return Some(RoundStep::Bytes(0)) };
        let (set, head) = ((*set)?, self.heads[slot as usize]?);
        if set.base == head.base {
            let step = set.distance.wrapping_sub(head.distance).cast_signed();
            return Some(RoundStep::Bytes(step));
        }
        let (first, second) = sums.get(&set.base)?;
        let other = if *first == head.base { second } else { first };
        let (local, held) = self.holders.get(other)?;
        let is_sum = (*first == head.base || *second == head.base) && set.distance == head.distance.wrapping_add(*held);
        (is_sum && other != &head.base && !self.set.contains_key(local)).then_some(RoundStep::Local(*local))
    }
}

fn join(one: &mut Strided, other: &Strided) {
    one.accessed = one.accessed.with(other.accessed);
    one.stored = match (one.stored, other.stored) {
        (Some(one), Some(other)) => Some(one.with(other)),
        (one, other) => one.or(other),
    };
}
