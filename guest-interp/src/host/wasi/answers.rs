//! The record of answers that come from clocks and randomness, so that a reference run in another engine can be fed the
//! same ones. It is a log for the embedder, not state, and off until asked for because it grows with the run.
//!
//! A record is a tag byte and its fields, little-endian, without padding:
//!
//! | tag | call | fields |
//! | --- | --- | --- |
//! | 1 | `clock_time_get` | clock id u32, nanoseconds u64 |
//! | 2 | `random_get` | length u32, that many bytes |
//! | 3 | `poll_oneoff` | nanoseconds slept u64, number of events u32, that many events of 32 bytes as the program got them |
//! | 4 | `clock_res_get` | clock id u32, nanoseconds u64 |
//!
//! Only calls that succeed are recorded, in the order of the calls. A failing call fails by its arguments alone.

const CLOCK_TIME: u8 = 1;
const RANDOM: u8 = 2;
const POLL: u8 = 3;
const CLOCK_RES: u8 = 4;

/// The log and its switch.
#[derive(Clone, Debug, Default)]
pub(super) struct Answers {
    pub(super) on: bool,
    pub(super) log: Vec<u8>,
}

impl Answers {
    pub(super) fn clock_time(&mut self, clock: u32, nanoseconds: u64) {
        self.clock(CLOCK_TIME, clock, nanoseconds);
    }

    pub(super) fn clock_res(&mut self, clock: u32, nanoseconds: u64) {
        self.clock(CLOCK_RES, clock, nanoseconds);
    }

    fn clock(&mut self, tag: u8, clock: u32, nanoseconds: u64) {
        if self.on {
            self.log.push(tag);
            self.log.extend_from_slice(&clock.to_le_bytes());
            self.log.extend_from_slice(&nanoseconds.to_le_bytes());
        }
    }

    /// Opens a record of `length` random bytes, which follow through [`random_bytes`](Self::random_bytes).
    pub(super) fn random(&mut self, length: u32) {
        if self.on {
            self.log.push(RANDOM);
            self.log.extend_from_slice(&length.to_le_bytes());
        }
    }

    pub(super) fn random_bytes(&mut self, bytes: &[u8]) {
        if self.on {
            self.log.extend_from_slice(bytes);
        }
    }

    pub(super) fn poll(&mut self, slept: u64, count: u32, events: &[u8]) {
        if self.on {
            self.log.push(POLL);
            self.log.extend_from_slice(&slept.to_le_bytes());
            self.log.extend_from_slice(&count.to_le_bytes());
            self.log.extend_from_slice(events);
        }
    }
}
