//! What comes from outside: answers to calls of functions that the embedder serves, and what its key-value store holds. The
//! run asks a [`ExternalCall`] and waits; the embedder gives an [`ExternalReply`]. Answers are the one thing about a run that its job
//! does not decide, so each is recorded with its segment (`{id}.calls`), and the state holds a running hash of all of them:
//! who has the records needs neither the embedder nor the store to execute a segment again.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation
    )
)]

use serde::{Deserialize, Serialize};

use stepmark_core::module::{FuncType, ValType};
use stepmark_snapshot::job::JobFunction;
use stepmark_snapshot::{FileKind, PREFIX_LEN, Prefix};
use stepmark_state::error::JobError;
use stepmark_state::host_type::HostType;

/// Name under which the state of this module stands in a snapshot.
pub const MODULE: &str = "outside";

/// Context string of the running hash of answers (BLAKE3's key derivation mode).
pub const ANSWERS_DOMAIN: &str = "guest-interp 2026 answers v1";

/// Bytes of a key, at most.
pub const MAX_KEY: usize = 64 << 10;
/// Bytes of a value, at most.
pub const MAX_VALUE: usize = 16 << 20;
/// Bytes at the end of a `.calls` file: BLAKE3 of all before.
const CHECKSUM_LEN: usize = 32;

/// What a run waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExternalCall {
    /// A function of the embedder's is called.
    Call {
        /// Module that it is imported from.
        module: String,
        /// Its name there.
        name: String,
        /// Arguments as bit patterns; a vector's take two.
        args: Vec<u64>,
        /// Gas that the function may charge: what the segment has left, less the call's own cost.
        remaining: u64,
    },
    /// What the store holds for a key.
    Get {
        /// The key.
        key: Vec<u8>,
    },
    /// The first entry of the store in a range of keys.
    Next {
        /// The least key.
        from: Vec<u8>,
        /// The first key beyond the range, if it has an end.
        limit: Option<Vec<u8>>,
    },
}

/// Gas that a function of the embedder's charges, and for what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    /// For what.
    pub descriptor: String,
    /// How much.
    pub amount: u64,
}

/// What the store holds for a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versioned {
    /// Version of the store at which it was written, from 1.
    pub version: u64,
    /// The value.
    pub value: Vec<u8>,
}

/// What the embedder answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExternalReply {
    /// The function returned.
    Returned {
        /// Results as bit patterns.
        results: Vec<u64>,
        /// What it writes to the caller's memory, in order: address and bytes.
        writes: Vec<(u64, Vec<u8>)>,
        /// What it charges beside the call.
        charges: Vec<Charge>,
        /// Gas that it gives back to the segment.
        refund: u64,
    },
    /// The function refused: the program traps.
    Failed {
        /// Why.
        message: String,
        /// What it charged before.
        charges: Vec<Charge>,
    },
    /// The function wanted to charge more than remains: the segment ends before the call.
    Unpaid {
        /// All that it wanted to charge so far.
        need: u64,
    },
    /// What [`ExternalCall::Get`] asked for.
    Value(Option<Versioned>),
    /// What [`ExternalCall::Next`] asked for.
    Entry(Option<(Vec<u8>, Versioned)>),
}

/// Sum of charges.
pub fn total(charges: &[Charge]) -> u64 {
    charges.iter().fold(0, |sum, charge| sum.saturating_add(charge.amount))
}

/// Whether `answer` can follow `question`; `results` are the types of the function that was called.
///
/// # Errors
/// A usage error that says what was expected.
pub fn check(question: &ExternalCall, answer: &ExternalReply, results: &[HostType]) -> Result<(), JobError> {
    let wrong = |message: &str| Err(JobError::usage(format!("answer: {message}")));
    match (question, answer) {
        (ExternalCall::Call { .. }, ExternalReply::Returned { results: found, .. }) => {
            let fits = |(value, ty): (&u64, &HostType)| {
                matches!(ty, HostType::I64 | HostType::F64) || u32::try_from(*value).is_ok()
            };
            if found.len() == results.len() && found.iter().zip(results).all(fits) {
                return Ok(());
            }
            wrong("the results are not of the function's types")
        }
        (ExternalCall::Call { .. }, ExternalReply::Failed { .. }) => Ok(()),
        (ExternalCall::Call { remaining, .. }, ExternalReply::Unpaid { need }) if need > remaining => Ok(()),
        (ExternalCall::Call { .. }, ExternalReply::Unpaid { .. }) => wrong("what the function charges can be paid"),
        (ExternalCall::Get { .. }, ExternalReply::Value(found)) => found.as_ref().map_or(Ok(()), check_value),
        (ExternalCall::Next { .. }, ExternalReply::Entry(None)) => Ok(()),
        (ExternalCall::Next { from, limit }, ExternalReply::Entry(Some((key, value)))) => {
            if key < from || limit.as_ref().is_some_and(|limit| key >= limit) || key.len() > MAX_KEY {
                return wrong("the key is outside the range that was asked for");
            }
            check_value(value)
        }
        _ => wrong("it is of another kind than the question"),
    }
}

fn check_value(value: &Versioned) -> Result<(), JobError> {
    if value.version == 0 {
        return Err(JobError::usage("answer: version 0, expected 1 or more"));
    }
    if value.value.len() > MAX_VALUE {
        return Err(JobError::usage(format!("answer: a value of {} bytes, at most {MAX_VALUE}", value.value.len())));
    }
    Ok(())
}

/// Answers so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExternalReplies {
    saved: SavedReplies,
    /// Answers of this segment.
    recorded: Vec<ExternalReply>,
}

/// The part of the state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct SavedReplies {
    /// How many answers there were.
    count: u64,
    /// Each answer's hash with that of all before.
    hash: [u8; 32],
    /// The hash of all answers before the first one of this segment.
    before: [u8; 32],
    /// Gas that was given back.
    refunded: u64,
    /// An answer that is there and not paid for yet.
    pending: Option<ExternalReply>,
}

impl ExternalReplies {
    /// Takes an answer, which waits to be used.
    pub fn take(&mut self, answer: ExternalReply) {
        self.saved.count = self.saved.count.saturating_add(1);
        self.saved.hash = chain(&self.saved.hash, &answer);
        self.saved.pending = Some(answer.clone());
        self.recorded.push(answer);
    }

    /// The answer that waits to be used.
    pub fn pending(&self) -> Option<&ExternalReply> {
        self.saved.pending.as_ref()
    }

    /// The answer has been used.
    pub fn used(&mut self) {
        self.saved.pending = None;
    }

    /// Counts gas that was given back.
    pub fn refund(&mut self, gas: u64) {
        self.saved.refunded = self.saved.refunded.saturating_add(gas);
    }

    /// Gas that was given back since the start of the run.
    pub fn refunded(&self) -> u64 {
        self.saved.refunded
    }

    /// Answers in this segment.
    pub fn in_segment(&self) -> u64 {
        self.recorded.len() as u64
    }

    /// Answers since the start of the run.
    pub fn count(&self) -> u64 {
        self.saved.count
    }

    /// The `.calls` file of this segment, which begins with `prefix`'s id and job.
    pub fn calls(&self, prefix: &Prefix) -> Vec<u8> {
        encode_calls(prefix, &self.recorded)
    }

    /// Whether every answer so far is of a segment that is complete.
    pub fn is_between_segments(&self) -> bool {
        self.saved.before == self.saved.hash
    }

    /// The segment is complete.
    pub fn next_segment(&mut self) {
        self.saved.before = self.saved.hash;
        self.recorded.clear();
    }

    /// The state, canonical.
    pub fn save(&self) -> Vec<u8> {
        let encoded = postcard::to_allocvec(&self.saved);
        encoded.unwrap_or_else(|_| unreachable!("BUG: encoding to a vector has no way to fail"))
    }

    /// Replaces the state by a saved one, at the beginning of a segment.
    pub fn restore(&mut self, bytes: &[u8]) -> Result<(), JobError> {
        let saved: SavedReplies = whole(bytes).ok_or_else(|| JobError::snapshot("state: outside: malformed"))?;
        *self = Self { saved, recorded: Vec::new() };
        Ok(())
    }

    /// Puts back the answers of the segment so far, which a pause wrote.
    ///
    /// # Errors
    /// They are not those that the state commits to.
    pub fn resume_segment(&mut self, answers: Vec<ExternalReply>) -> Result<(), JobError> {
        if answers.iter().fold(self.saved.before, |hash, answer| chain(&hash, answer)) != self.saved.hash {
            return Err(JobError::snapshot("the answers are not those that the .snap commits to"));
        }
        self.recorded = answers;
        Ok(())
    }
}

/// The running hash after one more answer.
fn chain(hash: &[u8; 32], answer: &ExternalReply) -> [u8; 32] {
    stepmark_state::encoding::hash_encoded(ANSWERS_DOMAIN, &(hash, answer))
}

/// The value that `bytes` are the canonical encoding of.
pub(crate) fn whole<T: serde::de::DeserializeOwned + Serialize>(bytes: &[u8]) -> Option<T> {
    let (value, rest) = postcard::take_from_bytes::<T>(bytes).ok()?;
    let canonical = rest.is_empty() && postcard::to_allocvec(&value).ok().is_some_and(|again| again == bytes);
    canonical.then_some(value)
}

/// The bytes of a `.calls` file: prefix, answers, checksum.
fn encode_calls(prefix: &Prefix, answers: &[ExternalReply]) -> Vec<u8> {
    let mut bytes = prefix.encode().to_vec();
    let encoded = postcard::to_allocvec(answers);
    bytes.extend(encoded.unwrap_or_else(|_| unreachable!("BUG: encoding to a vector has no way to fail")));
    let checksum = *blake3::hash(&bytes).as_bytes();
    bytes.extend_from_slice(&checksum);
    bytes
}

/// The answers in a `.calls` file, and whose they are.
///
/// # Errors
/// It is damaged, or no such file.
pub fn decode_calls(bytes: &[u8]) -> Result<(Prefix, Vec<ExternalReply>), JobError> {
    let prefix = Prefix::decode(bytes)?;
    if prefix.file != FileKind::Calls {
        return Err(JobError::snapshot("is no .calls file"));
    }
    let damaged = || JobError::snapshot("damaged: the checksum at its end is not that of its contents");
    let end = bytes.len().checked_sub(CHECKSUM_LEN).ok_or_else(damaged)?;
    let (contents, checksum) = bytes.split_at_checked(end).ok_or_else(damaged)?;
    if blake3::hash(contents).as_bytes() != checksum {
        return Err(damaged());
    }
    let answers = contents.get(PREFIX_LEN..).and_then(whole);
    let answers = answers.ok_or_else(|| JobError::snapshot("malformed answers"))?;
    Ok((prefix, answers))
}

/// The type of a function that the job declares.
pub fn func_type(function: &JobFunction) -> FuncType {
    let types = |list: &[HostType]| list.iter().map(|ty| ValType::from(*ty)).collect();
    FuncType { params: types(&function.params), results: types(&function.results) }
}
