//! The log: every key that was read, with what was found, and every write, in order. The rest of what a run knows of the
//! store is made of it, so it alone is kept in pages.

use serde::{Deserialize, Serialize};

use stepmark_core::alloc;
use stepmark_state::pages::PAGE;

/// An entry of the log.
#[derive(Serialize, Deserialize)]
pub(super) enum Record<'a> {
    /// A key of the store was read: its version, 0 where there is none, and its value.
    Seen { key: &'a [u8], version: u64, value: &'a [u8] },
    /// The program wrote a key.
    Put { key: &'a [u8], value: &'a [u8] },
    /// The program deleted a key.
    Delete { key: &'a [u8] },
    /// An iterator covered a range, up to `to` or to the end of all keys.
    Range { from: &'a [u8], to: Option<&'a [u8]> },
    /// All writes but the first so many were undone.
    Undo { writes: u64 },
}

/// Bytes in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    start: usize,
    len: usize,
}

/// The bytes, and one mark for each page.
#[derive(Clone, Debug, Default)]
pub(super) struct Log {
    bytes: Vec<u8>,
    marks: Vec<u8>,
}

impl Log {
    /// So many zeros, to be filled page by page.
    pub(super) fn zeroed(len: u64) -> Result<Self, ()> {
        let len = usize::try_from(len).map_err(|_| ())?;
        let mut log = Self::default();
        alloc::lengthen(&mut log.bytes, len, len).map_err(|_| ())?;
        log.marks.resize(len.div_ceil(PAGE), 0);
        Ok(log)
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Adds an entry; where the value lies that ends it, of `value` bytes. None if it does not fit `most` bytes.
    pub(super) fn add(&mut self, record: &Record<'_>, value: usize, most: u64) -> Option<Span> {
        let encoded = postcard::to_allocvec(record).ok()?;
        let before = self.bytes.len();
        if (before.saturating_add(encoded.len()) as u64) > most {
            return None;
        }
        if alloc::reserve(&mut self.bytes, encoded.len()).is_err() {
            // That there is no memory is no result of the run: this ends the process.
            self.bytes.reserve_exact(encoded.len());
        }
        self.bytes.extend_from_slice(&encoded);
        let after = self.bytes.len();
        self.marks.resize(after.div_ceil(PAGE), 0);
        let touched = before.checked_div(PAGE).and_then(|first| self.marks.get_mut(first..));
        touched.unwrap_or_default().fill(1);
        Some(Span { start: after.saturating_sub(value), len: value })
    }

    /// The bytes of a span.
    pub(super) fn get(&self, span: Span) -> &[u8] {
        let rest = self.bytes.get(span.start..).unwrap_or_default();
        rest.get(..span.len).unwrap_or_default()
    }

    /// The entry at `at`, and where the next one begins.
    pub(super) fn read(&self, at: usize) -> Option<(Record<'_>, usize)> {
        let rest = self.bytes.get(at..)?;
        let (record, left) = postcard::take_from_bytes(rest).ok()?;
        Some((record, self.bytes.len().checked_sub(left.len())?))
    }

    /// Where the value of `len` bytes lies that ends the entry before `end`.
    pub(super) fn ending(end: usize, len: usize) -> Span {
        Span { start: end.saturating_sub(len), len }
    }

    pub(super) fn pages(&self) -> usize {
        self.marks.len()
    }

    pub(super) fn marks(&mut self) -> &mut [u8] {
        &mut self.marks
    }

    pub(super) fn page(&self, page: usize) -> [u8; PAGE] {
        let mut contents = [0; PAGE];
        let from = self.bytes.chunks(PAGE).nth(page).unwrap_or_default();
        for (to, from) in contents.iter_mut().zip(from) {
            *to = *from;
        }
        contents
    }

    pub(super) fn set_page(&mut self, page: usize, contents: &[u8; PAGE]) {
        let to = self.bytes.chunks_mut(PAGE).nth(page).unwrap_or_default();
        for (to, from) in to.iter_mut().zip(contents) {
            *to = *from;
        }
    }
}
