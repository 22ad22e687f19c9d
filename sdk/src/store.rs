//! The key-value store that contracts read, behind a trait, and one in memory. A run reads at the version at which it
//! began and keeps its writes to itself; [`MemoryStore::commit`] applies them if all that it read is still so.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Bound;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use stepmark_hosts::external::Versioned;
use stepmark_hosts::store::{RangeRead, ReadWriteSet};

use crate::error::Error;

/// An entry of a store.
pub type StoreEntry = (Vec<u8>, Versioned);

/// What programs read. Every value has the version of the store at which it was written; what a run finds that is newer
/// than its beginning is a conflict, which traps it.
pub trait StoreSource: Send + Sync {
    /// The newest version.
    fn version(&self) -> u64;

    /// What the store holds for a key.
    ///
    /// # Errors
    /// The store fails; so does the run, without a result.
    fn get(&self, key: &[u8]) -> Result<Option<Versioned>, Error>;

    /// The first entry whose key is `from` or greater, and less than `limit` if there is one.
    ///
    /// # Errors
    /// As those of [`get`](Self::get).
    fn next(&self, from: &[u8], limit: Option<&[u8]>) -> Result<Option<StoreEntry>, Error>;
}

/// Why a set cannot be committed: what was read is not so any more. Nothing was changed; the run can be made again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// A key has another version than was read.
    Key {
        /// The key.
        key: Vec<u8>,
        /// The version that was read, 0 for none.
        read: u64,
        /// The version that is there, 0 for none.
        found: u64,
    },
    /// A range has a key that was not there when it was read.
    Range {
        /// The range.
        range: RangeRead,
        /// The key.
        key: Vec<u8>,
    },
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key { key, read, found } => {
                let key = ReadWriteSet::shown(key);
                write!(f, "store conflict: key {key} has version {found}, it was read with version {read}")
            }
            Self::Range { range, key } => {
                let (key, from) = (ReadWriteSet::shown(key), ReadWriteSet::shown(&range.from));
                write!(f, "store conflict: key {key} is new in the range that was read from {from}")
            }
        }
    }
}

impl std::error::Error for Conflict {}

/// A store in memory, for any number of threads.
///
/// ```
/// use node_sdk::{MemoryStore, ReadWriteSet, StoreSource};
///
/// let store = MemoryStore::new();
/// let write = |version, value: &[u8]| ReadWriteSet {
///     version,
///     reads: vec![(b"key".to_vec(), version)],
///     writes: vec![(b"key".to_vec(), Some(value.to_vec()))],
///     ..ReadWriteSet::default()
/// };
/// assert_eq!(store.commit(&write(0, b"first")), Ok(1));
/// assert_eq!(store.commit(&write(1, b"second")), Ok(2));
/// let late = store.commit(&write(1, b"late")).unwrap_err();
/// assert_eq!(late.to_string(), "store conflict: key 'key' has version 2, it was read with version 1");
/// assert_eq!(store.get(b"key")?.unwrap().value, b"second");
/// # Ok::<(), node_sdk::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct MemoryStore {
    contents: RwLock<Contents>,
}

#[derive(Debug, Default)]
struct Contents {
    version: u64,
    entries: BTreeMap<Vec<u8>, Versioned>,
}

impl MemoryStore {
    /// An empty store, at version 0.
    pub fn new() -> Self {
        Self::default()
    }

    /// A store with these entries, all written at version 1.
    pub fn with(entries: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>) -> Self {
        let entries = entries.into_iter().map(|(key, value)| (key, Versioned { version: 1, value })).collect();
        Self { contents: RwLock::new(Contents { version: 1, entries }) }
    }

    /// All entries, by ascending key.
    pub fn entries(&self) -> Vec<StoreEntry> {
        self.read().entries.iter().map(|(key, found)| (key.clone(), found.clone())).collect()
    }

    /// Applies the writes of a run, as the next version, if all that it read is still so; the version then. A run that
    /// has written nothing makes no new version.
    ///
    /// # Errors
    /// The first conflict; nothing has changed then.
    pub fn commit(&self, set: &ReadWriteSet) -> Result<u64, Conflict> {
        let mut contents = self.write();
        contents.check(set)?;
        if set.writes.is_empty() {
            return Ok(contents.version);
        }
        contents.version = contents.version.saturating_add(1);
        let version = contents.version;
        for (key, value) in &set.writes {
            match value {
                Some(value) => contents.entries.insert(key.clone(), Versioned { version, value: value.clone() }),
                None => contents.entries.remove(key),
            };
        }
        Ok(version)
    }

    fn read(&self) -> RwLockReadGuard<'_, Contents> {
        self.contents.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Contents> {
        self.contents.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Contents {
    fn check(&self, set: &ReadWriteSet) -> Result<(), Conflict> {
        for (key, read) in &set.reads {
            let found = self.entries.get(key).map_or(0, |found| found.version);
            if found != *read {
                return Err(Conflict::Key { key: key.clone(), read: *read, found });
            }
        }
        // Every key that was read in a range is still there, or it would have another version: is there one more.
        let read: BTreeSet<&[u8]> = set.reads.iter().map(|(key, _)| key.as_slice()).collect();
        for range in &set.ranges {
            if let Some(key) = self.keys(&range.from, range.to.as_deref()).find(|key| !read.contains(key)) {
                return Err(Conflict::Range { range: range.clone(), key: key.to_vec() });
            }
        }
        Ok(())
    }

    /// The keys from `from` up to `limit`.
    fn keys<'a>(&'a self, from: &[u8], limit: Option<&'a [u8]>) -> impl Iterator<Item = &'a [u8]> {
        let from = self.entries.range::<[u8], _>((Bound::Included(from), Bound::Unbounded));
        from.map(|(key, _)| key.as_slice()).take_while(move |key| limit.is_none_or(|limit| *key < limit))
    }
}

impl StoreSource for MemoryStore {
    fn version(&self) -> u64 {
        self.read().version
    }

    fn get(&self, key: &[u8]) -> Result<Option<Versioned>, Error> {
        Ok(self.read().entries.get(key).cloned())
    }

    fn next(&self, from: &[u8], limit: Option<&[u8]>) -> Result<Option<StoreEntry>, Error> {
        let contents = self.read();
        let key = contents.keys(from, limit).next();
        Ok(key.and_then(|key| Some((key.to_vec(), contents.entries.get(key)?.clone()))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &str) -> Vec<u8> {
        text.as_bytes().to_vec()
    }

    fn store() -> MemoryStore {
        MemoryStore::with(["a", "c", "e"].map(|key| (bytes(key), bytes("value"))))
    }

    fn range(from: &str, to: Option<&str>) -> RangeRead {
        RangeRead { from: bytes(from), to: to.map(bytes) }
    }

    #[test]
    fn a_range_that_has_gained_a_key_is_a_conflict() {
        let store = store();
        let set = ReadWriteSet {
            version: 1,
            reads: vec![(bytes("c"), 1)],
            ranges: vec![range("b", Some("e"))],
            ..ReadWriteSet::default()
        };
        assert_eq!(store.commit(&set), Ok(1));
        let add = |key: &str| ReadWriteSet { writes: vec![(bytes(key), Some(vec![]))], ..ReadWriteSet::default() };
        assert_eq!(store.commit(&add("f")), Ok(2));
        assert_eq!(store.commit(&set), Ok(2), "outside the range");
        assert_eq!(store.commit(&add("d")), Ok(3));
        let conflict = Conflict::Range { range: range("b", Some("e")), key: bytes("d") };
        assert_eq!(store.commit(&set), Err(conflict));
    }

    #[test]
    fn a_deleted_key_has_version_0_and_leaves_the_range() {
        let store = store();
        let delete =
            ReadWriteSet { reads: vec![(bytes("c"), 1)], writes: vec![(bytes("c"), None)], ..ReadWriteSet::default() };
        assert_eq!(store.commit(&delete), Ok(2));
        assert_eq!(store.commit(&delete), Err(Conflict::Key { key: bytes("c"), read: 1, found: 0 }));
        assert_eq!(store.get(b"c"), Ok(None));
        assert_eq!(store.next(b"b", None).map(|found| found.map(|(key, _)| key)), Ok(Some(bytes("e"))));
        assert_eq!(store.next(b"b", Some(b"e")), Ok(None));
        let absent = ReadWriteSet { reads: vec![(bytes("c"), 0)], ..ReadWriteSet::default() };
        assert_eq!(store.commit(&absent), Ok(2));
    }

    #[test]
    fn a_range_without_an_end_goes_to_the_last_key() {
        let set = ReadWriteSet { ranges: vec![range("d", None)], ..ReadWriteSet::default() };
        assert_eq!(store().commit(&set), Err(Conflict::Range { range: range("d", None), key: bytes("e") }));
        let set = ReadWriteSet { reads: vec![(bytes("e"), 1)], ..set };
        assert_eq!(store().commit(&set), Ok(1));
    }
}
