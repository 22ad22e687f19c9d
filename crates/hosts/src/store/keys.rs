//! What the run knows of each key: what the store held, and what the program has written since.

use std::collections::BTreeMap;

use super::KvView;
use super::log::{Log, Record, Span};
use crate::external::Versioned;
use stepmark_state::error::JobError;

/// What the store held for a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// Its version, 0 where there was nothing.
    pub(super) version: u64,
    pub(super) value: Span,
}

/// What the program wrote: a value, or none where it deleted the key.
pub(super) type Written = Option<Span>;

/// A key.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct KeyState {
    pub(super) seen: Option<Seen>,
    pub(super) written: Option<Written>,
}

/// A range of keys that an iterator covered, up to its end or to that of all keys.
pub(super) type Covered = (Vec<u8>, Option<Vec<u8>>);

/// What a key takes in memory beside its bytes, counted alike everywhere: its place in the map, on a 64-bit machine.
const KEY_BYTES: u64 = 320;
/// What a write or a range takes beside the bytes of its keys.
const ENTRY_BYTES: u64 = 96;

/// All keys that were read or written.
#[derive(Clone, Debug, Default)]
pub(super) struct KeyStates {
    /// Bytes that all this is counted as, which the job bounds together with the log.
    pub(super) held: u64,
    pub(super) keys: BTreeMap<Vec<u8>, KeyState>,
    /// Each write's key with what was written there before it.
    journal: Vec<(Vec<u8>, Option<Written>)>,
    pub(super) ranges: Vec<Covered>,
}

impl KeyStates {
    /// Writes so far that were not undone.
    pub(super) fn writes(&self) -> u64 {
        self.journal.len() as u64
    }

    /// What an entry of the log adds to what is held.
    fn weight(&self, record: &Record<'_>) -> u64 {
        let bytes = |bytes: &[u8]| bytes.len() as u64;
        let of_key = |key: &[u8]| if self.keys.contains_key(key) { 0 } else { KEY_BYTES.saturating_add(bytes(key)) };
        match record {
            Record::Seen { key, .. } => of_key(key),
            Record::Put { key, .. } | Record::Delete { key } => {
                of_key(key).saturating_add(ENTRY_BYTES).saturating_add(bytes(key))
            }
            Record::Range { from, to } => {
                ENTRY_BYTES.saturating_add(bytes(from)).saturating_add(to.as_ref().map_or(0, |to| bytes(to)))
            }
            Record::Undo { .. } => 0,
        }
    }

    fn write(&mut self, key: &[u8], written: Written) {
        let before = self.keys.entry(key.to_vec()).or_default().written.replace(written);
        self.journal.push((key.to_vec(), before));
    }

    fn undo(&mut self, writes: u64) {
        while self.writes() > writes {
            let Some((key, before)) = self.journal.pop() else { return };
            if let Some(key) = self.keys.get_mut(&key) {
                key.written = before;
            }
        }
    }
}

impl KvView {
    /// What the program finds for a key, if that is known: its own write, else what the store held.
    pub(super) fn known(&self, key: &[u8]) -> Option<Option<&[u8]>> {
        let key = self.keys.keys.get(key)?;
        match (key.written, key.seen) {
            (Some(written), _) => Some(written.map(|span| self.log.get(span))),
            (None, Some(seen)) => Some((seen.version > 0).then(|| self.log.get(seen.value))),
            (None, None) => None,
        }
    }

    /// Adds an entry to the log; where the value lies that ends it, of `value` bytes.
    ///
    /// # Errors
    /// The log, with what is held of it, would be longer than the job allows.
    fn note(&mut self, record: &Record<'_>, value: usize) -> Result<Span, String> {
        let held = self.keys.held.saturating_add(self.keys.weight(record));
        let added = self.log.add(record, value, self.max_bytes.saturating_sub(held));
        let span = added.ok_or_else(|| format!("the store's log is full: the job allows {} bytes", self.max_bytes))?;
        self.keys.held = held;
        Ok(span)
    }

    /// Whether what the store holds for a key was read.
    pub(super) fn is_seen(&self, key: &[u8]) -> bool {
        self.keys.keys.get(key).is_some_and(|key| key.seen.is_some())
    }

    /// Takes note of what the store holds for a key.
    ///
    /// # Errors
    /// A conflict: it is newer than the run, or other than what was read before; or the log is full.
    pub(super) fn see(&mut self, key: &[u8], found: Option<&Versioned>) -> Result<(), String> {
        let began = self.version.unwrap_or(0);
        let version = found.map_or(0, |found| found.version);
        let value = found.map_or(&[][..], |found| &found.value);
        if version > began {
            let key = shown(key);
            return Err(format!("store conflict: key {key} has version {version}, the run began at version {began}"));
        }
        if let Some(seen) = self.keys.keys.get(key).and_then(|key| key.seen) {
            if seen.version == version {
                return Ok(());
            }
            let (key, before) = (shown(key), seen.version);
            return Err(format!("store conflict: key {key} has version {version}, it was read with version {before}"));
        }
        let value = self.note(&Record::Seen { key, version, value }, value.len())?;
        self.keys.keys.entry(key.to_vec()).or_default().seen = Some(Seen { version, value });
        Ok(())
    }

    pub(super) fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), String> {
        let span = self.note(&Record::Put { key, value }, value.len())?;
        self.keys.write(key, Some(span));
        Ok(())
    }

    pub(super) fn delete(&mut self, key: &[u8]) -> Result<(), String> {
        self.note(&Record::Delete { key }, 0)?;
        self.keys.write(key, None);
        Ok(())
    }

    /// Takes note of a range that an iterator has covered.
    pub(super) fn cover(&mut self, from: Vec<u8>, to: Option<Vec<u8>>) -> Result<(), String> {
        self.note(&Record::Range { from: &from, to: to.as_deref() }, 0)?;
        self.keys.ranges.push((from, to));
        Ok(())
    }

    /// Undoes all writes but the first so many.
    pub(super) fn undo(&mut self, writes: u64) -> Result<(), String> {
        if self.keys.writes() > writes {
            self.note(&Record::Undo { writes }, 0)?;
            self.keys.undo(writes);
        }
        Ok(())
    }

    /// Makes the keys of the log, whose pages have all come.
    ///
    /// # Errors
    /// The log is none that a run of this job writes.
    pub fn rebuild(&mut self) -> Result<(), JobError> {
        let log = std::mem::take(&mut self.log);
        let mut keys = KeyStates::default();
        let mut at = 0;
        while at < log.len() {
            let Some((record, end)) = log.read(at) else { return Err(malformed(at)) };
            keys.held = keys.held.saturating_add(keys.weight(&record));
            match record {
                Record::Seen { key, version, value } => {
                    let seen = Seen { version, value: Log::ending(end, value.len()) };
                    let known = keys.keys.entry(key.to_vec()).or_default();
                    let absent = version == 0 && !value.is_empty();
                    if known.seen.replace(seen).is_some() || version > self.version.unwrap_or(0) || absent {
                        return Err(malformed(at));
                    }
                }
                Record::Put { key, value } => keys.write(key, Some(Log::ending(end, value.len()))),
                Record::Delete { key } => keys.write(key, None),
                Record::Range { from, to } => keys.ranges.push((from.to_vec(), to.map(<[u8]>::to_vec))),
                Record::Undo { writes } if writes < keys.writes() => keys.undo(writes),
                Record::Undo { .. } => return Err(malformed(at)),
            }
            at = end;
        }
        (self.log, self.keys) = (log, keys);
        Ok(())
    }
}

#[cold]
fn malformed(at: usize) -> JobError {
    JobError::snapshot(format!("state: the store's log is malformed at byte {at}"))
}

/// A key in messages: text where it is printable, hexadecimal otherwise.
pub(crate) fn shown(key: &[u8]) -> String {
    match std::str::from_utf8(key) {
        Ok(text) if !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic()) => format!("'{text}'"),
        _ => key.iter().fold("0x".to_owned(), |text, byte| text + &format!("{byte:02x}")),
    }
}
