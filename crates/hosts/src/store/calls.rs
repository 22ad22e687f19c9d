//! The functions that contracts import: `env` as a known family of contracts has it, `store` with iterators, `contract` for
//! arguments, results and calls of other contracts. One table, and for each function what it moves and what it does.

use super::KvView;
use super::iterate::Following;
use crate::HostFunc;
use crate::external::{ExternalCall, ExternalReply, MAX_KEY, MAX_VALUE};
use stepmark_core::host::{GuestMemory, GuestMemoryExt, Paid, Steps, Work};
use stepmark_state::host_type::HostType;
use stepmark_state::host_type::HostType::{I32, I64};

/// A function, numbered by its row in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StoreFunction {
    Read,
    Write,
    Delete,
    Debug,
    Get,
    Iterate,
    Next,
    Close,
    Args,
    Caller,
    SetResult,
    Call,
    Result,
}

/// Module, name, parameters and results.
type StoreRow = (StoreFunction, &'static str, &'static str, &'static [HostType], &'static [HostType]);

const ROWS: [StoreRow; 15] = [
    (StoreFunction::Read, "env", "qlcchain_storage_read", &[I32, I32, I32, I32, I32], &[I32]),
    (StoreFunction::Write, "env", "qlcchain_storage_write", &[I32, I32, I32, I32], &[]),
    (StoreFunction::Delete, "env", "qlcchain_storage_delete", &[I32, I32], &[]),
    (StoreFunction::Debug, "env", "qlcchain_debug", &[I32, I32], &[]),
    (StoreFunction::Get, "store", "get", &[I32, I32, I32, I32], &[I64]),
    (StoreFunction::Write, "store", "put", &[I32, I32, I32, I32], &[]),
    (StoreFunction::Delete, "store", "delete", &[I32, I32], &[]),
    (StoreFunction::Iterate, "store", "iterate", &[I32, I32, I32, I32], &[I32]),
    (StoreFunction::Next, "store", "next", &[I32, I32, I32, I32, I32], &[I64]),
    (StoreFunction::Close, "store", "close", &[I32], &[]),
    (StoreFunction::Args, "contract", "args", &[I32, I32, I32], &[I32]),
    (StoreFunction::Caller, "contract", "caller", &[I32, I32, I32], &[I32]),
    (StoreFunction::SetResult, "contract", "set_result", &[I32, I32], &[]),
    (StoreFunction::Call, "contract", "call", &[I32, I32, I32, I32, I64], &[I32]),
    (StoreFunction::Result, "contract", "result", &[I32, I32, I32], &[I32]),
];

/// The names of all functions, some of them twice: of several modules.
pub fn function_names() -> impl Iterator<Item = &'static str> {
    ROWS.iter().map(|row| row.2)
}

/// Bytes that looking at a key of the program's own counts as.
const LOOK: u64 = 16;
/// Places for iterators that a step of looking for a free one passes.
const PLACES: u64 = 16;
/// Length that stands for no limit.
const NO_LIMIT: u64 = u32::MAX as u64;
/// Steps that an iterator takes, whose range is kept.
const RANGE_STEPS: u64 = 9;
/// Bytes of a result of a contract, or of the arguments that it is called with.
const MAX_PASSED: usize = MAX_VALUE;

/// What a call lacks before it can be performed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Needs {
    /// An answer from outside.
    Ask(ExternalCall),
    /// Gas for this work.
    Pay(Work),
}

/// What a call comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Called {
    /// The program goes on, with this result if the function has one.
    Return(Option<u64>),
    /// The program goes on, without a result, and a line for standard error.
    Debug(Vec<u8>),
}

/// The work of looking at keys of the program's own and moving bytes.
fn looking(looked: u64, bytes: u64) -> Work {
    Work { bytes: looked.saturating_mul(LOOK).saturating_add(bytes), steps: looked, pages: 0 }
}

/// Searches among keys that a call of `next` makes, twice each: of where the iterator is, of the range's ends, of the key found.
const SEARCHES: u64 = 4;

/// The work of a read. The key is compared with others on the way to its own, twice: a step beside the bytes, and one for
/// so many of it.
fn reading(key: u64, value: u64) -> Work {
    Work { bytes: key.saturating_add(value), steps: (key >> 5).saturating_add(1), pages: 0 }
}

/// The work of a write. The key goes to the log, to the map and to the list of writes, the value to the log: two steps beside
/// the bytes, and one for so many of either.
fn writing(key: u64, value: u64) -> Work {
    let steps = [2, key >> 5, value >> 8];
    Work { bytes: key.saturating_add(value), steps: steps.into_iter().fold(0, u64::saturating_add), pages: 0 }
}

/// Arguments of a call.
#[derive(Clone, Copy)]
struct Words<'a>(&'a [u64]);

impl Words<'_> {
    fn get(self, index: usize) -> u64 {
        self.0.get(index).copied().unwrap_or(0)
    }

    fn word(self, index: usize) -> u32 {
        #[expect(clippy::cast_possible_truncation, reason = "an i32 is the low half of its slot")]
        let word = self.get(index) as u32;
        word
    }

    /// Pointer and length.
    fn range(self, index: usize) -> (u64, u64) {
        (self.word(index).into(), self.word(index.saturating_add(1)).into())
    }
}

/// The bytes of a range in the program's memory.
fn bytes<'a>(memory: &'a dyn GuestMemory, (at, len): (u64, u64), what: &str) -> Result<&'a [u8], String> {
    memory.read(at, len).ok_or_else(|| format!("{what}: {len} bytes at {at:#x} are outside the memory"))
}

/// The bytes of a range, at most so many.
fn limited<'a>(memory: &'a dyn GuestMemory, range: (u64, u64), what: &str, most: usize) -> Result<&'a [u8], String> {
    if range.1 > most as u64 {
        return Err(format!("{what}: {} bytes, at most {most}", range.1));
    }
    bytes(memory, range, what)
}

fn key(memory: &dyn GuestMemory, words: Words<'_>) -> Result<Vec<u8>, String> {
    limited(memory, words.range(0), "key", MAX_KEY).map(<[u8]>::to_vec)
}

/// A range that will be written to.
fn buffer(memory: &dyn GuestMemory, (at, len): (u64, u64)) -> Result<(), String> {
    if memory.contains(at, len) {
        Ok(())
    } else {
        Err(format!("buffer: {len} bytes at {at:#x} are outside the memory"))
    }
}

/// The part of `value` that a buffer of `cap` bytes takes from `offset` on.
fn part(value: &[u8], offset: u64, cap: u64) -> &[u8] {
    let rest = usize::try_from(offset).ok().and_then(|offset| value.get(offset..)).unwrap_or_default();
    rest.get(..usize::try_from(cap).unwrap_or(usize::MAX)).unwrap_or(rest)
}

fn limit_of(memory: &dyn GuestMemory, words: Words<'_>) -> Result<Option<Vec<u8>>, String> {
    let range = words.range(2);
    if range.1 == NO_LIMIT { Ok(None) } else { limited(memory, range, "limit", MAX_KEY).map(|key| Some(key.to_vec())) }
}

impl KvView {
    /// The function imported as (`module`, `name`), if the program has a store.
    pub fn resolve(&self, module: &str, name: &str) -> Option<HostFunc> {
        let (id, (_, _, _, params, results)) =
            (0..).zip(&ROWS).find(|(_, row)| self.is_open() && (row.1, row.2) == (module, name))?;
        Some(HostFunc { id, params, results })
    }

    /// Whether this is the function that calls a contract.
    pub fn calls_contract(id: u32) -> bool {
        Self::func(id) == StoreFunction::Call
    }

    fn func(id: u32) -> StoreFunction {
        let row = usize::try_from(id).ok().and_then(|id| ROWS.get(id));
        row.map_or_else(|| unreachable!("BUG: store function {id}"), |row| row.0)
    }

    /// The bytes that `contract.args`, `caller` or `result` copies from.
    fn passed(&self, func: StoreFunction) -> &[u8] {
        let current = self.invocations.last();
        match func {
            StoreFunction::Args => current.map_or(&[], |invocation| &invocation.args),
            StoreFunction::Caller => current.map_or(&[], |invocation| invocation.caller.as_bytes()),
            _ => &self.last_result,
        }
    }

    /// What the call lacks. No more than `most` keys of the program's own are looked at: that many can be paid for.
    ///
    /// # Errors
    /// The call traps, for the reason given.
    pub fn plan(&self, id: u32, args: &[u64], memory: &dyn GuestMemory, most: u64) -> Result<Needs, String> {
        let words = Words(args);
        let func = Self::func(id);
        let moved = match func {
            StoreFunction::Read | StoreFunction::Get => {
                let key = key(memory, words)?;
                buffer(memory, words.range(2))?;
                let Some(known) = self.known(&key) else { return Ok(Needs::Ask(ExternalCall::Get { key })) };
                let offset = if func == StoreFunction::Read { words.word(4).into() } else { 0 };
                let value = part(known.unwrap_or_default(), offset, words.range(2).1);
                return Ok(Needs::Pay(reading(key.len() as u64, value.len() as u64)));
            }
            StoreFunction::Write | StoreFunction::Delete => {
                let key = key(memory, words)?;
                let value = if func == StoreFunction::Write {
                    limited(memory, words.range(2), "value", MAX_VALUE)?
                } else {
                    &[]
                };
                if !self.is_seen(&key) {
                    return Ok(Needs::Ask(ExternalCall::Get { key }));
                }
                return Ok(Needs::Pay(writing(key.len() as u64, value.len() as u64)));
            }
            StoreFunction::Iterate => {
                let start = key(memory, words)?;
                let moved = start.len().saturating_add(limit_of(memory, words)?.map_or(0, |limit| limit.len()));
                // The range that it leaves behind is kept, hashed and listed.
                let steps = self.places().checked_div(PLACES).unwrap_or_default().saturating_add(RANGE_STEPS);
                return Ok(Needs::Pay(Work { steps, ..Work::moving(moved as u64) }));
            }
            StoreFunction::Next => return self.plan_next(words, memory, most),
            StoreFunction::Debug => bytes(memory, words.range(0), "text")?.len(),
            StoreFunction::SetResult => limited(memory, words.range(0), "result", MAX_PASSED)?.len(),
            StoreFunction::Call => {
                let name = limited(memory, words.range(0), "name", MAX_KEY)?;
                name.len().saturating_add(limited(memory, words.range(2), "arguments", MAX_PASSED)?.len())
            }
            StoreFunction::Args | StoreFunction::Caller | StoreFunction::Result => {
                buffer(memory, words.range(0))?;
                part(self.passed(func), words.word(2).into(), words.range(0).1).len()
            }
            StoreFunction::Close => 0,
        };
        Ok(Needs::Pay(Work::moving(moved as u64)))
    }

    fn plan_next(&self, words: Words<'_>, memory: &dyn GuestMemory, most: u64) -> Result<Needs, String> {
        buffer(memory, words.range(1))?;
        buffer(memory, words.range(3))?;
        let place = self.iterator_key_bytes(words.word(0))?;
        let searched =
            |work: Work| Work { steps: work.steps.saturating_add((place >> 5).saturating_mul(SEARCHES)), ..work };
        Ok(match self.following(words.word(0), most)? {
            Following::Ask { from, limit } => Needs::Ask(ExternalCall::Next { from, limit }),
            Following::End(looked) | Following::Unpaid(looked) => Needs::Pay(searched(looking(looked, 0))),
            Following::Key(key, looked) => {
                let value = self.known(&key).flatten().unwrap_or_default();
                Needs::Pay(searched(looking(looked, key.len().saturating_add(value.len()) as u64)))
            }
        })
    }

    /// Bytes that are charged for keeping an answer.
    pub fn answer_bytes(question: &ExternalCall, answer: &ExternalReply) -> u64 {
        let bytes = match (question, answer) {
            (ExternalCall::Get { key }, ExternalReply::Value(found)) => {
                key.len().saturating_add(found.as_ref().map_or(0, |found| found.value.len()))
            }
            (_, ExternalReply::Entry(Some((key, found)))) => key.len().saturating_add(found.value.len()),
            _ => 0,
        };
        bytes as u64
    }

    /// Keeps the answer to the question that the call's plan asked.
    ///
    /// # Errors
    /// The call traps: what the store holds conflicts with the run, or the log is full.
    pub fn take_in(&mut self, args: &[u64], question: ExternalCall, answer: &ExternalReply) -> Result<(), String> {
        match (question, answer) {
            (ExternalCall::Get { key }, ExternalReply::Value(found)) => self.see(&key, found.as_ref()),
            (ExternalCall::Next { from, .. }, ExternalReply::Entry(entry)) => {
                if let Some((key, found)) = entry {
                    self.see(key, Some(found))?;
                }
                self.look_ahead(Words(args).word(0), from, entry.as_ref().map(|(key, _)| key.clone()))
            }
            _ => unreachable!("BUG: answers are checked when they are given"),
        }
    }

    /// Performs a call that lacks nothing and has been charged.
    ///
    /// # Errors
    /// The call traps, for the reason given.
    pub fn perform(
        &mut self,
        id: u32,
        args: &[u64],
        memory: &mut dyn GuestMemory,
        mut paid: Paid,
    ) -> Result<Called, String> {
        let words = Words(args);
        let func = Self::func(id);
        let result = match func {
            StoreFunction::Read | StoreFunction::Get => {
                let key = key(memory, words)?;
                let absent = if func == StoreFunction::Read { u64::from(u32::MAX) } else { u64::MAX };
                let offset = if func == StoreFunction::Read { words.word(4).into() } else { 0 };
                let (at, cap) = words.range(2);
                let found = self.known(&key).flatten();
                memory.write(at, part(found.unwrap_or_default(), offset, cap));
                Some(found.map_or(absent, |value| value.len() as u64))
            }
            StoreFunction::Write => {
                let key = key(memory, words)?;
                self.put(&key, bytes(memory, words.range(2), "value")?)?;
                None
            }
            StoreFunction::Delete => {
                self.delete(&key(memory, words)?)?;
                None
            }
            StoreFunction::Iterate => {
                let limit = limit_of(memory, words)?;
                Some(self.open(&key(memory, words)?, limit.as_deref())?.into())
            }
            StoreFunction::Next => Some(self.next(words, memory, paid.steps())?),
            StoreFunction::Close => {
                self.close_handle(words.word(0))?;
                None
            }
            StoreFunction::Debug => return Ok(Called::Debug(bytes(memory, words.range(0), "text")?.to_vec())),
            StoreFunction::SetResult => {
                self.current().result = bytes(memory, words.range(0), "result")?.to_vec();
                None
            }
            StoreFunction::Call => unreachable!("BUG: contracts are called elsewhere"),
            StoreFunction::Args | StoreFunction::Caller | StoreFunction::Result => {
                let (at, cap) = words.range(0);
                let passed = self.passed(func);
                memory.write(at, part(passed, words.word(2).into(), cap));
                Some(passed.len() as u64)
            }
        };
        Ok(Called::Return(result))
    }

    /// What `contract.call` asks for: the contract's name, its arguments, and the gas that it may use.
    ///
    /// # Errors
    /// The call traps, for the reason given.
    pub fn contract_call(&self, args: &[u64], memory: &dyn GuestMemory) -> Result<(String, Vec<u8>, u64), String> {
        let words = Words(args);
        let name = String::from_utf8_lossy(bytes(memory, words.range(0), "name")?).into_owned();
        Ok((name, bytes(memory, words.range(2), "arguments")?.to_vec(), words.get(4)))
    }

    fn next(&mut self, words: Words<'_>, memory: &mut dyn GuestMemory, steps: &mut Steps) -> Result<u64, String> {
        let handle = words.word(0);
        let key = match self.following(handle, u64::MAX)? {
            Following::Key(key, looked) => {
                steps.take(looked);
                key
            }
            Following::End(looked) => {
                steps.take(looked);
                self.end(handle)?;
                return Ok(u64::MAX);
            }
            Following::Ask { .. } | Following::Unpaid(_) => unreachable!("BUG: the call was planned and paid for"),
        };
        let value = self.known(&key).flatten().unwrap_or_default();
        let ((key_at, key_cap), (value_at, value_cap)) = (words.range(1), words.range(3));
        let lengths = (key.len() as u64) << 32 | value.len() as u64;
        if key.len() as u64 <= key_cap && value.len() as u64 <= value_cap {
            memory.write(key_at, &key);
            memory.write(value_at, value);
            self.advance(handle, &key)?;
        }
        Ok(lengths)
    }
}
