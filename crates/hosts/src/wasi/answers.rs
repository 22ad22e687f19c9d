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

use stepmark_state::error::JobError;

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

/// One record of the log, for whoever replays it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// `clock_time_get` of this clock answered so many nanoseconds.
    ClockTime {
        /// The clock's id.
        clock: u32,
        /// What it showed.
        nanoseconds: u64,
    },
    /// `clock_res_get` of this clock answered so many nanoseconds.
    ClockResolution {
        /// The clock's id.
        clock: u32,
        /// Its resolution.
        nanoseconds: u64,
    },
    /// `random_get` gave these bytes.
    Random(Vec<u8>),
    /// `poll_oneoff` slept so many nanoseconds and gave these events.
    Poll {
        /// By how much the clocks advanced.
        slept: u64,
        /// The events, 32 bytes each, as the program got them.
        events: Vec<[u8; 32]>,
    },
}

/// Reads a whole log.
///
/// # Errors
/// If it has an unknown tag or ends within a record: the message gives the offset.
pub fn parse_answers(log: &[u8]) -> Result<Vec<Recorded>, JobError> {
    let mut rest = log;
    let mut records = Vec::new();
    while !rest.is_empty() {
        let offset = log.len().saturating_sub(rest.len());
        let record = parse_record(&mut rest);
        records.push(record.ok_or_else(|| JobError::io(format!("wasi answers: malformed record at offset {offset}")))?);
    }
    Ok(records)
}

fn parse_record(rest: &mut &[u8]) -> Option<Recorded> {
    let [tag] = take(rest)?;
    Some(match tag {
        CLOCK_TIME => Recorded::ClockTime { clock: take_u32(rest)?, nanoseconds: u64::from_le_bytes(take(rest)?) },
        CLOCK_RES => Recorded::ClockResolution { clock: take_u32(rest)?, nanoseconds: u64::from_le_bytes(take(rest)?) },
        RANDOM => {
            let length = usize::try_from(take_u32(rest)?).ok()?;
            let (bytes, tail) = rest.split_at_checked(length)?;
            *rest = tail;
            Recorded::Random(bytes.to_vec())
        }
        POLL => {
            let slept = u64::from_le_bytes(take(rest)?);
            let events = (0..take_u32(rest)?).map(|_| take(rest)).collect::<Option<_>>()?;
            Recorded::Poll { slept, events }
        }
        _ => return None,
    })
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (bytes, tail) = rest.split_first_chunk()?;
    *rest = tail;
    Some(*bytes)
}

fn take_u32(rest: &mut &[u8]) -> Option<u32> {
    take(rest).map(u32::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> (Vec<u8>, Vec<Recorded>) {
        let mut answers = Answers { on: true, log: Vec::new() };
        answers.clock_time(1, 77);
        answers.random(3);
        answers.random_bytes(&[1, 2, 3]);
        answers.poll(500, 2, &[9; 64]);
        answers.clock_res(0, 4);
        let expected = vec![
            Recorded::ClockTime { clock: 1, nanoseconds: 77 },
            Recorded::Random(vec![1, 2, 3]),
            Recorded::Poll { slept: 500, events: vec![[9; 32]; 2] },
            Recorded::ClockResolution { clock: 0, nanoseconds: 4 },
        ];
        (answers.log, expected)
    }

    #[test]
    fn what_is_logged_is_read_back() {
        let (log, expected) = sample();
        assert_eq!(parse_answers(&log).unwrap(), expected);
        assert_eq!(parse_answers(&[]).unwrap(), []);
    }

    #[test]
    fn a_log_that_is_cut_or_damaged_is_refused_with_its_offset() {
        let (log, _) = sample();
        for cut in [1, 12, 14, 20, 22, 97, log.len() - 1] {
            let message = parse_answers(&log[..cut]).unwrap_err().to_string();
            assert!(message.starts_with("wasi answers: malformed record at offset "), "{cut}: {message}");
        }
        assert_eq!(parse_answers(&[5]).unwrap_err().message(), "wasi answers: malformed record at offset 0");
        let endless = [&[POLL][..], &[0; 8], &[255; 4]].concat();
        assert!(parse_answers(&endless).is_err(), "a huge count allocates nothing");
    }
}
