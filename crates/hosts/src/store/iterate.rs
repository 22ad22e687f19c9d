//! Iterators: the keys of a range in order, the program's own writes among those of the store. An iterator asks the store for
//! one entry at a time, and remembers how far it has looked: up to there a key that somebody adds is a conflict too.

use std::ops::Bound;

use serde::{Deserialize, Serialize};

use super::{KvView, MAX_ITERATOR_BYTES, MAX_ITERATORS};

/// What is known of the store's next key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Ahead {
    /// Nothing yet.
    Unknown,
    /// It is this one.
    Key(Vec<u8>),
    /// There is none.
    End,
}

/// An open iterator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Iterating {
    start: Vec<u8>,
    limit: Option<Vec<u8>>,
    /// The least key that it may yield next.
    at: Vec<u8>,
    ahead: Ahead,
    /// It has said that there are no more keys.
    ended: bool,
}

/// What an iterator yields next.
pub(super) enum Following {
    /// That depends on the store: its first key from here on.
    Ask { from: Vec<u8>, limit: Option<Vec<u8>> },
    /// This key, after looking at so many keys of the program's own.
    Key(Vec<u8>, u64),
    /// Nothing more, after looking at so many keys of the program's own.
    End(u64),
    /// That was not looked for to the end: so many keys are more than can be paid for.
    Unpaid(u64),
}

/// The key right after `key`.
fn successor(key: &[u8]) -> Vec<u8> {
    [key, &[0]].concat()
}

impl KvView {
    /// Opens an iterator; its handle, the least that is free in this call of a contract.
    ///
    /// # Errors
    /// Too many are open, or they hold too many bytes.
    pub(super) fn open(&mut self, start: &[u8], limit: Option<&[u8]>) -> Result<u32, String> {
        let first = self.first_iterator();
        let own = self.iterators.iter().enumerate().skip(first);
        let free = own.filter(|(_, slot)| slot.is_none()).map(|(place, _)| place).next();
        let place = free.unwrap_or(self.iterators.len());
        if place >= MAX_ITERATORS {
            return Err(format!("more than {MAX_ITERATORS} iterators"));
        }
        let opened = Some(Iterating {
            start: start.to_vec(),
            limit: limit.map(<[u8]>::to_vec),
            at: start.to_vec(),
            ahead: Ahead::Unknown,
            ended: false,
        });
        self.hold(0, bytes_of(&opened))?;
        match self.iterators.get_mut(place) {
            Some(slot) => *slot = opened,
            None => self.iterators.push(opened),
        }
        Ok(u32::try_from(place.saturating_sub(first)).unwrap_or(u32::MAX))
    }

    /// The first iterator of the contract that runs: it reaches none of its caller's.
    fn first_iterator(&self) -> usize {
        let before = self.invocations.last().map_or(0, |invocation| invocation.iterators_before);
        usize::try_from(before).unwrap_or(usize::MAX)
    }

    /// Places that [`open`](Self::open) may have to look at.
    pub(super) fn places(&self) -> u64 {
        self.iterators.len().saturating_sub(self.first_iterator()) as u64
    }

    /// Place of an open iterator.
    fn place(&self, handle: u32) -> Result<usize, String> {
        let place = usize::try_from(handle).ok().and_then(|handle| self.first_iterator().checked_add(handle));
        let open = place.filter(|place| self.iterators.get(*place).is_some_and(Option::is_some));
        open.ok_or_else(|| format!("{handle} is no open iterator"))
    }

    fn iterator(&self, handle: u32) -> Result<&Iterating, String> {
        let place = self.place(handle)?;
        self.iterators.get(place).and_then(Option::as_ref).ok_or_else(String::new)
    }

    /// Bytes of the longest key that tells where an iterator is.
    ///
    /// # Errors
    /// It is not open.
    pub(super) fn iterator_key_bytes(&self, handle: u32) -> Result<u64, String> {
        let [_, at, ahead, limit] = self.iterator(handle)?.key_lengths();
        Ok(at.max(ahead).max(limit))
    }

    fn iterator_mut(&mut self, handle: u32) -> Result<&mut Iterating, String> {
        let place = self.place(handle)?;
        self.iterators.get_mut(place).and_then(Option::as_mut).ok_or_else(String::new)
    }

    /// Closes an iterator of the contract that runs.
    ///
    /// # Errors
    /// It is not open, or the log is full.
    pub(super) fn close_handle(&mut self, handle: u32) -> Result<(), String> {
        self.close(self.place(handle)?)
    }

    /// What an iterator yields next, if no more than `most` keys of the program's own lie before it.
    pub(super) fn following(&self, handle: u32, most: u64) -> Result<Following, String> {
        let iterator = self.iterator(handle)?;
        // Nothing as long as a key is copied or compared for what does not pay for it.
        let limit = iterator.limit.as_deref();
        if iterator.ended || limit.is_some_and(|limit| limit <= iterator.at.as_slice()) {
            return Ok(Following::End(0));
        }
        let ask = |from: Vec<u8>| Following::Ask { from, limit: iterator.limit.clone() };
        let ahead = match &iterator.ahead {
            Ahead::Unknown => return Ok(ask(iterator.at.clone())),
            Ahead::Key(key) => Some(key.as_slice()),
            Ahead::End => None,
        };
        let end = ahead.map_or(limit.map_or(Bound::Unbounded, Bound::Excluded), Bound::Included);
        // Only a forged state has the store's next key before its place.
        let at = ahead.map_or(iterator.at.as_slice(), |ahead| ahead.min(&iterator.at));
        let mut looked = 0u64;
        for (key, known) in self.keys.keys.range::<[u8], _>((Bound::Included(at), end)) {
            looked = looked.saturating_add(1);
            if looked > most {
                return Ok(Following::Unpaid(looked));
            }
            if matches!(known.written, Some(Some(_))) {
                return Ok(Following::Key(key.clone(), looked));
            }
        }
        Ok(match ahead {
            None => Following::End(looked),
            Some(key) if self.keys.keys.get(key).is_some_and(|known| known.written == Some(None)) => {
                ask(successor(key))
            }
            Some(key) => Following::Key(key.to_vec(), looked),
        })
    }

    /// Takes note of the store's first key from `from` on.
    ///
    /// # Errors
    /// It is not open, or open iterators hold too many bytes.
    pub(super) fn look_ahead(&mut self, handle: u32, from: Vec<u8>, found: Option<Vec<u8>>) -> Result<(), String> {
        self.change(handle, |iterator| {
            iterator.at = from;
            iterator.ahead = found.map_or(Ahead::End, Ahead::Key);
        })
    }

    /// The iterator has yielded a key.
    ///
    /// # Errors
    /// It is not open, or open iterators hold too many bytes.
    pub(super) fn advance(&mut self, handle: u32, key: &[u8]) -> Result<(), String> {
        self.change(handle, |iterator| {
            iterator.at = successor(key);
            if matches!(&iterator.ahead, Ahead::Key(ahead) if ahead.as_slice() <= key) {
                iterator.ahead = Ahead::Unknown;
            }
        })
    }

    fn change(&mut self, handle: u32, change: impl FnOnce(&mut Iterating)) -> Result<(), String> {
        let iterator = self.iterator_mut(handle)?;
        let before = iterator.bytes();
        change(iterator);
        let after = iterator.bytes();
        self.hold(before, after)
    }

    /// An iterator's keys take `after` bytes in place of `before`.
    fn hold(&mut self, before: u64, after: u64) -> Result<(), String> {
        self.iterator_bytes = self.iterator_bytes.saturating_sub(before).saturating_add(after);
        if self.iterator_bytes > MAX_ITERATOR_BYTES {
            return Err(format!("open iterators hold more than {MAX_ITERATOR_BYTES} bytes of keys"));
        }
        Ok(())
    }

    /// Bytes of the keys of all open iterators.
    pub(super) fn count_iterator_bytes(&self) -> u64 {
        self.iterators.iter().map(bytes_of).fold(0, u64::saturating_add)
    }

    /// The iterator has said that there are no more keys.
    pub(super) fn end(&mut self, handle: u32) -> Result<(), String> {
        self.iterator_mut(handle)?.ended = true;
        Ok(())
    }

    /// Closes an iterator if it is open.
    pub(super) fn close(&mut self, handle: usize) -> Result<(), String> {
        let closed = self.iterators.get_mut(handle).and_then(Option::take);
        self.iterator_bytes = self.iterator_bytes.saturating_sub(bytes_of(&closed));
        match closed.and_then(|iterator| iterator.covered()) {
            Some((from, to)) => self.cover(from, to),
            None => Ok(()),
        }
    }

    /// The ranges that all iterators have covered.
    pub(super) fn covered(&self) -> impl Iterator<Item = (Vec<u8>, Option<Vec<u8>>)> {
        let open = self.iterators.iter().flatten().filter_map(Iterating::covered);
        self.keys.ranges.iter().cloned().chain(open)
    }
}

/// Bytes of the keys of an iterator, if it is open.
fn bytes_of(iterator: &Option<Iterating>) -> u64 {
    iterator.as_ref().map_or(0, Iterating::bytes)
}

impl Iterating {
    /// Bytes of its keys: what a snapshot has of it, but for a constant.
    fn bytes(&self) -> u64 {
        self.key_lengths().into_iter().fold(0, u64::saturating_add)
    }

    /// Bytes of the key it began at, that it is at, that the store has next, and that it ends before.
    fn key_lengths(&self) -> [u64; 4] {
        let ahead = if let Ahead::Key(key) = &self.ahead { key.len() } else { 0 };
        let limit = self.limit.as_ref().map_or(0, Vec::len);
        [self.start.len(), self.at.len(), ahead, limit].map(|bytes| bytes as u64)
    }

    /// The range of keys that it has looked through; none if it has not begun.
    fn covered(&self) -> Option<(Vec<u8>, Option<Vec<u8>>)> {
        let to = if self.ended { self.limit.clone() } else { Some(self.at.clone()) };
        (self.ended || self.at > self.start).then(|| (self.start.clone(), to))
    }
}
