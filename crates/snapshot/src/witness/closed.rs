//! When a witness is *closed*: whoever executes from it computes with the state that its `.snap` commits to, or is told that
//! something is missing. Of every space of the state each page is then
//!
//! - here, with contents from which (and from the subtrees beside them) the root in the `.snap` follows; or
//! - beyond the end of the space, where everything is zero, and so is every subtree that lies there; or
//! - in a memory, below a subtree of which only the hash is here: touching it is an error, found by who executes (see
//!   [`ClosedWitness::touchable`]).
//!
//! Only memories are recorded by page. Tables, files and whatever else has a space are read without anybody being told
//! (a call through a table, a file that is hashed at the end, a collection of exceptions), so they are here whole. What has
//! no space is in the `.snap` itself, or in the job's files, whose hashes it names. Answers from outside are in neither, so a
//! job that asks for any has no witness.
//!
//! The type [`ClosedWitness`] is made by this check and nowhere else, and a run begins from nothing else.

use std::collections::BTreeSet;

use crate::job::Job;
use crate::snap::RawSnapshot;
use crate::witness::{SpacePages, Witness, contents};
use stepmark_state::canonical::SpaceState;
use stepmark_state::error::JobError;
use stepmark_state::limits::WASM_PAGE;
use stepmark_state::merkle::{PageTree, page_hash, root_of, siblings, subtree};
use stepmark_state::pages::SpaceId;
use stepmark_state::pages::{PAGE, SPACE_MEMORY};

/// Bytes of a page.
const PAGE_BYTES: u64 = PAGE as u64;
/// Pages in one of 64 KiB, by which memories grow.
const GROWTH_PAGES: u64 = WASM_PAGE / PAGE_BYTES;

/// Whether every access to the pages of such a space is seen before it is made, so that some may be missing.
pub fn is_recorded_by_page(kind: u8) -> bool {
    kind == SPACE_MEMORY
}

/// Refuses a job that asks for answers from outside.
///
/// # Errors
/// A usage error that says what it asks.
pub fn refuse_answers(job: &Job) -> Result<(), JobError> {
    let asks = [
        (job.store.is_some(), "a key-value store"),
        (!job.functions.is_empty(), "functions of the embedder's"),
        (!job.contracts.is_empty(), "contracts"),
    ];
    match asks.into_iter().find(|(asks, _)| *asks) {
        None => Ok(()),
        Some((_, what)) => {
            Err(JobError::usage(format!("witness: the job has {what}: there is no witness of answers from outside")))
        }
    }
}

/// Pages of 4 KiB that memories can have, as the job's limit of all of them together allows.
#[derive(Clone, Copy, Debug)]
pub struct Growth {
    total: u64,
    limit: u64,
}

impl Growth {
    /// From the sizes in a snapshot and the limit of its job.
    pub fn new(snapshot: &RawSnapshot) -> Growth {
        let memories = snapshot.state.spaces.iter().filter(|space| space.kind == SPACE_MEMORY);
        let total = memories.fold(0, |sum: u64, space| sum.saturating_add(space.pages));
        Growth { total, limit: snapshot.job.limits.memory_bytes / PAGE_BYTES }
    }

    /// The most that a memory of `pages` can grow to; whole pages of 64 KiB.
    pub fn most(self, pages: u64) -> u64 {
        let room = self.limit.saturating_sub(self.total) / GROWTH_PAGES;
        pages.saturating_add(room.saturating_mul(GROWTH_PAGES))
    }
}

/// A witness that is closed. Made by [`Witness::close`] only.
#[derive(Clone, Copy, Debug)]
pub struct ClosedWitness<'a> {
    witness: &'a Witness,
}

impl Witness {
    /// Checks that it is closed. Nothing is allocated that the file did not have bytes for.
    ///
    /// # Errors
    /// A snapshot error that names the space, and the page that is missing or superfluous; a usage error for a job with
    /// answers from outside.
    pub fn close(&self) -> Result<ClosedWitness<'_>, JobError> {
        refuse_answers(&self.snapshot.job)?;
        let state = &self.snapshot.state;
        if state.awaiting {
            return Err(JobError::snapshot("witness: the state waits for an answer from outside"));
        }
        let spaces: BTreeSet<SpaceId> = state.spaces.iter().map(|space| space.id()).collect();
        if let Some(other) = self.pages.keys().chain(self.hashes.keys()).find(|number| !spaces.contains(number)) {
            return Err(JobError::snapshot(format!("witness: {} is not in the state", *other)));
        }
        let growth = Growth::new(&self.snapshot);
        state.spaces.iter().try_for_each(|space| self.close_space(space, growth))?;
        Ok(ClosedWitness { witness: self })
    }

    /// Pages of a space by index, with their hashes.
    fn leaves(&self, number: SpaceId) -> Vec<(u64, [u8; 32])> {
        let pages = self.pages.get(&number).into_iter().flatten();
        pages.map(|(index, page)| (*index, page_hash(contents(page)))).collect()
    }

    fn close_space(&self, space: &SpaceState, growth: Growth) -> Result<(), JobError> {
        let number = space.id();
        let name = number;
        let refused = |why: String| JobError::snapshot(format!("witness: {why}"));
        let none = SpacePages::new();
        let pages = self.pages.get(&number).unwrap_or(&none);
        let most = if is_recorded_by_page(space.kind) { growth.most(space.pages) } else { space.pages };
        for (index, page) in pages.range(space.pages..) {
            if *index >= most {
                return Err(refused(format!(
                    "{name} has {} pages and at most {most}: there is no page {index}",
                    space.pages
                )));
            }
            if page.is_some() {
                return Err(refused(format!(
                    "page {index} of {name} is beyond its end, at page {}, and not zero",
                    space.pages
                )));
            }
        }
        let hashes = self.hashes.get(&number).ok_or_else(|| refused(format!("the hashes of {name} are not there")))?;
        if root_of(&self.leaves(number), hashes) != Some(space.root) {
            return Err(refused(format!("the contents of {name} do not have the root that the .snap commits to")));
        }
        let indices: Vec<u64> = pages.keys().copied().collect();
        for ((level, index), hash) in siblings(&indices).into_iter().zip(hashes) {
            let first = index << level;
            if first >= space.pages {
                if *hash != subtree(level) {
                    return Err(refused(format!("{name} is not zero beyond its end, at page {}", space.pages)));
                }
            } else if !is_recorded_by_page(space.kind) {
                return Err(refused(format!(
                    "page {first} of {name} is not there, expected all {} of it",
                    space.pages
                )));
            }
        }
        Ok(())
    }
}

impl<'a> ClosedWitness<'a> {
    /// The snapshot that the segment starts from.
    pub fn snapshot(&self) -> &'a RawSnapshot {
        &self.witness.snapshot
    }

    /// Its bytes.
    pub fn snap(&self) -> &'a [u8] {
        &self.witness.snap
    }

    /// The spaces, with their sizes in pages, ascending.
    pub fn spaces(&self) -> impl Iterator<Item = (SpaceId, u64)> + '_ {
        self.witness.snapshot.state.spaces.iter().map(|space| (space.id(), space.pages))
    }

    /// The pages of a space that are here, those beyond its end too.
    pub fn pages(&self, number: SpaceId) -> impl Iterator<Item = (u64, &'a Option<Box<[u8; PAGE]>>)> {
        self.witness.pages.get(&number).into_iter().flatten().map(|(index, page)| (*index, page))
    }

    /// The Merkle tree of a space of `count` pages, as far as it is known.
    pub fn tree(&self, number: SpaceId, count: u64) -> PageTree {
        let beside = self.witness.hashes.get(&number).map(Vec::as_slice).unwrap_or_default();
        PageTree::of_some(&self.witness.leaves(number), beside, count)
    }

    /// Checks the pages beyond the end of a memory against its type: it grows to `most` pages of 64 KiB.
    ///
    /// # Errors
    /// A snapshot error that names a page which there will never be.
    pub fn check_growth(&self, memory: u32, most: u64) -> Result<(), JobError> {
        let most = most.saturating_mul(GROWTH_PAGES);
        match self.pages(SpaceId::new(SPACE_MEMORY, memory)).last().filter(|(index, _)| *index >= most) {
            None => Ok(()),
            Some((index, _)) => Err(JobError::snapshot(format!(
                "witness: memory {memory} grows to {most} pages: there is no page {index}"
            ))),
        }
    }

    /// The pages of memories that are here, by store address of the memory, which `address` gives: an execution may touch no others.
    pub fn touchable(&self, address: impl Fn(u32) -> u32) -> BTreeSet<(u32, u64)> {
        let memories = self.witness.pages.iter().filter(|(space, _)| is_recorded_by_page(space.kind));
        let pages = memories.flat_map(|(memory, pages)| {
            let address = address(memory.index);
            pages.keys().map(move |page| (address, *page))
        });
        pages.collect()
    }
}
