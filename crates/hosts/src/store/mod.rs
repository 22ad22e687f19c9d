//! The key-value store of contracts: what the program reads of it is asked of the outside once and kept, what it writes stays
//! with the run until somebody commits it. Everything is in the state: read values and writes as a log in pages, so that a
//! snapshot costs what was added; open iterators and the calls of contracts beside it. docs/store.md has the guest's side.
//!
//! A call first says what it lacks (`Store::plan`): an answer from outside, or only gas for the bytes that it moves. Then
//! it is charged, then performed. So nothing happens that has not been paid, and what was learnt from outside is kept over a
//! snapshot that comes between.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation
    )
)]

mod calls;
mod export;
mod iterate;
mod keys;
mod log;
mod rwset;
mod spaces;
#[cfg(test)]
mod tests;

pub use calls::{Called, Needs, function_names};
pub use export::StoreExport;
pub use rwset::{RangeRead, ReadWriteSet};

use serde::{Deserialize, Serialize};

use crate::external::whole;
use iterate::Iterating;
use keys::{KeyStates, shown};
use log::Log;
use stepmark_state::error::JobError;

/// Name under which the state of this module stands in a snapshot.
pub const MODULE: &str = "store";

/// Iterators that may be open at a time.
pub const MAX_ITERATORS: usize = 1024;
/// Bytes that the keys of all open iterators may take: they are in every snapshot.
pub const MAX_ITERATOR_BYTES: u64 = 64 << 20;
/// Calls of contracts that may be nested, the outermost included.
pub const MAX_INVOCATIONS: usize = 32;

/// One call of a contract.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContractCall {
    /// Number of the contract among those of the job; none for the program itself.
    pub contract: Option<u32>,
    /// What it is called with.
    pub args: Vec<u8>,
    /// Who calls it: a contract's name, or what the job says.
    pub caller: String,
    /// What it has set as its result.
    pub result: Vec<u8>,
    /// Gas that it may still use.
    pub gas_left: u64,
    /// Its `_initialize` is running.
    pub initializing: bool,
    /// Frames of its call stack, while another contract runs that it has called.
    pub frames: u32,
    /// Writes that had been made before it.
    pub writes_before: u64,
    /// Iterators that had been opened before it.
    pub iterators_before: u64,
    /// Number of its first memory and table among the spaces.
    pub first_spaces: (u32, u32),
}

/// The store as one run sees it.
#[derive(Clone, Debug, Default)]
pub struct KvView {
    version: Option<u64>,
    max_bytes: u64,
    log: Log,
    keys: KeyStates,
    iterators: Vec<Option<Iterating>>,
    /// Bytes of the keys of open iterators.
    iterator_bytes: u64,
    /// The calls of contracts, outermost first.
    invocations: Vec<ContractCall>,
    /// Result of the last contract that was called and has returned.
    last_result: Vec<u8>,
    /// Numbers of the next memory and table among the spaces, as of a state that was restored.
    next_spaces: (u32, u32),
}

/// The part of the state that is not in pages.
#[derive(Serialize, Deserialize)]
struct SavedStore {
    log: u64,
    iterators: Vec<Option<Iterating>>,
    invocations: Vec<ContractCall>,
    last_result: Vec<u8>,
    next_spaces: (u32, u32),
}

impl KvView {
    /// The store at `version`, none for a program without one; the log and what is held of it may take `max_bytes`.
    pub fn new(version: Option<u64>, max_bytes: u64, outermost: ContractCall) -> Self {
        Self { version, max_bytes, invocations: vec![outermost], ..Self::default() }
    }

    /// Whether the program has a store.
    pub fn is_open(&self) -> bool {
        self.version.is_some()
    }

    /// The calls of contracts, outermost first.
    pub fn invocations(&self) -> &[ContractCall] {
        &self.invocations
    }

    /// The calls of contracts, to be changed by who runs them.
    pub fn invocations_mut(&mut self) -> &mut Vec<ContractCall> {
        &mut self.invocations
    }

    /// The contract that runs.
    pub fn current(&mut self) -> &mut ContractCall {
        if self.invocations.is_empty() {
            self.invocations.push(ContractCall::default());
        }
        self.invocations.last_mut().unwrap_or_else(|| unreachable!("BUG: there is an invocation"))
    }

    /// What the outermost contract has set as its result.
    pub fn result(&self) -> &[u8] {
        self.invocations.first().map_or(&[], |invocation| &invocation.result)
    }

    /// Begins a call of a contract.
    pub fn enter(&mut self, invocation: ContractCall) {
        let (writes_before, iterators_before) = (self.keys.writes(), self.iterators.len() as u64);
        self.invocations.push(ContractCall { writes_before, iterators_before, ..invocation });
    }

    /// Ends the innermost call of a contract; if it has failed, nothing that it wrote is left.
    ///
    /// # Errors
    /// The log is full.
    pub fn leave(&mut self, failed: bool) -> Result<(), String> {
        let Some(ended) = self.invocations.pop() else { return Ok(()) };
        let opened = usize::try_from(ended.iterators_before).unwrap_or(usize::MAX);
        for handle in opened..self.iterators.len() {
            self.close(handle)?;
        }
        self.iterators.truncate(opened);
        if failed {
            self.undo(ended.writes_before)?;
        }
        self.last_result = if failed { Vec::new() } else { ended.result };
        Ok(())
    }

    /// Where writes and iterators stand, to go back to.
    pub fn position(&self) -> (u64, u64) {
        (self.keys.writes(), self.iterators.len() as u64)
    }

    /// Ends all calls of contracts and undoes all writes since `position`, as the end of a call that has failed.
    ///
    /// # Errors
    /// The log is full.
    pub fn go_back(&mut self, position: (u64, u64)) -> Result<(), String> {
        self.invocations.truncate(1);
        let ended = ContractCall { writes_before: position.0, iterators_before: position.1, ..ContractCall::default() };
        self.invocations.push(ended);
        self.leave(true)
    }

    /// Numbers of the next memory and table among the spaces, as of the state that was restored.
    pub fn next_spaces(&self) -> (u32, u32) {
        self.next_spaces
    }

    /// There is no result of a contract that was called last.
    pub fn forget_result(&mut self) {
        self.last_result.clear();
    }

    /// The part of the state that is not in pages; `next_spaces` are the numbers of the next memory and table.
    pub fn save(&self, next_spaces: (u32, u32)) -> Vec<u8> {
        let saved = SavedStore {
            log: self.log.len() as u64,
            iterators: self.iterators.clone(),
            invocations: self.invocations.clone(),
            last_result: self.last_result.clone(),
            next_spaces,
        };
        let encoded = postcard::to_allocvec(&saved);
        encoded.unwrap_or_else(|_| unreachable!("BUG: encoding to a vector has no way to fail"))
    }

    /// Replaces the state by a saved one, but for the log, whose pages come next; then [`rebuild`](Self::rebuild).
    ///
    /// # Errors
    /// It is malformed, or beyond the job's limits.
    pub fn restore(&mut self, bytes: &[u8]) -> Result<(), JobError> {
        let malformed = |what: &str| JobError::snapshot(format!("state: store: {what}"));
        let saved: SavedStore = whole(bytes).ok_or_else(|| malformed("malformed"))?;
        if saved.log > self.max_bytes {
            return Err(malformed("the log is longer than the job allows"));
        }
        if saved.iterators.len() > MAX_ITERATORS {
            return Err(malformed("too many iterators"));
        }
        if !(1..=MAX_INVOCATIONS).contains(&saved.invocations.len()) {
            return Err(malformed("the number of invocations is impossible"));
        }
        self.log = Log::zeroed(saved.log).map_err(|()| JobError::resource("Stepmark cannot hold the store's log"))?;
        self.iterators = saved.iterators;
        self.iterator_bytes = self.count_iterator_bytes();
        if self.iterator_bytes > MAX_ITERATOR_BYTES {
            return Err(malformed("open iterators hold too many bytes"));
        }
        self.invocations = saved.invocations;
        self.last_result = saved.last_result;
        self.next_spaces = saved.next_spaces;
        Ok(())
    }
}
