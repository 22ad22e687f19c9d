//! Feeding the reference with the node's recorded answers. The functions whose answers come from a clock or from a random
//! source are replaced by ones that read the record (its format is described in `stepmark_hosts::wasi`), in the order
//! of the calls. A program that asks for something else than it asked the node for has diverged, and that is named.

use std::fmt;

use wasmtime::{Caller, Linker};

use crate::reference::{Host, WASI_MODULES};

const CLOCK_TIME: u8 = 1;
const RANDOM: u8 = 2;
const POLL: u8 = 3;
const CLOCK_RES: u8 = 4;

/// Bytes of an event of `poll_oneoff`.
const EVENT: usize = 32;
/// WASI's answer when all is well.
const SUCCESS: i32 = 0;
/// WASI's answer for an address outside memory.
const EFAULT: i32 = 21;
/// WASI's answer for a clock that does not exist and for a poll of nothing.
const EINVAL: i32 = 28;

/// The record and how far it has been read.
pub(super) struct RecordedInputs {
    record: Vec<u8>,
    at: usize,
}

/// The reference asked for something that the node was not asked for at this point.
#[derive(Debug)]
pub(super) struct Diverged(pub(super) String);

impl fmt::Display for Diverged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Diverged {}

impl RecordedInputs {
    pub(super) fn new(record: Vec<u8>) -> Self {
        Self { record, at: 0 }
    }

    /// Bytes that nobody has asked for.
    pub(super) fn remaining(&self) -> usize {
        self.record.len().saturating_sub(self.at)
    }

    /// The next `N` bytes.
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let field = self.bytes(N)?.first_chunk().copied();
        self.at = self.at.saturating_add(N);
        field
    }

    /// The next `length` bytes, not yet taken.
    fn bytes(&self, length: usize) -> Option<&[u8]> {
        self.record.get(self.at..)?.get(..length)
    }

    /// Opens the next record if it has this tag.
    fn open(&mut self, tag: u8) -> Option<()> {
        (self.bytes(1)? == [tag]).then(|| self.at = self.at.saturating_add(1))
    }

    /// The time of the next record, if it is of `tag` and of this clock.
    fn clock(&mut self, tag: u8, clock: u32) -> Option<u64> {
        let before = self.at;
        let found = (|| {
            self.open(tag)?;
            let id = self.take().map(u32::from_le_bytes)?;
            let time = self.take().map(u64::from_le_bytes)?;
            (id == clock).then_some(time)
        })();
        if found.is_none() {
            self.at = before;
        }
        found
    }

    /// The bytes of the next record, if it is of random bytes of this length.
    fn random(&mut self, length: u32) -> Option<Vec<u8>> {
        let before = self.at;
        let found = (|| {
            self.open(RANDOM)?;
            let recorded = self.take().map(u32::from_le_bytes).filter(|recorded| *recorded == length)?;
            self.take_bytes(usize::try_from(recorded).ok()?)
        })();
        if found.is_none() {
            self.at = before;
        }
        found
    }

    /// The events of the next record, if it is of a poll, and their number.
    fn poll(&mut self) -> Option<(u32, Vec<u8>)> {
        let before = self.at;
        let found = (|| {
            self.open(POLL)?;
            let _slept: [u8; 8] = self.take()?;
            let count = self.take().map(u32::from_le_bytes)?;
            let events = self.take_bytes(usize::try_from(count).ok()?.checked_mul(EVENT)?)?;
            Some((count, events))
        })();
        if found.is_none() {
            self.at = before;
        }
        found
    }

    fn take_bytes(&mut self, length: usize) -> Option<Vec<u8>> {
        let bytes = self.bytes(length)?.to_vec();
        self.at = self.at.saturating_add(length);
        Some(bytes)
    }
}

/// Replaces the functions that answer from outside by ones that answer from the record.
pub(super) fn shadow(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    for module in WASI_MODULES {
        linker.func_wrap(module, "clock_res_get", |caller: Caller<'_, Host>, clock: u32, place: u32| {
            clock_answer(caller, "clock_res_get", CLOCK_RES, clock, place)
        })?;
        linker.func_wrap(module, "clock_time_get", |caller: Caller<'_, Host>, clock: u32, _: u64, place: u32| {
            clock_answer(caller, "clock_time_get", CLOCK_TIME, clock, place)
        })?;
        linker.func_wrap(module, "random_get", random_answer)?;
        linker.func_wrap(module, "poll_oneoff", poll_answer)?;
    }
    linker.allow_shadowing(false);
    Ok(())
}

fn clock_answer(mut caller: Caller<'_, Host>, name: &str, tag: u8, clock: u32, place: u32) -> wasmtime::Result<i32> {
    match with_replay(&mut caller, |replay| replay.clock(tag, clock)) {
        Some(time) => store(&mut caller, place, &time.to_le_bytes()),
        // Calls that fail are not recorded: they fail by their arguments alone.
        None if clock > 3 => Ok(EINVAL),
        None if !writable(&mut caller, place, 8) => Ok(EFAULT),
        None => Err(diverged(format!("{name} of clock {clock}"))),
    }
}

fn random_answer(mut caller: Caller<'_, Host>, place: u32, length: u32) -> wasmtime::Result<i32> {
    match with_replay(&mut caller, |replay| replay.random(length)) {
        Some(bytes) => store(&mut caller, place, &bytes),
        None if !writable(&mut caller, place, length) => Ok(EFAULT),
        None => Err(diverged(format!("random_get of {length} bytes"))),
    }
}

fn poll_answer(mut caller: Caller<'_, Host>, _: u32, events: u32, count: u32, place: u32) -> wasmtime::Result<i32> {
    match with_replay(&mut caller, RecordedInputs::poll) {
        Some((number, bytes)) => match store(&mut caller, events, &bytes)? {
            SUCCESS => store(&mut caller, place, &number.to_le_bytes()),
            errno => Ok(errno),
        },
        None if count == 0 => Ok(EINVAL),
        None => Err(diverged(format!("poll_oneoff of {count} subscriptions"))),
    }
}

fn with_replay<T>(caller: &mut Caller<'_, Host>, read: impl FnOnce(&mut RecordedInputs) -> Option<T>) -> Option<T> {
    caller.data_mut().replay.as_mut().and_then(read)
}

fn diverged(call: String) -> wasmtime::Error {
    wasmtime::Error::new(Diverged(format!(
        "the reference calls {call}, which Stepmark was not asked for at this point"
    )))
}

/// Whether `length` bytes at `place` are in the program's memory.
fn writable(caller: &mut Caller<'_, Host>, place: u32, length: u32) -> bool {
    let memory = caller.get_export("memory").and_then(wasmtime::Extern::into_memory);
    let size = memory.map_or(0, |memory| memory.data_size(&*caller));
    let end = u64::from(place).saturating_add(u64::from(length));
    end <= u64::try_from(size).unwrap_or(u64::MAX)
}

/// Writes an answer into the program's memory.
fn store(caller: &mut Caller<'_, Host>, place: u32, bytes: &[u8]) -> wasmtime::Result<i32> {
    let memory = caller.get_export("memory").and_then(wasmtime::Extern::into_memory);
    let memory = memory.ok_or_else(|| wasmtime::Error::msg("the program exports no memory"))?;
    let place = usize::try_from(place).unwrap_or(usize::MAX);
    Ok(if memory.write(&mut *caller, place, bytes).is_ok() { SUCCESS } else { EFAULT })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Vec<u8> {
        let mut record = vec![CLOCK_TIME];
        record.extend_from_slice(&1u32.to_le_bytes());
        record.extend_from_slice(&77u64.to_le_bytes());
        record.push(RANDOM);
        record.extend_from_slice(&3u32.to_le_bytes());
        record.extend_from_slice(b"abc");
        record.push(POLL);
        record.extend_from_slice(&5u64.to_le_bytes());
        record.extend_from_slice(&1u32.to_le_bytes());
        record.extend_from_slice(&[9; EVENT]);
        record
    }

    #[test]
    fn answers_come_in_the_order_of_the_calls() {
        let mut replay = RecordedInputs::new(record());
        assert_eq!(replay.clock(CLOCK_TIME, 1), Some(77));
        assert_eq!(replay.random(3), Some(b"abc".to_vec()));
        assert_eq!(replay.poll(), Some((1, vec![9; EVENT])));
        assert_eq!(replay.remaining(), 0);
    }

    #[test]
    fn another_question_takes_no_answer() {
        let mut replay = RecordedInputs::new(record());
        let all = replay.remaining();
        assert_eq!(replay.clock(CLOCK_TIME, 0), None);
        assert_eq!(replay.clock(CLOCK_RES, 1), None);
        assert_eq!(replay.random(3), None);
        assert_eq!(replay.poll(), None);
        assert_eq!(replay.remaining(), all);
        assert_eq!(replay.clock(CLOCK_TIME, 1), Some(77));
        assert_eq!(replay.random(4), None);
        assert_eq!(replay.random(3), Some(b"abc".to_vec()));
    }

    #[test]
    fn a_record_that_is_cut_short_answers_nothing() {
        for length in 0..record().len() {
            let mut replay = RecordedInputs::new(record()[..length].to_vec());
            let answers =
                replay.clock(CLOCK_TIME, 1).is_some() && replay.random(3).is_some() && replay.poll().is_some();
            assert!(!answers, "cut at {length}");
        }
    }
}
